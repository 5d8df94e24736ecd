/* SubjectPublicKeyInfo (RFC 5280 4.1.2.7, RFC 3279 2.3.1, RFC 5480 2) and the CSR's own signature.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

#include "common/openssl.h"
#include "csr/fields.h"

/* The one exponent. */
static const uint8_t exponent[] = {1, 0, 1};

/* Key types: `bits` of the modulus, or the curve with the octets of a coordinate. */
static const struct {
    size_t bits;
    int curve;
    size_t coordinate;
    const char *group;
} keys[] = {
    [CSR_KEY_EC_P256] = {0, NID_X9_62_prime256v1, 32, "P-256"},
    [CSR_KEY_EC_P384] = {0, NID_secp384r1, 48, "P-384"},
    [CSR_KEY_RSA_2048] = {2048, 0, 0, NULL},
    [CSR_KEY_RSA_3072] = {3072, 0, 0, NULL},
    [CSR_KEY_RSA_4096] = {4096, 0, 0, NULL},
};

static size_t
count_bits(const struct der *number)
{
    size_t bits = number->size * 8;

    if (number->size > 0)
        for (uint8_t top = number->data[0]; (top & 0x80) == 0; top = (uint8_t)(top << 1))
            bits--;
    return bits;
}

static bool
find_rsa(size_t bits, enum csr_key *out)
{
    for (unsigned i = 0; i < AW_COUNT(keys); i++)
        if (keys[i].bits == bits && bits != 0) {
            *out = i;
            return true;
        }
    return false;
}

/* RSAPublicKey (RFC 8017 A.1.1) */
static aw_result
read_rsa(struct csr_fields *f, struct der *parameters, struct der bits)
{
    struct der null, key, e;

    AW_TRY(csr_take(f, parameters, DER_NULL, "the RSA key's NULL", &null));
    AW_TRY(csr_take(f, &bits, DER_SEQUENCE, "the RSA key", &key));
    AW_TRY(csr_take_end(f, &bits, "the RSA key"));
    AW_TRY(csr_take(f, &key, DER_INTEGER, "the RSA modulus", &f->key_value));
    AW_TRY(csr_take(f, &key, DER_INTEGER, "the RSA exponent", &e));
    AW_TRY(csr_take_end(f, &key, "the RSA key"));
    f->key_value = der_trim(f->key_value);
    e = der_trim(e);
    if (!find_rsa(count_bits(&f->key_value), &f->key))
        return csr_refuse(
            f, CSR_BAD_KEY_RSA_BITS, "an RSA key of %zu bits", count_bits(&f->key_value));
    if (e.size != sizeof(exponent) || memcmp(e.data, exponent, sizeof(exponent)) != 0)
        return csr_refuse(f, CSR_BAD_KEY_RSA_EXPONENT, "an RSA exponent other than 65537");
    return AW_OK;
}

static aw_result
read_curve(struct csr_fields *f, struct der *parameters)
{
    struct der oid;
    char text[128];

    if (der_next(parameters) != DER_OID)
        return csr_refuse(f, CSR_BAD_KEY_EXPLICIT_CURVE,
            "an EC key whose curve is not named (element 0x%02x)", der_next(parameters));
    AW_TRY(csr_take(f, parameters, DER_OID, "the curve", &oid));
    for (unsigned i = 0; i < AW_COUNT(keys); i++)
        if (keys[i].curve != 0 && der_is_oid(&oid, keys[i].curve)) {
            f->key = i;
            return AW_OK;
        }
    der_oid_text(&oid, text, sizeof(text));
    return csr_refuse(f, CSR_BAD_KEY_CURVE, "an EC key on the curve %s", text);
}

static aw_result
read_ec(struct csr_fields *f, struct der *parameters, struct der bits)
{
    AW_TRY(read_curve(f, parameters));
    size_t expected = 1 + 2 * keys[f->key].coordinate;
    if (bits.size != expected || bits.data[0] != 0x04)
        return csr_refuse(f, CSR_BAD_KEY_POINT,
            "an EC point of %zu octets, expected 0x04 and %zu more", bits.size, expected - 1);
    f->key_value = bits;
    return AW_OK;
}

