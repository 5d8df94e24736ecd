/*
 * Public keys of the token, as digests: of public keys, of certificates, and of private keys that
 * tell their public half (RSA). Account keys are among them, whatever became of their accounts.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "pkcs11/internal.h"
#include "pkcs11/login.h"
#include "pkcs11/public.h"

/* Limits. */
enum {
    OBJECTS_MAX = 65536,         /* objects of one class */
    CERTIFICATE_MAX = 64 * 1024, /* octets of a certificate in the token */
};

static void
octets_free(unsigned char **octets)
{
    OPENSSL_free(*octets);
}

/* What cannot be read as a certificate holds no key that could be compared. */
static aw_result
digest_value(
    const token *t, const uint8_t *der, size_t size, uint8_t out[AW_DIGEST_SIZE], bool *known)
{
    const unsigned char *at = der;
    AW_CLEANUP(aw_x509_free) X509 *x509 = d2i_X509(NULL, &at, (long)size);
    AW_CLEANUP(octets_free) unsigned char *spki = NULL;

    int length = x509 == NULL ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &spki);
    ERR_clear_error();
    *known = length > 0;
    if (*known && EVP_Digest(spki, (size_t)length, out, NULL, t->sha256, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    return AW_OK;
}

static aw_result
digest_certificate(struct token_session *s, CK_OBJECT_HANDLE object, uint8_t *out, bool *known)
{
    AW_CLEANUP(aw_free) char *room = malloc(CERTIFICATE_MAX);
    CK_RV answer;

    if (room == NULL)
        return aw_fail_memory();
    CK_ATTRIBUTE value = {CKA_VALUE, room, CERTIFICATE_MAX};
    AW_TRY(token_attribute_ask(s, object, &value, &answer));
    *known = false;
    if (answer != CKR_OK)
        return AW_OK;
    return digest_value(s->owner, (const uint8_t *)room, value.ulValueLen, out, known);
}

/* What the keys of a class tell; `expected`: of each key that could be a certificate's. */
static const struct source {
    CK_OBJECT_CLASS class;
    aw_result (*digest)(
        struct token_session *s, CK_OBJECT_HANDLE object, uint8_t *out, bool *known);
    bool expected;
} sources[] = {
    {CKO_PUBLIC_KEY, token_public_digest_read, true}, {CKO_CERTIFICATE, digest_certificate, true},
    {CKO_PRIVATE_KEY, token_public_digest_read, false}, /* EC: the public object has the point */
};

static aw_result
read_source(struct token_session *s, const struct source *source, struct token_held *held)
{
    const CK_ATTRIBUTE template[] = {
        token_attribute(CKA_CLASS, &source->class, sizeof(source->class)),
        token_attribute_bool(CKA_TOKEN, true)};
    AW_CLEANUP(aw_free) CK_OBJECT_HANDLE *handles = calloc(OBJECTS_MAX, sizeof(*handles));
    size_t found = OBJECTS_MAX;

    if (handles == NULL)
        return aw_fail_memory();
    AW_TRY(token_objects_find(s, template, AW_COUNT(template), handles, &found));
    if (found == OBJECTS_MAX)
        return aw_hint(
            aw_fail(AW_CODE_LIMIT, "the token holds %d objects of one class, or more", OBJECTS_MAX),
            "keep account keys on a token of their own");
    void *grown = realloc(held->digests, (held->count + found + 1) * sizeof(*held->digests));
    if (grown == NULL)
        return aw_fail_memory();
    held->digests = grown;
    for (size_t i = 0; i < found; i++) {
        bool known = false;
        AW_TRY(source->digest(s, handles[i], held->digests[held->count], &known));
        held->count += known;
        held->unread += !known && source->expected;
    }
    return AW_OK;
}

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, AW_DIGEST_SIZE);
}

static aw_result
read_run(struct token_session *s, void *context)
{
    struct token_held *held = context;

    token_held_free(held); /* of an attempt that was cut off */
    for (size_t i = 0; i < AW_COUNT(sources); i++)
        AW_TRY(read_source(s, &sources[i], held));
    qsort(held->digests, held->count, sizeof(*held->digests), compare);
    return AW_OK;
}

aw_result
token_held_read(token *t, struct token_held *out)
{
    AW_CLEANUP(token_held_free) struct token_held held = {0};
    const struct token_work work = {.run = read_run, .context = &held};

    AW_TRY(token_login(t)); /* private objects hide from the logged-out */
    AW_TRY(aw_context(token_run(t, &work), "the public keys of the token"));
    *out = held;
    held = (struct token_held){0};
    return AW_OK;
}

bool
token_held_has(const struct token_held *held, const uint8_t digest[AW_DIGEST_SIZE])
{
    return held->count > 0 &&
           bsearch(digest, held->digests, held->count, sizeof(*held->digests), compare) != NULL;
}

void
token_held_free(struct token_held *held)
{
    free(held->digests);
    *held = (struct token_held){0};
}
