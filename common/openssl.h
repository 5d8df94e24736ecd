/**
 * @file openssl.h
 * @brief Releases OpenSSL's objects at the end of a scope: AW_CLEANUP(aw_x509_free) X509 *found.
 *
 * Each takes the address of the variable; NULL in it is allowed, and it keeps its value.
 */
#ifndef AW_COMMON_OPENSSL_H
#define AW_COMMON_OPENSSL_H

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "common/result.h"

/** Defines `name` for AW_CLEANUP of a `type *` that `release` releases. */
#define AW_OPENSSL_RELEASE(name, type, release) \
    static inline void name(type **object)      \
    {                                           \
        release(*object);                       \
    }

AW_OPENSSL_RELEASE(aw_asn1_octets_free, ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
AW_OPENSSL_RELEASE(aw_bio_free, BIO, BIO_free_all)
AW_OPENSSL_RELEASE(aw_bn_free, BIGNUM, BN_free)
AW_OPENSSL_RELEASE(aw_digest_context_free, EVP_MD_CTX, EVP_MD_CTX_free)
AW_OPENSSL_RELEASE(aw_ecdsa_pair_free, ECDSA_SIG, ECDSA_SIG_free)
AW_OPENSSL_RELEASE(aw_param_builder_free, OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)
AW_OPENSSL_RELEASE(aw_params_free, OSSL_PARAM, OSSL_PARAM_free)
AW_OPENSSL_RELEASE(aw_pkey_context_free, EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AW_OPENSSL_RELEASE(aw_pkey_free, EVP_PKEY, EVP_PKEY_free)
AW_OPENSSL_RELEASE(aw_x509_free, X509, X509_free)
AW_OPENSSL_RELEASE(aw_x509_request_free, X509_REQ, X509_REQ_free)

/** A pem_password_cb for which an encrypted key is a fault: OpenSSL's own asks on the terminal. */
static inline int
aw_no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

#endif
