/* What counts against the daily limit of orders, and how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger_support.h"

static void
the_window_moves_and_says_when(void **state)
{
    struct ledger_scene scene;
    struct ask ask = {SIGN_NEW_ORDER, .limit = 2};
    struct ledger_verdict verdict;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    scene_expect(&scene, "first", &ask, LEDGER_NONE);
    ask.at = 1000;
    scene_expect(&scene, "second", &ask, LEDGER_NONE);
    ask.at = 5000;
    assert_true(aw_ok(scene_ask(&scene, &ask, &verdict, &seq)));
    assert_int_equal(verdict.rule, LEDGER_QUOTA_ORDERS);
    assert_int_equal(verdict.retry_after, LEDGER_DAY - 5000);
    ask.at = LEDGER_DAY - 1;
    scene_expect(&scene, "a second too early", &ask, LEDGER_QUOTA_ORDERS);
    ask.at = LEDGER_DAY;
    scene_expect(&scene, "the first left the window", &ask, LEDGER_NONE);
    scene_expect(&scene, "the second did not", &ask, LEDGER_QUOTA_ORDERS);
    ask.at = LEDGER_DAY + 1000;
    scene_expect(&scene, "now it did", &ask, LEDGER_NONE);
    scene_end(&scene);
}

static void
orders_today_counts_the_window(void **state)
{
    struct ledger_scene scene;
    struct ask ask = {.operation = SIGN_NEW_ORDER};
    struct ledger_usage today;

    (void)state;
    scene_start(&scene);
    assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0, &today)));
    assert_int_equal(today.orders, 0);
    for (int i = 0; i < 50; i++) {
        ask.at = i * 3600;
        scene_expect(&scene, "hourly", &ask, LEDGER_NONE);
        assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0 + ask.at, &today)));
        assert_int_equal(today.orders, i < 24 ? i + 1 : 24);
    }
    assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0 + ask.at + LEDGER_DAY, &today)));
    assert_int_equal(today.orders, 0);
    scene_end(&scene);
}

/* warn_until signs what would be refused: it counts as any other. */
static void
a_warned_order_counts(void **state)
{
    static const char *const names[] = {"a.example.edu"};
    const struct ledger_request request = {.operation = SIGN_NEW_ORDER,
        .application = "app-a",
        .account = "acct",
        .orders_per_day = 1};
    const struct ask ask = {SIGN_NEW_ORDER, .limit = 1};
    struct audit_entry entry = {
        .verdict = "warn", .rule = "names.exact", .names = names, .name_count = 1};
    struct ledger_scene scene;
    struct ledger_verdict verdict;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    assert_true(aw_ok(ledger_submit(scene.ledger, &request, &entry, T0, &verdict, &seq)));
    assert_int_equal(verdict.rule, LEDGER_NONE);
    scene_expect_record(&scene, "warned", AUDIT_DECISION, "warn", "names.exact");
    scene_expect(&scene, "second", &ask, LEDGER_QUOTA_ORDERS);
    scene_end(&scene);
}

static void
a_failed_signing_gives_nothing_back(void **state)
{
    struct ledger_scene scene;
    struct ask ask = {SIGN_NEW_ORDER, .limit = 1};
    struct audit_entry outcome = {.kind = AUDIT_OUTCOME,
        .application = "app-a",
        .account = "acct",
        .operation = "new-order",
        .verdict = "permit",
        .message = "the token failed"};
    struct ledger_verdict verdict;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    outcome.order = scene_expect(&scene, "first", &ask, LEDGER_NONE);
    assert_true(aw_ok(ledger_submit(scene.ledger, NULL, &outcome, T0, &verdict, &seq)));
    scene_expect(&scene, "second", &ask, LEDGER_QUOTA_ORDERS);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_moves_and_says_when),
        cmocka_unit_test(orders_today_counts_the_window),
        cmocka_unit_test(a_warned_order_counts),
        cmocka_unit_test(a_failed_signing_gives_nothing_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
