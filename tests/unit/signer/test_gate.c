/* A gate and the core's side of it, in one process: who gets in, how many, for how long, and what
 * is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "gate_fixture.h"

/* Answers. */

static void
every_message_gets_its_answer(void **state)
{
    static const struct {
        const char *name, *message, *answer;
        bool ends;
    } rows[] = {
        {"a call", CALL "Good\"}", GOOD, false},
        {"no JSON", "x", "{\"error\":\"garbage\"}", false},
        {"an empty message", "", "{\"error\":\"garbage\"}", false},
        {"no method", "{\"method\":1}", "{\"error\":\"garbage\"}", false},
        {"more", "{\"method\":\"org.example.Test.Good\",\"more\":true}", "{\"error\":\"garbage\"}",
            false},
        {"a handler that fails", CALL "Fail\"}", "{\"error\":\"failure\"}", false},
        {"a reply that is too long", CALL "Long\"}", "{\"error\":\"failure\"}", false},
    };
    struct gate_fixture *f = *state;

    gate_fixture_start(f);
    int fd = gate_dial(f);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        gate_say(fd, rows[i].message);
        if (!gate_hears(fd, rows[i].answer))
            fail_msg("%s: another answer", rows[i].name);
    }
    gate_say(fd, CALL "Who\"}");
    assert_true(gate_hears(fd, GOOD));
    char user[PEER_USER_SIZE];
    gate_user(user);
    const struct passwd *me = getpwuid(geteuid());
    if (me != NULL)
        assert_string_equal(user, me->pw_name);
    close(fd);
}

/* Attack 15b: two calls in one write; attack 105: 200 writes for one. */
static void
attacks_15b_and_105_writes_are_no_messages(void **state)
{
    struct gate_fixture *f = *state;
    const char call[] = CALL "Good\"}";

    gate_fixture_start(f);
    int fd = gate_dial(f);
    assert_int_equal(
        send(fd, CALL "Good\"}\0" CALL "Good\"}", 2 * sizeof(call), 0), 2 * sizeof(call));
    assert_true(gate_hears(fd, GOOD));
    assert_true(gate_hears(fd, GOOD));
    for (size_t i = 0; i < sizeof(call); i++)
        assert_int_equal(send(fd, &call[i], 1, MSG_NOSIGNAL), 1);
    assert_true(gate_hears(fd, GOOD));
    close(fd);
}

/* Attack 15a, 105: the peer is told, and that is the end. */
static void
attacks_15a_and_105_a_message_that_never_ends(void **state)
{
    struct gate_fixture *f = *state;
    char block[4096];
    int sent = 0;

    gate_fixture_start(f);
    int fd = gate_dial(f);
    memset(block, 'x', sizeof(block));
    while (sent <= AW_VARLINK_MAX_MESSAGE) {
        ssize_t size = send(fd, block, sizeof(block), MSG_NOSIGNAL);
        if (size <= 0)
            break;
        sent += (int)size;
    }
    assert_true(gate_hears(fd, "{\"error\":\"garbage\"}"));
    assert_true(gate_hears(fd, ""));
    close(fd);
    assert_int_equal(gate_answered, 0);
}

static void
a_message_that_is_cut_off(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_start(f);
    int fd = gate_dial(f);
    assert_int_equal(send(fd, "{\"met", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_true(gate_hears(fd, "{\"error\":\"garbage\"}"));
    assert_true(gate_hears(fd, ""));
    close(fd);
}

/* Who gets in. */

static void
who_has_no_business_is_dropped_at_accept(void **state)
{
    struct gate_fixture *f = *state;

    gate_admits = false;
    gate_fixture_start(f);
    int fd = gate_dial(f);
    send(fd, CALL "Good\"}", sizeof(CALL "Good\"}"), MSG_NOSIGNAL);
    assert_true(gate_hears(fd, ""));
    close(fd);
    assert_int_equal(gate_answered, 0);
}

static void
limits_hold_and_what_is_closed_is_free_again(void **state)
{
    static const struct {
        const char *name;
        size_t connections, per_uid;
        int expected;
    } rows[] = {{"in all", 3, 64, 3}, {"of a uid", 64, 2, 2}};
    struct gate_fixture *f = *state;
    int fds[65];

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        f->service.limits.connections = rows[i].connections;
        f->service.limits.connections_per_uid = rows[i].per_uid;
        gate_fixture_start(f);
        if (gate_fill(f, fds, 64) != rows[i].expected)
            fail_msg("%s: another number of connections", rows[i].name);
        close(fds[rows[i].expected]);
        close(fds[0]);
        /* The slot is free once its thread has seen the end. */
        bool again = false;
        for (int tries = 0; tries < 1000 && !again; tries++) {
            fds[0] = gate_dial(f);
            again = gate_serves(fds[0]);
            if (!again)
                close(fds[0]);
        }
        assert_true(again);
        for (int j = 0; j < rows[i].expected; j++)
            close(fds[j]);
        gate_fixture_end(f);
    }
}

/* accept4 fails as often as that, with that. */
static atomic_int refusals, refusal;

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);

