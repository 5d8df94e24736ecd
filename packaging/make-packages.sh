#!/bin/sh
# Builds the Debian packages acmeward, acmeward-admin, acmeward-signer and acmeward-relay.
#
#   sh packaging/make-packages.sh FOLDER [RELEASE]     RELEASE: the Debian revision; default 1
#
# They are for the Debian release that this runs on: dependencies come from the libraries found here.
set -eu

die() {
    printf 'make-packages: %s\n' "$*" >&2
    exit 1
}

case $# in
1 | 2) ;;
*) die "usage: sh packaging/make-packages.sh FOLDER [RELEASE]" ;;
esac
release=${2:-1}
case $release in
'' | *[!0-9A-Za-z.+~]*) die "the release \"$release\" is no Debian revision" ;;
esac
project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p "$1"
folder=$(CDPATH='' cd -- "$1" && pwd)

cd "$project"
sh packaging/install-packages.sh build package
# Packages of the same sources are the same to the octet: their files' times are the changelog's.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l packaging/deb/changelog -S Timestamp)
export SOURCE_DATE_EPOCH
cmake --preset package -D "ACMEWARD_RELEASE=$release"
cmake --build --preset package
# CPack leaves its staging area where it writes: not among the packages.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cpack --config build/package/CPackConfig.cmake -B "$work"
mv "$work"/*.deb "$folder"
