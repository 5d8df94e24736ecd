#!/bin/sh
# Boots a Debian root with systemd as its first process and has it run what the packages bring: sockets,
# signer, relay, renewals and exports, with the PIN in an encrypted credential and a journal that is real.
#
#   sh packaging/test-systemd.sh [--suite SUITE] [FOLDER]
#       SUITE: bookworm (default), trixie; packages are made in a root of it, where this machine is another
#       FOLDER: packages that are made already (release 1 and 2)
#
# Run as root, on Debian 12. Needs the Debian archive and a cgroup2 hierarchy; some minutes. The root
# has no network but loopback.
set -eu

# shellcheck source=packaging/root.sh
. "$(dirname -- "$0")/root.sh"
# shellcheck source=packaging/trial.sh
. "$(dirname -- "$0")/trial.sh"

command -v systemd-nspawn >/dev/null || apt-get install -q -y --no-install-recommends systemd-container >/dev/null
alone "$0" "$@"
# That of these processes: systemd-nspawn looks itself up.
mount -t proc proc /proc
take_suite "$@"
shift "$suite_words"
work=$(mktemp -d)
chmod 0755 "$work"
root=$work/debian
cgroup=
leader=
trap 'tidy_up' EXIT

tidy_up() {
    status=$?
    trap - EXIT
    if [ -n "$leader" ]; then
        if [ $status -ne 0 ]; then
            inside journalctl --no-pager -q -n 20 -u 'acmeward*' | cut -c 1-200 >&2 || true
        fi
        kill -KILL "$nspawn" "$leader" 2>/dev/null || true
        wait "$nspawn" 2>/dev/null || true
    fi
    leave_root "$root"
    leave_root "$work/build"
    # Empty as soon as the last process is reaped.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$cgroup" ] || break
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
    done
    rm -rf --one-file-system "$work"
    exit $status
}

