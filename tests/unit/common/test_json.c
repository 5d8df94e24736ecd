#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"
#include "tests/unit/common/mutate.h"

/* Text of a literal that may hold NULs. */
#define TEXT(literal) literal, sizeof(literal) - 1

/* A document in a buffer of exactly its length, so that a sanitizer sees a read too far. */
static aw_result
parse(const char *text, size_t length, enum aw_json_mode mode, cJSON **out)
{
    AW_CLEANUP(aw_free) char *exact = malloc(length > 0 ? length : 1);

    assert_non_null(exact);
    memcpy(exact, text, length);
    return aw_json_parse(length > 0 ? exact : exact + 1, length, mode, out);
}

static const struct {
    const char *name;
    const char *text;
    size_t length;
    enum aw_code code;
    const char *reason;
} refused[] = {
    {"attack 1 duplicate identifiers", TEXT("{\"identifiers\":1,\"a\":2,\"identifiers\":3}"),
        AW_CODE_SYNTAX, "byte 23: duplicate member \"identifiers\""},
    {"attack 4 the array given twice", TEXT("{\"identifiers\":[1],\"identifiers\":[1]}"),
        AW_CODE_SYNTAX, "byte 19: duplicate member"},
    {"attack 4 twice in an inner object", TEXT("[{\"x\":{\"a\":1,\"a\":1}}]"), AW_CODE_SYNTAX,
        "byte 13: duplicate member \"a\""},
    {"attack 4 an empty name twice", TEXT("{\"\":1,\"\":1}"), AW_CODE_SYNTAX, "duplicate"},
    {"attack 5 an escaped NUL in a value", TEXT("{\"a\":\"x\\u0000y\"}"), AW_CODE_SYNTAX,
        "byte 7: an escaped NUL"},
    {"attack 5 an escaped NUL in a key", TEXT("{\"a\\u0000\":1}"), AW_CODE_SYNTAX,
        "byte 3: an escaped NUL"},
    {"attack 7 a raw NUL in a string", TEXT("{\"a\":\"x\0y\"}"), AW_CODE_SYNTAX, "byte 7: a NUL"},
    {"attack 7 a raw NUL behind the value", TEXT("{}\0"), AW_CODE_SYNTAX, "byte 2: 1 bytes after"},
    {"attack 7 a raw NUL for a value", TEXT("{\"a\":\0}"), AW_CODE_SYNTAX, "octet 0x00"},
    {"attack 8 {} trailing", TEXT("{}{}"), AW_CODE_SYNTAX, "byte 2: 2 bytes after the value"},
    {"attack 8 a comma behind", TEXT("{},"), AW_CODE_SYNTAX, "byte 2: 1 bytes after"},
    {"attack 9 overlong slash", TEXT("\"\xc0\xaf\""), AW_CODE_SYNTAX, "byte 1: invalid UTF-8"},
    {"attack 9 overlong NUL", TEXT("\"\xc0\x80\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 overlong of three", TEXT("\"\xe0\x80\xaf\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 overlong of four", TEXT("\"\xf0\x80\x80\xaf\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 a surrogate in UTF-8", TEXT("\"\xed\xa0\x80\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 over U+10FFFF", TEXT("\"\xf4\x90\x80\x80\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 five octets", TEXT("\"\xf8\x88\x80\x80\x80\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 a continuation alone", TEXT("\"\x80\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 cut by the quote", TEXT("\"\xe2\x82\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 cut by the end", TEXT("\"\xe2\x82"), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 Latin-1", TEXT("\"\xfc\""), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 invalid in a key", TEXT("{\"\xff\":1}"), AW_CODE_SYNTAX, "invalid UTF-8"},
    {"attack 9 a raw line feed", TEXT("\"a\nb\""), AW_CODE_SYNTAX, "control character (0x0a)"},
    {"attack 9 a raw tab", TEXT("\"a\tb\""), AW_CODE_SYNTAX, "control character (0x09)"},
    {"attack 9 a raw unit separator", TEXT("\"\x1f\""), AW_CODE_SYNTAX, "control character (0x1f)"},
    {"attack 9 a raw ESC", TEXT("\"\x1b[2J\""), AW_CODE_SYNTAX, "control character (0x1b)"},
    {"attack 9 a control character as space", TEXT("{\x01}"), AW_CODE_SYNTAX, "octet 0x01"},
    {"attack 9 a form feed as space", TEXT("{}\f"), AW_CODE_SYNTAX, "bytes after"},
    {"attack 9 a lone high surrogate", TEXT("\"\\ud800\""), AW_CODE_SYNTAX, "lone surrogate"},
    {"attack 9 a lone low surrogate", TEXT("\"\\udc00\""), AW_CODE_SYNTAX, "lone surrogate"},
    {"attack 9 two high surrogates", TEXT("\"\\ud800\\ud800\""), AW_CODE_SYNTAX, "lone surrogate"},
    {"attack 9 surrogates in disorder", TEXT("\"\\udc00\\ud800\""), AW_CODE_SYNTAX, "surrogate"},
    {"attack 9 a pair with another escape", TEXT("\"\\ud800\\n....\""), AW_CODE_SYNTAX,
        "surrogate"},
    {"attack 10 007", TEXT("007"), AW_CODE_SYNTAX, "leading zero"},
    {"attack 10 -01", TEXT("-01"), AW_CODE_SYNTAX, "leading zero"},
    {"attack 10 1.", TEXT("1."), AW_CODE_SYNTAX, "no integer"},
    {"attack 10 1.0", TEXT("1.0"), AW_CODE_SYNTAX, "no integer"},
    {"attack 10 1e400", TEXT("1e400"), AW_CODE_SYNTAX, "no integer"},
    {"attack 10 1E2", TEXT("1E2"), AW_CODE_SYNTAX, "no integer"},
    {"attack 10 2^53", TEXT("9007199254740992"), AW_CODE_SYNTAX, "over 2^53-1"},
    {"attack 10 2^53+1", TEXT("9007199254740993"), AW_CODE_SYNTAX, "over 2^53-1"},
    {"attack 10 -2^53", TEXT("-9007199254740992"), AW_CODE_SYNTAX, "over 2^53-1"},
    {"attack 10 over 64 bits", TEXT("18446744073709551617"), AW_CODE_SYNTAX, "over 2^53-1"},
    {"attack 10 +1", TEXT("+1"), AW_CODE_SYNTAX, "'+' where a value"},
    {"attack 10 -", TEXT("-"), AW_CODE_SYNTAX, "where a digit"},
    {"attack 10 .5", TEXT(".5"), AW_CODE_SYNTAX, "'.' where a value"},
    {"attack 10 0x10", TEXT("0x10"), AW_CODE_SYNTAX, "bytes after"},
    {"attack 10 NaN", TEXT("NaN"), AW_CODE_SYNTAX, "where a value"},
    {"attack 10 Infinity", TEXT("-Infinity"), AW_CODE_SYNTAX, "where a digit"},
    {"attack 11 arrays nine deep", TEXT("[[[[[[[[[]]]]]]]]]"), AW_CODE_LIMIT,
        "byte 8: nested deeper"},
    {"attack 11 objects nine deep",
        TEXT("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}"),
        AW_CODE_LIMIT, "nested deeper than 8"},
    {"attack 13 an escaped duplicate key", TEXT("{\"a\":1,\"\\u0061\":2}"), AW_CODE_SYNTAX,
        "byte 7: duplicate member \"a\""},
    {"attack 13 a pair of escapes against UTF-8",
        TEXT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), AW_CODE_SYNTAX, "duplicate member"},
    {"attack 13 solidus escaped", TEXT("{\"a/b\":1,\"a\\/b\":2}"), AW_CODE_SYNTAX, "duplicate"},
    {"attack 15 a BOM", TEXT("\xef\xbb\xbf{}"), AW_CODE_SYNTAX, "byte 0: a byte order mark"},
    {"attack 100 a key drives no terminal", TEXT("{\"\\u001b[2J\":1,\"\\u001b[2J\":1}"),
        AW_CODE_SYNTAX, "duplicate member \"\\x1b[2J\""},
    {"nothing", TEXT(""), AW_CODE_SYNTAX, "byte 0: ends where a value is expected"},
    {"only space", TEXT(" \n"), AW_CODE_SYNTAX, "byte 2: ends where"},
    {"an object that does not end", TEXT("{\"a\":1"), AW_CODE_SYNTAX, "ends where ',' or '}'"},
    {"an array that does not end", TEXT("[1"), AW_CODE_SYNTAX, "ends where ',' or ']'"},
    {"a string that does not end", TEXT("\"a"), AW_CODE_SYNTAX, "ends inside a string"},
    {"an escape that does not end", TEXT("\"a\\"), AW_CODE_SYNTAX, "ends inside a string"},
    {"a \\u that does not end", TEXT("\"\\u12"), AW_CODE_SYNTAX, "hexadecimal digit"},
    {"a \\u of other digits", TEXT("\"\\u12g4\""), AW_CODE_SYNTAX, "'g' where a hexadecimal"},
    {"an unknown escape", TEXT("\"\\x41\""), AW_CODE_SYNTAX, "unknown escape"},
    {"an escaped quote of the other kind", TEXT("\"\\'\""), AW_CODE_SYNTAX, "unknown escape"},
    {"a comma before }", TEXT("{\"a\":1,}"), AW_CODE_SYNTAX, "'}' where a member's name"},
    {"a comma before ]", TEXT("[1,]"), AW_CODE_SYNTAX, "']' where a value"},
    {"two commas", TEXT("[1,,2]"), AW_CODE_SYNTAX, "',' where a value"},
    {"no colon", TEXT("{\"a\" 1}"), AW_CODE_SYNTAX, "where ':'"},
    {"no quotes at a name", TEXT("{a:1}"), AW_CODE_SYNTAX, "'a' where a member's name"},
    {"single quotes", TEXT("{'a':1}"), AW_CODE_SYNTAX, "where a member's name"},
    {"a comment", TEXT("{/* */}"), AW_CODE_SYNTAX, "'/' where"},
    {"the wrong bracket", TEXT("[1}"), AW_CODE_SYNTAX, "'}' where"},
    {"True", TEXT("True"), AW_CODE_SYNTAX, "'T' where a value"},
    {"tru", TEXT("tru"), AW_CODE_SYNTAX, "where a value"},
    {"nullx", TEXT("nullx"), AW_CODE_SYNTAX, "bytes after"},
};

static void
strict_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(refused); i++) {
        cJSON *json = NULL;
        aw_result r = parse(refused[i].text, refused[i].length, AW_JSON_STRICT, &json);
        if (r.code != refused[i].code || json != NULL)
            fail_msg("%s: %s", refused[i].name, aw_code_tag(r.code));
        if (strstr(aw_error_last()->message, refused[i].reason) == NULL)
            fail_msg("%s: %s", refused[i].name, aw_error_last()->message);
    }
}

/* Tolerance is for numbers and depth, nothing else. */
static void
tolerant_refuses_the_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(refused); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        bool deep = strstr(refused[i].name, "attack 11") != NULL;
        bool number = strstr(refused[i].reason, "integer") || strstr(refused[i].reason, "2^53");
        bool broken = strcmp(refused[i].text, "1.") == 0;
        aw_result r = parse(refused[i].text, refused[i].length, AW_JSON_TOLERANT, &json);
        if (aw_ok(r) != (deep || (number && !broken)))
            fail_msg("%s: %s", refused[i].name, aw_code_tag(r.code));
    }
}

/* With our writer: cJSON's printer rounds to 15 digits. Of numbers, only integers. */
static void
write_tree(struct aw_json_writer *w, const cJSON *value)
{
    const cJSON *child;

    if (cJSON_IsString(value))
        aw_json_write_string(w, value->valuestring);
    else if (cJSON_IsNumber(value))
        aw_json_write_integer(w, (int64_t)value->valuedouble);
    else if (cJSON_IsBool(value))
        aw_json_write_bool(w, cJSON_IsTrue(value));
    else if (cJSON_IsNull(value))
        aw_json_write_string(w, NULL);
    else
        (cJSON_IsObject(value) ? aw_json_begin_object : aw_json_begin_array)(w);
    if (!cJSON_IsObject(value) && !cJSON_IsArray(value))
        return;
    cJSON_ArrayForEach(child, value)
    {
        if (cJSON_IsObject(value))
            aw_json_name(w, child->string);
        write_tree(w, child);
    }
    (cJSON_IsObject(value) ? aw_json_end_object : aw_json_end_array)(w);
}

static char *
print_tree(const cJSON *value)
{
    struct aw_json_writer w = {0};
    char *text;

    write_tree(&w, value);
    assert_true(aw_ok(aw_json_writer_finish(&w, &text)));
    return text;
}

static const struct {
    const char *name;
    const char *text;
    const char *printed;
} accepted[] = {
    {"empty object", "{}", "{}"},
    {"space everywhere", " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : null } \n",
        "{\"a\":[1,2],\"b\":null}"},
    {"a value alone", "true", "true"},
    {"attack 2 another case is another name", "{\"a\":1,\"A\":2}", "{\"a\":1,\"A\":2}"},
    {"one name in two objects", "[{\"a\":1},{\"a\":2}]", "[{\"a\":1},{\"a\":2}]"},
    {"an outer name within", "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
        "{\"a\":{\"a\":1},\"b\":{\"a\":1}}"},
    {"one name the beginning of the other", "{\"a\":1,\"ab\":2,\"\":3}",
        "{\"a\":1,\"ab\":2,\"\":3}"},
    {"zero", "[0,-0,-1]", "[0,0,-1]"},
    {"2^53-1", "[9007199254740991,-9007199254740991]", "[9007199254740991,-9007199254740991]"},
    {"many beside each other", "[{},{},{},{},{},[],[],[],[],[]]",
        "[{},{},{},{},{},[],[],[],[],[]]"},
    {"eight deep", "[[[[[[[[1]]]]]]]]", "[[[[[[[[1]]]]]]]]"},
    {"all escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fc\\u00DF\"",
        "\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009\xc3\xbc\xc3\x9f\""},
    {"a surrogate pair", "\"\\ud83d\\uDE00\"", "\"\xf0\x9f\x98\x80\""},
    {"ends of the ranges of UTF-8",
        "\"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
        "\"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
};

static void
strict_accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(accepted); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        AW_CLEANUP(aw_free) char *printed = NULL;
        if (!aw_ok(parse(accepted[i].text, strlen(accepted[i].text), AW_JSON_STRICT, &json)))
            fail_msg("%s: %s", accepted[i].name, aw_error_last()->message);
        printed = print_tree(json);
        if (strcmp(printed, accepted[i].printed) != 0)
            fail_msg("%s: %s", accepted[i].name, printed);
    }
}

static const struct {
    const char *name;
    const char *text;
    bool accepted;
} tolerant[] = {
    {"a fraction", "[1.5,-0.25,1e3,1E+2,2e-3,0.0]", true},
    {"an exponent beyond doubles", "1e400", true},
    {"beyond 2^53", "123456789012345678901234567890", true},
    {"sixteen deep", "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", true},
    {"seventeen deep", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", false},
    {"63 digits", "100000000000000000000000000000000000000000000000000000000000000", true},
    {"64 digits", "1000000000000000000000000000000000000000000000000000000000000000", false},
    {"no digit behind the point", "1.", false},
    {"no digit in the exponent", "1e", false},
    {"no digit behind the sign", "1e+", false},
    {"a leading zero", "00.5", false},
    {"duplicate members", "{\"a\":1.5,\"a\":1.5}", false},
};

static void
tolerant_takes_any_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(tolerant); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        aw_result r = parse(tolerant[i].text, strlen(tolerant[i].text), AW_JSON_TOLERANT, &json);
        if (aw_ok(r) != tolerant[i].accepted)
            fail_msg("%s: %s", tolerant[i].name, aw_code_tag(r.code));
    }
}

