/**
 * @file fields.h
 * @brief What a CSR holds, between the files that read it, check its key and write it anew.
 *
 * Internal to csr*.c. Members of type struct der point into the CSR that is being parsed.
 */
#ifndef AW_CSR_FIELDS_H
#define AW_CSR_FIELDS_H

#include <openssl/evp.h>

#include "common/names.h"
#include "common/result.h"
#include "csr/csr.h"
#include "csr/der.h"

/** Every rule of the grammar once: stable tag, what to do about a refusal. */
#define CSR_RULES(X)                                                                             \
    X(SIZE, "csr.size", "ask for fewer names")                                                   \
    X(TRAILING, "csr.trailing", "send exactly one CSR, DER-encoded")                             \
    X(STRUCTURE, "csr.structure", "make the CSR anew, DER-encoded, with a usual client")         \
    X(NOT_DER, "csr.not-der", "make the CSR anew, DER-encoded, with a usual client")             \
    X(VERSION, "csr.version", "a CSR has version 1, that is the value 0 (RFC 2986 4.1)")         \
    X(SUBJECT_TWO_CN, "csr.subject.two-cn", "leave the subject empty")                           \
    X(SUBJECT_ATTRIBUTE, "csr.subject.attribute", "leave the subject empty: the CA fills it in") \
    X(SUBJECT_STRING, "csr.subject.string", "leave the subject empty")                           \
    X(SUBJECT_NUL, "csr.subject.nul", "leave the subject empty")                                 \
    X(SUBJECT_CASE, "csr.subject.case", "write the common name in lower case")                   \
    X(SUBJECT_CN_NOT_IN_SAN, "csr.subject.cn-not-in-san",                                        \
        "leave the subject empty, or add the common name to the subjectAltName")                 \
    X(ATTRIBUTE_MISSING, "csr.attribute.missing",                                                \
        "put the names into a subjectAltName extension (openssl req -addext)")                   \
    X(ATTRIBUTE_CHALLENGE_PASSWORD, "csr.attribute.challenge-password",                          \
        "make the CSR without a challenge password")                                             \
    X(ATTRIBUTE_TWICE, "csr.attribute.twice", "put all extensions into one extensionRequest")    \
    X(ATTRIBUTE_VALUES, "csr.attribute.values", "put all extensions into one value")             \
    X(ATTRIBUTE_UNKNOWN, "csr.attribute.unknown", "extensionRequest is the only attribute")      \
    X(EXTENSION_UNKNOWN, "csr.extension.unknown",                                                \
        "ask for subjectAltName only; the CA chooses the other extensions")                      \
    X(EXTENSION_TWICE, "csr.extension.twice", "write each extension once")                       \
    X(EXTENSION_CA, "csr.extension.ca", "leave basicConstraints out")                            \
    X(EXTENSION_KEY_USAGE, "csr.extension.key-usage",                                            \
        "leave keyUsage out, or ask for digitalSignature and keyEncipherment only")              \
    X(EXTENSION_EXTENDED_KEY_USAGE, "csr.extension.extended-key-usage",                          \
        "leave extendedKeyUsage out, or ask for serverAuth and clientAuth only")                 \
    X(EXTENSION_KEY_IDENTIFIER, "csr.extension.key-identifier",                                  \
        "leave subjectKeyIdentifier out, or make it the SHA-1 of the key (RFC 5280 4.2.1.2)")    \
    X(EXTENSION_TLS_FEATURE, "csr.extension.tls-feature",                                        \
        "must-staple is the one feature status_request (RFC 7633)")                              \
    X(SAN_MISSING, "csr.san.missing",                                                            \
        "put the names into a subjectAltName extension (openssl req -addext)")                   \
    X(SAN_EMAIL, "csr.san.email", "names are host names or IP addresses")                        \
    X(SAN_OTHER_NAME, "csr.san.other-name", "names are host names or IP addresses")              \
    X(SAN_URI, "csr.san.uri", "names are host names or IP addresses")                            \
    X(SAN_DIRECTORY_NAME, "csr.san.directory-name", "names are host names or IP addresses")      \
    X(SAN_REGISTERED_ID, "csr.san.registered-id", "names are host names or IP addresses")        \
    X(SAN_X400, "csr.san.x400-address", "names are host names or IP addresses")                  \
    X(SAN_EDI, "csr.san.edi-party-name", "names are host names or IP addresses")                 \
    X(SAN_NUL, "csr.san.nul", "write host names without NUL octets")                             \
    X(SAN_CASE, "csr.san.case", "write host names in lower case")                                \
    X(SAN_NAME, "csr.san.name", "write host names as A-labels, as they are looked up in DNS")    \
    X(SAN_ADDRESS, "csr.san.address",                                                            \
        "an iPAddress has 4 octets for IPv4 and 16 for IPv6 (RFC 5280 4.2.1.6)")                 \
    X(SAN_TWICE, "csr.san.twice", "write each name once")                                        \
    X(NAMES_COUNT, "csr.names.count", "split the names over several certificates")               \
    X(KEY_TYPE, "csr.key.type", "make an EC key on P-256 or P-384, or an RSA key")               \
    X(KEY_RSA_BITS, "csr.key.rsa-bits", "make an RSA key of 2048, 3072 or 4096 bits")            \
    X(KEY_RSA_EXPONENT, "csr.key.rsa-exponent", "make an RSA key with the exponent 65537")       \
    X(KEY_CURVE, "csr.key.curve", "make an EC key on P-256 or P-384")                            \
    X(KEY_EXPLICIT_CURVE, "csr.key.explicit-curve",                                              \
        "name the curve (openssl: -pkeyopt ec_param_enc:named_curve)")                           \
    X(KEY_POINT, "csr.key.point", "write the point uncompressed; make a new key if it was")      \
    X(KEY_WEAK, "csr.key.weak", "make a new key with up-to-date software: this one is unsafe")   \
    X(SIGNATURE, "csr.signature", "sign the CSR with the key that is in it")                     \
    X(SIGNATURE_SHA1, "csr.signature.sha1", "sign the CSR with SHA-256")                         \
    X(SIGNATURE_ALGORITHM, "csr.signature.algorithm",                                            \
        "sign with ECDSA or RSA PKCS #1 v1.5, and SHA-256, SHA-384 or SHA-512")

