#!/bin/sh
# fixture.token: a token is made and usable, its PINs are private, and an imported key signs, is
# protected and is the one of the file.
#   sh test_token.sh PATH-OF-SOFTHSM-TOKEN
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
SOFTHSM_TOKEN=$1
export SOFTHSM_TOKEN
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

expect_failure() { # NAME WORDS COMMAND...
    name=$1 words=$2
    shift 2
    if "$@" >"$folder/out" 2>&1; then
        fail "$name: succeeded"
    fi
    grep -q -e "$words" "$folder/out" || fail "$name: expected '$words', got: $(cat "$folder/out")"
}

# A folder with a blank and a quote: the assignments must survive both.
state="$folder/it's here"
assignments=$(sh "$here/token.sh" "$state" test-token)
eval "$assignments"
export SOFTHSM2_CONF

for file in "$TOKEN_PIN_FILE" "$TOKEN_SO_PIN_FILE"; do
    [ "$(stat -c %a "$file")" = 400 ] || fail "$file has mode $(stat -c %a "$file")"
    [ "$(wc -c <"$file")" -eq 40 ] || fail "$file has $(wc -c <"$file") octets"
done
cmp -s "$TOKEN_PIN_FILE" "$TOKEN_SO_PIN_FILE" && fail "both PINs are the same"
[ "$(stat -c %a "$state")" = 700 ] || fail "the folder has mode $(stat -c %a "$state")"

expect_failure "a second token in one folder" "holds a token already" \
    sh "$here/token.sh" "$state" other
expect_failure "a second token of one label" "there is a token of the label test-token" \
    "$SOFTHSM_TOKEN" init --token test-token --pin-file "$TOKEN_PIN_FILE" \
    --so-pin-file "$TOKEN_SO_PIN_FILE" --module "$TOKEN_MODULE"

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/key.pem" 2>/dev/null
openssl genpkey -algorithm ED25519 -out "$folder/ed25519.pem" 2>/dev/null
import() { # PEM PIN-FILE ID
    "$SOFTHSM_TOKEN" import-key --module "$TOKEN_MODULE" --token test-token --pin-file "$2" \
        --key "$1" --label account-test --id "$3"
}
cp "$TOKEN_PIN_FILE" "$folder/loose"
chmod 0644 "$folder/loose"
expect_failure "a PIN file that others read" 644 import "$folder/key.pem" "$folder/loose" 0a0b
expect_failure "an id that is not hex" "expected 1 to" \
    import "$folder/key.pem" "$TOKEN_PIN_FILE" xyz
expect_failure "a key of another type" "not an EC key" \
    import "$folder/ed25519.pem" "$TOKEN_PIN_FILE" 0a0b
expect_failure "no such token" "a token of the label nobody" \
    "$SOFTHSM_TOKEN" import-key --module "$TOKEN_MODULE" --token nobody \
    --pin-file "$TOKEN_PIN_FILE" --key "$folder/key.pem" --label x --id 01
import "$folder/key.pem" "$TOKEN_PIN_FILE" 0a0b

# pkcs11-tool reads the PIN from the environment of this one command; the token is a throw-away.
tool() {
    TEST_PIN=$(cat "$TOKEN_PIN_FILE") pkcs11-tool --module "$TOKEN_MODULE" --token-label test-token \
        --login --pin env:TEST_PIN "$@"
}
tool --list-objects --type privkey >"$folder/objects" 2>/dev/null
for words in 'label: *account-test' 'ID: *0a0b' 'Usage: *sign$' 'Access: *sensitive$'; do
    grep -q "$words" "$folder/objects" || fail "no '$words' in: $(cat "$folder/objects")"
done

# The value is in the key's file (so the search can find it) and nowhere in the token's files.
hex_of() {
    od -An -v -tx1 "$1" | tr -d ' \n'
}
value=$(openssl pkey -in "$folder/key.pem" -noout -text | sed -n '/^priv:/,/^pub:/{/^ /p}' |
    tr -d ' :\n' | sed 's/^00//')
openssl pkey -in "$folder/key.pem" -outform DER -out "$folder/key.der"
hex_of "$folder/key.der" | grep -q "$value" || fail "the search can't find the private value"
find "$state" -type f >"$folder/files"
while read -r file; do
    if hex_of "$file" | grep -q "$value"; then fail "$file holds the private value in clear"; fi
done <"$folder/files"

printf 'input' >"$folder/input"
openssl dgst -sha256 -binary -out "$folder/digest" "$folder/input"
tool --sign --id 0a0b --mechanism ECDSA --signature-format openssl --input-file "$folder/digest" \
    --output-file "$folder/signature" >/dev/null 2>&1
openssl pkey -in "$folder/key.pem" -pubout -out "$folder/public.pem"
openssl dgst -sha256 -verify "$folder/public.pem" -signature "$folder/signature" \
    "$folder/input" >/dev/null || fail "the token's signature does not verify with the file's key"
