/* What each of the signer's processes, and the relay, is answered when it tries what it has no
 * business with: each try is a process that confines itself as the real one does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include "relay/confine.h"
#include "sandbox_tries.h"
#include "signer/confine.h"

enum { REFUSED_START = 250 };

static struct aw_config
config_of(void)
{
    static char module[] = "/usr/lib/softhsm/libsofthsm2.so";
    static char texts[6][256];
    struct aw_config config = {.sandbox = {.seccomp = true, .landlock = true}};
    const struct {
        char **slot;
        const char *name;
    } paths[] = {{&config.file, "etc/signer.yaml"}, {&config.token.pin_source, "etc/pin"},
        {&config.paths.state, "state"}, {&config.paths.policies, "etc/policy.d"},
        {&config.paths.application_socket, "run/signer.sock"},
        {&config.paths.admin_socket, "run/admin.sock"}};

    config.token.module = module;
    for (size_t i = 0; i < AW_COUNT(paths); i++) {
        snprintf(texts[i], sizeof(texts[i]), "%s", sandbox_at(paths[i].name));
        *paths[i].slot = texts[i];
    }
    return config;
}

static void
put(const char *name)
{
    int fd = open(sandbox_at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static int
setup(void **state)
{
    static const char *const folders[] = {"etc", "etc/policy.d", "state", "run", "beside"};
    static const char *const files[] = {
        "etc/signer.yaml", "etc/pin", "etc/policy.d/a.yaml", "state/ledger.db", "beside/secret"};

    (void)state;
    snprintf(sandbox_folder, sizeof(sandbox_folder), "/tmp/aw-sandbox-XXXXXX");
    assert_non_null(mkdtemp(sandbox_folder));
    for (size_t i = 0; i < AW_COUNT(folders); i++)
        assert_int_equal(mkdir(sandbox_at(folders[i]), 0700), 0);
    for (size_t i = 0; i < AW_COUNT(files); i++)
        put(files[i]);
    return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int
teardown(void **state)
{
    (void)state;
    return nftw(sandbox_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Its state is where the core's would be. */
static aw_result
confine_relay(const struct aw_config *config, const char *signer)
{
    static char certificate[] = "/usr/certificate.pem", at_signer[64];
    const struct relay_config relay = {.signer = at_signer,
        .state = config->paths.state,
        .sandbox = config->sandbox,
        .tls = {.certificate = certificate, .key = certificate}};

    snprintf(at_signer, sizeof(at_signer), "%s", signer);
    return relay_confine(&relay);
}

static aw_result
confine(enum sandbox_kind kind, const struct aw_config *config)
{
    const struct sandbox gate = {.kind = SANDBOX_GATE, .use = config->sandbox};

    AW_TRY(sandbox_drop_privileges());
    switch (kind) {
    case SANDBOX_CORE:
        return confine_core(config);
    case SANDBOX_GATE:
        return sandbox_enter(&gate);
    case SANDBOX_KEEPER:
        return confine_keeper(&config->sandbox, "/usr/bin/gate", "/usr/bin/gate");
    case SANDBOX_USERS:
        return confine_users(&config->sandbox);
    case SANDBOX_RELAY:
        return confine_relay(config, "/run/acmeward/signer.sock");
    case SANDBOX_RELAY_PROGRAMS:
        return confine_relay(config, "ssh://signer.example.edu");
    case SANDBOX_KINDS:
        break;
    }
    return aw_fail(AW_CODE_INTERNAL, "no such process");
}

/* In a process of its own: the answer. */
static int
answer_of(enum sandbox_kind kind, const struct aw_config *config, long (*try)(void))
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (!aw_ok(confine(kind, config))) {
            dprintf(STDERR_FILENO, "%s\n", aw_error_last()->message);
            _exit(REFUSED_START);
        }
        errno = 0;
        _exit(try() == -1 ? errno : DONE);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED
           : WIFSIGNALED(status)                             ? -WTERMSIG(status)
                                                             : WEXITSTATUS(status);
}

/* Under sanitizers some calls are left to the sanitizer. */
#ifdef ACMEWARD_INSTRUMENTED
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

