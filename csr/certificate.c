/*
 * Certificates. A CA writes them in more ways than a grammar of ours could list, so OpenSSL reads
 * them; what is taken from one is written anew and compared, so that no other parser can read
 * another key or other names from the same octets.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "common/hex.h"
#include "common/openssl.h"
#include "csr/csr.h"

/* Limits. */
enum {
    NAMES_MAX = 1000,  /* of one certificate; an order has at most CSR_NAMES_MAX */
    SERIAL_OCTETS = 20 /* RFC 5280 4.1.2.2 */
};

/* Rules. */
#define CERTIFICATE_RULES(X)                   \
    X(SIZE, "certificate.size")                \
    X(STRUCTURE, "certificate.structure")      \
    X(TRAILING, "certificate.trailing")        \
    X(NOT_DER, "certificate.not-der")          \
    X(SERIAL, "certificate.serial")            \
    X(VALIDITY, "certificate.validity")        \
    X(SAN_EXTENSIONS, "certificate.san.twice") \
    X(SAN_NAME, "certificate.san.name")        \
    X(SAN_OTHER, "certificate.san.other")      \
    X(NAMES_COUNT, "certificate.names.count")  \
    X(NAMES_TWICE, "certificate.names.twice")

enum rule {
#define RULE_ENUM(name, tag) RULE_##name,
    CERTIFICATE_RULES(RULE_ENUM)
#undef RULE_ENUM
};

static const char *const tags[] = {
#define RULE_TAG(name, tag) tag,
    CERTIFICATE_RULES(RULE_TAG)
#undef RULE_TAG
};

static AW_MUST_USE
    AW_PRINTF(3, 4) aw_result refuse(char *rule_out, enum rule rule, const char *format, ...)
{
    char message[AW_ERROR_MESSAGE_SIZE];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    ERR_clear_error();
    snprintf(rule_out, CSR_RULE_SIZE, "%s", tags[rule]);
    return aw_hint(aw_fail(AW_CODE_SYNTAX, "certificate: %s", message),
        "send the certificate as the CA issued it, DER-encoded");
}

static void
release_octets(unsigned char **octets)
{
    OPENSSL_free(*octets);
}

static void
release_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

/* i2d_re_X509_tbs drops the encoding that OpenSSL keeps, so that i2d_X509 writes from the fields.
 */
static aw_result
check_same(char *rule, X509 *x509, const uint8_t *der, size_t size)
{
    AW_CLEANUP(release_octets) unsigned char *again = NULL;

    if (i2d_re_X509_tbs(x509, NULL) <= 0)
        return aw_fail_openssl("certificate: writing it anew");
    int length = i2d_X509(x509, &again);
    if (length <= 0)
        return aw_fail_openssl("certificate: writing it anew");
    if ((size_t)length == size && memcmp(again, der, size) == 0)
        return AW_OK;
    return refuse(
        rule, RULE_NOT_DER, "the DER made anew from its fields is not the same %zu octets", size);
}

static aw_result
read_x509(char *rule, const uint8_t *der, size_t size, X509 **out)
{
    const unsigned char *at = der;

    if (size == 0 || size > CSR_CERTIFICATE_MAX)
        return refuse(
            rule, RULE_SIZE, "%zu octets, expected 1 to %d", size, (int)CSR_CERTIFICATE_MAX);
    *out = d2i_X509(NULL, &at, (long)size);
    if (*out == NULL && ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        return aw_fail_openssl("certificate");
    if (*out == NULL)
        return refuse(rule, RULE_STRUCTURE, "not an X.509 certificate");
    size_t left = size - (size_t)(at - der);
    if (left > 0)
        return refuse(rule, RULE_TRAILING, "%zu octets after its end", left);
    return check_same(rule, *out, der, size);
}

static aw_result
read_serial(char *rule, const X509 *x509, struct certificate *out)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
    const unsigned char *octets = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);

    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || size < 1 || size > SERIAL_OCTETS)
        return refuse(rule, RULE_SERIAL, "a serial number of %d octets%s, expected 1 to %d", size,
            ASN1_STRING_type(serial) == V_ASN1_INTEGER ? "" : ", negative", (int)SERIAL_OCTETS);
    aw_hex(octets, (size_t)size, out->serial);
    return AW_OK;
}

