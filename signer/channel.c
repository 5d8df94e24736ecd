#include "signer/channel.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/io.h"
#include "common/utf8.h"

/* Largest integer that JSON carries exactly (RFC 8259 6). */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

/* What stands before each value. */
enum tag {
    TAG_NULL = 'n',
    TAG_FALSE = 'f',
    TAG_TRUE = 't',
    TAG_INTEGER = 'i', /* int64_t */
    TAG_STRING = 's',  /* uint32_t length, octets */
    TAG_ARRAY = 'a',   /* uint32_t count, values */
    TAG_OBJECT = 'o',  /* uint32_t count; of each member length and octets of its name, value */
};

void
channel_message_free(struct channel_message *message)
{
    if (message->data != NULL)
        OPENSSL_clear_free(message->data, message->size + 1);
    *message = (struct channel_message){.data = NULL};
}

/* Writing. The first pass has no buffer and counts. */

struct writer {
    uint8_t *data; /* NULL: only counts */
    size_t size;
};

static void
put(struct writer *w, const void *octets, size_t size)
{
    if (w->data != NULL && size > 0)
        memcpy(w->data + w->size, octets, size);
    w->size += size;
}

static void
put_tag(struct writer *w, enum tag tag)
{
    const uint8_t octet = (uint8_t)tag;

    put(w, &octet, sizeof(octet));
}

static void
put_count(struct writer *w, size_t count)
{
    const uint32_t number = (uint32_t)count; /* nothing here is larger than a message */

    put(w, &number, sizeof(number));
}

static void
put_text(struct writer *w, const char *text)
{
    put_count(w, strlen(text));
    put(w, text, strlen(text));
}

static enum tag
tag_of(const cJSON *value)
{
    if (cJSON_IsObject(value))
        return TAG_OBJECT;
    if (cJSON_IsArray(value))
        return TAG_ARRAY;
    if (cJSON_IsString(value))
        return TAG_STRING;
    if (cJSON_IsNumber(value))
        return TAG_INTEGER;
    if (cJSON_IsBool(value))
        return cJSON_IsTrue(value) ? TAG_TRUE : TAG_FALSE;
    return TAG_NULL;
}

static aw_result put_value(struct writer *w, const cJSON *value);

static aw_result
put_children(struct writer *w, const cJSON *value, enum tag tag)
{
    size_t count = 0;

    for (const cJSON *child = value->child; child != NULL; child = child->next)
        count++;
    if (tag == TAG_OBJECT && count > CHANNEL_MEMBERS_MAX)
        return aw_fail(AW_CODE_LIMIT, "an object has %zu members, at most %d are allowed", count,
            CHANNEL_MEMBERS_MAX);
    put_count(w, count);
    for (const cJSON *child = value->child; child != NULL; child = child->next) {
        if (tag == TAG_OBJECT)
            put_text(w, child->string);
        AW_TRY(put_value(w, child));
    }
    return AW_OK;
}

/* The pre-scan of JSON has bounded the depth, and let no number but exact integers through. */
static aw_result
put_value(struct writer *w, const cJSON *value)
{
    enum tag tag = tag_of(value);

    put_tag(w, tag);
    if (tag == TAG_STRING)
        put_text(w, value->valuestring);
    if (tag == TAG_INTEGER) {
        const int64_t number = (int64_t)value->valuedouble;
        put(w, &number, sizeof(number));
    }
    if (tag == TAG_OBJECT || tag == TAG_ARRAY)
        return put_children(w, value, tag);
    return AW_OK;
}

static aw_result
put_call(struct writer *w, const struct aw_varlink_call *call)
{
    put_text(w, call->method);
    return put_value(w, call->parameters);
}

static aw_result
make_room(size_t size, enum channel_kind kind, struct channel_message *out)
{
    if (size > CHANNEL_BODY_MAX)
        return aw_fail(AW_CODE_LIMIT, "the call is too long");
    out->data = malloc(size + 1);
    if (out->data == NULL)
        return aw_fail_memory();
    out->data[size] = '\0';
    out->kind = kind;
    out->size = size;
    return AW_OK;
}

aw_result
channel_encode(const struct aw_varlink_call *call, struct channel_message *out)
{
    struct writer measure = {.size = 0}, writer = {.size = 0};

    AW_TRY(put_call(&measure, call));
    AW_TRY(make_room(measure.size, CHANNEL_CALL, out));
    writer.data = out->data;
    return put_call(&writer, call);
}

aw_result
channel_encode_garbage(const char *text, struct channel_message *out)
{
    size_t size = strnlen(text, CHANNEL_TEXT_MAX);

    AW_TRY(make_room(size, CHANNEL_GARBAGE, out));
    memcpy(out->data, text, size);
    return AW_OK;
}

/* Reading. */

struct reader {
    const uint8_t *at;
    size_t left;
    size_t values; /* so far */
};

static aw_result
hostile(const char *what)
{
    return aw_fail(AW_CODE_MISMATCH, "a message from a gate has %s", what);
}

static aw_result
get(struct reader *r, void *out, size_t size)
{
    if (size > r->left)
        return hostile("an end before its end");
    memcpy(out, r->at, size);
    r->at += size;
    r->left -= size;
    return AW_OK;
}

static aw_result
check_text(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        size_t octets = aw_utf8_decode(text + at, size - at, &c);

        if (octets == 0 || c == 0)
            return hostile("a text that is none");
        at += octets;
    }
    return AW_OK;
}

