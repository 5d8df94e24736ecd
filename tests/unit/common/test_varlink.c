/* Streams: framing, limits, deadlines, wiping. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/varlink.h"

enum {
    SOON_MS = 30,    /* a deadline that is meant to pass */
    LONG_MS = 60000, /* a deadline that is not */
    WRITES_200 = 200,
};

/* Both kinds of stream must behave the same. */
enum transport { SOCKETS, PIPES };

/* Our stream, and the peer's two ends of it. */
struct pair {
    aw_varlink_stream *stream;
    int peer_in;  /* the peer reads here */
    int peer_out; /* the peer writes here */
};

static void
pair_free(struct pair *p)
{
    aw_varlink_stream_free(&p->stream);
    if (p->peer_in != p->peer_out)
        aw_close(&p->peer_in);
    aw_close(&p->peer_out);
}

static struct pair
pair_make(enum transport transport)
{
    struct pair p = {0};
    int sockets[2], towards[2], from[2];
    aw_result r;

    switch (transport) {
    case SOCKETS:
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        p.peer_in = p.peer_out = sockets[1];
        r = aw_varlink_stream_new(sockets[0], &p.stream);
        assert_true(aw_ok(r));
        break;
    case PIPES:
        assert_int_equal(pipe(towards), 0);
        assert_int_equal(pipe(from), 0);
        p.peer_out = towards[1];
        p.peer_in = from[0];
        r = aw_varlink_stream_new_pair(towards[0], from[1], &p.stream);
        assert_true(aw_ok(r));
        break;
    }
    return p;
}

/* Hangs up what the peer writes to. */
static void
peer_ends(struct pair *p)
{
    if (p->peer_in == p->peer_out) {
        shutdown(p->peer_out, SHUT_WR);
        return;
    }
    aw_close(&p->peer_out);
}

/* A peer that writes in a thread of its own, so that full buffers block nobody. */
struct writer {
    int fd;
    const char *bytes;
    size_t size;
    size_t step;  /* octets a write */
    bool forever; /* again and again, until we close */
    pthread_t thread;
};

static void *
write_in_steps(void *context)
{
    struct writer *w = context;

    do {
        for (size_t at = 0; at < w->size;) {
            size_t n = w->size - at < w->step ? w->size - at : w->step;
            ssize_t done = send(w->fd, w->bytes + at, n, MSG_NOSIGNAL);

            if (done < 0 && errno == ENOTSOCK)
                done = write(w->fd, w->bytes + at, n);
            if (done < 0)
                return NULL;
            at += (size_t)done;
        }
    } while (w->forever);
    return NULL;
}

static void
writer_start(struct writer *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, write_in_steps, w), 0);
}

/* Framing: bytes as written, in writes of `step` octets, and the messages that come out. */

#define BYTES(text) (text), sizeof(text) - 1

static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    size_t step;
    const char *messages[4];
    enum aw_code end;
} framing_rows[] = {
    {"one message", BYTES("{\"a\":1}\0"), 100, {"{\"a\":1}"}, AW_CODE_CLOSED},
    {"15b two messages in one write", BYTES("first\0second\0"), 100, {"first", "second"},
        AW_CODE_CLOSED},
    {"15b one octet a write", BYTES("first\0second\0"), 1, {"first", "second"}, AW_CODE_CLOSED},
    {"a message and a half in one write", BYTES("first\0sec\0"), 8, {"first", "sec"},
        AW_CODE_CLOSED},
    {"empty message", BYTES("\0a\0\0"), 100, {"", "a", ""}, AW_CODE_CLOSED},
    {"end at once", BYTES(""), 1, {NULL}, AW_CODE_CLOSED},
    {"end inside the first message", BYTES("fir"), 100, {NULL}, AW_CODE_SYNTAX},
    {"end inside the second message", BYTES("first\0s"), 100, {"first"}, AW_CODE_SYNTAX},
};

