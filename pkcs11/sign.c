#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/keytype.h"

/* DigestInfo for SHA-256 up to the digest (RFC 8017 9.2, note 1); CKM_RSA_PKCS wants it made. */
static const uint8_t digest_info_sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
    0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* DER of an ECDSA signature over P-384: a sequence of two integers of at most 49 octets. */
enum { ECDSA_DER_MAX = 112 };

/* One signature in the making. */
struct signing {
    token_key *key;
    uint8_t digest[EVP_MAX_MD_SIZE]; /* what is verified: no module gets at it */
    size_t digest_size;
    uint8_t data[sizeof(digest_info_sha256) + EVP_MAX_MD_SIZE]; /* what the token signs */
    size_t data_size;
    uint8_t *signature;
    size_t signature_size;
    uint64_t generation; /* of the handle that was used */
};

static size_t
expected_size(const struct token_key_form *form)
{
    return form->curve != NULL ? 2 * form->field_size : form->bits / 8;
}

static aw_result
prepare(struct signing *g, const void *input, size_t size)
{
    const token_key *key = g->key;
    size_t prefix = 0;
    unsigned digest_size = 0;

    if (token_key_form(key->public_key->type)->curve == NULL) {
        prefix = sizeof(digest_info_sha256);
        memcpy(g->data, digest_info_sha256, prefix);
    }
    if (EVP_Digest(input, size, g->digest, &digest_size,
            token_public_digest(key->t, key->public_key->type), NULL) != 1)
        return aw_fail_openssl("can't hash what is to be signed");
    memcpy(g->data + prefix, g->digest, digest_size);
    g->digest_size = digest_size;
    g->data_size = prefix + digest_size;
    return AW_OK;
}

/* In the token. */

static aw_result
sign_run(struct token_session *s, void *context)
{
    struct signing *g = context;
    const struct token_key_form *form = token_key_form(g->key->public_key->type);
    CK_MECHANISM mechanism = {.mechanism = form->sign};
    CK_ULONG size = TOKEN_SIGNATURE_MAX;
    CK_OBJECT_HANDLE object = token_handle_get(&g->key->handle, &g->generation);

    AW_TRY(TOKEN_CALL(s, C_SignInit, s->handle, &mechanism, object));
    AW_TRY(TOKEN_CALL(s, C_Sign, s->handle, g->data, g->data_size, g->signature, &size));
    if (size != expected_size(form))
        return aw_hint(
            aw_fail(AW_CODE_TOKEN, "the token gave a signature of %lu octets instead of %zu", size,
                expected_size(form)),
            "the token is faulty; run \"acmeward-admin token doctor\"");
    g->signature_size = size;
    return AW_OK;
}

/* The key of that label must still be the same key: only its handle may be new. */
static aw_result
search_same(void *context, struct token_session *s, CK_OBJECT_HANDLE *out)
{
    const token_key *key = context;
    AW_CLEANUP(token_key_free) token_key *found = NULL;
    const struct token_object_name name = {
        .class = CKO_PRIVATE_KEY, .label = key->label, .what = "private key"};

    AW_TRY(token_object_find_one(s, &name, out));
    AW_TRY(token_key_take(s, key->t, key->label, *out, &found));
    if (found->public_key->spki_size == key->public_key->spki_size &&
        memcmp(found->public_key->spki, key->public_key->spki, key->public_key->spki_size) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH,
                       "the token's key is another one now: its thumbprint is %s, it was %s",
                       found->public_key->thumbprint, key->public_key->thumbprint),
        "somebody replaced the key while the signer ran; find out who, then restart the signer");
}

static aw_result
find_again(struct token_session *s, void *context)
{
    struct signing *g = context;

    return token_handle_renew(&g->key->handle, g->generation, search_same, g->key, s);
}

/* Verification. */

