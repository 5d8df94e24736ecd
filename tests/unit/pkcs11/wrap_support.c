#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wrap_support.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static const uint8_t text[] = "\0acmeward: a test of wrapping";

static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};

void
wrap_sample_make(struct wrap_sample *out, enum token_mac_algorithm algorithm,
    const struct token_wrapping *wrapping)
{
    const unsigned char *at = wrapping->spki;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)wrapping->spki_size);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

    memset(out, 0, sizeof(*out));
    out->algorithm = algorithm;
    out->size = token_mac_block(algorithm);
    assert_int_equal(RAND_bytes(out->value, (int)out->size), 1);
    out->wrapped_size = sizeof(out->wrapped);
    assert_int_equal(EVP_PKEY_encrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(
        EVP_PKEY_encrypt(context, out->wrapped, &out->wrapped_size, out->value, out->size), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digests[algorithm], NULL, out->value, out->size,
        text, sizeof(text), out->check, sizeof(out->check), &out->check_size));
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
}

struct token_wrapped
wrap_sample_of(const struct wrap_sample *sample, const char *label)
{
    return (struct token_wrapped){.label = label,
        .algorithm = sample->algorithm,
        .wrapped = {sample->wrapped, sample->wrapped_size},
        .check_text = {text, sizeof(text)},
        .check = {sample->check, sample->check_size}};
}
