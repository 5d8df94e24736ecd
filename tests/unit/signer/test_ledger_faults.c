/*
 * Races, a full disk, and the cost of a request. sqlite3_open_v2 is wrapped at link time to get
 * at the ledger's connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_support.h"

#include "common/hex.h"

#define U "https://ca.example.net/"

static sqlite3 *connection;

int __real_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs);
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs);

int
__wrap_sqlite3_open_v2(const char *path, sqlite3 **out, int flags, const char *vfs)
{
    int status = __real_sqlite3_open_v2(path, out, flags, vfs);

    connection = *out;
    return status;
}

/* Attack 91. */

enum { THREADS = 8, QUOTA = 5 };

struct racer {
    struct ledger_scene *scene;
    pthread_barrier_t *start;
    const struct ask *ask;
    bool permitted, failed;
};

static void *
race(void *context)
{
    struct racer *racer = context;
    struct ledger_verdict verdict;
    int64_t seq;

    pthread_barrier_wait(racer->start);
    racer->failed = !aw_ok(scene_ask(racer->scene, racer->ask, &verdict, &seq)) ||
                    !aw_ok(audit_log_wait(racer->scene->log, seq));
    racer->permitted = !racer->failed && verdict.rule == LEDGER_NONE;
    return NULL;
}

static int
run_race(struct ledger_scene *scene, const struct ask *ask)
{
    struct racer racers[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    int permits = 0;

    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){scene, &start, ask, false, false};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(racers[i].failed);
        permits += racers[i].permitted;
    }
    pthread_barrier_destroy(&start);
    return permits;
}

static void
attack_91_one_wins_the_last_unit(void **state)
{
    struct ledger_scene scene;
    struct ledger_usage today;

    (void)state;
    scene_start(&scene);
    for (int round = 0; round < 20; round++) {
        char application[32];
        snprintf(application, sizeof(application), "app-%d", round);
        const struct ask ask = {SIGN_NEW_ORDER, .application = application, .limit = QUOTA};
        for (int i = 1; i < QUOTA; i++)
            scene_expect(&scene, "before the race", &ask, LEDGER_NONE);
        assert_int_equal(run_race(&scene, &ask), 1);
        assert_true(aw_ok(ledger_used_today(scene.ledger, application, T0, &today)));
        assert_int_equal(today.orders, QUOTA);
    }
    scene_end(&scene);
}

static void
one_url_has_one_winner(void **state)
{
    struct ledger_scene scene;
    char url[] = U "finalize/1";
    struct sign_claim claim = {SIGN_URL_FINALIZE, url};

    (void)state;
    scene_start(&scene);
    struct ask ask = {SIGN_CLAIM, .order = scene_order(&scene, "app-a", NULL), .claims = &claim,
        .claim_count = 1};
    scene_expect(&scene, "claim", &ask, LEDGER_NONE);
    ask = (struct ask){
        SIGN_FINALIZE, .order = ask.order, .url = url, .csr = DIGEST_A, .key = DIGEST_B};
    assert_int_equal(run_race(&scene, &ask), THREADS);
    ask.csr = DIGEST_C;
    assert_int_equal(run_race(&scene, &ask), 0);
    scene_end(&scene);
}

/* Attack 104, of the ledger's disk: nothing is permitted that the index cannot hold. */

static void
set_page_limit(int64_t pages)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)pages);
    assert_int_equal(sqlite3_exec(connection, sql, NULL, NULL, NULL), SQLITE_OK);
}

static aw_result
order_until_failure(struct ledger_scene *scene, int *permits)
{
    const struct ask ask = {SIGN_NEW_ORDER, .limit = 100000};
    struct ledger_verdict verdict;
    int64_t seq;
    aw_result r = AW_OK;

    for (*permits = -1; aw_ok(r) && *permits < 5000; ++*permits)
        r = scene_ask(scene, &ask, &verdict, &seq);
    return r;
}

