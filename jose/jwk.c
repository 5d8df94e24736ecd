/* Public keys as JSON. The canonical text is written first (RFC 7638 3.2), then loaded. */
#include "jose/jwk.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "common/openssl.h"

enum {
    NUMBER_MAX = JOSE_RSA_BITS_MAX / 8, /* octets of the longest member */
    NUMBER_TEXT_MAX = AW_B64URL_LENGTH(NUMBER_MAX),
};

/* Kinds by `kty` and `crv`; `size`: octets of a coordinate (RFC 7518 6.2.1.2, RFC 8037 2). */
static const struct {
    const char *kty, *crv;
    size_t size;
    const char *openssl; /* key type */
    const char *group;
} kinds[] = {
    [JOSE_EC_P256] = {"EC", "P-256", 32, "EC", "P-256"},
    [JOSE_EC_P384] = {"EC", "P-384", 48, "EC", "P-384"},
    [JOSE_EC_P521] = {"EC", "P-521", 66, "EC", "P-521"},
    [JOSE_RSA] = {"RSA", NULL, 0, "RSA", NULL},
    [JOSE_ED25519] = {"OKP", "Ed25519", 32, "ED25519", NULL},
};

/* The one that CAs take. */
static const uint8_t exponent[] = {1, 0, 1};

struct number {
    const char *text;
    uint8_t bytes[NUMBER_MAX];
    size_t size;
};

struct members {
    enum jose_key type;
    struct number first, second; /* x and y, or n and e; x alone */
};

static aw_result
take_number(const cJSON *json, const char *name, struct number *out)
{
    AW_TRY(aw_json_string(json, name, NUMBER_TEXT_MAX, &out->text));
    AW_TRY(aw_context(
        aw_b64url_decode(out->text, strlen(out->text), out->bytes, sizeof(out->bytes), &out->size),
        "the JWK's \"%s\"", name));
    if (out->size == 0)
        return aw_fail(AW_CODE_SYNTAX, "the JWK's \"%s\" is empty", name);
    return AW_OK;
}

/* RFC 7518 6.2.2, 6.3.2, 6.4.1, RFC 8037 2: whoever sends these has given a secret away. */
static aw_result
check_public(const cJSON *json)
{
    static const char *const private[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

    for (size_t i = 0; i < AW_COUNT(private); i++)
        if (aw_json_member(json, private[i]) != NULL)
            return aw_hint(
                aw_fail(AW_CODE_SYNTAX, "the JWK holds the private member \"%s\"", private[i]),
                "that key is no longer secret: make the ACME client a new one");
    return AW_OK;
}

static aw_result
find_kind(const cJSON *json, enum jose_key *out)
{
    const char *kty, *crv = NULL, *use;

    AW_TRY(aw_json_string(json, "kty", 16, &kty));
    AW_TRY(aw_json_optional_string(json, "use", 16, &use));
    if (strcmp(kty, "RSA") != 0)
        AW_TRY(aw_json_string(json, "crv", 32, &crv));
    if (use != NULL && strcmp(use, "sig") != 0)
        return aw_fail(AW_CODE_SYNTAX, "the JWK's \"use\" is not \"sig\"");
    for (unsigned i = 0; i < AW_COUNT(kinds); i++)
        if (strcmp(kinds[i].kty, kty) == 0 &&
            (crv == NULL || (kinds[i].crv != NULL && strcmp(kinds[i].crv, crv) == 0))) {
            *out = i;
            return AW_OK;
        }
    return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "a key of this kind is not accepted"),
        "use EC on P-256, P-384 or P-521, RSA of %d to %d bits, or Ed25519", JOSE_RSA_BITS_MIN,
        JOSE_RSA_BITS_MAX);
}

static aw_result
check_rsa(const struct members *m)
{
    const struct number *n = &m->first, *e = &m->second;

    if (n->bytes[0] == 0)
        return aw_fail(AW_CODE_SYNTAX, "the JWK's \"n\" begins with a zero octet");
    if ((n->bytes[0] & 0x80) == 0 || n->size < JOSE_RSA_BITS_MIN / 8)
        return aw_fail(AW_CODE_UNSUPPORTED,
            "the RSA key's length is not a multiple of 8 bits from %d to %d", JOSE_RSA_BITS_MIN,
            JOSE_RSA_BITS_MAX);
    if ((n->bytes[n->size - 1] & 1) == 0)
        return aw_fail(AW_CODE_UNSUPPORTED, "the RSA modulus is even");
    if (e->size != sizeof(exponent) || memcmp(e->bytes, exponent, sizeof(exponent)) != 0)
        return aw_fail(AW_CODE_UNSUPPORTED, "the RSA exponent is not 65537");
    return AW_OK;
}

