#include "client/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/ssh_arguments.h"
#include "common/io.h"
#include "common/log.h"

extern char **environ;

enum {
    END_WAIT_MS = 2000, /* for ssh to end when its input has ended, before it is told to */
    WORDS_MAX = 600,    /* octets kept of what ssh says: the last ones, they say why it ended */
    SSH_FAILED = 255,   /* ssh(1): its own failure; else the status of the remote command */
};

struct ssh_process {
    char *url;
    pid_t pid;
    int words_fd; /* ssh's standard error */
    char words[WORDS_MAX + 1];
};

/* Starting. */

static void
write_arguments(const struct ssh_url *url, const struct ssh_place *place, struct ssh_arguments *a)
{
    ssh_arguments_begin(a, url, place->config, place->control);
    ssh_arguments_add(a, "-oControlMaster=no");
    ssh_arguments_add(a, "-oSessionType=default");
    ssh_arguments_add(a, "--");
    ssh_arguments_add(a, url->host);
    /* For an account without a forced command; with one, sshd ignores it. */
    ssh_arguments_add(a, "acmeward");
    ssh_arguments_add(a, "connect");
    ssh_arguments_add_option(a, "--signer", url->socket);
}

static void
close_pipe(int ends[2])
{
    aw_close(&ends[0]);
    aw_close(&ends[1]);
}

static aw_result
open_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a pipe to ssh");
    return AW_OK;
}

/* A pipe for each standard stream of ssh, from its point of view. */
struct pipes {
    int in[2];
    int out[2];
    int words[2];
};

static void
pipes_close(struct pipes *pipes)
{
    close_pipe(pipes->in);
    close_pipe(pipes->out);
    close_pipe(pipes->words);
}

static aw_result
pipes_open(struct pipes *pipes)
{
    AW_TRY(open_pipe(pipes->in));
    AW_TRY(open_pipe(pipes->out));
    AW_TRY(open_pipe(pipes->words));
    /* ssh may never close it (a ProxyCommand can outlive it): read only what is there. */
    if (fcntl(pipes->words[0], F_SETFL, O_NONBLOCK) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set up a pipe to ssh");
    return AW_OK;
}

static int
set_up(
    posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, const struct pipes *pipes)
{
    sigset_t ignored_by_us, none;
    int error = posix_spawn_file_actions_adddup2(actions, pipes->in[0], STDIN_FILENO);

    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, pipes->out[1], STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(actions, pipes->words[1], STDERR_FILENO);
    sigemptyset(&ignored_by_us);
    sigaddset(&ignored_by_us, SIGPIPE);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &ignored_by_us);
    /* A relay's threads take no signals; ssh has to, or it could not be told to end. */
    sigemptyset(&none);
    if (error == 0)
        error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error =
            posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return error;
}

static int
spawn(struct ssh_arguments *a, const struct pipes *pipes, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = set_up(&actions, &attributes, pipes);
        if (error == 0)
            error = posix_spawnp(pid, a->words[0], &actions, &attributes, a->words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static aw_result
spawn_ssh(const struct ssh_place *place, const struct pipes *pipes, pid_t *pid)
{
    AW_CLEANUP(ssh_url_free) struct ssh_url parts = {0};
    struct ssh_arguments a = {.count = 0};
    const char *url = place->url;

    AW_TRY(ssh_url_parse(url, &parts));
    write_arguments(&parts, place, &a);
    errno = spawn(&a, pipes, pid);
    if (errno == ENOENT)
        return aw_hint(aw_fail(AW_CODE_UNAVAILABLE, "the signer at %s: there is no ssh here", url),
            "install the package openssh-client");
    if (errno != 0)
        return aw_fail_errno(AW_CODE_UNAVAILABLE, "the signer at %s: can't run ssh", url);
    return AW_OK;
}

/* It may name programs to run, so nobody else may write it. */
static aw_result
check_config(const char *config)
{
    return config == NULL ? AW_OK
                          : aw_context(aw_path_check(config, geteuid(), 0022), "ssh_config");
}

static aw_result
start(ssh_process *process, const struct ssh_place *place, aw_varlink_stream **stream)
{
    AW_CLEANUP(pipes_close) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}};

    AW_TRY(check_config(place->config));
    AW_TRY(pipes_open(&pipes));
    AW_TRY(spawn_ssh(place, &pipes, &process->pid));
    process->words_fd = pipes.words[0];
    pipes.words[0] = -1;
    AW_TRY(aw_varlink_stream_new_pair(pipes.out[0], pipes.in[1], stream));
    pipes.out[0] = -1;
    pipes.in[1] = -1;
    return AW_OK;
}

aw_result
ssh_process_start(const struct ssh_place *place, ssh_process **out, aw_varlink_stream **stream)
{
    AW_CLEANUP(ssh_process_end) ssh_process *process = calloc(1, sizeof(*process));

    if (process == NULL)
        return aw_fail_memory();
    process->words_fd = -1;
    process->url = strdup(place->url);
    if (process->url == NULL)
        return aw_fail_memory();
    AW_TRY(start(process, place, stream));
    *out = AW_MOVE(process);
    return AW_OK;
}

