#include "pkcs11/keytype.h"

#include <string.h>

/* RFC 5480 2.1.1.1: secp256r1, secp384r1. */
static const uint8_t oid_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

#define RSA_FORM(size)                                                                         \
    {                                                                                          \
        "rsa-" #size, "RS256", "RSA " #size, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_PKCS, \
            NULL, NULL, 0, 0, size                                                             \
    }

static const struct token_key_form forms[] = {
    [TOKEN_KEY_EC_P256] = {"ec-p256", "ES256", "EC P-256", CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA,
        "P-256", oid_p256, sizeof(oid_p256), 32, 0},
    [TOKEN_KEY_EC_P384] = {"ec-p384", "ES384", "EC P-384", CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA,
        "P-384", oid_p384, sizeof(oid_p384), 48, 0},
    [TOKEN_KEY_RSA_2048] = RSA_FORM(2048),
    [TOKEN_KEY_RSA_3072] = RSA_FORM(3072),
    [TOKEN_KEY_RSA_4096] = RSA_FORM(4096),
};

const struct token_key_form *
token_key_form(enum token_key_type type)
{
    return &forms[type];
}

const char *
token_key_type_name(enum token_key_type type)
{
    return forms[type].name;
}

bool
token_key_type_parse(const char *name, enum token_key_type *out)
{
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        if (strcmp(forms[i].name, name) != 0)
            continue;
        *out = (enum token_key_type)i;
        return true;
    }
    return false;
}

aw_result
token_key_type_of_curve(const void *params, size_t size, enum token_key_type *out)
{
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        if (forms[i].oid == NULL || forms[i].oid_size != size ||
            memcmp(forms[i].oid, params, size) != 0)
            continue;
        *out = (enum token_key_type)i;
        return AW_OK;
    }
    return aw_fail(AW_CODE_UNSUPPORTED, "the EC key is not on a known named curve (P-256, P-384)");
}

aw_result
token_key_type_of_bits(unsigned bits, enum token_key_type *out)
{
    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        if (forms[i].bits == 0 || forms[i].bits != bits)
            continue;
        *out = (enum token_key_type)i;
        return AW_OK;
    }
    return aw_fail(
        AW_CODE_UNSUPPORTED, "the RSA key has %u bits; account keys have 2048, 3072 or 4096", bits);
}
