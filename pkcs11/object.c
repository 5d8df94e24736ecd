#include "pkcs11/object.h"

#include <stdio.h>

#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"

#define CKA_ROW(name)     \
    {                     \
        CKA_##name, #name \
    }
static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
} attribute_names[] = {CKA_ROW(CLASS), CKA_ROW(TOKEN), CKA_ROW(PRIVATE), CKA_ROW(LABEL),
    CKA_ROW(VALUE), CKA_ROW(KEY_TYPE), CKA_ROW(ID), CKA_ROW(SENSITIVE), CKA_ROW(ENCRYPT),
    CKA_ROW(DECRYPT), CKA_ROW(WRAP), CKA_ROW(UNWRAP), CKA_ROW(SIGN), CKA_ROW(SIGN_RECOVER),
    CKA_ROW(VERIFY), CKA_ROW(VERIFY_RECOVER), CKA_ROW(DERIVE), CKA_ROW(MODULUS),
    CKA_ROW(MODULUS_BITS), CKA_ROW(PUBLIC_EXPONENT), CKA_ROW(PRIVATE_EXPONENT), CKA_ROW(PRIME_1),
    CKA_ROW(EXTRACTABLE), CKA_ROW(LOCAL), CKA_ROW(NEVER_EXTRACTABLE), CKA_ROW(ALWAYS_SENSITIVE),
    CKA_ROW(MODIFIABLE), CKA_ROW(COPYABLE), CKA_ROW(DESTROYABLE), CKA_ROW(EC_PARAMS),
    CKA_ROW(EC_POINT), CKA_ROW(ALWAYS_AUTHENTICATE), CKA_ROW(WRAP_WITH_TRUSTED), CKA_ROW(TRUSTED),
    CKA_ROW(ALLOWED_MECHANISMS), CKA_ROW(VALUE_LEN), CKA_ROW(UNWRAP_TEMPLATE)};
#undef CKA_ROW

const char *
token_attribute_name(CK_ATTRIBUTE_TYPE type)
{
    static _Thread_local char number[32];

    for (size_t i = 0; i < AW_COUNT(attribute_names); i++)
        if (attribute_names[i].type == type)
            return attribute_names[i].name;
    snprintf(number, sizeof(number), "0x%lx", type);
    return number;
}

CK_ATTRIBUTE
token_attribute_bool(CK_ATTRIBUTE_TYPE type, bool value)
{
    static const CK_BBOOL values[] = {CK_FALSE, CK_TRUE};

    return token_attribute(type, &values[value ? 1 : 0], sizeof(CK_BBOOL));
}

/* What a module says of a room is not to be believed: we would read or write past it. */
static aw_result
fail_of_room(const char *what, CK_ULONG told, CK_ULONG room)
{
    return aw_hint(aw_fail(AW_CODE_TOKEN, "the token told of %lu %s where there was room for %lu",
                       told, what, room),
        "its PKCS#11 module is faulty: look for a newer one, and do not use this one");
}

static aw_result
run_search(struct token_session *s, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *out,
    size_t *found)
{
    CK_ULONG max = *found;
    CK_ULONG got;

    *found = 0;
    AW_TRY(TOKEN_CALL(s, C_FindObjectsInit, s->handle, template, count));
    do { /* a token may give fewer at a time than there are, and not say how many */
        got = 0;
        AW_TRY(TOKEN_CALL(s, C_FindObjects, s->handle, out + *found, max - *found, &got));
        if (got > max - *found)
            return fail_of_room("objects", got, max - *found);
        *found += got;
    } while (got > 0 && *found < max);
    return TOKEN_CALL(s, C_FindObjectsFinal, s->handle);
}

aw_result
token_objects_find(struct token_session *s, const CK_ATTRIBUTE *template, size_t count,
    CK_OBJECT_HANDLE *out, size_t *found)
{
    CK_ATTRIBUTE copy[8];

    if (count > AW_COUNT(copy))
        return aw_fail(AW_CODE_INTERNAL, "a search template of %zu attributes", count);
    if (count > 0)
        memcpy(copy, template, count * sizeof(copy[0]));
    AW_TRY(token_store_lock(s));
    aw_result r = run_search(s, copy, count, out, found);
    token_store_unlock(s->owner);
    return r;
}

