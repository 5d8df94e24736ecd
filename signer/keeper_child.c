#include "signer/keeper_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/child.h"
#include "signer/confine.h"

static const char *const names[] = KEEPER_GATE_NAMES;

/* A gate, running or to be started. */
struct kept {
    int core_fd;   /* the conversation with the core about it */
    int listen_fd; /* -1: not yet opened */
    const struct aw_config_sandbox *use;
    pid_t pid; /* 0: it does not run */
    bool retired;
    int64_t started_at;
    int64_t start_at; /* when it is to be started, if it does not run */
    int pause_ms;
};

/* The program beside this one, as in a build folder, or where it is installed. */
static const char *
gate_program(char path[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - sizeof("acmeward-gate"));
    char *slash = NULL;

    if (size > 0) {
        path[size] = '\0';
        slash = strrchr(path, '/');
    }
    if (slash != NULL)
        memcpy(slash + 1, "acmeward-gate", sizeof("acmeward-gate"));
    if (slash != NULL && access(path, X_OK) == 0)
        return path;
    return AW_GATE_PROGRAM;
}

/* What the child that becomes a gate is given. */
struct becoming {
    int fds[2]; /* listening socket, socket to the core */
    const char *name;
    const struct aw_config_sandbox *use;
};

/* Each through a number above both: neither may overwrite the other. */
static bool
arrange(const struct becoming *gate)
{
    static const int wanted[] = {KEEPER_LISTEN_FD, KEEPER_CORE_FD};
    int high[2];

    for (size_t i = 0; i < AW_COUNT(wanted); i++)
        high[i] = fcntl(gate->fds[i], F_DUPFD, KEEPER_CORE_FD + 1);
    for (size_t i = 0; i < AW_COUNT(wanted); i++)
        if (high[i] < 0 || dup2(high[i], wanted[i]) < 0)
            return false;
    return close_range(KEEPER_CORE_FD + 1, ~0U, 0) == 0;
}

/* All of the environment that a gate sees: where its messages go, and in builds for tests the
   settings of the sanitizers. */
static const char *const passed_on[] = {
    "JOURNAL_STREAM=",
#ifdef ACMEWARD_INSTRUMENTED
    "ASAN_OPTIONS=",
    "LSAN_OPTIONS=",
    "TSAN_OPTIONS=",
    "UBSAN_OPTIONS=",
#endif
};

static bool
is_passed_on(const char *variable)
{
    for (size_t i = 0; i < AW_COUNT(passed_on); i++)
        if (strncmp(variable, passed_on[i], strlen(passed_on[i])) == 0)
            return true;
    return false;
}

/* The chosen variables of this process; the rest of out, which is empty, ends them. */
static void
choose_environment(char *out[static AW_COUNT(passed_on) + 1])
{
    size_t count = 0;

    for (char **variable = environ; *variable != NULL && count < AW_COUNT(passed_on); variable++)
        if (is_passed_on(*variable))
            out[count++] = *variable;
}

static int
become_gate(void *context)
{
    const struct becoming *gate = context;
    char path[PATH_MAX], self[] = "acmeward-gate", argument[32];
    char seccomp[] = KEEPER_NO_SECCOMP, landlock[] = KEEPER_NO_LANDLOCK;
    const char *program = gate_program(path);
    char *arguments[] = {self, argument, NULL, NULL, NULL};
    char *environment[AW_COUNT(passed_on) + 1] = {NULL};
    sigset_t none;

    snprintf(argument, sizeof(argument), "%s", gate->name);
    choose_environment(environment);
    if (!gate->use->seccomp)
        arguments[2] = seccomp;
    if (!gate->use->landlock)
        arguments[gate->use->seccomp ? 2 : 3] = landlock;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (arrange(gate))
        execve(program, arguments, environment);
    aw_ignore(aw_fail_errno(AW_CODE_IO, "%s", program), "it is logged");
    aw_log_failure(AW_LOG_ERROR, "the gate can't be started");
    return 1;
}

static bool
fork_gate(struct kept *kept, const char *name, int core_end)
{
    struct becoming gate = {.fds = {kept->listen_fd, core_end}, .name = name, .use = kept->use};
    const struct child child = {.name = "acmeward-gate",
        .keep = gate.fds,
        .keep_count = AW_COUNT(gate.fds),
        .run = become_gate,
        .context = &gate};

    if (aw_ok(child_start(&child, &kept->pid)))
        return true;
    kept->pid = 0;
    return false;
}

