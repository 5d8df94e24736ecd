/*
 * A token that fails while it is used: right recovery or a clean refusal, at most one login for a
 * PIN, and never a signature that does not verify. The mock answers; it counts the calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mock_world.h"

enum { THREADS = 8, TRIES_MAX = 5 };

/* The ladder of recovery, answer by answer. */
static const struct {
    const char *answer;
    enum aw_code once;   /* answered at the first call only */
    enum aw_code always; /* answered at every call */
} rows[] = {
    {"CKR_SESSION_HANDLE_INVALID", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_SESSION_CLOSED", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_OPERATION_ACTIVE", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_OPERATION_NOT_INITIALIZED", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_OBJECT_HANDLE_INVALID", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_KEY_HANDLE_INVALID", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_USER_NOT_LOGGED_IN", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_GENERAL_ERROR", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_FUNCTION_FAILED", AW_CODE_OK, AW_CODE_TOKEN},
    {"CKR_DEVICE_REMOVED", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_TOKEN_NOT_PRESENT", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_TOKEN_NOT_RECOGNIZED", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_DEVICE_ERROR", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_SLOT_ID_INVALID", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_CRYPTOKI_NOT_INITIALIZED", AW_CODE_TOKEN_GONE, AW_CODE_TOKEN_GONE},
    {"CKR_HOST_MEMORY", AW_CODE_BUSY, AW_CODE_BUSY},
    {"CKR_FUNCTION_CANCELED", AW_CODE_BUSY, AW_CODE_BUSY},
    {"CKR_SESSION_COUNT", AW_CODE_BUSY, AW_CODE_BUSY},
    {"CKR_DEVICE_MEMORY", AW_CODE_TOKEN, AW_CODE_TOKEN},
    {"CKR_BUFFER_TOO_SMALL", AW_CODE_TOKEN, AW_CODE_TOKEN},
    {"CKR_PIN_INCORRECT", AW_CODE_TOKEN_PIN, AW_CODE_TOKEN_PIN},
    {"CKR_PIN_EXPIRED", AW_CODE_TOKEN_PIN, AW_CODE_TOKEN_PIN},
    {"CKR_PIN_LOCKED", AW_CODE_TOKEN_PIN, AW_CODE_TOKEN_PIN},
    {"CKR_KEY_FUNCTION_NOT_PERMITTED", AW_CODE_UNSUPPORTED, AW_CODE_UNSUPPORTED},
    {"CKR_MECHANISM_INVALID", AW_CODE_UNSUPPORTED, AW_CODE_UNSUPPORTED},
    {"0x80000001", AW_CODE_TOKEN, AW_CODE_TOKEN}, /* a vendor's own */
};

static void
check_row(size_t i, const char *rule, int what, enum aw_code code)
{
    char name[128];
    static const char *const used[] = {"EC key", "RSA key", "MAC"};

    snprintf(name, sizeof(name), "%s, %s", used[what], rule);
    mock_forget_calls(&world.h);
    mock_rules(&world.h, "%s", rule);
    aw_result r = mock_world_use(what, name);
    if (r.code != code)
        fail_msg("%s: %s", name, aw_code_tag(r.code));
    if (mock_calls(&world.h, "C_Login") != 0)
        fail_msg(
            "%s: %u logins, though somebody is logged in", name, mock_calls(&world.h, "C_Login"));
    if (mock_calls(&world.h, "C_SignInit") > TRIES_MAX)
        fail_msg("%s: %u tries", name, mock_calls(&world.h, "C_SignInit"));
    if (rows[i].once == AW_CODE_TOKEN_GONE && mock_calls(&world.h, "C_SignInit") != 1)
        fail_msg("%s: it was tried again on a token that is gone", name);
    mock_rules(&world.h, "%s", "");
    if (!aw_ok(mock_world_use(what, name))) /* nothing sticks, once the token is well again */
        fail_msg("%s: and then %s", name, aw_error_last()->message);
}

static void
test_recovery_by_answer(void **state)
{
    static const char *const functions[] = {"C_SignInit", "C_Sign"};
    char rule[128];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        for (size_t f = 0; f < AW_COUNT(functions); f++) {
            for (int what = 0; what < 3; what++) {
                snprintf(rule, sizeof(rule), "%s:1:%s", functions[f], rows[i].answer);
                check_row(i, rule, what, rows[i].once);
                snprintf(rule, sizeof(rule), "%s:*:%s", functions[f], rows[i].answer);
                check_row(i, rule, what, rows[i].always);
            }
        }
    }
}