int
__wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    if (atomic_load(&refusals) == 0)
        return __real_accept4(fd, address, size, flags);
    atomic_fetch_sub(&refusals, 1);
    errno = atomic_load(&refusal);
    return -1;
}

static int64_t
monotonic_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What waits stays readable meanwhile: the gate neither spins on it nor gives up. */
static void
who_comes_when_descriptors_have_run_out_is_served_later(void **state)
{
    static const struct {
        const char *name;
        int error;
    } rows[] = {{"of the process", EMFILE}, {"of the system", ENFILE}, {"no memory", ENOMEM},
        {"no buffers", ENOBUFS}};
    enum { TIMES = 2, PAUSE_MS = 100 };
    struct gate_fixture *f = *state;

    gate_fixture_start(f);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int64_t begun = monotonic_ms();
        refusal = rows[i].error;
        refusals = TIMES;
        int fd = gate_dial(f);
        if (!gate_serves(fd))
            fail_msg("%s: not served", rows[i].name);
        if (refusals != 0 || monotonic_ms() - begun < TIMES * PAUSE_MS - 10)
            fail_msg("%s: tried again at once", rows[i].name);
        close(fd);
    }
    gate_fixture_end(f);
}

/* Time. Only that it ends is asserted, never when. */

static void
an_idle_connection_is_closed(void **state)
{
    struct gate_fixture *f = *state;

    f->service.limits.idle_ms = 30;
    gate_fixture_start(f);
    int fd = gate_dial(f);
    assert_true(gate_hears(fd, ""));
    close(fd);
    fd = gate_dial(f);
    gate_say(fd, CALL "Good\"}");
    assert_true(gate_hears(fd, GOOD));
    assert_true(gate_hears(fd, ""));
    close(fd);
}

/* Attack 105: an octet now and then is not idle, but a call has to come in one piece. */
static void
attack_105_one_octet_at_a_time(void **state)
{
    struct gate_fixture *f = *state;
    bool closed = false;

    f->service.limits.message_ms = 60;
    gate_fixture_start(f);
    int fd = gate_dial(f);
    for (int i = 0; i < 2000 && !closed; i++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        closed = send(fd, " ", 1, MSG_NOSIGNAL) != 1 || poll(&wait, 1, 10) == 1;
    }
    assert_true(closed);
    assert_int_equal(gate_answered, 0);
    close(fd);
}

/* A peer that asks and does not listen keeps its slot for send_ms. */
static void
a_peer_that_does_not_read_loses_its_slot(void **state)
{
    struct gate_fixture *f = *state;
    int fds[9];

    f->service.limits.connections = 1;
    f->service.limits.send_ms = 50;
    gate_fixture_start(f);
    int deaf = gate_dial(f);
    for (int i = 0; i < 50; i++)
        if (send(deaf, CALL "Large\"}", sizeof(CALL "Large\"}"), MSG_NOSIGNAL) <= 0)
            break;
    int count = 0;
    for (int tries = 0; tries < 2000 && count == 0; tries++) {
        count = gate_fill(f, fds, 1);
        if (count == 0) {
            close(fds[0]);
            poll(NULL, 0, 5);
        }
    }
    assert_int_equal(count, 1);
    close(fds[0]);
    close(deaf);
}

/* The end. */

static void *
stop(void *context)
{
    struct gate_fixture *f = context;

    gate_fixture_end(f);
    return NULL;
}

static void
calls_in_progress_are_answered_at_the_end(void **state)
{
    struct gate_fixture *f = *state;
    pthread_t stopper;
    int fds[4];

    gate_fixture_start(f);
    for (int i = 0; i < 4; i++) {
        fds[i] = gate_dial(f);
        gate_say(fds[i], CALL "Wait\"}");
        sem_wait(&gate_entered);
    }
    assert_int_equal(pthread_create(&stopper, NULL, stop, f), 0);
    for (int i = 0; i < 4; i++)
        sem_post(&gate_released);
    for (int i = 0; i < 4; i++) {
        assert_true(gate_hears(fds[i], GOOD));
        assert_true(gate_hears(fds[i], ""));
        close(fds[i]);
    }
    pthread_join(stopper, NULL);
    assert_null(f->gate);
}

