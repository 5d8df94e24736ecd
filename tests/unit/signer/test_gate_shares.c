/* Shares of a gate's connections and of the processors: one uid's, a group's, an application's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "gate_fixture.h"
#include "signer/turned.h"

/* Attack 106: no silence, as for who has no business here. */
static void
attack_106_who_is_turned_away_is_told(void **state)
{
    struct gate_fixture *f = *state;

    f->service.limits.connections_per_uid = 0;
    gate_fixture_start(f);
    int fd = gate_dial(f);
    assert_true(gate_hears(fd, "{\"error\":\"failure\"}") && gate_hears(fd, ""));
    close(fd);
}

/* In a child of another uid: 0 when a call is gate_answered. */
static int
call_as(const struct gate_fixture *f, uid_t uid)
{
    pid_t child = fork();

    if (child == 0) {
        char reply[sizeof(GOOD)] = "";
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        memcpy(address.sun_path, f->path, strlen(f->path) + 1);
        alarm(PATIENCE_MS / 1000);
        if (setgid(uid) != 0 || setuid(uid) != 0 ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            send(fd, CALL "Good\"}", sizeof(CALL "Good\"}"), MSG_NOSIGNAL) < 0 ||
            recv(fd, reply, sizeof(reply), MSG_WAITALL) != sizeof(reply))
            _exit(1);
        _exit(strcmp(reply, GOOD));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Needs root, as other users are to be tried. */
static void
attack_106_one_uid_takes_all_connections(void **state)
{
    struct gate_fixture *f = *state;
    int fds[65];

    if (geteuid() != 0)
        skip();
    f->service.limits.connections_per_uid = 4;
    gate_fixture_start(f);
    assert_int_equal(gate_fill(f, fds, 64), 4);
    assert_int_equal(call_as(f, 1), 0);
    assert_int_equal(call_as(f, 2), 0);
    /* nobody stands for users that are not known. */
    assert_int_not_equal(call_as(f, 65534), 0);
    for (int i = 0; i <= 4; i++)
        close(fds[i]);
}

/* Who comes: a uid, and the groups that it is admitted by. */
struct comer {
    uid_t uid;
    gid_t groups[2];
    bool served;
};

/* Connects in this thread as another user: the kernel's calls, not the C library's, which change
 * the whole process. */
static int
dial_as(const struct gate_fixture *f, const struct comer *as)
{
    gid_t own_groups[64];
    long own_count = syscall(SYS_getgroups, AW_COUNT(own_groups), own_groups);

    assert_true(own_count >= 0);
    assert_int_equal(syscall(SYS_setgroups, as->groups[1] == 0 ? 0 : 1, &as->groups[1]), 0);
    assert_int_equal(syscall(SYS_setresgid, -1, as->groups[0], -1), 0);
    assert_int_equal(syscall(SYS_setresuid, -1, as->uid, -1), 0);
    int fd = gate_dial(f);
    assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
    assert_int_equal(syscall(SYS_setresgid, -1, 0, -1), 0);
    assert_int_equal(syscall(SYS_setgroups, own_count, own_groups), 0);
    return fd;
}

static bool
is_turned_away(int fd)
{
    return gate_hears(fd, "{\"error\":\"failure\"}") && gate_hears(fd, "");
}

/* Attack 106, with many uids: those of a user namespace, or a group's. Needs root. */
static void
attack_106_many_uids_take_all_connections(void **state)
{
    static const struct {
        const char *name;
        size_t per_group, per_application;
        struct comer comers[4];
    } rows[] = {
        {"a group's uids", 2, 8,
            {{1, {50}, true}, {2, {50}, true}, {3, {50}, false}, {4, {51}, true}}},
        {"an application's uids", 8, 2,
            {{1, {50}, true}, {2, {51}, true}, {3, {52}, false}, {0, {0}, true}}},
        {"in two groups, one share", 2, 8,
            {{1, {50, 51}, true}, {2, {51, 50}, true}, {3, {50, 51}, false}, {4, {51}, false}}},
        {"one group of two has room", 1, 8,
            {{1, {50}, true}, {2, {50, 51}, true}, {3, {51}, false}, {4, {52}, true}}},
    };
    struct gate_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int fds[AW_COUNT(rows[0].comers)];

        f->service.limits.connections_per_group = rows[i].per_group;
        f->service.limits.connections_per_application = rows[i].per_application;
        gate_fixture_start(f);
        for (size_t j = 0; j < AW_COUNT(fds); j++) {
            fds[j] = dial_as(f, &rows[i].comers[j]);
            if (!(rows[i].comers[j].served ? gate_serves(fds[j]) : is_turned_away(fds[j])))
                fail_msg("%s: number %zu: not as expected", rows[i].name, j + 1);
        }
        for (size_t j = 0; j < AW_COUNT(fds); j++)
            close(fds[j]);
        gate_fixture_end(f);
    }
}

static bool
is_answered(int fd, bool garbage)
{
    if (!garbage)
        return gate_serves(fd);
    gate_say(fd, "garbage");
    return gate_hears(fd, "{\"error\":\"garbage\"}");
}

/* Attack 106: refusals beyond the budget, and what is light, need processors only. Needs root. */
static void
attack_106_who_is_refused_too_often_leaves_room_for_others(void **state)
{
    static const struct comer other = {1, {50}, true}, again = {1, {50}, true};
    static const struct {
        const char *name;
        bool paces, others;
        unsigned calls_per_uid; /* beside two connections */
        bool light;             /* calls are */
        bool garbage;           /* is said, which is light by itself */
        int pace_ms;            /* LONG_MS: an answer held back would never come */
        int64_t at_least_ms;
    } rows[] = {
        {"others are connected", true, true, 2, true, false, 300, 300},
        {"nobody else is", true, false, 2, true, false, LONG_MS, 0},
        {"refused seldom", false, true, 2, true, false, LONG_MS, 0},
        {"others are connected, and it crowds", false, true, 1, true, false, 300, 300},
        {"it crowds with what is recorded", false, true, 1, false, false, LONG_MS, 0},
        {"garbage of a crowd", false, true, 1, false, true, 300, 300},
        {"it crowds alone", false, false, 1, true, false, LONG_MS, 0},
    };
    struct gate_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int first = -1;

        f->service.limits.pace_ms = rows[i].pace_ms;
        f->service.limits.calls_per_uid = rows[i].calls_per_uid;
        gate_light = rows[i].light;
        gate_fixture_start(f);
        if (rows[i].others) {
            first = gate_dial(f);
            assert_true(gate_serves(first));
        }
        int fd = dial_as(f, &other), second = dial_as(f, &again);
        gate_paces = rows[i].paces;
        int64_t begun = aw_now_ms();
        if (!is_answered(fd, rows[i].garbage) || !is_answered(second, rows[i].garbage) ||
            aw_now_ms() - begun < rows[i].at_least_ms)
            fail_msg("%s: after %d ms", rows[i].name, (int)(aw_now_ms() - begun));
        gate_paces = gate_light = false;
        close(first);
        close(fd);
        close(second);
        gate_fixture_end(f);
    }
}

