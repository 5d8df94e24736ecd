/* Hooks: what they get, what is kept of what they write, and that nothing of them is left. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "client/hook.h"
#include "client/interrupt.h"
#include "common/io.h"

static const struct hook_variable variables[] = {
    {"CERTBOT_DOMAIN", "www.example.edu"}, {"CERTBOT_VALIDATION", "a'b\"c $(id) `id`\n;"}};

static aw_result
run(const char *command, unsigned seconds, struct hook_output *out)
{
    const struct hook hook = {.option = "--manual-auth-hook",
        .command = command,
        .variables = variables,
        .variable_count = AW_COUNT(variables),
        .seconds = seconds};

    return hook_run(&hook, out);
}

static const struct row {
    const char *name;
    const char *command;
    enum aw_code code;
    const char *out, *err; /* NULL: not looked at */
    const char *message;   /* in it; NULL: not looked at */
} rows[] = {
    {"what it says, without white space at the end", "printf ' a b \\n\\n'; echo e >&2", AW_CODE_OK,
        " a b", "e", NULL},
    {"nothing", "true", AW_CODE_OK, "", "", NULL},
    {"a variable is data, whatever is in it", "printf %s. \"$CERTBOT_VALIDATION\"", AW_CODE_OK,
        "a'b\"c $(id) `id`\n;.", "", NULL},
    {"an environment of PATH and its own variables",
        "env | cut -d= -f1 | grep -v '^;\\|^[a ]' | sort", AW_CODE_OK,
        "CERTBOT_DOMAIN\nCERTBOT_VALIDATION\nPATH\nPWD", "", NULL},
    {"PATH", "echo $PATH", AW_CODE_OK, HOOK_PATH, "", NULL},
    {"umask", "umask", AW_CODE_OK, "0022", "", NULL},
    {"nothing to read", "cat", AW_CODE_OK, "", "", NULL},
    {"signals as a shell expects them", "kill -PIPE $$; echo survived", AW_CODE_IO, "", "",
        "ended with signal 13"},
    {"NUL", "printf 'a\\000b'", AW_CODE_OK, "a b", "", NULL},
    {"a status", "echo first >&2; echo 'no such zone' >&2; exit 3", AW_CODE_IO, "",
        "first\nno such zone", "--manual-auth-hook ended with status 3: no such zone"},
    {"last words are safe for a terminal", "printf 'a\\033[2Jb' >&2; exit 1", AW_CODE_IO, NULL,
        NULL, "status 1: a\\x1b[2Jb"},
    {"no such program", "/no/such/program", AW_CODE_IO, "", NULL, "status 127"},
    {"a syntax error", "if", AW_CODE_IO, "", NULL, "status 2"},
    {"what stays in the background is not waited for", "sleep 60 & echo $!", AW_CODE_OK, NULL, "",
        NULL},
    {"time limit", "echo begun; sleep 60", AW_CODE_TIMEOUT, "begun", "", "ended after 3 seconds"},
    {"time limit, deaf to SIGTERM", "trap '' TERM; echo begun; sleep 60; sleep 60", AW_CODE_TIMEOUT,
        "begun", NULL, "ended after 3 seconds"},
};

static bool
holds(const struct row *row)
{
    AW_CLEANUP(hook_output_free) struct hook_output output;
    int64_t begun = aw_now_ms();

    /* A shell on a loaded machine takes more than a second to say that it has begun. */
    aw_result r = run(row->command, row->code == AW_CODE_TIMEOUT ? 3 : 40, &output);
    bool background = strstr(row->command, "echo $!") != NULL;
    if (background)
        kill((pid_t)strtol(output.out, NULL, 10), SIGKILL);
    return r.code == row->code && aw_now_ms() - begun < 30000 &&
           (row->out == NULL || strcmp(row->out, output.out) == 0) &&
           (row->err == NULL || strcmp(row->err, output.err) == 0) &&
           (row->message == NULL || strstr(aw_error_last()->message, row->message) != NULL);
}

static void
test_rows(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (!holds(&rows[i])) {
            print_error("%s: %s\n", rows[i].name, aw_error_last()->message);
            all = false;
        }
    assert_true(all);
}

/* Descriptors 0, 1, 2, and the one that ls itself opens. */
static void
test_it_gets_no_descriptor_of_ours(void **state)
{
    AW_CLEANUP(hook_output_free) struct hook_output output;

    (void)state;
    int ours = dup2(STDERR_FILENO, 57);
    assert_int_equal(ours, 57);
    assert_true(aw_ok(run("test ! -e /proc/self/fd/57", 5, &output)));
    close(ours);
}