# As in root.sh, until it is booted; then beside systemd, in all its namespaces.
inside() {
    if [ -z "$leader" ]; then
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
            DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
    else
        nsenter --all --target "$leader" -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
            HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# A group of its own below ours, so that systemd can make others in it.
make_cgroup() {
    mounted=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$mounted" ] || die "no cgroup2 hierarchy is mounted; systemd wants one"
    cgroup=$mounted$(sed -n 's/^0:://p' /proc/self/cgroup | sed 's,^/$,,')/acmeward-$(basename "$work")
    mkdir "$cgroup"
}

# nspawn's own filter would refuse what systemd and the signer confine services with.
boot() {
    make_cgroup
    (
        echo 0 >"$cgroup/cgroup.procs"
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet --boot --directory="$root" \
            --keep-unit --register=no --private-network --resolv-conf=off --timezone=off \
            --link-journal=no --console=passive --machine=acmeward-test \
            --system-call-filter='@keyring @memlock bpf seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self'
    ) >"$work/console" 2>&1 </dev/null &
    nspawn=$!
    until leader=$(pgrep -P "$nspawn" -x systemd); do
        kill -0 "$nspawn" 2>/dev/null || { cat "$work/console" >&2; die "systemd-nspawn ended"; }
        sleep 0.1
    done
    soon "systemd is up, nothing failed" inside systemctl is-system-running
}

# Waits for a command to succeed; asks the longer, the longer it takes.
soon() { # WHAT COMMAND...
    what=$1 tries=0
    shift
    until "$@" >"$work/out" 2>&1; do
        tries=$((tries + 1))
        [ $tries -le 300 ] || { cat "$work/out" >&2; die "not in 30 seconds: $what ($*)"; }
        sleep 0.1
    done
    ok "$what"
}

property() { # UNIT PROPERTY
    inside systemctl show --property="$2" --value "$1"
}

has() { # WHAT UNIT PROPERTY VALUE
    found=$(property "$2" "$3")
    [ "$found" = "$4" ] || die "$1: $3 of $2 is \"$found\", not \"$4\""
    ok "$1"
}

# All but the packages themselves: once booted, there is no network.
install_dependencies() {
    # Names without blanks: splitting is wanted.
    # shellcheck disable=SC2046
    expect "what the packages depend on is installed" inside apt-get install -q -y --no-install-recommends \
        $(inside apt-get install -s --no-install-recommends $(packages 1) | awk '/^Inst / && !/acmeward/ { print $2 }')
}

signer=acmeward-signer.service
units="acmeward-signer-application.socket acmeward-signer-admin.socket $signer"

# Each process of the unit; a number a line.
processes() { # UNIT
    inside cat "/sys/fs/cgroup$(property "$1" ControlGroup)/cgroup.procs"
}

# --- installed while systemd runs

install_booted() {
    install_release 1
    for unit in $units acmeward-relay.service acmeward-renew.timer acmeward-checkpoint-export.path; do
        has "nothing is started" "$unit" ActiveState inactive
        has "nothing is enabled" "$unit" UnitFileState disabled
        has "systemd has the unit" "$unit" LoadState loaded
    done
    inside systemctl start $signer
    has "without configuration nothing starts, and nothing fails" $signer ActiveState inactive
}

# The PIN leaves the disk but for what systemd encrypts to the host's key, and signer.yaml names that.
seal_pin() {
    inside mkdir -p -m 0700 /etc/credstore.encrypted
    inside systemd-creds encrypt --with-key=host --name=pin - /etc/credstore.encrypted/acmeward.pin <"$1"
}

configure_units() {
    seal_pin "$root$TOKEN_PIN_FILE"
    mv "$root$TOKEN_PIN_FILE" "$work/pin"
    sed -i 's|^  pin_source:.*|  pin_source: /run/credentials/acmeward-signer.service/pin|' \
        "$root/etc/acmeward/signer.yaml"
    inside install -d -o acmeward -m 0755 /var/lib/prometheus/node-exporter
    inside install -d -o acmeward -g acmeward -m 2770 /var/spool/acmeward
    drop_ins=/etc/systemd/system/$signer.d
    inside mkdir -p $drop_ins
    sed -e "s|=/etc/acmeward/softhsm2.conf|=$SOFTHSM2_CONF|" -e "s|=/var/lib/acmeward-token|=$TOKEN_FOLDER|" \
        "$root/usr/share/doc/acmeward-signer/examples/acmeward-signer.service.d/softhsm.conf" \
        >"$root$drop_ins/softhsm.conf"
    printf '[Service]\nReadWritePaths=/var/lib/prometheus/node-exporter /var/spool/acmeward\nNoExecPaths=/var/lib/prometheus/node-exporter /var/spool/acmeward\n' \
        >"$root$drop_ins/folders.conf"
    cat >>"$root/etc/acmeward/signer.yaml" <<'YAML'
metrics: {file: /var/lib/prometheus/node-exporter/acmeward.prom, every_seconds: 1}
relays:
  - user: acmeward-relay
    url: https://localhost:14443
YAML
    inside systemctl daemon-reload
}

start_units() {
    # shellcheck disable=SC2086
    expect "sockets and signer are enabled and started" inside systemctl enable --now $units
    # Type=notify: start returns when it is ready, so at once:
    says "the signer answers when systemd says that it runs" "frozen" inside acmeward-admin --json status
    has "it is active" $signer ActiveState active
    has "at its first start" $signer NRestarts 0
    for socket in signer.sock admin.sock; do
        is /run/acmeward/$socket "666 root:root"
    done
}

# --- what the unit says is so

confined() { # UNIT
    count=0
    for pid in $(processes "$1"); do
        count=$((count + 1))
        for line in 'NoNewPrivs:.1' 'Seccomp:.2' 'CapEff:.0*' 'CapPrm:.0*' 'CapBnd:.0*' 'CapAmb:.0*'; do
            inside grep -q -x "$line" "/proc/$pid/status" || die "process $pid of $1: no $line"
        done
        for space in mnt ipc; do
            [ "$(inside readlink "/proc/$pid/ns/$space")" != "$(inside readlink /proc/1/ns/$space)" ] ||
                die "process $pid of $1 is in the machine's $space namespace"
        done
    done
    [ $count -gt 0 ] || die "$1 has no process"
    ok "the $count processes of $1: no privileges, no capabilities, filtered, mounts of their own"
}

# A path as the unit's main process sees it. Through it even root, without the process's own filters, is
# let do only what the unit's mounts let.
seen_by() { # UNIT PATH
    echo "/proc/$(property "$1" MainPID)/root$2"
}

# 126 is "Permission denied" to execute. Mapping is what the loader would do with a library.
not_executed() { # UNIT FOLDER
    inside install -m 0755 /usr/bin/true "$2/program"
    # shellcheck disable=SC2016
    ends_with 126 "$1: nothing in $2 is executed" inside sh -c '"$1"' sh "$(seen_by "$1" "$2/program")"
    ends_with 1 "$1: nor mapped as a library" inside python3 -c 'import mmap, sys
with open(sys.argv[1], "rb") as file:
    mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)' \
        "$(seen_by "$1" "$2/program")"
    inside rm "$2/program"
}

