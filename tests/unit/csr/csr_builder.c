#include "csr_builder.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "csr_rsa.h"

/* What was built, to be released together. */
struct block {
    struct block *next;
    uint8_t data[];
};

static struct block *blocks;
static EVP_PKEY *keys[KEY_COUNT];

static void
die(const char *what)
{
    fprintf(stderr, "csr_builder: %s\n", what);
    abort();
}

static uint8_t *
reserve(size_t size)
{
    struct block *block = malloc(sizeof(*block) + size + 1);

    if (block == NULL)
        die("out of memory");
    block->next = blocks;
    blocks = block;
    return block->data;
}

void
builder_reset(void)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

void
builder_end(void)
{
    builder_reset();
    for (size_t i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY_free(keys[i]);
        keys[i] = NULL;
    }
}

octets
octets_of(const void *data, size_t size)
{
    uint8_t *copy = reserve(size);

    if (size > 0)
        memcpy(copy, data, size);
    return (octets){copy, size};
}

octets
octets_join(const octets *parts, size_t count)
{
    size_t size = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    uint8_t *joined = reserve(size);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(joined + at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    return (octets){joined, size};
}

octets
element(unsigned tag, octets contents)
{
    uint8_t header[6] = {(uint8_t)tag};
    size_t size = contents.size, used = 1;

    if (size < 0x80) {
        header[used++] = (uint8_t)size;
    } else {
        size_t octet_count = size > 0xffff ? 3 : size > 0xff ? 2 : 1;
        header[used++] = (uint8_t)(0x80 | octet_count);
        while (octet_count-- > 0)
            header[used++] = (uint8_t)(size >> (8 * octet_count));
    }
    return JOIN(octets_of(header, used), contents);
}

octets
oid(const char *dotted)
{
    unsigned char *der = NULL;
    ASN1_OBJECT *object = OBJ_txt2obj(dotted, 1);
    int size = object != NULL ? i2d_ASN1_OBJECT(object, &der) : 0;

    if (size <= 0)
        die("object identifier");
    octets out = octets_of(der, (size_t)size);
    OPENSSL_free(der);
    ASN1_OBJECT_free(object);
    return out;
}

octets
integer(unsigned value)
{
    uint8_t octet = (uint8_t)value;

    return element(0x02, octets_of(&octet, 1));
}

octets
bits(octets contents)
{
    return element(0x03, JOIN(LITERAL("\0"), contents));
}

octets
dns(const char *text)
{
    return element(0x82, octets_of(text, strlen(text)));
}

octets
general_name(unsigned tag, octets contents)
{
    return element(tag, contents);
}

octets
extension(const char *dotted, octets value)
{
    return SEQUENCE(oid(dotted), element(0x04, value));
}

octets
critical_extension(const char *dotted, octets value)
{
    return SEQUENCE(oid(dotted), element(0x01, LITERAL("\xff")), element(0x04, value));
}

octets
san(octets names)
{
    return extension(SAN_OID, SEQUENCE(names));
}

octets
attribute(const char *dotted, octets values)
{
    return SEQUENCE(oid(dotted), element(0x31, values));
}

octets
extension_request(octets extensions)
{
    return attribute(EXTENSION_REQUEST_OID, SEQUENCE(extensions));
}

octets
rdn(const char *dotted, unsigned tag, octets value)
{
    return SET(SEQUENCE(oid(dotted), element(tag, value)));
}

octets
subject(unsigned tag, octets common_name)
{
    return SEQUENCE(rdn("2.5.4.3", tag, common_name));
}

/* Keys. */

static EVP_PKEY *
generate(const char *type, const OSSL_PARAM *parameters)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
        (parameters != NULL && EVP_PKEY_CTX_set_params(context, parameters) != 1) ||
        EVP_PKEY_generate(context, &key) != 1)
        die("key generation");
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *
generate_ec(const char *curve, const char *encoding)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)curve, 0),
        OSSL_PARAM_construct_utf8_string(
            OSSL_PKEY_PARAM_EC_ENCODING, (char *)(uintptr_t)encoding, 0),
        OSSL_PARAM_construct_end(),
    };

    return generate("EC", parameters);
}

static EVP_PKEY *
rsa(int size, unsigned e)
{
    EVP_PKEY *key = csr_rsa(size, e);

    if (key == NULL)
        die("RSA key");
    return key;
}

