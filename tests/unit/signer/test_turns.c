/* Turns at the token: applications one after the other, whatever one of them asks for. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/result.h"
#include "signer/turns.h"

enum { CROWD_MAX = TURNS_WAITING_PER_PARTY_MAX + 8, LONG_MS = 60 * 1000, SHORT_MS = 50 };

/* All turns may be one party's. */
static turns *
open_turns(unsigned count, unsigned timeout_ms)
{
    turns *t = NULL;

    assert_true(aw_ok(turns_new(&(struct turns_rule){.count = count,
                                    .share = count,
                                    .timeout_ms = timeout_ms,
                                    .what = "the token",
                                    .hint = "raise token.sessions"},
        &t)));
    return t;
}

/* Requests that wait, and the order in which they were served. */
struct crowd {
    turns *turns;
    pthread_mutex_t lock;
    char served[CROWD_MAX + 1];
    size_t count;
};

struct request {
    struct crowd *crowd;
    char application[2];
    pthread_t thread;
    enum aw_code code;
};

static void *
ask(void *argument)
{
    struct request *request = argument;
    struct crowd *crowd = request->crowd;
    struct turn turn;
    aw_result r = turns_take(crowd->turns, request->application, &turn);

    request->code = r.code;
    if (!aw_ok(r))
        return NULL;
    pthread_mutex_lock(&crowd->lock);
    crowd->served[crowd->count++] = request->application[0];
    pthread_mutex_unlock(&crowd->lock);
    turns_give(crowd->turns, &turn);
    return NULL;
}

static void
wait_until_waiting(turns *t, unsigned expected)
{
    unsigned waiting = 0, had = 0;
    const struct timespec pause = {.tv_nsec = 200000};

    for (turns_count(t, &waiting, &had); waiting != expected; turns_count(t, &waiting, &had))
        nanosleep(&pause, NULL);
}

/* Has the only turn while `arrivals` line up one after the other, then lets them go. */
static void
serve(const char *arrivals, struct crowd *crowd)
{
    struct request requests[CROWD_MAX];
    size_t count = strlen(arrivals);
    struct turn held;

    crowd->turns = open_turns(1, LONG_MS);
    assert_true(aw_ok(turns_take(crowd->turns, "holder", &held)));
    for (size_t i = 0; i < count; i++) {
        requests[i] = (struct request){.crowd = crowd, .application = {arrivals[i], '\0'}};
        assert_int_equal(0, pthread_create(&requests[i].thread, NULL, ask, &requests[i]));
        wait_until_waiting(crowd->turns, (unsigned)i + 1);
    }
    turns_give(crowd->turns, &held);
    for (size_t i = 0; i < count; i++) {
        pthread_join(requests[i].thread, NULL);
        assert_int_equal(AW_CODE_OK, requests[i].code);
    }
    turns_free(&crowd->turns);
}

static void
attack_107_each_application_in_its_turn(void **state)
{
    static const struct {
        const char *name, *arrivals, *served;
    } rows[] = {
        {"one application: in the order of arrival", "aaaa", "aaaa"},
        {"one that comes late is not behind all of another's", "aaaaaaab", "abaaaaaa"},
        {"two of equal wishes", "aaabbb", "ababab"},
        {"three, each in its turn", "aaaabbc", "abcabaa"},
        {"interleaved arrivals", "abacabad", "abcdabaa"},
        {"many applications of one request each", "abcdefgh", "abcdefgh"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};

        serve(rows[i].arrivals, &crowd);
        if (strcmp(crowd.served, rows[i].served) != 0)
            fail_msg("%s: arrived %s, served %s, expected %s", rows[i].name, rows[i].arrivals,
                crowd.served, rows[i].served);
    }
}

/* A turn that nobody can have ends in "busy", and leaves no trace in the line. */
static void
test_timeout(void **state)
{
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
    unsigned waiting = 1, had = 0;
    struct turn first, second, late;
    (void)state;

    crowd.turns = open_turns(2, SHORT_MS);
    assert_true(aw_ok(turns_take(crowd.turns, "a", &first)));
    assert_true(aw_ok(turns_take(crowd.turns, "a", &second)));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(AW_CODE_BUSY, turns_take(crowd.turns, i == 1 ? "a" : "b", &late).code);
        assert_non_null(strstr(aw_error_last()->message, "stayed busy"));
    }
    turns_count(crowd.turns, &waiting, &had);
    assert_int_equal(0, waiting);
    assert_int_equal(2, had);
    turns_give(crowd.turns, &late); /* it was not had */
    turns_give(crowd.turns, &first);
    assert_true(aw_ok(turns_take(crowd.turns, "b", &late)));
    turns_give(crowd.turns, &late);
    turns_give(crowd.turns, &second);
    turns_free(&crowd.turns);
}

/* One application fills its own line only: the next of it is told at once, another one waits. */
static void
test_full_line(void **state)
{
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct request requests[TURNS_WAITING_PER_PARTY_MAX + 1];
    struct turn held, late;
    (void)state;

    crowd.turns = open_turns(1, LONG_MS);
    assert_true(aw_ok(turns_take(crowd.turns, "holder", &held)));
    for (unsigned i = 0; i < AW_COUNT(requests); i++) {
        bool other = i == TURNS_WAITING_PER_PARTY_MAX;
        requests[i] = (struct request){.crowd = &crowd, .application = {other ? 'b' : 'a', '\0'}};
        if (other) {
            assert_int_equal(AW_CODE_BUSY, turns_take(crowd.turns, "a", &late).code);
            assert_non_null(strstr(aw_error_last()->message, "of a wait"));
        }
        assert_int_equal(0, pthread_create(&requests[i].thread, NULL, ask, &requests[i]));
        wait_until_waiting(crowd.turns, i + 1);
    }
    turns_give(crowd.turns, &held);
    for (size_t i = 0; i < AW_COUNT(requests); i++) {
        pthread_join(requests[i].thread, NULL);
        assert_int_equal(AW_CODE_OK, requests[i].code);
    }
    assert_int_equal('b', crowd.served[1]);
    turns_free(&crowd.turns);
}

