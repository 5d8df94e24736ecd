/* What is counted for the metrics, and whose certificates end first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/metrics.h"

enum { DAY = 24 * 3600, NOW = 1000 * DAY, THREADS = 4, TIMES = 2000 };

static int
setup(void **state)
{
    metrics *m = NULL;

    assert_true(aw_ok(metrics_new(&m)));
    *state = m;
    return 0;
}

static int
teardown(void **state)
{
    metrics *m = *state;

    metrics_free(&m);
    assert_null(m);
    metrics_free(&m);
    return 0;
}

static int64_t
of_rule(const struct metrics_figures *f, const char *rule, enum metrics_verdict verdict)
{
    for (size_t i = 0; i < f->rule_count; i++)
        if (strcmp(f->rules[i].rule, rule) == 0)
            return f->rules[i].verdicts[verdict];
    return 0;
}

static void
decisions_by_operation_and_rule(void **state)
{
    metrics *m = *state;
    struct metrics_figures f;

    metrics_decision(m, SIGN_NEW_ORDER, METRICS_PERMIT, "names.exact");
    metrics_decision(m, SIGN_NEW_ORDER, METRICS_REFUSE, "names.none");
    metrics_decision(m, SIGN_FINALIZE, METRICS_REFUSE, "names.none");
    metrics_decision(m, SIGN_FINALIZE, METRICS_WARN, NULL);
    metrics_decision(m, SIGN_FINALIZE, METRICS_WARN, "");
    metrics_decision(NULL, SIGN_FINALIZE, METRICS_WARN, "x"); /* none are kept: nothing happens */
    metrics_copy(m, &f);
    assert_int_equal(f.operations[SIGN_NEW_ORDER][METRICS_PERMIT], 1);
    assert_int_equal(f.operations[SIGN_NEW_ORDER][METRICS_REFUSE], 1);
    assert_int_equal(f.operations[SIGN_FINALIZE][METRICS_REFUSE], 1);
    assert_int_equal(f.operations[SIGN_FINALIZE][METRICS_WARN], 2);
    assert_int_equal(f.rule_count, 3);
    assert_int_equal(of_rule(&f, "names.none", METRICS_REFUSE), 2);
    assert_int_equal(of_rule(&f, "names.exact", METRICS_PERMIT), 1);
    assert_int_equal(of_rule(&f, "none", METRICS_WARN), 2);
}

/* The file can't grow without end, whatever is counted. */
static void
what_is_too_much_is_other(void **state)
{
    metrics *m = *state;
    struct metrics_figures f;
    char rule[METRICS_RULE_SIZE + 1];

    memset(rule, 'r', sizeof(rule) - 1);
    rule[sizeof(rule) - 1] = '\0';
    metrics_decision(m, SIGN_NEW_ORDER, METRICS_REFUSE, rule);
    for (int i = 0; i < METRICS_RULES_MAX + 4; i++) {
        snprintf(rule, sizeof(rule), "rule.%d", i);
        metrics_decision(m, SIGN_NEW_ORDER, METRICS_REFUSE, rule);
    }
    metrics_copy(m, &f);
    assert_int_equal(f.rule_count, METRICS_RULES_MAX);
    assert_int_equal(f.rules[METRICS_RULES_MAX].verdicts[METRICS_REFUSE], 5);
    assert_int_equal(of_rule(&f, "rule.95", METRICS_REFUSE), 1);
    assert_int_equal(of_rule(&f, "rule.96", METRICS_REFUSE), 0);
}

static void
latencies_fall_into_their_buckets(void **state)
{
    metrics *m = *state;
    struct metrics_figures f;

    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        metrics_token(
            m, i + 1 < METRICS_BUCKETS ? metrics_bounds[i] : metrics_bounds[i - 1] + 1, false);
    metrics_token(m, 0, true);
    metrics_token(NULL, 1, true);
    metrics_copy(m, &f);
    assert_int_equal(f.buckets[0], 2);
    for (size_t i = 1; i < METRICS_BUCKETS; i++)
        assert_int_equal(f.buckets[i], 1);
    assert_int_equal(f.token_failures, 1);
    assert_true(f.token_microseconds > metrics_bounds[METRICS_BUCKETS - 2]);
}

static void *
count_many(void *context)
{
    char rule[16];

    for (int i = 0; i < TIMES; i++) {
        snprintf(rule, sizeof(rule), "r%d", i % 20);
        metrics_decision(context, SIGN_NEW_ORDER, METRICS_PERMIT, rule);
    }
    return NULL;
}

