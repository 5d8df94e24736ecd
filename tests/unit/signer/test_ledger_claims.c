/* URLs named for an order: who may, how many, which may be shared. */
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

/* Of two applications on one account: the first to name a URL keeps it. */
static void
attack_88b_a_url_has_one_application(void **state)
{
    struct ledger_scene scene;
    char url[64];
    int64_t before;
    int64_t after;
    int64_t durable;

    (void)state;
    scene_start(&scene);
    struct ask a = {.order = scene_order(&scene, "app-a", NULL), .url = url};
    struct ask b = {
        .application = "app-b", .order = scene_order(&scene, "app-b", NULL), .url = url};
    for (int kind = SIGN_URL_ORDER; kind <= SIGN_URL_CERTIFICATE; kind++) {
        snprintf(url, sizeof(url), U "x/%d", kind);
        scene_claim(&scene, "first", &a, (enum sign_url_kind)kind, LEDGER_NONE);
        scene_claim(&scene, "second", &b, (enum sign_url_kind)kind, LEDGER_URL_TAKEN);
        scene_expect_record(&scene, "second", AUDIT_ALARM, NULL, "url.taken");
        audit_log_position(scene.log, &before, &durable);
        scene_claim(&scene, "first again", &a, (enum sign_url_kind)kind, LEDGER_NONE);
        audit_log_position(scene.log, &after, &durable);
        assert_int_equal(before, after);
    }
    scene_claim(&scene, "as another kind", &b, SIGN_URL_CHALLENGE, LEDGER_URL_TAKEN);
    b.url = U "b/order";
    scene_claim(&scene, "an own one", &b, SIGN_URL_ORDER, LEDGER_NONE);
    scene_end(&scene);
}

static void
a_refusal_names_nobody_else(void **state)
{
    struct ledger_scene scene;
    char url[] = U "order/1";
    struct sign_claim claim = {SIGN_URL_ORDER, url};
    struct ledger_verdict verdict;
    int64_t seq;

    (void)state;
    scene_start(&scene);
    struct ask a = {.order = scene_order(&scene, "app-a", NULL), .url = url};
    scene_claim(&scene, "first", &a, SIGN_URL_ORDER, LEDGER_NONE);
    struct ask b = {SIGN_CLAIM, .application = "app-b", .order = scene_order(&scene, "app-b", NULL),
        .claims = &claim, .claim_count = 1};
    assert_true(aw_ok(scene_ask(&scene, &b, &verdict, &seq)));
    assert_true(verdict.alarm);
    assert_null(strstr(verdict.message, "app-a"));
    scene_end(&scene);
}

/* A CA hands out pending orders and valid authorizations again (RFC 8555 7.1.4). */
static const struct {
    const char *name;
    const char *application, *account; /* of the second order */
    const char *names;
    enum sign_url_kind first, second;
    enum ledger_rule rule;
} sharing[] = {
    {"the same order again", "app-a", "acct", "a.example.edu", SIGN_URL_ORDER, SIGN_URL_ORDER,
        LEDGER_NONE},
    {"its finalize URL", "app-a", "acct", "a.example.edu", SIGN_URL_FINALIZE, SIGN_URL_FINALIZE,
        LEDGER_NONE},
    {"its certificate", "app-a", "acct", "a.example.edu", SIGN_URL_CERTIFICATE,
        SIGN_URL_CERTIFICATE, LEDGER_NONE},
    {"an order for other names", "app-a", "acct", "b.example.edu", SIGN_URL_ORDER, SIGN_URL_ORDER,
        LEDGER_URL_TAKEN},
    {"a finalize URL for other names", "app-a", "acct", "b.example.edu", SIGN_URL_FINALIZE,
        SIGN_URL_FINALIZE, LEDGER_URL_TAKEN},
    {"a certificate for other names", "app-a", "acct", "b.example.edu", SIGN_URL_CERTIFICATE,
        SIGN_URL_CERTIFICATE, LEDGER_URL_TAKEN},
    {"an authorization of a larger order", "app-a", "acct", "a.example.edu b.example.edu",
        SIGN_URL_AUTHORIZATION, SIGN_URL_AUTHORIZATION, LEDGER_NONE},
    {"its challenge", "app-a", "acct", "a.example.edu b.example.edu", SIGN_URL_CHALLENGE,
        SIGN_URL_CHALLENGE, LEDGER_NONE},
    {"an authorization as a challenge", "app-a", "acct", "a.example.edu", SIGN_URL_AUTHORIZATION,
        SIGN_URL_CHALLENGE, LEDGER_URL_TAKEN},
    {"an order as an authorization", "app-a", "acct", "a.example.edu", SIGN_URL_ORDER,
        SIGN_URL_AUTHORIZATION, LEDGER_URL_TAKEN},
    {"another application's authorization", "app-b", "acct", "a.example.edu",
        SIGN_URL_AUTHORIZATION, SIGN_URL_AUTHORIZATION, LEDGER_URL_TAKEN},
    {"another account's order, of no use here", "app-b", "other", "a.example.edu", SIGN_URL_ORDER,
        SIGN_URL_ORDER, LEDGER_NONE},
};

