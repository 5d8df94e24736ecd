/* Attempts to use a key for what it is not for. */
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "pkcs11/internal.h"
#include "pkcs11/probe_parts.h"

/* Octets to work on: one AES block, or a secret to be unwrapped. */
enum { BLOCK = 16 };

/* A refusal means something if the token has the mechanism for that use at all. */
static void
conclude(struct probe_try *attempt, CK_FLAGS use)
{
    attempt->got = attempt->answer == CKR_OK;
    if (!attempt->got)
        attempt->absent = !probe_offers(attempt->s, attempt->row->type, use);
}

/* A secret that shows itself, in the session only. */
static CK_ULONG
weak_secret(CK_ATTRIBUTE template[8])
{
    static const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static const CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_ULONG count = 0;

    template[count++] = token_attribute(CKA_CLASS, &class, sizeof(class));
    template[count++] = token_attribute(CKA_KEY_TYPE, &type, sizeof(type));
    template[count++] = token_attribute_bool(CKA_TOKEN, false);
    template[count++] = token_attribute_bool(CKA_SENSITIVE, false);
    template[count++] = token_attribute_bool(CKA_EXTRACTABLE, true);
    return count;
}

/* Encryption with the public key is done outside: the token's public object may not encrypt. */
static size_t
encrypt_for(const struct probe_subject *subject, uint8_t *out, size_t room)
{
    static const uint8_t text[BLOCK] = "sixteen octets.";
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(subject->public_key, NULL);
    size_t size = room;

    if (context == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_encrypt(context, out, &size, text, sizeof(text)) != 1)
        size = 0;
    EVP_PKEY_CTX_free(context);
    return size;
}

/* What the key is to decrypt or unwrap. */
static CK_ULONG
ciphertext(const struct probe_try *attempt, uint8_t *out, size_t room)
{
    if (attempt->subject->public_key != NULL)
        return encrypt_for(attempt->subject, out, room);
    memset(out, 0, room);
    return attempt->row->type == CKM_AES_KEY_WRAP ? 3 * BLOCK / 2 : BLOCK;
}

void
probe_decrypt(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t from[TOKEN_SIGNATURE_MAX], to[TOKEN_SIGNATURE_MAX];
    CK_ULONG size = sizeof(to);
    CK_ULONG from_size = ciphertext(attempt, from, sizeof(from));

    attempt->answer = PROBE_CALL(s, C_DecryptInit, s->handle, &mechanism, attempt->subject->object);
    if (attempt->answer == CKR_OK)
        attempt->answer = PROBE_CALL(s, C_Decrypt, s->handle, from, from_size, to, &size);
    conclude(attempt, CKF_DECRYPT);
}

void
probe_encrypt(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t from[BLOCK] = {0}, to[2 * BLOCK];
    CK_ULONG size = sizeof(to);

    attempt->answer = PROBE_CALL(s, C_EncryptInit, s->handle, &mechanism, attempt->subject->object);
    if (attempt->answer == CKR_OK)
        attempt->answer = PROBE_CALL(s, C_Encrypt, s->handle, from, sizeof(from), to, &size);
    conclude(attempt, CKF_ENCRYPT);
}

static CK_RV
sign(struct probe_try *attempt, CK_MECHANISM *mechanism, uint8_t out[TOKEN_MAC_MAX], CK_ULONG *size)
{
    struct token_session *s = attempt->s;
    uint8_t text[BLOCK] = {0};

    *size = TOKEN_MAC_MAX;
    CK_RV answer = PROBE_CALL(s, C_SignInit, s->handle, mechanism, attempt->subject->object);
    if (answer != CKR_OK)
        return answer;
    return PROBE_CALL(s, C_Sign, s->handle, text, sizeof(text), out, size);
}

void
probe_verify(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t text[BLOCK] = {0};
    uint8_t mac[TOKEN_MAC_MAX];
    CK_ULONG size;

    attempt->answer = sign(attempt, &mechanism, mac, &size);
    if (attempt->answer == CKR_OK && size > sizeof(mac))
        attempt->answer = CKR_BUFFER_TOO_SMALL;
    if (attempt->answer == CKR_OK)
        attempt->answer =
            PROBE_CALL(s, C_VerifyInit, s->handle, &mechanism, attempt->subject->object);
    if (attempt->answer == CKR_OK)
        attempt->answer = PROBE_CALL(s, C_Verify, s->handle, text, sizeof(text), mac, size);
    conclude(attempt, CKF_VERIFY);
}

void
probe_other_mac(struct probe_try *attempt)
{
    CK_ULONG octets = 4; /* a MAC that short is soon guessed, octet for octet */
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t mac[TOKEN_MAC_MAX];
    CK_ULONG size;

    if (attempt->row->type == CKM_SHA256_HMAC_GENERAL)
        mechanism = (CK_MECHANISM){attempt->row->type, &octets, sizeof(octets)};
    attempt->answer = sign(attempt, &mechanism, mac, &size);
    conclude(attempt, CKF_SIGN);
}

void
probe_sign_recover(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t text[BLOCK] = {0}, signature[TOKEN_SIGNATURE_MAX];
    CK_ULONG size = sizeof(signature);

    attempt->answer =
        PROBE_CALL(s, C_SignRecoverInit, s->handle, &mechanism, attempt->subject->object);
    if (attempt->answer == CKR_OK)
        attempt->answer =
            PROBE_CALL(s, C_SignRecover, s->handle, text, sizeof(text), signature, &size);
    conclude(attempt, CKF_SIGN_RECOVER);
}

