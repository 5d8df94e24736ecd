/* base64url, strict and as pasted by people: what decodes, encodes to the same text again. */
#include "common/b64url.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/secret.h"
#include "fuzz.h"

enum { SECRET_SIZE = 8192 };

static bool
check_strict(const char *text, size_t size, uint8_t **out, size_t *out_size)
{
    AW_CLEANUP(aw_free) char *again = NULL;
    aw_result r = aw_b64url_decode_new(text, size, out, out_size);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return false;
    }
    FUZZ_CHECK(aw_ok(aw_b64url_encode_new(*out, *out_size, &again)));
    FUZZ_CHECK(strlen(again) == size && memcmp(again, text, size) == 0);
    FUZZ_CHECK(size == AW_B64URL_LENGTH(*out_size));
    return true;
}

/* A buffer one octet too small is refused. */
static void
check_capacity(const char *text, size_t size, size_t decoded)
{
    AW_CLEANUP(aw_free) uint8_t *buffer = malloc(decoded + 1);
    size_t got;

    FUZZ_CHECK(aw_ok(aw_b64url_decode(text, size, buffer, decoded, &got)) && got == decoded);
    if (decoded > 0)
        FUZZ_CHECK(aw_b64url_decode(text, size, buffer, decoded - 1, &got).code == AW_CODE_LIMIT);
}

static bool
is_space(char c)
{
    return c != '\0' && strchr(" \t\r\n\v\f", c) != NULL;
}

/* The digits of a pasted key, in the alphabet of base64url. */
static size_t
plain_digits(const char *text, size_t size, char *out)
{
    size_t length = 0;

    while (size > 0 && is_space(text[size - 1]))
        size--;
    while (size > 0 && is_space(*text)) {
        text++;
        size--;
    }
    for (size_t i = 0; i < size && text[i] != '='; i++)
        out[length++] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    return length;
}

static bool
check_lenient(const char *text, size_t size)
{
    static aw_secret *pasted, *key;
    AW_CLEANUP(aw_free) char *digits = malloc(size + 1);
    AW_CLEANUP(aw_free) char *again = NULL;

    if (pasted == NULL)
        FUZZ_CHECK(
            aw_ok(aw_secret_new(SECRET_SIZE, &pasted)) && aw_ok(aw_secret_new(SECRET_SIZE, &key)));
    aw_secret_wipe(pasted);
    if (!aw_ok(aw_secret_append(pasted, text, size)))
        return false;
    aw_result r = aw_base64_decode_lenient(pasted, key);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(key->size == 0);
        return false;
    }
    size_t length = plain_digits(text, size, digits);
    FUZZ_CHECK(aw_ok(aw_b64url_encode_new(key->data, key->size, &again)));
    FUZZ_CHECK(strlen(again) == length && memcmp(again, digits, length) == 0);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) uint8_t *octets = NULL;
    const char *text = (const char *)data;
    size_t decoded = 0;
    bool strict = check_strict(text, size, &octets, &decoded), lenient = check_lenient(text, size);

    if (strict) {
        FUZZ_CHECK(lenient || size > SECRET_SIZE);
        check_capacity(text, size, decoded);
    }
    if (strict || lenient)
        fuzz_accept();
    return 0;
}
