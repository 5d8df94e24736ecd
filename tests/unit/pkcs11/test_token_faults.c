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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "mock.h"

enum { THREADS = 8, TRIES_MAX = 5 };

static const char message[] = "what is to be signed";

static struct softhsm h;
static token *t;
static token_key *keys[2]; /* EC P-256, RSA 2048 */
static token_mac *mac;

static void
make_mac(void)
{
    struct token_key_report report;
    aw_secret *value = NULL;

    assert_ok(aw_secret_new(32, &value));
    value->size = 32;
    RAND_bytes(value->data, 32);
    assert_ok(token_mac_import(t, "eab", TOKEN_HS256, value, false, &report));
    aw_secret_free(&value);
    assert_ok(token_mac_find(t, "eab", TOKEN_HS256, &mac));
}

static int
setup(void **state)
{
    struct token_key_report report;

    (void)state;
    mock_make(&h);
    t = softhsm_open(&h);
    assert_ok(token_key_generate(t, "ec", TOKEN_KEY_EC_P256, &report, &keys[0]));
    assert_ok(token_key_generate(t, "rsa", TOKEN_KEY_RSA_2048, &report, &keys[1]));
    make_mac();
    return 0;
}

static int
setup_closed(void **state)
{
    (void)state;
    mock_make(&h);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    mock_rules(&h, "%s", "");
    token_key_free(&keys[0]);
    token_key_free(&keys[1]);
    token_mac_free(&mac);
    token_close(&t);
    softhsm_remove(&h);
    return 0;
}

/* Signs with key 0 or 1, or computes the MAC (2). What comes out of a failure is nothing. */
static aw_result
use(int what, const char *name)
{
    uint8_t out[TOKEN_SIGNATURE_MAX], untouched[TOKEN_SIGNATURE_MAX];
    size_t size = 1;

    memset(out, 0xa5, sizeof(out));
    memset(untouched, 0xa5, sizeof(untouched));
    aw_result r = what == 2 ? token_mac_compute(mac, message, sizeof(message), out, &size)
                            : token_key_sign(keys[what], message, sizeof(message), out, &size);
    if (!aw_ok(r) && (size != 0 || memcmp(out, untouched, sizeof(out)) != 0))
        fail_msg("%s: failed, and gave %zu octets", name, size);
    if (aw_ok(r) && what < 2 && !mock_verifies(keys[what], message, sizeof(message), out, size))
        fail_msg("%s: the signature does not verify", name);
    return r;
}

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
    mock_forget_calls(&h);
    mock_rules(&h, "%s", rule);
    aw_result r = use(what, name);
    if (r.code != code)
        fail_msg("%s: %s", name, aw_code_tag(r.code));
    if (mock_calls(&h, "C_Login") != 0)
        fail_msg("%s: %u logins, though somebody is logged in", name, mock_calls(&h, "C_Login"));
    if (mock_calls(&h, "C_SignInit") > TRIES_MAX)
        fail_msg("%s: %u tries", name, mock_calls(&h, "C_SignInit"));
    if (rows[i].once == AW_CODE_TOKEN_GONE && mock_calls(&h, "C_SignInit") != 1)
        fail_msg("%s: it was tried again on a token that is gone", name);
    mock_rules(&h, "%s", "");
    if (!aw_ok(use(what, name))) /* nothing sticks, once the token is well again */
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
            mock_forget_calls(&h);
            mock_rules(&h, "%s", rule);
            aw_ignore(use(what, rule), "it looks at what comes out; both are right");
            assert_int_equal(mock_calls(&h, "C_Login"), 0);
            assert_in_range(mock_calls(&h, "C_SignInit"), 1, TRIES_MAX);
            mock_rules(&h, "%s", "");
            if (!aw_ok(use(what, rule)))
                fail_msg("%s: and then %s", rule, aw_error_last()->message);
        }
    }
}

/* Nothing that does not verify leaves. */
static void
test_wrong_signatures_do_not_leave(void **state)
{
    (void)state;
    for (int what = 0; what < 2; what++) {
        mock_rules(&h, "C_Sign:*:wrong");
        assert_fails(use(what, "wrong"), AW_CODE_TOKEN, "does not verify");
        mock_rules(&h, "C_Sign:1:wrong");
        assert_fails(use(what, "wrong once"), AW_CODE_TOKEN, "does not verify");
        assert_ok(use(what, "right again"));
        mock_rules(&h, "C_Sign:*:short");
        assert_fails(use(what, "short"), AW_CODE_TOKEN, "octets instead of");
        mock_rules(&h, "C_Sign:*:CKR_OK"); /* it did nothing, and says that it did */
        assert_fails(use(what, "pretended"), AW_CODE_TOKEN, "");
    }
    mock_rules(&h, "C_Sign:*:short");
    assert_fails(use(2, "short"), AW_CODE_TOKEN, "octets instead of");
}

/* A MAC key is known again by what it computes: a token that computes another is not believed. */
static void
test_a_mac_key_that_changed_is_refused(void **state)
{
    (void)state;
    mock_rules(&h, "C_SignInit:1:CKR_KEY_HANDLE_INVALID;C_Sign:1:wrong");
    assert_fails(use(2, "another key"), AW_CODE_MISMATCH, "another one");
}

/* Login. */

