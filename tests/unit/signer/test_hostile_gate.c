/* A gate that was taken over: what it can't become, can't see, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "gate_fixture.h"
#include "signer/channel.h"
#include "signer/passing.h"
#include "signer/sockets.h"

static void
wait_for_kill(const char *what)
{
    for (int tries = 0; atomic_load(&gate_killed) == 0; tries++) {
        if (tries > PATIENCE_MS)
            fail_msg("%s: the gate lives", what);
        poll(NULL, 0, 1);
    }
}

/* The near end of a channel whose far end went to the core with the connection. */
static int
introduce(const struct gate_fixture *f, int connection)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_true(aw_ok(channel_pass(f->ends[1], connection, ends[1])));
    close(ends[1]);
    return ends[0];
}

static void
ask(int channel, const char *method)
{
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    struct aw_varlink_call call = {.parameters = NULL};
    AW_CLEANUP(aw_json_free) cJSON *parameters = cJSON_CreateObject();

    memcpy(call.method, method, strlen(method) + 1);
    call.parameters = parameters;
    assert_true(aw_ok(channel_encode(&call, &message)));
    aw_ignore(channel_send(channel, &message), "the core may have ended it");
}

static int
accepted(const struct gate_fixture *f)
{
    struct pollfd wait = {.fd = f->listen_fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

enum { MANY = 253 }; /* SCM_MAX_FD */

static void
send_descriptors(int socket, const int *fds, size_t count)
{
    union {
        char octets[CMSG_SPACE(MANY * sizeof(int))];
        struct cmsghdr align;
    } control = {.octets = {0}};
    char octet = 'c';
    struct iovec part = {&octet, 1};
    struct msghdr what = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.octets,
        .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *passed = CMSG_FIRSTHDR(&what);

    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(passed), fds, count * sizeof(int));
    assert_int_equal(sendmsg(socket, &what, 0), 1);
}

static size_t
count_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Descriptors that are no connection to its socket. */

static int
end_of_a_socketpair(const struct gate_fixture *f)
{
    int ends[2];

    (void)f;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[1]);
    return ends[0];
}

static int
listening_socket(const struct gate_fixture *f)
{
    return dup(f->listen_fd);
}

/* Another socket, as the administrators' would be for the applications' gate. */
static int
connection_to_another_socket(const struct gate_fixture *f)
{
    struct gate_fixture other = {.listen_fd = -1};
    int listen_fd = -1;

    snprintf(other.path, sizeof(other.path), "%.90s2", f->path);
    assert_true(aw_ok(sockets_listen(other.path, 0666, &listen_fd)));
    int client = gate_dial(&other), fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    close(client);
    close(listen_fd);
    unlink(other.path);
    return fd;
}

static int
pipe_end(const struct gate_fixture *f)
{
    int ends[2];

    (void)f;
    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    return ends[0];
}

static int
datagram_socket(const struct gate_fixture *f)
{
    (void)f;
    return socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int
file(const struct gate_fixture *f)
{
    (void)f;
    return open("/dev/null", O_RDWR);
}

static void
a_hostile_gate_cant_make_connections_of_its_own(void **state)
{
    static const struct {
        const char *name;
        int (*make)(const struct gate_fixture *f);
    } rows[] = {
        {"an end of a socketpair", end_of_a_socketpair},
        {"its end as a client", gate_dial},
        {"the listening socket", listening_socket},
        {"a connection to another socket", connection_to_another_socket},
        {"a pipe", pipe_end},
        {"a datagram socket", datagram_socket},
        {"a file", file},
    };
    struct gate_fixture *f = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        gate_killed = 0;
        gate_fixture_start_hostile(f);
        int fd = rows[i].make(f), channel = introduce(f, fd);
        ask(channel, "org.example.Test.Good");
        wait_for_kill(rows[i].name);
        close(channel);
        close(fd);
        gate_fixture_end(f);
        if (gate_answered != 0)
            fail_msg("%s: answered", rows[i].name);
    }
}

/* A channel that keeps messages apart, or that nothing is read from. */
static void
a_hostile_gate_cant_pass_another_channel(void **state)
{
    struct gate_fixture *f = *state;
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

    for (size_t i = 0; i < AW_COUNT(types); i++) {
        int ends[2];
        gate_killed = 0;
        gate_fixture_start_hostile(f);
        int client = gate_dial(f), fd = accepted(f);
        assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends), 0);
        assert_true(aw_ok(channel_pass(f->ends[1], fd, ends[1])));
        wait_for_kill("another channel");
        close(ends[0]);
        close(ends[1]);
        close(fd);
        close(client);
        gate_fixture_end(f);
    }
    assert_int_equal(gate_answered, 0);
}

