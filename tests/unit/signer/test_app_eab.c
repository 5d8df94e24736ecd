/* App-EABs: what they are derived of, that nothing else gives them, and administrators' calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"
#include "signer/app_eab.h"
#include "signer/ledger_inner.h"
#include "signer_world.h"

#define KID "app-0123456789abcdefghijkl"
#define RELAYED                                                                    \
    "owner: o\naccount: main\nnames: {exact: [r.example.edu]}\nrelay: {networks: " \
    "[192.0.2.0/24]}\n"

/* A world with applications of a relay: app-r, and app-late, whose policy has ended. */
static int
setup(void **state)
{
    (void)world_setup(state);
    struct world *w = *state;
    world_write(w, "policy.d/app-r.yaml", "application: app-r\n" RELAYED);
    world_write(
        w, "policy.d/app-late.yaml", "application: app-late\n" RELAYED "expires: 2020-01-01\n");
    world_reload(w);
    return 0;
}

/* Derivation, by a key whose value the test knows. */

static void
plant_relay_key(struct world *w, uint8_t value[32])
{
    struct token_key_report report;
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    for (int i = 0; i < 32; i++)
        value[i] = (uint8_t)(7 * i + 1);
    assert_ok(aw_secret_new(32, &secret));
    assert_ok(aw_secret_append(secret, value, 32));
    assert_ok(
        token_mac_import(w->core->token, APP_EAB_RELAY_KEY, TOKEN_HS256, secret, false, &report));
}

static void
a_key_is_the_macs_of_what_it_is_for(void **state)
{
    static const struct {
        const char *kid, *application, *text;
    } rows[] = {
        {KID, "app-r", "acmeward app-eab v1\n" KID "\napp-r\n"},
        {KID, "app-r2", "acmeward app-eab v1\n" KID "\napp-r2\n"},
        {"app-_123456789abcdefghijk-", "app-r",
            "acmeward app-eab v1\napp-_123456789abcdefghijk-\napp-r\n"},
    };
    struct world *w = *state;
    uint8_t value[32], expected[EVP_MAX_MD_SIZE], before[32] = {0};
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    char check[APP_EAB_CHECK_SIZE + 1];
    size_t size = 0;

    plant_relay_key(w, value);
    assert_ok(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        assert_ok(app_eab_key(w->core, rows[i].kid, rows[i].application, key));
        assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, value, sizeof(value),
            (const unsigned char *)rows[i].text, strlen(rows[i].text), expected, sizeof(expected),
            &size));
        assert_int_equal(key->size, size);
        assert_memory_equal(key->data, expected, size);
        assert_memory_not_equal(key->data, before, sizeof(before));
        memcpy(before, key->data, sizeof(before));
    }
    assert_ok(app_eab_check_value(w->core, check));
    assert_int_equal(strspn(check, "0123456789abcdef"), APP_EAB_CHECK_SIZE);
}

/* What is no identifier, or would make another's text, gives no key; what was there is wiped. */
static void
what_is_no_identifier_gives_no_key(void **state)
{
    static const struct {
        const char *kid, *application;
    } rows[] = {
        {"", "app-r"},
        {"app-", "app-r"},
        {"app-0123456789abcdefghijk", "app-r"},
        {"app-0123456789abcdefghijklm", "app-r"},
        {"APP-0123456789abcdefghijkl", "app-r"},
        {"app-0123456789abcdefghij\nl", "app-r"},
        {"app-0123456789abcdefghij=l", "app-r"},
        {KID "\napp-r", "x"},
        {KID, ""},
        {KID, "app-r\n"},
        {KID, "App-r"},
    };
    struct world *w = *state;
    uint8_t value[32];
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;

    plant_relay_key(w, value);
    assert_ok(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        assert_ok(app_eab_key(w->core, KID, "app-r", key));
        if (app_eab_key(w->core, rows[i].kid, rows[i].application, key).code != AW_CODE_SYNTAX)
            fail_msg("row %zu gives a key", i);
        assert_int_equal(key->size, 0);
        assert_int_equal(key->data[0] | key->data[31], 0);
    }
}