aw_result
csr_key_read(struct csr_fields *f, struct der *in)
{
    struct der key_info, algorithm, oid, bits;
    char text[128];

    f->key_info.data = in->data;
    AW_TRY(csr_take(f, in, DER_SEQUENCE, "SubjectPublicKeyInfo", &key_info));
    f->key_info.size = (size_t)(in->data - f->key_info.data);
    AW_TRY(csr_take(f, &key_info, DER_SEQUENCE, "the key's algorithm", &algorithm));
    AW_TRY(csr_take(f, &algorithm, DER_OID, "the key's algorithm", &oid));
    AW_TRY(csr_take_bits(f, &key_info, "the public key", &bits));
    AW_TRY(csr_take_end(f, &key_info, "SubjectPublicKeyInfo"));
    f->key_bits = bits;
    der_oid_text(&oid, text, sizeof(text));
    if (der_is_oid(&oid, NID_rsaEncryption))
        AW_TRY(read_rsa(f, &algorithm, bits));
    else if (der_is_oid(&oid, NID_X9_62_id_ecPublicKey))
        AW_TRY(read_ec(f, &algorithm, bits));
    else
        return csr_refuse(f, CSR_BAD_KEY_TYPE, "a key of the type %s", text);
    return csr_take_end(f, &algorithm, "the key's algorithm");
}

