#include "sandbox_tries.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
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
#include <unistd.h>

#include <linux/netlink.h>

#include "common/result.h"

char sandbox_folder[64];

const char *
sandbox_at(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", sandbox_folder, name);
    return path;
}

/* Tries: each gives -1 and errno, or what is no fault. */

static long
read_the_ledger(void)
{
    return open(sandbox_at("state/ledger.db"), O_RDONLY | O_CLOEXEC);
}

long
try_read_beside(void)
{
    return open(sandbox_at("beside/secret"), O_RDONLY | O_CLOEXEC);
}

static long
read_shadow(void)
{
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC);
}

long
try_list_home(void)
{
    return open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static long
write_state(void)
{
    return open(sandbox_at("state/new"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

long
try_write_beside(void)
{
    return open(sandbox_at("beside/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long
write_policy(void)
{
    return open(sandbox_at("etc/policy.d/a.yaml"), O_WRONLY | O_CLOEXEC);
}

static long
remove_policy(void)
{
    return unlink(sandbox_at("etc/policy.d/a.yaml"));
}

long
try_socket_inet(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

long
try_socket_unix(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

long
try_socket_packet(void)
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

/* As the kernel signals the owner of a descriptor that becomes ready: here the try itself, so that
 * a signal is seen. */
static long
own_a_descriptor(void)
{
    return fcntl(STDERR_FILENO, F_SETOWN, getppid());
}

static long
choose_its_signal(void)
{
    return fcntl(STDERR_FILENO, F_SETSIG, SIGKILL);
}

static long
ask_for_signals(void)
{
    return fcntl(STDERR_FILENO, F_SETFL, O_ASYNC);
}

static long
lock_a_file(void)
{
    struct flock lock = {.l_type = F_WRLCK};

    /* Its answer is the file's, not the filter's. */
    return fcntl(STDERR_FILENO, F_OFD_SETLK, &lock) == 0 || errno != EPERM ? 0 : -1;
}

static long
take_descriptors(void)
{
    struct msghdr what = {.msg_iov = NULL};

    return recvmsg(STDERR_FILENO, &what, MSG_DONTWAIT) >= 0 || errno == ENOTSOCK ? 0 : -1;
}

static long
pair_of_unix_sockets(void)
{
    int ends[2];

    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static long
pair_of_other_sockets(void)
{
    int ends[2];

    return socketpair(AF_TIPC, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static long
socket_netfilter(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}

static long
socket_vsock(void)
{
    return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long
open_by_handle(void)
{
    return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}

static long
fault_in_user_space(void)
{
    return syscall(SYS_userfaultfd, 0);
}

static long
change_personality(void)
{
    return syscall(SYS_personality, 0xffffffff);
}

static long
type_for_the_terminal(void)
{
    return ioctl(STDERR_FILENO, TIOCSTI, "x");
}

static long
allow_tracer(void)
{
    return prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

/* Takes a descriptor out of another process. */
static long
take_from_parent(void)
{
    return syscall(SYS_pidfd_open, getppid(), 0);
}

static long
execute_memory(void)
{
    char name[] = "x";
    char *const arguments[] = {name, NULL};
    int fd = memfd_create("x", 0);

    return fd < 0 ? -1 : syscall(SYS_execveat, fd, "", arguments, arguments + 1, AT_EMPTY_PATH);
}

/* The ledger into the folder of policies, as far as links and names go. */
static long
link_into_policies(void)
{
    static char from[256];

    snprintf(from, sizeof(from), "%s", sandbox_at("state/ledger.db"));
    return link(from, sandbox_at("etc/policy.d/b.yaml"));
}

static long
rename_policy(void)
{
    static char from[256];

    snprintf(from, sizeof(from), "%s", sandbox_at("etc/policy.d/a.yaml"));
    return rename(from, sandbox_at("state/a.yaml"));
}

static long
empty_policy(void)
{
    return truncate(sandbox_at("etc/policy.d/a.yaml"), 0);
}

#ifdef __x86_64__
/* getpid(2) by the numbers of 32 bits, where another call has that number. */
static long
call_by_32_bits(void)
{
    long answer = 20;

    __asm__ volatile("int $0x80" : "+a"(answer) : : "memory", "r8", "r9", "r10", "r11");
    return answer < 0 ? -1 : 0;
}

/* The same by x32's: bit 30. */
static long
call_by_x32(void)
{
    return syscall(0x40000000 + SYS_getpid);
}

/* Ends the process, and not the thread alone that does it. */
static void *
call_in_a_thread(void *unused)
{
    call_by_32_bits();
    return unused;
}

static long
call_by_32_bits_in_a_thread(void)
{
    pthread_t thread;

    errno = pthread_create(&thread, NULL, call_in_a_thread, NULL);
    return errno == 0 ? pthread_join(thread, NULL) : -1;
}
#endif

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

long
try_control_terminal(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || errno == ENOTTY ? 0 : -1;
}

const struct sandbox_try sandbox_tries[] = {
    {"start a thread", start_thread, DONE, DONE, DONE, DONE, DONE, DONE, false},
    {"write in the state folder", write_state, DONE, EACCES, EACCES, EACCES, DONE, DONE, true},
    {"open the ledger", read_the_ledger, DONE, EACCES, EACCES, EACCES, DONE, DONE, true},
    {"read a file that is nobody's business", try_read_beside, EACCES, EACCES, EACCES, EACCES,
        EACCES, -1, true},
    {"list root's home", try_list_home, EACCES, EACCES, EACCES, EACCES, EACCES, -1, true},
    {"read /etc/shadow", read_shadow, EACCES, EACCES, EACCES, -1, EACCES, -1, true},
    {"write beside the state folder", try_write_beside, EACCES, EACCES, EACCES, EACCES, EACCES, -1,
        true},
    {"change a policy", write_policy, EACCES, EACCES, EACCES, EACCES, EACCES, -1, true},
    {"remove a policy", remove_policy, EACCES, KILLED, EPERM, EPERM, EACCES, -1, true},
    {"make an internet socket", try_socket_inet, EPERM, KILLED, EPERM, DONE, DONE, DONE, false},
    {"make a Unix socket", try_socket_unix, EPERM, KILLED, EPERM, DONE, DONE, DONE, false},
    {"make a packet socket", try_socket_packet, EPERM, KILLED, EPERM, EPERM, EPERM, -1, false},
    {"execute a program", execute, KILLED, KILLED, DONE, KILLED, KILLED, DONE, false},
    {"fork", fork_process, KILLED, KILLED, DONE, KILLED, KILLED, DONE, true},
    {"trace another process", trace_parent, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, true},
    {"read another process", read_parent, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"signal another process", kill_parent, EPERM, KILLED, -1, EPERM, EPERM, -1, false},
    {"own a descriptor for another process", own_a_descriptor, EPERM, KILLED, EPERM, EPERM, EPERM,
        -1, false},
    {"choose the signal that it sends", choose_its_signal, EPERM, KILLED, EPERM, EPERM, EPERM, -1,
        false},
    {"have it send signals", ask_for_signals, EPERM, KILLED, EPERM, EPERM, EPERM, -1, false},
    {"lock a file", lock_a_file, DONE, DONE, DONE, DONE, DONE, DONE, false},
    {"take descriptors from a peer", take_descriptors, DONE, KILLED, DONE, DONE, DONE, DONE, false},
    {"make a pair of Unix sockets", pair_of_unix_sockets, EPERM, DONE, DONE, EPERM, DONE, DONE,
        true},
    {"make a pair of other sockets", pair_of_other_sockets, EPERM, KILLED, EPERM, EPERM, EPERM, -1,
        false},
    {"make a socket to netfilter", socket_netfilter, EPERM, KILLED, EPERM, EPERM, EPERM, -1, false},
    {"make a socket to the host", socket_vsock, EPERM, KILLED, EPERM, EPERM, EPERM, -1, false},
    {"open a file by its handle", open_by_handle, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM,
        false},
    {"userfaultfd", fault_in_user_space, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, false},
    {"change personality", change_personality, KILLED, KILLED, KILLED, KILLED, KILLED, EPERM, true},
    {"type for a terminal", type_for_the_terminal, EPERM, KILLED, EPERM, EPERM, EPERM, -1, true},
    {"allow any tracer", allow_tracer, EPERM, KILLED, -1, EPERM, EPERM, -1, true},
    {"open another process", take_from_parent, KILLED, KILLED, KILLED, KILLED, KILLED, -1, false},
    {"execute memory", execute_memory, KILLED, KILLED, -1, -1, KILLED, -1, false},
    {"link a file into the policies", link_into_policies, EACCES, KILLED, EPERM, EPERM, EACCES, -1,
        true},
    {"rename a policy into the state", rename_policy, EACCES, KILLED, EPERM, EPERM, EACCES, -1,
        true},
    {"empty a policy", empty_policy, EPERM, KILLED, EPERM, EPERM, EPERM, -1, true},
#ifdef __x86_64__
    {"call by 32 bits", call_by_32_bits, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, false},
    {"call by 32 bits in a thread", call_by_32_bits_in_a_thread, KILLED, KILLED, KILLED, KILLED,
        KILLED, KILLED, false},
    {"call by x32", call_by_x32, KILLED, KILLED, KILLED, KILLED, KILLED, KILLED, false},
#endif
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
    {"control a device", try_control_terminal, EPERM, KILLED, EPERM, EPERM, EPERM, -1, true},
};

const size_t sandbox_try_count = AW_COUNT(sandbox_tries);