/* {"m0":1,"m1":1,...}: `count` members; the last is called like the first when `twice`. */
static char *
many_members(size_t count, bool twice)
{
    struct aw_json_writer w = {0};
    char name[32];
    char *text;

    aw_json_begin_object(&w);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "m%zu", twice && i == count - 1 ? 0 : i);
        aw_json_pair_integer(&w, name, 1);
    }
    aw_json_end_object(&w);
    assert_true(aw_ok(aw_json_writer_finish(&w, &text)));
    return text;
}

static void
attack_12_a_million_members(void **state)
{
    static const struct {
        const char *name;
        size_t members;
        bool twice;
        enum aw_code code;
    } rows[] = {
        {"as many as there may be", AW_JSON_MAX_NODES - 1, false, AW_CODE_OK},
        {"the last one twice", AW_JSON_MAX_NODES - 1, true, AW_CODE_SYNTAX},
        {"one more", AW_JSON_MAX_NODES, false, AW_CODE_LIMIT},
        {"a million", 1000000, false, AW_CODE_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        AW_CLEANUP(aw_free) char *text = many_members(rows[i].members, rows[i].twice);
        aw_result r = aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
    }
}

static void
size_is_limited(void **state)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    AW_CLEANUP(aw_free) char *text = malloc(AW_JSON_MAX_SIZE + 1);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', AW_JSON_MAX_SIZE + 1);
    text[0] = '1';
    assert_true(aw_ok(aw_json_parse(text, AW_JSON_MAX_SIZE, AW_JSON_STRICT, &json)));
    aw_json_free(&json);
    assert_int_equal(
        aw_json_parse(text, AW_JSON_MAX_SIZE + 1, AW_JSON_STRICT, &json).code, AW_CODE_LIMIT);
    aw_json_free(&json);
    aw_json_free(NULL);
}