static aw_result
check_curve(const struct members *m)
{
    size_t size = kinds[m->type].size;

    if (m->first.size != size || (kinds[m->type].group != NULL && m->second.size != size))
        return aw_fail(AW_CODE_SYNTAX, "a coordinate of a %s key has %zu octets, no more, no fewer",
            kinds[m->type].crv, size);
    return AW_OK;
}

static aw_result
read_members(const cJSON *json, struct members *m)
{
    if (!cJSON_IsObject(json))
        return aw_fail(AW_CODE_SYNTAX, "the JWK is not an object");
    AW_TRY(check_public(json));
    AW_TRY(find_kind(json, &m->type));
    if (m->type == JOSE_RSA) {
        AW_TRY(take_number(json, "n", &m->first));
        AW_TRY(take_number(json, "e", &m->second));
        return check_rsa(m);
    }
    AW_TRY(take_number(json, "x", &m->first));
    if (m->type != JOSE_ED25519)
        AW_TRY(take_number(json, "y", &m->second));
    return check_curve(m);
}

/* Members in the order of their names (RFC 7638 3.3; RFC 8037 appendix A.3). */
static aw_result
write_text(const struct members *m, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    if (m->type == JOSE_RSA) {
        aw_json_pair(&w, "e", m->second.text);
        aw_json_pair(&w, "kty", "RSA");
        aw_json_pair(&w, "n", m->first.text);
    } else {
        aw_json_pair(&w, "crv", kinds[m->type].crv);
        aw_json_pair(&w, "kty", kinds[m->type].kty);
        aw_json_pair(&w, "x", m->first.text);
        if (m->type != JOSE_ED25519)
            aw_json_pair(&w, "y", m->second.text);
    }
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

static OSSL_PARAM *
make_rsa(const struct members *m, OSSL_PARAM_BLD *builder)
{
    AW_CLEANUP(aw_bn_free)
    BIGNUM *n = BN_bin2bn(m->first.bytes, (int)m->first.size, NULL);
    AW_CLEANUP(aw_bn_free) BIGNUM *e = BN_bin2bn(m->second.bytes, (int)m->second.size, NULL);

    if (n == NULL || e == NULL || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return NULL;
    return OSSL_PARAM_BLD_to_param(builder);
}

static OSSL_PARAM *
make_parameters(const struct members *m)
{
    AW_CLEANUP(aw_param_builder_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    uint8_t point[1 + 2 * NUMBER_MAX] = {0x04};
    const uint8_t *key = m->first.bytes;
    size_t size = m->first.size;

    if (builder == NULL || m->type == JOSE_RSA)
        return builder == NULL ? NULL : make_rsa(m, builder);
    if (m->type != JOSE_ED25519) {
        memcpy(point + 1, m->first.bytes, size);
        memcpy(point + 1 + size, m->second.bytes, size);
        key = point;
        size = 1 + 2 * size;
        if (OSSL_PARAM_BLD_push_utf8_string(
                builder, OSSL_PKEY_PARAM_GROUP_NAME, kinds[m->type].group, 0) != 1)
            return NULL;
    }
    if (OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, key, size) != 1)
        return NULL;
    return OSSL_PARAM_BLD_to_param(builder);
}

/* OpenSSL refuses a point that is not on its curve (SP 800-56A 5.6.2.3.4). */
static aw_result
load_key(const struct members *m, const struct jose_openssl *openssl, EVP_PKEY **out)
{
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context =
        EVP_PKEY_CTX_new_from_name(openssl->libctx, kinds[m->type].openssl, openssl->properties);

    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1)
        return aw_fail_openssl("preparing to load a public key");
    AW_CLEANUP(aw_params_free) OSSL_PARAM *parameters = make_parameters(m);
    if (parameters == NULL)
        return aw_fail_memory();
    if (EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, parameters) == 1)
        return AW_OK;
    if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        return aw_fail_openssl("loading a public key");
    ERR_clear_error();
    return aw_fail(AW_CODE_UNSUPPORTED, "the JWK is no point of its curve");
}

/* A refusal counts when OpenSSL gives it twice. When it lacks memory for a moment, it says of a
 * good point that it is on no curve, and its error queue does not always tell. */
