#!/bin/sh
# Builds and tests in a Debian 13 root, whatever this machine runs: warnings are errors.
#
#   sh packaging/test-debian13.sh [FOLDER]     FOLDER: keep the root there, and use it again
#
# Run as root. Needs the Debian archive. Ten to fifteen minutes on two cores; linters and benchmarks
# are Debian 12's, since their versions decide what they say.
set -eu

# shellcheck source=packaging/root.sh
. "$(dirname -- "$0")/root.sh"
alone "$0" "$@"
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    work=$(CDPATH='' cd -- "$1" && pwd)
    trap 'leave_root "$work/debian"' EXIT
else
    work=$(mktemp -d)
    chmod 0755 "$work"
    trap 'leave_root "$work/debian"; rm -rf --one-file-system "$work"' EXIT
fi

begun=$(date +%s)
took() {
    echo "   $(($(date +%s) - begun)) seconds since the start"
}

[ -x "$work/debian/usr/bin/apt-get" ] || make_root trixie "$work/debian" ca-certificates
enter_root "$work/debian"
# The build folder stays where the root stays; sources are this checkout's.
mkdir -p "$root/acmeward"
find "$root/acmeward" -mindepth 1 -maxdepth 1 ! -name build -exec rm -r {} +
copy_project "$root/acmeward"
took

echo "== packages"
inside sh -c 'cd /acmeward && sh packaging/install-packages.sh build run test' >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; die "packages could not be installed"; }
inside dpkg-query --show gcc libssl-dev libp11-dev libp11-kit-dev libcurl4-openssl-dev \
    libsqlite3-dev softhsm2 pebble | sed 's/^/   /'
took
echo "== build"
inside sh -c 'cd /acmeward && cmake --preset dev && cmake --build --preset dev' >"$work/log" 2>&1 ||
    { grep -E -A 8 'error|FAILED' "$work/log" >&2; die "the build failed"; }
took
echo "== tests"
status=0
inside sh -c "cd /acmeward && ctest --preset dev -j $(getconf _NPROCESSORS_ONLN) --output-on-failure \
    --no-tests=error -E '^(lint|bench)\.'" >"$work/log" 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
    grep -v -E '^ +Start |   Passed ' "$work/log" >&2
    took
    die "tests failed"
fi
grep -E 'tests passed|Total Test time' "$work/log"
# What a program left out: "skipped=" of unittest, "SKIPPED:" of our own.
awk '/^[0-9]+\/[0-9]+ Test: / { test = $3 }
    /^OK \(skipped=|^SKIPPED/ { print "   " test ": " $0 }' \
    "$root/acmeward/build/dev/Testing/Temporary/LastTest.log"
took
