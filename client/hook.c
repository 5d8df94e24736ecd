/*
 * posix_spawn, not fork: a server thread may run beside (--standalone). The shell's umask can't be
 * given to it that way, so a first shell sets it and becomes the one that runs the command.
 */
#include "client/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/interrupt.h"
#include "common/io.h"
#include "common/log.h"

#define SHELL "/bin/sh"

enum {
    WORDS_MAX = 200,
    WORDS_SHOWN = 2 * WORDS_MAX
}; /* characters of its last line in a message */

/* One of its outputs. */
struct stream {
    int fd;     /* our end; -1: at its end */
    int its;    /* its end, until it runs */
    char *text; /* HOOK_OUTPUT_MAX + 1 */
    size_t size;
    bool cut;
};

/* A hook that runs. */
struct running {
    const struct hook *hook;
    pid_t pid;
    int pidfd;
    struct stream streams[2]; /* standard output, standard error */
    char *command;
    char *environment[HOOK_VARIABLES_MAX + 2];
    bool reaped;
};

/* Whatever happened before: no group of ours is left behind without its shell having ended. */
static void
running_free(struct running *run)
{
    if (run->pid > 0 && !run->reaped) {
        kill(-run->pid, SIGKILL);
        while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    for (size_t i = 0; i < AW_COUNT(run->streams); i++) {
        aw_close(&run->streams[i].fd);
        aw_close(&run->streams[i].its);
        free(run->streams[i].text);
    }
    for (size_t i = 0; i < AW_COUNT(run->environment); i++)
        free(run->environment[i]);
    free(run->command);
    aw_close(&run->pidfd);
}

/* Starting. */

static bool
is_name(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return name[0] != '\0' && !(name[0] >= '0' && name[0] <= '9') &&
           strspn(name, letters) == strlen(name);
}

static aw_result
make_words(struct running *run)
{
    const struct hook *hook = run->hook;

    AW_TRY(aw_format(&run->command, "%s", hook->command));
    AW_TRY(aw_format(&run->environment[0], "PATH=%s", HOOK_PATH));
    if (hook->variable_count > HOOK_VARIABLES_MAX)
        return aw_fail(AW_CODE_INTERNAL, "%zu variables for a hook", hook->variable_count);
    for (size_t i = 0; i < hook->variable_count; i++) {
        const struct hook_variable *v = &hook->variables[i];
        if (!is_name(v->name))
            return aw_fail(AW_CODE_SYNTAX, "\"%.40s\" is no variable's name", v->name);
        AW_TRY(aw_format(&run->environment[i + 1], "%s=%s", v->name, v->value));
    }
    return AW_OK;
}

static aw_result
open_stream(struct stream *stream)
{
    int ends[2];

    stream->text = calloc(1, HOOK_OUTPUT_MAX + 1);
    if (stream->text == NULL)
        return aw_fail_memory();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a pipe");
    stream->fd = ends[0];
    stream->its = ends[1];
    if (fcntl(stream->fd, F_SETFL, O_NONBLOCK) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set up a pipe");
    return AW_OK;
}

/* Its signals are as a shell expects them: ours are caught or, SIGPIPE, ignored. */
static int
set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    return posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int
set_files(posix_spawn_file_actions_t *files, const struct running *run)
{
    int error = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, run->streams[0].its, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(files, run->streams[1].its, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return error;
}

static int
spawn(struct running *run)
{
    static char shell[] = "sh", option[] = "-c", outer[] = "umask 022; exec " SHELL " -c \"$1\"";
    char *argv[] = {shell, option, outer, shell, run->command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;

    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = set_attributes(&attributes);
        if (error == 0)
            error = set_files(&files, run);
        if (error == 0)
            error = posix_spawn(&run->pid, SHELL, &files, &attributes, argv, run->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static aw_result
start(struct running *run)
{
    AW_TRY(make_words(run));
    for (size_t i = 0; i < AW_COUNT(run->streams); i++)
        AW_TRY(open_stream(&run->streams[i]));
    int error = spawn(run);
    if (error != 0) {
        errno = error;
        run->pid = 0;
        return aw_fail_errno(AW_CODE_IO, "%s: can't start " SHELL, run->hook->option);
    }
    for (size_t i = 0; i < AW_COUNT(run->streams); i++)
        aw_close(&run->streams[i].its);
    run->pidfd = pidfd_open(run->pid, 0);
    if (run->pidfd < 0)
        return aw_fail_errno(AW_CODE_IO, "%s: can't watch it", run->hook->option);
    return AW_OK;
}

/* Waiting. */

/* What is there now; what no longer fits is read and dropped, so that the hook does not block. */
static void
take(struct stream *stream)
{
    char rest[4096];

    while (stream->fd >= 0) {
        bool full = stream->size == HOOK_OUTPUT_MAX;
        ssize_t n =
            full ? read(stream->fd, rest, sizeof(rest))
                 : read(stream->fd, stream->text + stream->size, HOOK_OUTPUT_MAX - stream->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            aw_close(&stream->fd);
            return;
        }
        if (full)
            stream->cut = true;
        else
            stream->size += (size_t)n;
    }
}

/* Until its shell ends (true) or the time is over or a signal comes (false). */
static bool
watch(struct running *run, int64_t end_ms, bool interruptible)
{
    for (;;) {
        struct pollfd on[] = {{.fd = run->streams[0].fd, .events = POLLIN},
            {.fd = run->streams[1].fd, .events = POLLIN}, {.fd = run->pidfd, .events = POLLIN},
            {.fd = interruptible ? interrupt_fd() : -1, .events = POLLIN}};
        int64_t left = end_ms - aw_now_ms();

        int n = poll(on, AW_COUNT(on), left < 0 ? 0 : (int)left);
        take(&run->streams[0]);
        take(&run->streams[1]);
        if (on[2].revents != 0 && n > 0)
            return true;
        if (left <= 0 || (interruptible && interrupt_came()))
            return false;
    }
}

static void
end_group(struct running *run)
{
    kill(-run->pid, SIGTERM);
    watch(run, aw_now_ms() + HOOK_GRACE_MS, false);
    /* The shell may have ended and left others: while it is not reaped, the group's id is ours. */
    kill(-run->pid, SIGKILL);
}

static aw_result
reap(struct running *run, int *status)
{
    pid_t n;

    do
        n = waitpid(run->pid, status, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return aw_fail_errno(AW_CODE_IO, "%s: can't wait for it", run->hook->option);
    run->reaped = true;
    return AW_OK;
}

/* Judging. */

/* White space at the end, and NULs, for the text becomes a string. */
static void
trim(struct stream *stream)
{
    for (size_t i = 0; i < stream->size; i++)
        if (stream->text[i] == '\0')
            stream->text[i] = ' ';
    while (stream->size > 0 && strchr(" \t\r\n", stream->text[stream->size - 1]) != NULL)
        stream->size--;
    stream->text[stream->size] = '\0';
}

/* The last line of what it wrote, standard error first. */
static void
last_words(const struct running *run, char shown[WORDS_SHOWN])
{
    const struct stream *stream = &run->streams[run->streams[1].size > 0 ? 1 : 0];
    const char *line = strrchr(stream->text, '\n');

    line = line == NULL ? stream->text : line + 1;
    aw_log_escape(line, strnlen(line, WORDS_MAX), shown, WORDS_SHOWN);
}

static aw_result
judge(const struct running *run, int status)
{
    const struct hook *hook = run->hook;
    char words[WORDS_SHOWN];

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return AW_OK;
    last_words(run, words);
    bool by_signal = WIFSIGNALED(status);
    aw_result r = aw_fail(AW_CODE_IO, "%s ended with %s %d%s%s", hook->option,
        by_signal ? "signal" : "status", by_signal ? WTERMSIG(status) : WEXITSTATUS(status),
        words[0] == '\0' ? "" : ": ", words);
    if (!by_signal && (WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 126))
        return aw_hint(r, "it runs by " SHELL " -c with PATH=" HOOK_PATH
                          " and no other variables but its own: give the program's whole path");
    return aw_hint(r, "it ran: %.200s", hook->command);
}

static aw_result
run_to_end(struct running *run)
{
    const struct hook *hook = run->hook;
    unsigned seconds = hook->seconds == 0 ? HOOK_SECONDS : hook->seconds;
    int status = 0;

    AW_TRY(start(run));
    bool ended = watch(run, aw_now_ms() + (int64_t)seconds * 1000, !hook->always);
    if (!ended)
        end_group(run);
    AW_TRY(reap(run, &status));
    for (size_t i = 0; i < AW_COUNT(run->streams); i++)
        trim(&run->streams[i]);
    if (ended)
        return judge(run, status);
    if (!hook->always)
        AW_TRY(aw_context(interrupt_check(), "%s was ended", hook->option));
    return aw_hint(aw_fail(AW_CODE_TIMEOUT, "%s was ended after %u seconds", hook->option, seconds),
        "it ran: %.200s", hook->command);
}

aw_result
hook_run(const struct hook *hook, struct hook_output *out)
{
    AW_CLEANUP(running_free)
    struct running run = {.hook = hook, .pidfd = -1, .streams = {{-1, -1}, {-1, -1}}};

    memset(out, 0, sizeof(*out));
    if (!hook->always)
        AW_TRY(interrupt_check());
    aw_result r = run_to_end(&run);
    out->cut = run.streams[0].cut || run.streams[1].cut;
    out->out = AW_MOVE(run.streams[0].text);
    out->err = AW_MOVE(run.streams[1].text);
    return r;
}

void
hook_output_free(struct hook_output *output)
{
    free(output->out);
    free(output->err);
    memset(output, 0, sizeof(*output));
}