static aw_result
load_key_surely(const struct members *m, const struct jose_openssl *openssl, EVP_PKEY **out)
{
    aw_result r = load_key(m, openssl, out);

    return r.code == AW_CODE_UNSUPPORTED ? load_key(m, openssl, out) : r;
}

static enum jose_fault
fault_of(aw_result r)
{
    if (r.code == AW_CODE_UNSUPPORTED)
        return JOSE_BAD_KEY;
    return r.code == AW_CODE_SYNTAX || r.code == AW_CODE_LIMIT ? JOSE_BAD_FORM : JOSE_NO_FAULT;
}

static aw_result
parse(const cJSON *json, const struct jose_openssl *openssl, struct jose_jwk *jwk)
{
    struct members m = {0};

    AW_TRY(read_members(json, &m));
    jwk->type = m.type;
    AW_TRY(load_key_surely(&m, openssl, &jwk->key));
    AW_TRY(write_text(&m, &jwk->text));
    if (EVP_Q_digest(openssl->libctx, "SHA256", openssl->properties, jwk->text, strlen(jwk->text),
            jwk->thumbprint, NULL) != 1)
        return aw_fail_openssl("hashing a public key");
    return AW_OK;
}

aw_result
jose_jwk_parse(const cJSON *json, const struct jose_openssl *openssl, enum jose_fault *fault,
    struct jose_jwk **out)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = calloc(1, sizeof(*jwk));

    *fault = JOSE_NO_FAULT;
    if (jwk == NULL)
        return aw_fail_memory();
    aw_result r = parse(json, openssl, jwk);
    *fault = fault_of(r);
    AW_TRY(r);
    *out = AW_MOVE(jwk);
    return AW_OK;
}

aw_result
jose_jwk_parse_text(const char *text, const struct jose_openssl *openssl, enum jose_fault *fault,
    struct jose_jwk **out)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    aw_result r = aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json);
    *fault = fault_of(r);
    AW_TRY(r);
    return jose_jwk_parse(json, openssl, fault, out);
}

void
jose_thumbprint_text(const uint8_t thumbprint[JOSE_THUMBPRINT_SIZE], char out[JOSE_THUMBPRINT_TEXT])
{
    aw_b64url_encode(thumbprint, JOSE_THUMBPRINT_SIZE, out);
}

void
jose_jwk_free(struct jose_jwk **jwk)
{
    if (*jwk == NULL)
        return;
    EVP_PKEY_free((*jwk)->key);
    free((*jwk)->text);
    free(*jwk);
    *jwk = NULL;
}

static bool
has_digest(const struct jose_openssl *openssl, const char *name)
{
    EVP_MD *digest = EVP_MD_fetch(openssl->libctx, name, openssl->properties);

    EVP_MD_free(digest);
    return digest != NULL;
}

static bool
has_key(const struct jose_openssl *openssl, const char *name)
{
    EVP_KEYMGMT *key = EVP_KEYMGMT_fetch(openssl->libctx, name, openssl->properties);

    EVP_KEYMGMT_free(key);
    return key != NULL;
}

static bool
has_signature(const struct jose_openssl *openssl, const char *name)
{
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(openssl->libctx, name, openssl->properties);

    EVP_SIGNATURE_free(signature);
    return signature != NULL;
}

static bool
has_mac(const struct jose_openssl *openssl, const char *name)
{
    EVP_MAC *mac = EVP_MAC_fetch(openssl->libctx, name, openssl->properties);

    EVP_MAC_free(mac);
    return mac != NULL;
}

/* Ed25519 may be missing: a provider of FIPS 140 has none; such keys are refused then. */
aw_result
jose_prepare(const struct jose_openssl *openssl)
{
    static const struct {
        bool (*has)(const struct jose_openssl *openssl, const char *name);
        const char *name;
    } needed[] = {{has_digest, "SHA256"}, {has_digest, "SHA384"}, {has_digest, "SHA512"},
        {has_key, "EC"}, {has_key, "RSA"}, {has_signature, "ECDSA"}, {has_signature, "RSA"},
        {has_mac, "HMAC"}};

    for (size_t i = 0; i < AW_COUNT(needed); i++)
        if (!needed[i].has(openssl, needed[i].name))
            return aw_hint(aw_fail_openssl("OpenSSL offers no %s to verify JWSs", needed[i].name),
                "load a provider that has it in OpenSSL's configuration file");
    if (!has_key(openssl, "ED25519") || !has_signature(openssl, "ED25519"))
        ERR_clear_error();
    return AW_OK;
}