/* The token did it, but said that it did not. */
static void
test_recovery_from_lost_answers(void **state)
{
    char rule[128];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        for (int what = 0; what < 3; what++) {
            snprintf(rule, sizeof(rule), "C_Sign:1:after %s", rows[i].answer);
            check_row(i, rule, what, rows[i].once);
            snprintf(rule, sizeof(rule), "C_SignInit:1:after %s", rows[i].answer);
            check_row(i, rule, what, rows[i].once);
        }
    }
}

/* Recovery may fail itself: at every further call that it makes, with every answer. */
static void
test_failing_recovery(void **state)
{
    static const char *const functions[] = {"C_OpenSession", "C_GetSessionInfo",
        "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_GetAttributeValue"};
    char rule[128];

    (void)state;
    for (size_t row = 0; row < AW_COUNT(functions) * AW_COUNT(rows); row++) {
        const char *answer = rows[row / AW_COUNT(functions)].answer;
        for (int what = 0; what < 3; what++) {
            snprintf(rule, sizeof(rule), "C_SignInit:1:CKR_KEY_HANDLE_INVALID;%s:1:%s",
                functions[row % AW_COUNT(functions)], answer);
            mock_forget_calls(&world.h);
            mock_rules(&world.h, "%s", rule);
            aw_ignore(mock_world_use(what, rule), "it looks at what comes out; both are right");
            assert_int_equal(mock_calls(&world.h, "C_Login"), 0);
            assert_in_range(mock_calls(&world.h, "C_SignInit"), 1, TRIES_MAX);
            mock_rules(&world.h, "%s", "");
            if (!aw_ok(mock_world_use(what, rule)))
                fail_msg("%s: and then %s", rule, aw_error_last()->message);
        }
    }
}

/* What the token gives in place of a signature, and what is said. Nothing of it leaves. */
static const struct {
    const char *rule;
    const char *part;
    bool mac; /* seen in a MAC too, which nobody but the CA can verify */
} false_rows[] = {
    {"wrong", "does not verify", false},
    {"other", "does not verify", false},
    {"scribble", "does not verify", false},
    {"zero-first", "does not verify", false},
    {"zero-second", "does not verify", false},
    {"high", "does not verify", false},
    {"CKR_OK", "", false}, /* it did nothing, and says that it did */
    {"short", "octets instead of", true},
    {"tell 0", "0 octets instead of", true},
    {"tell 1", "1 octets instead of", true},
    {"tell 63", "63 octets instead of", true},
    {"tell 65", "65 octets instead of", true},
    {"tell 257", "257 octets instead of", true},
    {"tell 513", "513 octets instead of", true},
    {"tell 0xffffffffffffffff", "octets instead of", true},
};

static void
test_wrong_signatures_do_not_leave(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(false_rows); i++) {
        for (enum mock_use what = 0; what < USES; what++) {
            if (what == USE_MAC && !false_rows[i].mac)
                continue;
            mock_rules(&world.h, "C_Sign:*:%s", false_rows[i].rule);
            assert_fails(
                mock_world_use(what, false_rows[i].rule), AW_CODE_TOKEN, false_rows[i].part);
            if (aw_error_last()->hint[0] == '\0')
                fail_msg("%s: no hint", false_rows[i].rule);
            mock_rules(&world.h, "C_Sign:1:%s", false_rows[i].rule);
            assert_int_equal(mock_world_use(what, false_rows[i].rule).code, AW_CODE_TOKEN);
            assert_ok(mock_world_use(what, "right again"));
        }
    }
}

/* Counts and lengths that are longer than the room for them: nothing is read or written there. */
static void
test_lengths_are_not_believed(void **state)
{
    static const char *const rules[] = {"C_FindObjects:*:tell 3", "C_FindObjects:*:tell 100000",
        "C_GetAttributeValue:*:tell 65", "C_GetAttributeValue:*:tell 100000",
        "C_GetAttributeValue:*:tell 0x7fffffffffffffff"};
    token_key *key = NULL;
    struct token_examination *e = NULL;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rules); i++) {
        mock_rules(&world.h, "%s", rules[i]);
        assert_fails(token_key_find(world.t, "ec", &key), AW_CODE_TOKEN, "room for");
        assert_non_null(strstr(aw_error_last()->hint, "faulty"));
    }
    assert_fails(token_examine(world.t, &e), AW_CODE_TOKEN, "room for");
    mock_rules(&world.h, "%s", "C_FindObjects:*:tell 100000");
    assert_fails(token_examine(world.t, &e), AW_CODE_TOKEN, "room for");
    mock_rules(&world.h, "%s", "");
    assert_ok(token_key_find(world.t, "ec", &key));
    token_key_free(&key);
}

