/*
 * libacmeward-mock.so: a PKCS#11 module that is SoftHSM2, but for what rules say (mock_rules.h).
 * For tests only; nothing installs it.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#include "mock_functions.h"
#include "mock_rules.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

enum { TEMPLATE_MAX = 64, DATA_MAX = 512 };

static CK_FUNCTION_LIST *real;

/* Every wrapper begins so; the token is not asked when a rule answers. */
static bool
answered(struct mock_call *call, const char *function, CK_RV *answer)
{
    mock_call_begin(call, function);
    const struct mock_rule *rule = mock_call_find(call, MOCK_ANSWER);
    if (rule != NULL)
        *answer = rule->answer;
    return rule != NULL;
}

/* And ends so. */
static CK_RV
conclude(const struct mock_call *call, CK_RV answer)
{
    const struct mock_rule *rule = mock_call_find(call, MOCK_AFTER);

    if (mock_call_find(call, MOCK_DIE) != NULL)
        raise(SIGKILL);
    return rule == NULL ? answer : rule->answer;
}

/* The same for what gives a handle. */
static CK_RV
conclude_with(const struct mock_call *call, CK_RV answer, CK_ULONG *handle)
{
    const struct mock_rule *rule = mock_call_find(call, MOCK_HANDLE);

    if (rule != NULL)
        *handle = rule->type;
    return conclude(call, answer);
}

#define DEFINE(name, parameters, arguments)           \
    static CK_RV mock_##name parameters               \
    {                                                 \
        struct mock_call call;                        \
        CK_RV rv;                                     \
                                                      \
        if (answered(&call, #name, &rv))              \
            return rv;                                \
        return conclude(&call, real->name arguments); \
    }
MOCK_PLAIN_FUNCTIONS(DEFINE)
#undef DEFINE

static CK_RV
mock_C_OpenSession(
    CK_SLOT_ID slot, CK_FLAGS flags, void *context, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
    struct mock_call call;
    CK_RV rv;

    if (answered(&call, "C_OpenSession", &rv))
        return rv;
    rv = real->C_OpenSession(slot, flags, context, notify, session);
    return conclude_with(&call, rv, session);
}

/* Templates. */

struct filtered {
    CK_ATTRIBUTE attributes[TEMPLATE_MAX];
    CK_ULONG count;
};

/* A copy as the rules want it; false when they refuse it. */
static bool
take_template(const struct mock_call *call, const CK_ATTRIBUTE *from, CK_ULONG count,
    struct filtered *out, CK_RV *answer)
{
    static CK_BBOOL values[] = {CK_FALSE, CK_TRUE};

    out->count = 0;
    for (CK_ULONG i = 0; i < count && out->count < TEMPLATE_MAX; i++) {
        const struct mock_rule *rule = mock_call_find_for(call, MOCK_REFUSE, from[i].type);
        if (rule != NULL) {
            *answer = rule->answer;
            return false;
        }
        if (mock_call_find_for(call, MOCK_IGNORE, from[i].type) != NULL)
            continue;
        CK_ATTRIBUTE *attribute = &out->attributes[out->count++];
        *attribute = from[i];
        rule = mock_call_find_for(call, MOCK_FORCE, from[i].type);
        if (rule != NULL)
            attribute->pValue = &values[rule->value == 1];
    }
    return true;
}

static CK_RV
mock_C_CreateObject(
    CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    struct mock_call call;
    struct filtered t;
    CK_RV rv;

    if (answered(&call, "C_CreateObject", &rv) || !take_template(&call, template, count, &t, &rv))
        return rv;
    rv = real->C_CreateObject(session, t.attributes, t.count, object);
    return conclude_with(&call, rv, object);
}

static CK_RV
mock_C_CopyObject(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
    CK_ULONG count, CK_OBJECT_HANDLE *copy)
{
    struct mock_call call;
    struct filtered t;
    CK_RV rv;

    if (answered(&call, "C_CopyObject", &rv) || !take_template(&call, template, count, &t, &rv))
        return rv;
    return conclude(&call, real->C_CopyObject(session, object, t.attributes, t.count, copy));
}

static CK_RV
mock_C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template,
    CK_ULONG count, CK_OBJECT_HANDLE *key)
{
    struct mock_call call;
    struct filtered t;
    CK_RV rv;

    if (answered(&call, "C_GenerateKey", &rv) || !take_template(&call, template, count, &t, &rv))
        return rv;
    rv = real->C_GenerateKey(session, mechanism, t.attributes, t.count, key);
    return conclude_with(&call, rv, key);
}

static CK_RV
mock_C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public,
    CK_ULONG public_count, CK_ATTRIBUTE *private, CK_ULONG private_count,
    CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    struct mock_call call;
    struct filtered ours, secret;
    CK_RV rv;

    if (answered(&call, "C_GenerateKeyPair", &rv) ||
        !take_template(&call, public, public_count, &ours, &rv) ||
        !take_template(&call, private, private_count, &secret, &rv))
        return rv;
    rv = real->C_GenerateKeyPair(session, mechanism, ours.attributes, ours.count, secret.attributes,
        secret.count, public_key, private_key);
    return conclude_with(&call, rv, private_key);
}

