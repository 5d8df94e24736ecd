#include "client/challenge_certificate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "client/chain.h"
#include "common/hex.h"
#include "common/openssl.h"

enum {
    DAYS_BEFORE = 1, /* for clocks that go wrong */
    DAYS_AFTER = 7,  /* nobody but the CA sees it, and at once */
    DAY = 86400,
    IP4_SIZE = 4,
};

aw_result
challenge_server_name(const struct aw_name *name, char out[CHALLENGE_SERVER_NAME_SIZE])
{
    const uint8_t *a = name->address;

    if (name->form == AW_NAME_WILDCARD)
        return aw_fail(
            AW_CODE_UNSUPPORTED, "%s: wildcards are validated by dns-01 alone", name->text);
    if (name->form == AW_NAME_HOST)
        snprintf(out, CHALLENGE_SERVER_NAME_SIZE, "%s", name->text);
    else if (name->address_size == IP4_SIZE)
        snprintf(
            out, CHALLENGE_SERVER_NAME_SIZE, "%d.%d.%d.%d.in-addr.arpa", a[3], a[2], a[1], a[0]);
    else {
        for (size_t i = 0; i < name->address_size; i++) {
            uint8_t octet = a[name->address_size - 1 - i];
            snprintf(out + 4 * i, CHALLENGE_SERVER_NAME_SIZE - 4 * i, "%x.%x.", octet & 0x0f,
                octet >> 4);
        }
        snprintf(out + 4 * name->address_size, CHALLENGE_SERVER_NAME_SIZE - 4u * name->address_size,
            "ip6.arpa");
    }
    return AW_OK;
}

static void
free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static void
free_extension(X509_EXTENSION **extension)
{
    X509_EXTENSION_free(*extension);
}

static aw_result
add_name(X509 *certificate, const struct aw_name *name)
{
    bool address = name->form == AW_NAME_ADDRESS;
    AW_CLEANUP(free_names) GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *general = GENERAL_NAME_new();
    ASN1_STRING *value = ASN1_STRING_type_new(address ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

    bool set = names != NULL && general != NULL && value != NULL &&
               ASN1_STRING_set(value, address ? (const void *)name->address : name->text,
                   address ? name->address_size : (int)strlen(name->text)) == 1;
    if (set) {
        GENERAL_NAME_set0_value(general, address ? GEN_IPADD : GEN_DNS, AW_MOVE(value));
        set = sk_GENERAL_NAME_push(names, general) > 0;
        if (set)
            general = NULL;
    }
    GENERAL_NAME_free(general);
    ASN1_STRING_free(value);
    if (!set)
        return aw_fail_memory();
    if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        return aw_fail_openssl("can't write a subjectAltName");
    return AW_OK;
}

static void
free_object(ASN1_OBJECT **object)
{
    ASN1_OBJECT_free(*object);
}

/* The extension's value is the DER of an OCTET STRING that holds the digest. */
static aw_result
add_digest(X509 *certificate, const char *key_authorization)
{
    /* OCTET STRING, its length, the digest. */
    uint8_t der[2 + AW_DIGEST_SIZE] = {V_ASN1_OCTET_STRING, AW_DIGEST_SIZE};
    AW_CLEANUP(aw_asn1_octets_free) ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    AW_CLEANUP(free_object) ASN1_OBJECT *identifier = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    AW_CLEANUP(free_extension) X509_EXTENSION *extension = NULL;

    AW_TRY(challenge_digest(key_authorization, der + 2));
    if (value == NULL || identifier == NULL ||
        ASN1_OCTET_STRING_set(value, der, (int)sizeof(der)) != 1)
        return aw_fail_memory();
    extension = X509_EXTENSION_create_by_OBJ(NULL, identifier, 1, value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1)
        return aw_fail_openssl("can't write the extension acmeIdentifier");
    return AW_OK;
}

static aw_result
fill(X509 *certificate, EVP_PKEY *key)
{
    static const unsigned char common_name[] = "acme-tls-alpn-01";
    X509_NAME *subject = X509_get_subject_name(certificate);

    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), (uint64_t)time(NULL)) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(certificate), -DAYS_BEFORE * DAY) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(certificate), DAYS_AFTER * DAY) == NULL ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0) != 1 ||
        X509_set_issuer_name(certificate, subject) != 1 || X509_set_pubkey(certificate, key) != 1)
        return aw_fail_openssl("can't write a certificate for tls-alpn-01");
    return AW_OK;
}

aw_result
challenge_certificate(
    const struct aw_name *name, const char *key_authorization, X509 **certificate, EVP_PKEY **key)
{
    AW_CLEANUP(aw_x509_free) X509 *made = X509_new();
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *made_key = NULL;

    if (made == NULL)
        return aw_fail_memory();
    AW_TRY(chain_key_generate(NULL, "ec-p256", &made_key));
    AW_TRY(fill(made, made_key));
    AW_TRY(add_name(made, name));
    AW_TRY(add_digest(made, key_authorization));
    if (X509_sign(made, made_key, EVP_sha256()) == 0)
        return aw_fail_openssl("can't sign a certificate for tls-alpn-01");
    *certificate = AW_MOVE(made);
    *key = AW_MOVE(made_key);
    return AW_OK;
}
