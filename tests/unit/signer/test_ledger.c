/* The ledger's rules: order memory, quotas, keys, certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_support.h"

#define U "https://ca.example.net/"
#define TWO "a.example.edu b.example.edu"

/* app-a's order with all its URLs claimed, app-b's order, on one account. */
struct fixture {
    struct ledger_scene scene;
    int64_t order, other;
};

static void
claim_for(struct fixture *f, const char *application, int64_t order, const char *prefix)
{
    static const struct {
        enum sign_url_kind kind;
        const char *path;
    } urls[] = {{SIGN_URL_ORDER, "order"}, {SIGN_URL_FINALIZE, "finalize"},
        {SIGN_URL_AUTHORIZATION, "authz"}, {SIGN_URL_CHALLENGE, "chall"},
        {SIGN_URL_CERTIFICATE, "cert"}};
    char url[128];

    for (size_t i = 0; i < AW_COUNT(urls); i++) {
        snprintf(url, sizeof(url), U "%s/%s", prefix, urls[i].path);
        const struct ask ask = {.application = application, .order = order, .url = url};
        scene_claim(&f->scene, url, &ask, urls[i].kind, LEDGER_NONE);
    }
}

static void
begin(struct fixture *f)
{
    scene_start(&f->scene);
    f->order = scene_order(&f->scene, "app-a", TWO);
    f->other = scene_order(&f->scene, "app-b", "c.example.edu");
    claim_for(f, "app-a", f->order, "a");
    claim_for(f, "app-b", f->other, "b");
}

static void
end(struct fixture *f)
{
    scene_end(&f->scene);
}

enum { OWN, OTHER, NONE_SUCH };

/* Asked before anything was finalized. */
static const struct {
    const char *name;
    struct ask ask; /* order: OWN, OTHER, NONE_SUCH */
    enum ledger_rule rule;
} rows[] = {
    {"attack 36: finalize of another's order with own CSR",
        {SIGN_FINALIZE, .order = OTHER, .url = U "b/finalize", .csr = DIGEST_A, .key = DIGEST_B,
            .names = TWO},
        LEDGER_ORDER_UNKNOWN},
    {"attack 36: own order, another's finalize URL",
        {SIGN_FINALIZE, .order = OWN, .url = U "b/finalize", .csr = DIGEST_A, .key = DIGEST_B,
            .names = TWO},
        LEDGER_URL_UNCLAIMED},
    {"attack 37: another's challenge for the own order",
        {SIGN_ANSWER_CHALLENGE, .order = OWN, .url = U "b/chall"}, LEDGER_URL_UNCLAIMED},
    {"attack 37: another's challenge for its order",
        {SIGN_ANSWER_CHALLENGE, .order = OTHER, .url = U "b/chall"}, LEDGER_ORDER_UNKNOWN},
    {"a challenge answer to an authorization",
        {SIGN_ANSWER_CHALLENGE, .order = OWN, .url = U "a/authz"}, LEDGER_URL_UNCLAIMED},
    {"a challenge answer to an order", {SIGN_ANSWER_CHALLENGE, .order = OWN, .url = U "a/order"},
        LEDGER_URL_UNCLAIMED},
    {"no such order", {SIGN_POST_AS_GET, .order = NONE_SUCH, .url = U "a/order"},
        LEDGER_ORDER_UNKNOWN},
    {"the order on another account",
        {SIGN_POST_AS_GET, .account = "other", .order = OWN, .url = U "a/order"},
        LEDGER_ORDER_UNKNOWN},
    {"attack 25: a poll of a URL nobody named",
        {SIGN_POST_AS_GET, .order = OWN, .url = U "acct/1/orders"}, LEDGER_URL_UNCLAIMED},
    {"a poll of the finalize URL", {SIGN_POST_AS_GET, .order = OWN, .url = U "a/finalize"},
        LEDGER_URL_UNCLAIMED},
    {"a poll of another's certificate", {SIGN_POST_AS_GET, .order = OWN, .url = U "b/cert"},
        LEDGER_URL_UNCLAIMED},
    {"attack 71a: one name fewer",
        {SIGN_FINALIZE, .order = OWN, .url = U "a/finalize", .csr = DIGEST_A, .key = DIGEST_B,
            .names = "a.example.edu"},
        LEDGER_ORDER_NAMES},
    {"attack 71a: one name more",
        {SIGN_FINALIZE, .order = OWN, .url = U "a/finalize", .csr = DIGEST_A, .key = DIGEST_B,
            .names = TWO " c.example.edu"},
        LEDGER_ORDER_NAMES},
    {"attack 71a: one other name",
        {SIGN_FINALIZE, .order = OWN, .url = U "a/finalize", .csr = DIGEST_A, .key = DIGEST_B,
            .names = "a.example.edu c.example.edu"},
        LEDGER_ORDER_NAMES},
    {"finalize at the order URL",
        {SIGN_FINALIZE, .order = OWN, .url = U "a/order", .csr = DIGEST_A, .key = DIGEST_B,
            .names = TWO},
        LEDGER_URL_UNCLAIMED},
    {"attack 40: revocation of a key nobody finalized", {SIGN_REVOKE, .key = DIGEST_B},
        LEDGER_KEY_FOREIGN},
    {"attack 88d: a certificate before any finalize",
        {SIGN_RECORD_CERTIFICATE, .order = OWN, .key = DIGEST_B, .names = TWO},
        LEDGER_CERTIFICATE_KEY},
    {"attack 88d: a certificate for other names",
        {SIGN_RECORD_CERTIFICATE, .order = OWN, .key = DIGEST_B, .names = "a.example.edu"},
        LEDGER_CERTIFICATE_NAMES},
};

