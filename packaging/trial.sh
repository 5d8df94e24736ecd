# A trial of the Debian packages in a root: checks, packages, token, CA, a first certificate; read by
# test-package.sh and test-systemd.sh after root.sh. Uses $work (a folder), $root and $suite (take_suite).
# shellcheck shell=sh
# They are set by who reads this.
# shellcheck disable=SC2154

checks=0
ok() {
    checks=$((checks + 1))
    printf 'ok %d %s\n' "$checks" "$*"
}

# A command that must succeed, in silence.
expect() { # WHAT COMMAND...
    what=$1
    shift
    "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "not so: $what ($*)"; }
    ok "$what"
}

says() { # WHAT PATTERN COMMAND...
    what=$1 pattern=$2
    shift 2
    "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "not so: $what ($*)"; }
    grep -q -- "$pattern" "$work/out" || { cat "$work/out" >&2; die "$what: \"$pattern\" is not said"; }
    ok "$what"
}

ends_with() { # STATUS WHAT COMMAND...
    wanted=$1 what=$2 status=0
    shift 2
    "$@" >"$work/out" 2>&1 || status=$?
    [ "$status" -eq "$wanted" ] || { cat "$work/out" >&2; die "$what: status $status, not $wanted"; }
    ok "$what"
}

# "MODE OWNER:GROUP" of a path in the root.
is() { # PATH "MODE OWNER:GROUP"
    found=$(inside stat -c '%a %U:%G' "$1") || die "$1 is missing"
    [ "$found" = "$2" ] || die "$1 is $found, expected $2"
    ok "$1 is $2"
}

gone() { # PATH...
    for path in "$@"; do
        [ ! -e "$root$path" ] || die "$path is still there"
        ok "$path is gone"
    done
}

# Sets `suite` by `--suite NAME`, and says how many words that were.
# shellcheck disable=SC2034 # for who reads this
take_suite() { # ARGUMENT...
    suite=bookworm suite_words=0
    [ "${1:-}" = --suite ] || return 0
    case ${2:-} in
    bookworm | trixie) suite=$2 suite_words=2 ;;
    *) die "--suite wants a name: bookworm or trixie" ;;
    esac
}

# Packages are for the release of Debian that they are made on.
make_packages() { # FOLDER
    # shellcheck source=/dev/null
    if [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = "$suite" ]; then
        expect "packages are made" sh "$project/packaging/make-packages.sh" "$1" 1
        expect "packages of a newer release are made" sh "$project/packaging/make-packages.sh" "$1" 2
        expect "packages are made again" sh "$project/packaging/make-packages.sh" "$work/again" 2
        for again in "$work"/again/*.deb; do
            expect "${again##*/} is the same to the octet" cmp "$again" "$1/${again##*/}"
        done
        rm -r "$work/again"
        return
    fi
    make_root "$suite" "$work/build" ca-certificates
    enter_root "$work/build"
    copy_project "$root/acmeward"
    expect "packages are made in that root" inside sh /acmeward/packaging/make-packages.sh /debs 1
    expect "packages of a newer release are made" inside sh /acmeward/packaging/make-packages.sh /debs 2
    leave_root "$root"
    mv "$root/debs" "$1"
    rm -rf --one-file-system "$root"
}

# Sets `debs`: the folder that is named, or packages made now.
take_packages() { # [FOLDER]
    debs=${1:-}
    [ -z "$debs" ] || return 0
    debs=$work/debs
    echo "== packages"
    make_packages "$debs"
}

# The program that makes the token; and the version that the packages are of.
make_token_program() {
    [ -x "$project/build/dev/softhsm-fixtures/softhsm-token" ] || {
        sh "$project/packaging/install-packages.sh" build test
        cmake --preset dev -S "$project" >/dev/null
        cmake --build "$project/build/dev" --target softhsm-token >/dev/null
    }
    version=$(sed -n 's/^project(acmeward VERSION \([0-9.]*\).*/\1/p' "$project/CMakeLists.txt")
}