/* Readers. */

enum reader {
    STRING,
    OPTIONAL_STRING,
    INTEGER,
    OPTIONAL_INTEGER,
    OPTIONAL_BOOL,
    ARRAY,
    OBJECT,
    ONLY
};

/* Bounds of all rows: strings of 3 octets, integers -5 to 10, arrays of 1 to 2. */
static aw_result
read_x(const cJSON *json, enum reader reader)
{
    static const char *const names[] = {"x", "y"};
    const char *string = "unset";
    const cJSON *value = NULL;
    int64_t integer = 7;
    bool flag = true;

    switch (reader) {
    case STRING:
        return aw_json_string(json, "x", 3, &string);
    case OPTIONAL_STRING:
        return aw_json_optional_string(json, "x", 3, &string);
    case INTEGER:
        return aw_json_integer(json, "x", -5, 10, &integer);
    case OPTIONAL_INTEGER:
        return aw_json_optional_integer(json, "x", -5, 10, &integer);
    case OPTIONAL_BOOL:
        return aw_json_optional_bool(json, "x", &flag);
    case ARRAY:
        return aw_json_array(json, "x", 1, 2, &value);
    case OBJECT:
        return aw_json_object(json, "x", &value);
    case ONLY:
        return aw_json_only(json, names, AW_COUNT(names));
    }
    return aw_fail(AW_CODE_INTERNAL, "no such reader");
}

