/* Records on their way to syslog and the journal: in order, none lost, nobody waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/forward.h"
#include "signer/forward_send.h"
#include "tests/unit/audit/support.h"

enum { WAIT_MS = 20000, MESSAGE_MAX = 128 * 1024 };

struct fixture {
    struct scene scene;
    char socket[128];
    int receiver;
    forward *forward;
};

/* The receiver. */

static void
listen_on(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, f->socket, strlen(f->socket) + 1);
    unlink(f->socket);
    f->receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->receiver, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void
go_away(struct fixture *f)
{
    aw_close(&f->receiver);
    unlink(f->socket);
}

/* The next message, NUL behind it; NULL when none comes. */
static const char *
receive(struct fixture *f, int ms)
{
    static char text[MESSAGE_MAX];
    struct pollfd wait = {.fd = f->receiver, .events = POLLIN};

    if (poll(&wait, 1, ms) != 1)
        return NULL;
    ssize_t size = recv(f->receiver, text, sizeof(text) - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    return text;
}

static int64_t
receive_seq(struct fixture *f)
{
    const char *text = receive(f, WAIT_MS);
    const char *at = text == NULL ? NULL : strstr(text, " seq=\"");

    if (at == NULL)
        fail_msg("no message came");
    return at == NULL ? 0 : strtoll(at + 6, NULL, 10);
}

/* The log. */

static void
start(struct fixture *f, enum aw_config_forward to)
{
    scene_open_segments(&f->scene, 5, NULL);
    const struct forward_how how = {
        .log = f->scene.log, .folder = f->scene.folder, .to = to, .socket = f->socket};
    expect_ok("forward", forward_open(&how, &f->forward));
}

static void
stop(struct fixture *f)
{
    forward_close(&f->forward);
    assert_null(f->forward);
    scene_close(&f->scene);
}

static void
add(struct fixture *f, int count)
{
    int64_t seq;

    for (int i = 0; i < count; i++)
        expect_ok("append", scene_append(&f->scene, &seq));
}

static void
wait_for_state(struct fixture *f, int64_t behind, bool failing)
{
    struct forward_state state;
    int64_t end = aw_now_ms() + WAIT_MS;

    do {
        usleep(2000);
        forward_state(f->forward, &state);
    } while (
        (state.behind != behind || (state.message[0] != '\0') != failing) && aw_now_ms() < end);
    assert_int_equal(state.behind, behind);
    assert_int_equal(state.message[0] != '\0', failing);
}

static int
setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.receiver = -1};
    scene_begin(&f.scene);
    scene_path(&f.scene, "log.sock", f.socket);
    *state = &f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    forward_close(&f->forward);
    aw_close(&f->receiver);
    scene_end(&f->scene);
    return 0;
}

static void
nothing_is_forwarded_unless_it_is_asked_for(void **state)
{
    struct fixture *f = *state;

    start(f, AW_FORWARD_NONE);
    assert_null(f->forward);
}

/* RFC 5424 6: header, structured data, and the line of the log as it is. */
static void
a_record_is_a_message_of_rfc_5424(void **state)
{
    static const struct {
        const char *name;
        struct audit_entry entry;
        const char *begin, *data;
    } rows[] = {
        {"permit", {.kind = AUDIT_DECISION, .verdict = "permit"}, "<86>1 2026-11-24T02:34:25Z ",
            "seq=\"1\" kind=\"decision\" verdict=\"permit\"]"},
        {"refuse", {.kind = AUDIT_DECISION, .verdict = "refuse", .rule = "names.none"}, "<85>1 ",
            "verdict=\"refuse\" rule=\"names.none\"]"},
        {"warn", {.kind = AUDIT_DECISION, .verdict = "warn"}, "<84>1 ", "verdict=\"warn\"]"},
        {"alarm", {.kind = AUDIT_ALARM, .rule = "url.taken"}, "<83>1 ", "kind=\"alarm\" rule="},
        {"outcome", {.kind = AUDIT_OUTCOME, .application = "app"}, "<83>1 ", "application=\"app\""},
        {"start", {.kind = AUDIT_START}, "<86>1 ", "seq=\"6\" kind=\"start\"]"},
        {"escaped", {.kind = AUDIT_ADMIN, .operation = "a\"b\\c]d"}, "<86>1 ",
            "operation=\"a\\\"b\\\\c\\]d\"] {"},
    };
    struct fixture *f = *state;
    char host[256] = "";
    int64_t seq;

    listen_on(f);
    start(f, AW_FORWARD_SYSLOG);
    gethostname(host, sizeof(host) - 1);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_entry entry = rows[i].entry;
        AW_CLEANUP(aw_free) char *middle = NULL;

        entry.time = 1795487665;
        expect_ok(rows[i].name, audit_log_append(f->scene.log, &entry, &seq));
        const char *text = receive(f, WAIT_MS);
        assert_non_null(text);
        expect_ok("middle",
            aw_format(&middle, "Z %s acmeward-signer %ld audit [acmeward@32473 seq=", host,
                (long)getpid()));
        if (strncmp(text, rows[i].begin, strlen(rows[i].begin)) != 0 ||
            strstr(text, middle) == NULL || strstr(text, rows[i].data) == NULL)
            fail_msg("%s: %s", rows[i].name, text);
        const char *line = strstr(text, "] {") + 2;
        struct audit_record record;
        expect_ok(rows[i].name, audit_record_parse(line, strlen(line), &record));
        assert_int_equal(record.seq, i + 1);
        audit_record_free(&record);
    }
}

