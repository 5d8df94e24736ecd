/* When a certificate is renewed and why, as `certificates` tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/certificates_table.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

static const int64_t begin = 1795737600; /* 2026-11-27 */

static char root[] = "/tmp/aw-table-XXXXXX";

static int
set_up(void **state)
{
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0 || mkdir("renewal", 0700) != 0)
        return -1;
    return aw_ok(aw_file_create("renewal/kept.conf", "", 0, 0600)) ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    unlink("renewal/kept.conf");
    rmdir("renewal");
    return chdir("/") == 0 ? rmdir(root) : -1;
}

static void
plan_of_a_certificate(void **state)
{
    static const struct {
        const char *what;
        const char *name; /* "kept" has settings */
        const char *fault;
        int64_t days; /* lifetime */
        int64_t age;  /* days */
        int64_t at;   /* day of the renewal; -1: none */
        bool attention, failing;
        const char *why;
    } rows[] = {
        {"90 days, new", "kept", NULL, 90, 0, 60, false, false,
            "then a third of its lifetime is left"},
        {"6 days, new", "kept", NULL, 6, 1, 4, false, false,
            "then a third of its lifetime is left"},
        {"47 days, due", "kept", NULL, 47, 40, 31, true, false,
            "due: less than a third of its lifetime is left"},
        {"just due", "kept", NULL, 90, 60, 60, true, false,
            "due: less than a third of its lifetime is left"},
        {"expired", "kept", NULL, 90, 90, 60, true, true, "it has expired"},
        {"no settings", "other", NULL, 90, 0, -1, false, false,
            "it has no settings to be renewed by"},
        {"no settings, due", "other", NULL, 90, 80, -1, true, false,
            "due, and has no settings to be renewed by"},
        {"no settings, expired", "other", NULL, 90, 100, -1, true, true,
            "it has expired, and has no settings to be renewed by"},
        {"fault", "kept", "the key is another's", 90, 0, -1, true, true,
            "FAULT: the key is another's"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(certificates_plan_free) struct certificates_plan plan = {.at = 0};
        AW_CLEANUP(aw_free) char *name = strdup(rows[i].name), *serial = strdup("01");
        AW_CLEANUP(aw_free) char *fault = rows[i].fault == NULL ? NULL : strdup(rows[i].fault);
        const struct store_entry entry = {.name = name,
            .serial = serial,
            .fault = fault,
            .not_before = begin,
            .not_after = begin + rows[i].days * DAY};
        int64_t at = -1;

        assert_true(aw_ok(certificates_plan_of(root, &entry, begin + rows[i].age * DAY, &plan)));
        if (plan.at != 0)
            at = (plan.at - begin) / DAY;
        if (at != rows[i].at || plan.attention != rows[i].attention ||
            plan.failing != rows[i].failing || strcmp(plan.why, rows[i].why) != 0)
            fail_msg("%s: day %lld, %d, %d, %s", rows[i].what, (long long)at, plan.attention,
                plan.failing, plan.why);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plan_of_a_certificate)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