static struct ask
with_ticket(const struct fixture *f, const struct ask *ask)
{
    const int64_t tickets[] = {[OWN] = f->order, [OTHER] = f->other, [NONE_SUCH] = 999999};
    struct ask out = *ask;

    out.order = tickets[ask->order];
    return out;
}

static void
every_rule_refuses_and_is_recorded(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct ask ask = with_ticket(&f, &rows[i].ask);
        bool alarm =
            rows[i].rule == LEDGER_CERTIFICATE_KEY || rows[i].rule == LEDGER_CERTIFICATE_NAMES;
        const char *tag = ledger_rule_tag(rows[i].rule);
        scene_expect(&f.scene, rows[i].name, &ask, rows[i].rule);
        scene_expect_record(&f.scene, rows[i].name, alarm ? AUDIT_ALARM : AUDIT_DECISION,
            alarm ? NULL : "refuse", tag);
    }
    end(&f);
}

static void
an_order_expires(void **state)
{
    struct fixture f;
    struct ask ask = {SIGN_POST_AS_GET, .url = U "a/order", .at = LEDGER_ORDER_LIFETIME - 1};

    (void)state;
    begin(&f);
    ask.order = f.order;
    scene_expect(&f.scene, "the last second", &ask, LEDGER_NONE);
    ask.at = LEDGER_ORDER_LIFETIME;
    scene_expect(&f.scene, "a second later", &ask, LEDGER_ORDER_EXPIRED);
    ask.at = 0;
    scene_expect(&f.scene, "the clock went back", &ask, LEDGER_ORDER_EXPIRED);
    ask.operation = SIGN_FINALIZE;
    ask.url = U "a/finalize";
    ask.csr = DIGEST_A;
    ask.key = DIGEST_B;
    ask.names = TWO;
    scene_expect(&f.scene, "finalize", &ask, LEDGER_ORDER_EXPIRED);
    scene_claim(&f.scene, "claim", &(struct ask){.order = f.order, .url = U "a/new"},
        SIGN_URL_CERTIFICATE, LEDGER_ORDER_EXPIRED);
    ask = (struct ask){SIGN_NEW_ORDER, .order = f.order, .again = true, .names = TWO};
    scene_expect(&f.scene, "new-order, signed again", &ask, LEDGER_ORDER_EXPIRED);
    end(&f);
}