not_written() { # UNIT PATH...
    unit=$1
    shift
    for path in "$@"; do
        ends_with 1 "$unit can't write $path" inside touch "$(seen_by "$unit" "$path")"
    done
}

sandbox_in_force() {
    for unit in $signer acmeward-relay.service; do
        confined "$unit"
        not_written "$unit" /usr/lib/x /usr/bin/acmeward-admin /etc/acmeward/x /var/lib/x
        ends_with 1 "$unit sees no home" inside test -e "$(seen_by "$unit" /home/myapp1)"
        ends_with 1 "$unit has no devices but the harmless" inside test -e "$(seen_by "$unit" /dev/kmsg)"
        not_executed "$unit" /run/lock
        not_executed "$unit" /dev/shm
    done
    not_executed $signer /var/lib/acmeward
    not_executed $signer /var/spool/acmeward
    not_executed acmeward-relay.service /var/lib/acmeward-relay
    # shellcheck disable=SC2016
    ends_with 126 "the signer can run no program of the system" inside sh -c '"$1"' sh "$(seen_by $signer /usr/bin/true)"
    ends_with 0 "but the unit's reload can" inside "$(seen_by $signer /usr/bin/acmeward-admin)" --version
    expect "the signer's state is writable" inside touch "$(seen_by $signer /var/lib/acmeward/.x)"
    inside rm /var/lib/acmeward/.x
    # shellcheck disable=SC2016
    says "the signer's only interface is loopback" '^3$' inside sh -c 'wc -l <"/proc/$1/net/dev"' sh \
        "$(property $signer MainPID)"
    [ "$(inside stat -c '%a %U' /run/credentials/$signer)" = "500 acmeward" ] ||
        [ "$(inside stat -c '%a' /run/credentials/$signer)" = 550 ] ||
        die "the credential's folder is open: $(inside stat -c '%a %U' /run/credentials/$signer)"
    ends_with 1 "an application can't read the credential" inside runuser -u myapp1 -- \
        cat /run/credentials/$signer/pin
    for unit in $signer acmeward-relay.service; do
        expect "systemd takes the exposure of $unit for 1.5 at most" inside systemd-analyze security \
            --no-pager --threshold=15 "$unit"
    done
    [ -z "$(inside journalctl -q -u 'acmeward*' --grep 'Unknown|not supported|[Ii]gnoring')" ] ||
        die "systemd does not understand a line of the units"
    ok "systemd understands every line of the units"
}

# --- signing

issues() { # NAME
    soon "a certificate for $1" certonly "$1"
}

freeze_and_restart() {
    issues a.myapp1.dept.example.edu
    expect "signing is frozen" inside acmeward-admin freeze --reason trial
    ends_with 5 "nothing is signed" certonly b.myapp1.dept.example.edu
    expect "restart" inside systemctl restart $signer
    ends_with 5 "frozen outlives a restart" certonly b.myapp1.dept.example.edu
    expect "signing goes on" inside acmeward-admin unfreeze
    issues b.myapp1.dept.example.edu
}

