/*
 * Random policies and requests, with a fixed seed, against a reference decision that is written
 * once more, as simply as can be (reference.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "reference.h"

enum {
    POLICIES = 400,
    REQUESTS = 50, /* of each policy: 20,000 cases in all */
};

static void
random_request(struct policy_request *q, struct aw_name names[REFERENCE_NAMES_MAX])
{
    *q = (struct policy_request){.operation = pick(5) == 0 ? POLICY_REVOKE : POLICY_ORDER,
        .names = names,
        .name_count = pick(8) == 0 ? 0 : 1 + pick(REFERENCE_NAMES_MAX),
        .has_key = pick(3) == 0,
        .key = (enum policy_key)pick(POLICY_KEY_COUNT),
        .profile = (const char *const[]){"classic", "other", NULL, NULL, NULL, NULL}[pick(6)],
        .has_validity = pick(30) == 0};
    for (size_t i = 0; i < q->name_count; i++)
        names[i] = random_identifier();
}

static void
describe(const struct policy_request *q, const char *application)
{
    fprintf(stderr, "  application %s, %s, key %d, profile %s, validity %d:", application,
        policy_operation_name(q->operation), q->has_key ? (int)q->key : -1,
        q->profile == NULL ? "-" : q->profile, q->has_validity);
    for (size_t i = 0; i < q->name_count; i++)
        fprintf(stderr, " %s", q->names[i].text);
    fprintf(stderr, "\n");
}

/* Before the last day, and on it. */
static int64_t
random_time(void)
{
    return pick(4) == 0 ? LAST_DAY : LAST_DAY - 1;
}

static bool
same_verdict(const struct policy_verdict *v, const struct expectation *e)
{
    return v->allowed == e->allowed && v->warned == e->warned && v->rule == e->rule;
}

static size_t seen[POLICY_RULE_COUNT];

static bool
run_request(const struct world *w, const policy_snapshot *snapshot)
{
    struct aw_name names[REFERENCE_NAMES_MAX];
    struct policy_request q;
    struct policy_verdict v;
    int a = (int)pick((unsigned)w->count);
    gid_t group = (gid_t)(9000 + a);
    int64_t now = random_time();

    random_request(&q, names);
    struct expectation e = reference(w, a, &q, now);
    struct policy_subject subject = {7000, &group, 1};
    policy_decide(snapshot, &subject, &q, now, &v);
    seen[v.rule]++;
    if (same_verdict(&v, &e))
        return true;
    fprintf(stderr, "FAILED: found %d %d %s, expected %d %d %s\n", v.allowed, v.warned,
        policy_rule_tag(v.rule), e.allowed, e.warned, policy_rule_tag(e.rule));
    describe(&q, w->applications[a].name);
    return false;
}

/* Which application: by user and perhaps by name. */
static bool
run_choice(const struct world *w, const policy_snapshot *snapshot)
{
    unsigned user = pick(USERS + 1), named = pick((unsigned)w->count + 2);
    gid_t groups[2] = {(gid_t)(9000 + pick((unsigned)w->count)), 3};
    struct policy_subject subject = {5000 + user, groups, pick(3)};
    char name[8];
    struct policy_request q = {.application = named == 0 ? NULL : name};
    struct policy_verdict v;
    int matching = 0, only = -1;
    bool of_named = false;

    snprintf(name, sizeof(name), "app%02u", named - 1);
    for (int i = 0; i < w->count; i++) {
        bool member = (user < USERS && w->applications[i].of_user[user]) ||
                      (subject.group_count > 0 && (int)groups[0] == 9000 + i);

        matching += member;
        only = member ? i : only;
        of_named |= member && (int)named - 1 == i;
    }
    const char *expected = NULL;
    if (matching > 0 && named > 0 && of_named)
        expected = name;
    else if (matching == 1 && named == 0)
        expected = w->applications[only].name;
    policy_decide(snapshot, &subject, &q, 1, &v);
    const char *found = v.application == NULL ? NULL : v.application->name;
    if ((found == NULL) != (expected == NULL) || (found != NULL && strcmp(found, expected) != 0)) {
        fprintf(stderr, "FAILED: application %s, expected %s\n", found == NULL ? "-" : found,
            expected == NULL ? "-" : expected);
        return false;
    }
    return found != NULL || v.rule == (matching == 0   ? POLICY_RULE_APPLICATION_NONE
                                          : named == 0 ? POLICY_RULE_APPLICATION_AMBIGUOUS
                                                       : POLICY_RULE_APPLICATION_UNKNOWN);
}

static void
decides_as_the_reference_does(void **state)
{
    static struct world w;
    size_t failed = 0;

    (void)state;
    for (int i = 0; i < POLICIES; i++) {
        world_random(&w);
        policy_snapshot *snapshot = world_load(&w);
        for (int j = 0; j < REQUESTS; j++)
            failed += !run_request(&w, snapshot) + !run_choice(&w, snapshot);
        policy_release(&snapshot);
    }
    assert_int_equal(failed, 0);
    /* The cases must reach every rule that speaks of a chosen application; policy_decide_relay,
     * which has rules of its own, is not asked here. */
    for (int rule = 0; rule < POLICY_RULE_WARN_UNTIL; rule++) {
        bool of_choice = rule == POLICY_RULE_APPLICATION_NONE ||
                         rule == POLICY_RULE_APPLICATION_UNKNOWN ||
                         rule == POLICY_RULE_APPLICATION_AMBIGUOUS;
        bool of_relay = rule >= POLICY_RULE_RELAY && rule <= POLICY_RULE_RELAY_VALIDATION;

        if (!of_choice && !of_relay && seen[rule] < 10)
            fail_msg(
                "%s decided only %zu cases", policy_rule_tag((enum policy_rule)rule), seen[rule]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decides_as_the_reference_does)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