/* Administrators' calls. */

static void
call(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *answer)
{
    world_answer_free(answer);
    *answer = (struct world_answer){0};
    world_call_admin(w, user, method, parameters, answer);
}

static void
each_mistake_is_told(void **state)
{
    static const struct {
        const char *name, *method, *parameters, *error, *part;
    } rows[] = {
        {"no relay key", "CreateAppEab", "{\"application\":\"app-r\"}", "Failed", "secret key"},
        {"no relay key to destroy", "DestroyRelayKey", "{}", "Failed", "secret key"},
        {"an application that there is not", "CreateAppEab", "{\"application\":\"app-x\"}",
            "Failed", "no application \"app-x\""},
        {"one without the section", "CreateAppEab", "{\"application\":\"app-a\"}", "Failed",
            "(rule relay)"},
        {"one whose policy has ended", "CreateAppEab", "{\"application\":\"app-late\"}", "Failed",
            "(rule application.expired)"},
        {"no application", "CreateAppEab", "{}", "InvalidRequest", "application"},
        {"a day that has passed", "CreateAppEab",
            "{\"application\":\"app-r\",\"expires\":1600000000}", "InvalidRequest", "has passed"},
        {"a day before all", "CreateAppEab", "{\"application\":\"app-r\",\"expires\":0}",
            "InvalidRequest", "expires"},
        {"once, in words", "CreateAppEab", "{\"application\":\"app-r\",\"once\":\"yes\"}",
            "InvalidRequest", "once"},
        {"a key of one's own", "CreateAppEab", "{\"application\":\"app-r\",\"key\":\"AAAA\"}",
            "InvalidRequest", "key"},
        {"to revoke one that there is not", "RevokeAppEab", "{\"kid\":\"" KID "\"}", "Failed",
            "no app-eab"},
        {"to revoke what is none", "RevokeAppEab", "{\"kid\":\"x' OR '1\"}", "InvalidRequest",
            "kid"},
        {"to list after nothing", "ListAppEabs", "{\"after\":-1}", "InvalidRequest", "after"},
    };
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        call(w, OFFICER, rows[i].method, rows[i].parameters, &answer);
        if (strcmp(answer.error, rows[i].error) != 0 ||
            strstr(world_text(&answer, "message"), rows[i].part) == NULL)
            fail_msg("%s: %s: %s", rows[i].name, answer.error, world_text(&answer, "message"));
        if (strcmp(answer.error, "Failed") == 0)
            assert_string_not_equal(world_text(&answer, "hint"), "");
    }
}

static const cJSON *
listed(struct world *w, const char *kid, struct world_answer *answer)
{
    const cJSON *item;

    call(w, OPERATOR, "ListAppEabs", "{}", answer);
    assert_string_equal(answer->error, "");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer->parameters, "app_eabs"))
    {
        if (strcmp(cJSON_GetObjectItemCaseSensitive(item, "kid")->valuestring, kid) == 0)
            return item;
    }
    return NULL;
}

static void
expect_state(struct world *w, const char *kid, const char *expected)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    const cJSON *item = listed(w, kid, &answer);

    assert_non_null(item);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "state")->valuestring, expected);
}

