/* What goes wrong on the way to a signature: log, token, freeze, reload in the middle, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "signer_world.h"

#define NEW_ORDER \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}"

/* Seams: what happens right after the decision, and what the token answers. */

static void (*after_decision)(void *context);
static void (*while_signing)(void *context);
static void *after_context;
static enum aw_code sign_fails, find_fails;

void __real_policy_decide(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const struct policy_request *request, int64_t now, struct policy_verdict *out);
void __wrap_policy_decide(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const struct policy_request *request, int64_t now, struct policy_verdict *out);
aw_result __real_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __real_token_key_find(token *t, const char *label, token_key **out);
aw_result __wrap_token_key_find(token *t, const char *label, token_key **out);

void
__wrap_policy_decide(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const struct policy_request *request, int64_t now, struct policy_verdict *out)
{
    void (*hook)(void *context) = after_decision;

    __real_policy_decide(snapshot, subject, request, now, out);
    if (hook == NULL)
        return;
    after_decision = NULL;
    hook(after_context);
}

aw_result
__wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    if (sign_fails != AW_CODE_OK)
        return aw_fail(sign_fails, "the token failed");
    if (while_signing != NULL)
        while_signing(after_context);
    return __real_token_key_sign(key, input, size, signature, signature_size);
}

aw_result
__wrap_token_key_find(token *t, const char *label, token_key **out)
{
    if (find_fails != AW_CODE_OK)
        return aw_fail(find_fails, "the token failed");
    return __real_token_key_find(t, label, out);
}

static int
setup(void **state)
{
    signal(SIGXFSZ, SIG_IGN);
    after_decision = while_signing = NULL;
    sign_fails = find_fails = AW_CODE_OK;
    return world_setup(state);
}

static void
expect(struct world *w, const char *row, int outcome, const char *rule)
{
    world_expect(w, &(struct world_row){row, "daemon", "NewOrder", NEW_ORDER, outcome, rule});
}

/* No record, no signature. */

static void
no_signature_when_the_log_was_removed(void **state)
{
    struct world *w = *state;
    char path[256];

    expect(w, "before", SIGN_OUTCOME_DONE, NULL);
    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(unlink(path), 0);
    expect(w, "removed", WORLD_UNAVAILABLE, NULL);
    expect(w, "for good", WORLD_UNAVAILABLE, NULL);
    assert_false(aw_ok(core_housekeep(w->core)));
}

/* Attack 104. */
static void
attack_104_no_signature_when_the_disk_is_full(void **state)
{
    struct world *w = *state;
    struct rlimit limit, full;
    struct stat st;
    char path[256];

    expect(w, "before", SIGN_OUTCOME_DONE, NULL);
    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    full = (struct rlimit){(rlim_t)st.st_size + 100, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    expect(w, "full", WORLD_UNAVAILABLE, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect(w, "there is room again, but a record is missing", WORLD_UNAVAILABLE, NULL);
}

/* The refusal itself must be on record too. */
static void
no_refusal_unrecorded(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("root", NULL);
    char path[256];

    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(world_ask(w, &peer, "NewOrder", NEW_ORDER, &reply), WORLD_UNAVAILABLE);
}

/* The token. */

static void
a_failing_token_is_no_refusal(void **state)
{
    static const struct {
        const char *name;
        enum aw_code code;
        bool gone;
    } rows[] = {
        {"failed", AW_CODE_TOKEN, false},
        {"all sessions busy", AW_CODE_BUSY, false},
        {"key missing", AW_CODE_TOKEN_KEY_MISSING, false},
        {"gone", AW_CODE_TOKEN_GONE, true},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_record_free) struct world_record last = {0};
        int64_t before = world_position(w);

        sign_fails = rows[i].code;
        expect(w, rows[i].name, WORLD_UNAVAILABLE, NULL);
        assert_int_equal(aw_error_last()->code, rows[i].code);
        world_last(w, &last);
        assert_int_equal(world_position(w), before + 2);
        assert_int_equal(last.entry->kind, AUDIT_OUTCOME);
        assert_int_equal(last.entry->order, before + 1);
        assert_string_equal(last.entry->operation, "new-order");
        assert_null(last.entry->verdict);
        assert_int_equal(atomic_load(&w->core->failures), i + 1);
        assert_int_equal(atomic_load(&w->core->token_gone), rows[i].gone);
    }
    assert_int_equal(atomic_load(&w->core->refusals), 0);
    sign_fails = AW_CODE_OK;
    expect(w, "well again", SIGN_OUTCOME_DONE, NULL);
}

/* Before a record is made: the first look for the account's key. */
static void
a_token_gone_is_noticed_at_the_first_look(void **state)
{
    struct world *w = *state;
    int64_t before = world_position(w);

    find_fails = AW_CODE_TOKEN_GONE;
    expect(w, "gone", WORLD_UNAVAILABLE, NULL);
    assert_int_equal(world_position(w), before);
    assert_true(atomic_load(&w->core->token_gone));
    find_fails = AW_CODE_OK;
    expect(w, "found", SIGN_OUTCOME_DONE, NULL);
}

/* Not a seam: the key is destroyed in the token by somebody else. */
static void
a_key_destroyed_behind_our_back(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    expect(w, "before", SIGN_OUTCOME_DONE, NULL);
    CK_SESSION_HANDLE session = softhsm_session();
    CK_OBJECT_HANDLE key = softhsm_find(session, CKO_PRIVATE_KEY, "acmeward-account:main");
    assert_int_not_equal(key, CK_INVALID_HANDLE);
    assert_int_equal(softhsm_functions()->C_DestroyObject(session, key), CKR_OK);
    expect(w, "destroyed", WORLD_UNAVAILABLE, NULL);
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_OUTCOME);
}

