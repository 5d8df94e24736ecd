#include "audit/record.h"

#include <stdlib.h>
#include <string.h>

#include "audit/hasher.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/json.h"

/* cJSON keeps numbers as doubles. */
static const int64_t integer_max = 9007199254740991;

/* Identifiers of a record; fewer than aw_json_parse takes. CAs allow 100 an order. */
enum { NAMES_MAX = 4096 };

/* What a member holds in struct audit_record. */
enum shape {
    SHAPE_SEQ,      /* int64_t, from 1 */
    SHAPE_TIME,     /* int64_t, written as text */
    SHAPE_KIND,     /* enum audit_kind */
    SHAPE_UID,      /* entry.has_uid, entry.uid */
    SHAPE_TEXT,     /* const char *, absent when NULL */
    SHAPE_DIGEST,   /* const char *, absent when NULL, 64 lower-case hex digits */
    SHAPE_NAMES,    /* entry.names, absent when there are none */
    SHAPE_NUMBER,   /* int64_t, absent when 0 */
    SHAPE_VERIFIED, /* entry.has_verified, entry.verified */
    SHAPE_CHAIN,    /* char array: digest of the line before */
};

struct member {
    const char *name;
    enum shape shape;
    bool required;
    size_t offset;
};

#define ENTRY(member) offsetof(struct audit_record, entry.member)

/* In the order of the file. */
static const struct member members[] = {
    {"seq", SHAPE_SEQ, true, offsetof(struct audit_record, seq)},
    {"time", SHAPE_TIME, true, ENTRY(time)},
    {"kind", SHAPE_KIND, true, ENTRY(kind)},
    {"uid", SHAPE_UID, false, ENTRY(uid)},
    {"user", SHAPE_TEXT, false, ENTRY(user)},
    {"application", SHAPE_TEXT, false, ENTRY(application)},
    {"account", SHAPE_TEXT, false, ENTRY(account)},
    {"operation", SHAPE_TEXT, false, ENTRY(operation)},
    {"verdict", SHAPE_TEXT, false, ENTRY(verdict)},
    {"rule", SHAPE_TEXT, false, ENTRY(rule)},
    {"names", SHAPE_NAMES, false, ENTRY(names)},
    {"policy", SHAPE_DIGEST, false, ENTRY(policy)},
    {"input", SHAPE_DIGEST, false, ENTRY(input)},
    {"order", SHAPE_NUMBER, false, ENTRY(order)},
    {"order_url", SHAPE_TEXT, false, ENTRY(order_url)},
    {"url", SHAPE_TEXT, false, ENTRY(url)},
    {"url_kind", SHAPE_TEXT, false, ENTRY(url_kind)},
    {"csr", SHAPE_DIGEST, false, ENTRY(csr)},
    {"key", SHAPE_DIGEST, false, ENTRY(key)},
    {"serial", SHAPE_TEXT, false, ENTRY(serial)},
    {"not_after", SHAPE_NUMBER, false, ENTRY(not_after)},
    {"issuer", SHAPE_TEXT, false, ENTRY(issuer)},
    {"certificate", SHAPE_DIGEST, false, ENTRY(certificate)},
    {"verified", SHAPE_VERIFIED, false, ENTRY(verified)},
    {"account_id", SHAPE_NUMBER, false, ENTRY(account_id)},
    {"jwk", SHAPE_TEXT, false, ENTRY(jwk)},
    {"evidence", SHAPE_DIGEST, false, ENTRY(evidence)},
    {"kid", SHAPE_TEXT, false, ENTRY(kid)},
    {"count", SHAPE_NUMBER, false, ENTRY(count)},
    {"message", SHAPE_TEXT, false, ENTRY(message)},
    {"prev", SHAPE_CHAIN, true, offsetof(struct audit_record, previous)},
};

static const char *const kind_names[] = {
#define AUDIT_KIND_TEXT(name, text) text,
    AUDIT_KINDS(AUDIT_KIND_TEXT)
#undef AUDIT_KIND_TEXT
};

const char *
audit_kind_name(enum audit_kind kind)
{
    return kind_names[kind];
}

static const void *
field(const struct audit_record *record, const struct member *member)
{
    return (const char *)record + member->offset;
}

static void *
field_out(struct audit_record *record, const struct member *member)
{
    return (char *)record + member->offset;
}

static aw_result
check_digest(const char *name, const char *text)
{
    size_t digits = strspn(text, "0123456789abcdef");

    if (digits == 2 * AW_DIGEST_SIZE && text[digits] == '\0')
        return AW_OK;
    return aw_fail(AW_CODE_SYNTAX,
        "member \"%s\" is \"%.80s\", expected a SHA-256 digest of 64 lower-case hex digits", name,
        text);
}

/* Writing. */

static aw_result
write_number(struct aw_json_writer *w, const char *name, int64_t value, int64_t min)
{
    if (value < min || value > integer_max)
        return aw_fail(AW_CODE_INTERNAL,
            "member \"%s\" of an audit record is %lld, expected %lld to %lld", name,
            (long long)value, (long long)min, (long long)integer_max);
    aw_json_pair_integer(w, name, value);
    return AW_OK;
}

