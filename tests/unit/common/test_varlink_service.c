/* The server's half: calls, names, replies, introspection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/varlink.h"
#include "tests/unit/common/mutate.h"

/* Calls. */

static const struct {
    const char *name;
    const char *text;
    size_t length; /* 0: strlen */
    enum aw_code code;
    const char *reason; /* the method for a good call, else part of the message */
} call_rows[] = {
    {"whole call", "{\"method\":\"org.acmeward.Signer.NewOrder\",\"parameters\":{\"a\":1}}", 0,
        AW_CODE_OK, "org.acmeward.Signer.NewOrder"},
    {"without parameters", "{\"method\":\"org.acmeward.Signer.Whoami\"}", 0, AW_CODE_OK,
        "org.acmeward.Signer.Whoami"},
    {"modes that are false",
        "{\"method\":\"a.b.C\",\"more\":false,\"oneway\":false,\"upgrade\":false}", 0, AW_CODE_OK,
        "a.b.C"},
    {"more", "{\"method\":\"a.b.C\",\"more\":true}", 0, AW_CODE_UNSUPPORTED, "more: found true"},
    {"oneway", "{\"method\":\"a.b.C\",\"oneway\":true}", 0, AW_CODE_UNSUPPORTED,
        "oneway: found true"},
    {"upgrade", "{\"method\":\"a.b.C\",\"upgrade\":true}", 0, AW_CODE_UNSUPPORTED,
        "upgrade: found true"},
    {"more of a wrong type", "{\"method\":\"a.b.C\",\"more\":1}", 0, AW_CODE_SYNTAX, "more"},
    {"unknown member", "{\"method\":\"a.b.C\",\"sign\":\"x\"}", 0, AW_CODE_SYNTAX, "sign"},
    {"2 member in upper case", "{\"METHOD\":\"a.b.C\"}", 0, AW_CODE_SYNTAX, "METHOD"},
    {"1 member twice", "{\"method\":\"a.b.C\",\"method\":\"a.b.D\"}", 0, AW_CODE_SYNTAX, "method"},
    {"13 member twice, escaped", "{\"method\":\"a.b.C\",\"\\u006dethod\":\"a.b.D\"}", 0,
        AW_CODE_SYNTAX, "method"},
    {"no method", "{\"parameters\":{}}", 0, AW_CODE_SYNTAX, "method"},
    {"14 method is a number", "{\"method\":1}", 0, AW_CODE_SYNTAX, "method"},
    {"14 method is null", "{\"method\":null}", 0, AW_CODE_SYNTAX, "method"},
    {"14 parameters are a list", "{\"method\":\"a.b.C\",\"parameters\":[]}", 0, AW_CODE_SYNTAX,
        "parameters"},
    {"14 parameters are null", "{\"method\":\"a.b.C\",\"parameters\":null}", 0, AW_CODE_SYNTAX,
        "parameters"},
    {"method is no full name", "{\"method\":\"NewOrder\"}", 0, AW_CODE_SYNTAX, "full name"},
    {"7 raw NUL", "{\"method\":\"a.b.C\0\"}", 19, AW_CODE_SYNTAX, ""},
    {"5 escaped NUL", "{\"method\":\"a.b.C\\u0000\"}", 0, AW_CODE_SYNTAX, ""},
    {"8 trailing bytes", "{\"method\":\"a.b.C\"}{}", 0, AW_CODE_SYNTAX, ""},
    {"15 byte order mark", "\xEF\xBB\xBF{\"method\":\"a.b.C\"}", 0, AW_CODE_SYNTAX, ""},
    {"a list", "[]", 0, AW_CODE_SYNTAX, ""},
    {"a string", "\"a.b.C\"", 0, AW_CODE_SYNTAX, ""},
    {"spaces only", "  ", 0, AW_CODE_SYNTAX, ""},
};

static void
parses_calls(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(call_rows); i++) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call;
        size_t length = call_rows[i].length;
        aw_result r = aw_varlink_call_parse(
            call_rows[i].text, length > 0 ? length : strlen(call_rows[i].text), &call);
        const char *found = aw_ok(r) ? call.method : aw_error_last()->message;

        if (r.code == call_rows[i].code && strstr(found, call_rows[i].reason) != NULL &&
            aw_ok(r) == cJSON_IsObject(call.parameters) && aw_ok(r) == (call.message != NULL))
            continue;
        failed++;
        print_error("%s: found %s (%s)\n", call_rows[i].name, aw_code_tag(r.code), found);
    }
    assert_int_equal(failed, 0);
}

