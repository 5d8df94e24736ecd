#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "common/log_internal.h"

/* The journal of this test: stands before libsystemd's at link time, and keeps the last entry. */
static struct {
    int answer;
    unsigned calls;
    char text[16384]; /* fields, a line feed behind each */
} journal;

int sd_journal_sendv(const struct iovec *entries, int count);

int
sd_journal_sendv(const struct iovec *entries, int count)
{
    size_t used = 0;

    journal.calls++;
    for (int i = 0; i < count; i++) {
        memcpy(journal.text + used, entries[i].iov_base, entries[i].iov_len);
        used += entries[i].iov_len;
        journal.text[used++] = '\n';
    }
    journal.text[used] = '\0';
    return journal.answer;
}

/* While it is caught, stderr is a file in memory. */
struct caught {
    int real;
    int file;
    char text[65536];
};

static void
catch_stderr(struct caught *caught)
{
    fflush(stderr);
    caught->real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    caught->file = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(caught->real >= 0 && caught->file >= 0);
    /* Each write goes behind the one before, as in a log file or a pipe. */
    assert_int_equal(fcntl(caught->file, F_SETFL, O_APPEND), 0);
    assert_int_equal(dup2(caught->file, STDERR_FILENO), STDERR_FILENO);
}

static void
release_stderr(struct caught *caught)
{
    ssize_t got = pread(caught->file, caught->text, sizeof(caught->text) - 1, 0);

    dup2(caught->real, STDERR_FILENO);
    aw_close(&caught->real);
    aw_close(&caught->file);
    assert_true(got >= 0);
    caught->text[got] = '\0';
}

static const struct {
    const char *name;
    const char *text;
    size_t length;
    size_t capacity;
    const char *escaped;
} escapes[] = {
    {"plain", "abc", 3, 100, "abc"},
    {"nothing", "", 0, 100, ""},
    {"attack 100 line breaks", "a\r\nb", 4, 100, "a\\x0d\\x0ab"},
    {"attack 100 ESC", "\x1b[2J", 4, 100, "\\x1b[2J"},
    {"attack 100 NUL", "a\0b", 3, 100, "a\\x00b"},
    {"attack 100 DEL", "\x7f", 1, 100, "\\x7f"},
    {"attack 100 C1 (CSI)", "\xc2\x9b", 2, 100, "\\xc2\\x9b"},
    {"attack 100 a raw C1 octet", "\x9b", 1, 100, "\\x9b"},
    {"a backslash", "\\x41", 4, 100, "\\x5cx41"},
    {"UTF-8 stays", "\xc3\xbc\xf0\x9f\x98\x80", 6, 100, "\xc3\xbc\xf0\x9f\x98\x80"},
    {"no-break space, the first behind C1", "\xc2\xa0", 2, 100, "\xc2\xa0"},
    {"invalid octets", "\xff\xc3", 2, 100, "\\xff\\xc3"},
    {"overlong", "\xc0\x8a", 2, 100, "\\xc0\\x8a"},
    {"attack 83 bidi override", "\xe2\x80\xae", 3, 100, "\\xe2\\x80\\xae"},
    {"attack 83 bidi isolate", "\xe2\x81\xa6", 3, 100, "\\xe2\\x81\\xa6"},
    {"attack 83 right-to-left mark", "\xe2\x80\x8f", 3, 100, "\\xe2\\x80\\x8f"},
    {"attack 83 Arabic letter mark", "\xd8\x9c", 2, 100, "\\xd8\\x9c"},
    {"attack 100 line separator", "\xe2\x80\xa8", 3, 100, "\\xe2\\x80\\xa8"},
    {"fits exactly", "abc", 3, 4, "abc"},
    {"cut", "abc", 3, 3, "ab"},
    {"cut before an escape", "a\nb", 3, 5, "a"},
    {"an escape fits exactly", "a\nb", 3, 6, "a\\x0a"},
    {"cut before a character", "a\xc3\xbc", 3, 3, "a"},
    {"room for the NUL only", "abc", 3, 1, ""},
};

static void
escape_leaves_what_is_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(escapes); i++) {
        char *out = malloc(escapes[i].capacity); /* exact, for the sanitizer */
        assert_non_null(out);
        aw_log_escape(escapes[i].text, escapes[i].length, out, escapes[i].capacity);
        if (strcmp(out, escapes[i].escaped) != 0)
            fail_msg("%s: %s", escapes[i].name, out);
        free(out);
    }
    aw_log_escape("abc", 3, NULL, 0);
}

