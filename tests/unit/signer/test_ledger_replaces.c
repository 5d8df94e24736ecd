/* Attacks 46, 88d: certificates handed back, and which an order may replace (RFC 9773 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/io.h"
#include "ledger_support.h"

#define U "https://ca.example.net/"

/* An order of an application, finalized with a key. */
static int64_t
finalize(struct ledger_scene *scene, const struct ask *by, const char *key, const char *name)
{
    char url[96];
    struct ask ask = *by;

    ask.operation = SIGN_NEW_ORDER;
    snprintf(url, sizeof(url), U "%s/%s/finalize", by->application, name);
    ask.order = scene_expect(scene, url, &ask, LEDGER_NONE);
    ask.url = url;
    scene_claim(scene, url, &ask, SIGN_URL_FINALIZE, LEDGER_NONE);
    ask.operation = SIGN_FINALIZE;
    ask.csr = DIGEST_A;
    ask.key = key;
    scene_expect(scene, url, &ask, LEDGER_NONE);
    return ask.order;
}

/* The same, and its certificate handed back. */
static void
issue_as(struct ledger_scene *scene, const char *application, const char *account, const char *key,
    const char *serial, int verified)
{
    const struct ask by = {.application = application, .account = account};
    const struct ask ask = {SIGN_RECORD_CERTIFICATE, .application = application, .account = account,
        .order = finalize(scene, &by, key, serial), .key = key, .serial = serial,
        .verified = verified};

    scene_expect(scene, serial, &ask, LEDGER_NONE);
}

static void
issue(struct ledger_scene *scene, const char *application, const char *account, const char *key,
    const char *serial)
{
    issue_as(scene, application, account, key, serial, 0);
}

/* A serial belongs to the application that handed such a certificate back first. */
static void
attack_46_replaces_what_is_ones_own(void **state)
{
    static const struct {
        const char *name;
        struct ask ask;
        enum ledger_rule rule;
    } replaced[] = {
        {"the own one", {SIGN_NEW_ORDER, .replaces = "01ab"}, LEDGER_NONE},
        {"again", {SIGN_NEW_ORDER, .replaces = "01ab"}, LEDGER_NONE},
        {"another's", {SIGN_NEW_ORDER, .replaces = "0bbb"}, LEDGER_ORDER_REPLACES},
        {"another's own", {SIGN_NEW_ORDER, .application = "app-b", .replaces = "0bbb"},
            LEDGER_NONE},
        {"one that the other had first",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "01ab"}, LEDGER_ORDER_REPLACES},
        {"of the own application, on another account",
            {SIGN_NEW_ORDER, .account = "other", .replaces = "01ab"}, LEDGER_ORDER_REPLACES},
        {"one that is not there", {SIGN_NEW_ORDER, .replaces = "01"}, LEDGER_ORDER_REPLACES},
        {"none", {SIGN_NEW_ORDER, .replaces = ""}, LEDGER_ORDER_REPLACES},
    };
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    issue(&scene, "app-a", "acct", DIGEST_B, "01ab");
    issue(&scene, "app-b", "acct", DIGEST_C, "0bbb");
    issue(&scene, "app-b", "acct", DIGEST_D, "01ab"); /* forged: the key and names are its own */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < AW_COUNT(replaced); i++)
            scene_expect(&scene, replaced[i].name, &replaced[i].ask, replaced[i].rule);
        scene_close(&scene);
        scene_forget(&scene); /* and the same when it is made anew from the log */
        scene_open(&scene);
    }
    scene_end(&scene);
}

/*
 * Attack 88d: app-b forges app-a's serial 01ab before app-a hands the real one back. 02 is of the
 * time before issuers were pinned, 03 was forged by app-b alone.
 */
