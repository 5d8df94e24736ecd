/* Attempts to get at the value: read, wrap out, weaken, copy weaker; and the table of all. */
#include <stdio.h>

#include "common/secret.h"
#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/probe_parts.h"

/* The table. What may change the key comes last. */

#define CAN_READ "whoever has a session and a login reads the key"
#define CAN_WRAP "whoever has a session and a login takes the key away, wrapped with a key of his"
#define CAN_USE "the key serves a purpose that it is not for"
#define CAN_CHANGE "what protects the key can be taken off afterwards"
#define CAN_TWIN "a second key of the same value, with other attributes, can be made in the token"
#define READ(kinds, attribute)                                                      \
    {                                                                               \
        "read " #attribute, (kinds), true, probe_read, (attribute), false, CAN_READ \
    }
#define WRAP(mechanism)                                                                      \
    {                                                                                        \
        "wrap it out with " #mechanism, PROBE_ALL, true, probe_wrap_out, (mechanism), false, \
            CAN_WRAP                                                                         \
    }
#define USE(kinds, what, run, mechanism)                                           \
    {                                                                              \
        what " (" #mechanism ")", (kinds), false, run, (mechanism), false, CAN_USE \
    }
#define COPY(required, attribute, value, what)                                             \
    {                                                                                      \
        "copy it " what, PROBE_ALL, (required), probe_copy, (attribute), (value), CAN_TWIN \
    }
#define SET(kinds, attribute, consequence)                                                     \
    {                                                                                          \
        "set " #attribute " true", (kinds), false, probe_set, (attribute), true, (consequence) \
    }

const struct probe_attempt probe_attempts[] = {
    READ(PROBE_EC | PROBE_SECRET, CKA_VALUE),
    READ(PROBE_RSA, CKA_PRIVATE_EXPONENT),
    READ(PROBE_RSA, CKA_PRIME_1),
    READ(PROBE_RSA, CKA_PRIME_2),
    READ(PROBE_RSA, CKA_EXPONENT_1),
    READ(PROBE_RSA, CKA_EXPONENT_2),
    READ(PROBE_RSA, CKA_COEFFICIENT),
    WRAP(CKM_AES_KEY_WRAP),
    WRAP(CKM_AES_KEY_WRAP_PAD),
    WRAP(CKM_AES_CBC_PAD),
    WRAP(CKM_RSA_PKCS),
    WRAP(CKM_RSA_PKCS_OAEP),
    WRAP(CKM_RSA_AES_KEY_WRAP),
    {"derive its value (CKM_XOR_BASE_AND_DATA)", PROBE_SECRET, true, probe_derive,
        CKM_XOR_BASE_AND_DATA, false, CAN_READ},
    {"derive its value (CKM_CONCATENATE_BASE_AND_DATA)", PROBE_SECRET, true, probe_derive,
        CKM_CONCATENATE_BASE_AND_DATA, false, CAN_READ},
    {"derive its value (CKM_EXTRACT_KEY_FROM_KEY)", PROBE_SECRET, true, probe_derive,
        CKM_EXTRACT_KEY_FROM_KEY, false, CAN_READ},
    USE(PROBE_EC, "derive a secret", probe_derive, CKM_ECDH1_DERIVE),
    USE(PROBE_RSA, "decrypt", probe_decrypt, CKM_RSA_PKCS),
    USE(PROBE_RSA, "unwrap a key with it", probe_unwrap_with, CKM_RSA_PKCS),
    USE(PROBE_RSA, "sign with recovery", probe_sign_recover, CKM_RSA_PKCS),
    USE(PROBE_MAC, "verify", probe_verify, CKM_SHA256_HMAC),
    USE(PROBE_MAC, "another MAC", probe_other_mac, CKM_SHA512_HMAC),
    USE(PROBE_MAC, "a truncated MAC", probe_other_mac, CKM_SHA256_HMAC_GENERAL),
    USE(PROBE_MAC, "encrypt", probe_encrypt, CKM_AES_ECB),
    USE(PROBE_MAC, "decrypt", probe_decrypt, CKM_AES_ECB),
    USE(PROBE_MAC, "wrap a key with it", probe_wrap_with, CKM_AES_KEY_WRAP),
    USE(PROBE_MAC, "unwrap a key with it", probe_unwrap_with, CKM_AES_KEY_WRAP),
    {"digest it (C_DigestKey)", PROBE_ALL, false, probe_digest, CKM_SHA256, false,
        "a guess at the key can be confirmed, which helps against a weak one only"},
    {"unwrap weaker than CKA_UNWRAP_TEMPLATE says", PROBE_UNWRAPPED, true, probe_unwrap_template, 0,
        false, "a wrapping key cannot make sure that what it unwraps is protected"},
    COPY(false, 0, false, "as it is"),
    COPY(true, CKA_EXTRACTABLE, true, "EXTRACTABLE"),
    COPY(true, CKA_SENSITIVE, false, "not SENSITIVE"),
    COPY(true, CKA_PRIVATE, false, "not PRIVATE"),
    COPY(false, CKA_DERIVE, true, "with DERIVE"),
    SET(PROBE_EC | PROBE_SECRET, CKA_DERIVE, CAN_USE),
    SET(PROBE_RSA | PROBE_SECRET, CKA_DECRYPT, CAN_USE),
    SET(PROBE_RSA | PROBE_SECRET, CKA_UNWRAP, CAN_USE),
    SET(PROBE_SECRET, CKA_ENCRYPT, CAN_USE),
    SET(PROBE_SECRET, CKA_WRAP, CAN_USE),
    SET(PROBE_ALL, CKA_COPYABLE, CAN_CHANGE),
    SET(PROBE_ALL, CKA_MODIFIABLE, CAN_CHANGE),
    {"make it EXTRACTABLE again", PROBE_ALL, true, probe_set, CKA_EXTRACTABLE, true, CAN_WRAP},
    {"make it not SENSITIVE", PROBE_ALL, true, probe_set, CKA_SENSITIVE, false, CAN_READ},
};
const size_t probe_attempt_count = AW_COUNT(probe_attempts);