/* Another key under the account's label is not used. */
static void
another_key_of_that_label(void **state)
{
    struct world *w = *state;
    struct token_key_report report;
    token_key *key = NULL;

    assert_ok(token_key_find(w->core->token, "acmeward-account:main", &key));
    assert_ok(token_key_destroy(key));
    token_key_free(&key);
    assert_ok(token_key_generate(
        w->core->token, "acmeward-account:main", TOKEN_KEY_EC_P256, &report, &key));
    token_key_free(&key);
    expect(w, "another key", WORLD_UNAVAILABLE, NULL);
    assert_int_equal(aw_error_last()->code, AW_CODE_MISMATCH);
}

/* Freeze. */

/* As an officer does, with its record. */
static void
unfreeze(struct world *w)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, "Unfreeze", "{}", &answer);
    assert_string_equal(answer.error, "");
}

static void
a_freeze_stops_signing_across_restarts(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct peer peer = world_peer("daemon", NULL);

    assert_ok(core_freeze(w->core, "drill"));
    expect(w, "frozen", SIGN_OUTCOME_FROZEN, "frozen");
    world_last(w, &last);
    assert_string_equal(last.entry->verdict, "refuse");
    assert_string_equal(last.entry->rule, "frozen");
    world_restart(w);
    assert_int_equal(world_ask(w, &peer, "NewOrder", NEW_ORDER, &reply), SIGN_OUTCOME_FROZEN);
    assert_true(reply.since > 0);
    unfreeze(w);
    expect(w, "unfrozen", SIGN_OUTCOME_DONE, NULL);
    world_restart(w);
    expect(w, "stays so", SIGN_OUTCOME_DONE, NULL);
}

/* A freeze that can't be written down holds all the same. */
static void
a_freeze_holds_without_a_disk(void **state)
{
    struct world *w = *state;
    char path[256];

    world_path(w, "state/frozen.json", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(aw_ok(core_freeze(w->core, "disk")));
    expect(w, "frozen", SIGN_OUTCOME_FROZEN, "frozen");
    assert_int_equal(rmdir(path), 0);
}

/* A file of a freeze that does not say why is a freeze. */
static void
a_torn_freeze_is_a_freeze(void **state)
{
    struct world *w = *state;

    world_write(w, "state/frozen.json", "{\"since\":17");
    world_restart(w);
    expect(w, "torn", SIGN_OUTCOME_FROZEN, "frozen");
    unfreeze(w);
    expect(w, "lifted", SIGN_OUTCOME_DONE, NULL);
}

static void *
freeze_thread(void *context)
{
    struct world *w = context;

    assert_ok(core_freeze(w->core, "meanwhile"));
    return NULL;
}

/* As it comes: by another thread, which holds none of the request's locks. */
static void
freeze_meanwhile(void *context)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, freeze_thread, context), 0);
    pthread_join(thread, NULL);
}

static void
a_freeze_in_the_middle_of_a_request(void **state)
{
    struct world *w = *state;

    after_decision = freeze_meanwhile;
    after_context = w;
    expect(w, "meanwhile", SIGN_OUTCOME_FROZEN, "frozen");
}