static const struct {
    const char *name;
    const char *value;
    const char *line;
} values[] = {
    {"plain", "www.example.edu", "p: notice: signed NAME=www.example.edu NEXT=1\n"},
    {"empty", "", "p: notice: signed NAME=\"\" NEXT=1\n"},
    {"absent", NULL, "p: notice: signed NAME=\"\" NEXT=1\n"},
    {"a space", "a b", "p: notice: signed NAME=\"a b\" NEXT=1\n"},
    {"attack 100 another field", "a VERDICT=permit",
        "p: notice: signed NAME=\"a VERDICT=permit\" NEXT=1\n"},
    {"attack 100 a quote", "a\" V=\"b", "p: notice: signed NAME=\"a\\x22 V=\\x22b\" NEXT=1\n"},
    {"attack 100 another line", "a\np: error: forged",
        "p: notice: signed NAME=\"a\\x0ap: error: forged\" NEXT=1\n"},
    {"attack 100 ESC", "\x1b]0;x\x07", "p: notice: signed NAME=\\x1b]0;x\\x07 NEXT=1\n"},
};

static void
lines_hold_what_came_from_outside(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_NOTICE);
    for (size_t i = 0; i < AW_COUNT(values); i++) {
        const struct aw_log_field fields[] = {{"NAME", values[i].value}, {"NEXT", "1"}};
        struct caught caught;
        catch_stderr(&caught);
        aw_log_fields(AW_LOG_NOTICE, fields, AW_COUNT(fields), "%s", "signed");
        release_stderr(&caught);
        if (strcmp(caught.text, values[i].line) != 0)
            fail_msg("%s: %s", values[i].name, caught.text);
    }
}

static void
messages_are_escaped(void **state)
{
    struct caught caught;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_INFO);
    catch_stderr(&caught);
    aw_log(AW_LOG_INFO, "attack 100: %s", "a\n\x1b[2Jb");
    release_stderr(&caught);
    assert_string_equal(caught.text, "p: info: attack 100: a\\x0a\\x1b[2Jb\n");
}

static void
levels_below_are_left_out(void **state)
{
    struct caught caught;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_WARNING);
    catch_stderr(&caught);
    errno = ENOSPC;
    aw_log(AW_LOG_ERROR, "1");
    aw_log(AW_LOG_WARNING, "2");
    aw_log(AW_LOG_NOTICE, "3");
    aw_log(AW_LOG_DEBUG, "4");
    int kept = errno;
    release_stderr(&caught);
    assert_string_equal(caught.text, "p: error: 1\np: warning: 2\n");
    assert_int_equal(kept, ENOSPC);
}

/* A line is one, ended and at most PIPE_BUF, however much goes in. */
static void
long_lines_are_cut(void **state)
{
    struct aw_log_field fields[40];
    struct caught caught;
    char text[5000];

    (void)state;
    memset(text, '\x1b', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < AW_COUNT(fields); i++)
        fields[i] = (struct aw_log_field){"KEY", text};
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_INFO);
    catch_stderr(&caught);
    aw_log_fields(AW_LOG_INFO, fields, AW_COUNT(fields), "%s", text);
    release_stderr(&caught);
    assert_int_equal(strlen(caught.text), PIPE_BUF);
    assert_ptr_equal(strchr(caught.text, '\n'), caught.text + PIPE_BUF - 1);
    assert_non_null(strstr(caught.text, " KEY=")); /* a long message leaves room for fields */
}

static void
failures_show_all_that_is_known(void **state)
{
    struct caught caught;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_INFO);
    catch_stderr(&caught);
    aw_ignore(aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "wrong PIN"), "mend it"), "logged");
    aw_log_failure(AW_LOG_ERROR, "login");
    aw_ignore(aw_fail(AW_CODE_BUSY, "full"), "logged");
    aw_log_failure(AW_LOG_WARNING, "accept");
    release_stderr(&caught);
    assert_string_equal(caught.text, "p: error: login: wrong PIN CODE=token-pin HINT=\"mend it\"\n"
                                     "p: warning: accept: full CODE=busy\n");
}

/* systemd.exec(5): the variable names the stream; a child may have another stderr. */
static void
name_stream(int fd, unsigned long long more)
{
    char stream[64];
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
        (unsigned long long)st.st_ino + more);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void
journal_is_used_when_it_is_our_stderr(void **state)
{
    const struct aw_log_field fields[] = {{"NAME", "a\nPRIORITY=0"}, {"EMPTY", NULL}};
    struct caught caught;

    (void)state;
    journal.answer = 0;
    journal.calls = 0;
    catch_stderr(&caught);
    name_stream(STDERR_FILENO, 0);
    aw_log_open("p", AW_LOG_DEBUG);
    aw_log_fields(AW_LOG_WARNING, fields, AW_COUNT(fields), "refused %s", "x\ny");
    release_stderr(&caught);
    assert_int_equal(journal.calls, 1);
    assert_string_equal(journal.text, "MESSAGE=refused x\\x0ay\nPRIORITY=4\nSYSLOG_IDENTIFIER=p\n"
                                      "NAME=a\\x0aPRIORITY=0\nEMPTY=\n");
    assert_string_equal(caught.text, "");
}

static void
stderr_is_used_when_the_journal_is_not_ours(void **state)
{
    struct caught caught;

    (void)state;
    journal.calls = 0;
    catch_stderr(&caught);
    name_stream(STDERR_FILENO, 1);
    aw_log_open("p", AW_LOG_DEBUG);
    aw_log(AW_LOG_DEBUG, "here");
    release_stderr(&caught);
    assert_int_equal(journal.calls, 0);
    assert_string_equal(caught.text, "p: debug: here\n");
}