static const struct {
    const char *name;
    enum reader reader;
    const char *text;
    enum aw_code code;
    const char *reason;
} reads[] = {
    {"a string", STRING, "{\"x\":\"abc\"}", AW_CODE_OK, ""},
    {"a string too long", STRING, "{\"x\":\"abcd\"}", AW_CODE_LIMIT, "has 4 octets, at most 3"},
    {"attack 2 IDENTIFIERS is no identifiers", STRING, "{\"X\":\"abc\"}", AW_CODE_SYNTAX,
        "\"x\" is missing, expected a string"},
    {"attack 14 null for a string", STRING, "{\"x\":null}", AW_CODE_SYNTAX,
        "is null, expected a string"},
    {"attack 14 a number for a string", STRING, "{\"x\":1}", AW_CODE_SYNTAX, "is a number"},
    {"attack 14 an array for the object", STRING, "[\"x\"]", AW_CODE_SYNTAX,
        "an array where an object"},
    {"attack 13 an escaped key is the key", STRING, "{\"\\u0078\":\"abc\"}", AW_CODE_OK, ""},
    {"an optional string", OPTIONAL_STRING, "{\"x\":\"abc\"}", AW_CODE_OK, ""},
    {"an absent optional string", OPTIONAL_STRING, "{}", AW_CODE_OK, ""},
    {"a null optional string", OPTIONAL_STRING, "{\"x\":null}", AW_CODE_OK, ""},
    {"attack 14 false for an optional string", OPTIONAL_STRING, "{\"x\":false}", AW_CODE_SYNTAX,
        "is a boolean"},
    {"attack 14 an array for its object", OPTIONAL_STRING, "[]", AW_CODE_SYNTAX, "an array where"},
    {"an integer", INTEGER, "{\"x\":-5}", AW_CODE_OK, ""},
    {"an integer too small", INTEGER, "{\"x\":-6}", AW_CODE_LIMIT, "is -6, expected -5 to 10"},
    {"an integer too large", INTEGER, "{\"x\":11}", AW_CODE_LIMIT, "is 11"},
    {"an exponent that is whole", INTEGER, "{\"x\":1e1}", AW_CODE_OK, ""},
    {"attack 10 a fraction", INTEGER, "{\"x\":1.5}", AW_CODE_SYNTAX, "expected an integer"},
    {"attack 10 an infinite number", INTEGER, "{\"x\":1e400}", AW_CODE_SYNTAX,
        "expected an integer"},
    {"attack 10 beyond 2^53", INTEGER, "{\"x\":9007199254740992}", AW_CODE_SYNTAX, "2^53-1"},
    {"attack 14 a string for an integer", INTEGER, "{\"x\":\"5\"}", AW_CODE_SYNTAX, "is a string"},
    {"attack 14 true for an integer", INTEGER, "{\"x\":true}", AW_CODE_SYNTAX, "is a boolean"},
    {"an absent integer", INTEGER, "{}", AW_CODE_SYNTAX, "is missing"},
    {"an absent optional integer", OPTIONAL_INTEGER, "{}", AW_CODE_OK, ""},
    {"attack 14 an object for an optional integer", OPTIONAL_INTEGER, "{\"x\":{}}", AW_CODE_SYNTAX,
        "is an object"},
    {"an optional boolean", OPTIONAL_BOOL, "{\"x\":false}", AW_CODE_OK, ""},
    {"an absent optional boolean", OPTIONAL_BOOL, "{}", AW_CODE_OK, ""},
    {"attack 14 0 for a boolean", OPTIONAL_BOOL, "{\"x\":0}", AW_CODE_SYNTAX,
        "expected true or false"},
    {"attack 14 a string for a boolean", OPTIONAL_BOOL, "{\"x\":\"true\"}", AW_CODE_SYNTAX,
        "is a string"},
    {"an array", ARRAY, "{\"x\":[1]}", AW_CODE_OK, ""},
    {"an array too short", ARRAY, "{\"x\":[]}", AW_CODE_LIMIT, "has 0 elements, expected 1 to 2"},
    {"an array too long", ARRAY, "{\"x\":[1,2,3]}", AW_CODE_LIMIT, "has 3 elements"},
    {"attack 14 an object for an array", ARRAY, "{\"x\":{\"0\":1}}", AW_CODE_SYNTAX,
        "is an object"},
    {"an object", OBJECT, "{\"x\":{}}", AW_CODE_OK, ""},
    {"attack 14 an array for an object", OBJECT, "{\"x\":[]}", AW_CODE_SYNTAX, "is an array"},
    {"attack 14 null for an object", OBJECT, "{\"x\":null}", AW_CODE_SYNTAX, "is null"},
    {"known members", ONLY, "{\"y\":1,\"x\":2}", AW_CODE_OK, ""},
    {"an unknown member", ONLY, "{\"x\":1,\"z\":2}", AW_CODE_SYNTAX, "unknown member \"z\""},
    {"attack 2 a known member in another case", ONLY, "{\"X\":1}", AW_CODE_SYNTAX,
        "unknown member \"X\""},
    {"attack 14 no object", ONLY, "\"x\"", AW_CODE_SYNTAX, "a string where an object"},
};