/* A token that unwraps, and keeps something else. */
static CK_RV
substitute(
    CK_SESSION_HANDLE session, const struct filtered *asked, CK_ULONG size, CK_OBJECT_HANDLE *key)
{
    static CK_BYTE value[DATA_MAX] = {0x5a};
    struct filtered t = *asked;

    (void)real->C_DestroyObject(session, *key);
    t.attributes[t.count++] = (CK_ATTRIBUTE){CKA_VALUE, value, size};
    return real->C_CreateObject(session, t.attributes, t.count, key);
}

static CK_RV
mock_C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapper,
    CK_BYTE *wrapped, CK_ULONG size, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
    struct mock_call call;
    struct filtered t;
    CK_RV rv;

    if (answered(&call, "C_UnwrapKey", &rv) || !take_template(&call, template, count, &t, &rv))
        return rv;
    rv = real->C_UnwrapKey(session, mechanism, wrapper, wrapped, size, t.attributes, t.count, key);
    const struct mock_rule *rule = mock_call_find(&call, MOCK_SUBSTITUTE);
    if (rv == CKR_OK && rule != NULL)
        rv = substitute(session, &t, rule->type, key);
    return conclude_with(&call, rv, key);
}

/* Attributes. */

static void
misreport(const struct mock_rule *rule, CK_ATTRIBUTE *attribute)
{
    CK_BBOOL value = rule->value == 1 ? CK_TRUE : CK_FALSE;

    if (rule->value < 0) {
        attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return;
    }
    attribute->ulValueLen = sizeof(value);
    if (attribute->pValue != NULL)
        memcpy(attribute->pValue, &value, sizeof(value));
}

static void
leak(CK_ATTRIBUTE *attribute, CK_ULONG room)
{
    CK_ULONG size = room < 32 ? room : 32;

    if (attribute->pValue != NULL)
        memset(attribute->pValue, 0x5a, size);
    attribute->ulValueLen = size;
}

static CK_RV
mock_C_GetAttributeValue(
    CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
    struct mock_call call;
    const struct mock_rule *rule;
    CK_RV rv;

    if (answered(&call, "C_GetAttributeValue", &rv))
        return rv;
    CK_ULONG room = count == 0 ? 0 : template[0].ulValueLen;
    rv = real->C_GetAttributeValue(session, object, template, count);
    for (CK_ULONG i = 0; i < count; i++) {
        rule = mock_call_find_for(&call, MOCK_MISREPORT, template[i].type);
        if (rule != NULL) {
            misreport(rule, &template[i]);
            rv = rule->value < 0 ? CKR_ATTRIBUTE_TYPE_INVALID : CKR_OK;
        }
        rule = i > 0 ? NULL : mock_call_find_for(&call, MOCK_LEAK, template[i].type);
        if (rule != NULL) {
            leak(&template[i], room);
            rv = rule->answer;
        }
    }
    rule = mock_call_find(&call, MOCK_TELL);
    if (rule != NULL && count > 0)
        template[0].ulValueLen = rule->type;
    return conclude(&call, rv);
}

/* The others that do more than pass on. */

/* The data as the rules want it; in place where the module is to scribble. */
static CK_BYTE *
take_data(const struct mock_call *call, CK_BYTE *data, CK_ULONG size, CK_BYTE copy[DATA_MAX])
{
    bool scribble = mock_call_find(call, MOCK_SCRIBBLE) != NULL;

    if (size == 0 || size > DATA_MAX || (!scribble && mock_call_find(call, MOCK_OTHER) == NULL))
        return data;
    memcpy(copy, data, size);
    CK_BYTE *used = scribble ? data : copy;
    used[size - 1] ^= 1;
    return used;
}

