/* Processes beside the core: what each begins with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signer/child.h"

enum { BORNE = 7 };

static int
write_into(void *context)
{
    const int *fd = context;

    return write(*fd, "line\n", 5) < 0 && errno == EPIPE ? BORNE : 1;
}

/* Keeper and users write log lines too: who reads them may end, and the signer goes on. */
static void
a_child_bears_a_log_that_nobody_reads(void **state)
{
    int ends[2], status = 0;
    pid_t pid = 0;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    const struct child child = {.name = "writer",
        .keep = &ends[1],
        .keep_count = 1,
        .run = write_into,
        .context = &ends[1]};
    assert_int_equal(child_start(&child, &pid).code, AW_CODE_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[1]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), BORNE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_bears_a_log_that_nobody_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