static void
what_may_be_shared(void **state)
{
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    for (size_t i = 0; i < AW_COUNT(sharing); i++) {
        char url[64];
        snprintf(url, sizeof(url), U "shared/%zu", i);
        struct ask order = {SIGN_NEW_ORDER, .application = sharing[i].application,
            .account = sharing[i].account, .names = sharing[i].names};
        struct ask first = {.order = scene_order(&scene, "app-a", "a.example.edu"), .url = url};
        struct ask second = order;
        second.order = scene_expect(&scene, sharing[i].name, &order, LEDGER_NONE);
        second.url = url;
        scene_claim(&scene, sharing[i].name, &first, sharing[i].first, LEDGER_NONE);
        scene_claim(&scene, sharing[i].name, &second, sharing[i].second, sharing[i].rule);
        if (sharing[i].rule == LEDGER_URL_TAKEN)
            scene_expect_record(&scene, sharing[i].name, AUDIT_ALARM, NULL, "url.taken");
    }
    scene_end(&scene);
}

/* For an order of two names. */
static const struct {
    enum sign_url_kind kind;
    int most;
} numbers[] = {
    {SIGN_URL_ORDER, 1},
    {SIGN_URL_FINALIZE, 1},
    {SIGN_URL_AUTHORIZATION, 2},
    {SIGN_URL_CHALLENGE, 2 * LEDGER_CHALLENGES_MAX},
    {SIGN_URL_CERTIFICATE, LEDGER_CERTIFICATES_MAX},
};

static void
no_more_than_the_order_can_have(void **state)
{
    struct ledger_scene scene;
    char url[64];

    (void)state;
    scene_start(&scene);
    struct ask ask = {.order = scene_order(&scene, "app-a", "a.example.edu b.example.edu")};
    ask.url = url;
    for (size_t i = 0; i < AW_COUNT(numbers); i++) {
        for (int n = 0; n < numbers[i].most; n++) {
            snprintf(url, sizeof(url), U "%zu/%d", i, n);
            scene_claim(&scene, url, &ask, numbers[i].kind, LEDGER_NONE);
        }
        scene_claim(&scene, url, &ask, numbers[i].kind, LEDGER_NONE);
        snprintf(url, sizeof(url), U "%zu/more", i);
        scene_claim(&scene, url, &ask, numbers[i].kind, LEDGER_URL_TOO_MANY);
        scene_expect_record(&scene, url, AUDIT_CLAIM, "refuse", "url.too-many");
    }
    scene_end(&scene);
}

static int
count_rows(const struct ledger_scene *scene, const char *start)
{
    char *dump = scene_dump(scene);
    int count = 0;

    for (const char *line = dump; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        count += strncmp(line, start, strlen(start)) == 0;
    }
    free(dump);
    return count;
}