static void
readers_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(reads); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        assert_true(aw_ok(parse(reads[i].text, strlen(reads[i].text), AW_JSON_TOLERANT, &json)));
        aw_result r = read_x(json, reads[i].reader);
        if (r.code != reads[i].code)
            fail_msg("%s: %s", reads[i].name, aw_code_tag(r.code));
        if (!aw_ok(r) && strstr(aw_error_last()->message, reads[i].reason) == NULL)
            fail_msg("%s: %s", reads[i].name, aw_error_last()->message);
    }
}

static void
readers_give_the_values(void **state)
{
    static const char text[] =
        "{\"s\":\"v\",\"i\":-3,\"b\":true,\"a\":[1],\"o\":{\"k\":1},\"n\":null}";
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *string = NULL;
    const cJSON *value = NULL;
    int64_t integer = 0;
    bool flag = false;

    (void)state;
    assert_true(aw_ok(parse(text, sizeof(text) - 1, AW_JSON_STRICT, &json)));
    assert_true(aw_ok(aw_json_string(json, "s", 9, &string)));
    assert_string_equal(string, "v");
    assert_true(aw_ok(aw_json_optional_string(json, "n", 9, &string)));
    assert_null(string);
    assert_true(aw_ok(aw_json_optional_string(json, "s", 9, &string)));
    assert_string_equal(string, "v");
    assert_true(aw_ok(aw_json_integer(json, "i", -9, 9, &integer)));
    assert_int_equal(integer, -3);
    integer = 42;
    assert_true(aw_ok(aw_json_optional_integer(json, "n", -9, 9, &integer)));
    assert_true(aw_ok(aw_json_optional_integer(json, "absent", -9, 9, &integer)));
    assert_int_equal(integer, 42);
    assert_true(aw_ok(aw_json_optional_bool(json, "b", &flag)));
    assert_true(flag);
    assert_true(aw_ok(aw_json_optional_bool(json, "n", &flag)));
    assert_true(flag);
    assert_true(aw_ok(aw_json_array(json, "a", 0, 9, &value)));
    assert_int_equal(cJSON_GetArraySize(value), 1);
    assert_true(aw_ok(aw_json_object(json, "o", &value)));
    assert_non_null(aw_json_member(value, "k"));
    assert_null(aw_json_member(value, "K"));
    assert_null(aw_json_member(aw_json_member(json, "a"), "k"));
    assert_null(aw_json_member(NULL, "k"));
}

