#!/bin/sh
# Builds the fuzz targets (preset fuzz) and runs them one after the other.
#
#   sh tests/fuzz/run.sh [SECONDS [NAME ...]]     60 seconds each, all targets
#
# One line a target: executions, executions a second, inputs found. What libFuzzer finds worth
# keeping goes to build/fuzz/found/NAME, an input that fails to build/fuzz/found/NAME-FAILED-*, and
# then the run ends with status 1 after all targets had their turn. BUILD names another build folder
# that is configured and built already.
set -eu

seconds=${1:-60}
[ $# -eq 0 ] || shift
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
if [ -z "${BUILD:-}" ]; then
    BUILD=$root/build/fuzz
    cmake --preset fuzz >/dev/null
    cmake --build --preset fuzz --target fuzzers
fi
# Names of targets have no blanks: splitting is wanted.
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(ls tests/fuzz/corpus)

status=0
for name in "$@"; do
    mkdir -p "$BUILD/found/$name"
    log=$BUILD/found/$name.log
    verdict=good
    "$BUILD/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="$BUILD/found/$name-FAILED-" \
        "$BUILD/found/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1 || {
        verdict="FAILED, see $log"
        status=1
    }
    sed -n -e 's/^stat::number_of_executed_units: */executions /p' \
        -e 's/^stat::average_exec_per_sec: */a second /p' \
        -e 's/^stat::new_units_added: */found /p' "$log" | tr '\n' ' ' |
        sed "s|^|$name: |; s|\$|$verdict|"
    echo
done
exit $status