static void
logout(void)
{
    CK_SESSION_HANDLE session = softhsm_session();

    assert_int_equal(softhsm_functions()->C_Logout(session), CKR_OK);
    assert_int_equal(softhsm_functions()->C_CloseSession(session), CKR_OK);
}

static aw_result
try_open(void)
{
    token *opened = NULL;
    aw_result r = token_open(&h.config, &opened);

    token_close(&opened);
    return r;
}

/* Attack 96c: the token refuses the PIN; however often we are started, it is not tried again. */
static void
attack_96c_a_refused_pin_is_tried_once(void **state)
{
    static const char *const answers[] = {"CKR_PIN_INCORRECT", "CKR_PIN_INVALID",
        "CKR_PIN_LEN_RANGE", "CKR_PIN_EXPIRED", "CKR_PIN_LOCKED"};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(answers); i++) {
        mock_forget_calls(&h);
        mock_rules(&h, "C_Login:*:%s", answers[i]);
        assert_fails(try_open(), AW_CODE_TOKEN_PIN, answers[i]);
        for (int restart = 0; restart < 5; restart++)
            assert_fails(try_open(), AW_CODE_TOKEN_PIN, "no login");
        assert_int_equal(mock_calls(&h, "C_Login"), 1);
        assert_int_equal(unlink(h.latch), 0);
        mock_rules(&h, "%s", "");
        assert_ok(try_open());
        assert_int_equal(mock_calls(&h, "C_Login"), 2);
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
        mock_forget_calls(&h);
        mock_rules(&h, "C_GetTokenInfo:*:flags %s", flag_rows[i].flags);
        aw_result r = try_open();
        if (flag_rows[i].part == NULL)
            assert_ok(r);
        else
            assert_fails(r, AW_CODE_TOKEN_PIN, flag_rows[i].part);
        assert_int_equal(mock_calls(&h, "C_Login"), flag_rows[i].logins);
        assert_int_equal(access(h.latch, F_OK), -1); /* nothing was tried, or it was right */
    }
}

/* The same when the login is lost while the signer runs. */
static void
test_flags_are_read_before_a_login_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(flag_rows); i++) {
        mock_forget_calls(&h);
        mock_rules(&h, "C_GetTokenInfo:*:flags %s", flag_rows[i].flags);
        logout();
        aw_result r = use(0, flag_rows[i].flags);
        if (flag_rows[i].part == NULL)
            assert_ok(r);
        else
            assert_fails(r, AW_CODE_TOKEN_PIN, flag_rows[i].part);
        assert_int_equal(mock_calls(&h, "C_Login"), flag_rows[i].logins);
    }
    mock_rules(&h, "%s", "");
    assert_ok(use(0, "the flags are gone"));
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

    w->code = use(w->what, "thread").code;
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
    mock_rules(&h, "C_Login:*:delay 20");
    logout();
    mock_forget_calls(&h);
    run_threads(workers);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, AW_CODE_OK);
    assert_int_equal(mock_calls(&h, "C_Login"), 1);
}

/* Attack 96c: not one try for each thread. */
static void
attack_96c_one_wrong_pin_for_all_threads(void **state)
{
    struct worker workers[THREADS];

    (void)state;
    mock_rules(&h, "C_Login:*:delay 20");
    softhsm_write_pin(&h, "another\n", 0400);
    logout();
    mock_forget_calls(&h);
    run_threads(workers);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].code, AW_CODE_TOKEN_PIN);
    assert_int_equal(mock_calls(&h, "C_Login"), 1);
}

/* A token that does not come back is busy for the others, and no more. */
static void
test_a_stuck_token_is_busy(void **state)
{
    struct worker worker = {.what = 0};

    (void)state;
    h.config.sessions = 1;
    h.config.timeout_ms = 50;
    t = softhsm_open(&h);
    struct token_key_report report;
    assert_ok(token_key_generate(t, "ec", TOKEN_KEY_EC_P256, &report, &keys[0]));
    mock_forget_calls(&h);
    mock_rules(&h, "C_Sign:1:wait");
    assert_int_equal(pthread_create(&worker.thread, NULL, work, &worker), 0);
    while (mock_calls(&h, "C_Sign") == 0)
        usleep(1000);
    assert_fails(use(0, "stuck"), AW_CODE_BUSY, "stayed busy");
    mock_rules(&h, "%s", "");
    pthread_join(worker.thread, NULL);
    assert_int_equal(worker.code, AW_CODE_OK);
    assert_ok(use(0, "free again"));
}

#define test_row(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define test_closed(test) cmocka_unit_test_setup_teardown(test, setup_closed, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test_row(test_recovery_by_answer),
        test_row(test_recovery_from_lost_answers),
        test_row(test_failing_recovery),
        test_row(test_wrong_signatures_do_not_leave),
        test_row(test_a_mac_key_that_changed_is_refused),
        test_closed(attack_96c_a_refused_pin_is_tried_once),
        test_closed(test_flags_are_read_before_a_login),
        test_row(test_flags_are_read_before_a_login_again),
        test_row(test_one_login_for_all_threads),
        test_row(attack_96c_one_wrong_pin_for_all_threads),
        test_closed(test_a_stuck_token_is_busy),
    };

    return cmocka_run_group_tests_name("token_faults", tests, NULL, NULL);
}