/* The key of two primes, exponent 65537; NULL when they cannot have it. Takes over p and q. */
static EVP_PKEY *
rsa_of_primes(BIGNUM *p, BIGNUM *q)
{
    BN_CTX *bn = BN_CTX_new();
    BIGNUM *n = BN_new(), *e = BN_new(), *d = BN_new(), *phi = BN_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    BN_mul(n, p, q, bn);
    BN_sub_word(p, 1);
    BN_sub_word(q, 1);
    BN_mul(phi, p, q, bn);
    BN_set_word(e, RSA_F4);
    if (BN_mod_inverse(d, e, phi, bn) != NULL) {
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, d);
        OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
        if (EVP_PKEY_fromdata_init(context) != 1 ||
            EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters) != 1)
            die("RSA key of primes");
        OSSL_PARAM_free(parameters);
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n), BN_free(e), BN_free(d), BN_free(phi), BN_free(p), BN_free(q);
    BN_CTX_free(bn);
    return key;
}

static BIGNUM *
random_prime(int size)
{
    BIGNUM *prime = BN_new();

    if (prime == NULL || BN_generate_prime_ex(prime, size, 0, NULL, NULL, NULL) != 1)
        die("prime");
    return prime;
}

static EVP_PKEY *
make_close_primes(void)
{
    BN_CTX *bn = BN_CTX_new();
    EVP_PKEY *key = NULL;

    while (key == NULL) {
        BIGNUM *p = random_prime(1024), *q = BN_dup(p);
        do
            BN_add_word(q, 2);
        while (BN_check_prime(q, bn, NULL) != 1);
        key = rsa_of_primes(p, q);
    }
    BN_CTX_free(bn);
    return key;
}

static EVP_PKEY *
make_small_factor(void)
{
    EVP_PKEY *key = NULL;

    /* BN_generate_prime_ex sets the two top bits, so the product is one of 2048 bits. */
    while (key == NULL) {
        BIGNUM *p = BN_new();
        BN_set_word(p, 751);
        key = rsa_of_primes(p, random_prime(2038));
    }
    return key;
}

/* k * M + (65537^a mod M), M the product of the first 126 primes, as the faulty library made them.
 */
static BIGNUM *
roca_prime(BN_CTX *bn)
{
    BIGNUM *m = BN_new(), *g = BN_new(), *a = BN_new(), *p = BN_new(), *rest = BN_new();

    BN_one(m);
    for (unsigned i = 2, count = 0; count < 126; i++) {
        unsigned d = 2;
        while (d * d <= i && i % d != 0)
            d++;
        if (d * d > i) {
            BN_mul_word(m, i);
            count++;
        }
    }
    BN_set_word(g, RSA_F4);
    do {
        BN_rand(a, 256, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
        BN_mod_exp(rest, g, a, m, bn);
        BN_rand(p, 1024, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
        BN_mod(a, p, m, bn);
        BN_sub(p, p, a);
        BN_add(p, p, rest);
    } while (BN_num_bits(p) != 1024 || BN_check_prime(p, bn, NULL) != 1);
    BN_free(m), BN_free(g), BN_free(a), BN_free(rest);
    return p;
}

static EVP_PKEY *
make_roca(void)
{
    BN_CTX *bn = BN_CTX_new();
    EVP_PKEY *key = NULL;

    while (key == NULL || EVP_PKEY_get_bits(key) != 2048) {
        EVP_PKEY_free(key);
        key = rsa_of_primes(roca_prime(bn), roca_prime(bn));
    }
    BN_CTX_free(bn);
    return key;
}

static EVP_PKEY *
make_key(enum test_key key)
{
    switch (key) {
    case KEY_P256:
    case KEY_P256_OTHER:
    case KEY_P256_TOKEN:
        return generate_ec("P-256", "named_curve");
    case KEY_P384:
        return generate_ec("P-384", "named_curve");
    case KEY_P521:
        return generate_ec("P-521", "named_curve");
    case KEY_SECP256K1:
        return generate_ec("secp256k1", "named_curve");
    case KEY_P256_EXPLICIT:
        return generate_ec("P-256", "explicit");
    case KEY_ED25519:
        return generate("ED25519", NULL);
    case KEY_RSA_1024:
        return rsa(1024, RSA_F4);
    case KEY_RSA_2047:
        return rsa(2047, RSA_F4);
    case KEY_RSA_2048:
        return rsa(2048, RSA_F4);
    case KEY_RSA_3072:
        return rsa(3072, RSA_F4);
    case KEY_RSA_4096:
        return rsa(4096, RSA_F4);
    case KEY_RSA_EXPONENT_3:
        return rsa(2048, 3);
    case KEY_RSA_ROCA:
        return make_roca();
    case KEY_RSA_CLOSE_PRIMES:
        return make_close_primes();
    case KEY_RSA_SMALL_FACTOR:
        return make_small_factor();
    case KEY_COUNT:
        break;
    }
    die("no such key");
    return NULL;
}

EVP_PKEY *
test_key(enum test_key key)
{
    if (keys[key] == NULL)
        keys[key] = make_key(key);
    return keys[key];
}

octets
public_key(enum test_key key)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(test_key(key), &der);

    if (size <= 0)
        die("public key");
    octets out = octets_of(der, (size_t)size);
    OPENSSL_free(der);
    return out;
}

octets
key_identifier(enum test_key key)
{
    octets info = public_key(key);
    const unsigned char *der = info.data, *value = NULL;
    X509_PUBKEY *parsed = d2i_X509_PUBKEY(NULL, &der, (long)info.size);
    unsigned char digest[EVP_MAX_MD_SIZE];
    int size = 0;
    size_t written = 0;

    if (parsed == NULL || X509_PUBKEY_get0_param(NULL, &value, &size, NULL, parsed) != 1 ||
        EVP_Q_digest(NULL, "SHA1", NULL, value, (size_t)size, digest, &written) != 1)
        die("key identifier");
    X509_PUBKEY_free(parsed);
    return extension(KEY_IDENTIFIER_OID, element(0x04, octets_of(digest, written)));
}

/* CSRs. */

static octets
or_else(octets part, octets usual)
{
    return part.data != NULL ? part : usual;
}

octets
csr_info(const struct csr_parts *parts)
{
    octets names = or_else(parts->names, dns("www.example.edu"));
    octets extensions = or_else(parts->extensions, JOIN(san(names), parts->more_extensions));
    octets attributes = or_else(parts->attributes, extension_request(extensions));

    return SEQUENCE(or_else(parts->version, integer(0)), or_else(parts->subject, SEQUENCE(NOTHING)),
        or_else(parts->key_info, public_key(parts->key)),
        or_else(parts->whole_attributes, element(0xa0, attributes)), parts->more_info);
}

static octets
usual_algorithm(const struct csr_parts *parts, const char *digest)
{
    int key = EVP_PKEY_get_base_id(test_key(parts->key)), nid = NID_undef;
    char dotted[64];

    if (key == EVP_PKEY_ED25519)
        return SEQUENCE(oid("1.3.101.112"));
    OBJ_find_sigid_by_algs(&nid, EVP_MD_get_type(EVP_get_digestbyname(digest)), key);
    OBJ_obj2txt(dotted, sizeof(dotted), OBJ_nid2obj(nid), 1);
    return SEQUENCE(oid(dotted), key == EVP_PKEY_RSA ? LITERAL("\x05\0") : NOTHING);
}

static octets
sign(octets info, enum test_key key, const char *digest)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t signature[1024] = {0};
    size_t size = sizeof(signature) - 1;
    bool edwards = EVP_PKEY_get_base_id(test_key(key)) == EVP_PKEY_ED25519;

    if (EVP_DigestSignInit_ex(
            context, NULL, edwards ? NULL : digest, NULL, NULL, test_key(key), NULL) != 1 ||
        EVP_DigestSign(context, signature + 1, &size, info.data, info.size) != 1)
        die("signature");
    EVP_MD_CTX_free(context);
    return octets_of(signature, size + 1);
}