# `systemctl reload` is over when the new policies are in force, and fails when they are refused. The
# signer's user, as whom it asks, is no administrator.
reloads() {
    main=$(property $signer MainPID)
    policy=$root/etc/acmeward/policy.d/dept_myapp1.yaml
    cp "$policy" "$work/policy.yaml"
    sed -i 's/^names:/names_of:/' "$policy"
    ends_with 1 "a reload of faulty policies fails" inside systemctl reload $signer
    has "the signer runs on" $signer ActiveState active
    says "the journal has the fault and its place" 'dept_myapp1.yaml:[0-9]*:[0-9]*: .*names_of' \
        inside journalctl -q -u $signer -o cat
    expect "with the policies that it has" certonly a.myapp1.dept.example.edu
    for turn in 1 2 3; do
        sed "s/^owner:.*/owner: turn$turn@dept.example.edu/" "$work/policy.yaml" >"$policy"
        inside systemctl reload $signer || die "reload $turn failed"
        inside runuser -u myapp1 -- acmeward whoami --json | grep -q "turn$turn@" ||
            die "after reload $turn the new policy is not in force"
    done
    ok "each reload has taken the new policies when it returns"
    echo 'no_such: 1' >>"$root/etc/acmeward/signer.yaml"
    ends_with 1 "a reload of a faulty signer.yaml fails" inside systemctl reload $signer
    sed -i '$d' "$root/etc/acmeward/signer.yaml"
    cp "$work/policy.yaml" "$policy"
    expect "reload" inside systemctl reload $signer
    has "a reload keeps the process" $signer MainPID "$main"
    ends_with 1 "the signer's user has no other call" inside runuser -u acmeward -- acmeward-admin status
}

crash() {
    restarts=$(property $signer NRestarts)
    inside kill -KILL "$(property $signer MainPID)"
    # Its sockets are systemd's: who connects meanwhile waits.
    issues c.myapp1.dept.example.edu
    has "a killed signer is restarted once" $signer NRestarts $((restarts + 1))
    confined $signer
    for child in acmeward-gate acmeward-keeper acmeward-users; do
        inside pkill -KILL -o -x $child || die "no $child runs"
        issues d.myapp1.dept.example.edu
    done
    says "the record is whole after that" records inside acmeward-admin audit verify
}

# The relay asks the signer now and then, which would have its socket start it.
stop_and_activate() {
    expect "the relay is stopped" inside systemctl stop acmeward-relay.service
    expect "stop" inside systemctl stop $signer
    has "it ended well" $signer Result success
    has "with status 0" $signer ExecMainStatus 0
    [ -z "$(inside pgrep -u acmeward || true)" ] || die "processes of it are left"
    [ ! -e "$root/run/credentials/$signer" ] || die "the credential is left"
    ok "no process is left"
    issues e.myapp1.dept.example.edu
    has "who connects has the socket unit start it" $signer ActiveState active
    expect "the relay is started" inside systemctl start acmeward-relay.service
}

# --- the journal

# Each record of the log is an entry of the journal with the fields that docs/operations.md names.
journal_has_records() {
    inside python3 -B - <<'PYTHON'
import json, subprocess
with open("/var/lib/acmeward/audit/audit.jsonl", encoding="utf-8") as file:
    records = {str(r["seq"]): r for r in map(json.loads, file)}
since = max(int(seq) for seq, record in records.items() if record["kind"] == "start")
out = subprocess.run(["journalctl", "-q", "-o", "json", "-t", "acmeward-audit"], check=True,
                     capture_output=True, text=True).stdout
entries = [json.loads(line) for line in out.splitlines()]
entries = [e for e in entries if "ACMEWARD_SEQ" in e]
told = {e["ACMEWARD_SEQ"] for e in entries}
assert {seq for seq in records if int(seq) >= since} <= told, "records are missing"
assert len(told) == len(entries), "a record is there twice"
for entry in entries:
    record = records[entry["ACMEWARD_SEQ"]]
    assert entry["ACMEWARD_KIND"] == record["kind"], entry
    assert entry["_UID"] == str(__import__("pwd").getpwnam("acmeward").pw_uid), entry
    assert entry["_SYSTEMD_UNIT"] == "acmeward-signer.service", entry
refused = [e for e in entries if e.get("ACMEWARD_VERDICT") == "refuse"]
assert refused and all("ACMEWARD_RULE" in e for e in refused), "no refusal with its rule"
PYTHON
}

