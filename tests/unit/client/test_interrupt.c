/* Signals: the second one ends a program, of whatever kind; a process that was forked notes its
 * own, as often as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/interrupt.h"

enum { GOOD = 0, BAD = 1 };

static bool
was_told(void)
{
    struct pollfd event = {.fd = interrupt_fd(), .events = POLLIN};

    return poll(&event, 1, 0) == 1 && interrupt_came();
}

static bool
was_not_told(void)
{
    struct pollfd event = {.fd = interrupt_fd(), .events = POLLIN};

    return poll(&event, 1, 0) == 0 && !interrupt_came();
}

static int
end_of(pid_t pid)
{
    int status = 0;

    return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Each in a process of its own, which is the program. */

static int
take_one(void)
{
    raise(SIGINT);
    return was_told() && interrupt_wait(60000).code == AW_CODE_INTERRUPTED ? GOOD : BAD;
}

static int
take_two(void)
{
    raise(SIGINT);
    raise(SIGINT);
    return BAD;
}

static int
take_two_kinds(void)
{
    raise(SIGINT);
    raise(SIGTERM);
    return BAD;
}

/* A terminal tells all processes, and the program its jobs once more. */
static int
have_job_told(void)
{
    pid_t job = fork();

    if (job == 0) {
        raise(SIGINT);
        raise(SIGTERM);
        raise(SIGTERM);
        _exit(was_told() ? GOOD : BAD);
    }
    return end_of(job) == 0 && was_not_told() ? GOOD : BAD;
}

static int
have_job_begun_late(void)
{
    raise(SIGTERM);
    pid_t job = fork();

    if (job == 0) {
        raise(SIGTERM);
        _exit(was_told() ? GOOD : BAD);
    }
    return end_of(job) == 0 ? GOOD : BAD;
}

static const struct {
    const char *name;
    int (*run)(void);
    int signal_number; /* that ends it; 0: it ends well */
} rows[] = {
    {"one is noted", take_one, 0},
    {"the second one", take_two, SIGINT},
    {"the second one, of another kind", take_two_kinds, SIGTERM},
    {"a job notes its own, as often as it is told", have_job_told, 0},
    {"a job that was begun after the signal", have_job_begun_late, 0},
};

static void
test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        pid_t program = fork();

        assert_true(program >= 0);
        if (program == 0)
            _exit(aw_ok(interrupt_begin()) ? rows[i].run() : BAD);
        int status = end_of(program);
        bool good = rows[i].signal_number == 0
                        ? WIFEXITED(status) && WEXITSTATUS(status) == GOOD
                        : WIFSIGNALED(status) && WTERMSIG(status) == rows[i].signal_number;
        if (!good)
            fail_msg("%s: status 0x%x", rows[i].name, (unsigned)status);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}