/* The administrators' gate is another process with another socket; what a gate of one service asks
 * is looked for in that service alone (unit.application, unit.admin). */

static void
a_hostile_gate_cant_be_a_user_who_is_not_connected(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    int channel = introduce(f, fd);
    ask(channel, "org.example.Test.Good");
    assert_true(gate_hears(client, GOOD));
    close(client);
    ask(channel, "org.example.Test.Good");
    assert_true(gate_hears(channel, "a")); /* that it was taken; then the end */
    assert_int_equal(gate_answered, 1);
    /* One who is already gone when he is introduced. */
    client = gate_dial(f);
    int gone = accepted(f);
    close(client);
    int late = introduce(f, gone);
    ask(late, "org.example.Test.Good");
    assert_true(gate_hears(late, "a"));
    assert_int_equal(gate_answered, 1);
    assert_int_equal(gate_killed, 0);
    close(late);
    close(gone);
    close(channel);
    close(fd);
}

static void
a_hostile_gate_sees_no_answer(void **state)
{
    struct gate_fixture *f = *state;
    char octet;

    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    int channel = introduce(f, fd);
    ask(channel, "org.example.Test.Good");
    assert_true(gate_hears(client, GOOD));
    assert_int_equal(recv(channel, &octet, 1, MSG_DONTWAIT), 1); /* that it was taken */
    assert_int_equal(recv(channel, &octet, 1, MSG_DONTWAIT), -1);
    assert_int_equal(recv(fd, &octet, 1, MSG_DONTWAIT), -1);
    assert_int_equal(recv(f->ends[1], &octet, 1, MSG_DONTWAIT), -1);
    close(channel);
    close(client);
    close(fd);
}

/* Half-closing says that no more calls come; the peer still listens. */
static void
a_peer_that_has_said_all_is_answered(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    int channel = introduce(f, fd);
    ask(channel, "org.example.Test.Good");
    assert_true(gate_hears(client, GOOD));
    close(channel);
    close(client);
    close(fd);
}

static void
a_hostile_gate_is_killed_for_what_no_gate_sends(void **state)
{
    static const struct {
        const char *name;
        const char *octets;
        size_t size;
    } rows[] = {
        {"a header of no kind", "\7\0\0\0\0\0\0\0", 8},
        {"a size over the limit", "\1\0\0\0\xff\xff\xff\xff", 8},
        {"a body that is no call", "\1\0\0\0\4\0\0\0abcd", 12},
        {"text that is none", "\2\0\0\0\2\0\0\0\xc0\x80", 10},
        {"JSON", "{\"method\":\"org.example.Test.Good\"}", 34},
    };
    struct gate_fixture *f = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        gate_killed = 0;
        gate_fixture_start_hostile(f);
        int client = gate_dial(f), fd = accepted(f);
        int channel = introduce(f, fd);
        assert_int_equal(send(channel, rows[i].octets, rows[i].size, 0), rows[i].size);
        wait_for_kill(rows[i].name);
        assert_true(gate_hears(client, ""));
        close(channel);
        close(client);
        close(fd);
        gate_fixture_end(f);
        assert_int_equal(gate_answered, 0);
    }
}

/* The kernel's out-of-memory killer, for one, ends a gate between two octets of a message. The next
 * gate has started by then, and must not be killed for it. */
static void
a_gate_that_ends_in_a_message_is_not_hostile(void **state)
{
    static const char half[] = "\1\0\0\0\4\0\0\0ab";
    struct gate_fixture *f = *state;

    gate_killed = 0;
    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    int channel = introduce(f, fd);
    assert_int_equal(send(channel, half, sizeof(half) - 1, 0), sizeof(half) - 1);
    close(channel);
    assert_true(gate_hears(client, ""));
    assert_int_equal(gate_killed, 0);
    close(client);
    close(fd);
}

static void
descriptors_of_another_number_end_the_gate(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_start_hostile(f);
    assert_int_equal(send(f->ends[1], "c", 1, 0), 1);
    wait_for_kill("no descriptors");
}

/* The first word of a gate is that it accepts. */

static void
begin_with_a_connection(const struct gate_fixture *f)
{
    int client = gate_dial(f), fd = accepted(f);

    close(introduce(f, fd));
    close(client);
    close(fd);
}

static void
begin_with_something_else(const struct gate_fixture *f)
{
    assert_int_equal(send(f->ends[1], "x", 1, 0), 1);
}

static void
begin_with_a_descriptor(const struct gate_fixture *f)
{
    assert_int_equal(passing_send(f->ends[1], 'o', &f->listen_fd, 1), 1);
}

static void
accept_twice(const struct gate_fixture *f)
{
    assert_true(aw_ok(channel_open(f->ends[1])));
    assert_true(aw_ok(channel_open(f->ends[1])));
}