static aw_result
find_named(struct token_session *s, const struct token_object_name *name, CK_OBJECT_HANDLE out[2],
    size_t *found)
{
    CK_ATTRIBUTE template[4] = {token_attribute(CKA_CLASS, &name->class, sizeof(name->class)),
        token_attribute_bool(CKA_TOKEN, true)};
    size_t count = 2;

    if (name->label != NULL)
        template[count++] = token_attribute(CKA_LABEL, name->label, strlen(name->label));
    if (name->id != NULL)
        template[count++] = token_attribute(CKA_ID, name->id, name->id_size);
    *found = 2;
    return token_objects_find(s, template, count, out, found);
}

/*
 * Private objects hide from the logged-out, without a failure. What looks like a missing key may be
 * a login that was lost a moment ago: then say so, and the ladder of recovery sees to it.
 */
static aw_result
require_login(struct token_session *s)
{
    CK_SESSION_INFO info;

    if (!s->owner->login_required)
        return AW_OK;
    AW_TRY(TOKEN_CALL(s, C_GetSessionInfo, s->handle, &info));
    if (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS)
        return AW_OK;
    return token_session_note(s, "C_FindObjects", CKR_USER_NOT_LOGGED_IN);
}

aw_result
token_object_find_one(
    struct token_session *s, const struct token_object_name *name, CK_OBJECT_HANDLE *out)
{
    CK_OBJECT_HANDLE handles[2];
    size_t found;
    const char *label = name->label == NULL ? "of the private key's CKA_ID" : name->label;

    AW_TRY(find_named(s, name, handles, &found));
    if (found == 0) { /* once more, knowing that somebody is logged in */
        AW_TRY(require_login(s));
        AW_TRY(find_named(s, name, handles, &found));
    }
    if (found == 0)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN_KEY_MISSING, "the token has no %s \"%s\"", name->what, label),
            "\"acmeward-admin token doctor\" lists the keys that are there");
    if (found > 1)
        return aw_hint(
            aw_fail(AW_CODE_MISMATCH, "the token has more than one %s \"%s\"", name->what, label),
            "labels must be unique: destroy or rename the one that is not wanted");
    *out = handles[0];
    return AW_OK;
}

aw_result
token_object_absent(struct token_session *s, const struct token_object_name *name)
{
    CK_OBJECT_HANDLE handles[2];
    size_t found;

    AW_TRY(find_named(s, name, handles, &found));
    if (found == 0)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_EXISTS, "the token has a %s \"%s\" already", name->what, name->label),
        "destroy that key first, if it is not the one that is wanted");
}

aw_result
token_object_destroy(
    struct token_session *s, const struct token_object_name *name, CK_OBJECT_HANDLE object)
{
    AW_TRY(TOKEN_CALL_ALONE(s, C_DestroyObject, s->handle, object));
    aw_result r = token_object_find_one(s, name, &object);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    if (!aw_ok(r) && r.code != AW_CODE_MISMATCH)
        return r;
    return aw_hint(aw_fail(AW_CODE_TOKEN,
                       "the token said that it destroyed the %s, and still has it", name->what),
        "try again; if it stays (\"acmeward-admin token doctor\" shows it), destroy it with your "
        "token's tools");
}

void
token_objects_discard(struct token_session *s, const uint8_t *id, size_t id_size)
{
    const CK_ATTRIBUTE template[] = {
        token_attribute_bool(CKA_TOKEN, true), token_attribute(CKA_ID, id, id_size)};
    CK_OBJECT_HANDLE handles[4];
    size_t found = AW_COUNT(handles);
    struct aw_error error;

    aw_error_save(&error);
    /* The old session may be dead, or in the middle of an operation that failed. */
    if (aw_ok(token_session_open(s, CKF_RW_SESSION)) &&
        aw_ok(token_objects_find(s, template, AW_COUNT(template), handles, &found)))
        for (size_t i = 0; i < found; i++)
            aw_ignore(TOKEN_CALL_ALONE(s, C_DestroyObject, s->handle, handles[i]), "way out");
    aw_ignore(aw_error_restore(&error), "the failure before is the one to report");
}

