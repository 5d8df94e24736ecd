#include <openssl/crypto.h>

#include "pkcs11/internal.h"
#include "pkcs11/probe_parts.h"

/* RFC 8017: 65537. */
static const uint8_t exponent[] = {0x01, 0x00, 0x01};

/* CKM_RSA_AES_KEY_WRAP (PKCS#11 v2.40 Current Mechanisms, 2.1.22); p11-kit's header lacks it. */
struct rsa_aes_parameters {
    CK_ULONG bits;
    CK_RSA_PKCS_OAEP_PARAMS *oaep;
};

bool
probe_offers(struct token_session *s, CK_MECHANISM_TYPE mechanism, CK_FLAGS use)
{
    CK_MECHANISM_INFO info = {0};

    return PROBE_CALL(s, C_GetMechanismInfo, s->owner->slot, mechanism, &info) == CKR_OK &&
           (info.flags & use) != 0;
}

/* Making. */

static CK_RV
make_aes(struct token_session *s, CK_ATTRIBUTE_TYPE gift, CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_GEN};
    CK_ULONG size = 32;
    CK_ATTRIBUTE template[] = {token_attribute(CKA_VALUE_LEN, &size, sizeof(size)),
        token_attribute_bool(CKA_TOKEN, false), token_attribute_bool(CKA_UNWRAP, true),
        token_attribute_bool(gift, true)};

    return PROBE_CALL(s, C_GenerateKey, s->handle, &mechanism, template, AW_COUNT(template), out);
}

static CK_RV
make_rsa(struct token_session *s, CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN};
    CK_OBJECT_HANDLE private;
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE public_template[] = {token_attribute(CKA_MODULUS_BITS, &bits, sizeof(bits)),
        token_attribute(CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)),
        token_attribute_bool(CKA_TOKEN, false), token_attribute_bool(CKA_WRAP, true)};
    CK_ATTRIBUTE private_template[] = {
        token_attribute_bool(CKA_TOKEN, false), token_attribute_bool(CKA_UNWRAP, true)};

    return PROBE_CALL(s, C_GenerateKeyPair, s->handle, &mechanism, public_template,
        AW_COUNT(public_template), private_template, AW_COUNT(private_template), out, &private);
}

/* A failed call may have written its output. */
static void
keep(struct probe_tools *tools, CK_RV answer, CK_OBJECT_HANDLE *object)
{
    if (answer == CKR_OK)
        return;
    *object = CK_INVALID_HANDLE;
    if (tools->answer == CKR_OK)
        tools->answer = answer;
}

void
probe_tools_make(struct token_session *s, struct probe_tools *out)
{
    memset(out, 0, sizeof(*out));
    keep(out, make_aes(s, CKA_WRAP, &out->aes), &out->aes);
    keep(out, make_rsa(s, &out->rsa), &out->rsa);
    keep(out, make_aes(s, CKA_EXTRACTABLE, &out->victim), &out->victim);
    if (out->aes == CK_INVALID_HANDLE || out->victim == CK_INVALID_HANDLE)
        return;
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_WRAP};
    out->blob_size = sizeof(out->blob);
    CK_RV answer = PROBE_CALL(
        s, C_WrapKey, s->handle, &mechanism, out->aes, out->victim, out->blob, &out->blob_size);
    if (answer == CKR_OK && out->blob_size <= sizeof(out->blob))
        return;
    out->blob_size = 0;
    if (out->answer == CKR_OK)
        out->answer = answer;
}

/* Using. */

static bool
by_rsa(CK_MECHANISM_TYPE mechanism)
{
    return mechanism == CKM_RSA_PKCS || mechanism == CKM_RSA_PKCS_OAEP ||
           mechanism == CKM_RSA_AES_KEY_WRAP;
}

CK_RV
probe_wrap(struct token_session *s, const struct probe_tools *tools, CK_MECHANISM_TYPE mechanism,
    CK_OBJECT_HANDLE key, CK_ULONG *size)
{
    /* By position: p11-kit 0.25 names the members otherwise than 0.24. */
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    struct rsa_aes_parameters both = {.bits = 256, .oaep = &oaep};
    uint8_t iv[16] = {0};
    uint8_t wrapped[PROBE_ROOM];
    CK_MECHANISM m = {.mechanism = mechanism};
    CK_OBJECT_HANDLE tool = by_rsa(mechanism) ? tools->rsa : tools->aes;

    *size = 0;
    if (tool == CK_INVALID_HANDLE)
        return tools->answer;
    if (mechanism == CKM_RSA_PKCS_OAEP)
        m = (CK_MECHANISM){mechanism, &oaep, sizeof(oaep)};
    else if (mechanism == CKM_RSA_AES_KEY_WRAP)
        m = (CK_MECHANISM){mechanism, &both, sizeof(both)};
    else if (mechanism == CKM_AES_CBC_PAD)
        m = (CK_MECHANISM){mechanism, iv, sizeof(iv)};
    *size = sizeof(wrapped);
    CK_RV answer = PROBE_CALL(s, C_WrapKey, s->handle, &m, tool, key, wrapped, size);
    OPENSSL_cleanse(wrapped, sizeof(wrapped));
    if (answer != CKR_OK)
        *size = 0;
    return answer;
}

CK_RV
probe_unwrap(struct token_session *s, const struct probe_tools *tools, CK_ATTRIBUTE *template,
    CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_WRAP};
    uint8_t blob[sizeof(tools->blob)];

    memcpy(blob, tools->blob, sizeof(blob)); /* Cryptoki's parameter is not const */
    return PROBE_CALL(s, C_UnwrapKey, s->handle, &mechanism, tools->aes, blob, tools->blob_size,
        template, count, out);
}