forwarding() {
    cat >>"$root/etc/acmeward/signer.yaml" <<'YAML'
audit:
  forward: journal
  key: audit-1
  origin: acmeward.dept.example.edu/audit
  export: /var/spool/acmeward
YAML
    exports
    expect "restart with forwarding and checkpoints" inside systemctl restart $signer
    inside acmeward-admin audit key create >"$work/audit.key"
    issues f.myapp1.dept.example.edu
    ends_with 3 "a refusal for the journal" certonly pay.dept.example.edu
    soon "journald has each record since, once, with its fields" journal_has_records
    says "journalctl finds refusals by field" pay.dept.example.edu \
        inside journalctl -q -t acmeward-audit ACMEWARD_VERDICT=refuse
    soon "checkpoints left the spool by the path unit" inside sh -c \
        'ls /srv/checkpoints/checkpoint-* && ! ls /var/spool/acmeward/checkpoint-* 2>/dev/null'
    # shellcheck disable=SC2016
    # Eight in two seconds: more than the five starts in ten seconds that systemd would allow.
    inside sh -c 'for n in 1 2 3 4 5 6 7 8; do echo x >/var/spool/acmeward/checkpoint-000000000000000000$n; sleep 0.25; done'
    soon "many at once leave it, too" inside sh -c '! ls /var/spool/acmeward/checkpoint-* 2>/dev/null'
    has "and the path is still watched" acmeward-checkpoint-export.path ActiveState active
    # shellcheck disable=SC2016
    soon "the export's unit ended well" inside sh -c \
        'test "$(systemctl show -P Result acmeward-checkpoint-export)" = success && ! systemctl is-active acmeward-checkpoint-export'
}

exports() {
    inside install -d -m 1777 /srv/checkpoints
    awk '/^hand_over\(\)/ { print; print "    cp -- \"$1\" /srv/checkpoints/"; print "}"; skip = 1 }
        !skip { print } /^}/ { skip = 0 }' \
        "$root/usr/share/doc/acmeward-signer/examples/checkpoint-export.sh" >"$root/etc/acmeward/checkpoint-export"
    chmod 0755 "$root/etc/acmeward/checkpoint-export"
    inside mkdir -p /etc/systemd/system/acmeward-checkpoint-export.service.d
    printf '[Service]\nReadWritePaths=/srv/checkpoints\n' \
        >"$root/etc/systemd/system/acmeward-checkpoint-export.service.d/to.conf"
    inside systemctl daemon-reload
    expect "the export is enabled" inside systemctl enable --now acmeward-checkpoint-export.path
}

metrics() {
    soon "figures are written" inside grep -q '^acmeward_requests_total' \
        /var/lib/prometheus/node-exporter/acmeward.prom
    inside sh -c 'promtool check metrics </var/lib/prometheus/node-exporter/acmeward.prom' >"$work/out" 2>&1 || true
    # Days are what people ask for; the seconds are beside them.
    ! grep -v '^acmeward_certificate_expiry_days use base unit' "$work/out" >&2 || die "promtool is not content"
    ok "promtool has nothing against them"
    expect "the figures are those of docs/operations.md, alerts name no others" figures_as_documented
}

# Here, where checkpoints, export and forwarding are configured, all of them are there.
figures_as_documented() {
    python3 -B - "$project/docs/operations.md" "$root/var/lib/prometheus/node-exporter/acmeward.prom" <<'PYTHON'
import re, sys
with open(sys.argv[1], encoding="utf-8") as file:
    text = re.search(r"^## Monitoring\n(.*?)^## ", file.read(), re.DOTALL | re.MULTILINE).group(1)
with open(sys.argv[2], encoding="utf-8") as file:
    there = set(re.findall(r"^# TYPE acmeward_(\w+)", file.read(), re.MULTILINE))
named = set(re.findall(r"`(\w+)(?:\{[a-z,]*\})?`", text))
rows = set(re.findall(r"`(\w+)", " ".join(re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE))))
alerts = {re.sub("_bucket$", "", name) for name in re.findall(r"acmeward_(\w+)", text)}
sys.exit("\n".join(f"{name}: {where}" for where, names in (
    ("not documented", there - named), ("documented, not there", rows - there),
    ("in an alert, not there", alerts - there)) for name in sorted(names)) or None)
PYTHON
}

# --- renewals