static bool
frames(enum transport transport, size_t row)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(transport);
    struct writer w = {.fd = p.peer_out,
        .bytes = framing_rows[row].bytes,
        .size = framing_rows[row].size,
        .step = framing_rows[row].step};
    const char *text;
    size_t length;
    bool same = true;

    writer_start(&w);
    pthread_join(w.thread, NULL);
    peer_ends(&p);
    for (size_t i = 0; framing_rows[row].messages[i] != NULL; i++) {
        aw_result r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
        same = same && aw_ok(r) && length == strlen(framing_rows[row].messages[i]) &&
               strcmp(text, framing_rows[row].messages[i]) == 0;
    }
    aw_result end = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
    aw_result after = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
    return same && end.code == framing_rows[row].end && after.code == AW_CODE_CLOSED;
}

static void
tells_messages_apart(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(framing_rows); i++)
        for (int transport = SOCKETS; transport <= PIPES; transport++) {
            if (frames((enum transport)transport, i))
                continue;
            failed++;
            print_error("%s, %s: not as expected\n", framing_rows[i].name,
                transport == SOCKETS ? "sockets" : "pipes");
        }
    assert_int_equal(failed, 0);
}

/* Attack 15b: one message in 200 writes, while we read. */
static void
joins_200_writes_15b(void **state)
{
    char message[WRITES_200 * 7];
    const char *text;
    size_t length;

    (void)state;
    memset(message, 'x', sizeof(message));
    message[sizeof(message) - 1] = '\0';
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);
        struct writer w = {.fd = p.peer_out, .bytes = message, .size = sizeof(message), .step = 7};

        writer_start(&w);
        aw_result r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
        pthread_join(w.thread, NULL);
        assert_true(aw_ok(r));
        assert_int_equal(length, sizeof(message) - 1);
        assert_string_equal(text, message);
    }
}

/* Attack 15a: a message that never ends. */
static void
attack_15a_a_message_without_end(void **state)
{
    static const char bytes[4096] = {[0 ... 4095] = 'x'};
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    struct writer w = {
        .fd = p.peer_out, .bytes = bytes, .size = sizeof(bytes), .step = 4096, .forever = true};
    const char *text;
    size_t length;

    (void)state;
    writer_start(&w);
    aw_result r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
    aw_result again = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
    aw_result answer = aw_varlink_send(p.stream, "{}", LONG_MS);
    aw_varlink_stream_free(&p.stream);
    pthread_join(w.thread, NULL);
    assert_int_equal(r.code, AW_CODE_LIMIT);
    assert_int_equal(again.code, AW_CODE_CLOSED);
    assert_true(aw_ok(answer)); /* the peer can still be told why */
}

/* The limit is exact, and a small message before a long one changes nothing. */
static void
limit_is_exact(void **state)
{
    static const struct {
        const char *name;
        size_t length;
        enum aw_code code;
    } rows[] = {
        {"longest", AW_VARLINK_MAX_MESSAGE, AW_CODE_OK},
        {"one more", AW_VARLINK_MAX_MESSAGE + 1, AW_CODE_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
        AW_CLEANUP(aw_free) char *bytes = malloc(rows[i].length + 3);
        struct writer w = {
            .fd = p.peer_out, .bytes = bytes, .size = rows[i].length + 3, .step = 1 << 20};
        const char *text;
        size_t length = 0;

        memset(bytes, 'x', rows[i].length + 3);
        bytes[1] = '\0';
        bytes[rows[i].length + 2] = '\0';
        writer_start(&w);
        assert_true(aw_ok(aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length)));
        assert_int_equal(length, 1);
        aw_result r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
        aw_varlink_stream_free(&p.stream);
        pthread_join(w.thread, NULL);
        if (r.code != rows[i].code)
            fail_msg("%s: found %s", rows[i].name, aw_code_tag(r.code));
    }
}

/* Deadlines: they pass, and what came before them is kept. */

static void
idle_deadline_passes(void **state)
{
    (void)state;
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);
        const char *text;
        size_t length;

        aw_result r = aw_varlink_receive(p.stream, SOON_MS, LONG_MS, &text, &length);
        assert_int_equal(r.code, AW_CODE_TIMEOUT);
        assert_int_equal(write(p.peer_out, "late", 5), 5);
        r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
        assert_true(aw_ok(r));
        assert_string_equal(text, "late");
    }
}