static void
what_an_order_allows(void **state)
{
    static const struct {
        const char *name;
        struct ask ask;
    } allowed[] = {
        {"poll the order", {SIGN_POST_AS_GET, .url = U "a/order"}},
        {"poll an authorization", {SIGN_POST_AS_GET, .url = U "a/authz"}},
        {"poll a challenge", {SIGN_POST_AS_GET, .url = U "a/chall"}},
        {"answer a challenge", {SIGN_ANSWER_CHALLENGE, .url = U "a/chall"}},
        {"finalize, names in another order",
            {SIGN_FINALIZE, .url = U "a/finalize", .csr = DIGEST_A, .key = DIGEST_B,
                .names = "b.example.edu a.example.edu"}},
        {"fetch the certificate", {SIGN_POST_AS_GET, .url = U "a/cert"}},
        {"hand it back", {SIGN_RECORD_CERTIFICATE, .key = DIGEST_B, .names = TWO}},
        {"revoke it", {SIGN_REVOKE, .key = DIGEST_B}},
    };
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < AW_COUNT(allowed); i++) {
        struct ask ask = allowed[i].ask;
        ask.order = ask.operation == SIGN_REVOKE ? 0 : f.order;
        scene_expect(&f.scene, allowed[i].name, &ask, LEDGER_NONE);
    }
    end(&f);
}

static struct ask
finalize_of(const struct fixture *f)
{
    return (struct ask){SIGN_FINALIZE, .order = f->order, .url = U "a/finalize", .csr = DIGEST_A,
        .key = DIGEST_B, .names = TWO};
}

static void
attack_88a_the_first_finalize_binds(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct ask ask = finalize_of(&f);
    scene_expect(&f.scene, "first", &ask, LEDGER_NONE);
    ask.csr = DIGEST_C;
    scene_expect(&f.scene, "another CSR", &ask, LEDGER_ORDER_BOUND);
    ask = finalize_of(&f);
    ask.key = DIGEST_C;
    scene_expect(&f.scene, "another key", &ask, LEDGER_ORDER_BOUND);
    ask = finalize_of(&f);
    ask.url = U "b/finalize";
    scene_expect(&f.scene, "another URL", &ask, LEDGER_ORDER_BOUND);
    ask = finalize_of(&f);
    for (int i = 2; i <= LEDGER_FINALIZES_MAX; i++)
        scene_expect(&f.scene, "again", &ask, LEDGER_NONE);
    scene_expect(&f.scene, "a ninth time", &ask, LEDGER_ORDER_SPENT);
    scene_close(&f.scene);
    scene_forget(&f.scene);
    scene_open(&f.scene);
    scene_expect(&f.scene, "a ninth time, after a rebuild", &ask, LEDGER_ORDER_SPENT);
    end(&f);
}

static void
polls_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct ask ask = {SIGN_POST_AS_GET, .order = f.order, .url = U "a/order"};
    for (int i = 0; i < LEDGER_POLLS_MAX - 1; i++)
        scene_expect(&f.scene, "poll", &ask, LEDGER_NONE);
    ask.operation = SIGN_ANSWER_CHALLENGE;
    ask.url = U "a/chall";
    scene_expect(&f.scene, "the last one", &ask, LEDGER_NONE);
    scene_expect(&f.scene, "one more", &ask, LEDGER_ORDER_SPENT);
    ask = finalize_of(&f);
    scene_expect(&f.scene, "finalize has a count of its own", &ask, LEDGER_NONE);
    end(&f);
}

static void
attack_40_keys_belong_to_one_application(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct ask ask = finalize_of(&f);
    scene_expect(&f.scene, "finalize", &ask, LEDGER_NONE);
    ask = (struct ask){SIGN_FINALIZE, .application = "app-b", .order = f.other,
        .url = U "b/finalize", .csr = DIGEST_C, .key = DIGEST_B, .names = "c.example.edu"};
    scene_expect(&f.scene, "another's key", &ask, LEDGER_KEY_USED);
    ask.key = DIGEST_D;
    scene_expect(&f.scene, "a fresh key", &ask, LEDGER_NONE);
    ask = (struct ask){SIGN_REVOKE, .application = "app-b", .key = DIGEST_B};
    scene_expect(&f.scene, "attack 40: revoke another's", &ask, LEDGER_KEY_FOREIGN);
    ask.application = "app-a";
    scene_expect(&f.scene, "revoke the own", &ask, LEDGER_NONE);
    end(&f);
}

