/* A key change step by step: what each state allows, what is signed by which key, what is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"

#define MAIN "{\"account\":\"main\"}"
#define NONCE "{\"account\":\"main\",\"nonce\":\"n-1\"}"
#define KEY(which) "{\"account\":\"main\",\"nonce\":\"n-1\",\"key\":\"" which "\"}"
#define URL(url) "{\"account\":\"main\",\"url\":\"" url "\"}"

#define X32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define EC_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}"
#define ADOPT(url, key) "{\"account\":\"main\",\"url\":\"" url "\",\"old_key\":" key "}"

/* From one state to the next; `state` is what key_change says after the row. */
static const struct {
    const char *name, *method, *parameters, *error, *detail, *state;
} way[] = {
    {"sign before there is a next key", "SignKeyChange", NONCE, "Failed", "not-found", "none"},
    {"confirm before", "ConfirmKeyChange", URL(ACCOUNT_URL), "Failed", "not-found", "none"},
    {"ask with the next key before", "LookUpAccount", KEY("next"), "Failed", "not-found", "none"},
    {"ask with the old key before", "QueryAccount", KEY("old"), "Failed", "not-found", "none"},
    {"ask with another word", "QueryAccount", KEY("any"), "InvalidRequest", "key", "none"},
    {"ask with the present key", "QueryAccount", KEY("present"), "", "", "none"},
    {"destroy before", "DestroyOldKey", MAIN, "Failed", "not-found", "none"},
    {"cancel before", "CancelKeyChange", MAIN, "Failed", "not-found", "none"},
    {"start", "StartKeyChange", MAIN, "", "", "made"},
    {"start again", "StartKeyChange", MAIN, "Failed", "exists", "made"},
    {"confirm what was never signed", "ConfirmKeyChange", URL(ACCOUNT_URL), "Failed", "not-found",
        "made"},
    {"ask with the next key", "LookUpAccount", KEY("next"), "", "", "made"},
    {"a bad nonce", "SignKeyChange", "{\"account\":\"main\",\"nonce\":\"a b\"}", "InvalidRequest",
        "nonce", "made"},
    {"attack 163: a payload", "SignKeyChange",
        "{\"account\":\"main\",\"nonce\":\"n\",\"payload\":\"x\"}", "InvalidRequest", "", "made"},
    {"attack 163: a key of others", "SignKeyChange",
        "{\"account\":\"main\",\"nonce\":\"n\",\"jwk\":{}}", "InvalidRequest", "", "made"},
    {"sign", "SignKeyChange", NONCE, "", "", "attempted"},
    {"sign again", "SignKeyChange", NONCE, "", "", "attempted"},
    {"the new key is another account's", "ConfirmKeyChange", URL(CA "acct/9"), "Failed", "mismatch",
        "attempted"},
    {"confirm", "ConfirmKeyChange", URL(ACCOUNT_URL), "", "", "confirmed"},
    {"confirm again", "ConfirmKeyChange", URL(ACCOUNT_URL), "Failed", "not-found", "confirmed"},
    {"start before the old one is gone", "StartKeyChange", MAIN, "Failed", "exists", "confirmed"},
    {"cancel after", "CancelKeyChange", MAIN, "Failed", "not-found", "confirmed"},
    {"ask with the old key", "QueryAccount", KEY("old"), "", "", "confirmed"},
    {"destroy", "DestroyOldKey", MAIN, "", "", "none"},
    {"destroy again", "DestroyOldKey", MAIN, "Failed", "not-found", "none"},
    {"another one", "StartKeyChange", MAIN, "", "", "made"},
    {"taken back", "CancelKeyChange", MAIN, "", "", "none"},
};

static void
expect_state(struct world *w, const char *row, const char *wanted)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    char part[64];

    world_call_admin(w, OPERATOR, "ListAccounts", "{}", &answer);
    const cJSON *account = aw_json_member(answer.parameters, "accounts")->child;
    snprintf(part, sizeof(part), "\"key_change\":\"%s\"", wanted);
    AW_CLEANUP(aw_free) char *text = NULL;
    for (; account != NULL; account = account->next)
        if (strcmp(aw_json_member(account, "name")->valuestring, "main") == 0)
            text = cJSON_PrintUnformatted(account);
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("%s: %s", row, text);
}

