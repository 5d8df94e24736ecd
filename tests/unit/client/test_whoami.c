/* The answer to WhoAmI, and what is said to users whom it does not help. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <grp.h>
#include <unistd.h>

#include "client/whoami.h"
#include "common/io.h"
#include "scripted_signer.h"

#define APPLICATION(name, state, directory)                                                \
    "{\"name\":\"" name "\",\"owner\":\"team@example.edu\",\"account\":\"ov\",\"names\":{" \
    "\"exact\":[\"a.example.edu\"],\"subdomains_of\":[],\"wildcards_of\":[],\"deny\":[],"  \
    "\"addresses\":[]},\"operations\":[\"order\"],\"keys\":[\"ec-p256\",\"rsa-2048\"],"    \
    "\"profiles\":[],\"limits\":{\"names_per_certificate\":20,\"orders_per_day\":50,"      \
    "\"orders_today\":3,\"revocations_per_day\":9,\"revocations_today\":2},\"expires\":"   \
    "1900000000,\"state\":\"" state "\",\"account_url\":null,"                             \
    "\"thumbprint\":\"thumb\",\"directory\":" directory "}"
#define DIRECTORY \
    "{\"ca\":\"loop\",\"directory\":\"https://ca/dir\",\"newNonce\":\"https://ca/nonce\"}"
#define READY(name) APPLICATION(name, "ready", DIRECTORY)
#define REPLY(applications) REPLY_OF("false", applications)
#define REPLY_OF(frozen, applications) \
    "{\"uid\":1000,\"user\":\"myapp1\",\"frozen\":" frozen ",\"applications\":[" applications "]}"

static aw_result
read_text(const char *text, struct whoami *out)
{
    cJSON *reply = NULL;

    assert_true(aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &reply)));
    return whoami_read(reply, out);
}

static void
test_read(void **state)
{
    struct whoami w = {0};
    char *text = NULL;

    (void)state;
    assert_true(aw_ok(read_text(REPLY(READY("one")), &w)));
    assert_int_equal(w.uid, 1000);
    assert_string_equal(w.user, "myapp1");
    assert_false(w.frozen);
    assert_int_equal(w.count, 1);
    const struct whoami_application *a = &w.applications[0];
    assert_string_equal(a->name, "one");
    assert_string_equal(a->owner, "team@example.edu");
    assert_string_equal(a->new_nonce, "https://ca/nonce");
    assert_string_equal(a->directory, "https://ca/dir");
    assert_null(a->account_url);
    assert_int_equal(a->orders_today, 3);
    assert_int_equal(a->revocations_per_day, 9);
    assert_int_equal(a->revocations_today, 2);
    assert_int_equal(a->expires, 1900000000);
    assert_int_equal(a->warn_until, 0);
    assert_true(whoami_has(a, "keys", "rsa-2048"));
    assert_false(whoami_has(a, "keys", "rsa-4096"));
    assert_false(whoami_has(a, "nothing", "rsa-2048"));
    assert_true(aw_ok(whoami_list_text(a->json, "keys", &text)));
    assert_string_equal(text, "ec-p256, rsa-2048");
    free(text);
    assert_true(aw_ok(whoami_list_text(a->json, "profiles", &text)));
    assert_string_equal(text, "");
    free(text);
    whoami_free(&w);
}

/* What is written is what was read, numbers to the digit. */
static void
test_write(void **state)
{
    static const char reply[] = REPLY(READY("one") "," READY("two"));
    struct aw_json_writer writer = {0};
    struct whoami w = {0};
    char *text = NULL;

    (void)state;
    assert_true(aw_ok(read_text(reply, &w)));
    whoami_write(&writer, w.reply);
    assert_true(aw_ok(aw_json_writer_finish(&writer, &text)));
    assert_string_equal(text, reply);
    free(text);
    whoami_free(&w);
}

static void
test_bad_answers(void **state)
{
    static const char *const replies[] = {
        "{}",
        "{\"uid\":-1,\"user\":\"a\",\"applications\":[]}",
        "{\"uid\":1,\"user\":7,\"applications\":[]}",
        "{\"uid\":1,\"user\":\"a\",\"applications\":{}}",
        REPLY("{}"),
        REPLY("7"),
        REPLY(APPLICATION("one", "ready", "{}")),
        REPLY(APPLICATION("one", "ready", "\"x\"")),
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(replies); i++) {
        struct whoami w = {0};
        if (aw_ok(read_text(replies[i], &w)))
            fail_msg("row %zu was taken", i);
        assert_non_null(strstr(aw_error_last()->message, "the signer's answer to WhoAmI"));
        assert_null(w.reply);
    }
}