/* From the relay key to its end; what was shown is what is derived, and is on no record. */
static void
the_life_of_an_app_eab(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(world_record_free) struct world_record record = {0};
    char kid[64], text[64], again[AW_B64URL_LENGTH(APP_EAB_KEY_SIZE) + 1], parameters[128];

    call(w, OFFICER, "CreateRelayKey", "{}", &answer);
    assert_string_equal(answer.error, "");
    call(w, OFFICER, "CreateRelayKey", "{}", &answer);
    assert_string_equal(world_text(&answer, "tag"), "exists");
    call(w, OFFICER, "CreateAppEab",
        "{\"application\":\"app-r\",\"expires\":4000000000,\"once\":true}", &answer);
    assert_string_equal(answer.error, "");
    snprintf(kid, sizeof(kid), "%s", world_text(&answer, "kid"));
    snprintf(text, sizeof(text), "%s", world_text(&answer, "key"));
    assert_true(app_eab_kid_ok(kid));
    world_last(w, &record);
    assert_string_equal(record.entry->operation, "app-eab-create");
    assert_string_equal(record.entry->kid, kid);
    assert_string_equal(record.entry->application, "app-r");
    assert_int_equal(record.entry->not_after, 4000000000);
    assert_int_equal(record.entry->count, 1);
    assert_null(record.entry->message);

    assert_ok(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    assert_ok(app_eab_key(w->core, kid, "app-r", key));
    aw_b64url_encode(key->data, key->size, again);
    assert_string_equal(again, text);
    expect_state(w, kid, "usable");
    world_restart(w);
    assert_ok(app_eab_key(w->core, kid, "app-r", key));
    aw_b64url_encode(key->data, key->size, again);
    assert_string_equal(again, text);
    expect_state(w, kid, "usable");

    snprintf(parameters, sizeof(parameters), "{\"kid\":\"%s\"}", kid);
    call(w, OFFICER, "RevokeAppEab", parameters, &answer);
    assert_string_equal(answer.error, "");
    int64_t before = world_position(w);
    call(w, OFFICER, "RevokeAppEab", parameters, &answer); /* is done already */
    assert_string_equal(answer.error, "");
    assert_int_equal(world_position(w), before);
    expect_state(w, kid, "revoked");

    call(w, OFFICER, "CreateAppEab", "{\"application\":\"app-r\"}", &answer);
    snprintf(kid, sizeof(kid), "%s", world_text(&answer, "kid"));
    call(w, OFFICER, "DestroyRelayKey", "{}", &answer);
    assert_string_equal(answer.error, "");
    expect_state(w, kid, "revoked");
    assert_int_equal(app_eab_key(w->core, kid, "app-r", key).code, AW_CODE_TOKEN_KEY_MISSING);
    assert_int_equal(key->size, 0);
}

/* Another relay key gives other keys: what was derived of the old one does not come back. */
static void
a_new_relay_key_brings_nothing_back(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    char check[64];
    uint8_t before[APP_EAB_KEY_SIZE];

    assert_ok(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    call(w, OFFICER, "CreateRelayKey", "{}", &answer);
    snprintf(check, sizeof(check), "%s", world_text(&answer, "check"));
    assert_ok(app_eab_key(w->core, KID, "app-r", key));
    memcpy(before, key->data, sizeof(before));
    call(w, OFFICER, "DestroyRelayKey", "{}", &answer);
    call(w, OFFICER, "CreateRelayKey", "{}", &answer);
    assert_string_not_equal(world_text(&answer, "check"), check);
    assert_ok(app_eab_key(w->core, KID, "app-r", key));
    assert_memory_not_equal(key->data, before, sizeof(before));
    call(w, OPERATOR, "GetRelayKey", "{}", &answer);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer.parameters, "present")));
}

/* An account as its registration puts it on record. */
static int64_t
put_account(struct world *w, const char *kid, const char *jwk)
{
    const struct ledger_request request = {.operation = SIGN_INNER_ACCOUNT,
        .application = "app-r",
        .account = "main",
        .kid = kid,
        .jwk = jwk,
        .evidence = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct audit_entry entry = {.verdict = "permit"};
    struct ledger_verdict verdict;
    int64_t seq;

    assert_ok(ledger_submit(w->core->ledger, &request, &entry, core_now(), &verdict, &seq));
    assert_int_equal(verdict.rule, LEDGER_NONE);
    return seq;
}

static void
expect_accounts(struct world *w, const char *kid, bool end, const int64_t *ids, int count)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    char parameters[96];

    snprintf(parameters, sizeof(parameters), "{\"kid\":\"%s\",\"accounts\":%s}", kid,
        end ? "true" : "false");
    call(w, OFFICER, "RevokeAppEab", parameters, &answer);
    assert_string_equal(answer.error, "");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(answer.parameters, "accounts");
    assert_int_equal(cJSON_GetArraySize(list), count);
    for (int i = 0; i < count; i++)
        assert_int_equal((int64_t)cJSON_GetArrayItem(list, i)->valuedouble, ids[i]);
}

