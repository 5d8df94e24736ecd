/* The ladder of recovery, as far as SoftHSM can show it; a second user of the module disturbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "softhsm.h"

extern char **environ;

struct fixture {
    struct softhsm h;
    token *t;
    token_key *key;
    token_mac *mac;
};

static void
import_mac(token *t, const char *label)
{
    struct token_key_report report;
    aw_secret *value = NULL;
    uint8_t random[32];

    RAND_bytes(random, sizeof(random));
    assert_ok(aw_secret_new(32, &value));
    assert_ok(aw_secret_append(value, random, sizeof(random)));
    assert_ok(token_mac_import(t, label, TOKEN_HS256, value, false, &report));
    aw_secret_free(&value);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct token_key_report report;

    softhsm_make(&f->h);
    f->t = softhsm_open(&f->h);
    assert_ok(token_key_generate(f->t, "account", TOKEN_KEY_EC_P256, &report, &f->key));
    import_mac(f->t, "eab");
    assert_ok(token_mac_find(f->t, "eab", TOKEN_HS256, &f->mac));
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    token_key_free(&f->key);
    token_mac_free(&f->mac);
    token_close(&f->t);
    softhsm_remove(&f->h);
    free(f);
    return 0;
}

static aw_result
sign(struct fixture *f)
{
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t size;

    return token_key_sign(f->key, "message", 7, signature, &size);
}

static aw_result
mac(struct fixture *f)
{
    uint8_t out[TOKEN_MAC_MAX];
    size_t size;

    return token_mac_compute(f->mac, "message", 7, out, &size);
}

/* What can happen behind our back. */

static void
logout(struct fixture *f)
{
    (void)f;
    CK_SESSION_HANDLE s = softhsm_session();
    assert_int_equal(softhsm_functions()->C_Logout(s), CKR_OK);
    assert_int_equal(softhsm_functions()->C_CloseSession(s), CKR_OK);
}

static void
close_all(struct fixture *f)
{
    (void)f;
    assert_int_equal(softhsm_functions()->C_CloseAllSessions(softhsm_slot("test")), CKR_OK);
}

static void
logout_and_in_again(struct fixture *f)
{
    CK_SESSION_HANDLE s = softhsm_session();

    assert_int_equal(softhsm_functions()->C_Logout(s), CKR_OK);
    assert_int_equal(
        softhsm_functions()->C_Login(s, CKU_USER, (unsigned char *)f->h.pin, strlen(f->h.pin)),
        CKR_OK);
}

static void
nothing(struct fixture *f)
{
    (void)f;
}

static const struct {
    const char *name;
    void (*disturb)(struct fixture *f);
} disturbances[] = {
    {"nothing", nothing},
    {"C_Logout", logout},
    {"C_CloseAllSessions", close_all},
    {"logout and login", logout_and_in_again},
};

static void
test_disturbances_are_recovered_from(void **state)
{
    struct fixture *f = *state;

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < AW_COUNT(disturbances); i++) {
            disturbances[i].disturb(f);
            if (!aw_ok(sign(f)))
                fail_msg("sign after %s: %s", disturbances[i].name, aw_error_last()->message);
            disturbances[i].disturb(f);
            if (!aw_ok(mac(f)))
                fail_msg("MAC after %s: %s", disturbances[i].name, aw_error_last()->message);
        }
    }
}

/* A search finds no private key when logged out: that must not look like a missing key. */
static void
test_finding_logs_in(void **state)
{
    struct fixture *f = *state;
    token_key *key = NULL;
    token_mac *found = NULL;
    struct token_key_report report;
    struct token_examination *e = NULL;

    logout(f);
    assert_ok(token_key_find(f->t, "account", &key));
    token_key_free(&key);
    close_all(f);
    assert_ok(token_mac_find(f->t, "eab", TOKEN_HS256, &found));
    token_mac_free(&found);
    logout(f);
    assert_ok(token_key_generate(f->t, "second", TOKEN_KEY_EC_P256, &report, &key));
    token_key_free(&key);
    close_all(f);
    assert_ok(token_examine(f->t, &e));
    assert_int_equal(e->object_count, 5);
    token_examination_free(&e);
}

/* A login during recovery reads the PIN again and obeys the latch. */
static void
test_recovery_with_a_changed_pin_file(void **state)
{
    struct fixture *f = *state;

    softhsm_write_pin(&f->h, "another\n", 0400);
    logout(f);
    assert_fails(sign(f), AW_CODE_TOKEN_PIN, "CKR_PIN_INCORRECT");
    assert_int_equal(access(f->h.latch, F_OK), 0);
    assert_fails(sign(f), AW_CODE_TOKEN_PIN, "no login");
    softhsm_write_pin(&f->h, f->h.pin, 0400);
    assert_int_equal(unlink(f->h.latch), 0);
    assert_ok(sign(f));
    assert_ok(mac(f));
}