/* Ending. */

static void
wait_for_end(pid_t pid)
{
    AW_CLEANUP(aw_close) int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t deadline = aw_now_ms() + END_WAIT_MS;
    int64_t left = END_WAIT_MS;

    while (fd >= 0 && left > 0 && poll(&p, 1, (int)left) < 0 && errno == EINTR)
        left = deadline - aw_now_ms();
    if (fd < 0 || (p.revents & POLLIN) == 0)
        kill(pid, SIGTERM);
}

/* The status as waitpid() gives it. */
static int
collect(ssh_process *process)
{
    int status = 0;

    if (process->pid <= 0)
        return 0;
    wait_for_end(process->pid);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    process->pid = 0;
    return status;
}

static void
release(ssh_process **slot)
{
    aw_close(&(*slot)->words_fd);
    free((*slot)->url);
    free(*slot);
    *slot = NULL;
}

void
ssh_process_end(ssh_process **slot)
{
    if (*slot == NULL)
        return;
    collect(*slot);
    release(slot);
}

/* Explaining. */

/* All that ssh said; the last WORDS_MAX octets are kept. A pipe holds no more than 64 KiB. */
static void
read_words(ssh_process *process)
{
    char buffer[WORDS_MAX];
    size_t used = 0;

    for (;;) {
        ssize_t n = read(process->words_fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size_t keep = used < WORDS_MAX - (size_t)n ? used : WORDS_MAX - (size_t)n;
        memmove(process->words, process->words + used - keep, keep);
        memcpy(process->words + keep, buffer, (size_t)n);
        used = keep + (size_t)n;
    }
    process->words[used] = '\0';
}

/* Lines become one paragraph. */
static void
join_lines(char *text)
{
    char *to = text;
    bool pending = false;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '\r' || *from == '\n') {
            pending = to != text;
            continue;
        }
        if (pending)
            *to++ = ' ';
        pending = false;
        *to++ = *from;
    }
    *to = '\0';
}

/* What ssh(1) and shells say, and what is to be done. The first one found counts. */
static const struct advice {
    const char *words;
    const char *hint;
} advices[] = {
    {"has changed and you have requested strict checking",
        "the host answers with another key than it had: nothing was sent. Ask its administrators "
        "whether the key was changed before you touch known_hosts"},
    {"Host key verification failed",
        "the host's key is not known to this user: compare its fingerprint with the one that the "
        "signer's administrators tell, and put it into known_hosts (ssh-keyscan fetches it, "
        "ssh-keygen -lf shows the fingerprint)"},
    {"Permission denied",
        "the host does not take this user's key: its public half belongs into authorized_keys of "
        "that login account (acmeward-admin app connect-line prints the line)"},
    {"Too many authentication failures",
        "too many keys were offered before the right one: name it by IdentityFile and "
        "IdentitiesOnly in the ssh configuration"},
    {"Could not resolve hostname", "check the host's name in the signer's URL"},
    {"onnection timed out", "is the host up, and is a firewall in between?"},
    {"kex_exchange_identification", "that host ended the connection before a login: do many log in "
                                    "there at once (MaxStartups in "
                                    "sshd_config), or does something else listen on that port?"},
    {"onnection refused", "is sshd running on that host, on that port?"},
    {"This account is currently not available",
        "the login account needs a shell that can run the forced command, such as /bin/sh"},
    {"not found", "acmeward is not installed on the signer's host, or not where the forced command "
                  "looks for it"},
    {"Bad configuration option", "the ssh configuration has a fault, or ssh is older than 8.7"},
};

static const char *
find_hint(const char *words)
{
    for (size_t i = 0; i < AW_COUNT(advices); i++)
        if (strstr(words, advices[i].words) != NULL)
            return advices[i].hint;
    return "run ssh with the same user and host by hand to see more; or try again later";
}

static aw_result
fail_ended(const char *url, const char *words, int status)
{
    char ending[64] = "ssh ended";

    if (WIFSIGNALED(status))
        snprintf(ending, sizeof(ending), "ssh was ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == SSH_FAILED)
        snprintf(ending, sizeof(ending), "ssh failed");
    else if (WEXITSTATUS(status) != 0)
        snprintf(
            ending, sizeof(ending), "the command there ended with status %d", WEXITSTATUS(status));
    if (words[0] == '\0')
        return aw_fail(AW_CODE_UNAVAILABLE, "the signer at %s: %s without a word", url, ending);
    return aw_fail(AW_CODE_UNAVAILABLE, "the signer at %s: %s: %s", url, ending, words);
}

aw_result
ssh_process_explain(ssh_process **slot)
{
    char shown[AW_ERROR_MESSAGE_SIZE];
    int status = collect(*slot);

    read_words(*slot);
    join_lines((*slot)->words);
    aw_log_escape((*slot)->words, strlen((*slot)->words), shown, sizeof(shown));
    aw_result r = aw_hint(fail_ended((*slot)->url, shown, status), "%s", find_hint((*slot)->words));
    release(slot);
    return r;
}