/* Reading. */

static bool
holds_octets(const uint8_t *room, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (room[i] != 0)
            return true;
    return false;
}

/* A token may refuse and have written all the same: the room tells. Yields how many octets came. */
static size_t
read_value(struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_RV *answer)
{
    AW_CLEANUP(aw_secret_free) aw_secret *room = NULL;
    size_t came = 0;

    if (!aw_ok(aw_secret_new(PROBE_ROOM, &room))) {
        *answer = CKR_HOST_MEMORY;
        return 0;
    }
    memset(room->data, 0, PROBE_ROOM);
    room->size = PROBE_ROOM; /* all of it is wiped */
    CK_ATTRIBUTE attribute = {type, room->data, PROBE_ROOM};
    *answer = PROBE_CALL(s, C_GetAttributeValue, s->handle, object, &attribute, 1);
    if (attribute.ulValueLen != CK_UNAVAILABLE_INFORMATION && attribute.ulValueLen <= PROBE_ROOM)
        came = *answer == CKR_OK ? attribute.ulValueLen : 0;
    if (came == 0 && holds_octets(room->data, PROBE_ROOM))
        came = PROBE_ROOM;
    return came;
}

void
probe_read(struct probe_try *attempt)
{
    size_t came =
        read_value(attempt->s, attempt->subject->object, attempt->row->type, &attempt->answer);

    attempt->got = came > 0;
    if (attempt->got && attempt->answer != CKR_OK)
        snprintf(attempt->note, sizeof(attempt->note), "refused, but handed out all the same");
    else if (attempt->got)
        snprintf(attempt->note, sizeof(attempt->note), "%zu octets came", came);
}

/* Wrapping. */

/*
 * A refusal says something if it is about the key, or if the same call works on a key that may be
 * extracted.
 */