static void
destroy_objects(const char *label)
{
    CK_FUNCTION_LIST *p = softhsm_functions();
    CK_SESSION_HANDLE s = softhsm_session();
    static const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY};

    for (size_t i = 0; i < AW_COUNT(classes); i++) {
        CK_OBJECT_HANDLE object = softhsm_find(s, classes[i], label);
        if (object != CK_INVALID_HANDLE)
            assert_int_equal(p->C_DestroyObject(s, object), CKR_OK);
    }
    p->C_CloseSession(s);
}

static void
test_destroyed_key_is_missing(void **state)
{
    struct fixture *f = *state;

    destroy_objects("account");
    destroy_objects("eab");
    assert_fails(sign(f), AW_CODE_TOKEN_KEY_MISSING, "no private key \"account\"");
    assert_fails(mac(f), AW_CODE_TOKEN_KEY_MISSING, "no secret key \"eab\"");
}

/* Another key under the old label is not our key. */
static void
test_replaced_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct token_key_report report;
    token_key *other = NULL;

    destroy_objects("account");
    destroy_objects("eab");
    assert_ok(token_key_generate(f->t, "account", TOKEN_KEY_EC_P256, &report, &other));
    import_mac(f->t, "eab");
    assert_fails(sign(f), AW_CODE_MISMATCH, token_key_thumbprint(other));
    assert_fails(sign(f), AW_CODE_MISMATCH, token_key_thumbprint(f->key));
    assert_fails(mac(f), AW_CODE_MISMATCH, "another one");
    token_key_free(&other);
}

/* Another process re-initialises the token under us. */
static void
test_wiped_token_fails_cleanly(void **state)
{
    struct fixture *f = *state;
    char serial[32];
    struct token_info info;
    pid_t pid;
    int status;

    assert_ok(token_info_get(f->t, &info));
    snprintf(serial, sizeof(serial), "%s", info.serial);
    char *arguments[] = {(char[]){"softhsm2-util"}, (char[]){"--init-token"}, (char[]){"--serial"},
        serial, (char[]){"--label"}, (char[]){"test"}, (char[]){"--so-pin"},
        (char[]){"so-pin-of-a-test"}, (char[]){"--pin"}, f->h.pin, NULL};
    assert_int_equal(posix_spawnp(&pid, "softhsm2-util", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    aw_result r = sign(f);
    if (r.code != AW_CODE_TOKEN_KEY_MISSING && r.code != AW_CODE_TOKEN_GONE)
        fail_msg("after re-initialisation: %s %s", aw_code_tag(r.code), aw_error_last()->message);
    r = mac(f);
    if (r.code != AW_CODE_TOKEN_KEY_MISSING && r.code != AW_CODE_TOKEN_GONE)
        fail_msg("after re-initialisation: %s %s", aw_code_tag(r.code), aw_error_last()->message);
}

static void
test_finalized_module_is_gone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(softhsm_functions()->C_Finalize(NULL), CKR_OK);
    assert_fails(sign(f), AW_CODE_TOKEN_GONE, "CKR_CRYPTOKI_NOT_INITIALIZED");
    assert_fails(mac(f), AW_CODE_TOKEN_GONE, "CKR_CRYPTOKI_NOT_INITIALIZED");
}

/* A scripted answer of C_Sign: what SoftHSM never says. */

static CK_RV sign_answers[8];
static unsigned sign_calls;
static CK_C_Sign real_sign;

static CK_RV
scripted_sign(CK_SESSION_HANDLE s, unsigned char *data, unsigned long size, unsigned char *out,
    unsigned long *out_size)
{
    CK_RV answer = sign_calls < AW_COUNT(sign_answers) ? sign_answers[sign_calls] : CKR_OK;

    sign_calls++;
    return answer != CKR_OK ? answer : real_sign(s, data, size, out, out_size);
}

static const struct {
    const char *name;
    CK_RV answers[8];
    enum aw_code code;
    unsigned calls;
} rows[] = {
    {"session lost once", {CKR_SESSION_HANDLE_INVALID}, AW_CODE_OK, 2},
    {"handle lost once", {CKR_KEY_HANDLE_INVALID}, AW_CODE_OK, 2},
    {"login lost once", {CKR_USER_NOT_LOGGED_IN}, AW_CODE_OK, 2},
    {"session, login, handle",
        {CKR_SESSION_CLOSED, CKR_USER_NOT_LOGGED_IN, CKR_OBJECT_HANDLE_INVALID}, AW_CODE_OK, 4},
    {"handle never good",
        {CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID,
            CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID},
        AW_CODE_TOKEN, 5},
    {"device removed", {CKR_DEVICE_REMOVED}, AW_CODE_TOKEN_GONE, 1},
    {"out of sessions", {CKR_SESSION_COUNT}, AW_CODE_BUSY, 1},
    {"general error once", {CKR_GENERAL_ERROR}, AW_CODE_OK, 2},
    {"general error always",
        {CKR_GENERAL_ERROR, CKR_GENERAL_ERROR, CKR_GENERAL_ERROR, CKR_GENERAL_ERROR,
            CKR_GENERAL_ERROR},
        AW_CODE_TOKEN, 4},
    {"a fatal answer", {CKR_DATA_INVALID}, AW_CODE_TOKEN, 1},
    {"mechanism", {CKR_MECHANISM_INVALID}, AW_CODE_UNSUPPORTED, 1},
};

static void
test_answers_to_sign(void **state)
{
    struct fixture *f = *state;
    CK_FUNCTION_LIST *p = softhsm_functions();

    real_sign = p->C_Sign;
    p->C_Sign = scripted_sign;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        sign_calls = 0;
        memcpy(sign_answers, rows[i].answers, sizeof(sign_answers));
        aw_result r = sign(f);
        unsigned calls = sign_calls;
        if (r.code != rows[i].code || calls != rows[i].calls)
            fail_msg("%s: %s after %u calls (%s)", rows[i].name, aw_code_tag(r.code), calls,
                aw_ok(r) ? "" : aw_error_last()->message);
        sign_calls = AW_COUNT(sign_answers);
        if (!aw_ok(sign(f)))
            fail_msg("the call after \"%s\": %s", rows[i].name, aw_error_last()->message);
    }
    p->C_Sign = real_sign;
}

