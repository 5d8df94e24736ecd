/*
 * Certificates: the signer's reader, OpenSSL and the client's reader see the same names, dates and
 * key.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "client/chain.h"
#include "common/hex.h"
#include "common/openssl.h"
#include "csr/csr.h"
#include "fuzz.h"

static void
check_key(const X509 *x509, const struct certificate *certificate)
{
    unsigned char *der = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);

    FUZZ_CHECK(size > 0);
    FUZZ_CHECK(EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)size, digest, NULL) == 1);
    FUZZ_CHECK(memcmp(digest, certificate->key_digest, sizeof(digest)) == 0);
    OPENSSL_free(der);
}

static void
check_by_openssl(const X509 *x509, const struct certificate *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    size_t count = names == NULL ? 0 : (size_t)sk_GENERAL_NAME_num(names);

    FUZZ_CHECK(count == certificate->name_count);
    GENERAL_NAMES_free(names);
    FUZZ_CHECK(ASN1_TIME_cmp_time_t(X509_get0_notBefore(x509), certificate->not_before) == 0);
    FUZZ_CHECK(ASN1_TIME_cmp_time_t(X509_get0_notAfter(x509), certificate->not_after) == 0);
    check_key(x509, certificate);
}

/* The client installs only what the signer can record. */
static void
check_by_client(const X509 *x509, const struct certificate *certificate)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};

    if (certificate->name_count == 0)
        return;
    FUZZ_CHECK(aw_ok(chain_leaf_read(x509, &leaf)));
    FUZZ_CHECK(leaf.name_count == certificate->name_count);
    for (size_t i = 0; i < leaf.name_count; i++)
        FUZZ_CHECK(aw_name_compare(&leaf.names[i], &certificate->names[i]) == 0);
    FUZZ_CHECK(leaf.not_before == certificate->not_before);
    FUZZ_CHECK(leaf.not_after == certificate->not_after);
    FUZZ_CHECK(strcmp(leaf.serial, certificate->serial) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(certificate_free) struct certificate *certificate = NULL;
    AW_CLEANUP(aw_x509_free) X509 *x509 = NULL;
    const unsigned char *at = data;
    char rule[CSR_RULE_SIZE];
    aw_result r = certificate_parse(data, size, rule, &certificate);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(certificate == NULL && rule[0] != '\0');
        return 0;
    }
    fuzz_check_names(certificate->names, certificate->name_count);
    FUZZ_CHECK(certificate->serial[0] != '\0');
    FUZZ_CHECK(certificate->not_before <= certificate->not_after);
    x509 = d2i_X509(NULL, &at, (long)size);
    FUZZ_CHECK(x509 != NULL && at == data + size);
    check_by_openssl(x509, certificate);
    check_by_client(x509, certificate);
    ERR_clear_error();
    fuzz_accept();
    return 0;
}
