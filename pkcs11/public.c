#include "pkcs11/public.h"

#include <stdlib.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/openssl.h"
#include "pkcs11/internal.h"
#include "pkcs11/keytype.h"

/* Room for an attribute of a public key: an RSA-4096 modulus, with some to spare. */
enum { VALUE_MAX = 1024 };

/* An attribute's octets. */
struct value {
    uint8_t bytes[VALUE_MAX];
    size_t size;
};

/* What the token says of a public key. */
struct parts {
    enum token_key_type type;
    struct value first;  /* EC: the point, uncompressed; RSA: the modulus */
    struct value second; /* RSA: the exponent */
};

static aw_result
read_value(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, struct value *out)
{
    CK_ATTRIBUTE attribute = {type, out->bytes, sizeof(out->bytes)};

    AW_TRY(token_attribute_read(s, object, &attribute));
    out->size = attribute.ulValueLen;
    return AW_OK;
}

/*
 * CKA_EC_POINT is an OCTET STRING that holds the point (PKCS#11 v2.40, 2.3.3); some tokens give the
 * point bare. The lengths tell them apart.
 */
static aw_result
unwrap_point(struct value *point, size_t field_size)
{
    size_t bare = 1 + 2 * field_size;
    const unsigned char *at = point->bytes;

    if (point->size != bare) {
        ASN1_OCTET_STRING *octets = d2i_ASN1_OCTET_STRING(NULL, &at, (long)point->size);
        bool good = octets != NULL && at == point->bytes + point->size &&
                    (size_t)ASN1_STRING_length(octets) == bare;
        if (good)
            memmove(point->bytes, ASN1_STRING_get0_data(octets), bare);
        ASN1_OCTET_STRING_free(octets);
        if (!good)
            return aw_fail(AW_CODE_TOKEN,
                "the token's EC_POINT (%zu octets) is no point of %zu octets", point->size, bare);
        point->size = bare;
    }
    if (point->bytes[0] != 0x04)
        return aw_fail(AW_CODE_TOKEN, "the token's EC_POINT is not an uncompressed point");
    return AW_OK;
}

static aw_result
read_ec(struct token_session *s, CK_OBJECT_HANDLE object, struct parts *out)
{
    AW_TRY(read_value(s, object, CKA_EC_PARAMS, &out->first));
    AW_TRY(token_key_type_of_curve(out->first.bytes, out->first.size, &out->type));
    AW_TRY(read_value(s, object, CKA_EC_POINT, &out->first));
    return unwrap_point(&out->first, token_key_form(out->type)->field_size);
}

static void
strip_zeros(struct value *number)
{
    size_t zeros = 0;

    while (zeros + 1 < number->size && number->bytes[zeros] == 0)
        zeros++;
    number->size -= zeros;
    memmove(number->bytes, number->bytes + zeros, number->size);
}

static aw_result
read_rsa(struct token_session *s, CK_OBJECT_HANDLE object, struct parts *out)
{
    unsigned bits;

    AW_TRY(read_value(s, object, CKA_MODULUS, &out->first));
    AW_TRY(read_value(s, object, CKA_PUBLIC_EXPONENT, &out->second));
    strip_zeros(&out->first);
    strip_zeros(&out->second);
    if (out->first.size == 0 || out->second.size == 0)
        return aw_fail(AW_CODE_TOKEN, "the token's RSA public key is empty");
    bits = (unsigned)(out->first.size * 8);
    for (uint8_t top = out->first.bytes[0]; (top & 0x80) == 0 && bits > 0; bits--)
        top = (uint8_t)(top << 1);
    return token_key_type_of_bits(bits, &out->type);
}

/* The key as OpenSSL's parameters. */

static bool
push_ec(OSSL_PARAM_BLD *builder, const struct parts *parts)
{
    return OSSL_PARAM_BLD_push_utf8_string(
               builder, OSSL_PKEY_PARAM_GROUP_NAME, token_key_form(parts->type)->curve, 0) == 1 &&
           OSSL_PARAM_BLD_push_octet_string(
               builder, OSSL_PKEY_PARAM_PUB_KEY, parts->first.bytes, parts->first.size) == 1;
}

