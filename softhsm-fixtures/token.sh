#!/bin/sh
# Makes a private SoftHSM2 token in a folder of its own, for one test or one quick start.
#
#   sh token.sh FOLDER [LABEL]          LABEL: at most 32 octets, default "acmeward"
#
# FOLDER is made with mode 0700 and must not hold a token yet. Standard output is one assignment a
# line, for `eval "$(sh token.sh ...)"` in a shell or shlex.split in Python:
#   SOFTHSM2_CONF     the configuration file: export it to everything that shall see this token
#   TOKEN_FOLDER      where the token's files are: with SOFTHSM2_CONF what token: paths must name
#   TOKEN_MODULE      the PKCS#11 module
#   TOKEN_LABEL, TOKEN_URI, TOKEN_PIN_FILE, TOKEN_SO_PIN_FILE
# PINs are random, in files of mode 0400, and never in an argument or the environment: that is why
# softhsm-token (built from softhsm-token.c) does this and softhsm2-util does not.
# SOFTHSM_TOKEN names that program; without it the build folders of the presets are searched.
#
# One token folder per test: SoftHSM rewrites its files at every login, and two processes that
# start at once on one folder can each see no token at all.
set -eu

die() {
    printf 'token.sh: %s\n' "$*" >&2
    exit 1
}

case $# in
1 | 2) ;;
*) die "usage: sh token.sh FOLDER [LABEL]" ;;
esac
label=${2:-acmeward}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

case $label in
*[!A-Za-z0-9_-]* | '') die "label '$label': expected letters, digits, '-' and '_'" ;;
esac

find_tool() {
    for candidate in "${SOFTHSM_TOKEN:-}" "$here"/../build/*/softhsm-fixtures/softhsm-token; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
    die "softhsm-token is not built; build it or set SOFTHSM_TOKEN to its path"
}

find_module() {
    for candidate in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        if [ -e "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
    die "no libsofthsm2.so; install softhsm2"
}

# 160 random bits, in characters that every token accepts.
write_pin() {
    (umask 0377 && od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$1")
}

quoted() {
    printf "%s='%s'\n" "$1" "$(printf %s "$2" | sed "s/'/'\\\\''/g")"
}

tool=$(find_tool)
module=$(find_module)

umask 077
mkdir -p "$1"
chmod 0700 "$1"
folder=$(CDPATH='' cd -- "$1" && pwd)
[ ! -e "$folder/softhsm2.conf" ] || die "$folder holds a token already"
mkdir "$folder/tokens"
cat >"$folder/softhsm2.conf" <<CONF
directories.tokendir = $folder/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
CONF
write_pin "$folder/pin"
write_pin "$folder/so-pin"

SOFTHSM2_CONF=$folder/softhsm2.conf
export SOFTHSM2_CONF
"$tool" init --module "$module" --token "$label" --pin-file "$folder/pin" \
    --so-pin-file "$folder/so-pin"

quoted SOFTHSM2_CONF "$SOFTHSM2_CONF"
quoted TOKEN_FOLDER "$folder/tokens"
quoted TOKEN_MODULE "$module"
quoted TOKEN_LABEL "$label"
quoted TOKEN_URI "pkcs11:token=$label"
quoted TOKEN_PIN_FILE "$folder/pin"
quoted TOKEN_SO_PIN_FILE "$folder/so-pin"