static void
expect_active(struct world *w, int64_t id, bool active)
{
    struct ledger_inner_account account;

    assert_ok(ledger_inner_account_find(w->core->ledger, id, &account));
    if (account.active != active)
        fail_msg("account %lld is %s", (long long)id, active ? "deactivated" : "in use");
    ledger_inner_account_free(&account);
}

/* Accounts go on when what they were made with is revoked, unless it is said; others' do in any
 * case, and all of it is read from the records again. */
static void
accounts_end_when_it_is_said(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(world_record_free) struct world_record record = {0};
    char kids[2][64];
    int64_t ids[3];

    call(w, OFFICER, "CreateRelayKey", "{}", &answer);
    for (int i = 0; i < 2; i++) {
        call(w, OFFICER, "CreateAppEab", "{\"application\":\"app-r\"}", &answer);
        snprintf(kids[i], sizeof(kids[i]), "%s", world_text(&answer, "kid"));
    }
    ids[0] = put_account(w, kids[0], "{\"a\":1}");
    ids[1] = put_account(w, kids[0], "{\"a\":2}");
    ids[2] = put_account(w, kids[1], "{\"a\":3}");
    expect_accounts(w, kids[0], false, ids, 2);
    expect_active(w, ids[0], true);
    expect_accounts(w, kids[0], true, ids, 2);
    world_last(w, &record);
    assert_string_equal(record.entry->operation, "inner-deactivate");
    assert_int_equal(record.entry->kind, AUDIT_ADMIN);
    assert_int_equal(record.entry->account_id, ids[1]);
    assert_string_equal(record.entry->kid, kids[0]);
    for (int i = 0; i < 2; i++) {
        expect_active(w, ids[0], false);
        expect_active(w, ids[1], false);
        expect_active(w, ids[2], true);
        expect_accounts(w, kids[0], true, NULL, 0);
        core_close(&w->core);
        char path[256];
        world_path(w, "state/ledger.db", path);
        unlink(path);
        world_open(w);
    }
}

/* More than one answer holds are told in several. */
static void
many_are_listed_in_parts(void **state)
{
    enum { MANY = 405 };
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    char parameters[64];
    int count = 0;
    int64_t after = 0;
    bool more = true;

    for (int i = 0; i < MANY; i++) {
        char kid[LEDGER_KID_SIZE + 1];
        struct audit_entry entry = {.kind = AUDIT_ADMIN,
            .operation = "app-eab-create",
            .verdict = "permit",
            .application = i % 2 == 0 ? "app-r" : "app-a",
            .kid = kid};

        assert_ok(app_eab_kid_new(w->core, kid));
        struct ledger_verdict verdict;
        int64_t seq;
        assert_ok(ledger_submit(w->core->ledger, NULL, &entry, core_now(), &verdict, &seq));
    }
    while (more) {
        const cJSON *item;

        snprintf(parameters, sizeof(parameters), "{\"after\":%lld}", (long long)after);
        call(w, OPERATOR, "ListAppEabs", parameters, &answer);
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(answer.parameters, "app_eabs"))
        {
            after = (int64_t)cJSON_GetObjectItemCaseSensitive(item, "record")->valuedouble;
            count++;
        }
        more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer.parameters, "more"));
    }
    assert_int_equal(count, MANY);
    call(w, OPERATOR, "ListAppEabs", "{\"application\":\"app-a\"}", &answer);
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer.parameters, "app_eabs")),
        MANY / 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_the_macs_of_what_it_is_for),
        TEST(what_is_no_identifier_gives_no_key),
        TEST(each_mistake_is_told),
        TEST(the_life_of_an_app_eab),
        TEST(a_new_relay_key_brings_nothing_back),
        TEST(accounts_end_when_it_is_said),
        TEST(many_are_listed_in_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