/* Each state is on disk: the core is opened anew after every step. */
static void
each_state_allows_its_steps_alone(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(way); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_admin(w, OFFICER, way[i].method, way[i].parameters, &answer);
        const char *found =
            world_text(&answer, strcmp(answer.error, "InvalidRequest") == 0 ? "field" : "tag");
        if (strcmp(answer.error, way[i].error) != 0 || strcmp(found, way[i].detail) != 0)
            fail_msg(
                "%s: %s %s: %s", way[i].name, answer.error, found, world_text(&answer, "message"));
        expect_state(w, way[i].name, way[i].state);
        world_restart(w);
        expect_state(w, way[i].name, way[i].state);
    }
}

static void
call(struct world *w, const char *method, const char *parameters, struct world_answer *out)
{
    world_call_admin(w, OFFICER, method, parameters, out);
    if (out->error[0] != '\0')
        fail_msg("%s: %s", method, world_text(out, "message"));
}

/* Contacts, the end of an account, and another in its place. */
static const struct {
    const char *name, *method, *parameters, *error, *detail, *shown;
} changes[] = {
    {"no contact list", "UpdateAccount", NONCE, "InvalidRequest", "contact", "\"contact\":null"},
    {"attack 163: more than contacts", "UpdateAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[],\"status\":\"deactivated\"}",
        "InvalidRequest", "", "\"contact\":null"},
    {"contacts", "UpdateAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[\"mailto:a@b.example\",\"mailto:c@d."
        "example\"]}",
        "", "", "\"contact\":\"mailto:a@b.example mailto:c@d.example\""},
    {"none", "UpdateAccount", "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[]}", "", "",
        "\"contact\":null"},
    {"adopt what is registered", "AdoptAccount", ADOPT(ACCOUNT_URL, EC_KEY), "Failed", "exists",
        "\"state\":\"registered\""},
    {"not lost", "RetireAccount", MAIN, "Failed", "exists", "\"state\":\"registered\""},
    {"sign deactivation", "DeactivateAccount", NONCE, "", "", "\"state\":\"registered\""},
    {"sign it again", "DeactivateAccount", NONCE, "", "", "\"state\":\"registered\""},
    {"the CA did it", "NoteDeactivated", MAIN, "", "", "\"state\":\"deactivated\""},
    {"attack 164: sign after that", "DeactivateAccount", NONCE, "Failed", "not-found",
        "\"state\":\"deactivated\""},
    {"attack 164: a new account for its key", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[],\"terms_agreed\":true}", "Failed",
        "exists", "\"state\":\"deactivated\""},
    {"a key change", "StartKeyChange", MAIN, "Failed", "not-found", "\"state\":\"deactivated\""},
    {"given up", "RetireAccount", MAIN, "", "", "\"former_url\":\"" ACCOUNT_URL "\""},
    {"again", "RetireAccount", MAIN, "Failed", "not-found", "\"state\":\"no-key\""},
    {"adopt without a key", "AdoptAccount", ADOPT(ACCOUNT_URL, EC_KEY), "Failed", "not-found",
        "\"state\":\"no-key\""},
    {"a new key", "CreateAccount", MAIN, "", "", "\"state\":\"unregistered\""},
    {"contacts of what the CA does not know", "UpdateAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[]}", "Failed", "not-found",
        "\"state\":\"unregistered\""},
    {"the end of what the CA does not know", "NoteDeactivated", MAIN, "Failed", "not-found",
        "\"state\":\"unregistered\""},
    {"a query of what the CA does not know", "QueryAccount", KEY("present"), "Failed", "not-found",
        "\"state\":\"unregistered\""},
    {"adopt elsewhere", "AdoptAccount", ADOPT("https://ca.example.org/acct/1", EC_KEY), "Failed",
        "mismatch", "\"state\":\"unregistered\""},
    {"adopt a directory's resource", "AdoptAccount", ADOPT(CA "new-order", EC_KEY), "Failed",
        "mismatch", "\"state\":\"unregistered\""},
    {"attack 165: a private key", "AdoptAccount",
        ADOPT(ACCOUNT_URL, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AAAA\",\"d\":\"AAAA\"}"),
        "InvalidRequest", "old_key", "\"state\":\"unregistered\""},
    {"attack 165: a symmetric key", "AdoptAccount",
        ADOPT(ACCOUNT_URL, "{\"kty\":\"oct\",\"k\":\"AAAA\"}"), "InvalidRequest", "old_key",
        "\"state\":\"unregistered\""},
    {"a coordinate too short", "AdoptAccount",
        ADOPT(
            ACCOUNT_URL, "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}"),
        "InvalidRequest", "old_key", "\"state\":\"unregistered\""},
    {"a curve that is not offered", "AdoptAccount",
        ADOPT(
            ACCOUNT_URL, "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" X32 "\",\"y\":\"" X32 "\"}"),
        "InvalidRequest", "old_key", "\"state\":\"unregistered\""},
    {"an empty number", "AdoptAccount",
        ADOPT(ACCOUNT_URL, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"\"}"), "InvalidRequest",
        "old_key", "\"state\":\"unregistered\""},
    {"adopt", "AdoptAccount", ADOPT(ACCOUNT_URL, EC_KEY), "", "", "\"state\":\"attempted\""},
    {"attack 88: newAccount after it", "NewAccount",
        "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[],\"terms_agreed\":true}", "Failed",
        "exists", "\"state\":\"attempted\""},
    {"its former", "CreateAccount", MAIN, "Failed", "exists", "\"former_url\":\"" ACCOUNT_URL "\""},
};

