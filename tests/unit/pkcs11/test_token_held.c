/* The public keys that a token holds, whoever put them there and in whatever form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "softhsm.h"

#include "common/hex.h"

struct scene {
    struct softhsm h;
    token *t;
    CK_SESSION_HANDLE session;
};

static int
setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    softhsm_make(&s->h);
    s->t = softhsm_open(&s->h);
    s->session = softhsm_session();
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scene *s = *state;

    token_close(&s->t);
    softhsm_remove(&s->h);
    free(s);
    return 0;
}

static void
digest_of(const void *der, size_t size, uint8_t out[AW_DIGEST_SIZE])
{
    assert_int_equal(EVP_Digest(der, size, out, NULL, EVP_sha256(), NULL), 1);
}

/* A key pair's SubjectPublicKeyInfo. */
static size_t
spki_of(EVP_PKEY *key, unsigned char **out)
{
    int size = i2d_PUBKEY(key, out);

    assert_true(size > 0);
    return (size_t)size;
}

static EVP_PKEY *
make(const char *type, const char *curve, size_t bits)
{
    EVP_PKEY *key = curve != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, type, curve)
                                  : EVP_PKEY_Q_keygen(NULL, NULL, type, bits);

    assert_non_null(key);
    return key;
}

static void
put_certificate(CK_SESSION_HANDLE session, EVP_PKEY *key)
{
    X509 *x509 = X509_new();
    unsigned char *der = NULL;

    assert_int_equal(X509_set_pubkey(x509, key), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), 0);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    int size = i2d_X509(x509, &der);
    assert_true(size > 0);
    softhsm_put_certificate(session, der, (size_t)size);
    OPENSSL_free(der);
    X509_free(x509);
}

/* Where a key is. */
enum place { PUBLIC, PUBLIC_BARE, CERTIFICATE };

static const struct {
    const char *name, *type, *curve;
    size_t bits;
    enum place place;
    size_t count, unread; /* found in a token that holds nothing else */
} rows[] = {
    {"EC P-256, the point in an OCTET STRING", "EC", "P-256", 0, PUBLIC, 1, 0},
    {"EC P-256, the point bare", "EC", "P-256", 0, PUBLIC_BARE, 1, 0},
    {"EC P-384", "EC", "P-384", 0, PUBLIC, 1, 0},
    {"RSA 2048", "RSA", NULL, 2048, PUBLIC, 1, 0},
    {"RSA 3072, only in a certificate", "RSA", NULL, 3072, CERTIFICATE, 1, 0},
    {"EC P-256, only in a certificate", "EC", "P-256", 0, CERTIFICATE, 1, 0},
    {"EC P-521: no certificate here has such a key", "EC", "P-521", 0, PUBLIC, 0, 1},
    {"RSA 1024", "RSA", NULL, 1024, PUBLIC, 0, 1},
};

static bool
row_holds(struct scene *s, size_t i)
{
    EVP_PKEY *key = make(rows[i].type, rows[i].curve, rows[i].bits);
    struct token_held before = {0}, after = {0};
    unsigned char *spki = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    size_t size = spki_of(key, &spki);

    digest_of(spki, size, digest);
    assert_ok(token_held_read(s->t, &before));
    if (rows[i].place == CERTIFICATE)
        put_certificate(s->session, key);
    else
        softhsm_put_public_key(s->session, spki, size, rows[i].place == PUBLIC_BARE);
    assert_ok(token_held_read(s->t, &after));
    bool good = after.count - before.count == rows[i].count &&
                after.unread - before.unread == rows[i].unread &&
                !token_held_has(&before, digest) &&
                token_held_has(&after, digest) == (rows[i].count == 1);
    if (!good)
        print_error("%s: %zu keys more, %zu unread more\n", rows[i].name,
            after.count - before.count, after.unread - before.unread);
    token_held_free(&before);
    token_held_free(&after);
    OPENSSL_free(spki);
    EVP_PKEY_free(key);
    return good;
}

static void
every_form_of_a_key_is_found(void **state)
{
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        bad += !row_holds(*state, i);
    assert_int_equal(bad, 0);
}

/* Those that were made here: RSA shows twice, by its private object too. */
static void
account_keys_are_found(void **state)
{
    static const enum token_key_type types[] = {TOKEN_KEY_EC_P256, TOKEN_KEY_RSA_2048};
    struct scene *s = *state;

    for (size_t i = 0; i < AW_COUNT(types); i++) {
        struct token_key_report report;
        struct token_held held = {0};
        token_key *key = NULL;
        uint8_t digest[AW_DIGEST_SIZE];
        const uint8_t *spki;
        size_t size;

        assert_ok(token_key_generate(s->t, token_key_type_name(types[i]), types[i], &report, &key));
        token_key_spki(key, &spki, &size);
        digest_of(spki, size, digest);
        assert_ok(token_held_read(s->t, &held));
        assert_true(token_held_has(&held, digest));
        digest[31] ^= 1;
        assert_false(token_held_has(&held, digest));
        token_held_free(&held);
        token_key_free(&key);
    }
}

/* A private key without its public object: RSA's has the public half too. */
static void
a_private_key_alone_is_found(void **state)
{
    struct scene *s = *state;
    struct token_key_report report;
    struct token_held held = {0};
    token_key *key = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    const uint8_t *spki;
    size_t size;

    assert_ok(token_key_generate(s->t, "alone", TOKEN_KEY_RSA_2048, &report, &key));
    token_key_spki(key, &spki, &size);
    digest_of(spki, size, digest);
    CK_OBJECT_HANDLE object = softhsm_find(s->session, CKO_PUBLIC_KEY, "alone");
    assert_int_not_equal(object, CK_INVALID_HANDLE);
    assert_int_equal(softhsm_functions()->C_DestroyObject(s->session, object), CKR_OK);
    assert_ok(token_held_read(s->t, &held));
    assert_true(token_held_has(&held, digest));
    token_held_free(&held);
    token_key_free(&key);
}

/* An object of others that is larger than any of ours must not keep the signer from starting. */
static void
a_key_larger_than_any_of_ours(void **state)
{
    struct scene *s = *state;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    CK_BBOOL yes = CK_TRUE;
    uint8_t modulus[2048], exponent[] = {1, 0, 1};
    struct token_held before = {0}, after = {0};
    CK_OBJECT_HANDLE object;

    memset(modulus, 0xb5, sizeof(modulus));
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_MODULUS, modulus, sizeof(modulus)},
        {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}};
    assert_ok(token_held_read(s->t, &before));
    assert_int_equal(
        softhsm_functions()->C_CreateObject(s->session, template, AW_COUNT(template), &object),
        CKR_OK);
    assert_ok(token_held_read(s->t, &after));
    assert_int_equal(after.unread, before.unread + 1);
    assert_int_equal(after.count, before.count);
    token_held_free(&before);
    token_held_free(&after);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_a_key_is_found),
        cmocka_unit_test(account_keys_are_found),
        cmocka_unit_test(a_private_key_alone_is_found),
        cmocka_unit_test(a_key_larger_than_any_of_ours),
    };

    return cmocka_run_group_tests_name("token_held", tests, setup, teardown);
}
