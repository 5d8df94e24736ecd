/* What ssh is started with, seen from a program in its place: this one, by that name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "client/ssh.h"
#include "common/io.h"

/* As ssh: tells on standard error whether a signal would end it. */
static int
be_ssh(void)
{
    sigset_t blocked;

    sigprocmask(SIG_SETMASK, NULL, &blocked);
    fputs(sigismember(&blocked, SIGTERM) == 1 ? "deaf" : "takes signals", stderr);
    return 255;
}

/* A relay's threads block all signals: ssh, which is told to end by one, must not. */
static void
test_it_takes_signals(void **state)
{
    const struct ssh_place place = {.url = "ssh://hsm.example.edu"};
    char folder[] = "/tmp/acmeward-ssh-test-XXXXXX", path[64], places[128];
    char self[512];
    aw_varlink_stream *stream = NULL;
    ssh_process *process = NULL;
    sigset_t all, before;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/ssh", folder);
    snprintf(places, sizeof(places), "%s:/usr/bin:/bin", folder);
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = '\0';
    assert_int_equal(symlink(self, path), 0);
    assert_int_equal(setenv("PATH", places, 1), 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    aw_result r = ssh_process_start(&place, &process, &stream);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_true(aw_ok(r));
    assert_int_equal(ssh_process_explain(&process).code, AW_CODE_UNAVAILABLE);
    aw_varlink_stream_free(&stream);
    assert_non_null(strstr(aw_error_last()->message, "takes signals"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "ssh") == 0)
        return be_ssh();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_signals),
    };

    return cmocka_run_group_tests_name("ssh", tests, NULL, NULL);
}