static aw_result
write_time(struct aw_json_writer *w, const char *name, int64_t value)
{
    static const int64_t end_of_9999 = 253402300799;
    char text[32];

    if (value < 0 || value > end_of_9999)
        return aw_fail(AW_CODE_INTERNAL, "time of an audit record is %lld, expected 0 to %lld",
            (long long)value, (long long)end_of_9999);
    aw_time_text(value, text);
    aw_json_pair(w, name, text);
    return AW_OK;
}

static aw_result
write_kind(struct aw_json_writer *w, const char *name, enum audit_kind kind)
{
    if ((size_t)kind >= AW_COUNT(kind_names))
        return aw_fail(AW_CODE_INTERNAL, "an audit record has no kind %d", (int)kind);
    aw_json_pair(w, name, kind_names[kind]);
    return AW_OK;
}

static aw_result
write_digest(struct aw_json_writer *w, const char *name, const char *value)
{
    if (value == NULL)
        return AW_OK;
    AW_TRY(check_digest(name, value));
    aw_json_pair(w, name, value);
    return AW_OK;
}

static aw_result
write_names(struct aw_json_writer *w, const char *name, const struct audit_entry *entry)
{
    if (entry->name_count == 0)
        return AW_OK;
    if (entry->name_count > NAMES_MAX)
        return aw_fail(AW_CODE_LIMIT, "an audit record of %zu names, expected at most %d",
            entry->name_count, NAMES_MAX);
    aw_json_name(w, name);
    aw_json_begin_array(w);
    for (size_t i = 0; i < entry->name_count; i++) {
        if (entry->names[i] == NULL)
            return aw_fail(AW_CODE_INTERNAL, "name %zu of an audit record is NULL", i);
        aw_json_write_string(w, entry->names[i]);
    }
    aw_json_end_array(w);
    return AW_OK;
}

static aw_result
write_member(
    struct aw_json_writer *w, const struct member *member, const struct audit_record *record)
{
    const void *value = field(record, member);

    switch (member->shape) {
    case SHAPE_SEQ:
        return write_number(w, member->name, *(const int64_t *)value, 1);
    case SHAPE_TIME:
        return write_time(w, member->name, *(const int64_t *)value);
    case SHAPE_KIND:
        return write_kind(w, member->name, *(const enum audit_kind *)value);
    case SHAPE_UID:
        if (record->entry.has_uid)
            aw_json_pair_integer(w, member->name, record->entry.uid);
        return AW_OK;
    case SHAPE_TEXT:
        if (*(const char *const *)value != NULL)
            aw_json_pair(w, member->name, *(const char *const *)value);
        return AW_OK;
    case SHAPE_DIGEST:
        return write_digest(w, member->name, *(const char *const *)value);
    case SHAPE_NAMES:
        return write_names(w, member->name, &record->entry);
    case SHAPE_NUMBER:
        if (*(const int64_t *)value == 0)
            return AW_OK;
        return write_number(w, member->name, *(const int64_t *)value, 1);
    case SHAPE_VERIFIED:
        if (record->entry.has_verified)
            aw_json_pair_bool(w, member->name, record->entry.verified);
        return AW_OK;
    case SHAPE_CHAIN:
        return write_digest(w, member->name, value);
    }
    return aw_fail(AW_CODE_INTERNAL, "member \"%s\" has no shape", member->name);
}

aw_result
audit_record_write(const struct audit_record *record, char **line, size_t *length)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    aw_json_begin_object(&w);
    for (size_t i = 0; i < AW_COUNT(members); i++)
        AW_TRY(write_member(&w, &members[i], record));
    aw_json_end_object(&w);
    size_t size = w.length;
    AW_TRY(aw_json_writer_finish(&w, &text));
    if (size + 1 > AUDIT_RECORD_MAX)
        return aw_fail(AW_CODE_LIMIT, "an audit record of %zu octets, expected at most %d",
            size + 1, AUDIT_RECORD_MAX);
    *length = size;
    *line = AW_MOVE(text);
    return AW_OK;
}

/* Reading. */

static aw_result
read_time(const cJSON *json, const char *name, int64_t *out)
{
    const char *text;

    AW_TRY(aw_json_string(json, name, 32, &text));
    AW_TRY(aw_context(aw_time_parse(text, out), "member \"%s\"", name));
    if (*out < 0)
        return aw_fail(
            AW_CODE_SYNTAX, "member \"%s\" is %s, expected a time from 1970 on", name, text);
    return AW_OK;
}

static aw_result
read_kind(const cJSON *json, const char *name, enum audit_kind *out)
{
    const char *text;

    AW_TRY(aw_json_string(json, name, 32, &text));
    for (size_t i = 0; i < AW_COUNT(kind_names); i++) {
        if (strcmp(text, kind_names[i]) == 0) {
            *out = (enum audit_kind)i;
            return AW_OK;
        }
    }
    return aw_fail(
        AW_CODE_SYNTAX, "member \"%s\" is \"%s\", which is no kind of record", name, text);
}

