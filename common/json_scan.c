#include "common/json_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "common/utf8.h"

enum {
    TOLERANT_DEPTH = 16,
    NUMBER_LENGTH = 63, /* cJSON reads a number through a buffer of 64 */
};

/* A member's name, unescaped, in the arena. */
struct key {
    const char *text;
    size_t length;
    size_t offset; /* in the document, for the message */
};

/* The pre-scan. `keys` has the names of all open objects; the innermost one's are the last. */
struct scan {
    const char *text;
    size_t length;
    size_t at;
    enum aw_json_mode mode;
    unsigned depth;
    size_t nodes;
    char *arena; /* as long as the document: unescaping never lengthens */
    size_t arena_used;
    struct key *keys;
    size_t key_count;
    size_t key_room;
};

static aw_result scan_value(struct scan *s);

AW_MUST_USE static aw_result
fail_at(enum aw_code code, size_t offset, const char *format, ...) AW_PRINTF(3, 4);

static aw_result
fail_at(enum aw_code code, size_t offset, const char *format, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return aw_fail(code, "JSON, byte %zu: %s", offset, text);
}

/* What stands where something else was expected. */
static aw_result
fail_found(const struct scan *s, const char *expected)
{
    if (s->at == s->length)
        return fail_at(AW_CODE_SYNTAX, s->at, "ends where %s is expected", expected);
    uint8_t c = (uint8_t)s->text[s->at];
    if (c > 0x20 && c < 0x7f)
        return fail_at(AW_CODE_SYNTAX, s->at, "'%c' where %s is expected", c, expected);
    return fail_at(AW_CODE_SYNTAX, s->at, "octet 0x%02x where %s is expected", c, expected);
}

static bool
next_is(const struct scan *s, char c)
{
    return s->at < s->length && s->text[s->at] == c;
}

static bool
next_is_digit(const struct scan *s)
{
    return s->at < s->length && s->text[s->at] >= '0' && s->text[s->at] <= '9';
}

/* RFC 8259 section 2; cJSON would skip any control character. */
static void
skip_space(struct scan *s)
{
    while (next_is(s, ' ') || next_is(s, '\t') || next_is(s, '\n') || next_is(s, '\r'))
        s->at++;
}

static aw_result
scan_word(struct scan *s, const char *word)
{
    size_t size = strlen(word);

    if (s->length - s->at < size || memcmp(s->text + s->at, word, size) != 0)
        return fail_found(s, "a value");
    s->at += size;
    return AW_OK;
}

/* At least one digit. */
static aw_result
scan_digits(struct scan *s)
{
    if (!next_is_digit(s))
        return fail_found(s, "a digit");
    while (next_is_digit(s))
        s->at++;
    return AW_OK;
}

/* RFC 8259 section 6: what may follow the integer part. */
static aw_result
scan_fraction(struct scan *s)
{
    if (next_is(s, '.')) {
        s->at++;
        AW_TRY(scan_digits(s));
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        s->at++;
        if (next_is(s, '+') || next_is(s, '-'))
            s->at++;
        AW_TRY(scan_digits(s));
    }
    return AW_OK;
}

/* Digits of an integer, as the octets from `begin` to the present place. */
static aw_result
check_exact(const struct scan *s, size_t begin)
{
    int64_t value = 0;

    for (size_t i = begin; i < s->at; i++) {
        value = value * 10 + (s->text[i] - '0');
        if (value > AW_JSON_EXACT_MAX)
            return fail_at(AW_CODE_SYNTAX, begin, "a number over 2^53-1 in magnitude");
    }
    if (next_is(s, '.') || next_is(s, 'e') || next_is(s, 'E'))
        return fail_at(AW_CODE_SYNTAX, begin, "a number that is no integer");
    return AW_OK;
}

