/**
 * @file csr_builder.h
 * @brief CSRs for tests, of parts that a test may replace; made and signed at test time.
 *
 * Everything that builder functions return lives until builder_reset().
 */
#ifndef AW_TEST_CSR_BUILDER_H
#define AW_TEST_CSR_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/** Octets. */
typedef struct {
    const uint8_t *data;
    size_t size;
} octets;

/** Releases what was built; keys stay. */
void builder_reset(void);

/** Releases keys too. */
void builder_end(void);

/** Octets of a literal, which may hold NUL. */
#define LITERAL(text) octets_of(text, sizeof(text) - 1)

octets octets_of(const void *data, size_t size);
octets octets_join(const octets *parts, size_t count);
#define JOIN(...) \
    octets_join((octets[]){__VA_ARGS__}, sizeof((octets[]){__VA_ARGS__}) / sizeof(octets))

/** An element in DER. */
octets element(unsigned tag, octets contents);
#define SEQUENCE(...) element(0x30, JOIN(__VA_ARGS__))
#define SET(...) element(0x31, JOIN(__VA_ARGS__))
/** No contents. */
#define NOTHING ((octets){(const uint8_t *)"", 0})

octets oid(const char *dotted);
octets integer(unsigned value);
octets bits(octets contents);

/** Names of a subjectAltName. */
octets dns(const char *text);
octets general_name(unsigned tag, octets contents);

/** An extension. */
octets extension(const char *dotted, octets value);
octets critical_extension(const char *dotted, octets value);
#define SAN_OID "2.5.29.17"
#define BASIC_CONSTRAINTS_OID "2.5.29.19"
#define KEY_USAGE_OID "2.5.29.15"
#define EXTENDED_KEY_USAGE_OID "2.5.29.37"
#define TLS_FEATURE_OID "1.3.6.1.5.5.7.1.24"
#define KEY_IDENTIFIER_OID "2.5.29.14"
#define SERVER_AUTH_OID "1.3.6.1.5.5.7.3.1"
#define CLIENT_AUTH_OID "1.3.6.1.5.5.7.3.2"
octets san(octets names);

/** An attribute with its values. */
octets attribute(const char *dotted, octets values);
#define EXTENSION_REQUEST_OID "1.2.840.113549.1.9.14"
octets extension_request(octets extensions);

/** A subject of one common name; `tag` 0x0c or 0x13. */
octets subject(unsigned tag, octets common_name);
/** One part of a subject. */
octets rdn(const char *dotted, unsigned tag, octets value);

/** Keys, each made when first asked for. */
enum test_key {
    KEY_P256,
    KEY_P256_OTHER,
    KEY_P256_TOKEN, /**< for a test to put into its token */
    KEY_P384,
    KEY_P521,
    KEY_SECP256K1,
    KEY_P256_EXPLICIT,
    KEY_ED25519,
    KEY_RSA_1024,
    KEY_RSA_2047,
    KEY_RSA_2048,
    KEY_RSA_3072,
    KEY_RSA_4096,
    KEY_RSA_EXPONENT_3,
    KEY_RSA_ROCA,         /**< CVE-2017-15361 */
    KEY_RSA_CLOSE_PRIMES, /**< the next prime after the first is the second */
    KEY_RSA_SMALL_FACTOR, /**< 751 */
    KEY_COUNT
};
EVP_PKEY *test_key(enum test_key key);
/** SubjectPublicKeyInfo. */
octets public_key(enum test_key key);

/** The extension subjectKeyIdentifier of a key, by SHA-1 (RFC 5280 4.2.1.2, method 1). */
octets key_identifier(enum test_key key);

/** Parts of a CSR; what is left empty (data NULL) gets its usual value. */
struct csr_parts {
    enum test_key key;  /**< also signs */
    const char *digest; /**< NULL: SHA256 */
    octets version, subject, key_info;
    octets names;            /**< contents of subjectAltName */
    octets more_extensions;  /**< after it */
    octets extensions;       /**< instead of both */
    octets attributes;       /**< instead of all: contents of [0] */
    octets whole_attributes; /**< instead of [0] with its contents */
    octets more_info;        /**< after the attributes */
    octets algorithm;        /**< AlgorithmIdentifier of the signature */
    octets signature;        /**< contents of the BIT STRING, with its first octet */
};

/** The CSR, signed. */
octets csr_of(const struct csr_parts *parts);

/** Replaces the CertificationRequestInfo of a CSR and signs again. */
octets csr_sign(octets info, const struct csr_parts *parts);

/** The CertificationRequestInfo alone. */
octets csr_info(const struct csr_parts *parts);

/** What OpenSSL makes of a CSR, as a second opinion. */
enum { REFERENCE_NAMES_MAX = 128, REFERENCE_NAME_SIZE = 256 };
struct reference {
    bool accepted; /**< parsed without octets left over, signature verified */
    bool same_der; /**< written anew by OpenSSL, not from its cache: the same octets */
    bool odd_name; /**< a name that is neither dNSName nor iPAddress */
    size_t name_count;
    char names[REFERENCE_NAMES_MAX][REFERENCE_NAME_SIZE]; /**< sorted */
};
void reference_read(octets der, struct reference *out);

#endif
