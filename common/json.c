#include "common/json.h"

#include <string.h>

#include <openssl/crypto.h>

#include "common/json_scan.h"
#include "common/log.h"

aw_result
aw_json_parse(const char *text, size_t length, enum aw_json_mode mode, cJSON **out)
{
    const char *end = NULL;

    *out = NULL;
    if (length > AW_JSON_MAX_SIZE)
        return aw_fail(
            AW_CODE_LIMIT, "JSON of %zu octets, at most %d expected", length, AW_JSON_MAX_SIZE);
    AW_TRY(aw_json_scan(text, length, mode));
    /* cJSON takes all that the pre-scan lets through, so only memory can be at fault. */
    *out = cJSON_ParseWithLengthOpts(text, length, &end, false);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static void
wipe_strings(cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if ((item->type & cJSON_IsReference) == 0) {
            wipe_strings(item->child);
            if (item->valuestring != NULL)
                OPENSSL_cleanse(item->valuestring, strlen(item->valuestring));
        }
        if ((item->type & cJSON_StringIsConst) == 0 && item->string != NULL)
            OPENSSL_cleanse(item->string, strlen(item->string));
    }
}

void
aw_json_free(cJSON **json)
{
    if (json == NULL || *json == NULL)
        return;
    wipe_strings(*json);
    cJSON_Delete(*json);
    *json = NULL;
}

const cJSON *
aw_json_member(const cJSON *object, const char *name)
{
    if (!cJSON_IsObject(object))
        return NULL;
    for (const cJSON *member = object->child; member != NULL; member = member->next)
        if (strcmp(member->string, name) == 0)
            return member;
    return NULL;
}

static const char *
type_text(const cJSON *value)
{
    if (cJSON_IsObject(value))
        return "an object";
    if (cJSON_IsArray(value))
        return "an array";
    if (cJSON_IsString(value))
        return "a string";
    if (cJSON_IsNumber(value))
        return "a number";
    return cJSON_IsBool(value) ? "a boolean" : cJSON_IsNull(value) ? "null" : "nothing";
}

static aw_result
fail_type(const cJSON *value, const char *name, const char *expected)
{
    return aw_fail(
        AW_CODE_SYNTAX, "member \"%s\" is %s, expected %s", name, type_text(value), expected);
}

/* A required member of any type. */
static aw_result
require(const cJSON *object, const char *name, const char *expected, const cJSON **out)
{
    if (!cJSON_IsObject(object))
        return aw_fail(AW_CODE_SYNTAX, "%s where an object with member \"%s\" is expected",
            type_text(object), name);
    *out = aw_json_member(object, name);
    if (*out == NULL)
        return aw_fail(AW_CODE_SYNTAX, "member \"%s\" is missing, expected %s", name, expected);
    return AW_OK;
}

static bool
is_given(const cJSON *object, const char *name)
{
    const cJSON *member = aw_json_member(object, name);

    return member != NULL && !cJSON_IsNull(member);
}

/* An optional member may be absent, but not its object. */
static aw_result
require_object(const cJSON *object, const char *name)
{
    if (cJSON_IsObject(object))
        return AW_OK;
    return aw_fail(AW_CODE_SYNTAX, "%s where an object that may have \"%s\" is expected",
        type_text(object), name);
}

aw_result
aw_json_string(const cJSON *object, const char *name, size_t max, const char **out)
{
    const cJSON *member;

    AW_TRY(require(object, name, "a string", &member));
    if (!cJSON_IsString(member))
        return fail_type(member, name, "a string");
    size_t length = strlen(member->valuestring);
    if (length > max)
        return aw_fail(
            AW_CODE_LIMIT, "member \"%s\" has %zu octets, at most %zu expected", name, length, max);
    *out = member->valuestring;
    return AW_OK;
}

aw_result
aw_json_optional_string(const cJSON *object, const char *name, size_t max, const char **out)
{
    *out = NULL;
    AW_TRY(require_object(object, name));
    return is_given(object, name) ? aw_json_string(object, name, max, out) : AW_OK;
}

aw_result
aw_json_integer(const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *out)
{
    const cJSON *member;

    AW_TRY(require(object, name, "an integer", &member));
    if (!cJSON_IsNumber(member))
        return fail_type(member, name, "an integer");
    double value = member->valuedouble;
    /* The range first: the cast of a larger number, or of none, is undefined. */
    bool held = value >= -(double)AW_JSON_EXACT_MAX && value <= (double)AW_JSON_EXACT_MAX;
    int64_t exact = held ? (int64_t)value : 0;
    if (!held || value != (double)exact)
        return fail_type(member, name, "an integer of at most 2^53-1 in magnitude");
    if (exact < min || exact > max)
        return aw_fail(AW_CODE_LIMIT, "member \"%s\" is %lld, expected %lld to %lld", name,
            (long long)exact, (long long)min, (long long)max);
    *out = exact;
    return AW_OK;
}

aw_result
aw_json_optional_integer(
    const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *out)
{
    AW_TRY(require_object(object, name));
    return is_given(object, name) ? aw_json_integer(object, name, min, max, out) : AW_OK;
}

aw_result
aw_json_optional_bool(const cJSON *object, const char *name, bool *out)
{
    AW_TRY(require_object(object, name));
    if (!is_given(object, name))
        return AW_OK;
    const cJSON *member = aw_json_member(object, name);
    if (!cJSON_IsBool(member))
        return fail_type(member, name, "true or false");
    *out = cJSON_IsTrue(member);
    return AW_OK;
}

aw_result
aw_json_array(const cJSON *object, const char *name, size_t min, size_t max, const cJSON **out)
{
    const cJSON *member;

    AW_TRY(require(object, name, "an array", &member));
    if (!cJSON_IsArray(member))
        return fail_type(member, name, "an array");
    size_t count = (size_t)cJSON_GetArraySize(member);
    if (count < min || count > max)
        return aw_fail(AW_CODE_LIMIT, "member \"%s\" has %zu elements, expected %zu to %zu", name,
            count, min, max);
    *out = member;
    return AW_OK;
}

aw_result
aw_json_object(const cJSON *object, const char *name, const cJSON **out)
{
    const cJSON *member;

    AW_TRY(require(object, name, "an object", &member));
    if (!cJSON_IsObject(member))
        return fail_type(member, name, "an object");
    *out = member;
    return AW_OK;
}

static bool
is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

aw_result
aw_json_only(const cJSON *object, const char *const *names, size_t count)
{
    char shown[80];

    if (!cJSON_IsObject(object))
        return aw_fail(AW_CODE_SYNTAX, "%s where an object is expected", type_text(object));
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (!is_among(member->string, names, count)) {
            aw_log_escape(member->string, strlen(member->string), shown, sizeof(shown));
            return aw_fail(AW_CODE_SYNTAX, "unknown member \"%s\"", shown);
        }
    }
    return AW_OK;
}