static bool
one_more_enters(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    return sem_timedwait(&gate_entered, &until) == 0;
}

/* Three calls of one uid, of which two may be worked on at once; how many are. */
static int
count_entered(const int *fds, int other)
{
    static const struct timespec pause = {.tv_nsec = 100 * 1000000};
    int count = 0;

    for (int i = 0; i < 3; i++)
        gate_say(fds[i], CALL "Wait\"}");
    for (; count < (other < 0 ? 3 : 2); count++)
        assert_true(one_more_enters());
    if (other >= 0)
        assert_true(gate_serves(other)); /* which has its share */
    nanosleep(&pause, NULL);
    return count + (sem_trywait(&gate_entered) == 0);
}

/* Attack 106: who has many calls at once has a share of them worked on, and all when he is alone.
 */
static void
attack_106_many_calls_at_once_leave_room_for_others(void **state)
{
    static const struct comer one = {1, {50}, true};
    static const struct {
        const char *name;
        bool others;
        int entered;
    } rows[] = {{"others call", true, 2}, {"nobody else does", false, 3}};
    struct gate_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    f->service.limits.calls_per_uid = 2;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int fds[3], other = -1;

        gate_fixture_start(f);
        if (rows[i].others) {
            other = gate_dial(f);
            assert_true(gate_serves(other));
        }
        for (size_t j = 0; j < AW_COUNT(fds); j++)
            fds[j] = dial_as(f, &one);
        int entered = count_entered(fds, other);
        for (size_t j = 0; j < AW_COUNT(fds); j++)
            sem_post(&gate_released);
        for (size_t j = 0; j < AW_COUNT(fds); j++)
            assert_true(gate_hears(fds[j], GOOD));
        for (int left = 3 - entered; left > 0; left--)
            assert_true(one_more_enters());
        if (entered != rows[i].entered)
            fail_msg("%s: %d were worked on at once", rows[i].name, entered);
        for (size_t j = 0; j < AW_COUNT(fds); j++)
            close(fds[j]);
        close(other);
        gate_fixture_end(f);
    }
}

/* One call of uid 1 is worked on, which is its share; others may be dialled. */
static int
work_on_one(struct gate_fixture *f, int *other)
{
    static const struct comer one = {1, {50}, true};

    f->service.limits.calls_per_uid = 1;
    gate_fixture_start(f);
    *other = gate_dial(f);
    assert_true(gate_serves(*other));
    int fd = dial_as(f, &one);
    gate_say(fd, CALL "Wait\"}");
    assert_true(one_more_enters());
    return fd;
}

