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
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include "relay/confine.h"
#include "signer/confine.h"

enum { DONE = 0, /* else errno, or: */ KILLED = 1000, REFUSED_START = 250 };

/* A folder with what the core has, and things beside that it has not. */
static char folder[64];

static const char *
at(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

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
        snprintf(texts[i], sizeof(texts[i]), "%s", at(paths[i].name));
        *paths[i].slot = texts[i];
    }
    return config;
}

static void
put(const char *name)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

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
    snprintf(folder, sizeof(folder), "/tmp/aw-sandbox-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < AW_COUNT(folders); i++)
        assert_int_equal(mkdir(at(folders[i]), 0700), 0);
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
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Tries: each gives -1 and errno, or what is no fault. */

static long
read_the_ledger(void)
{
    return open(at("state/ledger.db"), O_RDONLY | O_CLOEXEC);
}

static long
read_beside(void)
{
    return open(at("beside/secret"), O_RDONLY | O_CLOEXEC);
}

static long
read_shadow(void)
{
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC);
}

static long
list_home(void)
{
    return open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long
write_state(void)
{
    return open(at("state/new"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static long
write_beside(void)
{
    return open(at("beside/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long
write_policy(void)
{
    return open(at("etc/policy.d/a.yaml"), O_WRONLY | O_CLOEXEC);
}

static long
remove_policy(void)
{
    return unlink(at("etc/policy.d/a.yaml"));
}

static long
socket_inet(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long
socket_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long
socket_packet(void)
{
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long
execute(void)
{
    char program[] = "/bin/true";
    char *const arguments[] = {program, NULL};

    return execve(program, arguments, arguments + 1);
}

static long
fork_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    return pid;
}

static void *
nothing(void *unused)
{
    return unused;
}

static long
start_thread(void)
{
    pthread_t thread;

    errno = pthread_create(&thread, NULL, nothing, NULL);
    return errno == 0 ? pthread_join(thread, NULL) : -1;
}

static long
trace_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long
read_parent(void)
{
    char octet = 0;
    struct iovec here = {&octet, 1}, there = {&octet, 1};

    return process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

static long
kill_parent(void)
{
    return kill(getppid(), 0);
}

static long
ask_io_uring(void)
{
    return syscall(SYS_io_uring_setup, 1, NULL);
}

static long
mount_something(void)
{
    return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static long
leave_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static long
load_bpf(void)
{
    return syscall(SYS_bpf, 0, NULL, 0);
}

static long
become_somebody(void)
{
    return syscall(SYS_setuid, 0);
}

static long
ask_keys(void)
{
    return syscall(SYS_keyctl, 0, -3, 0, 0, 0);
}

static long
map_executable(void)
{
    void *pages =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? -1 : 0;
}

static long
make_executable(void)
{
    void *pages = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(pages, 4096, PROT_READ | PROT_EXEC);
}

static long
allow_dumps(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long
raise_limit(void)
{
    const struct rlimit limit = {1, 1};

    return setrlimit(RLIMIT_CORE, &limit);
}

static long
control_terminal(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || errno == ENOTTY ? 0 : -1;
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

static const struct row {
    const char *name;
    long (*try)(void);
    int core, gate, keeper, users, relay, starting; /* the last: a relay that starts programs */
    bool left;                                      /* to sanitizers */
} rows[] = {
    {"start a thread", start_thread, DONE, DONE, DONE, DONE, DONE, DONE, false},
    {"write in the state folder", write_state, DONE, EACCES, EACCES, EACCES, DONE, DONE, true},
    {"open the ledger", read_the_ledger, DONE, EACCES, EACCES, EACCES, DONE, DONE, true},
    {"read a file that is nobody's business", read_beside, EACCES, EACCES, EACCES, EACCES, EACCES,
        -1, true},
    {"list root's home", list_home, EACCES, EACCES, EACCES, EACCES, EACCES, -1, true},
    {"read /etc/shadow", read_shadow, EACCES, EACCES, EACCES, -1, EACCES, -1, true},
    {"write beside the state folder", write_beside, EACCES, EACCES, EACCES, EACCES, EACCES, -1,
        true},
    {"change a policy", write_policy, EACCES, EACCES, EACCES, EACCES, EACCES, -1, true},
    {"remove a policy", remove_policy, EACCES, KILLED, EPERM, EPERM, EACCES, -1, true},
    {"make an internet socket", socket_inet, EPERM, KILLED, EPERM, DONE, DONE, DONE, false},
    {"make a Unix socket", socket_unix, EPERM, KILLED, EPERM, DONE, DONE, DONE, false},
    {"make a packet socket", socket_packet, EPERM, KILLED, EPERM, EPERM, EPERM, -1, false},
    {"execute a program", execute, KILLED, KILLED, DONE, KILLED, KILLED, DONE, false},
    {"fork", fork_process, KILLED, KILLED, DONE, KILLED, KILLED, DONE, true},
    {"trace another process", trace_parent, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, true},
    {"read another process", read_parent, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"signal another process", kill_parent, EPERM, KILLED, -1, EPERM, EPERM, -1, false},
    {"io_uring", ask_io_uring, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"mount", mount_something, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"make a user namespace", leave_namespace, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM,
        false},
    {"bpf", load_bpf, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"become another user", become_somebody, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"ask for the kernel's keys", ask_keys, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"memory to write and execute", map_executable, EPERM, KILLED, EPERM, EPERM, EPERM, -1, true},
    {"memory that becomes executable", make_executable, EPERM, KILLED, EPERM, EPERM, EPERM, -1,
        true},
    {"allow dumps again", allow_dumps, EPERM, KILLED, -1, EPERM, EPERM, -1, true},
    {"raise a limit", raise_limit, EPERM, KILLED, -1, EPERM, EPERM, -1, true},
    {"control a device", control_terminal, EPERM, KILLED, EPERM, EPERM, EPERM, -1, true},
};

static void
each_process_is_refused_what_it_has_no_business_with(void **state)
{
    struct aw_config config = config_of();
    int failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const int expected[SANDBOX_KINDS] = {
            [SANDBOX_CORE] = rows[i].core,
            [SANDBOX_GATE] = rows[i].gate,
            [SANDBOX_KEEPER] = rows[i].keeper,
            [SANDBOX_USERS] = rows[i].users,
            [SANDBOX_RELAY] = rows[i].relay,
            [SANDBOX_RELAY_PROGRAMS] = rows[i].starting,
        };
        for (int kind = 0; kind < SANDBOX_KINDS; kind++) {
            if (expected[kind] < 0 || (INSTRUMENTED && rows[i].left))
                continue;
            int answer = answer_of((enum sandbox_kind)kind, &config, rows[i].try);
            if (answer == expected[kind])
                continue;
            print_error("%s, process %d: answered %d, expected %d\n", rows[i].name, kind, answer,
                expected[kind]);
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
        {"a daemon's socket", AW_NETWORK_UNIX, 0, 0, socket_unix, DONE},
        {"but no internet", AW_NETWORK_UNIX, 0, 0, socket_inet, EPERM},
        {"the network", AW_NETWORK_INET, 0, 0, socket_inet, DONE},
        {"but no packets", AW_NETWORK_INET, 0, 0, socket_packet, EPERM},
        {"its folder, to read", AW_NETWORK_NONE, 1, 0, read_beside, DONE},
        {"its folder, to write", AW_NETWORK_NONE, 1, 0, write_beside, DONE},
        {"but no other", AW_NETWORK_NONE, 1, 0, list_home, EACCES},
        {"a device's controls", AW_NETWORK_NONE, 0, 1, control_terminal, DONE},
        {"a path is no network", AW_NETWORK_NONE, 1, 1, socket_unix, EPERM},
    };

    (void)state;
    snprintf(beside, sizeof(beside), "%s", at("beside"));
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
    assert_int_equal(answer_of(SANDBOX_CORE, &config, read_beside), DONE);
    assert_int_equal(answer_of(SANDBOX_CORE, &config, socket_inet), EPERM);
    config.sandbox = (struct aw_config_sandbox){.seccomp = false, .landlock = true};
    assert_int_equal(answer_of(SANDBOX_CORE, &config, read_beside), EACCES);
    assert_int_equal(answer_of(SANDBOX_CORE, &config, socket_inet), DONE);
    assert_int_equal(answer_of(SANDBOX_GATE, &config, read_beside), EACCES);
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
