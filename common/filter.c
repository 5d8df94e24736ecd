/*
 * Allow-lists. What is not in them: in a gate, which runs nothing but our code and the C library,
 * the process is killed, and the keeper starts another; only opening files fails there, since the C
 * library looks for some on occasion (malloc for the number of processors). In the core runs a
 * module that we have not written. It may ask for something harmless that it can do without
 * (SoftHSM: a socket to syslog), and an end in the middle of a login would leave the PIN's latch:
 * so the call fails with EPERM. Calls that no honest code has any business with there end every
 * process at once.
 */
#include "common/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <seccomp.h>

/* Memory, threads, time, descriptors that are open. */
static const char *const basic[] = {"brk", "clock_getres", "clock_gettime", "clock_nanosleep",
    "close", "dup", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "exit",
    "exit_group", "futex", "get_robust_list", "getegid", "geteuid", "getgid", "getpid", "getppid",
    "getrandom", "getresgid", "getresuid", "getrusage", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "getuid", "lseek", "madvise", "membarrier", "mlock", "mlock2", "mremap",
    "munlock", "munmap", "nanosleep", "poll", "ppoll", "pread64", "pwrite64", "read", "readv",
    "recvfrom", "restart_syscall", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sched_getaffinity", "sched_yield", "sendmsg", "sendto", "set_robust_list", "shutdown",
    "sigaltstack", "time", "write", "writev"};

static const char *const accepting[] = {"accept", "accept4", "fstat"};

/* Not of a gate: descriptors come to it by accept alone. One that was taken over could else be
 * handed the connection of somebody who has connected elsewhere, by a user it is in league with. */
static const char *const receiving[] = {"recvmsg", "setsockopt"};

/* Files, for Landlock to limit. */
static const char *const reading[] = {"access", "faccessat", "faccessat2", "fadvise64", "flock",
    "fstat", "fstatfs", "getcwd", "getdents64", "lstat", "mincore", "newfstatat", "open", "openat",
    "readlink", "readlinkat", "stat", "statfs", "statx", "sysinfo", "umask", "uname"};

static const char *const writing[] = {"chmod", "fallocate", "fchmod", "fchmodat", "fchown",
    "fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "mkdirat", "rename", "renameat",
    "renameat2", "rmdir", "sync_file_range", "unlink", "unlinkat", "utimensat"};

/* Of the core besides: secrets, signals, its children's ends. */
static const char *const core_own[] = {
    "listen", "memfd_create", "msync", "pipe2", "signalfd4", "wait4", "waitid"};

/* Of the relay besides: its end, and what resolvers and SQLite do. */
static const char *const relay_own[] = {
    "memfd_create", "msync", "pipe2", "signalfd4", "recvmmsg", "sendmmsg"};

/* What a keeper does, and what the program that it executes needs until its own filter. */
static const char *const keeping[] = {"access", "arch_prctl", "capget", "capset", "close_range",
    "dup2", "dup3", "execve", "execveat", "faccessat", "faccessat2", "fstat", "getdents64", "kill",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "newfstatat", "open",
    "openat", "prctl", "prlimit64", "readlink", "readlinkat", "seccomp", "set_tid_address",
    "setrlimit", "signalfd4", "statfs", "tgkill", "uname", "wait4", "waitid"};

#ifndef ACMEWARD_INSTRUMENTED
static const char *const opening[] = {
    "access", "faccessat", "faccessat2", "open", "openat", "readlink", "readlinkat"};
#endif

static const char *const connecting[] = {"bind", "connect", "getpeername", "recvmmsg", "sendmmsg"};

/* They end the process, also where everything else that is not allowed fails. */
static const char *const hostile[] = {"acct", "add_key", "bpf", "chroot", "delete_module", "execve",
    "execveat", "finit_module", "fork", "fsmount", "fsopen", "init_module", "io_uring_enter",
    "io_uring_register", "io_uring_setup", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "mount", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "personality",
    "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pivot_root", "process_madvise",
    "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key",
    "setdomainname", "setfsgid", "setfsuid", "setgid", "setgroups", "sethostname", "setns",
    "setregid", "setresgid", "setresuid", "setreuid", "settimeofday", "setuid", "swapon",
    "clock_settime", "umount2", "unshare", "userfaultfd", "vfork"};

#ifdef ACMEWARD_INSTRUMENTED
/* Sanitizers look at their own memory, and stop all threads at the end to look for leaks. */
static const char *const instrumented[] = {"clone", "getdents", "getdents64", "mmap", "mprotect",
    "open", "openat", "personality", "prctl", "prlimit64", "ptrace", "readlink", "readlinkat",
    "sched_setaffinity", "stat", "fstat", "newfstatat", "sysinfo", "tgkill", "uname", "unlink",
    "wait4", "mkdir", "ftruncate", "ioctl", "dup2", "mlock", "pipe2", "getcwd"};
