#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/io.h"

/* What common/io.h offers beside files: paths, texts, times. */

static void
paths_and_texts(void **state)
{
    static const struct {
        const char *folder, *name, *joined;
    } rows[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "/b"}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *joined = NULL;
        assert_true(aw_ok(aw_path_join(rows[i].folder, rows[i].name, &joined)));
        assert_string_equal(joined, rows[i].joined);
    }
    char *text = NULL;
    assert_true(aw_ok(aw_format(&text, "%s-%d", "x", 5)));
    assert_string_equal(text, "x-5");
    aw_free(&text);
    assert_null(text);
    aw_free(&text);
}

static void
close_keeps_errno(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int closed = fd;

    (void)state;
    errno = ENOSPC;
    aw_close(&fd);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    aw_close(&fd);
}

static const struct {
    const char *name;
    const char *text;
    int64_t seconds; /* -1: refused */
} times[] = {
    {"the epoch", "1970-01-01T00:00:00Z", 0},
    {"the example", "2026-11-24T02:34:25Z", 1795487665},
    {"29 February", "2028-02-29T23:59:59Z", 1835481599},
    {"far away", "9999-12-31T23:59:59Z", INT64_C(253402300799)},
    {"29 February of another year", "2027-02-29T00:00:00Z", -1},
    {"31 April", "2027-04-31T00:00:00Z", -1},
    {"a leap second", "2016-12-31T23:59:60Z", -1},
    {"hour 24", "2027-01-01T24:00:00Z", -1},
    {"no Z", "2027-01-01T00:00:00", -1},
    {"an offset", "2027-01-01T00:00:00+00:00", -1},
    {"a fraction", "2027-01-01T00:00:00.0Z", -1},
    {"a space for T", "2027-01-01 00:00:00Z", -1},
    {"a space before", " 2027-01-01T00:00:00Z", -1},
    {"a space behind", "2027-01-01T00:00:00Z ", -1},
    {"one digit", "2027-1-01T00:00:00Z", -1},
    {"five digits of a year", "12027-01-01T00:00:00Z", -1},
    {"a sign", "+2027-01-01T00:00:00Z", -1},
    {"lower case", "2027-01-01t00:00:00z", -1},
    {"a date", "2027-01-01", -1},
    {"nothing", "", -1},
};

static void
times_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(times); i++) {
        int64_t seconds = -2;
        char text[32];
        aw_result r = aw_time_parse(times[i].text, &seconds);
        if (times[i].seconds < 0) {
            if (r.code != AW_CODE_SYNTAX || seconds != -2)
                fail_msg("%s: %s", times[i].name, aw_code_tag(r.code));
            continue;
        }
        if (!aw_ok(r) || seconds != times[i].seconds)
            fail_msg("%s: %lld", times[i].name, (long long)seconds);
        aw_time_text(seconds, text);
        assert_string_equal(text, times[i].text);
    }
}

static void
times_out_of_range_have_a_text(void **state)
{
    char text[32];

    (void)state;
    aw_time_text(INT64_MAX, text);
    assert_string_equal(text, "@9223372036854775807");
    aw_time_text(INT64_MIN, text);
    assert_string_equal(text, "@-9223372036854775808");
}

static void
clock_does_not_go_back(void **state)
{
    int64_t before = aw_now_ms();

    (void)state;
    assert_true(before > 0);
    assert_true(aw_now_ms() >= before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_texts),
        cmocka_unit_test(close_keeps_errno),
        cmocka_unit_test(times_are_exact),
        cmocka_unit_test(times_out_of_range_have_a_text),
        cmocka_unit_test(clock_does_not_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