static void
judge_refusal(struct probe_try *attempt, CK_MECHANISM_TYPE mechanism)
{
    CK_ULONG size;

    if (attempt->answer == CKR_KEY_UNEXTRACTABLE || attempt->answer == CKR_KEY_NOT_WRAPPABLE ||
        probe_wrap(attempt->s, attempt->tools, mechanism, attempt->tools->victim, &size) == CKR_OK)
        return;
    attempt->absent = !probe_offers(attempt->s, mechanism, CKF_WRAP);
    attempt->unproved = !attempt->absent;
    if (attempt->unproved)
        snprintf(
            attempt->note, sizeof(attempt->note), "keys that may be extracted are not wrapped");
}

void
probe_wrap_out(struct probe_try *attempt)
{
    CK_ULONG size;

    attempt->answer =
        probe_wrap(attempt->s, attempt->tools, attempt->row->type, attempt->subject->object, &size);
    attempt->got = attempt->answer == CKR_OK;
    if (attempt->got)
        snprintf(attempt->note, sizeof(attempt->note), "%lu octets came", size);
    else
        judge_refusal(attempt, attempt->row->type);
}

/* Escaping, after something was changed. */

static CK_ATTRIBUTE_TYPE
value_type(const struct probe_subject *subject)
{
    return subject->kind == PROBE_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE;
}

bool
probe_escapes(struct probe_try *attempt, CK_OBJECT_HANDLE object)
{
    static const CK_MECHANISM_TYPE mechanisms[] = {
        CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP};
    CK_RV answer;
    CK_ULONG size;

    if (read_value(attempt->s, object, value_type(attempt->subject), &answer) > 0)
        return true;
    for (size_t i = 0; i < AW_COUNT(mechanisms); i++)
        if (probe_wrap(attempt->s, attempt->tools, mechanisms[i], object, &size) == CKR_OK)
            return true;
    return false;
}

static bool
reads_as(struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_BBOOL flag = value ? CK_FALSE : CK_TRUE;
    CK_ATTRIBUTE attribute = {type, &flag, sizeof(flag)};

    return PROBE_CALL(s, C_GetAttributeValue, s->handle, object, &attribute, 1) == CKR_OK &&
           attribute.ulValueLen == sizeof(flag) && (flag != CK_FALSE) == value;
}

/* What a change that the token accepted has come to. */
static void
judge_change(struct probe_try *attempt, CK_OBJECT_HANDLE object)
{
    const struct probe_attempt *row = attempt->row;
    bool about_value = row->type == CKA_EXTRACTABLE || row->type == CKA_SENSITIVE;

    if (about_value && probe_escapes(attempt, object)) {
        attempt->got = true;
        snprintf(attempt->note, sizeof(attempt->note), "the value came out then");
    } else if (reads_as(attempt->s, object, row->type, row->value)) {
        attempt->got = true;
        snprintf(attempt->note, sizeof(attempt->note), "%s is %s then",
            token_attribute_name(row->type), row->value ? "true" : "false");
    } else {
        snprintf(attempt->note, sizeof(attempt->note), "accepted, but nothing changed");
    }
}

void
probe_set(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_ATTRIBUTE template = token_attribute_bool(attempt->row->type, attempt->row->value);

    attempt->answer =
        PROBE_CALL(s, C_SetAttributeValue, s->handle, attempt->subject->object, &template, 1);
    attempt->absent = attempt->answer == CKR_FUNCTION_NOT_SUPPORTED;
    if (attempt->answer == CKR_OK)
        judge_change(attempt, attempt->subject->object);
}

void
probe_copy(struct probe_try *attempt)
{
    struct token_session *s = attempt->s;
    CK_ATTRIBUTE template = token_attribute_bool(attempt->row->type, attempt->row->value);
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;

    attempt->answer = PROBE_CALL(s, C_CopyObject, s->handle, attempt->subject->object, &template,
        attempt->row->type == 0 ? 0 : 1, &copy);
    attempt->absent = attempt->answer == CKR_FUNCTION_NOT_SUPPORTED;
    if (attempt->answer != CKR_OK)
        return;
    if (attempt->row->type == 0)
        attempt->got = true;
    else
        judge_change(attempt, copy);
    /* It has the subject's label: should this fail, the sweep at the end finds it. */
    (void)PROBE_CALL(s, C_DestroyObject, s->handle, copy);
}