static void
write_rsa(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    der_put_unsigned(w, exponent, sizeof(exponent));
    der_put_unsigned(w, f->key_value.data, f->key_value.size);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap_bits(w, end);
    end = w->begin;
    der_put_element(w, DER_NULL, NULL, 0);
    der_put_oid(w, NID_rsaEncryption);
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_ec(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    der_put(w, f->key_value.data, f->key_value.size);
    der_wrap_bits(w, end);
    end = w->begin;
    der_put_oid(w, keys[f->key].curve);
    der_put_oid(w, NID_X9_62_id_ecPublicKey);
    der_wrap(w, DER_SEQUENCE, end);
}

void
csr_key_write(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    if (keys[f->key].bits != 0)
        write_rsa(f, w);
    else
        write_ec(f, w);
    der_wrap(w, DER_SEQUENCE, end);
}

static bool
has_digest(OSSL_LIB_CTX *libctx, const char *name, const char *properties)
{
    EVP_MD *digest = EVP_MD_fetch(libctx, name, properties);

    EVP_MD_free(digest);
    return digest != NULL;
}

static bool
has_key(OSSL_LIB_CTX *libctx, const char *name, const char *properties)
{
    EVP_KEYMGMT *key = EVP_KEYMGMT_fetch(libctx, name, properties);

    EVP_KEYMGMT_free(key);
    return key != NULL;
}

static bool
has_signature(OSSL_LIB_CTX *libctx, const char *name, const char *properties)
{
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(libctx, name, properties);

    EVP_SIGNATURE_free(signature);
    return signature != NULL;
}

/* Of public keys in certificates, asked for as libcrypto does when it reads one: OpenSSL 3.2 and
 * later keep what is found the first time, and for good nothing when memory lacked then. */
static bool
has_decoder(OSSL_LIB_CTX *libctx, const char *name, const char *properties)
{
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *context = OSSL_DECODER_CTX_new_for_pkey(
        &key, "DER", "SubjectPublicKeyInfo", name, EVP_PKEY_PUBLIC_KEY, libctx, NULL);
    bool has = context != NULL && OSSL_DECODER_CTX_get_num_decoders(context) > 0;

    (void)properties; /* the library context's own count there too */
    OSSL_DECODER_CTX_free(context);
    return has;
}

aw_result
csr_prepare(OSSL_LIB_CTX *libctx, const char *properties)
{
    static const struct {
        bool (*has)(OSSL_LIB_CTX *libctx, const char *name, const char *properties);
        const char *name;
    } needed[] = {{has_digest, "SHA256"}, {has_digest, "SHA384"}, {has_digest, "SHA512"},
        {has_digest, "SHA1"}, {has_key, "EC"}, {has_key, "RSA"}, {has_signature, "ECDSA"},
        {has_signature, "RSA"}, {has_decoder, SN_X9_62_id_ecPublicKey},
        {has_decoder, LN_rsaEncryption}};

    for (size_t i = 0; i < AW_COUNT(needed); i++)
        if (!needed[i].has(libctx, needed[i].name, properties))
            return aw_hint(aw_fail_openssl("OpenSSL offers no %s to verify CSRs and certificates",
                               needed[i].name),
                "load a provider that has it in OpenSSL's configuration file");
    return AW_OK;
}

/* RFC 5280 4.2.1.2, method 1: what follows from the key leaves a requester no choice. */
aw_result
csr_key_identifier_check(struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t size = 0;

    if ((f->seen & 1u << CSR_SUBJECT_KEY_IDENTIFIER) == 0)
        return AW_OK;
    if (EVP_Q_digest(
            libctx, "SHA1", properties, f->key_bits.data, f->key_bits.size, digest, &size) != 1 ||
        size != CSR_KEY_IDENTIFIER_SIZE)
        return aw_fail_openssl("SHA-1");
    if (memcmp(f->key_identifier.data, digest, size) == 0)
        return AW_OK;
    return csr_refuse(f, CSR_BAD_EXTENSION_KEY_IDENTIFIER,
        "subjectKeyIdentifier is not the SHA-1 of the public key");
}

/* OpenSSL's parameters of the key; the numbers in them are copies. */
static OSSL_PARAM *
make_parameters(const struct csr_fields *f)
{
    AW_CLEANUP(aw_param_builder_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;

    if (builder == NULL)
        return NULL;
    if (keys[f->key].group != NULL) {
        if (OSSL_PARAM_BLD_push_utf8_string(
                builder, OSSL_PKEY_PARAM_GROUP_NAME, keys[f->key].group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(
                builder, OSSL_PKEY_PARAM_PUB_KEY, f->key_value.data, f->key_value.size) == 1)
            parameters = OSSL_PARAM_BLD_to_param(builder);
        return parameters;
    }
    BIGNUM *n = BN_bin2bn(f->key_value.data, (int)f->key_value.size, NULL);
    BIGNUM *e = BN_bin2bn(exponent, sizeof(exponent), NULL);
    if (n != NULL && e != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        parameters = OSSL_PARAM_BLD_to_param(builder);
    BN_free(n);
    BN_free(e);
    return parameters;
}

/* OpenSSL refuses a point that is not on the curve (SP 800-56A 5.6.2.3.4). */
static aw_result
load_key(struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties, EVP_PKEY **out)
{
    bool ec = keys[f->key].group != NULL;
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(libctx, ec ? "EC" : "RSA", properties);

    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1)
        return aw_fail_openssl("CSR: preparing the public key");
    OSSL_PARAM *parameters = make_parameters(f);
    if (parameters == NULL)
        return aw_fail_memory();
    int rc = EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, parameters);
    OSSL_PARAM_free(parameters);
    if (rc == 1)
        return AW_OK;
    if (!ec || ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        return aw_fail_openssl("CSR: loading the public key");
    ERR_clear_error();
    return csr_refuse(f, CSR_BAD_KEY_POINT, "an EC point that is not on its curve");
}

static aw_result
verify(struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties, EVP_PKEY *key)
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL || EVP_DigestVerifyInit_ex(context, NULL, f->algorithm->digest, libctx,
                               properties, key, NULL) != 1)
        return aw_fail_openssl("CSR: preparing the verification");
    if (EVP_DigestVerify(
            context, f->signature.data, f->signature.size, f->info.data, f->info.size) == 1)
        return AW_OK;
    ERR_clear_error();
    return csr_refuse(f, CSR_BAD_SIGNATURE, "the signature is not one of its own key");
}

static aw_result
load_and_verify(struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties)
{
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *key = NULL;

    AW_TRY(load_key(f, libctx, properties, &key));
    return verify(f, libctx, properties, key);
}

/* A refusal counts when OpenSSL gives it twice. When it lacks memory for a moment, it says of a
 * good point that it is on no curve, and its error queue does not always tell. */
aw_result
csr_key_verify(struct csr_fields *f, OSSL_LIB_CTX *libctx, const char *properties)
{
    if (keys[f->key].bits != 0)
        AW_TRY(csr_rsa_check(f));
    aw_result r = load_and_verify(f, libctx, properties);
    if (r.code != AW_CODE_SYNTAX)
        return r;
    f->rule = NULL;
    return load_and_verify(f, libctx, properties);
}
