/* What is told of a stored key from its octets is what OpenSSL tells of it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "authority.h"
#include "client/chain.h"
#include "client/stored_key.h"

/* Makes a key's text. */
typedef char *(*writer)(EVP_PKEY *key);

static char *
traditional(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return authority_written(bio);
}

static char *
encrypted(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    return authority_written(bio);
}

/* RFC 5915 3: publicKey may be absent. */
static char *
without_point(EVP_PKEY *key)
{
    assert_int_equal(EVP_PKEY_set_int_param(key, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0), 1);
    return authority_key_pem(key);
}

static char *
cut(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned char *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

    assert_true(size > 10);
    assert_true(PEM_write_bio(bio, "PRIVATE KEY", "", der, size - 10) > 0);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
    return authority_written(bio);
}

static const struct {
    const char *name;
    const char *type;
    const char *other; /* of the key that is stored beside it; NULL: its own */
    writer write;
    bool matches;
} rows[] = {
    {"its key", "ec-p256", NULL, authority_key_pem, true},
    {"its key of P-384", "ec-p384", NULL, authority_key_pem, true},
    {"another key", "ec-p256", "ec-p256", authority_key_pem, false},
    {"of another curve", "ec-p256", "ec-p384", authority_key_pem, false},
    {"of another kind", "ec-p256", "rsa-2048", authority_key_pem, false},
    {"RSA is left to OpenSSL", "rsa-2048", NULL, authority_key_pem, false},
    {"RSA of 3072 bits", "rsa-3072", NULL, authority_key_pem, false},
    {"another label is left to OpenSSL", "ec-p256", NULL, traditional, false},
    {"encrypted", "ec-p256", NULL, encrypted, false},
    {"no public half is left to OpenSSL", "ec-p256", NULL, without_point, false},
    {"cut", "ec-p256", NULL, cut, false},
};

static void
check(size_t row, EVP_PKEY *key, const struct party *party)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    AW_CLEANUP(chain_free) struct chain whole = {0}, bare = {0};
    char *pem = authority_pem(party->certificate), *text = rows[row].write(key);

    assert_true(aw_ok(aw_secret_new(strlen(text), &secret)));
    assert_true(aw_ok(aw_secret_append(secret, text, strlen(text))));
    assert_true(aw_ok(chain_read(pem, strlen(pem), &whole)));
    assert_true(aw_ok(chain_read_bare(pem, strlen(pem), &bare)));
    assert_string_equal(chain_key_type(X509_get0_pubkey(whole.certificates[0])), rows[row].type);
    assert_null(X509_get0_pubkey(bare.certificates[0])); /* it was not decoded */
    assert_string_equal(stored_key_type(whole.certificates[0]), rows[row].type);
    assert_string_equal(stored_key_type(bare.certificates[0]), rows[row].type);
    if (stored_key_matches(secret, bare.certificates[0]) != rows[row].matches)
        fail_msg("%s: not %s", rows[row].name, rows[row].matches ? "its key" : "left alone");
    free(pem);
    free(text);
}

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(chain_key_free) EVP_PKEY *other = NULL;
        AW_CLEANUP(chain_key_free) EVP_PKEY *own = NULL;

        print_message("%s\n", rows[i].name);
        assert_true(aw_ok(chain_key_generate(NULL, rows[i].type, &own)));
        if (rows[i].other != NULL)
            assert_true(aw_ok(chain_key_generate(NULL, rows[i].other, &other)));
        struct party party = authority_make(NULL,
            &(struct wish){.subject = "a.example.edu", .san = "DNS:a.example.edu", .key = own});
        check(i, other != NULL ? other : party.key, &party);
        authority_free(&party);
    }
}

/* Another kind altogether has no type of ours. */
static void
test_other(void **state)
{
    AW_CLEANUP(chain_key_free) EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    struct party party =
        authority_make(NULL, &(struct wish){.subject = "a", .san = "DNS:a.edu", .key = key});

    (void)state;
    assert_string_equal(stored_key_type(party.certificate), "other");
    authority_free(&party);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