static void
attack_106_who_waits_too_long_is_told(void **state)
{
    static const struct comer one = {1, {50}, true};
    struct gate_fixture *f = *state;
    int other = -1;

    if (geteuid() != 0)
        skip();
    f->service.limits.turn_ms = 50;
    int first = work_on_one(f, &other), fd = dial_as(f, &one);
    gate_say(fd, CALL "Good\"}");
    assert_true(gate_hears(fd, "{\"error\":\"failure\"}"));
    sem_post(&gate_released);
    assert_true(gate_hears(first, GOOD) && gate_serves(fd));
    close(fd);
    close(first);
    close(other);
}

/* What comes in the name of one who has hung up is the gate's own, also when it was his when it
 * came. */
static void
who_hangs_up_while_he_waits_asks_nothing(void **state)
{
    static const struct comer one = {1, {50}, true};
    static const struct timespec until_it_waits = {.tv_nsec = 50 * 1000000};
    struct gate_fixture *f = *state;
    int other = -1;

    if (geteuid() != 0)
        skip();
    int first = work_on_one(f, &other), gone = dial_as(f, &one), last = dial_as(f, &one);
    int answered = gate_answered;
    gate_say(gone, CALL "Good\"}");
    nanosleep(&until_it_waits, NULL);
    close(gone);
    sem_post(&gate_released);
    assert_true(gate_hears(first, GOOD) && gate_serves(last));
    assert_int_equal(gate_answered, answered + 1);
    close(last);
    close(first);
    close(other);
}

/* Attack 106: who dials on at his limit waits for each answer while others are connected, and
 * nobody else does. Needs root. */
static void
attack_106_who_dials_on_leaves_room_for_others(void **state)
{
    static const struct comer one = {1, {50}, true};
    static const struct {
        const char *name;
        bool others;
        int pace_ms; /* LONG_MS: an answer held back would never come */
        int64_t at_least_ms;
    } rows[] = {{"others are connected", true, 200, 200}, {"nobody else is", false, LONG_MS, 0}};
    struct gate_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    f->service.limits.connections_per_uid = 1;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int other = -1;

        f->service.limits.pace_ms = rows[i].pace_ms;
        gate_fixture_start(f);
        int held = dial_as(f, &one);
        assert_true(gate_serves(held));
        if (rows[i].others) {
            other = gate_dial(f);
            assert_true(gate_serves(other));
        }
        int64_t begun = aw_now_ms();
        int again = dial_as(f, &one);
        if (rows[i].others)
            assert_true(gate_serves(other));
        if (!is_turned_away(again) || aw_now_ms() - begun < rows[i].at_least_ms)
            fail_msg("%s: after %d ms", rows[i].name, (int)(aw_now_ms() - begun));
        close(again);
        close(held);
        close(other);
        gate_fixture_end(f);
    }
}

/* More wait than may: the first is told at once, and all at the end. Needs no patience. */
static void
who_is_turned_away_is_told_at_the_latest_at_the_end(void **state)
{
    struct turned turned = {.count = 0};
    int ends[TURNED_MAX + 1][2];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(ends); i++) {
        aw_varlink_stream *stream = NULL;
        char *reply = strdup(GOOD);

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
        assert_true(aw_ok(aw_varlink_stream_new(ends[i][1], &stream)));
        turned_add(&turned, &stream, &reply, LONG_MS);
    }
    assert_true(turned_tell(&turned) > 0);
    assert_true(gate_hears(ends[0][0], GOOD) && gate_hears(ends[0][0], ""));
    turned_end(&turned);
    for (size_t i = 0; i < AW_COUNT(ends); i++) {
        assert_true(i == 0 || gate_hears(ends[i][0], GOOD));
        close(ends[i][0]);
    }
    assert_int_equal(turned_tell(&turned), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_fixture_setup, gate_fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(attack_106_who_is_turned_away_is_told),
        TEST(attack_106_one_uid_takes_all_connections),
        TEST(attack_106_many_uids_take_all_connections),
        TEST(attack_106_who_is_refused_too_often_leaves_room_for_others),
        TEST(attack_106_many_calls_at_once_leave_room_for_others),
        TEST(attack_106_who_waits_too_long_is_told),
        TEST(who_hangs_up_while_he_waits_asks_nothing),
        TEST(attack_106_who_dials_on_leaves_room_for_others),
        TEST(who_is_turned_away_is_told_at_the_latest_at_the_end),
    };

    return cmocka_run_group_tests_name("gate_shares", tests, NULL, NULL);
}