static void
stderr_is_used_when_the_journal_fails(void **state)
{
    struct caught caught;

    (void)state;
    journal.answer = -ENOBUFS;
    journal.calls = 0;
    catch_stderr(&caught);
    name_stream(STDERR_FILENO, 0);
    aw_log_open("p", AW_LOG_DEBUG);
    aw_log(AW_LOG_ERROR, "not lost");
    release_stderr(&caught);
    assert_int_equal(journal.calls, 1);
    assert_string_equal(caught.text, "p: error: not lost\n");
}

enum { THREADS = 4, LINES = 50 };

static void *
write_lines(void *argument)
{
    const struct aw_log_field field = {"THREAD", argument};

    for (int i = 0; i < LINES; i++)
        aw_log_fields(AW_LOG_INFO, &field, 1, "line %d", i);
    return NULL;
}

static void
threads_do_not_mix_their_lines(void **state)
{
    static char names[THREADS][2] = {"0", "1", "2", "3"};
    pthread_t threads[THREADS];
    struct caught caught;
    unsigned whole = 0;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("p", AW_LOG_INFO);
    catch_stderr(&caught);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    release_stderr(&caught);
    for (char *rest = caught.text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        int number = -1, thread = -1, end = 0;
        if (sscanf(line, "p: info: line %d THREAD=%1d%n", &number, &thread, &end) != 2 ||
            line[end] != '\0')
            fail_msg("a mixed line: %s", line);
        whole++;
    }
    assert_int_equal(whole, THREADS * LINES);
}

/* A pipe in place of stderr, that nobody reads until the test does. */
static int
unread_stderr(int *real)
{
    int ends[2];

    fflush(stderr);
    *real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

static void
a_daemon_does_not_wait_for_who_reads_its_log(void **state)
{
    static char text[1 << 17];
    char said[80];
    int real, reader;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    aw_log_open("test", AW_LOG_INFO);
    aw_log_never_wait();
    reader = unread_stderr(&real);
    for (int i = 0; i < 3000; i++) /* more than a pipe holds */
        aw_log(AW_LOG_INFO, "line %04d of a log that nobody reads for a while", i);
    uint64_t lost = aw_log_lost();
    ssize_t before = read(reader, text, sizeof(text) - 1);
    aw_log(AW_LOG_INFO, "the next one");
    uint64_t then = aw_log_lost();
    dup2(real, STDERR_FILENO);
    close(real);
    assert_true(lost > 0 && lost < 3000);
    assert_int_equal(then, lost);
    assert_true(before > 0);
    ssize_t after = read(reader, text, sizeof(text) - 1);
    close(reader);
    assert_true(after > 0);
    text[after] = '\0';
    snprintf(said, sizeof(said), "test: warning: %llu lines were left out here",
        (unsigned long long)lost);
    assert_ptr_equal(strstr(text, said), text);
    assert_non_null(strstr(text, "\ntest: info: the next one\n"));
    log_settings.never_waits = false;
}

/* libsystemd would wait: its socket blocks. */
static void
a_daemon_does_not_wait_for_the_journal(void **state)
{
    int ends[2];
    uint64_t lost = aw_log_lost();

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    while (send(ends[0], "x", 1, 0) == 1)
        ;
    journal.calls = 0;
    journal.answer = 0;
    name_stream(STDERR_FILENO, 0);
    aw_log_open("test", AW_LOG_INFO);
    log_settings.never_waits = true;
    log_settings.probe = ends[0];
    aw_log(AW_LOG_INFO, "no room");
    assert_int_equal(journal.calls, 0);
    assert_int_equal(aw_log_lost(), lost + 1);
    char byte;
    while (recv(ends[1], &byte, 1, 0) == 1)
        ;
    aw_log(AW_LOG_INFO, "room");
    assert_int_equal(journal.calls, 2);
    assert_non_null(strstr(journal.text, "MESSAGE=room\n"));
    assert_int_equal(aw_log_lost(), lost + 1);
    log_settings.never_waits = false;
    log_settings.probe = -1;
    close(ends[0]);
    close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escape_leaves_what_is_harmless),
        cmocka_unit_test(lines_hold_what_came_from_outside),
        cmocka_unit_test(messages_are_escaped),
        cmocka_unit_test(levels_below_are_left_out),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(failures_show_all_that_is_known),
        cmocka_unit_test(journal_is_used_when_it_is_our_stderr),
        cmocka_unit_test(stderr_is_used_when_the_journal_is_not_ours),
        cmocka_unit_test(stderr_is_used_when_the_journal_fails),
        cmocka_unit_test(threads_do_not_mix_their_lines),
        cmocka_unit_test(a_daemon_does_not_wait_for_who_reads_its_log),
        cmocka_unit_test(a_daemon_does_not_wait_for_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