static void
refuses_an_empty_message(void **state)
{
    struct aw_varlink_call call;

    (void)state;
    assert_int_equal(aw_varlink_call_parse("", 0, &call).code, AW_CODE_SYNTAX);
    assert_null(call.message);
}

static void
method_length_is_exact(void **state)
{
    struct aw_varlink_call call;
    char name[AW_VARLINK_MAX_METHOD + 2], text[AW_VARLINK_MAX_METHOD + 64];

    (void)state;
    memset(name, 'x', sizeof(name));
    memcpy(name, "a.b.C", 5);
    name[AW_VARLINK_MAX_METHOD] = '\0';
    snprintf(text, sizeof(text), "{\"method\":\"%s\"}", name);
    assert_true(aw_ok(aw_varlink_call_parse(text, strlen(text), &call)));
    assert_string_equal(call.method, name);
    aw_varlink_call_free(&call);
    assert_null(call.message);
    name[AW_VARLINK_MAX_METHOD] = 'x';
    name[AW_VARLINK_MAX_METHOD + 1] = '\0';
    snprintf(text, sizeof(text), "{\"method\":\"%s\"}", name);
    assert_false(aw_ok(aw_varlink_call_parse(text, strlen(text), &call)));
    assert_false(aw_varlink_name_valid(name));
}

/* Names. */

static const struct {
    const char *name;
    bool valid;
} name_rows[] = {
    {"org.varlink.service.GetInfo", true},
    {"a.b.C", true},
    {"com.3com.x-y.M1", true},
    {"", false},
    {"GetInfo", false},
    {"a.GetInfo", false},
    {"a.b.getInfo", false},
    {"a.b.", false},
    {"a..B", false},
    {".a.b.C", false},
    {"a.b.C.", false},
    {"1a.b.C", false},
    {"a.-b.C", false},
    {"a.b-.C", false},
    {"a.b.C-D", false},
    {"a.b.C D", false},
    {"a.b.C\n", false},
    {"a.b_c.D", false},
    {"a.b.C\"", false},
    {"a.\xC3\xA9.C", false},
};

static void
knows_full_names(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(name_rows); i++) {
        if (aw_varlink_name_valid(name_rows[i].name) == name_rows[i].valid)
            continue;
        failed++;
        print_error("\"%s\": expected %d\n", name_rows[i].name, name_rows[i].valid);
    }
    assert_int_equal(failed, 0);
}

static void
splits_names(void **state)
{
    char interface[AW_VARLINK_MAX_METHOD + 1], method[AW_VARLINK_MAX_METHOD + 1];
    char longest[AW_VARLINK_MAX_METHOD + 2];

    (void)state;
    assert_true(aw_varlink_split("org.acmeward.Signer.NewOrder", interface, method));
    assert_string_equal(interface, "org.acmeward.Signer");
    assert_string_equal(method, "NewOrder");
    assert_false(aw_varlink_split("NewOrder", interface, method));
    memset(longest, '.', sizeof(longest));
    longest[AW_VARLINK_MAX_METHOD + 1] = '\0';
    assert_false(aw_varlink_split(longest, interface, method));
}

/* Replies and introspection. */

static const struct aw_varlink_interface interfaces[] = {
    {"org.example.Test", "interface org.example.Test\nmethod Ping() -> ()\n"},
};

static const struct aw_varlink_service service = {
    "vend\"or", "test", "1", "https://example.edu/", interfaces, AW_COUNT(interfaces)};

static const struct {
    const char *name;
    const char *call;
    const char *reply; /* NULL: not for this interface */
} service_rows[] = {
    {"GetInfo", "{\"method\":\"org.varlink.service.GetInfo\"}",
        "{\"parameters\":{\"vendor\":\"vend\\\"or\",\"product\":\"test\",\"version\":\"1\","
        "\"url\":\"https://example.edu/\",\"interfaces\":[\"org.varlink.service\","
        "\"org.example.Test\"]}}"},
    {"GetInfo with a parameter",
        "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{\"x\":1}}",
        "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"x\"}"
        "}"},
    {"description",
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
        "\"parameters\":{\"interface\":\"org.example.Test\"}}",
        "{\"parameters\":{\"description\":\"interface org.example.Test\\u000amethod Ping() -> "
        "()\\u000a\"}}"},
    {"description of no interface",
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
        "\"parameters\":{\"interface\":\"org.example.None\"}}",
        "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":"
        "\"org.example.None\"}}"},
    {"description without a parameter",
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
        "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
        "\"interface\"}}"},
    {"description with a number",
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
        "\"parameters\":{\"interface\":1}}",
        "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
        "\"interface\"}}"},
    {"description with one too many",
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
        "\"parameters\":{\"interface\":\"org.example.Test\",\"Interface\":\"x\"}}",
        "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
        "\"Interface\"}}"},
    {"no such method", "{\"method\":\"org.varlink.service.Reboot\"}",
        "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
        "\"org.varlink.service.Reboot\"}}"},
    {"another interface", "{\"method\":\"org.example.Test.Ping\"}", NULL},
    {"an interface with that beginning", "{\"method\":\"org.varlink.service.x.GetInfo\"}", NULL},
};