static void
attack_104_a_full_ledger_stops(void **state)
{
    struct ledger_scene scene;
    const struct ask ask = {SIGN_NEW_ORDER, .limit = 100000};
    struct ledger_verdict verdict;
    int64_t seq;
    struct ledger_usage today;
    int permits;

    (void)state;
    scene_start(&scene);
    scene_order(&scene, "app-a", NULL);
    set_page_limit(1);
    aw_result r = order_until_failure(&scene, &permits);
    assert_int_equal(r.code, AW_CODE_IO);
    assert_int_equal(aw_error_last()->cause, AW_CAUSE_SQLITE);
    assert_true(aw_error_last()->hint[0] != '\0');
    set_page_limit(1000000);
    for (int i = 0; i < 3; i++) {
        r = scene_ask(&scene, &ask, &verdict, &seq);
        assert_int_equal(r.code, AW_CODE_UNAVAILABLE);
    }
    assert_int_equal(ledger_commit(scene.ledger).code, AW_CODE_UNAVAILABLE);
    assert_false(aw_ok(ledger_used_today(scene.ledger, "app-a", T0, &today)));
    scene_close(&scene);
    scene_open(&scene);
    assert_true(aw_ok(ledger_used_today(scene.ledger, "app-a", T0, &today)));
    assert_int_equal(
        today.orders, permits + 2); /* the one that failed is on the record, and counts */
    scene_end(&scene);
}

/* SQLite's own count of its virtual machine's steps, since it was asked last. */
static void
count_steps(int *steps, int *scans)
{
    *steps = *scans = 0;
    for (sqlite3_stmt *s = sqlite3_next_stmt(connection, NULL); s != NULL;
         s = sqlite3_next_stmt(connection, s)) {
        *steps += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
        *scans += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
        *scans += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_SORT, 1);
    }
}

/* One order with everything that can be asked of it; returns the steps. */
static int
steps_of_a_round(struct ledger_scene *scene, int round)
{
    char url[] = U "finalize/000000";
    char key[AW_DIGEST_HEX_SIZE];
    struct sign_claim claim = {SIGN_URL_FINALIZE, url};
    struct ask ask = {SIGN_NEW_ORDER, .limit = 100000};
    struct ledger_usage today;
    int steps;
    int scans;

    snprintf(url, sizeof(url), U "finalize/%06d", round);
    snprintf(key, sizeof(key), "%064d", round);
    count_steps(&steps, &scans);
    ask.order = scene_expect(scene, "order", &ask, LEDGER_NONE);
    ask.limit = round > 0 ? round : 1;
    ask.operation = SIGN_NEW_ORDER;
    scene_expect(scene, "refused", &ask, LEDGER_QUOTA_ORDERS);
    ask = (struct ask){SIGN_CLAIM, .order = ask.order, .claims = &claim, .claim_count = 1};
    scene_expect(scene, "claim", &ask, LEDGER_NONE);
    ask = (struct ask){SIGN_FINALIZE, .order = ask.order, .url = url, .csr = key, .key = key};
    scene_expect(scene, "finalize", &ask, LEDGER_NONE);
    ask.operation = SIGN_POST_AS_GET;
    scene_expect(scene, "poll", &ask, LEDGER_URL_UNCLAIMED);
    ask.operation = SIGN_RECORD_CERTIFICATE;
    scene_expect(scene, "certificate", &ask, LEDGER_NONE);
    ask.operation = SIGN_REVOKE;
    scene_expect(scene, "revoke", &ask, LEDGER_NONE);
    count_steps(&steps, &scans);
    assert_int_equal(scans, 0);
    assert_true(aw_ok(ledger_used_today(scene->ledger, "app-a", T0, &today)));
    assert_int_equal(today.orders, round + 1);
    return steps;
}

static void
the_cost_of_a_request_does_not_grow(void **state)
{
    struct ledger_scene scene;
    int early = 0;
    int late = 0;

    (void)state;
    scene_start(&scene);
    for (int round = 0; round < 3000; round++) {
        int steps = steps_of_a_round(&scene, round);
        early = round == 10 ? steps : early;
        late = round == 2900 ? steps : late;
    }
    if (early != late)
        fail_msg("%d steps with 10 orders, %d with 2900", early, late);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_91_one_wins_the_last_unit),
        cmocka_unit_test(one_url_has_one_winner),
        cmocka_unit_test(attack_104_a_full_ledger_stops),
        cmocka_unit_test(the_cost_of_a_request_does_not_grow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