static void
spoil(const struct mock_call *call, CK_BYTE *signature, CK_ULONG *size)
{
    CK_ULONG half = *size / 2;

    if (mock_call_find(call, MOCK_WRONG) != NULL)
        signature[half] ^= 1;
    if (mock_call_find(call, MOCK_HIGH) != NULL)
        signature[0] ^= 0x80;
    if (mock_call_find(call, MOCK_ZERO_FIRST) != NULL)
        memset(signature, 0, half);
    if (mock_call_find(call, MOCK_ZERO_SECOND) != NULL)
        memset(signature + half, 0, half);
    if (mock_call_find(call, MOCK_SHORT) != NULL)
        --*size;
    if (mock_call_find(call, MOCK_TELL) != NULL)
        *size = mock_call_find(call, MOCK_TELL)->type;
}

static CK_RV
mock_C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size, CK_BYTE *signature,
    CK_ULONG *signature_size)
{
    struct mock_call call;
    CK_BYTE copy[DATA_MAX];
    CK_RV rv;

    if (answered(&call, "C_Sign", &rv))
        return rv;
    data = take_data(&call, data, size, copy);
    rv = real->C_Sign(session, data, size, signature, signature_size);
    if (rv == CKR_OK && signature != NULL && *signature_size > 0)
        spoil(&call, signature, signature_size);
    return conclude(&call, rv);
}

static CK_RV
mock_C_FindObjects(
    CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
    struct mock_call call;
    CK_RV rv;

    if (answered(&call, "C_FindObjects", &rv))
        return rv;
    rv = real->C_FindObjects(session, objects, max, count);
    if (rv == CKR_OK && *count > 0 && *count < max && mock_call_find(&call, MOCK_TWICE) != NULL) {
        objects[*count] = objects[0];
        ++*count;
    }
    if (rv == CKR_OK && *count > 0 && mock_call_find(&call, MOCK_HANDLE) != NULL)
        objects[0] = mock_call_find(&call, MOCK_HANDLE)->type;
    if (mock_call_find(&call, MOCK_TELL) != NULL)
        *count = mock_call_find(&call, MOCK_TELL)->type;
    return conclude(&call, rv);
}

static CK_RV
mock_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    struct mock_call call;
    CK_RV rv;

    if (answered(&call, "C_GetTokenInfo", &rv))
        return rv;
    rv = real->C_GetTokenInfo(slot, info);
    if (mock_call_find(&call, MOCK_SERIAL) != NULL)
        info->serialNumber[0] ^= 1;
    for (unsigned i = 0; i < call.count; i++) {
        if (call.hits[i].action != MOCK_FLAGS)
            continue;
        if (call.hits[i].value == 1)
            info->flags |= call.hits[i].type;
        else
            info->flags &= ~call.hits[i].type;
    }
    return conclude(&call, rv);
}

/* The module. */

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

#define MEMBER(name, parameters, arguments) .name = mock_##name,
static CK_FUNCTION_LIST mock = {
    .version = {2, 40},
    MOCK_PLAIN_FUNCTIONS(MEMBER).C_GetFunctionList = C_GetFunctionList,
    .C_OpenSession = mock_C_OpenSession,
    .C_CreateObject = mock_C_CreateObject,
    .C_CopyObject = mock_C_CopyObject,
    .C_GenerateKey = mock_C_GenerateKey,
    .C_GenerateKeyPair = mock_C_GenerateKeyPair,
    .C_UnwrapKey = mock_C_UnwrapKey,
    .C_GetAttributeValue = mock_C_GetAttributeValue,
    .C_FindObjects = mock_C_FindObjects,
    .C_Sign = mock_C_Sign,
    .C_GetTokenInfo = mock_C_GetTokenInfo,
};
#undef MEMBER

static void
load(void)
{
    CK_C_GetFunctionList get = NULL;
    void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

    if (symbol == NULL)
        return;
    memcpy(&get, &symbol, sizeof(get));
    if (get(&real) != CKR_OK)
        real = NULL;
}

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct mock_call call;
    CK_RV rv;

    pthread_once(&once, load);
    if (answered(&call, "C_GetFunctionList", &rv))
        return rv;
    if (real == NULL)
        return CKR_GENERAL_ERROR;
    *list = &mock;
    return CKR_OK;
}
