#include "softhsm-fixtures/ec_key.h"

#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include "common/io.h"

static void
free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static void
free_bio(BIO **bio)
{
    BIO_free(*bio);
    *bio = NULL;
}

static void
clear_bn(BIGNUM **number)
{
    BN_clear_free(*number);
    *number = NULL;
}

static void
free_octets(ASN1_OCTET_STRING **octets)
{
    ASN1_OCTET_STRING_free(*octets);
    *octets = NULL;
}

static aw_result
read_pem(const char *path, EVP_PKEY **out)
{
    AW_CLEANUP(free_bio) BIO *bio = BIO_new_file(path, "r");

    if (bio == NULL)
        return aw_fail_openssl("can't open %s", path);
    *out = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (*out == NULL)
        return aw_fail_openssl("%s holds no unencrypted private key in PEM form", path);
    if (EVP_PKEY_get_base_id(*out) != EVP_PKEY_EC)
        return aw_fail(AW_CODE_UNSUPPORTED, "%s: the key is not an EC key", path);
    return AW_OK;
}

static aw_result
take_params(EVP_PKEY *pkey, struct fixture_ec_key *out)
{
    char name[64];
    size_t length = 0;
    uint8_t *end = out->params;

    if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &length) != 1)
        return aw_fail_openssl("the EC key is on no named curve");
    const ASN1_OBJECT *curve = OBJ_nid2obj(OBJ_txt2nid(name));
    int size = i2d_ASN1_OBJECT(curve, NULL);
    if (size <= 0 || size > FIXTURE_EC_MAX)
        return aw_fail(AW_CODE_UNSUPPORTED, "the curve %s has no object identifier", name);
    out->params_size = (size_t)i2d_ASN1_OBJECT(curve, &end);
    return AW_OK;
}

static aw_result
take_point(EVP_PKEY *pkey, struct fixture_ec_key *out)
{
    uint8_t raw[FIXTURE_EC_MAX];
    uint8_t *end = out->point;
    size_t size = 0;
    AW_CLEANUP(free_octets) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();

    if (EVP_PKEY_get_octet_string_param(
            pkey, OSSL_PKEY_PARAM_PUB_KEY, raw, sizeof(raw) - 4, &size) != 1)
        return aw_fail_openssl("the EC key has no public point");
    if (octets == NULL || ASN1_OCTET_STRING_set(octets, raw, (int)size) != 1)
        return aw_fail_memory();
    out->point_size = (size_t)i2d_ASN1_OCTET_STRING(octets, &end);
    return AW_OK;
}

static aw_result
take_value(EVP_PKEY *pkey, struct fixture_ec_key *out)
{
    AW_CLEANUP(clear_bn) BIGNUM *number = NULL;
    int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;

    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1)
        return aw_fail_openssl("the EC key has no private value");
    AW_TRY(aw_secret_new((size_t)width, &out->value));
    if (BN_bn2binpad(number, out->value->data, width) != width)
        return aw_fail_openssl("the private value is longer than the field");
    out->value->size = (size_t)width;
    return AW_OK;
}

static aw_result
convert(const char *path, struct fixture_ec_key *out)
{
    AW_CLEANUP(free_key) EVP_PKEY *pkey = NULL;

    AW_TRY(read_pem(path, &pkey));
    AW_TRY(take_params(pkey, out));
    AW_TRY(take_point(pkey, out));
    return take_value(pkey, out);
}

aw_result
fixture_ec_key_read(const char *path, struct fixture_ec_key *out)
{
    memset(out, 0, sizeof(*out));
    aw_result r = convert(path, out);
    if (!aw_ok(r))
        fixture_ec_key_release(out);
    return r;
}

void
fixture_ec_key_release(struct fixture_ec_key *key)
{
    aw_secret_free(&key->value);
}
