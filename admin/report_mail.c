/*
 * The report for each owner, through a command: acmeward sends no mail. What the command gets is in
 * its environment and on standard input, never on a command line that owners' texts could change.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/report.h"
#include "common/io.h"
#include "common/log.h"

enum { DAY = 24 * 3600, SOON_DAYS = 30, COUNT_SIZE = 24, VARIABLES = 7 };

extern char **environ;

/* What the command is told besides the text. */
struct letter {
    const char *owner;
    char *applications; /* with spaces between */
    size_t application_count;
    size_t expiring; /* certificates in use that end within SOON_DAYS, or ended */
    size_t refused;
    char *text;
    size_t size;
};

static void
letter_free(struct letter *letter)
{
    free(letter->applications);
    free(letter->text);
}

static bool
is_of(const struct report_data *data, const char *application, const char *owner)
{
    const struct report_user *user = report_grants_user(&data->grants, application);

    return user != NULL && strcmp(user->application->owner, owner) == 0;
}

static void
count_events(const struct report_data *data, struct letter *letter)
{
    const struct report_log *log = &data->log;
    int64_t soon = data->period.now + (int64_t)SOON_DAYS * DAY;

    for (size_t i = 0; i < log->certificate_count; i++) {
        const struct report_certificate *c = &log->certificates[i];
        letter->expiring += !c->replaced && !c->revoked && c->not_after <= soon &&
                            is_of(data, c->application, letter->owner);
    }
    for (size_t i = 0; i < log->refusal_count; i++)
        if (is_of(data, log->refusals[i].application, letter->owner))
            letter->refused += (size_t)log->refusals[i].count;
}

static aw_result
list_applications(const struct report_data *data, struct letter *letter)
{
    for (size_t i = 0; i < data->grants.user_count; i++) {
        const struct policy_application *a = data->grants.users[i].application;
        AW_CLEANUP(aw_free) char *before = NULL;

        if (strcmp(a->owner, letter->owner) != 0)
            continue;
        before = AW_MOVE(letter->applications);
        AW_TRY(aw_format(&letter->applications, "%s%s%s", before == NULL ? "" : before,
            before == NULL ? "" : " ", a->name));
        letter->application_count++;
    }
    return AW_OK;
}

static aw_result
write_letter(const struct report_data *data, struct letter *letter)
{
    AW_CLEANUP(report_page_free) struct report_page page = {.title = NULL};
    FILE *file = NULL;

    AW_TRY(list_applications(data, letter));
    count_events(data, letter);
    report_fill(data, letter->owner, &page);
    file = open_memstream(&letter->text, &letter->size);
    if (file == NULL)
        return aw_fail_memory();
    aw_result r = report_render(&page, REPORT_FORMAT_TEXT, file);
    return (fclose(file) != 0 || letter->text == NULL) && aw_ok(r) ? aw_fail_memory() : r;
}

/* Running the command. */

static aw_result
start_command(const char *command, char **environment, int *input, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    char shell[] = "sh", option[] = "-c";
    AW_CLEANUP(aw_free) char *line = strdup(command);
    int ends[2];

    if (line == NULL)
        return aw_fail_memory();
    if (pipe(ends) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a pipe");
    /* This process ignores it: a command that does not read must not end the others' mails. */
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    char *const words[] = {shell, option, line, NULL};
    errno = posix_spawn(pid, "/bin/sh", &actions, &attributes, words, environment);
    aw_result r = errno == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start /bin/sh");
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[0]);
    *input = ends[1];
    if (!aw_ok(r))
        aw_close(input);
    return r;
}

static aw_result
run_command(const char *command, char **environment, const struct letter *letter)
{
    int input = -1, status = 0;
    pid_t pid = 0;

    AW_TRY(start_command(command, environment, &input, &pid));
    aw_ignore(aw_fd_write(input, letter->text, letter->size),
        "it may have enough without reading: its status counts");
    aw_close(&input);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't wait for the hook");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return AW_OK;
    return aw_fail(AW_CODE_IO, "the hook ended with %s %d", WIFEXITED(status) ? "status" : "signal",
        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Ours, then the caller's but for those. Pointers in it belong to `ours` and the environment. */
static aw_result
join_environment(char *const *ours, char ***out)
{
    size_t count = 0, used = 0;

    while (environ[count] != NULL)
        count++;
    char **joined = calloc(count + VARIABLES + 1, sizeof(*joined));
    if (joined == NULL)
        return aw_fail_memory();
    for (; used < VARIABLES; used++)
        joined[used] = ours[used];
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "ACMEWARD_", strlen("ACMEWARD_")) != 0)
            joined[used++] = environ[i];
    *out = joined;
    return AW_OK;
}

static void
free_variables(char *(*variables)[VARIABLES])
{
    for (size_t i = 0; i < VARIABLES; i++)
        free((*variables)[i]);
}

static aw_result
send_letter(const struct report_data *data, const char *command, const struct letter *letter)
{
    AW_CLEANUP(free_variables) char *ours[VARIABLES] = {NULL};
    AW_CLEANUP(aw_free) char **environment = NULL;
    char since[32], until[32];

    aw_time_text(data->period.since, since);
    aw_time_text(data->period.until, until);
    AW_TRY(aw_format(&ours[0], "ACMEWARD_OWNER=%s", letter->owner));
    AW_TRY(aw_format(&ours[1], "ACMEWARD_APPLICATIONS=%s", letter->applications));
    AW_TRY(aw_format(&ours[2],
        "ACMEWARD_SUBJECT=acmeward: %zu application%s, %zu expiring, %zu refused",
        letter->application_count, letter->application_count == 1 ? "" : "s", letter->expiring,
        letter->refused));
    AW_TRY(aw_format(&ours[3], "ACMEWARD_EXPIRING=%zu", letter->expiring));
    AW_TRY(aw_format(&ours[4], "ACMEWARD_REFUSED=%zu", letter->refused));
    AW_TRY(aw_format(&ours[5], "ACMEWARD_SINCE=%s", since));
    AW_TRY(aw_format(&ours[6], "ACMEWARD_UNTIL=%s", until));
    AW_TRY(join_environment(ours, &environment));
    return run_command(command, environment, letter);
}

static aw_result
mail_owner(const struct report_data *data, const char *command, const char *owner)
{
    AW_CLEANUP(letter_free) struct letter letter = {.owner = owner};

    AW_TRY(write_letter(data, &letter));
    return send_letter(data, command, &letter);
}

/* One letter an owner, at the first of their applications. */
static bool
is_first(const struct report_grants *grants, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(grants->users[i].application->owner, grants->users[index].application->owner) ==
            0)
            return false;
    return true;
}

aw_result
report_mail(const struct report_data *data, const char *command)
{
    const struct report_grants *grants = &data->grants;
    size_t failed = 0, sent = 0;

    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < grants->user_count; i++) {
        const char *owner = grants->users[i].application->owner;

        if (!is_first(grants, i))
            continue;
        if (aw_ok(mail_owner(data, command, owner))) {
            sent++;
            continue;
        }
        failed++;
        aw_log_failure(AW_LOG_ERROR, owner);
    }
    if (failed > 0)
        return aw_fail(
            AW_CODE_IO, "%zu of %zu reports were not taken by the hook", failed, sent + failed);
    return AW_OK;
}