static void
a_gate_that_begins_otherwise_is_ended(void **state)
{
    static const struct {
        const char *name;
        void (*begin)(const struct gate_fixture *f);
    } rows[] = {
        {"a connection", begin_with_a_connection},
        {"something else", begin_with_something_else},
        {"with a descriptor", begin_with_a_descriptor},
        {"twice", accept_twice},
    };
    struct gate_fixture *f = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        gate_killed = 0;
        f->silent = true;
        gate_fixture_start_hostile(f);
        rows[i].begin(f);
        wait_for_kill(rows[i].name);
        gate_fixture_end(f);
    }
}

/* Descriptors that go with a message beyond the two. */
static void
more_descriptors_than_two_end_the_gate(void **state)
{
    static const size_t rows[] = {1, 3, 64, MANY};
    struct gate_fixture *f = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int fds[MANY];

        gate_killed = 0;
        gate_fixture_start_hostile(f);
        for (size_t j = 0; j < MANY; j++)
            fds[j] = f->listen_fd;
        size_t before = count_descriptors();
        send_descriptors(f->ends[1], fds, rows[i]);
        wait_for_kill("descriptors");
        for (int tries = 0; count_descriptors() != before - 1; tries++) { /* the gate's socket */
            if (tries > PATIENCE_MS)
                fail_msg("%zu descriptors: some are left", rows[i]);
            poll(NULL, 0, 1);
        }
        gate_fixture_end(f);
    }
}

/* One descriptor as both: what a channel brings is then what the peer says. */
static void
a_connection_that_is_its_own_channel_gains_nothing(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    assert_true(aw_ok(channel_pass(f->ends[1], fd, fd)));
    gate_say(client, CALL "Good\"}");
    wait_for_kill("JSON");
    assert_int_equal(gate_answered, 0);
    close(client);
    close(fd);
}

/* Descriptions are shared: what a gate sets on its copy holds for the core's. */
static void
a_connection_that_blocks_holds_only_itself(void **state)
{
    struct gate_fixture *f = *state;

    f->service.limits.send_ms = 100;
    gate_fixture_start_hostile(f);
    int client = gate_dial(f), fd = accepted(f);
    int channel = introduce(f, fd);
    for (int i = 0; i < 8; i++) { /* more than a socket takes */
        assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
        ask(channel, "org.example.Test.Large");
    }
    int other = gate_dial(f), other_fd = accepted(f);
    int other_channel = introduce(f, other_fd);
    ask(other_channel, "org.example.Test.Good");
    assert_true(gate_hears(other, GOOD));
    close(other_channel);
    close(channel);
    gate_fixture_end(f); /* it ends, though nobody reads the answers */
    close(other);
    close(other_fd);
    close(client);
    close(fd);
}

/* Limits are the core's: a gate that passes more connections than there may be has them told so. */
static void
a_hostile_gate_gets_no_more_than_the_limits(void **state)
{
    struct gate_fixture *f = *state;
    int clients[4], fds[4], channels[4];

    f->service.limits.connections_per_uid = 3;
    gate_fixture_start_hostile(f);
    for (int i = 0; i < 4; i++) {
        clients[i] = gate_dial(f);
        fds[i] = accepted(f);
        channels[i] = introduce(f, fds[i]);
    }
    for (int i = 0; i < 3; i++) {
        ask(channels[i], "org.example.Test.Good");
        assert_true(gate_hears(clients[i], GOOD));
    }
    assert_true(gate_hears(clients[3], "{\"error\":\"failure\"}") && gate_hears(clients[3], ""));
    for (int i = 0; i < 4; i++) {
        close(channels[i]);
        close(clients[i]);
        close(fds[i]);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_fixture_setup, gate_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_hostile_gate_cant_make_connections_of_its_own),
        TEST(a_hostile_gate_cant_pass_another_channel),
        TEST(a_hostile_gate_cant_be_a_user_who_is_not_connected),
        TEST(a_hostile_gate_sees_no_answer),
        TEST(a_peer_that_has_said_all_is_answered),
        TEST(a_hostile_gate_is_killed_for_what_no_gate_sends),
        TEST(a_gate_that_ends_in_a_message_is_not_hostile),
        TEST(descriptors_of_another_number_end_the_gate),
        TEST(a_gate_that_begins_otherwise_is_ended),
        TEST(more_descriptors_than_two_end_the_gate),
        TEST(a_connection_that_is_its_own_channel_gains_nothing),
        TEST(a_connection_that_blocks_holds_only_itself),
        TEST(a_hostile_gate_gets_no_more_than_the_limits),
    };

    return cmocka_run_group_tests_name("hostile_gate", tests, NULL, NULL);
}
