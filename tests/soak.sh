#!/bin/sh
# Long runs of the whole, not part of tests/run.sh.
#
#   sh tests/soak.sh kill ROUNDS [--seed N] [--preset dev]
#       kill -9 of core, keeper or a gate under load, ROUNDS times; 0.2 s each on two busy processors
#   sh tests/soak.sh load [--minutes 30] [--preset asan-ubsan]
#       issuing, refusing, garbage, reloads, freezing, checkpoints at once; descriptors and threads of
#       each process must not grow, nor their memory with --preset dev; also with --preset tsan
#
# Builds the preset first. What is counted and the bounds: soak.py.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
preset=dev
take=no
for word in "$@"; do
    [ "$take" = no ] || preset=$word
    [ "$word" = --preset ] && take=yes || take=no
done
cd "$root"
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -j "$(getconf _NPROCESSORS_ONLN)" \
    --target acmeward-signer acmeward-gate acmeward acmeward-admin softhsm-token >/dev/null
ACMEWARD_BUILD=$root/build/$preset exec python3 -B tests/soak.py "$@"