static void
expect_shown(struct world *w, const char *row, const char *part)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OPERATOR, "ListAccounts", "{}", &answer);
    const cJSON *account = aw_json_member(answer.parameters, "accounts")->child;
    while (strcmp(aw_json_member(account, "name")->valuestring, "main") != 0)
        account = account->next;
    AW_CLEANUP(aw_free) char *text = cJSON_PrintUnformatted(account);
    if (strstr(text, part) == NULL)
        fail_msg("%s: %s", row, text);
}

static void
contacts_the_end_and_another_account(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(changes); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_admin(w, OFFICER, changes[i].method, changes[i].parameters, &answer);
        const char *found =
            world_text(&answer, strcmp(answer.error, "InvalidRequest") == 0 ? "field" : "tag");
        if (strcmp(answer.error, changes[i].error) != 0 || strcmp(found, changes[i].detail) != 0)
            fail_msg("%s: %s %s: %s", changes[i].name, answer.error, found,
                world_text(&answer, "message"));
        expect_shown(w, changes[i].name, changes[i].shown);
        world_restart(w);
        expect_shown(w, changes[i].name, changes[i].shown);
    }
}

/* By the account's key, to its URL, and on record. */
static void
what_is_signed_to_the_account(void **state)
{
    static const struct {
        const char *method, *parameters, *payload, *operation;
    } rows[] = {
        {"UpdateAccount",
            "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[\"mailto:a@example.edu\"]}",
            "{\"contact\":[\"mailto:a@example.edu\"]}", "account-update"},
        {"QueryAccount", KEY("present"), "", "account-query"},
        {"DeactivateAccount", NONCE, "{\"status\":\"deactivated\"}", "account-deactivate"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        AW_CLEANUP(world_record_free) struct world_record last = {0};
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        call(w, rows[i].method, rows[i].parameters, &answer);
        reply.url = strdup(world_text(&answer, "url"));
        reply.jws = cJSON_PrintUnformatted(aw_json_member(answer.parameters, "jws"));
        assert_string_equal(reply.url, ACCOUNT_URL);
        world_last(w, &last);
        world_check_jws(w, rows[i].method, &reply, "n-1", rows[i].payload, last.entry);
        assert_string_equal(last.entry->operation, rows[i].operation);
        assert_string_equal(last.entry->verdict, "permit");
    }
}

/* A key that was looked up before a reload is used after it only if it is the account's still. */
static void
a_reload_looks_another_key_up(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer before = {0}, after = {0};
    token_key *key = NULL;

    call(w, "QueryAccount", KEY("present"), &before);
    key = accounts_find(w->core->accounts, "main")->key;
    assert_non_null(key);
    world_reload(w);
    assert_ptr_equal(accounts_find(w->core->accounts, "main")->key, key);
    accounts_find(w->core->accounts, "main")->thumbprint[0] ^= 1;
    world_reload(w);
    assert_null(accounts_find(w->core->accounts, "main")->key);
    call(w, "QueryAccount", KEY("present"), &after);
}

/* Nothing is signed or changed for an account that the CA does not have, or no more, or whose CA's
 * URLs nobody confirmed; all else would be in order. */
static void
all_refuse(struct world *w, const char *row)
{
    static const char *const calls[][2] = {
        {"UpdateAccount", "{\"account\":\"main\",\"nonce\":\"n-1\",\"contact\":[]}"},
        {"DeactivateAccount", NONCE},
        {"NoteDeactivated", MAIN},
        {"StartKeyChange", MAIN},
        {"SignKeyChange", NONCE},
        {"LookUpAccount", KEY("present")},
        {"QueryAccount", KEY("present")},
        {"ConfirmKeyChange", URL(ACCOUNT_URL)},
    };

    for (size_t i = 0; i < AW_COUNT(calls); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_admin(w, OFFICER, calls[i][0], calls[i][1], &answer);
        if (strcmp(world_text(&answer, "tag"), "not-found") != 0 ||
            strstr(world_text(&answer, "message"), "is not registered") == NULL)
            fail_msg(
                "%s: %s: %s %s", row, calls[i][0], answer.error, world_text(&answer, "message"));
        assert_null(aw_json_member(answer.parameters, "jws"));
        expect_state(w, calls[i][0], "attempted");
    }
}

static void
only_for_registered_accounts_of_pinned_cas(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer made = {0}, attempted = {0}, signs = {0};
    struct account *account = accounts_find(w->core->accounts, "main");
    int64_t pinned = account->ca->pinned_at;

    call(w, "StartKeyChange", MAIN, &made);
    call(w, "SignKeyChange", NONCE, &attempted);
    account->state = ACCOUNT_DEACTIVATED;
    all_refuse(w, "deactivated");
    account->state = ACCOUNT_ATTEMPTED;
    all_refuse(w, "never confirmed");
    account->state = ACCOUNT_REGISTERED;
    account->ca->pinned_at = 0;
    all_refuse(w, "of a CA that is not pinned");
    account->ca->pinned_at = pinned;
    call(w, "QueryAccount", KEY("present"), &signs);
}

/* The token is another one: nothing of a request is signed by its keys in place of the lost one. */
static void
a_lost_key_is_given_up_and_not_used(void **state)
{
    static const struct world_row row = {"order", "daemon", "NewOrder",
        "{\"nonce\":\"n-1\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}",
        SIGN_OUTCOME_NOT_READY, "account"};
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer lost = {0}, made = {0};
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    assert_ok(token_key_find(w->core->token, "acmeward-account:main", &key));
    assert_ok(token_key_destroy(key));
    call(w, "RetireAccount", MAIN, &lost);
    world_expect(w, &row);
    call(w, "CreateAccount", MAIN, &made);
    world_expect(w, &row);
    token_key_free(&key);
    assert_ok(token_key_find(w->core->token, "acmeward-account:main:1", &key));
    expect_shown(w, "made", token_key_thumbprint(key));
}

/* Requests of applications go by the present key, before and after. */
static void
applications_follow_the_present_key(void **state)
{
    static const char order[] =
        "{\"nonce\":\"n-1\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}";
    static const struct world_row row = {
        "order", "daemon", "NewOrder", order, SIGN_OUTCOME_DONE, NULL};
    static const char *const methods[][2] = {{"StartKeyChange", MAIN}, {"SignKeyChange", NONCE},
        {"ConfirmKeyChange", URL(ACCOUNT_URL)}, {"DestroyOldKey", MAIN}};
    struct world *w = *state;

    world_expect(w, &row);
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
        AW_CLEANUP(world_record_free) struct world_record last = {0};
        struct peer peer = world_peer("daemon", NULL);

        call(w, methods[i][0], methods[i][1], &answer);
        world_expect(w, &row);
        assert_int_equal(world_ask(w, &peer, "NewOrder", order, &reply), SIGN_OUTCOME_DONE);
        world_last(w, &last);
        world_check_jws(w, methods[i][0], &reply, "n-1", NULL, last.entry);
    }
}

static void
an_account_without_registration_has_no_key_change(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, "StartKeyChange", "{\"account\":\"raw\"}", &answer);
    assert_string_equal(world_text(&answer, "tag"), "not-found");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_state_allows_its_steps_alone),
        TEST(applications_follow_the_present_key),
        TEST(contacts_the_end_and_another_account),
        TEST(what_is_signed_to_the_account),
        TEST(a_reload_looks_another_key_up),
        TEST(only_for_registered_accounts_of_pinned_cas),
        TEST(a_lost_key_is_given_up_and_not_used),
        TEST(an_account_without_registration_has_no_key_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
