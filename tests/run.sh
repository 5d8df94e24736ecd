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
# Whole programs wait half of their time, for each other.
tests=$((2 * jobs))
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

# Compile faults show soonest here, whatever is tested first.
build dev
if [ "$quick" = yes ]; then
    check dev
    exit
fi

# Units and whole programs; a test that a sanitizer's memory layout defeats has the label
# no-sanitizer.
build asan-ubsan
check asan-ubsan -E '^(lint|bench)\.|^fixture\.pebble$' -LE '^no-sanitizer$'

# The unit tests that start threads; but those that put a malloc of their own under the process,
# which this sanitizer does not survive.
build tsan --target tests/unit/all softhsm-fixtures/all tests/faults/all
threaded=$(python3 -B tests/threaded.py build/tsan)
check tsan -R "$threaded" -E '_memory$' -LE '^no-sanitizer$'

# Everything but what ran with sanitizers and would show the same without.
check dev -LE '^(unit|fuzz)$'
