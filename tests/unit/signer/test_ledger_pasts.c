/* A log and a ledger that are not of one past: older, or another host's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "ledger_support.h"

/* The log as it was before the last five orders, with so many records since. */
static void
restore_older(struct ledger_scene *scene, int more)
{
    char backup[128];
    size_t repaired;

    snprintf(backup, sizeof(backup), "%s/backup", scene->folder);
    scene_order(scene, "app-a", NULL);
    scene_close(scene);
    scene_copy(scene->log_path, backup);
    scene_open(scene);
    for (int n = 0; n < 5; n++)
        scene_order(scene, "app-b", NULL);
    scene_close(scene);
    scene_copy(backup, scene->log_path);
    assert_true(aw_ok(audit_log_open(scene->folder, &scene->log, &repaired)));
    for (int n = 0; n < more; n++)
        scene_foreign_record(scene, 50);
    audit_log_close(&scene->log);
}

static void
expect_no_start(struct ledger_scene *scene, enum aw_code code, const char *message)
{
    size_t repaired;

    assert_true(aw_ok(audit_log_open(scene->folder, &scene->log, &repaired)));
    aw_result r =
        ledger_open(scene->path, scene->folder, scene->log, &scene->ledger, &scene->recovery);
    audit_log_close(&scene->log);
    if (r.code != code || strstr(aw_error_last()->message, message) == NULL)
        fail_msg("expected \"%s\", found %s", message, aw_error_last()->message);
    assert_int_equal(scene_count(scene, "ledger.db.bad-"), 0);
}

/* Attack 101: a log that ends before what the ledger has taken in: quotas and orders of the lost
 * records are forgotten by nobody but an administrator, who removes the ledger. */
static void
attack_101_no_start_on_a_log_behind_its_ledger(void **state)
{
    static const struct {
        int more;
        enum aw_code code;
        const char *message;
    } rows[] = {
        {-1, AW_CODE_NOT_FOUND, "ends with record 0, but the ledger has taken in record 6"},
        {0, AW_CODE_NOT_FOUND, "ends with record 1, but the ledger has taken in record 6"},
        {4, AW_CODE_NOT_FOUND, "ends with record 5, but the ledger has taken in record 6"},
        {5, AW_CODE_MISMATCH, "not of one host or time"},
    };
    const struct ask ask = {.operation = SIGN_NEW_ORDER};
    struct ledger_usage today;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct ledger_scene scene;
        scene_start(&scene);
        restore_older(&scene, rows[i].more);
        if (rows[i].more < 0)
            assert_int_equal(unlink(scene.log_path), 0);
        expect_no_start(&scene, rows[i].code, rows[i].message);
        expect_no_start(&scene, rows[i].code, rows[i].message); /* nor the next time */
        scene_forget(&scene);
        scene_open(&scene);
        assert_int_equal(scene.recovery.replayed, 1 + rows[i].more);
        assert_true(aw_ok(ledger_used_today(scene.ledger, "app-b", T0, &today)));
        assert_int_equal(today.orders, 0);
        scene_expect(&scene, "goes on", &ask, LEDGER_NONE);
        scene_end(&scene);
    }
}

/* Another host's ledger, or its log, which is longer than what the ledger has taken in. */
static void
swap(const struct ledger_scene *scene, bool log)
{
    const struct ask ask = {SIGN_NEW_ORDER, .application = "app-z"};
    struct ledger_scene other;
    char from[128], to[128];

    scene_start(&other);
    for (int i = 0; i < (log ? 5 : 2); i++)
        scene_expect(&other, "another host", &ask, LEDGER_NONE);
    scene_close(&other);
    if (log) {
        scene_copy(other.log_path, scene->log_path);
    } else {
        scene_copy(other.path, scene->path);
        snprintf(from, sizeof(from), "%s.seal", other.path);
        snprintf(to, sizeof(to), "%s.seal", scene->path);
        scene_copy(from, to);
    }
    scene_end(&other);
}

/* What was refused, claimed and used up would be forgotten with another host's log. */
static void
attack_101_no_start_on_another_hosts_log_or_ledger(void **state)
{
    struct ledger_usage today;

    (void)state;
    for (int log = 0; log < 2; log++) {
        struct ledger_scene scene;

        scene_start(&scene);
        for (int n = 0; n < 3; n++)
            scene_order(&scene, "app-b", NULL);
        scene_close(&scene);
        swap(&scene, log == 1);
        expect_no_start(&scene, AW_CODE_MISMATCH, "not of one host or time");
        expect_no_start(&scene, AW_CODE_MISMATCH, "not of one host or time");
        assert_non_null(strstr(aw_error_last()->hint, "remove ledger.db"));
        scene_forget(&scene); /* a person has looked */
        scene_open(&scene);
        assert_true(aw_ok(ledger_used_today(scene.ledger, "app-b", T0, &today)));
        assert_int_equal(today.orders, log == 1 ? 0 : 3);
        scene_end(&scene);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_101_no_start_on_a_log_behind_its_ledger),
        cmocka_unit_test(attack_101_no_start_on_another_hosts_log_or_ledger),
    };

    return cmocka_run_group_tests_name("ledger_pasts", tests, NULL, NULL);
}