static void
who_called_before_the_end_is_answered(void **state)
{
    struct gate_fixture *f = *state;

    for (int i = 0; i < 40; i++) {
        gate_fixture_start(f);
        int fd = gate_dial(f);
        gate_say(fd, CALL "Good\"}");
        gate_fixture_end(f);
        assert_true(gate_hears(fd, GOOD));
        assert_true(gate_hears(fd, ""));
        close(fd);
    }
}

/* Who dials on and on is let in more slowly; that he has called before the end counts all the same.
 */
static void
who_connects_too_fast_waits(void **state)
{
    struct gate_fixture *f = *state;
    int fds[4];

    f->service.limits.burst = 2;
    f->service.limits.per_second = 10;
    gate_fixture_start(f);
    int64_t begun = aw_now_ms();
    for (int i = 0; i < 3; i++) {
        fds[i] = gate_dial(f);
        assert_true(gate_serves(fds[i]));
    }
    assert_true(aw_now_ms() - begun >= 90);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    for (int i = 0; i < 4; i++) {
        fds[i] = gate_dial(f);
        gate_say(fds[i], CALL "Good\"}");
    }
    gate_fixture_end(f);
    for (int i = 0; i < 4; i++) {
        assert_true(gate_hears(fds[i], GOOD));
        close(fds[i]);
    }
}

/* Calls by the hundred that one has sent ahead; the end is not his to put off. */
static void
what_was_sent_ahead_does_not_hold_the_end(void **state)
{
    struct gate_fixture *f = *state;
    pthread_t stopper;

    f->service.limits.last_ms = 0;
    gate_fixture_start(f);
    int fd = gate_dial(f);
    for (int i = 0; i < 100; i++)
        gate_say(fd, CALL "Wait\"}");
    sem_wait(&gate_entered);
    assert_int_equal(pthread_create(&stopper, NULL, stop, f), 0);
    for (int i = 0; i < PATIENCE_MS && gate_killed == 0; i++)
        poll(NULL, 0, 1);
    assert_int_equal(gate_killed, 1);
    for (int i = 0; i < 100; i++)
        sem_post(&gate_released);
    pthread_join(stopper, NULL);
    assert_int_equal(gate_answered, 1); /* the one in progress */
    assert_true(gate_hears(fd, GOOD));
    assert_true(gate_hears(fd, ""));
    close(fd);
    while (sem_trywait(&gate_released) == 0)
        ;
}

static int
count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void *
call_often(void *context)
{
    const struct gate_fixture *f = context;

    for (int i = 0; i < 30; i++) {
        int fd = gate_dial(f);

        for (int j = 0; j < 3; j++) {
            gate_say(fd, CALL "Good\"}");
            assert_true(gate_hears(fd, GOOD));
        }
        close(fd);
    }
    return NULL;
}

static void
no_descriptor_is_left_behind(void **state)
{
    struct gate_fixture *f = *state;
    pthread_t threads[8];
    int before = count_descriptors();

    f->service.limits = (struct gate_limits){
        64, 64, 64, 64, 64, LONG_MS, LONG_MS, LONG_MS, LONG_MS, 0, 10000, 0, 0};
    gate_fixture_start(f);
    for (size_t i = 0; i < AW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, f), 0);
    for (size_t i = 0; i < AW_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    gate_admits = false;
    for (int i = 0; i < 20; i++) {
        int fd = gate_dial(f);
        assert_true(gate_hears(fd, ""));
        close(fd);
    }
    gate_fixture_end(f);
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(gate_answered, 8 * 30 * 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_fixture_setup, gate_fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_message_gets_its_answer),
        TEST(attacks_15b_and_105_writes_are_no_messages),
        TEST(attacks_15a_and_105_a_message_that_never_ends),
        TEST(a_message_that_is_cut_off),
        TEST(who_has_no_business_is_dropped_at_accept),
        TEST(limits_hold_and_what_is_closed_is_free_again),
        TEST(who_comes_when_descriptors_have_run_out_is_served_later),
        TEST(an_idle_connection_is_closed),
        TEST(attack_105_one_octet_at_a_time),
        TEST(a_peer_that_does_not_read_loses_its_slot),
        TEST(calls_in_progress_are_answered_at_the_end),
        TEST(who_connects_too_fast_waits),
        TEST(what_was_sent_ahead_does_not_hold_the_end),
        TEST(who_called_before_the_end_is_answered),
        TEST(no_descriptor_is_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