/* Mutation. */

static const char *const seeds[] = {
    "{\"method\":\"a.b.C\",\"parameters\":{\"names\":[\"www.example.edu\"],\"nonce\":\"aGk-_\"}}",
    "{\"a\":[1,-2,0,9007199254740991,true,false,null],\"\\u0061b\":\"\\ud83d\\ude00\\n\"}",
    "[[[[[[[{\"deep\":\"\xc3\xbc\xf0\x9f\x98\x80\"}]]]]]]]",
    "{\"status\":\"valid\",\"expires\":\"2027-01-01T00:00:00Z\",\"x\":1.5e3}",
};

static const char *const words[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800",
    "\\udc00", "\\u0061", "null", "true", "1e400", "0", "-", ".", "e5", "9007199254740993", "{}",
    "\"a\":1,", "\xef\xbb\xbf", "\xc0\x80", "\xff", "\n", "\x01", " ", "[[[[[[[["};

/* What passes is read by cJSON, and means the same after it was printed and read again. */
static bool
check_accepted(const char *text, size_t length, enum aw_json_mode mode)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    AW_CLEANUP(aw_json_free) cJSON *again = NULL;
    AW_CLEANUP(aw_free) char *printed = NULL;
    AW_CLEANUP(aw_free) char *reprinted = NULL;
    aw_result r = parse(text, length, mode, &json);

    if (r.code == AW_CODE_MEMORY || r.code == AW_CODE_INTERNAL)
        fail_msg("accepted by the pre-scan, not by cJSON: %.*s", (int)length, text);
    if (!aw_ok(r) || mode == AW_JSON_TOLERANT)
        return aw_ok(r);
    printed = print_tree(json);
    if (!aw_ok(parse(printed, strlen(printed), mode, &again)))
        fail_msg("refused when read again: %s", printed);
    reprinted = print_tree(again);
    assert_string_equal(printed, reprinted);
    return true;
}

