/* App-EABs in the ledger: what administrators' records make of them, and when one may be used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ledger_support.h"
#include "signer/ledger_app_eabs.h"

static struct ledger_scene scene;

/* An administrator's record. */
struct act {
    const char *operation, *kid, *application, *verdict; /* verdict NULL: permit */
    int64_t expires, count;
};

static aw_result
submit(const struct act *act, int64_t at)
{
    struct audit_entry entry = {.kind = AUDIT_ADMIN,
        .operation = act->operation,
        .application = act->application,
        .verdict = act->verdict == NULL ? "permit" : act->verdict,
        .kid = act->kid,
        .not_after = act->expires,
        .count = act->count};
    struct ledger_verdict verdict;
    int64_t seq;

    return ledger_submit(scene.ledger, NULL, &entry, T0 + at, &verdict, &seq);
}

static void
must(const struct act *act, int64_t at)
{
    if (!aw_ok(submit(act, at)))
        fail_msg("%s %s: %s", act->operation, act->kid, aw_error_last()->message);
}

static aw_result
take_use(aw_db *db, void *context)
{
    return ledger_app_eab_take_use(db, context);
}

/* A history, then what is known of each at some time. */
static const struct {
    struct act act;
    int64_t at;
} history[] = {
    {{"app-eab-create", "app-plain", "app-a", NULL, 0, 0}, 1},
    {{"app-eab-create", "app-once", "app-a", NULL, 0, 1}, 2},
    {{"app-eab-create", "app-late", "app-b", NULL, T0 + 100, 0}, 3},
    {{"app-eab-create", "app-gone", "app-b", NULL, 0, 0}, 4},
    {{"app-eab-create", "app-failed", "app-b", "refuse", 0, 0}, 5},
    {{"app-eab-revoke", "app-gone", "app-b", NULL, 0, 0}, 6},
    {{"app-eab-revoke", "app-gone", "app-b", NULL, 0, 0}, 7}, /* the first time stays */
    {{"app-eab-revoke", "app-plain", "app-a", "refuse", 0, 0}, 8},
    {{"app-eab-revoke", "app-nobody", "app-a", NULL, 0, 0}, 9},
    {{"relay-key-destroy", NULL, NULL, "refuse", 0, 0}, 10},
    {{"eab-import", "app-plain", "app-a", NULL, 0, 0}, 11}, /* of something else */
};

static const struct {
    const char *name, *kid;
    int64_t at;
    enum ledger_rule rule;
} uses[] = {
    {"a plain one", "app-plain", 50, LEDGER_NONE},
    {"one for one account", "app-once", 50, LEDGER_NONE},
    {"before it expires", "app-late", 99, LEDGER_NONE},
    {"when it expires", "app-late", 100, LEDGER_INNER_EXPIRED},
    {"a revoked one", "app-gone", 50, LEDGER_INNER_REVOKED},
    {"one whose making failed", "app-failed", 50, LEDGER_INNER_BINDING},
    {"one that nobody made", "app-nobody", 50, LEDGER_INNER_BINDING},
    {"none at all", "", 50, LEDGER_INNER_BINDING},
    {"SQL", "app-plain' OR '1", 50, LEDGER_INNER_BINDING},
};

static void
check_uses(void)
{
    for (size_t i = 0; i < AW_COUNT(uses); i++) {
        AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};

        assert_true(aw_ok(ledger_app_eab_find(scene.ledger, uses[i].kid, &found)));
        enum ledger_rule rule = ledger_app_eab_rule(&found, T0 + uses[i].at);
        if (rule != uses[i].rule)
            fail_msg("%s: %s", uses[i].name, ledger_rule_tag(rule));
    }
}

static bool
count_up_to(void *context, const struct ledger_app_eab *found)
{
    int64_t *left = context;

    assert_non_null(found->kid);
    return --*left > 0;
}

static int64_t
visited(const char *application, int64_t after, int64_t most)
{
    int64_t left = most;

    assert_true(aw_ok(ledger_app_eab_visit(scene.ledger, application, after, count_up_to, &left)));
    return most - left;
}

