#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/json.h"
#include "common/utf8.h"

/* First capacity; it doubles. */
enum { WRITER_START = 512 };

/* Not realloc: what was written may be a secret, so the smaller buffer is wiped. */
static bool
reserve(struct aw_json_writer *w, size_t size)
{
    size_t need = w->length + size + 1;

    if (w->failed || need <= w->capacity)
        return !w->failed;
    size_t capacity = w->capacity > 0 ? w->capacity * 2 : WRITER_START;
    if (capacity < need)
        capacity = need;
    char *larger = malloc(capacity);
    if (larger == NULL) {
        w->failed = true;
        return false;
    }
    if (w->text != NULL) {
        memcpy(larger, w->text, w->length);
        OPENSSL_cleanse(w->text, w->capacity);
        free(w->text);
    }
    w->text = larger;
    w->capacity = capacity;
    return true;
}

static void
put(struct aw_json_writer *w, const char *text, size_t size)
{
    if (!reserve(w, size))
        return;
    memcpy(w->text + w->length, text, size);
    w->length += size;
}

/* Before each value or name. */
static void
separate(struct aw_json_writer *w)
{
    if (w->comma)
        put(w, ",", 1);
    w->comma = false;
}

static void
put_value(struct aw_json_writer *w, const char *text)
{
    separate(w);
    put(w, text, strlen(text));
    w->comma = true;
}

static void
begin(struct aw_json_writer *w, const char *bracket)
{
    separate(w);
    put(w, bracket, 1);
}

static void
end(struct aw_json_writer *w, const char *bracket)
{
    put(w, bracket, 1);
    w->comma = true;
}

void
aw_json_begin_object(struct aw_json_writer *w)
{
    begin(w, "{");
}

void
aw_json_end_object(struct aw_json_writer *w)
{
    end(w, "}");
}

void
aw_json_begin_array(struct aw_json_writer *w)
{
    begin(w, "[");
}

void
aw_json_end_array(struct aw_json_writer *w)
{
    end(w, "]");
}

static bool
is_plain(char c)
{
    return (uint8_t)c >= 0x20 && (uint8_t)c < 0x7f && c != '"' && c != '\\';
}

/* One character that is not plain; returns its octets. */
static size_t
put_special(struct aw_json_writer *w, const char *text, size_t left)
{
    uint32_t value;
    char escape[8];
    size_t size = aw_utf8_decode(text, left, &value);

    if (size == 0) {
        put(w, "\xef\xbf\xbd", 3);
        return 1;
    }
    if (value == '"' || value == '\\') {
        put(w, "\\", 1);
        put(w, text, 1);
    } else if (value < 0xa0) { /* C0, DEL and C1: a log must not drive a terminal */
        snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)value & 0xffff);
        put(w, escape, 6);
    } else {
        put(w, text, size);
    }
    return size;
}

static void
put_quoted(struct aw_json_writer *w, const char *text)
{
    size_t left = strlen(text);

    put(w, "\"", 1);
    while (left > 0) {
        size_t run = 0;
        while (run < left && is_plain(text[run]))
            run++;
        put(w, text, run);
        if (run < left)
            run += put_special(w, text + run, left - run);
        text += run;
        left -= run;
    }
    put(w, "\"", 1);
}

void
aw_json_name(struct aw_json_writer *w, const char *name)
{
    separate(w);
    put_quoted(w, name);
    put(w, ":", 1);
}

void
aw_json_write_string(struct aw_json_writer *w, const char *value)
{
    if (value == NULL) {
        put_value(w, "null");
        return;
    }
    separate(w);
    put_quoted(w, value);
    w->comma = true;
}

void
aw_json_write_integer(struct aw_json_writer *w, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)value);
    put_value(w, text);
}

void
aw_json_write_bool(struct aw_json_writer *w, bool value)
{
    put_value(w, value ? "true" : "false");
}

void
aw_json_write_raw(struct aw_json_writer *w, const char *json)
{
    put_value(w, json);
}

void
aw_json_pair(struct aw_json_writer *w, const char *name, const char *value)
{
    aw_json_name(w, name);
    aw_json_write_string(w, value);
}

void
aw_json_pair_integer(struct aw_json_writer *w, const char *name, int64_t value)
{
    aw_json_name(w, name);
    aw_json_write_integer(w, value);
}

void
aw_json_pair_array(struct aw_json_writer *w, const char *name, struct aw_json_writer *array)
{
    char *text = NULL;

    aw_json_end_array(array);
    aw_json_name(w, name);
    if (aw_ok(aw_json_writer_finish(array, &text)))
        aw_json_write_raw(w, text);
    else
        w->failed = true;
    free(text);
}

void
aw_json_pair_bool(struct aw_json_writer *w, const char *name, bool value)
{
    aw_json_name(w, name);
    aw_json_write_bool(w, value);
}

void
aw_json_begin_failure(struct aw_json_writer *w, const struct aw_error *error)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "status", "failed");
    aw_json_name(w, "error");
    aw_json_begin_object(w);
    aw_json_pair(w, "tag", aw_code_tag(error->code));
    aw_json_pair_integer(w, "exit", aw_code_exit(error->code));
    aw_json_pair(w, "message", error->message);
    aw_json_pair(w, "hint", error->hint[0] == '\0' ? NULL : error->hint);
}

aw_result
aw_json_writer_finish(struct aw_json_writer *w, char **out)
{
    if (!reserve(w, 0)) {
        aw_json_writer_free(w);
        return aw_fail_memory();
    }
    w->text[w->length] = '\0';
    *out = w->text;
    *w = (struct aw_json_writer){0};
    return AW_OK;
}

void
aw_json_writer_free(struct aw_json_writer *w)
{
    if (w->text != NULL)
        OPENSSL_cleanse(w->text, w->capacity);
    free(w->text);
    *w = (struct aw_json_writer){0};
}