#endif

struct list {
    const char *const *names;
    size_t count;
    unsigned kinds; /* bits of enum sandbox_kind */
};

#define OF(kind) (1U << SANDBOX_##kind)
#define ALL (OF(CORE) | OF(GATE) | OF(KEEPER) | OF(USERS) | OF(RELAY))
#define LIST(names, kinds)                               \
    {                                                    \
        names, sizeof(names) / sizeof((names)[0]), kinds \
    }

static const struct list lists[] = {
    LIST(basic, ALL),
    LIST(accepting, OF(GATE) | OF(KEEPER) | OF(RELAY)),
    LIST(receiving, ALL & ~OF(GATE)),
    LIST(reading, OF(CORE) | OF(USERS) | OF(RELAY)),
    LIST(writing, OF(CORE) | OF(RELAY)),
    LIST(core_own, OF(CORE)),
    LIST(relay_own, OF(RELAY)),
    LIST(keeping, OF(KEEPER)),
#ifdef ACMEWARD_INSTRUMENTED
    LIST(instrumented, ALL),
#endif
};

/* Names that this architecture does not have are no fault. */
static int
add(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR)
        return -EINVAL;
    int error = seccomp_rule_add(filter, action, number, 0);
    return error == -EDOM || error == -EACCES ? 0 : error;
}

static int
add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++)
        error = add(filter, action, names[i]);
    return error;
}

static bool
allowed(const struct sandbox *sandbox, const char *name)
{
    for (size_t i = 0; i < AW_COUNT(lists); i++)
        for (size_t j = 0; j < lists[i].count && (lists[i].kinds >> sandbox->kind & 1) != 0; j++)
            if (__builtin_strcmp(lists[i].names[j], name) == 0)
                return true;
    return false;
}

static int
add_hostile(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    int error = 0;

    for (size_t i = 0; i < AW_COUNT(hostile) && error == 0; i++)
        if (!allowed(sandbox, hostile[i]))
            error = add(filter, SCMP_ACT_KILL_PROCESS, hostile[i]);
    return error;
}

/* Programs that others wrote run in it (ssh, hooks), and nobody can list what they call: all goes
 * but what none of them has any business with. */
static int
fill_for_programs(scmp_filter_ctx filter)
{
    /* A hook is waited for by its pidfd. */
    static const char *const starting[] = {"execve", "execveat", "fork", "vfork", "pidfd_open"};
    int error = 0;

    for (size_t i = 0; i < AW_COUNT(hostile) && error == 0; i++) {
        bool starts = false;

        for (size_t j = 0; j < AW_COUNT(starting); j++)
            starts = starts || __builtin_strcmp(starting[j], hostile[i]) == 0;
        if (!starts)
            error = add(filter, SCMP_ACT_ERRNO(EPERM), hostile[i]);
    }
    return error;
}

#define RULE(filter, call, ...) \
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(call), __VA_ARGS__)