static void
threads_lose_nothing(void **state)
{
    metrics *m = *state;
    pthread_t threads[THREADS];
    struct metrics_figures f;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, m), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    metrics_copy(m, &f);
    assert_int_equal(f.rule_count, 20);
    for (size_t i = 0; i < f.rule_count; i++)
        assert_int_equal(f.rules[i].verdicts[METRICS_PERMIT], THREADS * TIMES / 20);
}

/* By sets of names, so that a renewal leaves no alert behind. */
static void
the_newest_certificate_of_the_same_names_counts(void **state)
{
    metrics *m = *state;
    AW_CLEANUP(aw_free) struct metrics_expiry *items = NULL;
    size_t count = 0;

    metrics_certificate(m, "late", "a.example.edu", NOW + 9 * DAY);
    metrics_certificate(m, "app", "a.example.edu", NOW + 2 * DAY);
    metrics_certificate(m, "app", "a.example.edu", NOW + 8 * DAY); /* its renewal */
    metrics_certificate(m, "app", "a.example.edu", NOW + 1 * DAY); /* and an older one, late */
    metrics_certificate(m, "app", "b.example.edu", NOW + 5 * DAY);
    metrics_certificate(m, "gone", "c.example.edu", NOW - METRICS_FORGOTTEN_DAYS * DAY - 1);
    metrics_certificate(m, "ended", "d.example.edu", NOW - 1);
    metrics_certificate(NULL, "app", "b.example.edu", NOW);
    assert_true(aw_ok(metrics_expiries(m, NOW, &items, &count)));
    assert_int_equal(count, 3);
    assert_string_equal(items[0].application, "ended");
    assert_string_equal(items[1].application, "app");
    assert_int_equal(items[1].first_end, NOW + 5 * DAY);
    assert_int_equal(items[1].watched, 2);
    assert_string_equal(items[2].application, "late");
}

static void
many_are_found_again(void **state)
{
    metrics *m = *state;
    AW_CLEANUP(aw_free) struct metrics_expiry *items = NULL;
    char application[16], names[32];
    size_t count = 0;

    for (int again = 0; again < 2; again++)
        for (int i = 0; i < 3000; i++) {
            snprintf(application, sizeof(application), "app%d", i % 1000);
            snprintf(names, sizeof(names), "n%d.example.edu", i);
            metrics_certificate(m, application, names, NOW + i + again);
        }
    assert_true(aw_ok(metrics_expiries(m, NOW, &items, &count)));
    assert_int_equal(count, 1000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].watched, 3);
        assert_int_equal(items[i].first_end, NOW + (int64_t)i + 1);
    }
}

static size_t
count_watched(metrics *m, int64_t now)
{
    AW_CLEANUP(aw_free) struct metrics_expiry *items = NULL;
    size_t count = 0, watched = 0;

    assert_true(aw_ok(metrics_expiries(m, now, &items, &count)));
    for (size_t i = 0; i < count; i++)
        watched += items[i].watched;
    return watched;
}

/* A table that is full makes room of those that are long past their end. */
static void
new_ones_are_watched_after_many_that_ended(void **state)
{
    metrics *m = *state;
    const int64_t later = NOW + (METRICS_FORGOTTEN_DAYS + 2) * DAY;
    char names[32];

    for (int i = 0; i < METRICS_GROUPS_MAX; i++) {
        snprintf(names, sizeof(names), "n%d.example.edu", i);
        metrics_certificate(m, "app", names, NOW + DAY);
    }
    metrics_certificate(m, "app", "one-too-many.example.edu", NOW + DAY);
    metrics_certificate(m, "app", "n7.example.edu", later); /* known, so renewed all the same */
    assert_int_equal(count_watched(m, NOW), METRICS_GROUPS_MAX);
    assert_int_equal(count_watched(m, later), 1);
    metrics_certificate(m, "app", "new.example.edu", later);
    assert_int_equal(count_watched(m, later), 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(decisions_by_operation_and_rule),
        TEST(what_is_too_much_is_other),
        TEST(latencies_fall_into_their_buckets),
        TEST(threads_lose_nothing),
        TEST(the_newest_certificate_of_the_same_names_counts),
        TEST(many_are_found_again),
        TEST(new_ones_are_watched_after_many_that_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