/* A login that is lost between the recovery's login and its search: not a missing key. */

static CK_C_FindObjectsInit real_find;
static unsigned logouts_left;

static CK_RV
logging_out_find(CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, unsigned long count)
{
    if (logouts_left > 0) {
        logouts_left--;
        softhsm_functions()->C_Logout(s);
    }
    return real_find(s, template, count);
}

static void
test_hidden_key_is_not_missing(void **state)
{
    struct fixture *f = *state;
    CK_FUNCTION_LIST *p = softhsm_functions();
    token_key *found = NULL;

    real_find = p->C_FindObjectsInit;
    p->C_FindObjectsInit = logging_out_find;
    logouts_left = 1;
    assert_ok(token_key_find(f->t, "account", &found));
    token_key_free(&found);
    logout(f);
    logouts_left = 2;
    assert_ok(sign(f));
    logout(f);
    logouts_left = 1;
    assert_ok(mac(f));
    assert_fails(token_key_find(f->t, "absent", &found), AW_CODE_TOKEN_KEY_MISSING, "absent");
    p->C_FindObjectsInit = real_find;
}

/* A pool whose only session is held answers busy in time, and works again after. */

static pthread_barrier_t barrier;

static CK_RV
waiting_sign(CK_SESSION_HANDLE s, unsigned char *data, unsigned long size, unsigned char *out,
    unsigned long *out_size)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return real_sign(s, data, size, out, out_size);
}

static void *
sign_thread(void *f)
{
    assert_ok(sign(f));
    return NULL;
}

static void
test_busy_pool(void **state)
{
    struct fixture *f = *state;
    CK_FUNCTION_LIST *p = softhsm_functions();
    pthread_t thread;

    token_key_free(&f->key);
    token_mac_free(&f->mac);
    token_close(&f->t);
    f->h.config.sessions = 1;
    f->h.config.timeout_ms = 20;
    f->t = softhsm_open(&f->h);
    assert_ok(token_key_find(f->t, "account", &f->key));
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    real_sign = p->C_Sign;
    p->C_Sign = waiting_sign;
    assert_int_equal(pthread_create(&thread, NULL, sign_thread, f), 0);
    pthread_barrier_wait(&barrier); /* the thread is inside C_Sign */
    assert_fails(sign(f), AW_CODE_BUSY, "stayed busy for 20 ms");
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    p->C_Sign = real_sign;
    assert_ok(sign(f));
    pthread_barrier_destroy(&barrier);
}

/* A token with fewer sessions than asked: those are used. */

static CK_C_OpenSession real_open;
static unsigned sessions_left;

static CK_RV
scarce_open(CK_SLOT_ID slot, unsigned long flags, void *application, CK_NOTIFY notify,
    CK_SESSION_HANDLE *out)
{
    if (sessions_left == 0)
        return CKR_SESSION_COUNT;
    sessions_left--;
    return real_open(slot, flags, application, notify, out);
}

static void
test_token_with_few_sessions(void **state)
{
    struct fixture *f = *state;
    CK_FUNCTION_LIST *p = softhsm_functions();
    token *t = NULL;

    token_key_free(&f->key);
    token_mac_free(&f->mac);
    token_close(&f->t);
    real_open = p->C_OpenSession;
    p->C_OpenSession = scarce_open;
    sessions_left = 1; /* the anchor alone */
    assert_fails(token_open(&f->h.config, &t), AW_CODE_BUSY, "CKR_SESSION_COUNT");
    sessions_left = 3;
    f->t = softhsm_open(&f->h);
    assert_ok(token_key_find(f->t, "account", &f->key));
    assert_ok(sign(f));
    p->C_OpenSession = real_open;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_disturbances_are_recovered_from, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finding_logs_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovery_with_a_changed_pin_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroyed_key_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_key_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiped_token_fails_cleanly, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finalized_module_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_to_sign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hidden_key_is_not_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token_with_few_sessions, setup, teardown),
    };

    return cmocka_run_group_tests_name("token_recovery", tests, NULL, NULL);
}