/* What the receiver misses waits in the log, over rotations and restarts. */
static void
what_is_not_taken_is_forwarded_later(void **state)
{
    struct fixture *f = *state;
    int64_t expected = 1;

    start(f, AW_FORWARD_SYSLOG);
    add(f, 7);
    wait_for_state(f, 7, true);
    listen_on(f);
    for (; expected <= 7; expected++)
        assert_int_equal(receive_seq(f), expected);
    wait_for_state(f, 0, false);
    go_away(f);
    add(f, 4);
    wait_for_state(f, 4, true);
    stop(f);
    start(f, AW_FORWARD_SYSLOG);
    add(f, 3);
    listen_on(f);
    for (; expected <= 14; expected++)
        assert_int_equal(receive_seq(f), expected);
    wait_for_state(f, 0, false);
    /* A receiver that is started anew is connected to anew, on the same descriptor. */
    aw_close(&f->receiver);
    listen_on(f);
    add(f, 2);
    for (; expected <= 16; expected++)
        assert_int_equal(receive_seq(f), expected);
    stop(f);
    assert_null(receive(f, 50));
    start(f, AW_FORWARD_SYSLOG);
    add(f, 1);
    assert_int_equal(receive_seq(f), 17); /* none twice after an orderly end */
}

/* A receiver that does not read: records are durable at once all the same. */
static void
a_full_receiver_keeps_nobody_waiting(void **state)
{
    struct fixture *f = *state;
    struct forward_state now;
    int64_t began;

    listen_on(f);
    start(f, AW_FORWARD_SYSLOG);
    began = aw_now_ms();
    add(f, 300); /* a Unix datagram socket holds some ten (net.unix.max_dgram_qlen) */
    assert_true(aw_now_ms() - began < WAIT_MS);
    do
        forward_state(f->forward, &now);
    while (now.failures == 0);
    assert_true(now.behind > 0);
    assert_non_null(strstr(now.message, "takes no more at present"));
    for (int64_t i = 1; i <= 40; i++)
        assert_int_equal(receive_seq(f), i);
}

/* Never more than what is on record for good. */
static void
forwarding_begins_at_the_end_and_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    char path[128];

    listen_on(f);
    scene_open(&f->scene);
    add(f, 6);
    scene_close(&f->scene);
    start(f, AW_FORWARD_SYSLOG);
    assert_null(receive(f, 300));
    add(f, 1);
    assert_int_equal(receive_seq(f), 7);
    stop(f);
    /* A place in a log that was longer once, and one that is none. */
    static const char *const bad[] = {"{\"seq\":1000}\n", "{}", "", "{\"seq\":-1}", "x"};
    scene_path(&f->scene, "forwarded", path);
    for (size_t i = 0; i < AW_COUNT(bad); i++) {
        expect_ok("place", aw_file_replace(path, bad[i], strlen(bad[i]), 0640));
        start(f, AW_FORWARD_SYSLOG);
        add(f, 1);
        assert_int_equal(receive_seq(f), 8 + (int64_t)i);
        stop(f);
    }
}

/* The journal: libsystemd is wrapped. */

static struct {
    atomic_int answer, calls;
    atomic_bool here;
    char text[4096];
} journal;

int __wrap_sd_journal_sendv(const struct iovec *fields, int count);
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);

