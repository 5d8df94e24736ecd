/* Many threads, few sessions; the last test disturbs them while they sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "softhsm.h"

enum { THREADS = 8, SIGNATURES = 500 };

struct worker {
    token *t;
    token_key *key;
    token_mac *mac;
    unsigned count;
    atomic_uint done;
    struct aw_error error;
};

static struct softhsm h;
static token *shared;
static token_key *key;
static token_mac *mac;

static int
setup(void **state)
{
    struct token_key_report report;
    aw_secret *value = NULL;
    uint8_t random[32];

    (void)state;
    softhsm_make(&h);
    h.config.timeout_ms = 60000;
    shared = softhsm_open(&h);
    assert_ok(token_key_generate(shared, "account", TOKEN_KEY_EC_P256, &report, &key));
    RAND_bytes(random, sizeof(random));
    assert_ok(aw_secret_new(32, &value));
    assert_ok(aw_secret_append(value, random, sizeof(random)));
    assert_ok(token_mac_import(shared, "eab", TOKEN_HS256, value, false, &report));
    assert_ok(token_mac_find(shared, "eab", TOKEN_HS256, &mac));
    aw_secret_free(&value);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    token_key_free(&key);
    token_mac_free(&mac);
    token_close(&shared);
    softhsm_remove(&h);
    return 0;
}

static aw_result
work_once(struct worker *w, unsigned i)
{
    uint8_t out[TOKEN_SIGNATURE_MAX];
    size_t size;

    if (i % 16 == 15)
        return token_mac_compute(w->mac, &i, sizeof(i), out, &size);
    return token_key_sign(w->key, &i, sizeof(i), out, &size);
}

static void *
work(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < w->count; i++) {
        if (!aw_ok(work_once(w, i))) {
            aw_error_save(&w->error);
            break;
        }
        w->done++;
    }
    return NULL;
}

static void
start(struct worker workers[THREADS], pthread_t threads[THREADS], unsigned count)
{
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.t = shared, .key = key, .mac = mac, .count = count};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
}

static void
finish(struct worker workers[THREADS], pthread_t threads[THREADS], unsigned count)
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++)
        if (workers[i].done != count)
            fail_msg(
                "thread %d stopped after %u: %s", i, workers[i].done, workers[i].error.message);
}

static void
test_eight_threads_four_sessions(void **state)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    start(workers, threads, SIGNATURES);
    finish(workers, threads, SIGNATURES);
}

/* Until every thread has done `more`, or is done: a wait for progress, not for time. */
static void
wait_for_all(struct worker workers[THREADS], unsigned more)
{
    for (int i = 0; i < THREADS; i++) {
        unsigned goal = atomic_load(&workers[i].done) + more;
        if (goal > workers[i].count)
            goal = workers[i].count;
        for (int spins = 0; atomic_load(&workers[i].done) < goal && spins < 100000; spins++)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

/*
 * Somebody logs out, again and again, and no call fails. Between two logouts every thread gets
 * through, since a call may recover a few times only. (Sessions are not closed under running calls
 * here: SoftHSM frees them while in use.)
 */
static void
test_logouts_under_load(void **state)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    CK_SESSION_HANDLE session = softhsm_session();
    start(workers, threads, 200);
    for (unsigned round = 1; round <= 6; round++) {
        wait_for_all(workers, 10);
        CK_RV rv = softhsm_functions()->C_Logout(session);
        assert_true(rv == CKR_OK || rv == CKR_USER_NOT_LOGGED_IN);
    }
    finish(workers, threads, 200);
}

/* Generating, finding and destroying beside each other. */
static void *
live_and_die(void *context)
{
    struct worker *w = context;

    for (unsigned i = 0; i < w->count; i++) {
        struct token_key_report report;
        token_key *made = NULL;
        char label[32];
        snprintf(label, sizeof(label), "k%p-%u", context, i);
        if (!aw_ok(token_key_generate(w->t, label, TOKEN_KEY_EC_P256, &report, &made)) ||
            !aw_ok(token_key_destroy(made))) {
            aw_error_save(&w->error);
            token_key_free(&made);
            break;
        }
        token_key_free(&made);
        w->done++;
    }
    return NULL;
}

static void
test_writers_beside_signers(void **state)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct worker writers[2];
    pthread_t writer_threads[2];

    (void)state;
    start(workers, threads, 100);
    for (int i = 0; i < 2; i++) {
        writers[i] = (struct worker){.t = shared, .count = 10};
        assert_int_equal(pthread_create(&writer_threads[i], NULL, live_and_die, &writers[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(writer_threads[i], NULL), 0);
    finish(workers, threads, 100);
    for (int i = 0; i < 2; i++)
        if (writers[i].done != 10)
            fail_msg(
                "writer %d stopped after %u: %s", i, writers[i].done, writers[i].error.message);
}

/* SoftHSM fails one creation of five when another thread searches meanwhile: ours never do both. */
static atomic_bool stop;

static void *
find_on(void *context)
{
    struct worker *w = context;

    while (!atomic_load(&stop)) {
        token_key *found = NULL;
        if (!aw_ok(token_key_find(w->t, "account", &found))) {
            aw_error_save(&w->error);
            return NULL;
        }
        token_key_free(&found);
        w->done++;
    }
    return NULL;
}

static void
test_writers_beside_searches(void **state)
{
    struct worker finders[3];
    pthread_t threads[3];
    struct worker writer = {.t = shared, .count = 60};

    (void)state;
    for (int i = 0; i < 3; i++) {
        finders[i] = (struct worker){.t = shared};
        assert_int_equal(pthread_create(&threads[i], NULL, find_on, &finders[i]), 0);
    }
    live_and_die(&writer);
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (writer.done != 60)
        fail_msg("the writer stopped after %u: %s", writer.done, writer.error.message);
    for (int i = 0; i < 3; i++)
        if (finders[i].error.code != AW_CODE_OK)
            fail_msg("finder %d: %s", i, finders[i].error.message);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_threads_four_sessions),
        cmocka_unit_test(test_logouts_under_load),
        cmocka_unit_test(test_writers_beside_signers),
        cmocka_unit_test(test_writers_beside_searches),
    };

    return cmocka_run_group_tests_name("token_threads", tests, setup, teardown);
}