/* The token may take seconds: what it signs after the freeze stays here, and that is on record. */
static void
a_freeze_while_the_token_signs(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    int64_t before = world_position(w);

    while_signing = freeze_meanwhile;
    after_context = w;
    expect(w, "in the token", SIGN_OUTCOME_FROZEN, "frozen");
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_OUTCOME);
    assert_int_equal(last.entry->order, before + 1);
    assert_non_null(strstr(last.entry->message, "withheld"));
}

/* Reload. */

static void
take_away(void *context)
{
    struct world *w = context;

    world_write(w, "policy.d/app-a.yaml",
        "application: app-a\nowner: x\naccount: main\nprincipals: [{user: daemon}]\n"
        "names: {exact: [other.example.edu]}\n");
    world_reload(w);
}

/* Attack 93: the request ends by the policy that it began with, and the record says which. */
static void
attack_93_a_reload_in_the_middle(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    AW_CLEANUP(policy_release) policy_snapshot *before = core_snapshot(w->core);

    after_decision = take_away;
    after_context = w;
    expect(w, "in the middle", SIGN_OUTCOME_DONE, NULL);
    world_last(w, &last);
    assert_string_equal(last.entry->policy, policy_digest(before));
    AW_CLEANUP(policy_release) policy_snapshot *after = core_snapshot(w->core);
    assert_string_not_equal(policy_digest(after), policy_digest(before));
    expect(w, "the next one", SIGN_OUTCOME_POLICY_REFUSED, "names.none");
}

static void
forget_account(void *context)
{
    struct world *w = context;

    world_write(w, "state/accounts/main.json", "{\"ca\":\"ca1\",\"state\":\"no-key\"}");
    world_reload(w);
}

/* An account that is no longer registered signs nothing, whatever was decided. */
static void
an_account_lost_in_the_middle(void **state)
{
    struct world *w = *state;

    after_decision = forget_account;
    after_context = w;
    expect(w, "in the middle", SIGN_OUTCOME_NOT_READY, "account");
}

/* Attack 94, and faults that a reload must find. */
static void
a_bad_reload_changes_nothing(void **state)
{
    static const struct {
        const char *name, *file, *text, *fault;
    } rows[] = {
        {"a torn policy", "policy.d/app-b.yaml", "application: [", "app-b.yaml"},
        {"an unknown account", "policy.d/app-b.yaml",
            "application: app-b\nowner: x\naccount: none\nprincipals: [{user: bin}]\n"
            "names: {exact: [b.example.edu]}\n",
            "account"},
        {"a torn state file", "state/accounts/twin.json", "{", "twin.json"},
        {"a pin without its URLs", "state/cas/ca1.json",
            "{\"directory\":\"" CA "directory\",\"pinned_at\":5,\"pin\":{},\"eabs\":[]}",
            "not whole"},
        {"a key without its digest", "state/accounts/twin.json",
            "{\"ca\":\"ca1\",\"state\":\"unregistered\",\"thumbprint\":\"x\"}", "public key"},
        {"another CA's account", "state/accounts/twin.json",
            "{\"ca\":\"ca2\",\"state\":\"no-key\"}", "ca2"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};
        AW_CLEANUP(world_record_free) struct world_record last = {0};
        AW_CLEANUP(aw_free) char *old = NULL;
        char path[256];
        size_t size;

        world_path(w, rows[i].file, path);
        assert_ok(aw_file_read(path, 65536, &old, &size));
        world_write(w, rows[i].file, rows[i].text);
        if (aw_ok(core_reload(w->core, NULL, &faults, &warnings)))
            fail_msg("%s: reloaded", rows[i].name);
        if (strstr(aw_error_last()->message, rows[i].fault) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        world_last(w, &last);
        assert_int_equal(last.entry->kind, AUDIT_RELOAD);
        assert_string_equal(last.entry->verdict, "refuse");
        expect(w, rows[i].name, SIGN_OUTCOME_DONE, NULL);
        world_write(w, rows[i].file, old);
    }
    world_reload(w);
}

static void
what_is_taken_at_the_start_does_not_change(void **state)
{
    static const struct {
        const char *name, *from, *to;
    } rows[] = {
        {"token.uri", "token=test", "token=tess"},
        {"sessions", "sessions: 4", "sessions: 5"},
        {"paths.state", "/state\n", "/stats\n"},
        {"paths.admin_socket", "admin.sock", "admix.sock"},
        {"directory", "https://ca.example.org/dir", "https://ca.example.org:443/d"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};
        AW_CLEANUP(aw_free) char *old = NULL, *new = NULL;
        size_t size;

        assert_ok(aw_file_read(w->config, 65536, &old, &size));
        const char *at = strstr(old, rows[i].from);
        assert_non_null(at);
        assert_ok(aw_format(
            &new, "%.*s%s%s", (int)(at - old), old, rows[i].to, at + strlen(rows[i].from)));
        world_write(w, "signer.yaml", new);
        if (aw_ok(core_reload(w->core, NULL, &faults, &warnings)) || faults.total == 0 ||
            strstr(faults.items[0].message, rows[i].name) == NULL)
            fail_msg("%s: %s", rows[i].name, faults.total ? faults.items[0].message : "no fault");
        world_write(w, "signer.yaml", old);
    }
    expect(w, "after all", SIGN_OUTCOME_DONE, NULL);
}

/* Whoever else can write the policies' folder could give itself names. */
static void
loose_modes_stop_a_reload(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};

    assert_int_equal(chmod(w->config, 0666), 0);
    assert_fails(core_reload(w->core, NULL, &faults, &warnings), AW_CODE_PERMISSION, "signer.yaml");
}

