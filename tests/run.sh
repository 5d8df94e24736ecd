#!/bin/sh
# Installs what is missing, builds and tests everything.
#
#   sh tests/run.sh            with sanitizers, then without what they can't show
#   sh tests/run.sh --quick    everything, but without sanitizers
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
# Whole programs wait most of their time, for each other and for the disk.
tests=$((3 * jobs))
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

build() { # PRESET ARGUMENTS-OF-CMAKE...
    preset=$1
    shift
    echo "== $preset: build"
    quietly cmake --preset "$preset"
    quietly cmake --build --preset "$preset" -j "$jobs" "$@"
}

check() { # PRESET ARGUMENTS-OF-CTEST...
    preset=$1
    shift
    echo "== $preset: test"
    ctest --preset "$preset" -j "$tests" --output-on-failure --no-tests=error "$@"
}

sh packaging/install-packages.sh build run test lint

if [ "$quick" = yes ]; then
    build dev
    check dev
    exit
fi

# A stage builds what it runs.
programs='client/all relay/all signer/all admin/all softhsm-fixtures/all tests/faults/all tests/e2e/all'

# Units and whole programs; a test that a sanitizer's memory layout defeats, or that has nothing to
# show it, has the label no-sanitizer.
# shellcheck disable=SC2086
build asan-ubsan --target $programs tests/unit/all tests/fuzz/all
check asan-ubsan -E '^(lint|bench)\.|^fixture\.pebble$' -LE '^no-sanitizer$'

# The unit tests that start threads; but those that put a malloc of their own under the process,
# which this sanitizer does not survive.
threaded=$(python3 -B tests/threaded.py build/asan-ubsan | grep -v '_memory$')
# shellcheck disable=SC2086
build tsan --target $threaded softhsm-fixtures/all tests/faults/all
check tsan -R "$(echo "$threaded" | sed 's/^test_/^unit[.]/; s/$/$/' | paste -s -d '|')" -LE '^no-sanitizer$'

# Everything but what ran with sanitizers and would show the same without.
# shellcheck disable=SC2086
build dev --target $programs uninstrumented tests/bench/all
check dev -LE '^(unit|fuzz|once)$'