int
__wrap_sd_journal_sendv(const struct iovec *fields, int count)
{
    size_t used = 0;
    int answer = atomic_load(&journal.answer);

    for (int i = 0; i < count && answer == 0; i++)
        used += (size_t)snprintf(journal.text + used, sizeof(journal.text) - used, "%.*s|",
            (int)fields[i].iov_len, (const char *)fields[i].iov_base);
    if (answer == 0)
        atomic_fetch_add(&journal.calls, 1);
    return answer;
}

int
__wrap_access(const char *path, int mode)
{
    if (strcmp(path, "/run/systemd/journal/socket") != 0)
        return __real_access(path, mode);
    errno = ENOENT;
    return atomic_load(&journal.here) ? 0 : -1;
}

static void
the_journal_gets_fields(void **state)
{
    struct fixture *f = *state;

    atomic_store(&journal.here, true);
    atomic_store(&journal.answer, -ENOBUFS);
    start(f, AW_FORWARD_JOURNAL);
    add(f, 1);
    wait_for_state(f, 1, true);
    atomic_store(&journal.answer, 0);
    wait_for_state(f, 0, false);
    assert_int_equal(atomic_load(&journal.calls), 1);
    static const char *const fields[] = {"MESSAGE={\"seq\":1,", "|PRIORITY=6|",
        "|SYSLOG_FACILITY=10|", "|SYSLOG_IDENTIFIER=acmeward-audit|", "|ACMEWARD_SEQ=1|",
        "|ACMEWARD_KIND=decision|", "|ACMEWARD_VERDICT=permit|",
        "|ACMEWARD_APPLICATION=dept_myapp1|"};
    for (size_t i = 0; i < AW_COUNT(fields); i++)
        if (strstr(journal.text, fields[i]) == NULL)
            fail_msg("no %s in %s", fields[i], journal.text);
    /* libsystemd would call it a success. */
    atomic_store(&journal.here, false);
    add(f, 2);
    wait_for_state(f, 2, true);
    atomic_store(&journal.here, true);
    wait_for_state(f, 0, false);
    assert_int_equal(atomic_load(&journal.calls), 3);
}

/* libsystemd would wait, and the end of the signer with it. */
static void
a_full_journal_keeps_nobody_waiting(void **state)
{
    struct fixture *f = *state;
    struct forward_target target = {.to = AW_FORWARD_JOURNAL};
    struct forward_state now;
    int ends[2], calls = atomic_load(&journal.calls);
    char byte;

    atomic_store(&journal.here, true);
    atomic_store(&journal.answer, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    while (send(ends[0], "x", 1, 0) == 1)
        ;
    target.fd = ends[0];
    scene_open(&f->scene);
    const struct forward_how how = {.log = f->scene.log,
        .folder = f->scene.folder,
        .to = AW_FORWARD_JOURNAL,
        .target = &target};
    expect_ok("forward", forward_open(&how, &f->forward));
    add(f, 3);
    wait_for_state(f, 3, true);
    forward_state(f->forward, &now);
    assert_non_null(strstr(now.message, "takes no more at present"));
    assert_int_equal(atomic_load(&journal.calls), calls);
    while (recv(ends[1], &byte, 1, 0) == 1)
        ;
    wait_for_state(f, 0, false);
    assert_int_equal(atomic_load(&journal.calls), calls + 3);
    close(ends[1]);
    stop(f);
}

/* Not taken is not lost: the log keeps it, and the reason is told. */
static void
a_stream_socket_is_no_receiver(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct forward_state now;

    memcpy(address.sun_path, f->socket, strlen(f->socket) + 1);
    f->receiver = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->receiver, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(f->receiver, 1), 0);
    start(f, AW_FORWARD_SYSLOG);
    add(f, 2);
    wait_for_state(f, 2, true);
    forward_state(f->forward, &now);
    assert_non_null(strstr(now.message, "takes no records"));
    go_away(f);
    listen_on(f);
    assert_int_equal(receive_seq(f), 1);
    assert_int_equal(receive_seq(f), 2);
    stop(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            nothing_is_forwarded_unless_it_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_is_a_message_of_rfc_5424, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_taken_is_forwarded_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_receiver_keeps_nobody_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(
            forwarding_begins_at_the_end_and_keeps_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(the_journal_gets_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_journal_keeps_nobody_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_socket_is_no_receiver, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
