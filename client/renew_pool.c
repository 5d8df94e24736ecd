/*
 * Ordering, some at a time: each certificate in a process of its own, which is `certonly --json`
 * but for what it repeats. So one that fails, or is killed, takes nothing with it, and memory that
 * an order took is given back. What it writes goes to files without a name; hooks run here, one
 * after the other.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/interrupt.h"
#include "client/renew.h"
#include "common/io.h"

/* A certificate under way. */
struct job {
    pid_t pid; /* 0: none */
    int pidfd;
    size_t item;
    FILE *results, *messages;
};

static void
close_stream(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
    *file = NULL;
}

static aw_result
make_stream(FILE **out)
{
    AW_CLEANUP(aw_close) int fd = memfd_create("acmeward-renew", MFD_CLOEXEC);

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a file for a job's output");
    *out = fdopen(fd, "w+");
    if (*out == NULL)
        return aw_fail_errno(AW_CODE_IO, "can't open a job's output");
    fd = -1;
    return AW_OK;
}

/* In the new process; never returns. */
static void
work(const struct renew *r, const struct job *job, const struct options *settings, const char *ssh)
{
    const struct renew_item *item = &r->items[job->item];
    const struct certonly_renewal renewal = {.version = item->version,
        .replaces = item->replaces,
        .ssh_control = ssh,
        .resume_only = r->resume};
    struct output out;
    int status = 0;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    output_open(&out, job->results, job->messages);
    out.json = true;
    out.quiet = true;
    aw_result result = certonly_renew(settings, &out, &renewal);
    if (!aw_ok(result))
        status = output_failure(&out, result);
    output_close(&out);
    fflush(job->results);
    fflush(job->messages);
    _exit(status);
}

static aw_result
start_process(struct renew *r, struct job *job, const struct options *settings)
{
    const char *ssh = renew_shared_ssh(r, settings);

    AW_TRY(make_stream(&job->results));
    AW_TRY(make_stream(&job->messages));
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a process");
    if (pid == 0)
        work(r, job, settings, ssh);
    job->pidfd = pidfd_open(pid, 0);
    if (job->pidfd < 0) {
        aw_result failed = aw_fail_errno(AW_CODE_IO, "can't watch a process");
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        return failed;
    }
    job->pid = pid;
    return AW_OK;
}

static aw_result
start(struct renew *r, struct job *job)
{
    AW_CLEANUP(renewal_config_free) struct renewal_config *config = NULL;
    const struct renew_item *item = &r->items[job->item];

    AW_TRY(renew_settings(r, item->name, &config));
    const struct options *settings = renewal_config_options(config);
    const struct lineage_commands commands = {
        r->options->pre_hook != NULL ? r->options->pre_hook : settings->pre_hook,
        r->options->post_hook != NULL ? r->options->post_hook : settings->post_hook, NULL};
    AW_TRY(lineage_hooks_before(r->hooks, &commands));
    output_step(r->out, "renewing", item->name, item->why);
    return start_process(r, job, settings);
}

/* A warning of the policy, and the like, is for whoever runs us. */
static void
pass_messages(FILE *from, struct output *out)
{
    char line[4096];

    rewind(from);
    output_clear(out);
    while (fgets(line, sizeof(line), from) != NULL)
        fputs(line, out->messages);
}

static aw_result
finish(struct renew *r, struct job *job)
{
    int status = 0;

    while (waitpid(job->pid, &status, 0) < 0)
        if (errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't wait for a job");
    pass_messages(job->messages, r->out);
    rewind(job->results);
    renew_take(r, &r->items[job->item], status, job->results);
    close_stream(&job->results);
    close_stream(&job->messages);
    aw_close(&job->pidfd);
    job->pid = 0;
    return AW_OK;
}

static struct job *
find_free(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (jobs[i].pid == 0)
            return &jobs[i];
    return NULL;
}

/* Once: a terminal tells them too, but who ends us alone does not. */
static void
pass_on_signal(struct renew *r, const struct job *jobs)
{
    if (!interrupt_came() || r->told_to_end)
        return;
    r->stopped = r->told_to_end = true;
    for (size_t i = 0; i < r->jobs; i++)
        if (jobs[i].pid > 0)
            kill(jobs[i].pid, SIGTERM);
}

/* Until one of them ends, or a signal comes, be it a moment before. */
static aw_result
await(struct renew *r, struct job *jobs)
{
    struct pollfd on[RENEW_JOBS_MAX + 1] = {{.fd = -1}};

    for (size_t i = 0; i < r->jobs; i++)
        on[i] = (struct pollfd){.fd = jobs[i].pid > 0 ? jobs[i].pidfd : -1, .events = POLLIN};
    on[r->jobs] = (struct pollfd){.fd = r->told_to_end ? -1 : interrupt_fd(), .events = POLLIN};
    if (poll(on, r->jobs + 1, -1) < 0 && errno != EINTR)
        return aw_fail_errno(AW_CODE_IO, "can't wait for a job");
    for (size_t i = 0; i < r->jobs; i++)
        if (on[i].revents != 0)
            AW_TRY(finish(r, &jobs[i]));
    pass_on_signal(r, jobs);
    return AW_OK;
}

/* An item whose CA limits the rate meanwhile waits like all others of that CA. */
static bool
is_limited(struct renew *r, const struct renew_item *item)
{
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};

    if (item->directory == NULL || r->options->force_renewal ||
        !aw_ok(renew_failure_read(r->root, item->directory, &failure)) ||
        !renew_failure_holds(&failure, (int64_t)time(NULL)))
        return false;
    renew_wait(r, item->name, &failure);
    return true;
}

static void
begin_next(struct renew *r, struct job *jobs, size_t *next, size_t *running)
{
    while (*next < r->count && *running < r->jobs && !r->stopped) {
        struct job *job = find_free(jobs, r->jobs);

        if (is_limited(r, &r->items[*next])) {
            (*next)++;
            continue;
        }
        job->item = (*next)++;
        if (aw_ok(start(r, job)))
            (*running)++;
        else {
            renew_fail(r, r->items[job->item].name);
            close_stream(&job->results);
            close_stream(&job->messages);
        }
    }
}

aw_result
renew_all(struct renew *r)
{
    AW_CLEANUP(aw_free) struct job *jobs = calloc(r->jobs, sizeof(*jobs));
    size_t next = 0, running = 0;

    if (jobs == NULL)
        return aw_fail_memory();
    for (;;) {
        begin_next(r, jobs, &next, &running);
        if (running == 0)
            break;
        AW_TRY(await(r, jobs));
        running = 0;
        for (size_t i = 0; i < r->jobs; i++)
            running += jobs[i].pid > 0;
    }
    r->left = r->count - next;
    return interrupt_check();
}