renewals() {
    printf 'application: host\nowner: admins@dept.example.edu\naccount: dept-ov\nprincipals: [{user: root}]\nnames: {exact: [host.dept.example.edu]}\n' \
        >"$root/etc/acmeward/policy.d/host.yaml"
    expect "a policy for root" inside acmeward-admin reload
    printf '[Unit]\nDescription=a server\n[Service]\nType=oneshot\nExecStart=/usr/bin/true\nRemainAfterExit=yes\nExecReload=/usr/bin/touch /run/reloaded\n' \
        >"$root/etc/systemd/system/server.service"
    inside systemctl daemon-reload
    inside systemctl start server.service
    expect "root's certificate" inside acmeward certonly -d host.dept.example.edu --standalone \
        --http-01-port "$(ca_says http_port)" --deploy-hook 'systemctl reload server.service'
    inside rm -f /run/reloaded
    expect "the renewals' timer is enabled" inside systemctl enable --now acmeward-renew.timer
    says "it says when it is next" acmeward-renew.service inside systemctl list-timers --no-pager acmeward-renew.timer
    expect "a run with nothing due" inside systemctl start acmeward-renew.service
    has "ends well" acmeward-renew.service Result success
    inside mkdir -p /etc/systemd/system/acmeward-renew.service.d
    printf '[Service]\nExecStart=\nExecStart=/usr/bin/acmeward renew --no-random-sleep-on-renew --force-renewal\n' \
        >"$root/etc/systemd/system/acmeward-renew.service.d/now.conf"
    inside systemctl daemon-reload
    expect "a run that renews, within its sandbox" inside systemctl start acmeward-renew.service
    [ -e "$root/etc/acmeward/archive/host.dept.example.edu/cert2.pem" ] || die "nothing was renewed"
    inside test -e /run/reloaded || die "its hook did not have systemd reload the server"
    ok "its hook had systemd reload a server"
}

# --- the relay

make_relay() {
    expect "the relay key" inside acmeward-admin relay-key create
    printf 'relay: {}\n' >>"$root/etc/acmeward/policy.d/dept_myapp1.yaml"
    expect "an application through the relay" inside acmeward-admin reload
    inside sh -c 'cd /etc/acmeward/relay && umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout privkey.pem -out fullchain.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null &&
        chgrp acmeward-relay privkey.pem && chmod 0640 privkey.pem && chmod 0644 fullchain.pem'
    inside install -m 0640 -g acmeward-relay /dev/null /etc/acmeward/relay.yaml
    sed -e 's|^url:.*|url: https://localhost:14443|' \
        "$root/usr/share/doc/acmeward-relay/examples/relay.yaml" >"$root/etc/acmeward/relay.yaml"
    printf 'ca_file: %s\ndns: {propagation_seconds: 1, auth_hook: /usr/local/sbin/dns-hook, cleanup_hook: /usr/local/sbin/dns-hook}\n' \
        "$(ca_says ca_file)" >>"$root/etc/acmeward/relay.yaml"
    printf '#!/bin/sh\necho called >>/var/lib/acmeward-relay/hook\n' >"$root/usr/local/sbin/dns-hook"
    chmod 0755 "$root/usr/local/sbin/dns-hook"
    expect "the relay is enabled and started" inside systemctl enable --now acmeward-relay.service
}

through_relay() { # NAME
    expect "lego gets a certificate through the relay" run_lego "$1"
    [ -s "$root/trial/lego-$1/certificates/$1.myapp1.dept.example.edu.crt" ] || die "lego has no certificate"
    inside test -s /var/lib/acmeward-relay/hook || die "the relay did not call its hook"
}

# lego takes the pair as arguments only; it is good for one account, which is lego's then.
run_lego() { # NAME
    inside acmeward-admin --json app-eab create dept_myapp1 --once >"$work/eab"
    inside env LEGO_CA_CERTIFICATES=/etc/acmeward/relay/fullchain.pem lego --path "/trial/lego-$1" \
        --server https://localhost:14443/directory --eab --accept-tos --email a@dept.example.edu \
        --kid "$(eab_says kid)" --hmac "$(eab_says key)" --domains "$1.myapp1.dept.example.edu" \
        --http --http.port ":5999" run
}

eab_says() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/eab" "$1"
}

# --- a wrong PIN

