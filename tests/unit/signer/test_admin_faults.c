/* Administrators' changes that fail or are cut off: nothing is half changed, nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "signer_world.h"

#define PIN_OF(name)                                                           \
    "{\"ca\":\"ca1\",\"replace\":true,\"pin\":{\"newNonce\":\"" CA             \
    "new-nonce\",\"newAccount\":\"" CA "new-account\",\"newOrder\":\"" CA name \
    "\",\"revokeCert\":\"" CA "revoke-cert\",\"keyChange\":\"" CA              \
    "key-change\",\"externalAccountRequired\":false}}"
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define IMPORT \
    "{\"ca\":\"ca1\",\"kid\":\"k\",\"algorithm\":\"HS256\",\"key\":\"" KEY "\",\"force\":false}"
#define DESTROY "{\"ca\":\"ca1\",\"kid\":\"k\"}"
#define ACCOUNT "{\"account\":\"main\"}"
#define NEW_ACCOUNT \
    "{\"account\":\"main\",\"nonce\":\"n\",\"contact\":[],\"terms_agreed\":true,\"kid\":null}"
#define NONCE "{\"account\":\"main\",\"nonce\":\"n-1\"}"
#define URL "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "\"}"
#define REGISTER "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "\"}"

static void
expect(
    struct world *w, const char *row, const char *method, const char *parameters, const char *error)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    if (strcmp(answer.error, error) != 0)
        fail_msg("%s: %s %s %s", row, answer.error, world_text(&answer, "tag"),
            world_text(&answer, "message"));
}

/* What an administrator sees of the accounts, CAs and EAB keys. */
static char *
see(struct world *w)
{
    static const char *const methods[] = {"ListAccounts", "ListCas", "ListEabs"};
    char *text = strdup("");

    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        AW_CLEANUP(aw_free) char *before = text, *part = NULL;

        world_call_admin(w, OFFICER, methods[i], "{}", &answer);
        part = cJSON_PrintUnformatted(answer.parameters);
        assert_ok(aw_format(&text, "%s%s\n", before, part));
    }
    return text;
}

/* Nothing can be written below `folder`: not even root writes into what is a file. */
static void
break_folder(struct world *w, const char *folder, bool broken)
{
    char path[256], aside[272];

    world_path(w, folder, path);
    snprintf(aside, sizeof(aside), "%s.aside", path);
    if (broken) {
        rename(path, aside);
        world_write(w, folder, "in the way");
        return;
    }
    assert_int_equal(unlink(path), 0);
    rename(aside, path);
}

static const struct step {
    const char *name, *folder, *method, *parameters;
} steps[] = {
    {"pin", "state/cas", "PinCa", PIN_OF("new-order")},
    {"pin, replaced", "state/cas", "PinCa", PIN_OF("new-order-2")},
    {"import", "state/cas", "ImportEab", IMPORT},
    {"create", "state/accounts", "CreateAccount", ACCOUNT},
    {"newAccount", "state/accounts", "NewAccount", NEW_ACCOUNT},
    {"forget", "state/accounts", "ForgetAttempt", ACCOUNT},
    {"register", "state/accounts", "RegisterAccount", REGISTER},
    {"next key", "state/accounts", "StartKeyChange", ACCOUNT},
    {"keyChange", "state/accounts", "SignKeyChange", NONCE},
    {"keys change places", "state/accounts", "ConfirmKeyChange", URL},
    {"old key", "state/accounts", "DestroyOldKey", ACCOUNT},
    {"next key again", "state/accounts", "StartKeyChange", ACCOUNT},
    {"not after all", "state/accounts", "CancelKeyChange", ACCOUNT},
};

/* Each change is first tried in vain, which changes nothing that anybody can see, then done. */
static void
what_cannot_be_written_is_not_changed(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(steps); i++) {
        AW_CLEANUP(aw_free) char *before = see(w), *failed = NULL, *done = NULL, *restarted = NULL;

        break_folder(w, steps[i].folder, true);
        expect(w, steps[i].name, steps[i].method, steps[i].parameters, "Failed");
        failed = see(w);
        if (strcmp(before, failed) != 0)
            fail_msg("%s: was %s, is %s", steps[i].name, before, failed);
        break_folder(w, steps[i].folder, false);
        expect(w, steps[i].name, steps[i].method, steps[i].parameters, "");
        done = see(w);
        assert_string_not_equal(before, done);
        world_restart(w);
        expect(w, "the key is looked up", "GetStatus", "{}", "");
        restarted = see(w);
        if (strcmp(done, restarted) != 0)
            fail_msg("%s: was %s, is %s after a restart", steps[i].name, done, restarted);
    }
}

/* The key goes first: what stays is an entry that says so. */
static void
a_destroyed_key_whose_entry_stays(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *left = NULL, *gone = NULL;

    expect(w, "import", "ImportEab", IMPORT, "");
    break_folder(w, "state/cas", true);
    expect(w, "destroy", "DestroyEab", DESTROY, "Failed");
    left = see(w);
    assert_non_null(strstr(left, "\"present\":false"));
    break_folder(w, "state/cas", false);
    expect(w, "destroy again", "DestroyEab", DESTROY, "");
    gone = see(w);
    assert_null(strstr(gone, "\"kid\""));
}

