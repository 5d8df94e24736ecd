/* Attack 46: which certificate an order may say that it replaces (RFC 9773 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/io.h"
#include "ledger_support.h"

#define U "https://ca.example.net/"

/* An order of an application, finalized with a key, and its certificate handed back. */
static void
issue_as(struct ledger_scene *scene, const char *application, const char *account, const char *key,
    const char *serial, int verified)
{
    char url[96];
    struct ask ask = {SIGN_NEW_ORDER, .application = application, .account = account};

    snprintf(url, sizeof(url), U "%s/%s/finalize", application, serial);
    ask.order = scene_expect(scene, url, &ask, LEDGER_NONE);
    ask.url = url;
    scene_claim(scene, url, &ask, SIGN_URL_FINALIZE, LEDGER_NONE);
    ask.operation = SIGN_FINALIZE;
    ask.csr = DIGEST_A;
    ask.key = key;
    scene_expect(scene, url, &ask, LEDGER_NONE);
    ask.operation = SIGN_RECORD_CERTIFICATE;
    ask.url = NULL;
    ask.serial = serial;
    ask.verified = verified;
    scene_expect(scene, url, &ask, LEDGER_NONE);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_46_replaces_what_is_ones_own),
        cmocka_unit_test(attack_126_anothers_serial_on_the_own_key),
        cmocka_unit_test(attacks_46_88d_a_forged_certificate_takes_and_gives_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
