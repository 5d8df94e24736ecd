/* PKCS#12 (RFC 7292) by OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "client/export.h"

static void
free_pkcs12(PKCS12 **p12)
{
    PKCS12_free(*p12);
}

static void
free_stack(STACK_OF(X509) * *stack)
{
    sk_X509_free(*stack);
}

/* The certificates above the leaf; the chain keeps them. */
static aw_result
above(const struct chain *chain, STACK_OF(X509) * *out)
{
    AW_CLEANUP(free_stack) STACK_OF(X509) *stack = sk_X509_new_null();

    for (size_t i = 1; stack != NULL && i < chain->count; i++)
        if (sk_X509_push(stack, chain->certificates[i]) <= 0)
            return aw_fail_memory();
    if (stack == NULL)
        return aw_fail_memory();
    *out = AW_MOVE(stack);
    return AW_OK;
}

/*
 * The MAC is made separately: PKCS12_create leaves its digest to the version of OpenSSL. What is
 * legacy opens with Windows before 1709 and Server 2019, and with Java before 8u301 and 11.0.12.
 */
static aw_result
make(const struct export_material *material, const struct export_request *request,
    const char *passphrase, PKCS12 **out)
{
    AW_CLEANUP(free_stack) STACK_OF(X509) *others = NULL;
    AW_CLEANUP(free_pkcs12) PKCS12 *p12 = NULL;
    int cipher = request->legacy ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc;
    int iterations = request->legacy ? EXPORT_LEGACY_ITERATIONS : EXPORT_ITERATIONS;

    AW_TRY(above(&material->chain, &others));
    p12 = PKCS12_create(passphrase, request->cert_name, material->key,
        material->chain.certificates[0], others, cipher, cipher, iterations, -1, 0);
    if (p12 == NULL || PKCS12_set_mac(p12, passphrase, -1, NULL, 0, iterations,
                           request->legacy ? EVP_sha1() : EVP_sha256()) != 1)
        return aw_fail_openssl("can't write certificate %s as PKCS#12", request->cert_name);
    *out = AW_MOVE(p12);
    return AW_OK;
}

static aw_result
encode(const PKCS12 *p12, uint8_t **der, size_t *size)
{
    int length = i2d_PKCS12(p12, NULL);

    *der = length <= 0 || length > EXPORT_PKCS12_MAX ? NULL : malloc((size_t)length);
    if (*der == NULL)
        return aw_fail_openssl("can't encode PKCS#12");
    unsigned char *end = *der;
    *size = (size_t)i2d_PKCS12(p12, &end);
    return AW_OK;
}

aw_result
export_pkcs12(const struct export_material *material, const struct export_request *request,
    uint8_t **der, size_t *size)
{
    AW_CLEANUP(free_pkcs12) PKCS12 *p12 = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *passphrase = NULL;

    /* OpenSSL wants a NUL behind it. */
    AW_TRY(aw_secret_new(request->passphrase->size + 1, &passphrase));
    AW_TRY(aw_secret_append(passphrase, request->passphrase->data, request->passphrase->size));
    AW_TRY(aw_secret_append(passphrase, "", 1));
    AW_TRY(make(material, request, (const char *)passphrase->data, &p12));
    return encode(p12, der, size);
}