static void
total_deadline_passes(void **state)
{
    (void)state;
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);
        const char *text;
        size_t length;

        assert_int_equal(write(p.peer_out, "ha", 2), 2);
        aw_result r = aw_varlink_receive(p.stream, LONG_MS, SOON_MS, &text, &length);
        assert_int_equal(r.code, AW_CODE_TIMEOUT);
        assert_int_equal(write(p.peer_out, "lf", 3), 3);
        r = aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &text, &length);
        assert_true(aw_ok(r));
        assert_string_equal(text, "half");
    }
}

static void *
drip(void *context)
{
    const int *fd = context;

    while (send(*fd, "x", 1, MSG_NOSIGNAL) == 1)
        usleep(2000);
    return NULL;
}

/* Attack 105: octets that keep coming reset the idle time, but not the total. */
static void
attack_105_drip_does_not_extend_the_total(void **state)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    pthread_t thread;
    const char *text;
    size_t length;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, drip, &p.peer_out), 0);
    aw_result r = aw_varlink_receive(p.stream, LONG_MS, SOON_MS, &text, &length);
    aw_varlink_stream_free(&p.stream);
    pthread_join(thread, NULL);
    assert_int_equal(r.code, AW_CODE_TIMEOUT);
}

/* Wiping: what was handed out is gone after the next call. */
static void
wipes_what_was_read(void **state)
{
    static const char zero[6];
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    const char *first, *second;
    size_t length;

    (void)state;
    assert_int_equal(write(p.peer_out, "secret\0x", 9), 9);
    assert_true(aw_ok(aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &first, &length)));
    assert_memory_equal(first, "secret", 6);
    assert_true(aw_ok(aw_varlink_receive(p.stream, LONG_MS, LONG_MS, &second, &length)));
    assert_ptr_equal(second, first + 7);
    assert_memory_equal(first, zero, 6);
    assert_int_equal(
        aw_varlink_receive(p.stream, SOON_MS, LONG_MS, &second, &length).code, AW_CODE_TIMEOUT);
    assert_int_equal(first[7], 0);
}

/* Sending. */

static void *
read_all(void *context)
{
    struct pair *p = context;
    char bytes[1000];
    size_t total = 0;
    ssize_t n;

    while ((n = read(p->peer_in, bytes, sizeof(bytes))) > 0) {
        total += (size_t)n;
        if (bytes[n - 1] == '\0')
            break;
    }
    return (void *)(uintptr_t)total; /* NOLINT: a number */
}

static void
sends_more_than_the_buffers_hold(void **state)
{
    AW_CLEANUP(aw_free) char *message = malloc(AW_VARLINK_MAX_MESSAGE + 1);

    (void)state;
    memset(message, 'x', AW_VARLINK_MAX_MESSAGE);
    message[AW_VARLINK_MAX_MESSAGE] = '\0';
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);
        pthread_t thread;
        void *total;

        assert_int_equal(pthread_create(&thread, NULL, read_all, &p), 0);
        aw_result r = aw_varlink_send(p.stream, message, LONG_MS);
        pthread_join(thread, &total);
        assert_true(aw_ok(r));
        assert_int_equal((uintptr_t)total, AW_VARLINK_MAX_MESSAGE + 1);
    }
}

static void
peer_that_does_not_read(void **state)
{
    AW_CLEANUP(aw_free) char *message = malloc(AW_VARLINK_MAX_MESSAGE + 2);
    int small = 4096;

    (void)state;
    memset(message, 'x', AW_VARLINK_MAX_MESSAGE + 1);
    message[AW_VARLINK_MAX_MESSAGE] = '\0';
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);

        (void)setsockopt(
            aw_varlink_stream_fd(p.stream), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        assert_int_equal(aw_varlink_send(p.stream, message, SOON_MS).code, AW_CODE_TIMEOUT);
        /* Half a message is out: nothing may follow it. */
        assert_int_equal(aw_varlink_send(p.stream, "{}", SOON_MS).code, AW_CODE_CLOSED);
    }
}

/* SIGPIPE has its default effect here: were it raised, this test would die of it. */
static void
peer_that_is_gone(void **state)
{
    (void)state;
    for (int transport = SOCKETS; transport <= PIPES; transport++) {
        AW_CLEANUP(pair_free) struct pair p = pair_make((enum transport)transport);

        if (p.peer_in != p.peer_out)
            aw_close(&p.peer_in);
        else
            p.peer_in = -1;
        aw_close(&p.peer_out);
        assert_int_equal(aw_varlink_send(p.stream, "{}", LONG_MS).code, AW_CODE_CLOSED);
    }
}