packages() { # RELEASE
    for package in acmeward acmeward-admin acmeward-signer acmeward-relay; do
        echo "/packages/${package}_${version}-$1_amd64.deb"
    done
}

install_release() { # RELEASE
    # Names without blanks: splitting is wanted.
    # shellcheck disable=SC2046
    inside apt-get install -q -y --no-install-recommends $(packages "$1") >"$work/apt.log" 2>&1 ||
        { cat "$work/apt.log" >&2; die "apt could not install release $1"; }
    ok "apt installs release $1"
}

trial_packages() {
    expect "token and CA for a trial" inside apt-get install -q -y --no-install-recommends \
        softhsm2 pebble python3 openssl procps
}

make_token_and_ca() {
    mkdir "$root/trial"
    cp -r "$project/softhsm-fixtures" "$root/trial/softhsm-fixtures"
    cp "$project/build/dev/softhsm-fixtures/softhsm-token" "$root/trial/"
    inside install -d -o acmeward -m 0700 /trial/home
    inside runuser -u acmeward -- env SOFTHSM_TOKEN=/trial/softhsm-token \
        sh /trial/softhsm-fixtures/token.sh /trial/home/token >"$work/token.env"
    # shellcheck source=/dev/null
    . "$work/token.env"
    # shellcheck disable=SC2086
    inside python3 -B /trial/softhsm-fixtures/pebble.py start --state /trial/ca --kid dept-eab-1 \
        ${ca_options:-} >/dev/null
    inside chmod 0755 /trial/ca
    inside chmod 0644 "$(ca_says ca_file)"
    ok "token \"$TOKEN_LABEL\" and CA"
}

ca_says() {
    inside python3 -c 'import json, sys; print(json.load(open("/trial/ca/pebble.json"))[sys.argv[1]])' "$1"
}

# The examples of the package, with this token and CA in them.
configure() {
    inside useradd --create-home myapp1
    sed -e "s|^  module:.*|  module: $TOKEN_MODULE|" -e "s|^  uri:.*|  uri: \"$TOKEN_URI\"|" \
        -e "s|^  pin_source:.*|  pin_source: $TOKEN_PIN_FILE|" \
        -e "s|^  # paths:.*|  paths: [$SOFTHSM2_CONF, $TOKEN_FOLDER]|" \
        -e "s|^    preset:.*|    directory: $(ca_says directory)\n    ca_file: $(ca_says ca_file)|" \
        "$root/usr/share/doc/acmeward-signer/examples/signer.yaml" >"$work/signer.yaml"
    inside install -g acmeward-config -m 0640 /dev/null /etc/acmeward/signer.yaml
    cat "$work/signer.yaml" >"$root/etc/acmeward/signer.yaml"
    cp "$root/usr/share/doc/acmeward-signer/examples/policy.d/dept_myapp1.yaml" \
        "$root/etc/acmeward/policy.d/"
    says "the packages' examples are in order" "in order" \
        inside runuser -u acmeward -- acmeward-signer --check-config
    printf 'ca_file: %s\n' "$(ca_says ca_file)" >"$root/etc/acmeward/client.yaml"
}

certonly() { # NAME
    inside runuser -u myapp1 -- acmeward certonly -d "$1" --standalone \
        --config-dir /home/myapp1/certificates \
        --http-01-port "$(ca_says http_port)" --force-renewal
}

ceremony() {
    expect "the CA is pinned" inside acmeward-admin ca pin incommon --yes
    inside acmeward-admin eab import --ca incommon --kid dept-eab-1 \
        <"$root$(ca_says key_file)" >"$work/out" 2>&1 || { cat "$work/out" >&2; die "eab import"; }
    ok "the EAB key is imported"
    expect "an account's key is made" inside acmeward-admin account create dept-ov
    expect "the account is registered" inside acmeward-admin account register dept-ov \
        --kid dept-eab-1 --agree-tos --contact admin@dept.example.edu
    expect "the application gets a certificate" certonly myapp1.dept.example.edu
    ends_with 3 "it is refused another name" certonly pay.dept.example.edu
    says "the record is whole" records inside acmeward-admin audit verify
}
