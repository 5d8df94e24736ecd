#!/bin/sh
# Makes the Debian packages and tries them in a clean root of the same release of Debian: install, what
# is there and whose, how exposed the units are, a certificate from a loopback CA, upgrade, remove,
# install again over what was kept, purge.
#
#   sh packaging/test-package.sh [--suite SUITE] [FOLDER]
#       SUITE: bookworm (default), trixie; made in a root of it, where this machine is another
#       FOLDER: packages that are made already (release 1 and 2)
#
# Run as root. Needs the Debian archive; some minutes.
set -eu

# shellcheck source=packaging/root.sh
. "$(dirname -- "$0")/root.sh"

alone "$0" "$@"
suite=bookworm
if [ "${1:-}" = --suite ]; then
    [ $# -gt 1 ] || die "--suite wants a name: bookworm or trixie"
    suite=$2
    shift 2
fi
work=$(mktemp -d)
chmod 0755 "$work"
root=$work/debian
trap 'leave_root "$work/debian"; leave_root "$work/build"; rm -rf --one-file-system "$work"' EXIT

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

signer_pid=
start_signer() {
    inside runuser -u acmeward -- env SOFTHSM2_CONF="$SOFTHSM2_CONF" \
        acmeward-signer --config /etc/acmeward/signer.yaml >>"$work/signer.log" 2>&1 &
    signer_pid=$!
    tries=0
    until inside acmeward-admin status >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 "$signer_pid" 2>/dev/null; then
            cat "$work/signer.log" >&2
            die "the signer did not start"
        fi
        sleep 0.1
    done
    ok "the signer runs as acmeward"
}

stop_signer() {
    inside pkill -x acmeward-signer || true
    wait "$signer_pid" || true
    signer_pid=
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

installed_files() {
    for program in /usr/bin/acmeward /usr/bin/acmeward-admin /usr/sbin/acmeward-signer \
        /usr/sbin/acmeward-relay; do
        is $program "755 root:root"
        says "$program tells its version" "${program##*/} $version" inside $program --version
    done
    # What the signer starts itself.
    is /usr/libexec/acmeward/acmeward-gate "755 root:root"
    for page in man1/acmeward.1 man8/acmeward-admin.8 man8/acmeward-signer.8 \
        man5/acmeward-signer.yaml.5 man5/acmeward-policy.5 man8/acmeward-relay.8 \
        man5/acmeward-relay.yaml.5; do
        is /usr/share/man/$page.gz "644 root:root"
    done
    for file in systemd/system/acmeward-signer.service \
        systemd/system/acmeward-signer-application.socket \
        systemd/system/acmeward-signer-admin.socket sysusers.d/acmeward.conf \
        tmpfiles.d/acmeward.conf systemd/system/acmeward-relay.service \
        systemd/system/acmeward-relay.socket sysusers.d/acmeward-relay.conf \
        tmpfiles.d/acmeward-relay.conf; do
        is /usr/lib/$file "644 root:root"
    done
    for program in acmeward acmeward-admin; do
        is /usr/share/bash-completion/completions/$program "644 root:root"
    done
    for package in acmeward acmeward-admin acmeward-signer acmeward-relay; do
        is /usr/share/doc/$package/copyright "644 root:root"
        is /usr/share/doc/$package/changelog.gz "644 root:root"
    done
    expect "files are as dpkg knows them" inside dpkg --verify acmeward acmeward-admin acmeward-signer \
        acmeward-relay
}

installed_state() {
    is /etc/acmeward "755 root:root"
    is /etc/acmeward/policy.d "755 root:root"
    is /var/lib/acmeward "750 acmeward:acmeward"
    says "the user acmeward has no shell" ':/var/lib/acmeward:/usr/sbin/nologin$' \
        inside getent passwd acmeward
    [ -z "$(find "$root/etc/systemd/system" -name 'acmeward*')" ] || die "something was enabled"
    ok "nothing is enabled"
    expect "units are in order" inside systemd-analyze verify --man=no acmeward-signer.service \
        acmeward-signer-application.socket acmeward-signer-admin.socket
    # In tenths; tests/e2e/test_units.py has the same limit.
    for unit in acmeward-signer.service acmeward-relay.service; do
        expect "systemd takes the exposure of $unit for 1.5 at most" \
            inside systemd-analyze security --offline=true --no-pager --threshold=15 $unit
    done
    ends_with 2 "without configuration the signer ends" inside acmeward-signer --check-config
    # libp11-kit comes in through libcurl's GnuTLS; libp11, which loads modules, does not.
    says "the client does not link libp11" libcrypto \
        inside sh -c '! ldd /usr/bin/acmeward | grep -F libp11.so && ldd /usr/bin/acmeward'
}

make_token_and_ca() {
    expect "token and CA for a trial" inside apt-get install -q -y --no-install-recommends \
        softhsm2 pebble python3 openssl procps
    mkdir "$root/trial"
    cp -r "$project/softhsm-fixtures" "$root/trial/softhsm-fixtures"
    cp "$project/build/dev/softhsm-fixtures/softhsm-token" "$root/trial/"
    inside install -d -o acmeward -m 0700 /trial/home
    inside runuser -u acmeward -- env SOFTHSM_TOKEN=/trial/softhsm-token \
        sh /trial/softhsm-fixtures/token.sh /trial/home/token >"$work/token.env"
    # shellcheck source=/dev/null
    . "$work/token.env"
    inside python3 -B /trial/softhsm-fixtures/pebble.py start --state /trial/ca --kid dept-eab-1 \
        >/dev/null
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
        "$root/usr/share/doc/acmeward-signer/examples/signer.yaml" >"$root/etc/acmeward/signer.yaml"
    cp "$root/usr/share/doc/acmeward-signer/examples/policy.d/dept_myapp1.yaml" \
        "$root/etc/acmeward/policy.d/"
    says "the packages' examples are in order" "in order" \
        inside runuser -u acmeward -- acmeward-signer --check-config
    printf 'ca_file: %s\ncertificates: /home/myapp1/certificates\n' "$(ca_says ca_file)" \
        >"$root/etc/acmeward/client.yaml"
}

certonly() { # NAME
    inside runuser -u myapp1 -- acmeward certonly -d "$1" --standalone \
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

# systemd 255 and later (Debian 13).
varlinkctl() { # WORD...
    inside runuser -u "$caller" -- varlinkctl "$@"
}

by_varlinkctl() {
    [ -x "$root/usr/bin/varlinkctl" ] || return 0
    caller=myapp1
    says "varlinkctl reads the applications' interface" "method NewOrder" \
        varlinkctl introspect /run/acmeward/signer.sock org.acmeward.Signer
    says "varlinkctl asks who an application is" '"user":"myapp1"' \
        varlinkctl call /run/acmeward/signer.sock org.acmeward.Signer.WhoAmI '{}'
    ends_with 1 "varlinkctl gets no administrator's call through" \
        varlinkctl call /run/acmeward/signer.sock org.acmeward.Admin.GetStatus '{}'
    caller=root
    says "varlinkctl asks for the status" '"frozen":false' \
        varlinkctl call /run/acmeward/admin.sock org.acmeward.Admin.GetStatus '{}'
}

sum() {
    inside sh -c 'cd / && sha256sum etc/acmeward/signer.yaml etc/acmeward/policy.d/* \
        etc/acmeward/client.yaml var/lib/acmeward/audit/audit.jsonl var/lib/acmeward/*/*.json'
}

upgrade() {
    sum >"$work/before"
    install_release 2
    sum >"$work/after"
    expect "an upgrade leaves configuration, record, pins and accounts as they were" \
        cmp "$work/before" "$work/after"
    is /var/lib/acmeward "750 acmeward:acmeward"
    says "the new release is installed" "$version-2" \
        inside dpkg-query --show acmeward-signer
    start_signer
    expect "after the upgrade it issues" certonly host1.myapp1.dept.example.edu
    stop_signer
}

remove_and_again() {
    sum >"$work/before"
    expect "remove" inside apt-get remove -q -y acmeward acmeward-admin acmeward-signer acmeward-relay
    gone /usr/sbin/acmeward-signer /usr/bin/acmeward /usr/bin/acmeward-admin \
        /usr/lib/systemd/system/acmeward-signer.service
    sum >"$work/after"
    expect "a removal keeps configuration and state" cmp "$work/before" "$work/after"
    install_release 2
    start_signer
    expect "installed again over its state it issues" certonly host2.myapp1.dept.example.edu
    stop_signer
}

purge() {
    sum >"$work/before"
    says "a purge says what stays" "/var/lib/acmeward is not empty and stays" \
        inside apt-get purge -q -y acmeward acmeward-admin acmeward-signer acmeward-relay
    sum >"$work/after"
    expect "a purge destroys neither record nor configuration" cmp "$work/before" "$work/after"
    inside rm -r /etc/acmeward /var/lib/acmeward
    install_release 2
    expect "a purge of what was never used" inside apt-get purge -q -y acmeward-signer acmeward-relay
    gone /etc/acmeward /var/lib/acmeward /var/lib/acmeward-relay
    says "the user stays" acmeward inside getent passwd acmeward
}

# Those who install two at once, and postinst twice.
scripts_twice() {
    expect "postinst a second time" inside sh /var/lib/dpkg/info/acmeward-signer.postinst configure \
        "$version-1"
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

if [ $# -gt 0 ]; then
    debs=$1
else
    debs=$work/debs
    echo "== packages"
    make_packages "$debs"
fi
[ -x "$project/build/dev/softhsm-fixtures/softhsm-token" ] || {
    sh "$project/packaging/install-packages.sh" build test
    cmake --preset dev -S "$project" >/dev/null
    cmake --build "$project/build/dev" --target softhsm-token >/dev/null
}
version=$(sed -n 's/^project(acmeward VERSION \([0-9.]*\).*/\1/p' "$project/CMakeLists.txt")

make_root "$suite" "$work/debian" ca-certificates
enter_root "$work/debian"
expect "apt-get update" inside apt-get update -q
mkdir "$root/packages"
cp "$debs"/*.deb "$root/packages/"

echo "== install"
install_release 1
installed_files
installed_state
scripts_twice
echo "== a certificate"
make_token_and_ca
configure
start_signer
ceremony
by_varlinkctl
stop_signer
echo "== upgrade"
upgrade
echo "== remove"
remove_and_again
echo "== purge"
purge
echo "$name: all $checks checks hold"
