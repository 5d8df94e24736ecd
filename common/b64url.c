/*
 * By hand, not with EVP_DecodeBlock: that skips white space, takes '-' for the end of data, wants
 * padding and lets unused bits pass; a strict check before it and a copy for it (of a key, at
 * times) would be longer than this.
 */
#include "common/b64url.h"

#include <stdlib.h>

#include "common/secret.h"

/* Which characters stand for 62 and 63. */
enum alphabet { ALPHABET_URL = 1, ALPHABET_STANDARD = 2 };

static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
aw_b64url_encode(const void *bytes, size_t size, char *out)
{
    const uint8_t *in = bytes;

    for (; size >= 3; size -= 3, in += 3) {
        uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = url_digits[group >> shift & 63];
    }
    if (size > 0) {
        uint32_t group = (uint32_t)in[0] << 16 | (size == 2 ? (uint32_t)in[1] << 8 : 0);
        *out++ = url_digits[group >> 18 & 63];
        *out++ = url_digits[group >> 12 & 63];
        if (size == 2)
            *out++ = url_digits[group >> 6 & 63];
    }
    *out = '\0';
}

aw_result
aw_b64url_encode_new(const void *bytes, size_t size, char **out)
{
    if (size > SIZE_MAX / 8)
        return aw_fail_memory();
    char *text = malloc(AW_B64URL_LENGTH(size) + 1);
    if (text == NULL)
        return aw_fail_memory();
    aw_b64url_encode(bytes, size, text);
    *out = text;
    return AW_OK;
}

/* The value of a digit, -1 for none; notes in *used which alphabet 62 and 63 were from. */
static int
digit_value(char c, unsigned *used)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '_') {
        *used |= ALPHABET_URL;
        return c == '-' ? 62 : 63;
    }
    if (c == '+' || c == '/') {
        *used |= ALPHABET_STANDARD;
        return c == '+' ? 62 : 63;
    }
    return -1;
}

/* Decodes digits without padding into `out`, which holds length * 3 / 4 octets. `allowed` is a set
 * of alphabets, of which one text uses one. Messages never quote the text: it may be a key. */
static aw_result
decode_digits(const char *text, size_t length, unsigned allowed, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned held = 0, used = 0;

    for (size_t i = 0; i < length; i++) {
        int value = digit_value(text[i], &used);
        if (value < 0 || (used & ~allowed) != 0)
            return aw_fail(AW_CODE_SYNTAX, "character %zu is not a base64url digit", i + 1);
        if (used == (ALPHABET_URL | ALPHABET_STANDARD))
            return aw_fail(AW_CODE_SYNTAX, "character %zu mixes base64 with base64url", i + 1);
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (uint8_t)(bits >> held);
        }
    }
    if (length % 4 == 1)
        return aw_fail(
            AW_CODE_SYNTAX, "%zu base64url digits are not a whole number of octets", length);
    if ((bits & ((1u << held) - 1)) != 0)
        return aw_fail(
            AW_CODE_SYNTAX, "the last base64url digit has unused bits that are not zero");
    return AW_OK;
}

aw_result
aw_b64url_decode(const char *text, size_t length, uint8_t *out, size_t capacity, size_t *size)
{
    size_t need = length / 4 * 3 + length % 4 * 3 / 4;

    if (need > capacity)
        return aw_fail(
            AW_CODE_LIMIT, "base64url text of %zu octets, at most %zu expected", need, capacity);
    AW_TRY(decode_digits(text, length, ALPHABET_URL, out));
    *size = need;
    return AW_OK;
}

aw_result
aw_b64url_decode_new(const char *text, size_t length, uint8_t **out, size_t *size)
{
    size_t capacity = length / 4 * 3 + 3;
    uint8_t *bytes = malloc(capacity);

    if (bytes == NULL)
        return aw_fail_memory();
    aw_result r = aw_b64url_decode(text, length, bytes, capacity, size);
    if (!aw_ok(r)) {
        free(bytes);
        return r;
    }
    *out = bytes;
    return AW_OK;
}

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts "=" or "==" off, where it fills the last group of four. */
static aw_result
cut_padding(const char *text, size_t *length)
{
    size_t digits = *length;

    while (digits > 0 && text[digits - 1] == '=')
        digits--;
    size_t padding = *length - digits;
    if (padding > 0 && (padding > 2 || *length % 4 != 0))
        return aw_fail(AW_CODE_SYNTAX, "%zu \"=\" after %zu base64 digits, expected none or %zu",
            padding, digits, (4 - digits % 4) % 4);
    *length = digits;
    return AW_OK;
}

aw_result
aw_base64_decode_lenient(const struct aw_secret *text, struct aw_secret *out)
{
    const char *begin = (const char *)text->data;
    size_t length = text->size;

    while (length > 0 && is_space(begin[length - 1]))
        length--;
    for (; length > 0 && is_space(*begin); length--)
        begin++;
    aw_secret_wipe(out);
    AW_TRY(aw_hint(cut_padding(begin, &length), "paste the key exactly as the CA shows it"));
    if (length > out->capacity)
        return aw_fail(
            AW_CODE_LIMIT, "a key of %zu digits, at most %zu expected", length, out->capacity);
    aw_result r = decode_digits(begin, length, ALPHABET_URL | ALPHABET_STANDARD, out->data);
    if (!aw_ok(r)) {
        aw_secret_wipe(out);
        return aw_hint(r, "paste the key exactly as the CA shows it");
    }
    out->size = length / 4 * 3 + length % 4 * 3 / 4;
    return AW_OK;
}