static void
each_process_is_refused_what_it_has_no_business_with(void **state)
{
    struct aw_config config = config_of();
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < sandbox_try_count; i++) {
        const int expected[SANDBOX_KINDS] = {
            [SANDBOX_CORE] = sandbox_tries[i].core,
            [SANDBOX_GATE] = sandbox_tries[i].gate,
            [SANDBOX_KEEPER] = sandbox_tries[i].keeper,
            [SANDBOX_USERS] = sandbox_tries[i].users,
            [SANDBOX_RELAY] = sandbox_tries[i].relay,
            [SANDBOX_RELAY_PROGRAMS] = sandbox_tries[i].starting,
        };
        for (int kind = 0; kind < SANDBOX_KINDS; kind++) {
            if (expected[kind] < 0 || (INSTRUMENTED && sandbox_tries[i].left))
                continue;
            int answer = answer_of((enum sandbox_kind)kind, &config, sandbox_tries[i].try);
            if (answer == expected[kind])
                continue;
            print_error("%s, process %d: answered %d, expected %d\n", sandbox_tries[i].name, kind,
                answer, expected[kind]);
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* What the configuration opens for the token's module is opened, and nothing else. */
static void
the_core_opens_exactly_what_the_token_needs(void **state)
{
    static char beside[256];
    struct aw_yaml_string path = {.text = beside};
    static const struct {
        const char *name;
        enum aw_config_network network;
        size_t paths, devices;
        long (*try)(void);
        int answer;
    } table[] = {
        {"a daemon's socket", AW_NETWORK_UNIX, 0, 0, try_socket_unix, DONE},
        {"but no internet", AW_NETWORK_UNIX, 0, 0, try_socket_inet, EPERM},
        {"the network", AW_NETWORK_INET, 0, 0, try_socket_inet, DONE},
        {"but no packets", AW_NETWORK_INET, 0, 0, try_socket_packet, EPERM},
        {"its folder, to read", AW_NETWORK_NONE, 1, 0, try_read_beside, DONE},
        {"its folder, to write", AW_NETWORK_NONE, 1, 0, try_write_beside, DONE},
        {"but no other", AW_NETWORK_NONE, 1, 0, try_list_home, EACCES},
        {"a device's controls", AW_NETWORK_NONE, 0, 1, try_control_terminal, DONE},
        {"a path is no network", AW_NETWORK_NONE, 1, 1, try_socket_unix, EPERM},
    };

    (void)state;
    snprintf(beside, sizeof(beside), "%s", sandbox_at("beside"));
    for (size_t i = 0; i < AW_COUNT(table); i++) {
        struct aw_config config = config_of();
        config.token.network = (int)table[i].network;
        config.token.paths = (struct aw_yaml_strings){&path, table[i].paths};
        config.token.devices = (struct aw_yaml_strings){&path, table[i].devices};
        int answer = answer_of(SANDBOX_CORE, &config, table[i].try);
        if (answer != table[i].answer)
            print_error("%s: answered %d, expected %d\n", table[i].name, answer, table[i].answer);
        assert_int_equal(answer, table[i].answer);
    }
}

/* Each mechanism is in force by itself: what one is switched off for, the other still refuses. */
static void
one_is_switched_off_and_the_other_stays(void **state)
{
    struct aw_config config = config_of();

    (void)state;
    config.sandbox.landlock = false;
    assert_int_equal(answer_of(SANDBOX_CORE, &config, try_read_beside), DONE);
    assert_int_equal(answer_of(SANDBOX_CORE, &config, try_socket_inet), EPERM);
    config.sandbox = (struct aw_config_sandbox){.seccomp = false, .landlock = true};
    assert_int_equal(answer_of(SANDBOX_CORE, &config, try_read_beside), EACCES);
    assert_int_equal(answer_of(SANDBOX_CORE, &config, try_socket_inet), DONE);
    assert_int_equal(answer_of(SANDBOX_GATE, &config, try_read_beside), EACCES);
}

/* A kernel without the call: from here on it is answered ENOSYS. */
static void
take_away(int call)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    if (filter == NULL || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) != 0 ||
        seccomp_load(filter) != 0)
        _exit(100);
    seccomp_release(filter);
}

static int
start_without(int call, struct aw_config_sandbox use)
{
    struct aw_config config = config_of();
    int status = 0;
    pid_t child = fork();

    config.sandbox = use;
    assert_true(child >= 0);
    if (child == 0) {
        take_away(call);
        aw_result checked = confine_check(&use);
        aw_result entered = confine_core(&config);
        bool told = strstr(aw_error_last()->hint, "sandbox: {") != NULL;
        if (aw_ok(checked) && aw_ok(entered))
            _exit(0);
        _exit(checked.code == AW_CODE_UNSUPPORTED && entered.code == AW_CODE_UNSUPPORTED && told
                  ? 1
                  : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void
no_start_where_the_kernel_lacks_it(void **state)
{
    (void)state;
    assert_int_equal(start_without(SCMP_SYS(landlock_create_ruleset),
                         (struct aw_config_sandbox){true, true, true}),
        1);
    assert_int_equal(start_without(SCMP_SYS(landlock_create_ruleset),
                         (struct aw_config_sandbox){true, false, true}),
        0);
    assert_int_equal(
        start_without(SCMP_SYS(seccomp), (struct aw_config_sandbox){true, true, true}), 1);
    assert_int_equal(
        start_without(SCMP_SYS(seccomp), (struct aw_config_sandbox){false, true, true}), 0);
}

#ifndef ACMEWARD_INSTRUMENTED
static void *
wait_long(void *unused)
{
    pause();
    return unused;
}

/* Landlock would not bind the other thread. */
static void
no_start_with_another_thread(void **state)
{
    struct aw_config config = config_of();
    int status = 0;
    pthread_t thread;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        if (pthread_create(&thread, NULL, wait_long, NULL) != 0)
            _exit(100);
        _exit(confine_core(&config).code == AW_CODE_INTERNAL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_process_is_refused_what_it_has_no_business_with),
        cmocka_unit_test(the_core_opens_exactly_what_the_token_needs),
        cmocka_unit_test(one_is_switched_off_and_the_other_stays),
        cmocka_unit_test(no_start_where_the_kernel_lacks_it),
#ifndef ACMEWARD_INSTRUMENTED
        cmocka_unit_test(no_start_with_another_thread),
#endif
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