/* Refusals that are answers. CKR_BUFFER_TOO_SMALL: the value is longer than any of ours. */
static bool
is_answer(CK_RV rv)
{
    return token_ckr_class(rv) == TOKEN_CKR_ATTRIBUTE || rv == CKR_BUFFER_TOO_SMALL;
}

aw_result
token_attribute_ask(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attribute, CK_RV *answer)
{
    CK_ULONG room = attribute->ulValueLen;
    aw_result r = TOKEN_CALL(s, C_GetAttributeValue, s->handle, object, attribute, 1);

    *answer = s->answer;
    if (!aw_ok(r) && is_answer(s->answer)) {
        token_session_forgive(s);
        return AW_OK;
    }
    AW_TRY(r);
    /* Some tokens say CKR_OK and mark the attribute (PKCS#11 v2.40, C_GetAttributeValue). */
    if (attribute->ulValueLen == CK_UNAVAILABLE_INFORMATION)
        *answer = CKR_ATTRIBUTE_TYPE_INVALID;
    else if (attribute->ulValueLen > room)
        return fail_of_room("octets", attribute->ulValueLen, room);
    return AW_OK;
}

aw_result
token_attribute_read(struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attribute)
{
    CK_RV answer;

    AW_TRY(token_attribute_ask(s, object, attribute, &answer));
    if (answer == CKR_OK)
        return AW_OK;
    return aw_hint(
        aw_fail_cause(AW_CODE_TOKEN, AW_CAUSE_CKR, answer, "the token does not tell %s (%s)",
            token_attribute_name(attribute->type), token_ckr_name(answer)),
        "acmeward can't use a key of which the token does not tell that; see what \"acmeward-admin "
        "token doctor\" says of it");
}

aw_result
token_flag_read(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, enum token_flag *out)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};
    CK_RV answer;

    AW_TRY(token_attribute_ask(s, object, &attribute, &answer));
    if (answer != CKR_OK || attribute.ulValueLen != sizeof(value))
        *out = TOKEN_FLAG_UNKNOWN;
    else
        *out = value == CK_FALSE ? TOKEN_FLAG_FALSE : TOKEN_FLAG_TRUE;
    return AW_OK;
}

aw_result
token_handle_init(struct token_handle *handle)
{
    handle->value = CK_INVALID_HANDLE;
    handle->generation = 0;
    pthread_mutex_init(&handle->lock, NULL);
    return token_lock_init(&handle->renewing);
}

void
token_handle_destroy(struct token_handle *handle)
{
    pthread_mutex_destroy(&handle->lock);
    token_lock_destroy(&handle->renewing);
}

CK_OBJECT_HANDLE
token_handle_get(struct token_handle *handle, uint64_t *generation)
{
    pthread_mutex_lock(&handle->lock);
    CK_OBJECT_HANDLE value = handle->value;
    *generation = handle->generation;
    pthread_mutex_unlock(&handle->lock);
    return value;
}

static void
handle_set(struct token_handle *handle, CK_OBJECT_HANDLE value)
{
    pthread_mutex_lock(&handle->lock);
    handle->value = value;
    handle->generation++;
    pthread_mutex_unlock(&handle->lock);
}

aw_result
token_handle_renew(struct token_handle *handle, uint64_t used,
    aw_result (*search)(void *context, struct token_session *s, CK_OBJECT_HANDLE *out),
    void *context, struct token_session *s)
{
    aw_result r = AW_OK;
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    const struct timespec deadline = token_session_deadline(s);
    uint64_t generation;

    AW_TRY(token_lock_take(&handle->renewing, &deadline));
    (void)token_handle_get(handle, &generation);
    if (generation == used) {
        r = search(context, s, &found);
        if (aw_ok(r))
            handle_set(handle, found);
    }
    token_lock_release(&handle->renewing);
    return r;
}