/* A text of its own, NUL at its end. Release: wiped by whoever it is given to. */
static aw_result
get_text(struct reader *r, char **out)
{
    uint32_t size = 0;

    AW_TRY(get(r, &size, sizeof(size)));
    if (size > r->left)
        return hostile("a text longer than itself");
    AW_TRY(check_text((const char *)r->at, size));
    char *text = cJSON_malloc((size_t)size + 1);
    if (text == NULL)
        return aw_fail_memory();
    aw_ignore(get(r, text, size), "there is as much left");
    text[size] = '\0';
    *out = text;
    return AW_OK;
}

/* Each value that is to come has one octet at least. */
static aw_result
get_count(struct reader *r, uint32_t most, uint32_t *out)
{
    AW_TRY(get(r, out, sizeof(*out)));
    if (*out > r->left || *out > most)
        return hostile("more values than it can have");
    return AW_OK;
}

static aw_result get_value(struct reader *r, unsigned depth, cJSON **out);

static aw_result
get_array(struct reader *r, unsigned depth, cJSON *array)
{
    uint32_t count = 0;

    AW_TRY(get_count(r, AW_JSON_MAX_NODES, &count));
    for (uint32_t i = 0; i < count; i++) {
        cJSON *value = NULL;

        AW_TRY(get_value(r, depth + 1, &value));
        cJSON_AddItemToArray(array, value);
    }
    return AW_OK;
}

static aw_result
get_member(struct reader *r, unsigned depth, cJSON *object)
{
    AW_CLEANUP(aw_json_free) cJSON *value = NULL;
    char *name = NULL;

    AW_TRY(get_text(r, &name));
    aw_result result = aw_json_member(object, name) != NULL ? hostile("a member twice")
                                                            : get_value(r, depth + 1, &value);
    if (aw_ok(result) && !cJSON_AddItemToObject(object, name, value))
        result = aw_fail_memory();
    if (aw_ok(result))
        value = NULL; /* the object's now */
    cJSON_free(name);
    return result;
}

static aw_result
get_object(struct reader *r, unsigned depth, cJSON *object)
{
    uint32_t count = 0;

    AW_TRY(get_count(r, CHANNEL_MEMBERS_MAX, &count));
    for (uint32_t i = 0; i < count; i++)
        AW_TRY(get_member(r, depth, object));
    return AW_OK;
}

static aw_result
get_integer(struct reader *r, cJSON **out)
{
    int64_t number = 0;

    AW_TRY(get(r, &number, sizeof(number)));
    if (number < -INTEGER_MAX || number > INTEGER_MAX)
        return hostile("a number out of range");
    *out = cJSON_CreateNumber((double)number);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* The string owns its text: a copy would have to be wiped too. */
static aw_result
get_string(struct reader *r, cJSON **out)
{
    AW_CLEANUP(aw_json_free) cJSON *made = cJSON_CreateNull();

    if (made == NULL)
        return aw_fail_memory();
    AW_TRY(get_text(r, &made->valuestring));
    made->type = cJSON_String;
    *out = AW_MOVE(made);
    return AW_OK;
}

static aw_result
get_children(struct reader *r, enum tag tag, unsigned depth, cJSON **out)
{
    AW_CLEANUP(aw_json_free)
    cJSON *made = tag == TAG_OBJECT ? cJSON_CreateObject() : cJSON_CreateArray();

    if (made == NULL)
        return aw_fail_memory();
    AW_TRY(tag == TAG_OBJECT ? get_object(r, depth, made) : get_array(r, depth, made));
    *out = AW_MOVE(made);
    return AW_OK;
}

/* `depth` is how many objects and arrays are around the value. */
static aw_result
get_value(struct reader *r, unsigned depth, cJSON **out)
{
    uint8_t tag = 0;

    AW_TRY(get(r, &tag, sizeof(tag)));
    if (++r->values > AW_JSON_MAX_NODES)
        return hostile("too many values");
    if (tag == TAG_INTEGER)
        return get_integer(r, out);
    if (tag == TAG_STRING)
        return get_string(r, out);
    if (tag == TAG_OBJECT || tag == TAG_ARRAY) {
        if (depth >= AW_JSON_MAX_DEPTH)
            return hostile("values too deep");
        return get_children(r, tag, depth, out);
    }
    if (tag != TAG_NULL && tag != TAG_TRUE && tag != TAG_FALSE)
        return hostile("a value of no type");
    *out = tag == TAG_NULL ? cJSON_CreateNull() : cJSON_CreateBool(tag == TAG_TRUE);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
get_method(struct reader *r, char out[AW_VARLINK_MAX_METHOD + 1])
{
    uint32_t size = 0;

    AW_TRY(get(r, &size, sizeof(size)));
    if (size > AW_VARLINK_MAX_METHOD)
        return hostile("a method's name that is too long");
    memset(out, 0, AW_VARLINK_MAX_METHOD + 1);
    AW_TRY(get(r, out, size));
    if (strlen(out) != size || !aw_varlink_name_valid(out))
        return hostile("a method's name that is none");
    return AW_OK;
}

aw_result
channel_decode(const struct channel_message *message, struct aw_varlink_call *out)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    struct reader r = {.at = message->data, .left = message->size};

    if (message->kind != CHANNEL_CALL)
        return hostile("another kind");
    AW_TRY(get_method(&r, call.method));
    AW_TRY(get_value(&r, 1, &call.message)); /* in the call, which is an object too */
    if (!cJSON_IsObject(call.message) || r.left != 0)
        return hostile("something else than parameters");
    call.parameters = call.message;
    *out = call;
    call.message = NULL;
    return AW_OK;
}

aw_result
channel_decode_garbage(const struct channel_message *message, const char **text)
{
    if (message->kind != CHANNEL_GARBAGE || message->size > CHANNEL_TEXT_MAX)
        return hostile("another kind");
    *text = (const char *)message->data;
    return check_text(*text, message->size);
}
