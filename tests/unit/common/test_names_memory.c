/* Out of memory at every allocation that libidn2 makes for a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/names.h"
#include "tests/faults/memory.h"

static void
a_name_that_could_not_be_checked_is_none(void **state)
{
    static const struct {
        const char *name;
        aw_result (*parse)(const char *text, size_t length, struct aw_name *out);
        const char *text;
        const char *canonical;
    } rows[] = {
        {"an A-label of a request", aw_name_parse, "xn--bcher-kva.example.edu",
            "xn--bcher-kva.example.edu"},
        {"a U-label of a file", aw_name_parse_file,
            "b\xc3\xbc"
            "cher.example.edu",
            "xn--bcher-kva.example.edu"},
        {"attack 77 an A-label of capitals", aw_name_parse, "xn--bcher-2pa.example.edu", NULL},
        {"attack 77 a combining mark first", aw_name_parse, "xn--a-bcb.example.edu", NULL},
        {"attack 76 an emoji", aw_name_parse_file, "\xf0\x9f\x98\x80.example.edu", NULL},
    };
    static const struct aw_name nothing;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        long n = 1;
        bool failed = true;

        for (; failed && n < 1000; n++) {
            struct aw_name name;

            memory_fail_at(n, MEMORY_FAILS_ONCE);
            aw_result r = rows[i].parse(rows[i].text, strlen(rows[i].text), &name);
            failed = memory_fail_end();
            /* Some allocations of libunistring are tried again in another way. Never a refusal of a
             * good name, never a bad one that passes. */
            if (!aw_ok(r))
                assert_memory_equal(&name, &nothing, sizeof(name));
            if (aw_ok(r) && rows[i].canonical != NULL)
                assert_string_equal(name.text, rows[i].canonical);
            else if (!(failed && r.code == AW_CODE_MEMORY) &&
                     !(rows[i].canonical == NULL && r.code == AW_CODE_SYNTAX))
                fail_msg("%s, allocation %ld: %s %s", rows[i].name, n, aw_code_tag(r.code),
                    aw_error_last()->message);
        }
        assert_false(failed);
        assert_true(n > 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_could_not_be_checked_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