static aw_result
read_uid(const cJSON *json, const char *name, struct audit_entry *entry)
{
    int64_t uid;

    AW_TRY(aw_json_integer(json, name, 0, UINT32_MAX, &uid));
    entry->has_uid = true;
    entry->uid = (uint32_t)uid;
    return AW_OK;
}

static aw_result
read_verified(const cJSON *json, const char *name, struct audit_entry *entry)
{
    const cJSON *member = aw_json_member(json, name);

    if (!cJSON_IsBool(member))
        return aw_fail(AW_CODE_SYNTAX, "member \"%s\" is neither true nor false", name);
    entry->has_verified = true;
    entry->verified = cJSON_IsTrue(member);
    return AW_OK;
}

static aw_result
read_digest(const cJSON *json, const char *name, const char **out)
{
    AW_TRY(aw_json_string(json, name, AUDIT_RECORD_MAX, out));
    return check_digest(name, *out);
}

static aw_result
read_names(const cJSON *json, const char *name, struct audit_record *record)
{
    const cJSON *array;
    const cJSON *item;

    AW_TRY(aw_json_array(json, name, 1, NAMES_MAX, &array));
    record->names_storage = calloc((size_t)cJSON_GetArraySize(array), sizeof(char *));
    if (record->names_storage == NULL)
        return aw_fail_memory();
    record->entry.names = record->names_storage;
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return aw_fail(AW_CODE_SYNTAX, "member \"%s\" holds something that is no string", name);
        record->names_storage[record->entry.name_count++] = item->valuestring;
    }
    return AW_OK;
}

static aw_result
read_chain(const cJSON *json, const char *name, char out[AW_DIGEST_HEX_SIZE])
{
    const char *text;

    AW_TRY(read_digest(json, name, &text));
    memcpy(out, text, AW_DIGEST_HEX_SIZE);
    return AW_OK;
}

static aw_result
read_member(const cJSON *json, const struct member *member, struct audit_record *record)
{
    void *value = field_out(record, member);

    switch (member->shape) {
    case SHAPE_SEQ:
    case SHAPE_NUMBER:
        return aw_json_integer(json, member->name, 1, integer_max, value);
    case SHAPE_TIME:
        return read_time(json, member->name, value);
    case SHAPE_KIND:
        return read_kind(json, member->name, value);
    case SHAPE_UID:
        return read_uid(json, member->name, &record->entry);
    case SHAPE_TEXT:
        return aw_json_string(json, member->name, AUDIT_RECORD_MAX, value);
    case SHAPE_DIGEST:
        return read_digest(json, member->name, value);
    case SHAPE_NAMES:
        return read_names(json, member->name, record);
    case SHAPE_VERIFIED:
        return read_verified(json, member->name, &record->entry);
    case SHAPE_CHAIN:
        return read_chain(json, member->name, value);
    }
    return aw_fail(AW_CODE_INTERNAL, "member \"%s\" has no shape", member->name);
}

/* Members come in one order only, so that a record has one form; this finds unknown ones too. */
static aw_result
check_order(const cJSON *json)
{
    size_t next = 0;

    if (!cJSON_IsObject(json))
        return aw_fail(AW_CODE_SYNTAX, "found a value that is no object, expected a record");
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        while (next < AW_COUNT(members) && strcmp(members[next].name, item->string) != 0)
            next++;
        if (next == AW_COUNT(members))
            return aw_fail(
                AW_CODE_SYNTAX, "member \"%s\" is unknown or out of order", item->string);
        next++;
    }
    return AW_OK;
}

static aw_result
read_members(struct audit_record *record)
{
    AW_TRY(check_order(record->json));
    for (size_t i = 0; i < AW_COUNT(members); i++) {
        if (members[i].required || aw_json_member(record->json, members[i].name) != NULL)
            AW_TRY(read_member(record->json, &members[i], record));
    }
    return AW_OK;
}

aw_result
audit_record_read(const char *line, size_t length, struct audit_record *out)
{
    AW_CLEANUP(audit_record_free) struct audit_record record = {0};

    AW_TRY(aw_json_parse(line, length, AW_JSON_STRICT, &record.json));
    AW_TRY(read_members(&record));
    *out = record;
    record = (struct audit_record){0};
    return AW_OK;
}

aw_result
audit_record_parse(const char *line, size_t length, struct audit_record *out)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    char digest[AW_DIGEST_HEX_SIZE];

    if (length > 0 && line[length - 1] == '\n')
        length--;
    if (length + 1 > AUDIT_RECORD_MAX)
        return aw_fail(AW_CODE_LIMIT, "an audit record of %zu octets, expected at most %d",
            length + 1, AUDIT_RECORD_MAX);
    AW_TRY(audit_hasher_new(&hasher));
    AW_TRY(audit_hasher_line(hasher, line, length, digest));
    AW_TRY(audit_record_read(line, length, out));
    memcpy(out->digest, digest, sizeof(digest));
    return AW_OK;
}

void
audit_record_free(struct audit_record *record)
{
    aw_json_free(&record->json);
    free(record->names_storage);
    *record = (struct audit_record){0};
}

bool
audit_entry_has_name(const struct audit_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->name_count; i++)
        if (strcmp(entry->names[i], name) == 0)
            return true;
    return false;
}