static const struct {
    const char *name;
    const char *reply;
    const char *wanted; /* application */
    enum aw_code found, ready;
    const char *reason; /* part of message or hint of the first failure */
} rows[] = {
    {"the only one", REPLY(READY("one")), NULL, AW_CODE_OK, AW_CODE_OK, NULL},
    {"the named one", REPLY(READY("one") "," READY("two")), "two", AW_CODE_OK, AW_CODE_OK, NULL},
    {"several", REPLY(READY("one") "," READY("two")), NULL, AW_CODE_USAGE, 0, "one, two"},
    {"several, what to do", REPLY(READY("one") "," READY("two")), NULL, AW_CODE_USAGE, 0,
        "--application"},
    {"another's", REPLY(READY("one")), "two", AW_CODE_REFUSED, 0, "refused: user myapp1 is not"},
    {"none", REPLY(""), NULL, AW_CODE_REFUSED, 0, "no policy names user"},
    {"expired", REPLY(APPLICATION("one", "expired", DIRECTORY)), NULL, AW_CODE_OK, AW_CODE_REFUSED,
        "refused: application one is not ready: its policy has expired"},
    {"expired, whom to ask", REPLY(APPLICATION("one", "expired", DIRECTORY)), NULL, AW_CODE_OK,
        AW_CODE_REFUSED, "team@example.edu"},
    {"inert", REPLY(APPLICATION("one", "inert", DIRECTORY)), NULL, AW_CODE_OK, AW_CODE_REFUSED,
        "does not exist"},
    {"no key", REPLY(APPLICATION("one", "account-missing", "null")), NULL, AW_CODE_OK,
        AW_CODE_UNAVAILABLE, "account create"},
    {"not registered", REPLY(APPLICATION("one", "account-unregistered", DIRECTORY)), NULL,
        AW_CODE_OK, AW_CODE_UNAVAILABLE, "account register"},
    {"not pinned", REPLY(APPLICATION("one", "ca-unpinned", "null")), NULL, AW_CODE_OK,
        AW_CODE_UNAVAILABLE, "ca pin"},
    {"a state that we do not know", REPLY(APPLICATION("one", "odd", DIRECTORY)), NULL, AW_CODE_OK,
        AW_CODE_UNAVAILABLE, "odd"},
    {"ready without a CA", REPLY(APPLICATION("one", "ready", "null")), NULL, AW_CODE_OK,
        AW_CODE_UNAVAILABLE, "not ready"},
    {"frozen", REPLY_OF("true", READY("one")), NULL, AW_CODE_OK, AW_CODE_FROZEN, "stopped"},
};

static void
test_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct whoami w = {0};
        const struct whoami_application *a = NULL;

        assert_true(aw_ok(read_text(rows[i].reply, &w)));
        aw_result r = whoami_find(&w, rows[i].wanted, &a);
        if (r.code != rows[i].found)
            fail_msg("%s: found: %s", rows[i].name, aw_code_tag(r.code));
        if (aw_ok(r))
            r = whoami_ready(&w, a);
        if (rows[i].found == AW_CODE_OK && r.code != rows[i].ready)
            fail_msg("%s: ready: %s", rows[i].name, aw_code_tag(r.code));
        if (rows[i].reason != NULL && strstr(aw_error_last()->message, rows[i].reason) == NULL &&
            strstr(aw_error_last()->hint, rows[i].reason) == NULL)
            fail_msg("%s: %s; %s", rows[i].name, aw_error_last()->message, aw_error_last()->hint);
        if (rows[i].wanted != NULL && aw_ok(r))
            assert_string_equal(a->name, rows[i].wanted);
        whoami_free(&w);
    }
}

/* The signer closes at accept, each time: the user learns who they are and what to ask for. */
static void
test_turned_away(void **state)
{
    static const struct signer_change changes[] = {
        {"WhoAmI", NULL, NULL, true}, {"WhoAmI", NULL, NULL, true}};
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer signer;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    struct whoami w = {0};
    const char *groups = "groups (";
    gid_t many[40] = {0};
    char uid[32];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(many); i++)
        many[i] = 60000 + (gid_t)i; /* nobody's: they have no names */
    if (setgroups(AW_COUNT(many), many) == 0)
        groups = ", ?, ?, ...)";
    scripted_signer_start(&signer, "https://ca");
    scripted_signer_load(&signer, changes, AW_COUNT(changes));
    assert_true(aw_ok(signer_link_open(
        &(struct signer_place){.at = signer.path, .server_uid = geteuid()}, &link)));
    assert_int_equal(whoami_ask(link, &w).code, AW_CODE_UNAVAILABLE);
    snprintf(uid, sizeof(uid), "(uid %u)", (unsigned)geteuid());
    assert_non_null(strstr(aw_error_last()->message, "no policy names user"));
    assert_non_null(strstr(aw_error_last()->message, uid));
    assert_non_null(strstr(aw_error_last()->message, groups));
    assert_non_null(strstr(aw_error_last()->hint, "under principals"));
    signer_link_close(&link);
}

/* An error of the signer is not taken for that. */
static void
test_unavailable(void **state)
{
    static const struct signer_change changes[] = {
        {"WhoAmI", "Unavailable", "{\"tag\":\"busy\",\"message\":\"busy\"}", false}};
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer signer;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    struct whoami w = {0};

    (void)state;
    scripted_signer_start(&signer, "https://ca");
    scripted_signer_load(&signer, changes, AW_COUNT(changes));
    assert_true(aw_ok(signer_link_open(
        &(struct signer_place){.at = signer.path, .server_uid = geteuid()}, &link)));
    assert_int_equal(whoami_ask(link, &w).code, AW_CODE_UNAVAILABLE);
    assert_null(strstr(aw_error_last()->message, "no policy names"));
    signer_link_close(&link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_turned_away),
        cmocka_unit_test(test_unavailable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
