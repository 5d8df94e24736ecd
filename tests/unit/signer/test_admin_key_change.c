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
        TEST(an_account_without_registration_has_no_key_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