/* One bad claim among good ones: none of them is made. */
static void
claims_are_all_or_nothing(void **state)
{
    static char one[] = U "n/order", two[] = U "n/authz", three[] = U "n/authz2", taken[] = U "t";
    struct sign_claim too_many[] = {
        {SIGN_URL_ORDER, one}, {SIGN_URL_AUTHORIZATION, two}, {SIGN_URL_AUTHORIZATION, three}};
    struct sign_claim with_taken[] = {
        {SIGN_URL_ORDER, one}, {SIGN_URL_AUTHORIZATION, two}, {SIGN_URL_CHALLENGE, taken}};
    struct sign_claim two_kinds[] = {
        {SIGN_URL_ORDER, one}, {SIGN_URL_AUTHORIZATION, two}, {SIGN_URL_CHALLENGE, two}};
    struct sign_claim good[] = {{SIGN_URL_ORDER, one}, {SIGN_URL_AUTHORIZATION, two},
        {SIGN_URL_ORDER, one}, {SIGN_URL_AUTHORIZATION, two}};
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    struct ask other = {
        .application = "app-b", .order = scene_order(&scene, "app-b", NULL), .url = taken};
    scene_claim(&scene, "another's", &other, SIGN_URL_CHALLENGE, LEDGER_NONE);
    struct ask ask = {SIGN_CLAIM, .order = scene_order(&scene, "app-a", NULL), .claims = too_many,
        .claim_count = AW_COUNT(too_many)};
    scene_expect(&scene, "too many", &ask, LEDGER_URL_TOO_MANY);
    scene_expect_url(&scene, "too many", three, "authorization");
    ask.claims = with_taken;
    scene_expect(&scene, "one taken", &ask, LEDGER_URL_TAKEN);
    scene_expect_url(&scene, "one taken", taken, "challenge");
    ask.claims = two_kinds;
    scene_expect(&scene, "one as two kinds", &ask, LEDGER_URL_TAKEN);
    scene_expect_url(&scene, "one as two kinds", two, "challenge");
    scene_close(&scene);
    assert_int_equal(count_rows(&scene, "acct|" U "n/"), 0);
    scene_open(&scene);
    ask.claims = good;
    ask.claim_count = AW_COUNT(good);
    scene_expect(&scene, "two, each named twice", &ask, LEDGER_NONE);
    scene_close(&scene);
    assert_int_equal(count_rows(&scene, "acct|" U "n/"), 2);
    scene_end(&scene);
}

/* The most that a request can hold, for the largest order. */
static void
a_full_request_is_taken(void **state)
{
    enum { NAMES = 100, CLAIMS = NAMES * (1 + LEDGER_CHALLENGES_MAX) };
    static char urls[CLAIMS][64];
    static struct sign_claim claims[CLAIMS];
    char names[NAMES * 20] = "";
    struct ledger_scene scene;

    (void)state;
    for (int i = 0; i < NAMES; i++)
        snprintf(names + strlen(names), 20, "n%d.example.edu ", i);
    for (int i = 0; i < CLAIMS; i++) {
        snprintf(urls[i], sizeof(urls[i]), U "full/%d", i);
        claims[i].kind = i < NAMES ? SIGN_URL_AUTHORIZATION : SIGN_URL_CHALLENGE;
        claims[i].url = urls[i];
    }
    scene_start(&scene);
    struct ask ask = {SIGN_CLAIM, .order = scene_order(&scene, "app-a", names), .claims = claims,
        .claim_count = CLAIMS};
    int64_t seq = scene_expect(&scene, "full", &ask, LEDGER_NONE);
    assert_int_equal(seq, 1 + CLAIMS);
    ask.url = U "full/more";
    scene_claim(&scene, "one more", &ask, SIGN_URL_CHALLENGE, LEDGER_URL_TOO_MANY);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_88b_a_url_has_one_application),
        cmocka_unit_test(a_refusal_names_nobody_else),
        cmocka_unit_test(what_may_be_shared),
        cmocka_unit_test(no_more_than_the_order_can_have),
        cmocka_unit_test(claims_are_all_or_nothing),
        cmocka_unit_test(a_full_request_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