static void
attacks_46_88d_a_forged_certificate_takes_and_gives_nothing(void **state)
{
    static const struct {
        const char *name;
        struct ask ask;
        enum ledger_rule rule;
    } rows[] = {
        {"88d pinned: the owner, who was second",
            {SIGN_NEW_ORDER, .replaces = "01ab", .pinned = true}, LEDGER_NONE},
        {"88d pinned: the forger, who was first",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "01ab", .pinned = true},
            LEDGER_ORDER_REPLACES},
        {"88d none pinned any more: what was verified still counts",
            {SIGN_NEW_ORDER, .replaces = "01ab"}, LEDGER_NONE},
        {"88d none pinned any more: what was found forged still does not",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "01ab"}, LEDGER_ORDER_REPLACES},
        {"pinned: what was never checked gives nothing",
            {SIGN_NEW_ORDER, .replaces = "02", .pinned = true}, LEDGER_ORDER_REPLACES},
        {"none pinned: what was never checked is the first one's",
            {SIGN_NEW_ORDER, .replaces = "02"}, LEDGER_NONE},
        {"none pinned: not the second one's",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "02"}, LEDGER_ORDER_REPLACES},
        {"88d a forged one alone, pinned",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "03", .pinned = true},
            LEDGER_ORDER_REPLACES},
        {"88d a forged one alone, none pinned",
            {SIGN_NEW_ORDER, .application = "app-b", .replaces = "03"}, LEDGER_ORDER_REPLACES},
    };
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    issue(&scene, "app-a", "acct", DIGEST_B, "02");
    issue(&scene, "app-b", "acct", DIGEST_C, "02");
    issue_as(&scene, "app-b", "acct", DIGEST_C, "01ab", -1);
    issue_as(&scene, "app-a", "acct", DIGEST_B, "01ab", 1);
    issue_as(&scene, "app-b", "acct", DIGEST_C, "03", -1);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < AW_COUNT(rows); i++)
            scene_expect(&scene, rows[i].name, &rows[i].ask, rows[i].rule);
        scene_close(&scene);
        scene_forget(&scene);
        scene_open(&scene);
    }
    scene_end(&scene);
}

/* Keys are the applications' own throughout; 01ab was verified for app-a, 03 for nobody. */
static void
attack_126_anothers_serial_on_the_own_key(void **state)
{
    static const struct {
        const char *name;
        struct ask ask;
        enum ledger_rule rule;
    } rows[] = {
        {"attack 126: the other's serial",
            {SIGN_REVOKE, .application = "app-b", .key = DIGEST_C, .serial = "01ab"},
            LEDGER_SERIAL_FOREIGN},
        {"the own one", {SIGN_REVOKE, .key = DIGEST_B, .serial = "01ab"}, LEDGER_NONE},
        {"attack 126: a forger takes no serial away",
            {SIGN_REVOKE, .key = DIGEST_B, .serial = "03"}, LEDGER_NONE},
        {"one that nobody handed back", {SIGN_REVOKE, .key = DIGEST_B, .serial = "04"},
            LEDGER_NONE},
        {"the same serial of another account's CA",
            {SIGN_REVOKE, .application = "app-b", .account = "other", .key = DIGEST_C,
                .serial = "01ab"},
            LEDGER_NONE},
    };
    struct ledger_scene scene;

    (void)state;
    scene_start(&scene);
    issue_as(&scene, "app-b", "acct", DIGEST_C, "01ab", -1);
    issue_as(&scene, "app-a", "acct", DIGEST_B, "01ab", 1);
    issue_as(&scene, "app-b", "acct", DIGEST_C, "03", -1);
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        scene_expect(&scene, rows[i].name, &rows[i].ask, rows[i].rule);
    scene_end(&scene);
}

/* A certificate that comes again is on record already; its alarm does not come again either. */
static void
attack_88d_a_certificate_counts_once(void **state)
{
    const struct ask by = {.application = "app-a", .account = "acct"};
    struct ledger_scene scene;
    int64_t first, again;

    (void)state;
    scene_start(&scene);
    struct ask ask = {SIGN_RECORD_CERTIFICATE, .order = finalize(&scene, &by, DIGEST_B, "once"),
        .key = DIGEST_B, .certificate = DIGEST_C, .verified = -1, .alarm = "forged"};
    first = scene_expect(&scene, "forged", &ask, LEDGER_NONE);
    scene_expect_record(&scene, "forged", AUDIT_ALARM, NULL, "certificate.unverified");
    for (int i = 0; i < 2 * LEDGER_RECORDED_MAX; i++) {
        again = scene_expect(&scene, "again", &ask, LEDGER_NONE);
        assert_int_equal(again, first);
    }
    ask.verified = 1; /* once issuers are pinned that it chains to */
    ask.alarm = NULL;
    again = scene_expect(&scene, "verified now", &ask, LEDGER_NONE);
    assert_int_equal(again, first + 1);
    scene_expect_record(&scene, "verified now", AUDIT_CERTIFICATE, "permit", "names.exact");
    ask.certificate = DIGEST_D;
    assert_int_equal(scene_expect(&scene, "another", &ask, LEDGER_NONE), again + 1);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_46_replaces_what_is_ones_own),
        cmocka_unit_test(attack_126_anothers_serial_on_the_own_key),
        cmocka_unit_test(attack_88d_a_certificate_counts_once),
        cmocka_unit_test(attacks_46_88d_a_forged_certificate_takes_and_gives_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