/** Rules. */
enum csr_rule {
#define CSR_RULE_ENUM(name, tag, hint) CSR_BAD_##name,
    CSR_RULES(CSR_RULE_ENUM)
#undef CSR_RULE_ENUM
};

/** Extensions a CSR may ask for. */
enum csr_extension {
    CSR_SUBJECT_ALT_NAME,
    CSR_BASIC_CONSTRAINTS,
    CSR_KEY_USAGE,
    CSR_EXTENDED_KEY_USAGE,
    CSR_TLS_FEATURE,
    CSR_SUBJECT_KEY_IDENTIFIER,
    CSR_EXTENSION_COUNT
};

/** OpenSSL's number of an extension's object identifier. */
int csr_extension_nid(enum csr_extension extension);

/** Bits of the first octet of a KeyUsage (RFC 5280 4.2.1.3). */
enum { CSR_DIGITAL_SIGNATURE = 0x80, CSR_KEY_ENCIPHERMENT = 0x20 };

/** Octets of a subjectKeyIdentifier: SHA-1. */
enum { CSR_KEY_IDENTIFIER_SIZE = 20 };

/** Purposes of an ExtKeyUsage that are allowed: serverAuth, clientAuth. */
enum { CSR_PURPOSES_MAX = 2 };

/** Signature algorithms. */
struct csr_algorithm {
    int nid;
    bool rsa; /**< parameters are NULL; the signature is as long as the modulus */
    const char *digest;
};

/** A CSR's contents, in its own order. */
struct csr_fields {
    const char *rule; /**< tag of the rule that refused */

    unsigned cn_tag; /**< type of the common name's string; 0: the subject is empty */
    struct der cn;   /**< may be an empty string, which names nobody */
    size_t cn_name;  /**< which of the names it is */

    enum csr_key key;
    struct der key_value; /**< EC: the point; RSA: the modulus without leading zeros */

    struct {
        enum csr_extension kind;
        bool critical;
    } extensions[CSR_EXTENSION_COUNT];
    size_t extension_count;
    unsigned seen;         /**< bits of enum csr_extension */
    bool attribute_seen;   /**< extensionRequest */
    struct aw_name *names; /**< owned */
    size_t name_count;
    uint8_t key_usage;
    int purposes[CSR_PURPOSES_MAX];
    size_t purpose_count;
    struct der key_identifier; /**< as the CSR has it */

    const struct csr_algorithm *algorithm;
    struct der signature; /**< RSA */
    struct der r, s;      /**< ECDSA; without leading zeros */

    struct der info;     /**< CertificationRequestInfo, whole: what is signed */
    struct der key_info; /**< SubjectPublicKeyInfo, whole */
    struct der key_bits; /**< what its BIT STRING holds */
};

/** Refuses: notes the rule, adds its hint. AW_CODE_SYNTAX. */
AW_MUST_USE aw_result csr_refuse(struct csr_fields *f, enum csr_rule rule, const char *format, ...)
    AW_PRINTF(3, 4);

/** Takes the element `tag` off `in`, or refuses; `what` names it in the message. */
AW_MUST_USE aw_result csr_take(
    struct csr_fields *f, struct der *in, unsigned tag, const char *what, struct der *out);

/** Like csr_take, for a BIT STRING of whole octets. */
AW_MUST_USE aw_result csr_take_bits(
    struct csr_fields *f, struct der *in, const char *what, struct der *out);

/** Refuses octets that are left in `in`. */
AW_MUST_USE aw_result csr_take_end(struct csr_fields *f, const struct der *in, const char *what);

/** read.c: the whole CSR by the grammar, but for what needs it as a whole. */
AW_MUST_USE aw_result csr_read(const uint8_t *der, size_t size, struct csr_fields *f);

/** write.c: writes the CSR anew from its fields; refuses when it is not the very same octets.
 */
AW_MUST_USE aw_result csr_check_same(struct csr_fields *f, const uint8_t *der, size_t size);

/** key.c: reads a SubjectPublicKeyInfo off the front of `in`. */
AW_MUST_USE aw_result csr_key_read(struct csr_fields *f, struct der *in);

/** key.c: writes it. */
void csr_key_write(const struct csr_fields *f, struct der_writer *w);

/** key.c: refuses a weak key, a point off the curve, a signature that is not of this key. */
AW_MUST_USE aw_result csr_key_verify(
    struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties);

/** key.c: refuses a subjectKeyIdentifier that is not the key's. */
AW_MUST_USE aw_result csr_key_identifier_check(
    struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties);

/** rsa.c: refuses a modulus that is known to be unsafe. */
AW_MUST_USE aw_result csr_rsa_check(struct csr_fields *f);

#endif
