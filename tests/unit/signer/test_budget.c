/* What a uid may have written without being permitted anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signer/budget.h"

enum { MINUTE = 60 * 1000, RECORD = 1000 };

static const int64_t T = 5000000;

static budget *
make(void)
{
    budget *made = NULL;

    assert_true(aw_ok(budget_new(&made)));
    return made;
}

/* Spends what there is, in records of RECORD octets; returns how many. */
static int
drain(budget *b, uint32_t uid, enum budget_kind kind, int64_t now)
{
    int count = 0;

    for (; budget_left(b, uid, kind, now); count++)
        budget_spend(b, uid, kind, RECORD, now);
    return count;
}

static void
attack_96b_a_uid_has_a_burst_and_then_a_rate(void **state)
{
    static const struct {
        const char *name;
        enum budget_kind kind;
        int burst, per_minute;
    } rows[] = {
        {"refusals", BUDGET_REFUSAL, BUDGET_REFUSALS_BURST, BUDGET_REFUSALS_PER_MINUTE},
        {"alarms", BUDGET_ALARM, BUDGET_ALARMS_BURST, BUDGET_ALARMS_PER_MINUTE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        budget *b = make();
        int64_t octets = 0;

        assert_int_equal(drain(b, 7, rows[i].kind, T), rows[i].burst / RECORD + 1);
        /* An hour in steps of a millisecond: none is lost to rounding, none is given. */
        for (int64_t now = T; now < T + 60 * MINUTE; now++)
            octets += drain(b, 7, rows[i].kind, now) * RECORD;
        if (octets < 59 * rows[i].per_minute || octets > 61 * rows[i].per_minute)
            fail_msg("%s: %lld octets in an hour", rows[i].name, (long long)octets);
        /* A long pause gives a burst, not more. */
        assert_int_equal(
            drain(b, 7, rows[i].kind, T + INT64_C(1000000) * MINUTE), rows[i].burst / RECORD + 1);
        budget_free(&b);
    }
}

static void
budgets_are_apart(void **state)
{
    budget *b = make();

    (void)state;
    drain(b, 7, BUDGET_REFUSAL, T);
    assert_false(budget_left(b, 7, BUDGET_REFUSAL, T));
    assert_true(budget_left(b, 7, BUDGET_ALARM, T));
    assert_true(budget_left(b, 8, BUDGET_REFUSAL, T));
    /* A clock that goes back gives nothing. */
    assert_false(budget_left(b, 7, BUDGET_REFUSAL, T - MINUTE));
    budget_free(&b);
}

/* One record may be larger than what is left: it is owed. */
static void
what_is_overdrawn_is_owed(void **state)
{
    budget *b = make();

    (void)state;
    drain(b, 7, BUDGET_REFUSAL, T);
    budget_spend(b, 7, BUDGET_REFUSAL, 2 * BUDGET_REFUSALS_PER_MINUTE, T);
    assert_false(budget_left(b, 7, BUDGET_REFUSAL, T + 2 * MINUTE));
    assert_true(budget_left(b, 7, BUDGET_REFUSAL, T + 3 * MINUTE));
    budget_free(&b);
}

static struct audit_entry
refusal(uint32_t uid, const char *application, const char *rule)
{
    return (struct audit_entry){
        .has_uid = true, .uid = uid, .user = "user", .application = application, .rule = rule};
}

static void
counts_by_rule_and_interval(void **state)
{
    budget *b = make();
    struct budget_sum sum;
    struct audit_entry entry = refusal(7, "app", "names.none");

    (void)state;
    assert_false(budget_take(b, true, T, &sum));
    for (int i = 0; i < 500; i++)
        budget_count(b, &entry, BUDGET_REFUSAL, T + i);
    entry.rule = "url.taken";
    budget_count(b, &entry, BUDGET_REFUSAL, T + 600);
    budget_count(b, &entry, BUDGET_ALARM, T + 600);
    assert_false(budget_take(b, false, T + BUDGET_INTERVAL_MS - 1, &sum));
    assert_true(budget_take(b, false, T + BUDGET_INTERVAL_MS, &sum));
    assert_true(sum.has_uid);
    assert_int_equal(sum.uid, 7);
    assert_string_equal(sum.user, "user");
    assert_string_equal(sum.application, "app");
    assert_string_equal(sum.rule, "names.none");
    assert_int_equal(sum.count, 501);
    assert_string_equal(sum.message, "within 60 s, beyond the budget of this user: names.none 500,"
                                     " url.taken 1; alarms 1");
    assert_false(budget_take(b, true, T + BUDGET_INTERVAL_MS, &sum));
    /* The next interval begins with the next refusal. */
    entry.application = "other";
    budget_count(b, &entry, BUDGET_REFUSAL, T + 2 * BUDGET_INTERVAL_MS);
    entry.application = NULL;
    budget_count(b, &entry, BUDGET_REFUSAL, T + 2 * BUDGET_INTERVAL_MS);
    assert_false(budget_take(b, false, T + 2 * BUDGET_INTERVAL_MS, &sum));
    assert_true(budget_take(b, true, T + 2 * BUDGET_INTERVAL_MS, &sum));
    assert_string_equal(sum.application, "");
    assert_int_equal(sum.count, 2);
    budget_free(&b);
}

/* Rules are the signer's, but their number must not matter. */
static void
many_rules_are_others(void **state)
{
    budget *b = make();
    struct budget_sum sum;

    (void)state;
    for (int i = 0; i < 100; i++) {
        char rule[100];
        struct audit_entry entry = refusal(7, "app", rule);

        snprintf(rule, sizeof(rule), "rule.%d.%060d", i, 0);
        budget_count(b, &entry, BUDGET_REFUSAL, T);
    }
    assert_true(budget_take(b, true, T, &sum));
    assert_int_equal(sum.count, 100);
    assert_true(strlen(sum.message) < sizeof(sum.message));
    assert_non_null(strstr(sum.message, "rule.15."));
    assert_null(strstr(sum.message, "rule.16."));
    budget_free(&b);
}

static void
alarms_alone_are_counted_too(void **state)
{
    budget *b = make();
    struct budget_sum sum;
    const struct audit_entry entry = refusal(7, "app", "url.taken");

    (void)state;
    budget_count(b, &entry, BUDGET_ALARM, T);
    assert_true(budget_take(b, true, T, &sum));
    assert_int_equal(sum.count, 1);
    assert_string_equal(sum.rule, "alarm");
    budget_free(&b);
}

/* More uids than are remembered: they share one budget, and nobody gets a new one by that. */
static void
attack_96b_many_uids_do_not_grow_the_table(void **state)
{
    budget *b = make();
    struct budget_sum sum;
    int shared = 0;

    (void)state;
    for (uint32_t uid = 0; uid < BUDGET_UIDS_MAX; uid++)
        budget_spend(b, uid * 7919, BUDGET_REFUSAL, BUDGET_REFUSALS_BURST, T);
    for (uint32_t uid = 100000000; uid < 100000100; uid++)
        shared += drain(b, uid, BUDGET_REFUSAL, T);
    assert_int_equal(shared, BUDGET_REFUSALS_BURST / RECORD + 1);
    for (uint32_t uid = 0; uid < BUDGET_UIDS_MAX; uid++)
        if (budget_left(b, uid * 7919, BUDGET_REFUSAL, T))
            fail_msg("uid %u has a new budget", uid * 7919);
    const struct audit_entry entry = refusal(100000000, "app", "names.none");
    budget_count(b, &entry, BUDGET_REFUSAL, T);
    assert_true(budget_take(b, true, T, &sum));
    assert_false(sum.has_uid);
    assert_int_equal(sum.count, 1);
    /* Who owes nothing any more is forgotten, and makes room. */
    assert_true(budget_left(b, 100000001, BUDGET_REFUSAL, T + 1000 * MINUTE));
    assert_int_equal(
        drain(b, 100000002, BUDGET_REFUSAL, T + 1000 * MINUTE), BUDGET_REFUSALS_BURST / RECORD + 1);
    assert_int_equal(
        drain(b, 100000003, BUDGET_REFUSAL, T + 1000 * MINUTE), BUDGET_REFUSALS_BURST / RECORD + 1);
    budget_free(&b);
}

/* A count outlives the forgetting of others. */
static void
a_count_is_not_forgotten(void **state)
{
    budget *b = make();
    struct budget_sum sum;
    const struct audit_entry entry = refusal(1, "app", "names.none");

    (void)state;
    budget_count(b, &entry, BUDGET_REFUSAL, T);
    for (uint32_t uid = 2; uid < 3 * BUDGET_UIDS_MAX; uid++)
        budget_left(b, uid, BUDGET_REFUSAL, T);
    assert_true(budget_take(b, true, T, &sum));
    assert_int_equal(sum.uid, 1);
    assert_int_equal(sum.count, 1);
    budget_free(&b);
}

/* An honest relay hands these over for whoever asks it, so they are not its own: only its own make
 * it wait. */
static void
attack_96b_a_relays_strangers_do_not_hold_it_back(void **state)
{
    static const struct {
        const char *name, *rule, *application;
        bool own;
    } rows[] = {
        {"a nonce", "evidence.nonce", NULL, false},
        {"an account", "evidence.account", NULL, false},
        {"an app-eab that was revoked", "evidence.binding.revoked", NULL, false},
        {"a revocation by a stranger's key", "evidence.key", NULL, false},
        {"what a client signed", "names.none", "app", false},
        {"a signature", "evidence.signature", NULL, true},
        {"another relay's URL", "evidence.url", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct audit_entry entry = {
            .uid = 7, .rule = rows[i].rule, .application = rows[i].application, .evidence = "00"};

        if ((budget_payer_of(&entry) == 7) != rows[i].own)
            fail_msg("%s", rows[i].name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_96b_a_uid_has_a_burst_and_then_a_rate),
        cmocka_unit_test(budgets_are_apart),
        cmocka_unit_test(what_is_overdrawn_is_owed),
        cmocka_unit_test(counts_by_rule_and_interval),
        cmocka_unit_test(many_rules_are_others),
        cmocka_unit_test(alarms_alone_are_counted_too),
        cmocka_unit_test(attack_96b_many_uids_do_not_grow_the_table),
        cmocka_unit_test(a_count_is_not_forgotten),
        cmocka_unit_test(attack_96b_a_relays_strangers_do_not_hold_it_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