/* A label that is longer than any of ours belongs to somebody else's object: it is listed. */
static void
test_long_labels_of_others(void **state)
{
    CK_SESSION_HANDLE session = softhsm_session();
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    char label[300];
    struct token_examination *e = NULL;
    CK_OBJECT_HANDLE object;

    (void)state;
    memset(label, 'x', sizeof(label));
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_TOKEN, &yes, sizeof(yes)},
        {CKA_LABEL, label, sizeof(label)}};
    assert_int_equal(softhsm_functions()->C_CreateObject(session, template, 3, &object), CKR_OK);
    assert_ok(token_examine(world.t, &e));
    assert_int_equal(e->object_count, 6);
    token_examination_free(&e);
}

/* A MAC key is known again by what it computes: a token that computes another is not believed. */
static void
test_a_mac_key_that_changed_is_refused(void **state)
{
    (void)state;
    mock_rules(&world.h, "C_SignInit:1:CKR_KEY_HANDLE_INVALID;C_Sign:1:wrong");
    assert_fails(mock_world_use(2, "another key"), AW_CODE_MISMATCH, "another one");
}

/* Login. */

/* Attack 96c: the token refuses the PIN; however often we are started, it is not tried again. */
static void
attack_96c_a_refused_pin_is_tried_once(void **state)
{
    static const char *const answers[] = {"CKR_PIN_INCORRECT", "CKR_PIN_INVALID",
        "CKR_PIN_LEN_RANGE", "CKR_PIN_EXPIRED", "CKR_PIN_LOCKED"};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(answers); i++) {
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "C_Login:*:%s", answers[i]);
        assert_fails(mock_world_try_open(), AW_CODE_TOKEN_PIN, answers[i]);
        for (int restart = 0; restart < 5; restart++)
            assert_fails(mock_world_try_open(), AW_CODE_TOKEN_PIN, "no login");
        assert_int_equal(mock_calls(&world.h, "C_Login"), 1);
        assert_int_equal(unlink(world.h.latch), 0);
        mock_rules(&world.h, "%s", "");
        assert_ok(mock_world_try_open());
        assert_int_equal(mock_calls(&world.h, "C_Login"), 2);
    }
}

/* The process is killed where a wrong PIN may have been tried, or may not: the marker stays. */
static void
attack_96c_a_login_that_is_cut_off_is_not_repeated(void **state)
{
    static const char *const rules[] = {"C_Login:1:crash", "C_Login:1:die"};
    int status;

    (void)state;
    assert_ok(mock_world_try_open()); /* from here on both processes count in one file */
    for (size_t i = 0; i < AW_COUNT(rules) * 2; i++) {
        softhsm_write_pin(&world.h, i % 2 == 0 ? "not the PIN" : world.h.pin, 0400);
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "%s", rules[i / 2]);
        pid_t child = fork();
        if (child == 0) {
            aw_ignore(mock_world_try_open(), "it does not return");
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        mock_rules(&world.h, "%s", "");
        for (int restart = 0; restart < 3; restart++)
            assert_fails(mock_world_try_open(), AW_CODE_TOKEN_PIN, "failed or was cut off");
        if (mock_calls(&world.h, "C_Login") != 1)
            fail_msg("%s: %u logins", rules[i / 2], mock_calls(&world.h, "C_Login"));
        assert_int_equal(unlink(world.h.latch), 0);
        softhsm_write_pin(&world.h, world.h.pin, 0400);
        assert_ok(mock_world_try_open());
    }
}

static const struct {
    const char *flags;
    unsigned logins;
    const char *part; /* of the message; NULL: it opens */
} flag_rows[] = {
    {"+CKF_USER_PIN_FINAL_TRY", 0, "one more wrong PIN"},
    {"+CKF_USER_PIN_LOCKED", 0, "locked"},
    {"-CKF_USER_PIN_INITIALIZED", 0, "no user PIN"},
    {"+CKF_USER_PIN_COUNT_LOW", 1, NULL},
    {"+CKF_USER_PIN_TO_BE_CHANGED", 1, NULL},
};

static void
test_flags_are_read_before_a_login(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(flag_rows); i++) {
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "C_GetTokenInfo:*:flags %s", flag_rows[i].flags);
        aw_result r = mock_world_try_open();
        if (flag_rows[i].part == NULL)
            assert_ok(r);
        else
            assert_fails(r, AW_CODE_TOKEN_PIN, flag_rows[i].part);
        assert_int_equal(mock_calls(&world.h, "C_Login"), flag_rows[i].logins);
        assert_int_equal(access(world.h.latch, F_OK), -1); /* nothing was tried, or it was right */
    }
}