octets
csr_sign(octets info, const struct csr_parts *parts)
{
    const char *digest = parts->digest != NULL ? parts->digest : "SHA256";
    octets signature =
        parts->signature.data != NULL ? parts->signature : sign(info, parts->key, digest);

    return SEQUENCE(
        info, or_else(parts->algorithm, usual_algorithm(parts, digest)), element(0x03, signature));
}

octets
csr_of(const struct csr_parts *parts)
{
    return csr_sign(csr_info(parts), parts);
}

/* OpenSSL's reading. */

static void
reference_name(const GENERAL_NAME *name, struct reference *out)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const unsigned char *data = NULL;
    int size = 0;
    char *text = out->names[out->name_count];

    if (out->name_count == REFERENCE_NAMES_MAX || (type != GEN_DNS && type != GEN_IPADD)) {
        out->odd_name = true;
        return;
    }
    data = ASN1_STRING_get0_data(value);
    size = ASN1_STRING_length(value);
    if (type == GEN_DNS)
        snprintf(text, REFERENCE_NAME_SIZE, "%.*s", size, (const char *)data);
    else
        inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, REFERENCE_NAME_SIZE);
    out->name_count++;
}

static void
reference_names(X509_REQ *request, struct reference *out)
{
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        reference_name(sk_GENERAL_NAME_value(names, i), out);
    qsort(out->names, out->name_count, REFERENCE_NAME_SIZE,
        (int (*)(const void *, const void *))strcmp);
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

void
reference_read(octets der, struct reference *out)
{
    const unsigned char *at = der.data;
    unsigned char *again = NULL;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.size);

    memset(out, 0, sizeof(*out));
    if (request == NULL)
        return;
    out->accepted =
        at == der.data + der.size && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1;
    reference_names(request, out);
    i2d_re_X509_REQ_tbs(request, NULL);
    int size = i2d_X509_REQ(request, &again);
    out->same_der = size > 0 && (size_t)size == der.size && memcmp(again, der.data, der.size) == 0;
    OPENSSL_free(again);
    X509_REQ_free(request);
}