static aw_result
read_issuer(const X509 *x509, struct certificate *out)
{
    BIO *text = BIO_new(BIO_s_mem());
    const X509_NAME *issuer = X509_get_issuer_name(x509);
    bool ok = text != NULL && X509_NAME_print_ex(text, issuer, 0, XN_FLAG_RFC2253) >= 0;

    if (ok) {
        int length = BIO_read(text, out->issuer, sizeof(out->issuer) - 1);
        out->issuer[length > 0 ? length : 0] = '\0';
    }
    BIO_free(text);
    return ok ? AW_OK : aw_fail_openssl("certificate: the issuer");
}

static bool
has_other_purpose(const X509 *x509)
{
    int critical = -1;
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(x509, NID_ext_key_usage, &critical, NULL);
    bool found = purposes == NULL && critical != -1; /* -1: it is not there; else not readable */

    for (int i = 0; i < sk_ASN1_OBJECT_num(purposes); i++) {
        int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, i));
        found = found || (nid != NID_server_auth && nid != NID_client_auth);
    }
    EXTENDED_KEY_USAGE_free(purposes);
    ERR_clear_error();
    return found;
}

/* The CSR grammar lets nobody ask for these (RFC 5280 4.2.1.3, 4.2.1.9, 4.2.1.12). */
static void
read_odd(X509 *x509, struct certificate *out)
{
    uint32_t flags = X509_get_extension_flags(x509);
    uint32_t usage = X509_get_key_usage(x509);
    const char *odd = "";

    if ((flags & EXFLAG_INVALID) != 0)
        odd = "its extensions contradict each other";
    else if ((flags & EXFLAG_CA) != 0)
        odd = "it is a CA's (basicConstraints CA:TRUE)";
    else if ((flags & EXFLAG_KUSAGE) != 0 && (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0)
        odd = "its key may sign certificates or CRLs (keyUsage)";
    else if (has_other_purpose(x509))
        odd = "it is for more than serverAuth and clientAuth (extKeyUsage)";
    snprintf(out->odd, sizeof(out->odd), "%s", odd);
    ERR_clear_error();
}

static aw_result
read_time(char *rule, const ASN1_TIME *time, const char *what, int64_t *out)
{
    struct tm parts;

    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return refuse(rule, RULE_VALIDITY, "%s is no time", what);
    *out = (int64_t)timegm(&parts);
    return AW_OK;
}

static aw_result
read_validity(char *rule, const X509 *x509, struct certificate *out)
{
    AW_TRY(read_time(rule, X509_get0_notBefore(x509), "notBefore", &out->not_before));
    AW_TRY(read_time(rule, X509_get0_notAfter(x509), "notAfter", &out->not_after));
    if (out->not_after < 0)
        return refuse(rule, RULE_VALIDITY, "notAfter is before 1970");
    if (out->not_after < out->not_before)
        return refuse(rule, RULE_VALIDITY, "notAfter is before notBefore");
    return AW_OK;
}

static aw_result
read_name(char *rule, const GENERAL_NAME *name, struct aw_name *out)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

    if (type != GEN_DNS && type != GEN_IPADD)
        return refuse(rule, RULE_SAN_OTHER,
            "a name in subjectAltName that is neither dNSName nor iPAddress (form %d)", type);
    const unsigned char *octets = ASN1_STRING_get0_data(value);
    size_t size = (size_t)ASN1_STRING_length(value);
    aw_result r = type == GEN_DNS ? aw_name_parse((const char *)octets, size, out)
                                  : aw_name_from_address(octets, size, out);
    if (r.code == AW_CODE_SYNTAX) {
        struct aw_error error;
        aw_error_save(&error);
        return refuse(rule, RULE_SAN_NAME, "subjectAltName: %s", error.message);
    }
    return r;
}