static aw_result
scan_number(struct scan *s)
{
    size_t begin = s->at;

    if (next_is(s, '-'))
        s->at++;
    size_t digits = s->at;
    AW_TRY(scan_digits(s));
    if (s->text[digits] == '0' && s->at - digits > 1)
        return fail_at(AW_CODE_SYNTAX, digits, "a number with a leading zero");
    if (s->mode == AW_JSON_STRICT)
        return check_exact(s, digits);
    AW_TRY(scan_fraction(s));
    if (s->at - begin > NUMBER_LENGTH)
        return fail_at(AW_CODE_LIMIT, begin, "a number over %d characters", NUMBER_LENGTH);
    return AW_OK;
}

static void
keep(struct scan *s, const char *text, size_t size)
{
    memcpy(s->arena + s->arena_used, text, size);
    s->arena_used += size;
}

/* The four digits of \uXXXX; `at` is behind the u. */
static aw_result
scan_hex(struct scan *s, uint32_t *out)
{
    static const char digits[] = "0123456789abcdef";

    *out = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = s->at < s->length ? s->text[s->at] : '\0';
        const char *digit = memchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c, 16);
        if (digit == NULL)
            return fail_found(s, "a hexadecimal digit");
        *out = *out << 4 | (uint32_t)(digit - digits);
    }
    return AW_OK;
}

/* RFC 8259 section 7: \uXXXX, in pairs beyond U+FFFF. `at` is behind the u. */
static aw_result
scan_unicode(struct scan *s, bool kept)
{
    size_t begin = s->at - 2;
    uint32_t value, low = 0;
    char utf8[4];

    AW_TRY(scan_hex(s, &value));
    if (value == 0)
        return fail_at(AW_CODE_SYNTAX, begin, "an escaped NUL");
    if (value >= 0xd800 && value <= 0xdbff && s->length - s->at >= 6 && s->text[s->at] == '\\' &&
        s->text[s->at + 1] == 'u') {
        s->at += 2;
        AW_TRY(scan_hex(s, &low));
        if (low >= 0xdc00 && low <= 0xdfff)
            value = 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00);
    }
    if (value >= 0xd800 && value <= 0xdfff)
        return fail_at(AW_CODE_SYNTAX, begin, "a lone surrogate");
    if (kept)
        keep(s, utf8, aw_utf8_encode(value, utf8));
    return AW_OK;
}

static aw_result
scan_escape(struct scan *s, bool kept)
{
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";

    if (s->length - s->at < 2)
        return fail_at(AW_CODE_SYNTAX, s->at, "ends inside a string");
    char c = s->text[s->at + 1];
    const char *escape = memchr(escapes, c, sizeof(escapes) - 1);
    if (c != 'u' && escape == NULL)
        return fail_at(AW_CODE_SYNTAX, s->at, "an unknown escape sequence");
    s->at += 2;
    if (c == 'u')
        return scan_unicode(s, kept);
    if (kept)
        keep(s, meanings + (escape - escapes), 1);
    return AW_OK;
}

static aw_result
scan_character(struct scan *s, bool kept)
{
    uint32_t value;
    size_t size = aw_utf8_decode(s->text + s->at, s->length - s->at, &value);

    if (size == 0)
        return fail_at(AW_CODE_SYNTAX, s->at, "invalid UTF-8");
    if (value == 0)
        return fail_at(AW_CODE_SYNTAX, s->at, "a NUL");
    if (value < 0x20)
        return fail_at(AW_CODE_SYNTAX, s->at, "a raw control character (0x%02x)", (unsigned)value);
    if (kept)
        keep(s, s->text + s->at, size);
    s->at += size;
    return AW_OK;
}

/* `kept`: a name, which goes to the arena. */
static aw_result
scan_string(struct scan *s, bool kept)
{
    s->at++;
    while (s->at < s->length) {
        if (s->text[s->at] == '"') {
            s->at++;
            return AW_OK;
        }
        AW_TRY(s->text[s->at] == '\\' ? scan_escape(s, kept) : scan_character(s, kept));
    }
    return fail_at(AW_CODE_SYNTAX, s->at, "ends inside a string");
}

