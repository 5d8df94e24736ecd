#!/bin/sh
# Copies the state of a running signer to a new folder, in an order that fits together, and verifies
# the copy. Keys are not in it: the token has a backup of its own.
#
#   sh backup.sh STATE NEW-FOLDER [OPTION-OF-AUDIT-VERIFY...]
#   sh backup.sh /var/lib/acmeward /backup/acmeward-2026-11-28 --public-key audit.key
#
# Run as root or as the signer's user. The ledger is left out: it is made anew from the log.
set -eu
umask 077

die() {
    printf 'backup: %s\n' "$*" >&2
    exit 1
}

[ $# -ge 2 ] || die "usage: sh backup.sh STATE NEW-FOLDER [OPTION-OF-AUDIT-VERIFY...]"
state=$1 target=$2
shift 2
[ -d "$state/audit" ] || die "$state has no audit log"
[ ! -e "$target" ] || die "$target is there already"
admin=${ACMEWARD_ADMIN:-acmeward-admin}

# What says something about the log before the log itself, which only grows: a copy may then have
# records more than its checkpoints cover, but never fewer.
copy() {
    mkdir -p "$target/audit"
    find "$state" -mindepth 1 -maxdepth 1 ! -name audit ! -name 'ledger.db*' ! -name pin.latch \
        -exec cp -a {} "$target/" \;
    find "$state/audit" -mindepth 1 -maxdepth 1 ! -name 'audit*.jsonl' ! -name '*.torn-*' \
        -exec cp -a {} "$target/audit/" \;
    find "$state/audit" -mindepth 1 -maxdepth 1 -name 'audit*.jsonl' ! -name audit.jsonl \
        -exec cp -a {} "$target/audit/" \;
    cp -a "$state/audit/audit.jsonl" "$target/audit/"
    chmod --reference="$state/audit" "$target/audit"
    [ "$(id -u)" -ne 0 ] || chown --reference="$state/audit" "$target/audit"
    # The last record may have been half written.
    if [ -s "$target/audit/audit.jsonl" ] && [ -n "$(tail -c 1 "$target/audit/audit.jsonl")" ]; then
        sed -i '$d' "$target/audit/audit.jsonl"
    fi
}

# A segment may be closed in the middle of it: once more then.
for attempt in 1 2 3; do
    if copy && "$admin" audit verify --folder "$target/audit" "$@"; then
        exit 0
    fi
    [ "$attempt" -eq 3 ] || rm -r "$target"
done
die "the copy in $target does not verify, and stays there to be looked at; remove it before the next try"