/* The same when the login is lost while the signer runs. */
static void
test_flags_are_read_before_a_login_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(flag_rows); i++) {
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "C_GetTokenInfo:*:flags %s", flag_rows[i].flags);
        mock_world_logout();
        aw_result r = mock_world_use(0, flag_rows[i].flags);
        if (flag_rows[i].part == NULL)
            assert_ok(r);
        else
            assert_fails(r, AW_CODE_TOKEN_PIN, flag_rows[i].part);
        assert_int_equal(mock_calls(&world.h, "C_Login"), flag_rows[i].logins);
    }
    mock_rules(&world.h, "%s", "");
    assert_ok(mock_world_use(0, "the flags are gone"));
}

/* Another token in the slot does not get this one's PIN. */
static void
test_another_token_gets_no_pin(void **state)
{
    (void)state;
    mock_rules(&world.h, "C_GetTokenInfo:*:serial");
    mock_world_logout();
    mock_forget_calls(&world.h);
    assert_fails(mock_world_use(USE_EC, "swapped"), AW_CODE_TOKEN_GONE, "another token");
    assert_int_equal(mock_calls(&world.h, "C_Login"), 0);
    mock_rules(&world.h, "%s", "");
    assert_ok(mock_world_use(USE_EC, "put back"));
}

/* Threads. */

struct worker {
    pthread_t thread;
    int what;
    enum aw_code code;
};

static void *
work(void *context)
{
    struct worker *w = context;

    w->code = mock_world_use(w->what, "thread").code;
    return NULL;
}

static void
run_threads(struct worker workers[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        workers[i].what = i % 3;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

static void
test_one_login_for_all_threads(void **state)
{
    struct worker workers[THREADS];

    (void)state;
    mock_rules(&world.h, "C_Login:*:delay 20");
    mock_world_logout();
    mock_forget_calls(&world.h);
    run_threads(workers);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, AW_CODE_OK);
    assert_int_equal(mock_calls(&world.h, "C_Login"), 1);
}

/* Attack 96c: not one try for each thread. */
static void
attack_96c_one_wrong_pin_for_all_threads(void **state)
{
    struct worker workers[THREADS];

    (void)state;
    mock_rules(&world.h, "C_Login:*:delay 20");
    softhsm_write_pin(&world.h, "another\n", 0400);
    mock_world_logout();
    mock_forget_calls(&world.h);
    run_threads(workers);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, AW_CODE_TOKEN_PIN);
    assert_int_equal(mock_calls(&world.h, "C_Login"), 1);
}

/* A token that does not come back is busy for the others, and no more. */
static void
test_a_stuck_token_is_busy(void **state)
{
    struct worker worker = {.what = 0};

    (void)state;
    world.h.config.sessions = 1;
    world.h.config.timeout_ms = 50;
    world.t = softhsm_open(&world.h);
    struct token_key_report report;
    assert_ok(token_key_generate(world.t, "ec", TOKEN_KEY_EC_P256, &report, &world.keys[USE_EC]));
    mock_forget_calls(&world.h);
    mock_rules(&world.h, "C_Sign:1:wait");
    assert_int_equal(pthread_create(&worker.thread, NULL, work, &worker), 0);
    while (mock_calls(&world.h, "C_Sign") == 0)
        usleep(1000);
    assert_fails(mock_world_use(0, "stuck"), AW_CODE_BUSY, "stayed busy");
    mock_rules(&world.h, "%s", "");
    pthread_join(worker.thread, NULL);
    assert_int_equal(worker.code, AW_CODE_OK);
    assert_ok(mock_world_use(0, "free again"));
}

#define test_row(test) cmocka_unit_test_setup_teardown(test, mock_world_setup, mock_world_teardown)
#define test_closed(test) \
    cmocka_unit_test_setup_teardown(test, mock_world_setup_closed, mock_world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test_row(test_recovery_by_answer),
        test_row(test_recovery_from_lost_answers),
        test_row(test_failing_recovery),
        test_row(test_wrong_signatures_do_not_leave),
        test_row(test_lengths_are_not_believed),
        test_row(test_long_labels_of_others),
        test_row(test_a_mac_key_that_changed_is_refused),
        test_closed(attack_96c_a_refused_pin_is_tried_once),
        test_closed(attack_96c_a_login_that_is_cut_off_is_not_repeated),
        test_closed(test_flags_are_read_before_a_login),
        test_row(test_flags_are_read_before_a_login_again),
        test_row(test_another_token_gets_no_pin),
        test_row(test_one_login_for_all_threads),
        test_row(attack_96c_one_wrong_pin_for_all_threads),
        test_closed(test_a_stuck_token_is_busy),
    };

    return cmocka_run_group_tests_name("token_faults", tests, NULL, NULL);
}
