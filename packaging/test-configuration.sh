#!/bin/sh
# Tests the Ansible role and the Puppet module against a running signer and CA on loopback, in a
# temporary folder: sh packaging/test-configuration.sh [BUILD_FOLDER]     (default: build/dev)
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
sh "$project/packaging/install-packages.sh" run test configuration
build=${1:-$project/build/dev}
[ -x "$build/client/acmeward" ] || {
    echo "test-configuration: nothing is built in $build: cmake --preset dev && cmake --build --preset dev" >&2
    exit 1
}
ACMEWARD_BUILD=$(cd "$build" && pwd) exec python3 -B "$project/tests/e2e/test_configuration.py"
