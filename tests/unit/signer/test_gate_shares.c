/* Shares of a gate's connections and of the processors: one uid's, a group's, an application's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* Attack 106: refusals beyond the budget need processors only. Needs root. */
static void
attack_106_who_is_refused_too_often_leaves_room_for_others(void **state)
{
    static const struct comer other = {1, {50}, true}, again = {1, {50}, true};
    static const struct {
        const char *name;
        bool paces, others;
        int pace_ms; /* LONG_MS: an answer held back would never come */
        int64_t at_least_ms;
    } rows[] = {
        {"others are connected", true, true, 300, 300},
        {"nobody else is", true, false, LONG_MS, 0},
        {"refused seldom", false, true, LONG_MS, 0},
    };
    struct gate_fixture *f = *state;

    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int first = -1;

        f->service.limits.pace_ms = rows[i].pace_ms;
        gate_fixture_start(f);
        if (rows[i].others) {
            first = gate_dial(f);
            assert_true(gate_serves(first));
        }
        int fd = dial_as(f, &other), second = dial_as(f, &again);
        gate_paces = rows[i].paces;
        int64_t begun = aw_now_ms();
        if (!gate_serves(fd) || !gate_serves(second) || aw_now_ms() - begun < rows[i].at_least_ms)
            fail_msg("%s: after %d ms", rows[i].name, (int)(aw_now_ms() - begun));
        gate_paces = false;
        close(first);
        close(fd);
        close(second);
        gate_fixture_end(f);
    }
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
        TEST(attack_106_who_dials_on_leaves_room_for_others),
        TEST(who_is_turned_away_is_told_at_the_latest_at_the_end),
    };

    return cmocka_run_group_tests_name("gate_shares", tests, NULL, NULL);
}
