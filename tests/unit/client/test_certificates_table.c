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
#include "client/renew_state.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

static const int64_t begin = 1795737600; /* 2026-11-27 */

static char root[] = "/tmp/aw-table-XXXXXX";

static int
set_up(void **state)
{
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0 || mkdir("renewal", 0700) != 0 ||
        mkdir("archive", 0700) != 0)
        return -1;
    return aw_ok(aw_file_create("renewal/kept.conf", "", 0, 0600)) ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    unlink("renewal/kept.conf");
    rmdir("renewal");
    rmdir("archive");
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

/* What renew keeps between its runs. */
static void
plan_by_the_state_of_renew(void **state)
{
    static const struct renew_state kept = {
        .version = 3, .window_start = 1, .window_end = 2, .chosen = begin + 50 * DAY};
    static const struct renew_failed failed = {.error = "the CA is down", .left = 30 * DAY};
    char name[] = "kept", serial[] = "01", host[] = "a.example.edu";
    char *names[] = {host};
    AW_CLEANUP(certificates_plan_free) struct certificates_plan window = {.at = 0};
    AW_CLEANUP(certificates_plan_free) struct certificates_plan other = {.at = 0};
    AW_CLEANUP(certificates_plan_free) struct certificates_plan after = {.at = 0};
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    AW_CLEANUP(aw_free) char *key = NULL;
    struct store_entry entry = {.name = name,
        .serial = serial,
        .names = names,
        .name_count = 1,
        .version = 3,
        .not_before = begin,
        .not_after = begin + 90 * DAY};
    struct aw_name parsed;

    (void)state;
    assert_true(aw_ok(renew_state_write(root, "kept", &kept)));
    assert_true(aw_ok(certificates_plan_of(root, &entry, begin, &window)));
    assert_int_equal((window.at - begin) / DAY, 50);
    assert_string_equal(window.why, "then is the time that the CA names (ARI)");

    entry.version = 4; /* it was about the one before */
    assert_true(aw_ok(certificates_plan_of(root, &entry, begin, &other)));
    assert_int_equal((other.at - begin) / DAY, 60);

    assert_true(aw_ok(aw_name_parse(host, strlen(host), &parsed)));
    assert_true(aw_ok(renew_failure_key(&parsed, 1, &key)));
    assert_true(aw_ok(renew_failure_add(root, key, &failed, &failure)));
    assert_true(aw_ok(certificates_plan_of(root, &entry, begin, &after)));
    assert_true(after.attention);
    assert_non_null(strstr(after.why, "FAILED 1 time, again from 20"));
    assert_non_null(strstr(after.why, "the CA is down"));
    assert_true(aw_ok(renew_failure_forget(root, key)));
    assert_true(aw_ok(renew_state_remove(root, "kept")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_of_a_certificate), cmocka_unit_test(plan_by_the_state_of_renew)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
