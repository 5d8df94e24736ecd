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
# shellcheck source=packaging/trial.sh
. "$(dirname -- "$0")/trial.sh"

alone "$0" "$@"
take_suite "$@"
shift "$suite_words"
work=$(mktemp -d)
chmod 0755 "$work"
root=$work/debian
trap 'leave_root "$work/debian"; leave_root "$work/build"; rm -rf --one-file-system "$work"' EXIT

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
    is /etc/acmeward/policy.d "2750 root:acmeward-config"
    is /etc/acmeward/relay "750 root:acmeward-relay"
    is /var/lib/acmeward-relay "700 acmeward-relay:acmeward-relay"
    is /run/acmeward "755 acmeward:acmeward"
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

# All files and folders of acmeward's that USER can read, one a line.
readable_by() { # USER
    inside runuser -u "$1" -- find /etc/acmeward /var/lib/acmeward /var/lib/acmeward-relay /run/acmeward \
        \( -type f -o -type d \) -readable 2>/dev/null | sort
}

reads_only() { # WHAT USER PATH...
    what=$1 user=$2
    shift 2
    readable_by "$user" >"$work/found"
    printf '%s\n' "$@" | sort | diff - "$work/found" >&2 || die "$what: $user reads what is shown"
    ok "$what"
}

# With a token, policies, keys, records and pins in place.
who_reads_what() {
    inside useradd --create-home visitor
    inside useradd --create-home --groups acmeward-config auditor
    inside install -o acmeward -m 0400 /dev/null /etc/acmeward/pin
    for user in myapp1 visitor acmeward-relay; do
        set -- /etc/acmeward /etc/acmeward/client.yaml /run/acmeward
        if [ $user = acmeward-relay ]; then
            set -- "$@" /etc/acmeward/relay /var/lib/acmeward-relay
        fi
        reads_only "$user reads of the configuration what clients need" $user "$@"
    done
    reads_only "acmeward-config reads policies and signer.yaml besides, neither PIN nor record" auditor \
        /etc/acmeward /etc/acmeward/client.yaml /etc/acmeward/policy.d \
        /etc/acmeward/policy.d/dept_myapp1.yaml /etc/acmeward/signer.yaml /run/acmeward
    says "acmeward-config tests policies" "in order" inside runuser -u auditor -- acmeward-admin policy check
    ends_with 2 "others do not" inside runuser -u visitor -- acmeward-admin policy check
    grep -q acmeward-config "$work/out" || { cat "$work/out" >&2; die "the group is not named"; }
    inside rm /etc/acmeward/pin
    # What an administrator copied there as it was is put right by an upgrade or the next boot.
    inside chmod 0644 /etc/acmeward/signer.yaml
    inside chgrp root /etc/acmeward/signer.yaml
    expect "tmpfiles" inside systemd-tmpfiles --create acmeward.conf
    is /etc/acmeward/signer.yaml "640 root:acmeward-config"
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

take_packages "$@"
make_token_program

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
trial_packages
make_token_and_ca
configure
start_signer
ceremony
who_reads_what
by_varlinkctl
stop_signer
echo "== upgrade"
upgrade
echo "== remove"
remove_and_again
echo "== purge"
purge
echo "$name: all $checks checks hold"