/* Memory is writable or executable, never both, and never becomes executable. */
static int
add_memory(scmp_filter_ctx filter)
{
    int error = RULE(filter, mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    if (error == 0)
        error = RULE(filter, mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
    if (error == 0)
        error = RULE(filter, mprotect, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return error;
}

/* Threads, but (save for the keeper) no processes. clone3 has its flags where a filter can't see
 * them: the C library takes "not known" for a reason to use clone. */
static int
add_threads(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    const uint64_t spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                            CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

    if (error == 0 && sandbox->kind == SANDBOX_KEEPER)
        return RULE(filter, clone, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, spaces, 0));
    if (error == 0)
        error = RULE(filter, clone, 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
#ifndef ACMEWARD_INSTRUMENTED
    if (error == 0 && sandbox->kind != SANDBOX_GATE) /* where that is so for all */
        error = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
#endif
    return error;
}

/* Not: who is sent a signal, and which, when a descriptor becomes ready (F_SETOWN, F_SETSIG,
 * O_ASYNC), by which a process ends others of its user without a call of kill(2); leases and
 * notices. */
static int
add_descriptors(scmp_filter_ctx filter)
{
    static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_GETLK,
        F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS};
    int error = RULE(
        filter, fcntl, 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL), SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0));

    for (size_t i = 0; i < AW_COUNT(commands) && error == 0; i++)
        error = RULE(filter, fcntl, 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
    return error;
}

/* A gate has a pair of sockets for each connection that it accepts, the keeper one for each gate;
 * neither can be connected. Of other families (TIPC) they could. */
static int
add_pairs(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
#ifndef ACMEWARD_INSTRUMENTED /* whose runtime makes them too */
    if (sandbox->kind != SANDBOX_GATE && sandbox->kind != SANDBOX_KEEPER &&
        sandbox->kind != SANDBOX_RELAY)
        return 0;
#endif
    (void)sandbox;
    return RULE(filter, socketpair, 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
}

/* To itself only, as abort(3) does; limits are read and not set; a thread takes a name. */
static int
add_own(scmp_filter_ctx filter)
{
    const uint64_t self = (uint64_t)getpid();
    int error = RULE(filter, tgkill, 1, SCMP_A0(SCMP_CMP_EQ, self));

    if (error == 0)
        error = RULE(filter, prlimit64, 1, SCMP_A2(SCMP_CMP_EQ, 0));
    if (error == 0)
        error = RULE(filter, prctl, 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    if (error == 0)
        error = RULE(filter, ioctl, 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));
    if (error == 0) /* as fstat(3) does it */
        error = RULE(filter, newfstatat, 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH));
    return error;
}

/* Of netlink's families, the one that resolvers ask for addresses. */
static int
add_socket(scmp_filter_ctx filter, int family)
{
    if (family == AF_NETLINK)
        return RULE(filter, socket, 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
            SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE));
    return RULE(filter, socket, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
}

static int
add_network(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    enum aw_config_network network = sandbox->network;
    int error = 0;

    if (network == AW_NETWORK_NONE)
        return 0;
    error = add_socket(filter, AF_UNIX);
    if (error == 0)
        error = add_names(filter, SCMP_ACT_ALLOW, connecting, AW_COUNT(connecting));
    if (network == AW_NETWORK_UNIX || error != 0)
        return error;
    static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
    for (size_t i = 0; i < AW_COUNT(families) && error == 0; i++)
        error = add_socket(filter, families[i]);
    return error;
}

static int
fill(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    int error = 0;

    if (sandbox->kind == SANDBOX_RELAY_PROGRAMS)
        return fill_for_programs(filter);
    for (size_t i = 0; i < AW_COUNT(lists) && error == 0; i++)
        if ((lists[i].kinds >> sandbox->kind & 1) != 0)
            error = add_names(filter, SCMP_ACT_ALLOW, lists[i].names, lists[i].count);
    if (error == 0)
        error = add_memory(filter);
    if (error == 0)
        error = add_threads(filter, sandbox);
    if (error == 0)
        error = add_own(filter);
    if (error == 0)
        error = add_descriptors(filter);
    if (error == 0)
        error = add_pairs(filter, sandbox);
    if (error == 0)
        error = add_network(filter, sandbox);
    if (error == 0 && sandbox->reconnects)
        error = RULE(filter, connect, 0);
    if (error == 0 && sandbox->devices)
        error = RULE(filter, ioctl, 0);
    if (error == 0 && sandbox->kind != SANDBOX_GATE)
        error = add_hostile(filter, sandbox);
#ifndef ACMEWARD_INSTRUMENTED
    if (error == 0 && sandbox->kind == SANDBOX_GATE)
        error = add_names(filter, SCMP_ACT_ERRNO(EACCES), opening, AW_COUNT(opening));
#endif
    return error;
}

static aw_result
load(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

    /* Calls by the numbers of another architecture (32 bits): not just the thread that makes them.
     */
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0)
        error = fill(filter, sandbox);
    if (error == 0)
        error = seccomp_load(filter);
    if (error == 0)
        return AW_OK;
    errno = -error;
    return aw_hint(aw_fail_errno(AW_CODE_UNSUPPORTED, "can't put the seccomp filter in force"),
        "it needs a kernel with CONFIG_SECCOMP_FILTER; or go without it: sandbox: {seccomp: false} "
        "in the configuration");
}

/* What becomes of a call that is in no list. */
static uint32_t
otherwise_of(enum sandbox_kind kind)
{
    if (kind == SANDBOX_RELAY_PROGRAMS)
        return SCMP_ACT_ALLOW;
    return kind == SANDBOX_GATE ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
}

aw_result
filter_enter(const struct sandbox *sandbox)
{
    uint32_t otherwise = otherwise_of(sandbox->kind);
    scmp_filter_ctx filter = seccomp_init(otherwise);

    if (filter == NULL)
        return aw_fail_memory();
    aw_result r = load(filter, sandbox);
    seccomp_release(filter);
    return r;
}
