/* Users who can't be looked up: nothing is decided without them, and what was in force stays so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/peer.h"
#include "signer/users.h"
#include "signer_world.h"

/* What the system's databases answer, in this process and in those that are forked from it. */
static int failure;

int __real_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found);
int __wrap_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found);

int
__wrap_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
    *found = NULL;
    return failure == 0 ? __real_getpwnam_r(name, entry, buffer, size, found) : failure;
}

static int
setup(void **state)
{
    failure = 0;
    return world_setup(state);
}

static aw_result
reload(struct world *w)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};
    aw_result r = core_reload(w->core, NULL, &faults, &warnings);

    assert_int_equal(faults.total, 0);
    return r;
}

static size_t
count_inert(struct world *w)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(w->core);
    struct policy_counts counts;

    policy_count(snapshot, &counts);
    assert_true(counts.applications > 0);
    return counts.inert;
}

/* A directory that is down would leave the officers without a role and nobody to freeze. */
static void
a_reload_that_can_not_look_up_changes_nothing(void **state)
{
    static const int failures[] = {ENOMEM, EIO, EMFILE, ENFILE, ECONNREFUSED};
    struct world *w = *state;
    struct peer officer = world_peer(OFFICER, NULL);
    size_t inert = count_inert(w);

    for (size_t i = 0; i < AW_COUNT(failures); i++) {
        failure = failures[i];
        assert_false(aw_ok(reload(w)));
        assert_non_null(strstr(aw_error_last()->message, "can't look up the user"));
        failure = 0;
        assert_int_equal(core_role_of(w->core, &officer), PEER_OFFICER);
        assert_int_equal(count_inert(w), inert);
    }
    assert_ok(reload(w));
    assert_int_equal(core_role_of(w->core, &officer), PEER_OFFICER);
}

/* Ended, it is started anew by the service manager until somebody can be looked up. */
static void
a_start_that_can_not_look_up_fails(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};

    core_close(&w->core);
    failure = EIO;
    assert_int_equal(core_check_config(w->config, &faults, &warnings).code, AW_CODE_IO);
    assert_int_equal(core_open(w->config, NULL, &faults, &w->core).code, AW_CODE_IO);
    assert_non_null(strstr(aw_error_last()->message, "administrators: can't look up the user"));
    assert_null(w->core);
    failure = 0;
    assert_int_equal(faults.total, 0);
    assert_ok(core_open(w->config, NULL, &faults, &w->core));
}

static void
ask(users *u, const char *row, const char *name, enum aw_code expected, bool exists)
{
    const struct policy_resolver resolver = users_resolver(u);
    bool found = false;
    uid_t uid = 1;
    aw_result r = resolver.user(name, &found, &uid, resolver.context);

    if (r.code != expected || found != exists || (found && uid != 0))
        fail_msg("%s: %s %d", row, aw_code_tag(r.code), found);
}

/* The process that looks for the core says which of the three it is. */
static void
the_process_that_looks_says_when_it_could_not(void **state)
{
    static const struct {
        const char *name, *user;
        int failure;
        enum aw_code result;
        bool found;
    } rows[] = {
        {"known", "root", 0, AW_CODE_OK, true},
        {"not known", "no-such-user", 0, AW_CODE_OK, false},
        {"no memory", "root", ENOMEM, AW_CODE_MEMORY, false},
        {"no file", "root", EIO, AW_CODE_IO, false},
    };
    const struct aw_config_sandbox use = {.seccomp = true, .landlock = true};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        users *u = NULL;

        failure = rows[i].failure;
        assert_ok(users_start(&use, &u));
        ask(u, rows[i].name, rows[i].user, rows[i].result, rows[i].found);
        users_stop(&u);
    }
    failure = 0;
}

/* To the only child that there is. */
static void
signal_child(int signal)
{
    AW_CLEANUP(aw_free) char *list = NULL, *path = NULL;
    size_t size;

    assert_ok(aw_format(&path, "/proc/self/task/%d/children", (int)getpid()));
    assert_ok(aw_file_read(path, 64, &list, &size));
    pid_t child = (pid_t)strtol(list, NULL, 10);
    assert_true(child > 0);
    assert_int_equal(kill(child, signal), 0);
}

static void
a_process_that_has_ended_knows_nothing_of_anybody(void **state)
{
    const struct aw_config_sandbox use = {.seccomp = true, .landlock = true};
    users *u = NULL;

    (void)state;
    assert_ok(users_start(&use, &u));
    ask(u, "alive", "root", AW_CODE_OK, true);
    signal_child(SIGKILL);
    ask(u, "gone", "root", AW_CODE_IO, false);
    users_stop(&u);
}

enum { ASKERS = 3 };

static void *
ask_for_name(void *context)
{
    char name[PEER_USER_SIZE];

    users_name_of(context, 0, name, sizeof(name));
    return NULL;
}

/* Each connection asks for its peer's name before it is served. */
static void
a_directory_that_hangs_holds_nobody_up_for_others(void **state)
{
    const struct aw_config_sandbox use = {.seccomp = true, .landlock = true};
    char name[PEER_USER_SIZE] = "";
    pthread_t threads[ASKERS];
    users *u = NULL;

    (void)state;
    assert_ok(users_start(&use, &u));
    signal_child(SIGSTOP);
    int64_t begin = aw_now_ms();
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_name, u), 0);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(aw_now_ms() - begin, USERS_NAME_OF_MS, 2 * USERS_NAME_OF_MS - 1);
    begin = aw_now_ms();
    users_name_of(u, 0, name, sizeof(name));
    assert_string_equal(name, "0");
    assert_in_range(aw_now_ms() - begin, 0, USERS_NAME_OF_MS / 2);
    signal_child(SIGCONT);
    for (int64_t end = aw_now_ms() + 10000; strcmp(name, "root") != 0 && aw_now_ms() < end;)
        users_name_of(u, 0, name, sizeof(name));
    assert_string_equal(name, "root");
    users_stop(&u);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_reload_that_can_not_look_up_changes_nothing, setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_start_that_can_not_look_up_fails, setup, world_teardown),
        cmocka_unit_test(the_process_that_looks_says_when_it_could_not),
        cmocka_unit_test(a_process_that_has_ended_knows_nothing_of_anybody),
        cmocka_unit_test(a_directory_that_hangs_holds_nobody_up_for_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