/* Threads. */

enum { THREADS = 6, ROUNDS = 15 };

struct runner {
    struct world *w;
    const char *user, *parameters;
    int64_t tickets[ROUNDS];
    int permits, refusals, others;
};

static void *
run(void *context)
{
    struct runner *runner = context;
    struct peer peer = world_peer(runner->user, NULL);

    for (int i = 0; i < ROUNDS; i++) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
        int outcome = world_ask(runner->w, &peer, "NewOrder", runner->parameters, &reply);

        if (outcome == SIGN_OUTCOME_DONE)
            runner->tickets[runner->permits++] = reply.order;
        else if (outcome == SIGN_OUTCOME_LEDGER_REFUSED)
            runner->refusals++;
        else
            runner->others++;
    }
    return NULL;
}

static void
run_all(struct runner runners[THREADS])
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
    for (int i = 0; i < 5; i++)
        world_reload(runners[0].w);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void
threads_sign_while_the_policy_is_reloaded(void **state)
{
    struct world *w = *state;
    struct runner runners[THREADS] = {0};
    int64_t last = 0;

    for (int i = 0; i < THREADS; i++)
        runners[i] = (struct runner){.w = w, .user = "daemon", .parameters = NEW_ORDER};
    run_all(runners);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(runners[i].permits, ROUNDS);
        for (int j = 1; j < ROUNDS; j++)
            assert_true(runners[i].tickets[j] > runners[i].tickets[j - 1]);
        if (runners[i].tickets[ROUNDS - 1] > last)
            last = runners[i].tickets[ROUNDS - 1];
    }
    assert_true(last <= world_position(w));
    assert_int_equal(atomic_load(&w->core->permits), THREADS * ROUNDS);
}

/* Attack 91: six race for the one order that is left. */
static void
attack_91_a_race_for_the_last_unit(void **state)
{
    struct world *w = *state;
    struct runner runners[THREADS] = {0};
    int permits = 0, refusals = 0;

    for (int i = 0; i < THREADS; i++)
        runners[i] = (struct runner){.w = w,
            .user = "irc",
            .parameters = "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                          "\"one.example.edu\"}]}"};
    run_all(runners);
    for (int i = 0; i < THREADS; i++) {
        permits += runners[i].permits;
        refusals += runners[i].refusals;
    }
    assert_int_equal(permits, 1);
    assert_int_equal(refusals, THREADS * ROUNDS - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_signature_when_the_log_was_removed),
        TEST(attack_104_no_signature_when_the_disk_is_full),
        TEST(no_refusal_unrecorded),
        TEST(a_failing_token_is_no_refusal),
        TEST(a_token_gone_is_noticed_at_the_first_look),
        TEST(a_key_destroyed_behind_our_back),
        TEST(another_key_of_that_label),
        TEST(a_freeze_stops_signing_across_restarts),
        TEST(a_freeze_holds_without_a_disk),
        TEST(a_torn_freeze_is_a_freeze),
        TEST(a_freeze_in_the_middle_of_a_request),
        TEST(a_freeze_while_the_token_signs),
        TEST(attack_93_a_reload_in_the_middle),
        TEST(an_account_lost_in_the_middle),
        TEST(a_bad_reload_changes_nothing),
        TEST(what_is_taken_at_the_start_does_not_change),
        TEST(loose_modes_stop_a_reload),
        TEST(threads_sign_while_the_policy_is_reloaded),
        TEST(attack_91_a_race_for_the_last_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
