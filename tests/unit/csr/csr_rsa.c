#include "csr_rsa.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>

enum { LARGE = 4096 }; /* from where on OpenSSL makes keys of four primes */

EVP_PKEY *
csr_rsa(int size, unsigned e)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *exponent = BN_new();

    if (exponent != NULL && BN_set_word(exponent, e) == 1 && EVP_PKEY_keygen_init(context) == 1 &&
        EVP_PKEY_CTX_set_rsa_keygen_bits(context, size) == 1 &&
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, exponent) == 1 &&
        EVP_PKEY_CTX_set_rsa_keygen_primes(context, size < LARGE ? 3 : 4) == 1)
        EVP_PKEY_generate(context, &key);
    BN_free(exponent);
    EVP_PKEY_CTX_free(context);
    return key;
}