static aw_result
new_verifier(const token_key *key, EVP_PKEY_CTX **out)
{
    EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_pkey(key->t->libctx, key->public_key->key, key->t->properties);

    *out = context;
    if (context == NULL || EVP_PKEY_verify_init(context) != 1 ||
        EVP_PKEY_CTX_set_signature_md(
            context, token_public_digest(key->t, key->public_key->type)) != 1)
        return aw_fail_openssl("can't prepare to verify a signature");
    if (token_key_form(key->public_key->type)->curve == NULL &&
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1)
        return aw_fail_openssl("can't prepare to verify a signature");
    return AW_OK;
}

static EVP_PKEY_CTX *
pop_verifier(token_key *key)
{
    EVP_PKEY_CTX *context = NULL;

    pthread_mutex_lock(&key->verifiers_lock);
    if (key->verifier_count > 0)
        context = key->verifiers[--key->verifier_count];
    pthread_mutex_unlock(&key->verifiers_lock);
    return context;
}

static void
push_verifier(token_key *key, EVP_PKEY_CTX *context)
{
    bool kept = false;

    pthread_mutex_lock(&key->verifiers_lock);
    if (key->verifier_count < TOKEN_SESSIONS_MAX) {
        key->verifiers[key->verifier_count++] = context;
        kept = true;
    }
    pthread_mutex_unlock(&key->verifiers_lock);
    if (!kept)
        EVP_PKEY_CTX_free(context);
}

/* ECDSA: OpenSSL verifies DER, JWS wants r || s (RFC 7518 3.4). */
static int
ecdsa_to_der(const uint8_t *raw, size_t field_size, uint8_t der[ECDSA_DER_MAX])
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, (int)field_size, NULL);
    BIGNUM *s = BN_bin2bn(raw + field_size, (int)field_size, NULL);
    unsigned char *at = der;
    int size = -1;

    if (signature == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        size = i2d_ECDSA_SIG(signature, &at);
    }
    ECDSA_SIG_free(signature);
    return size;
}

static int
verify_with(EVP_PKEY_CTX *context, const struct signing *g)
{
    const struct token_key_form *form = token_key_form(g->key->public_key->type);
    uint8_t der[ECDSA_DER_MAX];

    if (form->curve == NULL)
        return EVP_PKEY_verify(context, g->signature, g->signature_size, g->digest, g->digest_size);
    int size = ecdsa_to_der(g->signature, form->field_size, der);
    if (size <= 0)
        return -1;
    return EVP_PKEY_verify(context, der, (size_t)size, g->digest, g->digest_size);
}

static aw_result
verify(const struct signing *g)
{
    EVP_PKEY_CTX *context = pop_verifier(g->key);
    aw_result r = context != NULL ? AW_OK : new_verifier(g->key, &context);

    if (aw_ok(r) && verify_with(context, g) != 1) {
        ERR_clear_error(); /* why it does not verify is all one */
        r = aw_hint(aw_fail(AW_CODE_TOKEN,
                        "the token made a signature that the key's public half does not verify"),
            "the token or its public key object is faulty; run \"acmeward-admin token doctor\"");
    }
    if (context != NULL && aw_ok(r))
        push_verifier(g->key, context);
    else
        EVP_PKEY_CTX_free(context);
    return r;
}

aw_result
token_key_try(struct token_session *s, token_key *key)
{
    static const char text[] = "acmeward: trial of a new key";
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    struct signing g = {.key = key, .signature = signature};

    AW_TRY(prepare(&g, text, sizeof(text)));
    AW_TRY(sign_run(s, &g));
    return verify(&g);
}

aw_result
token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    uint8_t made[TOKEN_SIGNATURE_MAX];
    struct signing g = {.key = key, .signature = made};
    const struct token_work work = {.run = sign_run, .find = find_again, .context = &g};

    *signature_size = 0;
    AW_TRY(prepare(&g, input, size));
    AW_TRY(aw_context(token_run(key->t, &work), "account key \"%s\"", key->label));
    AW_TRY(aw_context(verify(&g), "account key \"%s\"", key->label));
    memcpy(signature, made, g.signature_size); /* only now: nothing unverified leaves */
    *signature_size = g.signature_size;
    return AW_OK;
}