static void
attack_88d_certificates_must_fit_their_order(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct ask ask = finalize_of(&f);
    scene_expect(&f.scene, "finalize", &ask, LEDGER_NONE);
    ask = (struct ask){SIGN_RECORD_CERTIFICATE, .order = f.order, .key = DIGEST_C, .names = TWO};
    scene_expect(&f.scene, "another key", &ask, LEDGER_CERTIFICATE_KEY);
    scene_expect_record(&f.scene, "another key", AUDIT_ALARM, NULL, "certificate.key");
    ask.key = DIGEST_B;
    ask.certificate = DIGEST_A;
    scene_expect(&f.scene, "right", &ask, LEDGER_NONE);
    ask.certificate = NULL;
    for (int i = 1; i < LEDGER_RECORDED_MAX; i++)
        scene_expect(&f.scene, "right", &ask, LEDGER_NONE);
    scene_expect(&f.scene, "too often", &ask, LEDGER_ORDER_SPENT);
    ask.certificate = DIGEST_A;
    scene_expect(&f.scene, "the first again, its answer was not heard", &ask, LEDGER_NONE);
    ask.certificate = NULL;
    ask.order = f.other;
    scene_expect(&f.scene, "another's order", &ask, LEDGER_ORDER_UNKNOWN);
    end(&f);
}

/* Quotas. */

static void
attacks_89_90_quotas_count_signatures(void **state)
{
    struct ledger_scene scene;
    struct ask ask = {SIGN_NEW_ORDER, .limit = 3};
    struct ledger_usage today;

    (void)state;
    scene_start(&scene);
    for (ask.at = 0; ask.at < 300; ask.at += 100)
        scene_expect(&scene, "never used, yet counted", &ask, LEDGER_NONE);
    scene_expect(&scene, "the fourth", &ask, LEDGER_QUOTA_ORDERS);
    scene_expect_record(&scene, "the fourth", AUDIT_DECISION, "refuse", "quota.orders_per_day");
    scene_expect(&scene, "refusals do not count", &ask, LEDGER_QUOTA_ORDERS);
    assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0 + ask.at, &today)));
    assert_int_equal(today.orders, 3);
    ask.application = "app-b";
    scene_expect(&scene, "another application", &ask, LEDGER_NONE);
    ask.application = "app-a";
    ask.limit = 4;
    scene_expect(&scene, "a larger share", &ask, LEDGER_NONE);
    ask.limit = -1;
    ask.application = "app-c";
    scene_expect(&scene, "orders_per_day 0", &ask, LEDGER_QUOTA_ORDERS);
    scene_end(&scene);
}

/* A revocation that is signed again counts again, and orders are counted apart. */
static void
attack_48_revocations_have_a_quota_of_their_own(void **state)
{
    struct fixture f;
    struct ledger_usage today;

    (void)state;
    begin(&f);
    struct ask ask = finalize_of(&f);
    scene_expect(&f.scene, "finalize", &ask, LEDGER_NONE);
    ask = (struct ask){SIGN_REVOKE, .key = DIGEST_B, .limit = 2};
    scene_expect(&f.scene, "first", &ask, LEDGER_NONE);
    ask.at = 100;
    scene_expect(&f.scene, "again", &ask, LEDGER_NONE);
    scene_expect(&f.scene, "the third", &ask, LEDGER_QUOTA_REVOCATIONS);
    scene_expect_record(
        &f.scene, "the third", AUDIT_DECISION, "refuse", "quota.revocations_per_day");
    assert_true(aw_ok(ledger_used_today(f.scene.ledger, "app-a", T0 + 100, &today)));
    assert_int_equal(today.revocations, 2);
    assert_int_equal(today.orders, 1);
    scene_expect(&f.scene, "orders are left", &(struct ask){SIGN_NEW_ORDER, .limit = 2, .at = 100},
        LEDGER_NONE);
    ask.key = DIGEST_C;
    scene_expect(&f.scene, "whose key it is comes first", &ask, LEDGER_KEY_FOREIGN);
    scene_close(&f.scene);
    scene_forget(&f.scene);
    scene_open(&f.scene);
    ask.key = DIGEST_B;
    scene_expect(&f.scene, "after a rebuild", &ask, LEDGER_QUOTA_REVOCATIONS);
    ask.at = LEDGER_DAY;
    scene_expect(&f.scene, "the first left the window", &ask, LEDGER_NONE);
    scene_expect(&f.scene, "the second did not", &ask, LEDGER_QUOTA_REVOCATIONS);
    ask.limit = -1;
    scene_expect(&f.scene, "no share", &ask, LEDGER_QUOTA_REVOCATIONS);
    end(&f);
}

