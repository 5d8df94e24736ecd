/* How a program begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/program.h"

enum { STREAMS = STDERR_FILENO + 1 };

/* In a child, with those closed whose bit is set; its exit status: bits of what is not there. */
static int
begin(unsigned closed)
{
    struct stat st;
    int missing = 0;

    for (int fd = 0; fd < STREAMS; fd++)
        if ((closed & 1U << fd) != 0)
            close(fd);
    aw_program_streams();
    for (int fd = 0; fd < STREAMS; fd++)
        if (fstat(fd, &st) != 0)
            missing |= 1 << fd;
    /* And no more than these: the next one is as free as it was. */
    return dup(0) == STREAMS ? missing : 1 << STREAMS;
}

/* A log line would be written into the first file that is opened instead. */
static void
closed_streams_are_opened(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 1U << STREAMS; closed++) {
        int status = 0;
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            close_range(STREAMS, ~0U, 0);
            _exit(begin(closed));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("closed %x: status %x", closed, (unsigned)status);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_streams_are_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