static aw_result
scan_member(struct scan *s)
{
    struct key key = {s->arena + s->arena_used, 0, s->at};

    if (!next_is(s, '"'))
        return fail_found(s, "a member's name in quotes");
    AW_TRY(aw_array_grow(&s->keys, s->key_count, &s->key_room, sizeof(*s->keys)));
    AW_TRY(scan_string(s, true));
    key.length = (size_t)(s->arena + s->arena_used - key.text);
    s->keys[s->key_count++] = key;
    skip_space(s);
    if (!next_is(s, ':'))
        return fail_found(s, "':'");
    s->at++;
    skip_space(s);
    return scan_value(s);
}

/* By length, octets, place. */
static int
compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;

    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    int order = memcmp(a->text, b->text, a->length);
    return order != 0 ? order : a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Sorted, so that 20,000 members do not cost 20,000 squared. */
static aw_result
refuse_duplicates(struct scan *s, size_t first)
{
    struct key *keys = s->keys + first;
    size_t count = s->key_count - first;
    char shown[80];

    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (keys[i].length == keys[i - 1].length &&
            memcmp(keys[i].text, keys[i - 1].text, keys[i].length) == 0) {
            aw_log_escape(keys[i].text, keys[i].length, shown, sizeof(shown));
            return fail_at(AW_CODE_SYNTAX, keys[i].offset, "duplicate member \"%s\"", shown);
        }
    }
    return AW_OK;
}

static aw_result
scan_members(struct scan *s, bool object)
{
    char closer = object ? '}' : ']';

    s->at++;
    skip_space(s);
    if (next_is(s, closer)) {
        s->at++;
        return AW_OK;
    }
    for (;;) {
        AW_TRY(object ? scan_member(s) : scan_value(s));
        skip_space(s);
        if (next_is(s, closer)) {
            s->at++;
            return AW_OK;
        }
        if (!next_is(s, ','))
            return fail_found(s, object ? "',' or '}'" : "',' or ']'");
        s->at++;
        skip_space(s);
    }
}

static aw_result
scan_container(struct scan *s, bool object)
{
    unsigned limit = s->mode == AW_JSON_STRICT ? AW_JSON_MAX_DEPTH : TOLERANT_DEPTH;
    size_t first = s->key_count;

    if (s->depth == limit)
        return fail_at(AW_CODE_LIMIT, s->at, "nested deeper than %u", limit);
    s->depth++;
    AW_TRY(scan_members(s, object));
    if (object && s->key_count - first > 1)
        AW_TRY(refuse_duplicates(s, first));
    s->key_count = first;
    s->depth--;
    return AW_OK;
}

/* Recursion ends at the depth limit. */
static aw_result
scan_value(struct scan *s)
{
    if (++s->nodes > AW_JSON_MAX_NODES)
        return fail_at(AW_CODE_LIMIT, s->at, "more than %d values", AW_JSON_MAX_NODES);
    switch (s->at < s->length ? s->text[s->at] : '\0') {
    case '{':
        return scan_container(s, true);
    case '[':
        return scan_container(s, false);
    case '"':
        return scan_string(s, false);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case '-':
        return scan_number(s);
    default:
        return next_is_digit(s) ? scan_number(s) : fail_found(s, "a value");
    }
}

static aw_result
scan_document(struct scan *s)
{
    if (s->length >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0)
        return fail_at(AW_CODE_SYNTAX, 0, "a byte order mark");
    skip_space(s);
    AW_TRY(scan_value(s));
    skip_space(s);
    if (s->at != s->length)
        return fail_at(AW_CODE_SYNTAX, s->at, "%zu bytes after the value", s->length - s->at);
    return AW_OK;
}

aw_result
aw_json_scan(const char *text, size_t length, enum aw_json_mode mode)
{
    AW_CLEANUP(aw_free) char *arena = malloc(length + 1);
    struct scan s = {.text = text, .length = length, .mode = mode, .arena = arena};

    if (arena == NULL)
        return aw_fail_memory();
    aw_result r = scan_document(&s);
    free(s.keys);
    return r;
}