static void
attack_92_a_clock_step_resets_nothing(void **state)
{
    struct ledger_scene scene;
    struct ask ask = {SIGN_NEW_ORDER, .limit = 1, .at = 40 * LEDGER_DAY};
    struct ledger_verdict verdict;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    scene_expect(&scene, "first", &ask, LEDGER_NONE);
    ask.at = 0;
    assert_true(aw_ok(scene_ask(&scene, &ask, &verdict, &seq)));
    assert_int_equal(verdict.rule, LEDGER_QUOTA_ORDERS);
    assert_int_equal(verdict.retry_after, LEDGER_DAY);
    scene_close(&scene);
    scene_open(&scene);
    scene_expect(&scene, "back, after a restart", &ask, LEDGER_QUOTA_ORDERS);
    scene_close(&scene);
    scene_forget(&scene);
    scene_open(&scene);
    assert_true(scene.recovery.rebuilt);
    scene_expect(&scene, "back, after a rebuild", &ask, LEDGER_QUOTA_ORDERS);
    ask.at = 41 * LEDGER_DAY;
    scene_expect(&scene, "a day later", &ask, LEDGER_NONE);
    scene_end(&scene);
}

/* Callers' faults: nothing is recorded, nothing permitted. */

static void
nothing_is_permitted_past_the_rules(void **state)
{
    struct ledger_scene scene;
    struct audit_entry entry = {.kind = AUDIT_DECISION,
        .application = "app-a",
        .account = "acct",
        .operation = "new-order",
        .verdict = "permit"};
    struct ledger_request request = {.operation = SIGN_NEW_ORDER,
        .application = "app-a",
        .account = "acct",
        .orders_per_day = 5};
    struct ledger_verdict verdict;
    int64_t seq;
    int64_t appended;

    (void)state;
    scene_start(&scene);
    assert_int_equal(
        ledger_submit(scene.ledger, NULL, &entry, T0, &verdict, &seq).code, AW_CODE_INTERNAL);
    assert_int_equal(
        ledger_submit(scene.ledger, &request, &entry, T0, &verdict, &seq).code, AW_CODE_INTERNAL);
    request.operation = SIGN_WHOAMI;
    assert_int_equal(
        ledger_submit(scene.ledger, &request, &entry, T0, &verdict, &seq).code, AW_CODE_INTERNAL);
    request.operation = SIGN_REVOKE;
    assert_int_equal(
        ledger_submit(scene.ledger, &request, &entry, T0, &verdict, &seq).code, AW_CODE_INTERNAL);
    audit_log_position(scene.log, &appended, &seq);
    assert_int_equal(appended, 0);
    entry.verdict = "refuse";
    assert_true(aw_ok(ledger_submit(scene.ledger, NULL, &entry, T0, &verdict, &seq)));
    assert_int_equal(seq, 1);
    scene_end(&scene);
}

static void
what_cannot_be_recorded_does_not_count(void **state)
{
    struct ledger_scene scene;
    struct ledger_verdict verdict;
    int64_t seq;
    struct ledger_usage today;
    char *name;

    (void)state;
    name = calloc(1, AUDIT_RECORD_MAX + 1);
    memset(name, 'n', AUDIT_RECORD_MAX);
    scene_start(&scene);
    const char *names[] = {name};
    struct audit_entry entry = {.verdict = "permit", .names = names, .name_count = 1};
    struct ledger_request request = {.operation = SIGN_NEW_ORDER,
        .application = "app-a",
        .account = "acct",
        .orders_per_day = 5};
    assert_int_equal(
        ledger_submit(scene.ledger, &request, &entry, T0, &verdict, &seq).code, AW_CODE_LIMIT);
    assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0, &today)));
    assert_int_equal(today.orders, 0);
    free(name);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_refuses_and_is_recorded),
        cmocka_unit_test(an_order_expires),
        cmocka_unit_test(what_an_order_allows),
        cmocka_unit_test(attack_88a_the_first_finalize_binds),
        cmocka_unit_test(polls_end),
        cmocka_unit_test(attack_40_keys_belong_to_one_application),
        cmocka_unit_test(attack_88d_certificates_must_fit_their_order),
        cmocka_unit_test(attacks_89_90_quotas_count_signatures),
        cmocka_unit_test(attack_48_revocations_have_a_quota_of_their_own),
        cmocka_unit_test(attack_92_a_clock_step_resets_nothing),
        cmocka_unit_test(nothing_is_permitted_past_the_rules),
        cmocka_unit_test(what_cannot_be_recorded_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
