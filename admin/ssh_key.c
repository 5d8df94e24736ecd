#include "admin/ssh_key.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"

enum {
    FILE_MAX = 16 * 1024, /* octets of the file: RSA of 16384 bits has 2.8 KiB */
    COMMENT_MAX = 200,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 16384,
    POINT_UNCOMPRESSED = 0x04, /* SEC 1 2.3.3 */
};

/* What the fields behind the type hold (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4). */
static const struct kind {
    const char *type;
    const char *curve; /* NULL: not ECDSA */
    size_t size;       /* octets of point or key; 0: RSA */
    bool hardware;     /* FIDO's: an application behind (OpenSSH, PROTOCOL.u2f) */
} kinds[] = {
    {"ssh-ed25519", NULL, 32, false},
    {"ecdsa-sha2-nistp256", "nistp256", 65, false},
    {"ecdsa-sha2-nistp384", "nistp384", 97, false},
    {"ecdsa-sha2-nistp521", "nistp521", 133, false},
    {"ssh-rsa", NULL, 0, false},
    {"sk-ssh-ed25519@openssh.com", NULL, 32, true},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 65, true},
};

void
ssh_key_free(struct ssh_key *key)
{
    free(key->type);
    free(key->base64);
    free(key->comment);
    memset(key, 0, sizeof(*key));
}

static const struct kind *
find_kind(const char *type)
{
    for (size_t i = 0; i < AW_COUNT(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

/* The blob. */

struct cursor {
    const uint8_t *at;
    size_t left;
};

/* RFC 4251 5: a string or mpint, with its length before it. */
static bool
take(struct cursor *c, struct cursor *out)
{
    if (c->left < 4)
        return false;
    size_t size =
        (size_t)c->at[0] << 24 | (size_t)c->at[1] << 16 | (size_t)c->at[2] << 8 | c->at[3];
    if (size > c->left - 4)
        return false;
    *out = (struct cursor){c->at + 4, size};
    c->at += 4 + size;
    c->left -= 4 + size;
    return true;
}

static bool
take_text(struct cursor *c, const char *text)
{
    struct cursor found;

    return take(c, &found) && found.left == strlen(text) && memcmp(found.at, text, found.left) == 0;
}

/* RFC 4251 5: a positive mpint has no needless zero in front. Returns its bits; 0: none such. */
static size_t
take_number(struct cursor *c)
{
    struct cursor number;

    if (!take(c, &number) || number.left == 0 || (number.at[0] & 0x80) != 0)
        return 0;
    if (number.at[0] == 0) {
        number.at++;
        number.left--;
        if (number.left == 0 || (number.at[0] & 0x80) == 0)
            return 0;
    }
    size_t bits = number.left * 8;
    for (uint8_t top = number.at[0]; (top & 0x80) == 0; top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static bool
rsa_ok(struct cursor *c)
{
    size_t exponent = take_number(c);
    size_t modulus = take_number(c);

    return exponent >= 2 && exponent <= 64 && modulus >= RSA_BITS_MIN && modulus <= RSA_BITS_MAX;
}

static bool
fields_ok(struct cursor *c, const struct kind *kind)
{
    struct cursor key;

    if (!take_text(c, kind->type))
        return false;
    if (kind->size == 0)
        return rsa_ok(c);
    if (kind->curve != NULL && !take_text(c, kind->curve))
        return false;
    if (!take(c, &key) || key.left != kind->size ||
        (kind->curve != NULL && key.at[0] != POINT_UNCOMPRESSED))
        return false;
    return !kind->hardware || (take(c, &key) && key.left > 0);
}

/* RFC 4648 4 with padding, as base64url without, whose decoder is strict. */
static bool
as_base64url(char *text)
{
    size_t length = strlen(text);

    if (length % 4 != 0 || strpbrk(text, "-_") != NULL)
        return false;
    for (int i = 0; i < 2 && length > 0 && text[length - 1] == '='; i++)
        text[--length] = '\0';
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return true;
}

static aw_result
check_blob(const char *base64, const struct kind *kind)
{
    AW_CLEANUP(aw_free) char *text = strdup(base64);
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    size_t size = 0;

    if (text == NULL)
        return aw_fail_memory();
    if (!as_base64url(text) || !aw_ok(aw_b64url_decode_new(text, strlen(text), &bytes, &size)))
        return aw_fail(AW_CODE_SYNTAX, "the key is not base64: part of the line may be missing");
    struct cursor c = {bytes, size};
    if (!fields_ok(&c, kind) || c.left != 0)
        return aw_fail(AW_CODE_SYNTAX,
            kind->size == 0 ? "the key is no %s key of %d to %d bits" : "the key is no %s key",
            kind->type, RSA_BITS_MIN, RSA_BITS_MAX);
    return AW_OK;
}

/* The line. */

static aw_result
check_line(const char *text, size_t size)
{
    size_t line = strcspn(text, "\n");

    if (strstr(text, "PRIVATE KEY") != NULL)
        return aw_hint(aw_fail(AW_CODE_SYNTAX, "found a private key, expected a public one"),
            "the public key is in the file of the same name with .pub; the private one stays where "
            "it is");
    if (line < size && text[line + 1] != '\0')
        return aw_fail(AW_CODE_SYNTAX, "found more than one line, expected one public key");
    for (size_t i = 0; i < line; i++)
        if (text[i] < ' ' || text[i] > '~')
            return aw_hint(
                aw_fail(AW_CODE_SYNTAX, "found the octet 0x%02x, expected printable ASCII",
                    (unsigned)(unsigned char)text[i]),
                "what is behind the key is a comment: it may be left out");
    return strlen(text) == size ? AW_OK
                                : aw_fail(AW_CODE_SYNTAX, "found a NUL, expected one public key");
}

static aw_result
cut_word(const char **text, char **out)
{
    size_t length = strcspn(*text, " ");

    *out = strndup(*text, length);
    if (*out == NULL)
        return aw_fail_memory();
    *text += length;
    *text += strspn(*text, " ");
    return AW_OK;
}

static aw_result
parse(const char *text, struct ssh_key *out)
{
    AW_TRY(cut_word(&text, &out->type));
    const struct kind *kind = find_kind(out->type);
    if (kind == NULL)
        return aw_hint(aw_fail(AW_CODE_SYNTAX,
                           "found \"%.40s\" at its beginning, expected a type of key", out->type),
            "ssh-ed25519, ecdsa-sha2-nistp256, -nistp384, -nistp521, ssh-rsa, and with sk- those "
            "of "
            "hardware are taken; options are not, those that are needed are written here");
    AW_TRY(cut_word(&text, &out->base64));
    AW_TRY(check_blob(out->base64, kind));
    if (strlen(text) > COMMENT_MAX)
        return aw_fail(AW_CODE_SYNTAX, "found a comment of %zu characters, expected at most %d",
            strlen(text), COMMENT_MAX);
    out->comment = strdup(text);
    return out->comment != NULL ? AW_OK : aw_fail_memory();
}

aw_result
ssh_key_read(const char *path, struct ssh_key *out)
{
    AW_CLEANUP(ssh_key_free) struct ssh_key key = {0};
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_file_read(path, FILE_MAX, &text, &size));
    AW_TRY(aw_context(check_line(text, size), "%s", path));
    text[strcspn(text, "\n")] = '\0';
    AW_TRY(aw_context(parse(text, &key), "%s", path));
    *out = key;
    memset(&key, 0, sizeof(key));
    return AW_OK;
}
