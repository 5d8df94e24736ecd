/*
 * What a CA sends as a certificate. What is read is written and read again to the same octets, and
 * holds no private key to OpenSSL; what is checked has the key and names that were asked for.
 */
#include "client/chain.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/io.h"
#include "fuzz.h"

static void
check_written(const struct chain *chain)
{
    AW_CLEANUP(aw_free) char *pem = NULL;
    AW_CLEANUP(chain_free) struct chain again = {0};

    FUZZ_CHECK(aw_ok(chain_pem(chain, 0, chain->count, &pem)));
    FUZZ_CHECK(aw_ok(chain_read(pem, strlen(pem), &again)));
    FUZZ_CHECK(again.count == chain->count);
    for (size_t i = 0; i < chain->count; i++) {
        AW_CLEANUP(aw_free) uint8_t *a = NULL;
        AW_CLEANUP(aw_free) uint8_t *b = NULL;
        size_t size_a, size_b;
        FUZZ_CHECK(aw_ok(chain_der(chain, i, &a, &size_a)));
        FUZZ_CHECK(aw_ok(chain_der(&again, i, &b, &size_b)));
        FUZZ_CHECK(size_a == size_b && memcmp(a, b, size_a) == 0);
    }
}

/* OpenSSL finds as many certificates as we, and no key, in the very text. */
static void
check_by_openssl(const char *pem, size_t size, const struct chain *chain)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    size_t certificates = 0;

    FUZZ_CHECK(found != NULL);
    for (int i = 0; i < sk_X509_INFO_num(found); i++) {
        const X509_INFO *info = sk_X509_INFO_value(found, i);
        FUZZ_CHECK(info->x_pkey == NULL && info->crl == NULL && info->enc_data == NULL);
        certificates += info->x509 != NULL;
    }
    FUZZ_CHECK(certificates == chain->count);
    sk_X509_INFO_pop_free(found, X509_INFO_free);
    BIO_free(bio);
}

/* With the key and names of its first certificate, then with other ones. */
static bool
check_judged(const char *pem, size_t size, const struct chain *chain)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};
    AW_CLEANUP(chain_free) struct chain judged = {0};
    EVP_PKEY *key = X509_get0_pubkey(chain->certificates[0]);
    static EVP_PKEY *other;

    if (other == NULL)
        other = EVP_EC_gen("P-256");
    if (key == NULL || !aw_ok(chain_leaf_read(chain->certificates[0], &leaf)))
        return false;
    fuzz_check_names(leaf.names, leaf.name_count);
    aw_result r = chain_check(pem, size, key, leaf.names, leaf.name_count, &judged);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return false;
    }
    FUZZ_CHECK(judged.count == chain->count && strcmp(judged.serial, leaf.serial) == 0);
    FUZZ_CHECK(X509_check_ca(judged.certificates[0]) == 0);
    struct chain none = {0};
    FUZZ_CHECK(
        chain_check(pem, size, other, leaf.names, leaf.name_count, &none).code == AW_CODE_MISMATCH);
    FUZZ_CHECK(chain_check(pem, size, key, leaf.names, leaf.name_count - 1, &none).code ==
               AW_CODE_MISMATCH);
    FUZZ_CHECK(none.count == 0);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(chain_free) struct chain chain = {0};
    const char *pem = (const char *)data;
    aw_result r = chain_read(pem, size, &chain);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        fuzz_check_plain(aw_error_last()->message);
        FUZZ_CHECK(chain.count == 0);
        return 0;
    }
    FUZZ_CHECK(chain.count >= 1 && chain.count <= CHAIN_CERTIFICATES_MAX);
    check_written(&chain);
    check_by_openssl(pem, size, &chain);
    if (check_judged(pem, size, &chain))
        fuzz_accept();
    ERR_clear_error();
    return 0;
}
