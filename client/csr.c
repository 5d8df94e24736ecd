/* Requests (RFC 2986) in the signer's grammar: no subject, one extension, SHA-2. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "client/chain.h"
#include "common/openssl.h"

static void
free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void
free_extensions(STACK_OF(X509_EXTENSION) * *extensions)
{
    sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static ASN1_STRING *
string_of(const struct aw_name *name)
{
    bool address = name->form == AW_NAME_ADDRESS;
    ASN1_STRING *value = ASN1_STRING_type_new(address ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    const void *bytes = address ? (const void *)name->address : name->text;

    if (value != NULL &&
        ASN1_STRING_set(value, bytes, address ? name->address_size : name->length) != 1) {
        ASN1_STRING_free(value);
        value = NULL;
    }
    return value;
}

static aw_result
add_name(GENERAL_NAMES *list, const struct aw_name *name)
{
    GENERAL_NAME *general = GENERAL_NAME_new();
    ASN1_STRING *value = string_of(name);

    if (general == NULL || value == NULL || sk_GENERAL_NAME_push(list, general) <= 0) {
        GENERAL_NAME_free(general);
        ASN1_STRING_free(value);
        return aw_fail_openssl("can't put %s into a request", name->text);
    }
    GENERAL_NAME_set0_value(general, name->form == AW_NAME_ADDRESS ? GEN_IPADD : GEN_DNS, value);
    return AW_OK;
}

static aw_result
add_san(STACK_OF(X509_EXTENSION) * *extensions, const struct chain_request *asked)
{
    AW_CLEANUP(free_names) GENERAL_NAMES *list = GENERAL_NAMES_new();

    if (list == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < asked->name_count; i++)
        AW_TRY(add_name(list, &asked->names[i]));
    if (X509V3_add1_i2d(extensions, NID_subject_alt_name, list, 0, X509V3_ADD_APPEND) != 1)
        return aw_fail_openssl("can't add the names to a request");
    return AW_OK;
}

static aw_result
add_must_staple(STACK_OF(X509_EXTENSION) * *extensions)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, NULL, NID_tlsfeature, "status_request");

    if (extension != NULL && sk_X509_EXTENSION_push(*extensions, extension) > 0)
        return AW_OK;
    X509_EXTENSION_free(extension);
    return aw_fail_openssl("can't add the TLS feature to a request");
}

static aw_result
add_extensions(X509_REQ *request, const struct chain_request *asked)
{
    AW_CLEANUP(free_extensions) STACK_OF(X509_EXTENSION) *extensions = NULL;

    AW_TRY(add_san(&extensions, asked));
    if (asked->must_staple)
        AW_TRY(add_must_staple(&extensions));
    if (X509_REQ_add_extensions(request, extensions) != 1)
        return aw_fail_openssl("can't add the extensions to a request");
    return AW_OK;
}

/*
 * The key as SubjectPublicKeyInfo. X509_REQ_set_pubkey looks for an encoder among all that there
 * are, which takes longer than all the rest of a request; a point on a named curve needs none (RFC
 * 5480 2). False for any other key, and for one whose provider does not tell its point.
 */
static bool
put_point(X509_REQ *request, EVP_PKEY *key)
{
    char group[64];
    unsigned char *point = NULL;

    if (EVP_PKEY_is_a(key, "EC") != 1 ||
        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
        return false;
    size_t size = EVP_PKEY_get1_encoded_public_key(key, &point);
    ASN1_OBJECT *curve = size == 0 ? NULL : OBJ_txt2obj(group, 0);
    if (curve != NULL &&
        X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(request),
            OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT, curve, point, (int)size) == 1)
        return true;
    ASN1_OBJECT_free(curve);
    OPENSSL_free(point);
    return false;
}

static bool
put_key(X509_REQ *request, EVP_PKEY *key)
{
    if (put_point(request, key))
        return true;
    ERR_clear_error();
    return X509_REQ_set_pubkey(request, key) == 1;
}

aw_result
chain_csr_key(const uint8_t *der, size_t size, EVP_PKEY **key)
{
    const unsigned char *bytes = der;
    AW_CLEANUP(aw_x509_request_free) X509_REQ *request = d2i_X509_REQ(NULL, &bytes, (long)size);

    *key = request == NULL ? NULL : X509_REQ_get_pubkey(request);
    return *key == NULL ? aw_fail_openssl("can't read the key of the CSR") : AW_OK;
}

aw_result
chain_csr(OSSL_LIB_CTX *libctx, EVP_PKEY *key, const struct chain_request *asked, uint8_t **der,
    size_t *size)
{
    AW_CLEANUP(aw_x509_request_free) X509_REQ *request = X509_REQ_new_ex(libctx, NULL);
    bool p384 = strcmp(chain_key_type(key), "ec-p384") == 0;

    if (request == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        !put_key(request, key))
        return aw_fail_openssl("can't begin a request");
    AW_TRY(add_extensions(request, asked));
    if (X509_REQ_sign(request, key, p384 ? EVP_sha384() : EVP_sha256()) <= 0)
        return aw_fail_openssl("can't sign a request");
    int length = i2d_X509_REQ(request, NULL);
    *der = length <= 0 ? NULL : malloc((size_t)length);
    if (*der == NULL)
        return aw_fail_openssl("can't encode a request");
    unsigned char *end = *der;
    *size = (size_t)i2d_X509_REQ(request, &end);
    return AW_OK;
}
