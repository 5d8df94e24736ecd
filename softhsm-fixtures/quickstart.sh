#!/bin/sh
# From nothing to a certificate whose account key never left the token, on this machine alone:
# installs, builds, makes a SoftHSM2 token and a loopback CA (Pebble) that requires External Account
# Binding, imports the EAB key, registers an account, starts the signer, issues, shows a refusal and
# the audit trail. All state is under .quickstart/ in the project's folder.
#
#   sh softhsm-fixtures/quickstart.sh           run it (again: goes on where it was)
#   sh softhsm-fixtures/quickstart.sh --clean   stop everything and remove .quickstart/
#
# Root is needed only where packages are missing.
set -eu
umask 022

project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
here=$project/softhsm-fixtures
home=$project/.quickstart
build=$project/build/release
programs="acmeward-signer acmeward-gate acmeward acmeward-admin softhsm-token"
name=myapp1.dept.example.edu
foreign=pay.dept.example.edu
python=/usr/bin/python3

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Prints a command as a person would type it, then runs it.
show() {
    printf '$ %s\n' "$*" | sed "s|$build/[a-z]*/||; s|$home|.quickstart|g"
    "$@"
}

signer_runs() {
    [ -s "$home/signer.pid" ] || return 1
    pid=$(cat "$home/signer.pid")
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$build/signer/acmeward-signer" ]
}