static void
records_say_what_there_is(void **state)
{
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};
    char *before, *after;

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(history); i++)
        must(&history[i].act, history[i].at);
    check_uses();
    assert_true(aw_ok(ledger_app_eab_find(scene.ledger, "app-gone", &found)));
    assert_int_equal(found.created, T0 + 4);
    assert_int_equal(found.revoked, T0 + 6);
    assert_string_equal(found.application, "app-b");
    assert_int_equal(visited(NULL, 0, 100), 4);
    assert_int_equal(visited("app-b", 0, 100), 2);
    assert_int_equal(visited(NULL, found.seq, 100), 0);
    assert_int_equal(visited(NULL, 0, 3), 3);
    assert_int_equal(visited("app-c", 0, 100), 0);

    /* What is made anew from the log is the same. */
    scene_close(&scene);
    before = scene_dump(&scene);
    assert_non_null(strstr(before, "app-gone"));
    scene_forget(&scene);
    scene_open(&scene);
    check_uses();
    scene_close(&scene);
    after = scene_dump(&scene);
    assert_string_equal(before, after);
    free(before);
    free(after);
    scene_end(&scene);
}

static void
one_account_uses_one_for_one_account_up(void **state)
{
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};
    char once[] = "app-once", plain[] = "app-plain";

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(history); i++)
        must(&history[i].act, history[i].at);
    assert_true(aw_ok(ledger_read(scene.ledger, take_use, once)));
    assert_true(aw_ok(ledger_read(scene.ledger, take_use, plain)));
    assert_true(aw_ok(ledger_read(scene.ledger, take_use, plain)));
    assert_true(aw_ok(ledger_app_eab_find(scene.ledger, once, &found)));
    assert_int_equal(ledger_app_eab_rule(&found, T0 + 50), LEDGER_INNER_USED);
    ledger_app_eab_free(&found);
    assert_true(aw_ok(ledger_app_eab_find(scene.ledger, plain, &found)));
    assert_int_equal(ledger_app_eab_rule(&found, T0 + 50), LEDGER_NONE);
    assert_int_equal(found.used, 2);
    scene_end(&scene);
}

/* Without the relay key no app-eab is worth anything; those of a new one are. */
static void
the_relay_keys_end_is_theirs(void **state)
{
    static const struct act destroy = {"relay-key-destroy", NULL, NULL, NULL, 0, 0};
    static const struct act anew = {"app-eab-create", "app-new", "app-a", NULL, 0, 0};
    static const char *const ended[] = {"app-plain", "app-once", "app-late", "app-gone"};

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(history); i++)
        must(&history[i].act, history[i].at);
    must(&destroy, 20);
    must(&anew, 21);
    for (size_t i = 0; i < AW_COUNT(ended); i++) {
        AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};

        assert_true(aw_ok(ledger_app_eab_find(scene.ledger, ended[i], &found)));
        assert_int_equal(ledger_app_eab_rule(&found, T0 + 50), LEDGER_INNER_REVOKED);
    }
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};
    assert_true(aw_ok(ledger_app_eab_find(scene.ledger, "app-new", &found)));
    assert_int_equal(ledger_app_eab_rule(&found, T0 + 50), LEDGER_NONE);
    scene_end(&scene);
}

/* A log that says what can't be is no reason to go on. */
static void
records_that_can_not_be(void **state)
{
    static const struct act rows[] = {
        {"app-eab-create", NULL, "app-a", NULL, 0, 0},
        {"app-eab-create", "app-x", NULL, NULL, 0, 0},
        {"app-eab-create", "app-plain", "app-b", NULL, 0, 0}, /* there already */
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        scene_start(&scene);
        must(&history[0].act, 1);
        if (aw_ok(submit(&rows[i], 2)))
            fail_msg("row %zu is taken in", i);
        ledger_close(&scene.ledger);
        scene_end(&scene);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_say_what_there_is),
        cmocka_unit_test(one_account_uses_one_for_one_account_up),
        cmocka_unit_test(the_relay_keys_end_is_theirs),
        cmocka_unit_test(records_that_can_not_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
