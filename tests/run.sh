#!/bin/sh
# Installs what is missing, builds and tests everything.
#
#   sh tests/run.sh            sanitizers first, then the development build with all tests
#   sh tests/run.sh --quick    the development build only
#
# Each stage ends with ctest's closing lines and the first stage that fails ends the run, so the
# last lines are always the summary that the exit status stands for. Build folders: build/PRESET.
set -eu

case "$*" in
'') quick=no ;;
--quick) quick=yes ;;
*)
    echo "usage: sh tests/run.sh [--quick]" >&2
    exit 2
    ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
jobs=$(getconf _NPROCESSORS_ONLN)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command; its output is shown only if it fails.
quietly() {
    "$@" >"$log" 2>&1 || {
        status=$?
        cat "$log"
        echo "run.sh: failed: $*"
        exit "$status"
    }
}

build() { # PRESET
    echo "== $1: build"
    quietly cmake --preset "$1"
    quietly cmake --build --preset "$1" -j "$jobs"
}

check() { # PRESET ARGUMENTS-OF-CTEST...
    preset=$1
    shift
    echo "== $preset: test"
    ctest --preset "$preset" -j "$jobs" --output-on-failure --no-tests=error "$@"
}

sh packaging/install-packages.sh build run test lint

# Compile faults show soonest here, whatever is tested first.
build dev
if [ "$quick" = no ]; then
    build asan-ubsan
    # Units and whole programs; a test that a sanitizer's memory layout defeats has the label
    # no-sanitizer.
    check asan-ubsan -E '^(lint|bench)\.|^fixture\.pebble$' -LE '^no-sanitizer$'
    build tsan
    # Every unit test, since nothing keeps the list of the threaded ones true; but those that put a
    # malloc of their own under the process, which this sanitizer does not survive.
    check tsan -R '^unit\.' -E '_memory$' -LE '^no-sanitizer$'
fi
check dev