static void
does_not_send_what_is_too_long(void **state)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    AW_CLEANUP(aw_free) char *message = malloc(AW_VARLINK_MAX_MESSAGE + 2);
    char bytes[8] = "";

    (void)state;
    memset(message, 'x', AW_VARLINK_MAX_MESSAGE + 1);
    message[AW_VARLINK_MAX_MESSAGE + 1] = '\0';
    assert_int_equal(aw_varlink_send(p.stream, message, LONG_MS).code, AW_CODE_LIMIT);
    assert_true(aw_ok(aw_varlink_send(p.stream, "{}", LONG_MS)));
    assert_int_equal(read(p.peer_in, bytes, sizeof(bytes)), 3);
    assert_string_equal(bytes, "{}");
}

/* Exchanging: an answer belongs to its call or to none. */

static void
late_answer_is_nobodys(void **state)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    const char *text;
    size_t length;

    (void)state;
    assert_int_equal(
        aw_varlink_exchange(p.stream, "one", SOON_MS, &text, &length).code, AW_CODE_TIMEOUT);
    assert_int_equal(write(p.peer_out, "answer to one", 14), 14);
    assert_int_equal(
        aw_varlink_exchange(p.stream, "two", LONG_MS, &text, &length).code, AW_CODE_CLOSED);
}

static void
second_answer_is_nobodys(void **state)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    const char *text;
    size_t length;

    (void)state;
    assert_int_equal(write(p.peer_out, "one\0two", 8), 8);
    assert_true(aw_ok(aw_varlink_exchange(p.stream, "x", LONG_MS, &text, &length)));
    assert_string_equal(text, "one");
    assert_int_equal(
        aw_varlink_exchange(p.stream, "y", LONG_MS, &text, &length).code, AW_CODE_SYNTAX);
    assert_int_equal(aw_varlink_send(p.stream, "z", LONG_MS).code, AW_CODE_CLOSED);
}

/* Who is turned away by a full server is told so before its call is read. */
static void
attack_106_early_answer_of_a_peer_that_is_gone(void **state)
{
    AW_CLEANUP(pair_free) struct pair p = pair_make(SOCKETS);
    const char *text;
    size_t length;

    (void)state;
    assert_int_equal(write(p.peer_out, "later", 6), 6);
    assert_int_equal(close(p.peer_out), 0);
    p.peer_in = p.peer_out = -1;
    assert_true(aw_ok(aw_varlink_exchange(p.stream, "x", LONG_MS, &text, &length)));
    assert_string_equal(text, "later");
    assert_int_equal(
        aw_varlink_exchange(p.stream, "y", LONG_MS, &text, &length).code, AW_CODE_CLOSED);
}

static void
refuses_a_bad_descriptor(void **state)
{
    aw_varlink_stream *stream = NULL;

    (void)state;
    assert_false(aw_ok(aw_varlink_stream_new(-1, &stream)));
    assert_null(stream);
    aw_varlink_stream_free(&stream);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_messages_apart),
        cmocka_unit_test(joins_200_writes_15b),
        cmocka_unit_test(attack_15a_a_message_without_end),
        cmocka_unit_test(limit_is_exact),
        cmocka_unit_test(idle_deadline_passes),
        cmocka_unit_test(total_deadline_passes),
        cmocka_unit_test(attack_105_drip_does_not_extend_the_total),
        cmocka_unit_test(wipes_what_was_read),
        cmocka_unit_test(sends_more_than_the_buffers_hold),
        cmocka_unit_test(peer_that_does_not_read),
        cmocka_unit_test(peer_that_is_gone),
        cmocka_unit_test(does_not_send_what_is_too_long),
        cmocka_unit_test(late_answer_is_nobodys),
        cmocka_unit_test(second_answer_is_nobodys),
        cmocka_unit_test(attack_106_early_answer_of_a_peer_that_is_gone),
        cmocka_unit_test(refuses_a_bad_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