void
probe_digest(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};

    attempt->answer = PROBE_CALL(s, C_DigestInit, s->handle, &mechanism);
    if (attempt->answer == CKR_OK)
        attempt->answer = PROBE_CALL(s, C_DigestKey, s->handle, attempt->subject->object);
    conclude(attempt, CKF_DIGEST);
    if (attempt->answer == CKR_FUNCTION_NOT_SUPPORTED)
        attempt->absent = true;
}

/* Derivation: of the peer's part of ECDH, or of the value itself. */

static CK_RV
derive(struct probe_try *attempt, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE *out)
{
    struct token_session *s = attempt->s;
    CK_ATTRIBUTE template[8];
    CK_ULONG count = weak_secret(template);
    CK_ULONG size = BLOCK;

    template[count++] = token_attribute(CKA_VALUE_LEN, &size, sizeof(size));
    return PROBE_CALL(
        s, C_DeriveKey, s->handle, mechanism, attempt->subject->object, template, count, out);
}

static CK_RV
derive_ecdh(struct probe_try *attempt, CK_OBJECT_HANDLE *out)
{
    uint8_t point[160];
    size_t size = 0;

    /* Any point of the curve will do: its own public key is one. */
    if (EVP_PKEY_get_octet_string_param(attempt->subject->public_key, OSSL_PKEY_PARAM_PUB_KEY,
            point, sizeof(point), &size) != 1)
        return CKR_HOST_MEMORY;
    /* By position: p11-kit 0.25 names the members otherwise than 0.24. */
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, size, point};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &ecdh, sizeof(ecdh)};
    return derive(attempt, &mechanism, out);
}

static CK_RV
derive_value(struct probe_try *attempt, CK_OBJECT_HANDLE *out)
{
    uint8_t zeros[BLOCK] = {0};
    CK_ULONG first_bit = 0;
    CK_KEY_DERIVATION_STRING_DATA data = {zeros, sizeof(zeros)};
    CK_MECHANISM mechanism = {attempt->row->type, &data, sizeof(data)};

    if (attempt->row->type == CKM_EXTRACT_KEY_FROM_KEY)
        mechanism = (CK_MECHANISM){attempt->row->type, &first_bit, sizeof(first_bit)};
    return derive(attempt, &mechanism, out);
}

void
probe_derive(struct probe_try *attempt)
{
    CK_OBJECT_HANDLE derived = CK_INVALID_HANDLE;

    attempt->answer = attempt->row->type == CKM_ECDH1_DERIVE ? derive_ecdh(attempt, &derived)
                                                             : derive_value(attempt, &derived);
    conclude(attempt, CKF_DERIVE);
}

/* Wrapping and unwrapping with the key itself. */

void
probe_wrap_with(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    uint8_t wrapped[PROBE_ROOM];
    CK_ULONG size = sizeof(wrapped);

    attempt->answer = PROBE_CALL(s, C_WrapKey, s->handle, &mechanism, attempt->subject->object,
        attempt->tools->victim, wrapped, &size);
    conclude(attempt, CKF_WRAP);
}

void
probe_unwrap_with(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_MECHANISM mechanism = {.mechanism = attempt->row->type};
    CK_ATTRIBUTE template[8];
    CK_ULONG count = weak_secret(template);
    uint8_t wrapped[TOKEN_SIGNATURE_MAX];
    CK_OBJECT_HANDLE object;
    CK_ULONG size = ciphertext(attempt, wrapped, sizeof(wrapped));

    attempt->answer = PROBE_CALL(s, C_UnwrapKey, s->handle, &mechanism, attempt->subject->object,
        wrapped, size, template, count, &object);
    conclude(attempt, CKF_UNWRAP);
}

/* A wrapping key that says what it unwraps must be like, and somebody who wants it otherwise. */
static CK_RV
make_strict_wrapper(struct token_session *s, CK_OBJECT_HANDLE *out)
{
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_GEN};
    CK_ULONG size = 32;
    CK_ATTRIBUTE inner[] = {
        token_attribute_bool(CKA_SENSITIVE, true), token_attribute_bool(CKA_EXTRACTABLE, false)};
    CK_ATTRIBUTE template[] = {token_attribute(CKA_VALUE_LEN, &size, sizeof(size)),
        token_attribute_bool(CKA_TOKEN, false), token_attribute_bool(CKA_WRAP, true),
        token_attribute_bool(CKA_UNWRAP, true),
        token_attribute(CKA_UNWRAP_TEMPLATE, inner, sizeof(inner))};

    return PROBE_CALL(s, C_GenerateKey, s->handle, &mechanism, template, AW_COUNT(template), out);
}

void
probe_unwrap_template(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    struct probe_tools strict = *attempt->tools;
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_WRAP};
    CK_ATTRIBUTE template[8];
    CK_ULONG count = weak_secret(template);
    CK_OBJECT_HANDLE object;

    strict.blob_size = sizeof(strict.blob);
    attempt->answer = make_strict_wrapper(s, &strict.aes);
    if (attempt->answer == CKR_OK)
        attempt->answer = PROBE_CALL(s, C_WrapKey, s->handle, &mechanism, strict.aes, strict.victim,
            strict.blob, &strict.blob_size);
    /* A module that tells of more octets than there was room for would have us hand out others. */
    attempt->absent = attempt->answer != CKR_OK || strict.blob_size > sizeof(strict.blob);
    if (attempt->absent)
        return;
    attempt->answer = probe_unwrap(s, &strict, template, count, &object);
    attempt->got = attempt->answer == CKR_OK && probe_escapes(attempt, object);
    if (attempt->answer == CKR_OK && !attempt->got)
        snprintf(attempt->note, sizeof(attempt->note), "accepted, but made as it must be");
}