static void
schedule(struct kept *kept)
{
    int64_t now = aw_now_ms();

    if (now - kept->started_at > KEEPER_CALM_MS)
        kept->pause_ms = 0;
    kept->start_at = now + kept->pause_ms;
    kept->pause_ms = kept->pause_ms == 0 ? KEEPER_PAUSE_MS : 2 * kept->pause_ms;
    if (kept->pause_ms > KEEPER_PAUSE_MAX_MS)
        kept->pause_ms = KEEPER_PAUSE_MAX_MS;
}

static void
start(struct kept *kept, const char *name)
{
    int ends[2];
    bool started = false;

    kept->started_at = aw_now_ms();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
        started =
            fork_gate(kept, name, ends[1]) && keeper_note_send(kept->core_fd, KEEPER_OPEN, ends[0]);
        close(ends[0]);
        close(ends[1]);
    }
    if (!started) {
        aw_log(AW_LOG_ERROR, "the gate for %s can't be started: %s", name, strerror(errno));
        if (kept->pid == 0)
            schedule(kept);
    }
}

static void
reap(struct kept gates[KEEPER_GATES])
{
    int status = 0;

    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG))
        for (int i = 0; i < KEEPER_GATES; i++) {
            if (gates[i].pid != pid)
                continue;
            gates[i].pid = 0;
            if (gates[i].retired)
                continue;
            schedule(&gates[i]);
            aw_log(AW_LOG_WARNING, "the gate for %s ended (%s %d); it is started anew", names[i],
                WIFSIGNALED(status) ? "signal" : "status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        }
}

/* False at the core's end. */
static bool
obey(struct kept *kept)
{
    char what = 0;
    int fd = -1;

    if (!keeper_note_take(kept->core_fd, &what, &fd))
        return false;
    if (what == KEEPER_OPEN && kept->listen_fd < 0) {
        kept->listen_fd = fd;
        fd = -1;
    }
    if (what == KEEPER_KILL && kept->pid > 0)
        kill(kept->pid, SIGKILL);
    if (what == KEEPER_RETIRE)
        kept->retired = true;
    aw_close(&fd);
    return true;
}

/* Starts what is due; milliseconds until the next one is, -1 for never. */
static int
start_due(struct kept gates[KEEPER_GATES])
{
    int64_t next = -1;

    for (int i = 0; i < KEEPER_GATES; i++) {
        struct kept *kept = &gates[i];

        if (kept->listen_fd < 0 || kept->retired || kept->pid > 0)
            continue;
        if (kept->start_at <= aw_now_ms())
            start(kept, names[i]);
        int64_t left = kept->start_at - aw_now_ms();
        if (kept->pid == 0 && (next < 0 || left < next))
            next = left > 0 ? left : 0;
    }
    return (int)next;
}

static void
keep(struct kept gates[KEEPER_GATES], int children)
{
    struct signalfd_siginfo unused;
    struct pollfd waits[KEEPER_GATES + 1] = {{.fd = children, .events = POLLIN}};

    for (int i = 0; i < KEEPER_GATES; i++)
        waits[i + 1] = (struct pollfd){.fd = gates[i].core_fd, .events = POLLIN};
    for (;;) {
        if (poll(waits, AW_COUNT(waits), start_due(gates)) < 0 && errno != EINTR)
            return;
        if (waits[0].revents != 0 && read(children, &unused, sizeof(unused)) > 0)
            reap(gates);
        for (int i = 0; i < KEEPER_GATES; i++)
            if (waits[i + 1].revents != 0 && !obey(&gates[i]))
                return;
    }
}

int
keeper_child_run(void *context)
{
    const struct keeper_begin *begin = context;
    struct kept gates[KEEPER_GATES];
    char path[PATH_MAX];
    sigset_t children;

    if (!aw_ok(confine_keeper(&begin->use, gate_program(path), AW_GATE_PROGRAM))) {
        aw_log_failure(AW_LOG_ERROR, "the gates can't be started");
        return 1;
    }
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    for (int i = 0; i < KEEPER_GATES; i++)
        gates[i] = (struct kept){.core_fd = begin->fds[i], .listen_fd = -1, .use = &begin->use};
    if (signals >= 0)
        keep(gates, signals);
    for (int i = 0; i < KEEPER_GATES; i++)
        if (gates[i].pid > 0) {
            kill(gates[i].pid, SIGKILL);
            waitpid(gates[i].pid, NULL, 0);
        }
    return 0;
}