static void
test_what_is_too_much_is_dropped_and_told(void **state)
{
    AW_CLEANUP(hook_output_free) struct hook_output output;

    (void)state;
    assert_true(aw_ok(run("head -c 1000000 /dev/zero | tr '\\0' x; echo end >&2", 20, &output)));
    assert_true(output.cut);
    assert_int_equal(strlen(output.out), HOOK_OUTPUT_MAX);
    assert_string_equal(output.err, "end");
}

/* At the time limit the whole group ends, not the shell alone. */
static void
test_nothing_of_it_is_left_at_the_time_limit(void **state)
{
    AW_CLEANUP(hook_output_free) struct hook_output output;

    (void)state;
    assert_int_equal(run("sleep 600 & echo $!; wait", 1, &output).code, AW_CODE_TIMEOUT);
    pid_t child = (pid_t)strtol(output.out, NULL, 10);
    assert_true(child > 1);
    for (int i = 0; i < 500 && kill(child, 0) == 0; i++)
        usleep(10000);
    assert_int_equal(kill(child, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void
test_a_variable_must_have_a_name(void **state)
{
    static const char *const names[] = {"", "A=B", "1A", "A B", "LD\nPRELOAD"};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(names); i++) {
        const struct hook_variable variable = {names[i], "x"};
        const struct hook hook = {
            .option = "--x", .command = "true", .variables = &variable, .variable_count = 1};
        AW_CLEANUP(hook_output_free) struct hook_output output;
        assert_int_equal(hook_run(&hook, &output).code, AW_CODE_SYNTAX);
    }
}

static const struct {
    const char *name;
    const char *command;
    const char *said; /* NULL: it passes */
} check_rows[] = {
    {"none", NULL, NULL},
    {"a program in PATH", "  ls -l", NULL},
    {"a path", "/bin/sh -c 'exit 0'", NULL},
    {"the shell's own", "cd /tmp && no-such-program", NULL},
    {"an assignment", "A=1 no-such-program", NULL},
    {"quotes", "'no such program'", NULL},
    {"a group", "{ no-such-program; }", NULL},
    {"a list", "true; no-such-program", NULL},
    {"misspelt", "systemclt reload nginx",
        "--x: there is no program systemclt in /usr/local/sbin:"},
    {"misspelt, before a list", "no-such-program;true", "no program no-such-program"},
    {"no such file", "/usr/share/none arg", "--x: there is no /usr/share/none"},
    {"no program", "/etc/passwd", "--x: /etc/passwd can't be run"},
    {"a folder", "/tmp", "--x: /tmp can't be run"},
};

static void
test_it_is_looked_for(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(check_rows); i++) {
        aw_result r = hook_check("--x", check_rows[i].command);
        bool good = check_rows[i].said == NULL
                        ? aw_ok(r)
                        : r.code == AW_CODE_USAGE &&
                              strstr(aw_error_last()->message, check_rows[i].said) != NULL;
        if (!good)
            print_error("%s: %s\n", check_rows[i].name, aw_error_last()->message);
        failed += !good;
    }
    assert_int_equal(failed, 0);
}

/* Last: the signal came for good. Clean-up still runs. */
static void
test_a_signal_ends_it_but_not_the_clean_up(void **state)
{
    AW_CLEANUP(hook_output_free) struct hook_output output = {0};
    AW_CLEANUP(hook_output_free) struct hook_output after = {0};
    const struct hook cleanup = {
        .option = "--manual-cleanup-hook", .command = "sleep 0.1; echo cleaned", .always = true};

    (void)state;
    assert_true(aw_ok(interrupt_begin()));
    assert_true(aw_ok(interrupt_check()));
    int64_t begun = aw_now_ms();
    aw_result r = run("kill -TERM $PPID; sleep 60", 60, &output);
    assert_int_equal(r.code, AW_CODE_INTERRUPTED);
    assert_true(aw_now_ms() - begun < 20000);
    assert_int_equal(interrupt_wait(60000).code, AW_CODE_INTERRUPTED);
    hook_output_free(&output);
    assert_int_equal(run("echo never", 5, &output).code, AW_CODE_INTERRUPTED);
    assert_null(output.out);
    assert_true(aw_ok(hook_run(&cleanup, &after)));
    assert_string_equal(after.out, "cleaned");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_it_gets_no_descriptor_of_ours),
        cmocka_unit_test(test_what_is_too_much_is_dropped_and_told),
        cmocka_unit_test(test_nothing_of_it_is_left_at_the_time_limit),
        cmocka_unit_test(test_a_variable_must_have_a_name),
        cmocka_unit_test(test_it_is_looked_for),
        cmocka_unit_test(test_a_signal_ends_it_but_not_the_clean_up),
    };

    return cmocka_run_group_tests_name("hook", tests, NULL, NULL);
}