/* Whether `party` would have a turn at once. */
static bool
is_free(turns *t, const char *party)
{
    struct turn turn;
    aw_result r = turns_take(t, party, &turn);

    turns_give(t, &turn);
    return aw_ok(r);
}

/* Of six turns, two are one's share while there are others. */
static void
attack_107_a_share_of_what_is_worked_on(void **state)
{
    const struct turns_rule rule = {
        .count = 6, .share = 2, .timeout_ms = 1, .what = "", .hint = ""};
    struct turn greedy[4], other[2];
    turns *t = NULL;
    (void)state;

    assert_true(aw_ok(turns_new(&rule, &t)));
    for (size_t i = 0; i < AW_COUNT(greedy); i++) /* it is alone */
        assert_true(aw_ok(turns_take(t, "greedy", &greedy[i])));
    assert_true(aw_ok(turns_take(t, "other", &other[0])));
    assert_false(is_free(t, "greedy"));
    assert_true(aw_ok(turns_take(t, "other", &other[1])));
    turns_give(t, &greedy[0]);
    assert_false(is_free(t, "other"));
    turns_give(t, &greedy[1]);
    turns_give(t, &other[0]);
    assert_true(is_free(t, "other"));
    assert_true(is_free(t, "third"));
    assert_false(is_free(t, "greedy")); /* two are still had */
    turns_give(t, &greedy[2]);
    assert_true(is_free(t, "greedy"));
    turns_give(t, &greedy[3]);
    turns_give(t, &other[1]);
    turns_free(&t);
}

/* What another's end frees is had by those of the same party that wait for their share, and by as
 * many as there are turns. */
static void
test_share_is_called(void **state)
{
    const struct turns_rule rule = {
        .count = 3, .share = 1, .timeout_ms = LONG_MS, .what = "", .hint = ""};
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct request requests[5];
    struct turn a, b;
    (void)state;

    assert_true(aw_ok(turns_new(&rule, &crowd.turns)));
    assert_true(aw_ok(turns_take(crowd.turns, "a", &a)));
    assert_true(aw_ok(turns_take(crowd.turns, "b", &b)));
    for (unsigned i = 0; i < AW_COUNT(requests); i++) {
        requests[i] = (struct request){.crowd = &crowd, .application = {"aaabb"[i], '\0'}};
        assert_int_equal(0, pthread_create(&requests[i].thread, NULL, ask, &requests[i]));
        wait_until_waiting(crowd.turns, i + 1);
    }
    turns_give(crowd.turns, &a);
    for (size_t i = 0; i < 3; i++)
        pthread_join(requests[i].thread, NULL);
    assert_string_equal("aaa", crowd.served);
    turns_give(crowd.turns, &b);
    for (size_t i = 3; i < AW_COUNT(requests); i++)
        pthread_join(requests[i].thread, NULL);
    assert_string_equal("aaabb", crowd.served);
    turns_free(&crowd.turns);
}

/* Threads that take, give and run out of time at once: no turn is lost and none is had twice. */
struct stress {
    turns *turns;
    atomic_int inside;
    atomic_int most;
    atomic_long got;
};

static void *
hurry(void *argument)
{
    struct stress *stress = argument;
    char application[2] = {0};

    for (int i = 0; i < 400; i++) {
        application[0] = (char)('a' + i % 3);
        struct turn turn;
        aw_result r = turns_take(stress->turns, application, &turn);
        if (!aw_ok(r))
            continue;
        int inside = atomic_fetch_add(&stress->inside, 1) + 1;
        if (inside > atomic_load(&stress->most))
            atomic_store(&stress->most, inside);
        atomic_fetch_add(&stress->got, 1);
        if (i % 8 == 0)
            nanosleep(&(struct timespec){.tv_nsec = 700000}, NULL);
        atomic_fetch_sub(&stress->inside, 1);
        turns_give(stress->turns, &turn);
    }
    return NULL;
}

static void
test_stress(void **state)
{
    struct stress stress = {.turns = NULL};
    pthread_t threads[12];
    unsigned waiting = 1, had = 1;
    (void)state;

    stress.turns = open_turns(3, 1);
    for (size_t i = 0; i < AW_COUNT(threads); i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, hurry, &stress));
    for (size_t i = 0; i < AW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    turns_count(stress.turns, &waiting, &had);
    assert_int_equal(0, waiting);
    assert_int_equal(0, had);
    assert_in_range(atomic_load(&stress.most), 1, 3);
    assert_true(atomic_load(&stress.got) > 0);
    turns_free(&stress.turns);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_107_each_application_in_its_turn),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_full_line),
        cmocka_unit_test(attack_107_a_share_of_what_is_worked_on),
        cmocka_unit_test(test_share_is_called),
        cmocka_unit_test(test_stress),
    };

    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