static void
describes_itself(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(service_rows); i++) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
        AW_CLEANUP(aw_free) char *reply = NULL;
        const char *wanted = service_rows[i].reply;
        bool handled = false;

        assert_true(aw_ok(
            aw_varlink_call_parse(service_rows[i].call, strlen(service_rows[i].call), &call)));
        assert_true(aw_ok(aw_varlink_service_call(&service, &call, &handled, &reply)));
        if (handled == (wanted != NULL) && handled == (reply != NULL) &&
            (wanted == NULL || strcmp(reply, wanted) == 0))
            continue;
        failed++;
        print_error("%s: found %s\n", service_rows[i].name, reply == NULL ? "nothing" : reply);
    }
    assert_int_equal(failed, 0);
}

static void
writes_replies(void **state)
{
    AW_CLEANUP(aw_free) char *reply = NULL, *error = NULL, *bare = NULL, *about = NULL;

    (void)state;
    assert_true(aw_ok(aw_varlink_reply("{\"a\":1}", &reply)));
    assert_string_equal(reply, "{\"parameters\":{\"a\":1}}");
    assert_true(aw_ok(aw_varlink_error("a.b.C", "{\"a\":1}", &error)));
    assert_string_equal(error, "{\"error\":\"a.b.C\",\"parameters\":{\"a\":1}}");
    assert_true(aw_ok(aw_varlink_error("a.b.C", NULL, &bare)));
    assert_string_equal(bare, "{\"error\":\"a.b.C\",\"parameters\":{}}");
    assert_true(aw_ok(aw_varlink_error_about("a.b.C", "m", "\"\x1b", &about)));
    assert_string_equal(about, "{\"error\":\"a.b.C\",\"parameters\":{\"m\":\"\\\"\\u001b\"}}");
}

/* Mutations: bounded, from a fixed seed. */

static const char *const words[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\u006d",
    "null", "true", "1e9", "-0", ".", "\"more\":true,", "\"x\":1,", "GetInfo", "method", "\xC3\xA9",
    "\xEF\xBB\xBF", " "};

static void
survives_mutations(void **state)
{
    static const char base[] = "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                               "\"parameters\":{\"interface\":\"org.example.Test\"},"
                               "\"more\":false}";
    struct mutator m = {.state = 0x5eed2, .words = words, .word_count = AW_COUNT(words)};
    unsigned good = 0;

    (void)state;
    for (unsigned round = 0; round < 50000; round++) {
        AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
        AW_CLEANUP(aw_free) char *reply = NULL;
        char mutated[sizeof(base) + 64];
        size_t length = sizeof(base) - 1;
        bool handled;

        memcpy(mutated, base, length);
        for (unsigned i = 0; i < 1 + round % 3; i++)
            mutate_once(&m, mutated, &length, sizeof(mutated));
        /* A copy of the exact size, so that a sanitizer sees a read past its end. */
        AW_CLEANUP(aw_free) char *text = malloc(length > 0 ? length : 1);
        memcpy(text, mutated, length);
        if (!aw_ok(aw_varlink_call_parse(text, length, &call))) {
            assert_null(call.message);
            continue;
        }
        good++;
        if (!aw_varlink_name_valid(call.method) || !cJSON_IsObject(call.parameters))
            fail_msg("round %u: accepted a bad call", round);
        assert_true(aw_ok(aw_varlink_service_call(&service, &call, &handled, &reply)));
        assert_int_equal(handled, reply != NULL);
    }
    assert_in_range(good, 1000, 49000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_calls),
        cmocka_unit_test(refuses_an_empty_message),
        cmocka_unit_test(method_length_is_exact),
        cmocka_unit_test(knows_full_names),
        cmocka_unit_test(splits_names),
        cmocka_unit_test(describes_itself),
        cmocka_unit_test(writes_replies),
        cmocka_unit_test(survives_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