wrong_pin() {
    # shellcheck disable=SC2086
    expect "stop" inside systemctl stop $units
    printf 'not the PIN' >"$work/wrong"
    seal_pin "$work/wrong"
    since=$(inside date '+%Y-%m-%d %H:%M:%S')
    sleep 1
    ends_with 1 "with a wrong PIN it does not start" inside systemctl start $signer
    soon "systemd tries again" restarted_to 3
    is /var/lib/acmeward/pin.latch "600 acmeward:acmeward"
    inside systemctl stop $signer
    inside journalctl -q -u $signer -o cat --since "$since" >"$work/log"
    tried=$(grep -c "the token refused the PIN" "$work/log" || true)
    [ "$tried" -eq 1 ] || { cat "$work/log" >&2; die "the token said $tried times that the PIN is wrong"; }
    [ "$(grep -c 'no login: an earlier one failed' "$work/log")" -ge 2 ] || { cat "$work/log" >&2; die "no start speaks of the latch"; }
    ok "the PIN was tried once, whatever systemd restarted"
    seal_pin "$work/pin"
    inside rm /var/lib/acmeward/pin.latch
    # shellcheck disable=SC2086
    expect "with the right PIN it starts" inside systemctl start $units
    issues g.myapp1.dept.example.edu
}

restarted_to() { # NUMBER
    [ "$(property $signer NRestarts)" -ge "$1" ]
}

# --- upgrade, removal

upgrade() {
    old_signer=$(property $signer MainPID) old_relay=$(property acmeward-relay.service MainPID)
    install_release 2
    for unit in $signer acmeward-relay.service; do
        has "$unit runs after the upgrade" "$unit" ActiveState active
        for pid in $(processes "$unit"); do
            case $(inside readlink "/proc/$pid/exe") in
            *deleted*) die "process $pid of $unit is of the old release" ;;
            esac
        done
    done
    [ "$(property $signer MainPID)" != "$old_signer" ] || die "the signer was not restarted"
    [ "$(property acmeward-relay.service MainPID)" != "$old_relay" ] || die "the relay was not restarted"
    ok "each process is of the new release"
    issues h.myapp1.dept.example.edu
    through_relay i
}

purge_running() {
    expect "a purge of what runs" inside apt-get purge -q -y acmeward acmeward-admin acmeward-signer acmeward-relay
    for user in acmeward acmeward-relay; do
        [ -z "$(inside pgrep -u $user || true)" ] || die "processes of $user run on"
    done
    inside systemctl list-units --no-legend --plain --all 'acmeward*' >"$work/out"
    ! grep -v not-found "$work/out" >&2 || die "units are left"
    [ -z "$(inside find /etc/systemd/system -name 'acmeward*' -type l)" ] || die "something is still enabled"
    for path in /run/acmeward /run/credentials/$signer; do
        inside test ! -e "$path" || die "$path is left"
    done
    inside test -s /var/lib/acmeward/audit/audit.jsonl || die "the purge destroyed the record"
    ok "no process, no unit, no socket is left; the record is"
    inside systemctl list-units --no-legend --plain --failed >"$work/out"
    [ ! -s "$work/out" ] || { cat "$work/out" >&2; die "units failed"; }
    ok "nothing failed in all that"
}

take_packages "$@"
make_token_program
make_root "$suite" "$root" ca-certificates,systemd-sysv,dbus
enter_root "$root"
expect "apt-get update" inside apt-get update -q
mkdir "$root/packages"
cp "$debs"/*.deb "$root/packages/"
trial_packages
expect "lego and promtool" inside apt-get install -q -y --no-install-recommends lego prometheus
install_dependencies
rm "$root/usr/sbin/policy-rc.d"
leave_root "$root"

echo "== boot"
boot
echo "== install"
install_booted
# Challenges of applications are met; the relay's by a hook that does nothing.
ca_options=--always-valid
make_token_and_ca
configure
configure_units
echo "== start"
start_units
echo "== a certificate"
ceremony
freeze_and_restart
reloads
forwarding
echo "== relay and renewals"
make_relay
through_relay r
renewals
sandbox_in_force
metrics
echo "== crash and stop"
crash
stop_and_activate
wrong_pin
echo "== upgrade and purge"
upgrade
purge_running
echo "$name: all $checks checks hold"
