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
    trap 'umount -R -l "$work/debian/dev" "$work/debian/proc" 2>/dev/null || true' EXIT
else
    work=$(mktemp -d)
    chmod 0755 "$work"
    # Mounts first: no removal may run into /dev.
    trap 'umount -R -l "$work/debian/dev" "$work/debian/proc" 2>/dev/null || true
        rm -rf --one-file-system "$work"' EXIT
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
if [ -e "$project/.git" ]; then
    git -c "safe.directory=$project" -C "$project" ls-files -z --cached --others --exclude-standard |
        (cd "$project" && tar -c --null -T - --ignore-failed-read) | tar -x -C "$root/acmeward"
else
    tar -c -C "$project" --exclude=./build --exclude=./.quickstart . | tar -x -C "$root/acmeward"
fi
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
inside sh -c "cd /acmeward && ctest --preset dev -j $(getconf _NPROCESSORS_ONLN) \
    --no-tests=error -E '^(lint|bench)\.'" >"$work/log" 2>&1 || status=$?
tail -n 30 "$work/log"
took
[ "${status:-0}" -eq 0 ] || die "tests failed; the whole output: ctest in the root"