static aw_result
import_key(const token *t, OSSL_PARAM_BLD *builder, const char *type, EVP_PKEY **out)
{
    AW_CLEANUP(aw_params_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(t->libctx, type, t->properties);

    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, out, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return aw_fail_openssl("the token's public key is not a valid %s key", type);
    return AW_OK;
}

static aw_result
make_ec(const token *t, const struct parts *parts, EVP_PKEY **out)
{
    AW_CLEANUP(aw_param_builder_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

    if (builder == NULL || !push_ec(builder, parts))
        return aw_fail_openssl("can't describe the token's public key");
    return import_key(t, builder, "EC", out);
}

static aw_result
make_rsa(const token *t, const struct parts *parts, EVP_PKEY **out)
{
    AW_CLEANUP(aw_param_builder_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    AW_CLEANUP(aw_bn_free) BIGNUM *n = BN_bin2bn(parts->first.bytes, (int)parts->first.size, NULL);
    AW_CLEANUP(aw_bn_free)
    BIGNUM *e = BN_bin2bn(parts->second.bytes, (int)parts->second.size, NULL);

    if (builder == NULL || n == NULL || e == NULL ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1)
        return aw_fail_openssl("can't describe the token's public key");
    return import_key(t, builder, "RSA", out);
}

static aw_result
check_key(const token *t, EVP_PKEY *key)
{
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(t->libctx, key, t->properties);

    if (context == NULL || EVP_PKEY_public_check(context) != 1)
        return aw_fail_openssl("the token's public key fails OpenSSL's check");
    return AW_OK;
}

/* RFC 7638 3.2: members in lexicographic order, no white space. */
static aw_result
write_jwk(struct token_public *key, const struct parts *parts)
{
    AW_CLEANUP(aw_free) char *first = NULL;
    AW_CLEANUP(aw_free) char *second = NULL;
    const struct token_key_form *form = token_key_form(parts->type);

    if (form->curve != NULL) {
        const uint8_t *x = parts->first.bytes + 1;
        AW_TRY(aw_b64url_encode_new(x, form->field_size, &first));
        AW_TRY(aw_b64url_encode_new(x + form->field_size, form->field_size, &second));
        return aw_format(&key->jwk, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
            form->curve, first, second);
    }
    AW_TRY(aw_b64url_encode_new(parts->first.bytes, parts->first.size, &first));
    AW_TRY(aw_b64url_encode_new(parts->second.bytes, parts->second.size, &second));
    return aw_format(&key->jwk, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", second, first);
}

static aw_result
derive_forms(const token *t, const struct parts *parts, struct token_public *key)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    AW_TRY(check_key(t, key->key));
    int size = i2d_PUBKEY(key->key, &key->spki);
    if (size <= 0)
        return aw_fail_openssl("can't encode the token's public key");
    key->spki_size = (size_t)size;
    AW_TRY(write_jwk(key, parts));
    if (EVP_Digest(key->jwk, strlen(key->jwk), digest, NULL, t->sha256, NULL) != 1)
        return aw_fail_openssl("can't make the key's thumbprint");
    aw_b64url_encode(digest, 32, key->thumbprint);
    return AW_OK;
}

static aw_result
make_public(const token *t, const struct parts *parts, struct token_public **out)
{
    AW_CLEANUP(token_public_free) struct token_public *key = calloc(1, sizeof(*key));

    if (key == NULL)
        return aw_fail_memory();
    key->type = parts->type;
    if (token_key_form(parts->type)->curve != NULL)
        AW_TRY(make_ec(t, parts, &key->key));
    else
        AW_TRY(make_rsa(t, parts, &key->key));
    AW_TRY(derive_forms(t, parts, key));
    *out = AW_MOVE(key);
    return AW_OK;
}

/* The public object of that ID, or the private one when there is none. */
static aw_result
choose_object(struct token_session *s, CK_OBJECT_HANDLE private_key,
    const struct token_object_name *name, CK_OBJECT_HANDLE *out)
{
    *out = private_key;
    if (name->id_size == 0)
        return AW_OK;
    aw_result r = token_object_find_one(s, name, out);
    return r.code == AW_CODE_TOKEN_KEY_MISSING ? AW_OK : r;
}

static aw_result
read_parts(
    struct token_session *s, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE object, struct parts *out)
{
    CK_KEY_TYPE type = CKK_VENDOR_DEFINED;
    CK_ATTRIBUTE attribute = {CKA_KEY_TYPE, &type, sizeof(type)};

    AW_TRY(token_attribute_read(s, key, &attribute));
    if (type == CKK_EC)
        return read_ec(s, object, out);
    if (type == CKK_RSA)
        return read_rsa(s, object, out);
    return aw_hint(
        aw_fail(AW_CODE_UNSUPPORTED, "the key is neither EC nor RSA (key type 0x%lx)", type),
        "make account keys with \"acmeward-admin account create\"");
}

aw_result
token_public_read(struct token_session *s, CK_OBJECT_HANDLE private_key, const uint8_t *id,
    size_t id_size, struct token_public **out)
{
    const struct token_object_name name = {
        .class = CKO_PUBLIC_KEY, .id = id, .id_size = id_size, .what = "public key"};
    CK_OBJECT_HANDLE object;
    struct parts parts;

    AW_TRY(choose_object(s, private_key, &name, &object));
    AW_TRY(read_parts(s, private_key, object, &parts));
    return make_public(s->owner, &parts, out);
}

static aw_result
digest_parts(const token *t, const struct parts *parts, uint8_t *out)
{
    AW_CLEANUP(token_public_free) struct token_public *key = NULL;

    AW_TRY(make_public(t, parts, &key));
    if (EVP_Digest(key->spki, key->spki_size, out, NULL, t->sha256, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    return AW_OK;
}

aw_result
token_public_digest_read(
    struct token_session *s, CK_OBJECT_HANDLE object, uint8_t *out, bool *known)
{
    struct parts parts;
    aw_result r = read_parts(s, object, object, &parts);

    if (aw_ok(r))
        r = digest_parts(s->owner, &parts, out);
    *known = aw_ok(r);
    if (r.code == AW_CODE_MEMORY || s->answer != CKR_OK)
        return r;
    return AW_OK; /* the object is what does not tell: the token is well */
}

void
token_public_free(struct token_public **key)
{
    if (key == NULL || *key == NULL)
        return;
    EVP_PKEY_free((*key)->key);
    OPENSSL_free((*key)->spki);
    free((*key)->jwk);
    free(*key);
    *key = NULL;
}

const EVP_MD *
token_public_digest(const token *t, enum token_key_type type)
{
    return type == TOKEN_KEY_EC_P384 ? t->sha384 : t->sha256;
}
