#!/bin/sh
# What the tests run of our code: lines and branches, a row a folder, and what is missing where
# nothing may be (the list is in coverage.py). Ends with status 1 if anything is.
#
#   sh tests/coverage.sh                    unit tests and the replay of the fuzz corpora
#   sh tests/coverage.sh --e2e              the end-to-end tests as well
#   sh tests/coverage.sh --again [FILE ...] the table of the last run once more, and what is missing
#                                           of these files
#
# Build folder: build/coverage. How it counts is said in docs/testing.md.
set -eu

usage() {
    echo "usage: sh tests/coverage.sh [--e2e | --again [FILE ...]]" >&2
    exit 2
}

tests='^(unit|fuzz)\.'
run=yes
case "${1:-}" in
'') ;;
--e2e)
    [ $# -eq 1 ] || usage
    tests='^(unit|fuzz|e2e)\.'
    ;;
--again) run=no ;;
*) usage ;;
esac
[ $# -eq 0 ] || shift

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
build=build/coverage
counts=$build/coverage.json

if [ "$run" = yes ]; then
    sh packaging/install-packages.sh build run test coverage
    jobs=$(getconf _NPROCESSORS_ONLN)
    cmake --preset coverage >/dev/null
    cmake --build --preset coverage -j "$jobs" >/dev/null
    # What an earlier run counted, or an earlier state of the sources.
    find "$build" -name '*.gcda' -delete
    rm -f "$counts"
    ctest --preset coverage -j "$jobs" --no-tests=error -R "$tests" >"$build/ctest.log" || {
        cat "$build/ctest.log"
        echo "coverage.sh: counts of failed tests say nothing" >&2
        exit 1
    }
    gcovr --root . --object-directory "$build" --no-markers --json "$counts" \
        --filter '(common|csr|jose|policy|pkcs11|audit|client|signer|admin)/' "$build"
fi
exec /usr/bin/python3 -B tests/coverage.py "$counts" "$@"