static void
mutated_documents(void **state)
{
    struct mutator m = {UINT64_C(0x5eed0001), words, AW_COUNT(words)};
    size_t strict_count = 0, tolerant_count = 0;
    enum { ROUNDS = 20000 };

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        char text[512];
        size_t length = strlen(seeds[i % (int)AW_COUNT(seeds)]);
        memcpy(text, seeds[i % (int)AW_COUNT(seeds)], length);
        for (size_t n = 1 + mutate_below(&m, 4); n > 0; n--)
            mutate_once(&m, text, &length, sizeof(text));
        bool strict = check_accepted(text, length, AW_JSON_STRICT);
        bool loose = check_accepted(text, length, AW_JSON_TOLERANT);
        if (strict && !loose)
            fail_msg("strict takes what tolerant refuses: %.*s", (int)length, text);
        strict_count += strict;
        tolerant_count += loose;
    }
    /* The mutations must reach both sides. */
    assert_in_range(strict_count, ROUNDS / 50, ROUNDS / 2);
    assert_in_range(tolerant_count, strict_count + 1, ROUNDS / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_refuses),
        cmocka_unit_test(tolerant_refuses_the_rest),
        cmocka_unit_test(strict_accepts),
        cmocka_unit_test(tolerant_takes_any_number),
        cmocka_unit_test(attack_12_a_million_members),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(readers_read),
        cmocka_unit_test(readers_give_the_values),
        cmocka_unit_test(mutated_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
