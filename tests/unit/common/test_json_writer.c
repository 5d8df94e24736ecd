#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "common/json.h"

static void
writer_writes(void **state)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};

    (void)state;
    aw_json_begin_object(&w);
    aw_json_pair(&w, "a\"b", "x\\y");
    aw_json_pair_integer(&w, "i", INT64_MIN);
    aw_json_pair_bool(&w, "b", false);
    aw_json_pair(&w, "n", NULL);
    aw_json_name(&w, "list");
    aw_json_begin_array(&w);
    aw_json_begin_object(&w);
    aw_json_end_object(&w);
    aw_json_begin_array(&w);
    aw_json_end_array(&w);
    aw_json_write_integer(&w, 1);
    aw_json_write_bool(&w, true);
    aw_json_write_raw(&w, "{\"r\":1}");
    aw_json_write_string(&w, "");
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    assert_true(aw_ok(aw_json_writer_finish(&w, &text)));
    assert_string_equal(text, "{\"a\\\"b\":\"x\\\\y\",\"i\":-9223372036854775808,\"b\":false,"
                              "\"n\":null,\"list\":[{},[],1,true,{\"r\":1},\"\"]}");
    assert_null(w.text);
    assert_false(w.comma);
}

static const struct {
    const char *name;
    const char *value;
    const char *text;
} written[] = {
    {"attack 100 line breaks and ESC", "a\r\n\x1b[1m\tb", "\"a\\u000d\\u000a\\u001b[1m\\u0009b\""},
    {"attack 100 DEL and C1", "\x7f\xc2\x9b", "\"\\u007f\\u009b\""},
    {"letters beyond ASCII stay", "\xc3\xbc\xf0\x9f\x98\x80", "\"\xc3\xbc\xf0\x9f\x98\x80\""},
    {"invalid octets",
        "a\xff"
        "b\xc3",
        "\"a\xef\xbf\xbd"
        "b\xef\xbf\xbd\""},
    {"an overlong form", "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"a surrogate", "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
};

static void
writer_escapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(written); i++) {
        AW_CLEANUP(aw_json_free) cJSON *json = NULL;
        AW_CLEANUP(aw_free) char *text = NULL;
        struct aw_json_writer w = {0};
        aw_json_write_string(&w, written[i].value);
        assert_true(aw_ok(aw_json_writer_finish(&w, &text)));
        if (strcmp(text, written[i].text) != 0)
            fail_msg("%s: %s", written[i].name, text);
        if (!aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json)))
            fail_msg("%s: %s", written[i].name, aw_error_last()->message);
    }
}

static void
writer_reports_want_of_memory(void **state)
{
    struct aw_json_writer w = {0};
    char *text = NULL;

    (void)state;
    aw_json_begin_array(&w);
    w.failed = true; /* what a failed malloc leaves */
    aw_json_write_string(&w, "lost");
    aw_json_end_array(&w);
    assert_int_equal(aw_json_writer_finish(&w, &text).code, AW_CODE_MEMORY);
    assert_null(text);
    assert_null(w.text);
    aw_json_writer_free(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writer_writes),
        cmocka_unit_test(writer_escapes),
        cmocka_unit_test(writer_reports_want_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