/* The token has a key of that name, the state folder knows nothing of it: a restored backup. */
static void
a_key_that_no_entry_names(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *shown = NULL;
    char path[256];

    expect(w, "import", "ImportEab", IMPORT, "");
    world_path(w, "state/cas/ca1.json", path);
    assert_int_equal(unlink(path), 0);
    world_restart(w);
    expect(w, "not listed", "DestroyEab", DESTROY, "Failed");
    expect(w, "import", "ImportEab", IMPORT, "Failed");
    shown = see(w);
    assert_non_null(strstr(shown, "\"kid\":\"k\",\"algorithm\":\"HS256\",\"present\":true"));
    expect(w, "destroy", "DestroyEab", DESTROY, "");
    expect(w, "import", "ImportEab", IMPORT, "");
}

/* An import that the token refuses leaves no entry. */
static void
a_refused_import_leaves_nothing(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *before = see(w), *after = NULL;

    expect(w, "short", "ImportEab",
        "{\"ca\":\"ca1\",\"kid\":\"k\",\"algorithm\":\"HS512\",\"key\":\"" KEY "\"}", "Failed");
    after = see(w);
    assert_string_equal(before, after);
}

/* What an administrator was told is on disk: the process is killed right after the reply. */

static void
run_and_die(struct world *w, const struct step *step)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_open(w);
        world_call_admin(w, OFFICER, step->method, step->parameters, &answer);
        if (answer.error[0] != '\0')
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("%s: failed", step->name);
}

static void
a_reply_is_never_lost(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *before = see(w), *after = NULL;

    for (size_t i = 0; i < AW_COUNT(steps); i++) {
        core_close(&w->core);
        run_and_die(w, &steps[i]);
        world_open(w);
        after = see(w);
        if (strcmp(before, after) == 0)
            fail_msg("%s: lost", steps[i].name);
        free(before);
        before = AW_MOVE(after);
    }
}

/* No record, no change: what counts is on record before. */
static void
nothing_is_changed_unrecorded(void **state)
{
    static const struct step unrecorded[] = {
        {"pin", NULL, "PinCa", PIN_OF("new-order-3")},
        {"import", NULL, "ImportEab",
            "{\"ca\":\"ca1\",\"kid\":\"k2\",\"algorithm\":\"HS256\",\"key\":\"" KEY "\"}"},
        {"destroy", NULL, "DestroyEab", DESTROY},
        {"newAccount", NULL, "NewAccount", NEW_ACCOUNT},
        {"register", NULL, "RegisterAccount", REGISTER},
        {"wrapping key", NULL, "CreateWrappingKey", "{}"},
        {"unfreeze", NULL, "Unfreeze", "{}"},
    };
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *before = NULL, *after = NULL;
    char path[256];

    expect(w, "pin", "PinCa", PIN_OF("new-order"), "");
    expect(w, "import", "ImportEab", IMPORT, "");
    expect(w, "create", "CreateAccount", ACCOUNT, "");
    expect(w, "freeze", "Freeze", "{\"reason\":\"drill\"}", "");
    before = see(w);
    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < AW_COUNT(unrecorded); i++)
        expect(w, unrecorded[i].name, unrecorded[i].method, unrecorded[i].parameters, "Failed");
    after = see(w);
    assert_string_equal(before, after);
    assert_true(core_frozen(w->core, NULL, NULL));
}

/* Requests while administrators work: for the thread sanitizer, and that nobody waits for ever. */

static atomic_bool going;

static void *
sign_on(void *context)
{
    struct world *w = context;
    struct peer peer = world_peer("daemon", NULL);
    long permits = 0;

    while (atomic_load(&going) || permits == 0) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        if (world_ask(w, &peer, "NewOrder",
                "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]"
                "}",
                &reply) == SIGN_OUTCOME_DONE)
            permits++;
        else if (permits == 0)
            return NULL; /* the quota is used up */
    }
    return NULL;
}

static void *
watch(void *context)
{
    struct world *w = context;

    while (atomic_load(&going)) {
        AW_CLEANUP(aw_free) char *text = see(w);
        assert_non_null(strstr(text, "main"));
    }
    return NULL;
}

static void
changes_while_requests_are_signed(void **state)
{
    struct world whole, *w = &whole;
    pthread_t threads[4];

    (void)state;
    world_make(w);
    atomic_store(&going, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_on, w), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, watch, w), 0);
    for (int i = 0; i < 8; i++) {
        expect(w, "pin", "PinCa", PIN_OF("new-order"), "");
        expect(w, "register", "RegisterAccount", REGISTER, "");
        expect(w, "import", "ImportEab", IMPORT, "");
        expect(w, "destroy", "DestroyEab", DESTROY, "");
        expect(w, "reload", "Reload", "{}", "");
        expect(w, "freeze", "Freeze", "{\"reason\":\"drill\"}", "");
        expect(w, "unfreeze", "Unfreeze", "{}", "");
    }
    atomic_store(&going, false);
    for (size_t i = 0; i < AW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&w->core->permits) > 0);
    world_remove(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_bare, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_written_is_not_changed),
        TEST(a_destroyed_key_whose_entry_stays),
        TEST(a_key_that_no_entry_names),
        TEST(a_refused_import_leaves_nothing),
        TEST(a_reply_is_never_lost),
        TEST(nothing_is_changed_unrecorded),
        cmocka_unit_test(changes_while_requests_are_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