static aw_result
read_names(char *rule, const GENERAL_NAMES *names, struct certificate *out)
{
    int count = sk_GENERAL_NAME_num(names);

    if (count < 1 || count > NAMES_MAX)
        return refuse(rule, RULE_NAMES_COUNT, "%d names in subjectAltName, expected 1 to %d", count,
            (int)NAMES_MAX);
    out->names = calloc((size_t)count, sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    for (int i = 0; i < count; i++)
        AW_TRY(read_name(rule, sk_GENERAL_NAME_value(names, i), &out->names[i]));
    out->name_count = (size_t)count;
    if (!aw_names_sort(out->names, out->name_count))
        return refuse(rule, RULE_NAMES_TWICE, "a name is in subjectAltName twice");
    return AW_OK;
}

/* The extension's value is an OCTET STRING to check_same, so it is written anew here. */
static aw_result
read_san_value(char *rule, const ASN1_OCTET_STRING *value, GENERAL_NAMES **out)
{
    AW_CLEANUP(release_octets) unsigned char *again = NULL;
    const unsigned char *octets = ASN1_STRING_get0_data(value);
    int size = ASN1_STRING_length(value);
    const unsigned char *at = octets;

    *out = d2i_GENERAL_NAMES(NULL, &at, size);
    if (*out == NULL)
        return refuse(rule, RULE_STRUCTURE, "subjectAltName cannot be read");
    int length = i2d_GENERAL_NAMES(*out, &again);
    if (length == size && memcmp(again, octets, (size_t)size) == 0)
        return AW_OK;
    return refuse(rule, RULE_NOT_DER, "subjectAltName made anew is not the same octets");
}

/* A certificate above the leaf has no subjectAltName, as a rule: then there are no names. */
static aw_result
read_san(char *rule, const X509 *x509, struct certificate *out)
{
    AW_CLEANUP(release_names) GENERAL_NAMES *names = NULL;
    int at = X509_get_ext_by_NID(x509, NID_subject_alt_name, -1);

    if (at < 0)
        return AW_OK;
    if (X509_get_ext_by_NID(x509, NID_subject_alt_name, at) >= 0)
        return refuse(rule, RULE_SAN_EXTENSIONS, "two subjectAltName extensions");
    AW_TRY(read_san_value(rule, X509_EXTENSION_get_data(X509_get_ext(x509, at)), &names));
    return read_names(rule, names, out);
}

static aw_result
digest(const void *octets, size_t size, uint8_t *out)
{
    if (EVP_Q_digest(NULL, "SHA256", NULL, octets, size, out, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    return AW_OK;
}

static aw_result
read_digests(const X509 *x509, const uint8_t *der, size_t size, struct certificate *out)
{
    AW_CLEANUP(release_octets) unsigned char *key = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &key);

    if (length <= 0)
        return aw_fail_openssl("certificate: writing its key");
    AW_TRY(digest(key, (size_t)length, out->key_digest));
    return digest(der, size, out->digest);
}

static aw_result
parse(const uint8_t *der, size_t size, char rule[CSR_RULE_SIZE], struct certificate **out)
{
    AW_CLEANUP(certificate_free) struct certificate *certificate = calloc(1, sizeof(*certificate));
    AW_CLEANUP(aw_x509_free) X509 *x509 = NULL;

    rule[0] = '\0';
    if (certificate == NULL)
        return aw_fail_memory();
    AW_TRY(read_x509(rule, der, size, &x509));
    AW_TRY(read_serial(rule, x509, certificate));
    AW_TRY(read_issuer(x509, certificate));
    read_odd(x509, certificate);
    AW_TRY(read_validity(rule, x509, certificate));
    AW_TRY(read_san(rule, x509, certificate));
    AW_TRY(read_digests(x509, der, size, certificate));
    *out = AW_MOVE(certificate);
    return AW_OK;
}

/* As with a CSR's key: a refusal counts when it is given twice. OpenSSL may read no certificate for
 * want of memory, and its error queue does not always tell; or call its extensions odd. */
aw_result
certificate_parse(
    const uint8_t *der, size_t size, char rule[CSR_RULE_SIZE], struct certificate **out)
{
    aw_result r = parse(der, size, rule, out);

    if (aw_ok(r) && (*out)->odd[0] != '\0')
        certificate_free(out);
    else if (r.code != AW_CODE_SYNTAX)
        return r;
    return parse(der, size, rule, out);
}

void
certificate_free(struct certificate **certificate)
{
    if (*certificate == NULL)
        return;
    free((*certificate)->names);
    free(*certificate);
    *certificate = NULL;
}
