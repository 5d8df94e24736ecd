/* Who connects too fast: waits, is closed, and holds nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/arrivals.h"

/* Seam: who the kernel says has connected. */

static uint32_t peer_uid;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);

int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    int result = __real_getsockopt(fd, level, name, value, size);

    if (level == SOL_SOCKET && name == SO_PEERCRED)
        ((struct ucred *)value)->uid = peer_uid;
    return result;
}

enum { INTERVAL = 10, BURST = 3 };

/* Connects as that uid; *peer is the other end. True when it may go on at once. */
static bool
connects(struct arrivals *arrivals, uint32_t uid, int64_t now, int *peer)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_uid = uid;
    *peer = ends[1];
    int fd = arrivals_take(arrivals, ends[0], now);
    if (fd < 0)
        return false;
    assert_int_equal(fd, ends[0]);
    close(fd);
    return true;
}

static bool
goes_on(struct arrivals *arrivals, int64_t now)
{
    int fd = arrivals_next(arrivals, now);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool
is_closed(int peer)
{
    struct pollfd look = {.fd = peer, .events = 0};

    return poll(&look, 1, 0) > 0 && (look.revents & POLLHUP) != 0;
}

static void
attack_106_one_who_comes_too_fast_waits(void **state)
{
    struct arrivals arrivals = {.interval_ms = INTERVAL, .burst_ms = (BURST - 1) * INTERVAL};
    int peer;

    (void)state;
    for (int i = 0; i < BURST; i++) {
        assert_true(connects(&arrivals, 1, 1000, &peer));
        close(peer);
    }
    assert_int_equal(arrivals_wait(&arrivals, 1000), -1);
    int waiting[2];
    for (int i = 0; i < 2; i++)
        assert_false(connects(&arrivals, 1, 1000, &waiting[i]));
    assert_true(connects(&arrivals, 2, 1000, &peer)); /* nobody else does */
    close(peer);
    assert_int_equal(arrivals_wait(&arrivals, 1000), INTERVAL);
    assert_false(goes_on(&arrivals, 1000 + INTERVAL - 1));
    assert_true(goes_on(&arrivals, 1000 + INTERVAL));
    assert_false(goes_on(&arrivals, 1000 + INTERVAL));
    assert_int_equal(arrivals_wait(&arrivals, 1000 + INTERVAL), INTERVAL);
    assert_true(goes_on(&arrivals, 1000 + 2 * INTERVAL));
    for (int i = 0; i < BURST; i++) { /* who has been quiet has his burst again */
        assert_true(connects(&arrivals, 1, 5000, &peer));
        close(peer);
    }
    assert_false(connects(&arrivals, 1, 5000, &peer));
    close(peer);
    assert_false(goes_on(&arrivals, INT64_MAX)); /* gone meanwhile */
    for (int i = 0; i < 2; i++)
        close(waiting[i]);
}

static void
what_waits_is_limited(void **state)
{
    struct arrivals arrivals = {.interval_ms = INTERVAL};
    int peers[ARRIVALS_HELD_PER_UID], peer;

    (void)state;
    assert_true(connects(&arrivals, 1, 1000, &peer));
    close(peer);
    for (int i = 0; i < ARRIVALS_HELD_PER_UID; i++) {
        assert_false(connects(&arrivals, 1, 1000, &peers[i]));
        assert_false(is_closed(peers[i]));
    }
    for (int i = 0; i < 3; i++) { /* and costs him nothing */
        assert_false(connects(&arrivals, 1, 1000, &peer));
        assert_true(is_closed(peer));
        close(peer);
    }
    for (int i = 0; i < ARRIVALS_HELD_PER_UID; i++)
        assert_true(goes_on(&arrivals, 1000 + ARRIVALS_HELD_PER_UID * INTERVAL));
    assert_int_equal(arrivals_wait(&arrivals, 1000), -1);
    for (int i = 0; i < ARRIVALS_HELD_PER_UID; i++)
        close(peers[i]);
    assert_true(connects(&arrivals, 1, 1000 + (ARRIVALS_HELD_PER_UID + 1) * INTERVAL, &peer));
    close(peer);
}

/* Hung up already: not worth a place. */
static void
who_has_gone_takes_no_place(void **state)
{
    struct arrivals arrivals = {.interval_ms = INTERVAL};
    int ends[2], peer;

    (void)state;
    assert_true(connects(&arrivals, 1, 1000, &peer));
    close(peer);
    for (int i = 0; i < 2 * ARRIVALS_HELD_MAX; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        close(ends[1]);
        assert_int_equal(arrivals_take(&arrivals, ends[0], 1000), -1);
    }
    assert_int_equal(arrivals.held_count, 0);
}

/* More uids than are remembered are beyond this. */
static void
many_uids_are_let_in(void **state)
{
    struct arrivals arrivals = {.interval_ms = INTERVAL};
    int peer;

    (void)state;
    for (uint32_t uid = 0; uid < ARRIVALS_UIDS_MAX + 5; uid++) {
        assert_true(connects(&arrivals, uid, 1000, &peer));
        close(peer);
    }
    assert_false(connects(&arrivals, 0, 1000, &peer));
    close(peer);
    assert_true(connects(&arrivals, ARRIVALS_UIDS_MAX + 1, 1000, &peer));
    close(peer);
    assert_false(goes_on(&arrivals, INT64_MAX));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_106_one_who_comes_too_fast_waits),
        cmocka_unit_test(what_waits_is_limited),
        cmocka_unit_test(who_has_gone_takes_no_place),
        cmocka_unit_test(many_uids_are_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