stop_all() {
    if signer_runs; then
        kill "$pid"
        tries=0
        while signer_runs && [ $tries -lt 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        ! signer_runs || die "the signer (pid $pid) does not end"
    fi
    [ ! -d "$home/ca" ] || "$python" "$here/pebble.py" stop --state "$home/ca"
    rm -rf "$home"
}

install_and_build() {
    say "Packages and build"
    sh "$project/packaging/install-packages.sh" build run test
    cmake --preset release -S "$project" >"$home/cmake.log" 2>&1 ||
        { cat "$home/cmake.log" >&2; die "cmake failed"; }
    # shellcheck disable=SC2086
    cmake --build "$build" --target $programs >"$home/build.log" 2>&1 ||
        { tail -n 50 "$home/build.log" >&2; die "the build failed"; }
    echo "built in $build"
}

make_token() {
    say "A SoftHSM2 token, with random PINs in files of mode 0400"
    if [ ! -e "$home/token.env" ]; then
        SOFTHSM_TOKEN=$build/softhsm-fixtures/softhsm-token \
            sh "$here/token.sh" "$home/token" >"$home/token.env.new"
        mv "$home/token.env.new" "$home/token.env"
    fi
    # shellcheck source=/dev/null
    . "$home/token.env"
    echo "token \"$TOKEN_LABEL\", module $TOKEN_MODULE"
}

# One member of pebble.json.
ca_says() {
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
        "$home/ca/pebble.json" "$1"
}

start_ca() {
    say "A CA on loopback that asks for External Account Binding"
    if [ ! -e "$home/ca/pebble.json" ]; then
        "$python" "$here/pebble.py" start --state "$home/ca" --kid dept-eab-1 >/dev/null
    fi
    echo "directory $(ca_says directory)"
}

write_files() {
    user=$(id -un)
    mkdir -p "$home/policy.d" "$home/run" "$home/certificates"
    [ -d "$home/state" ] || mkdir -m 0750 "$home/state"
    chmod 0755 "$home/policy.d" "$home/run"
    cat >"$home/signer.yaml" <<YAML
token:
  module: $TOKEN_MODULE
  uri: "$TOKEN_URI"
  pin_source: $TOKEN_PIN_FILE
  paths: [$SOFTHSM2_CONF, $TOKEN_FOLDER]
paths:
  state: $home/state
  policies: $home/policy.d
  application_socket: $home/run/signer.sock
  admin_socket: $home/run/admin.sock
cas:
  - name: loopback
    directory: $(ca_says directory)
    ca_file: $(ca_says ca_file)
    issuers: $(ca_says issuing_root)
accounts:
  - name: dept
    ca: loopback
    ceiling: [dept.example.edu]
administrators:
  officers:
    - user: $user
$([ "$(id -u)" -ne 0 ] || echo "allow_root: true")
YAML
    cat >"$home/policy.d/dept_myapp1.yaml" <<YAML
application: dept_myapp1
owner: myapp1-team@dept.example.edu
account: dept
principals:
  - user: $user
names:
  exact: [$name]
  subdomains_of: [$name]
limits:
  names_per_certificate: 20
  orders_per_day: 50
YAML
    cat >"$home/client.yaml" <<YAML
signer: $home/run/signer.sock
signer_user: $user
ca_file: $(ca_says ca_file)
certificates: $home/certificates
YAML
}

start_signer() {
    say "The signer: holds the token, decides by policy, records, signs"
    show "$build/signer/acmeward-signer" --config "$home/signer.yaml" --check-config
    if ! signer_runs; then
        rm -f "$home/run/signer.sock" "$home/run/admin.sock"
        SOFTHSM2_CONF=$SOFTHSM2_CONF nohup "$build/signer/acmeward-signer" \
            --config "$home/signer.yaml" >>"$home/signer.log" 2>&1 </dev/null &
        echo $! >"$home/signer.pid"
        tries=0
        # The socket's file is there before anybody listens.
        until "$build/admin/acmeward-admin" --config "$home/signer.yaml" status >/dev/null 2>&1; do
            tries=$((tries + 1))
            # Any process of that number: at first it is still this shell on its way to the signer.
            if ! kill -0 "$(cat "$home/signer.pid")" 2>/dev/null || [ $tries -gt 300 ]; then
                cat "$home/signer.log" >&2 || true
                die "the signer did not start"
            fi
            sleep 0.1
        done
    fi
    echo "running, pid $(cat "$home/signer.pid"), log .quickstart/signer.log"
}

admin() {
    show "$build/admin/acmeward-admin" --config "$home/signer.yaml" "$@"
}

client() {
    command=$1
    shift
    show "$build/client/acmeward" "$command" --config "$home/client.yaml" "$@"
}

ceremony() {
    say "The key ceremony: pin the CA, import the EAB key, make and register an account"
    if [ -e "$home/registered" ]; then
        admin account list
        return
    fi
    admin ca pin loopback --yes
    admin eab import --ca loopback --kid dept-eab-1 <"$(ca_says key_file)"
    admin account create dept
    admin account register dept --kid dept-eab-1 --agree-tos --contact admin@dept.example.edu
    : >"$home/registered"
}

issue_and_refuse() {
    say "The application asks what it may, and gets a certificate"
    client whoami
    client certonly -d "$name" -d "host1.$name" --cert-name myapp1 --standalone \
        --http-01-port "$(ca_says http_port)" --force-renewal
    client certificates

    say "The same application tries a name that is not its own"
    refused=0
    client certonly -d "$foreign" --standalone --http-01-port "$(ca_says http_port)" || refused=$?
    [ $refused -eq 3 ] || die "expected exit status 3 (refused by policy), got $refused"
}

show_trail() {
    say "What is on record"
    admin audit show
    admin audit verify
    say "What the token holds"
    admin token doctor
}

closing() {
    say "Done"
    cat <<TEXT
issued    $name, host1.$name
          .quickstart/certificates/live/myapp1/{cert,chain,fullchain,privkey}.pem
refused   $foreign: not among the names of dept_myapp1
keys      the EAB HMAC key and the account key are in the token and nowhere else

Try next:
  ${build#"$project"/}/client/acmeward certonly --config .quickstart/client.yaml -d '*.$name' --check
  ${build#"$project"/}/admin/acmeward-admin --config .quickstart/signer.yaml policy explain --application dept_myapp1 --name www.$name
  ${build#"$project"/}/admin/acmeward-admin --config .quickstart/signer.yaml status

The signer and the CA go on running; sh softhsm-fixtures/quickstart.sh --clean removes everything.
TEXT
}

case ${1:-} in
'') ;;
--clean)
    stop_all
    echo "removed $home"
    exit 0
    ;;
*) die "unknown option '$1'; expected nothing or --clean" ;;
esac

# What a reboot has stopped can't go on: the CA keeps nothing. Begin anew then.
ca_runs() {
    for ca_pid in $("$python" -c 'import json, sys; print(*json.load(open(sys.argv[1]))["pids"])' \
        "$home/ca/pebble.json" 2>/dev/null); do
        kill -0 "$ca_pid" 2>/dev/null || return 1
    done
}
if [ -e "$home/signer.pid" ] && ! { signer_runs && ca_runs; }; then
    stop_all
fi
mkdir -p "$home"
chmod 0755 "$home"
install_and_build
make_token
start_ca
write_files
start_signer
ceremony
issue_and_refuse
show_trail
closing
