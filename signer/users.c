#include "signer/users.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/lock.h"
#include "common/log.h"
#include "common/nss.h"
#include "policy/system.h"
#include "signer/child.h"
#include "signer/confine.h"

enum { LOOKUP_SIZE = 16384 };

/* What is asked. */
enum kind { ASK_USER, ASK_GROUP, ASK_NAME };

/* Question and answer; the number of a question tells late answers. */
struct note {
    uint32_t number;
    uint32_t kind;
    uint32_t found;
    uint32_t error; /* errno where it could not be looked up */
    uint32_t id;
    char name[USERS_NAME_MAX + 1];
};

struct users {
    int fd;
    pid_t child;
    pthread_mutex_t lock; /* guards `busy`; for moments only */
    pthread_cond_t free;
    bool busy;                /* somebody asks; what follows is his */
    uint32_t asked, answered; /* numbers of the last question, and of the last answer to any */
};

static void
print_name(uid_t uid, char *out, size_t size)
{
    struct passwd entry, *found = NULL;
    char buffer[LOOKUP_SIZE];

    snprintf(out, size, "%u", (unsigned)uid);
    if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
        snprintf(out, size, "%s", found->pw_name);
}

/* The child. */

static void
look_up(struct note *note)
{
    bool found = false;
    aw_result r = note->kind == ASK_USER ? aw_nss_user(note->name, &found, &note->id)
                                         : aw_nss_group(note->name, &found, &note->id);

    note->found = found;
    note->error = aw_ok(r) ? 0 : (uint32_t)aw_error_last()->cause_number;
}

static void
answer(struct note *note)
{
    note->name[USERS_NAME_MAX] = '\0';
    if (note->kind == ASK_NAME)
        print_name(note->id, note->name, sizeof(note->name));
    else
        look_up(note);
}

/* What the child begins with. */
struct beginning {
    int fd;
    const struct aw_config_sandbox *use;
};

static int
serve(void *context)
{
    const struct beginning *beginning = context;
    const int fd = beginning->fd;
    struct note note;

    if (!aw_ok(confine_users(beginning->use))) {
        aw_log_failure(AW_LOG_ERROR, "users can't be looked up");
        return 1;
    }
    for (;;) {
        ssize_t size = recv(fd, &note, sizeof(note), 0);

        if (size < 0 && errno == EINTR)
            continue;
        if (size != sizeof(note))
            return 0;
        answer(&note);
        if (send(fd, &note, sizeof(note), MSG_NOSIGNAL) != sizeof(note))
            return 0;
    }
}

aw_result
users_start(const struct aw_config_sandbox *use, users **out)
{
    AW_CLEANUP(aw_free) users *u = calloc(1, sizeof(*u));
    int ends[2];

    if (u == NULL)
        return aw_fail_memory();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a socket to the process that knows users");
    struct beginning beginning = {.fd = ends[1], .use = use};
    const struct child child = {.name = "acmeward-users",
        .keep = &ends[1],
        .keep_count = 1,
        .run = serve,
        .context = &beginning};
    aw_result r = child_start(&child, &u->child);
    close(ends[1]);
    u->fd = ends[0];
    if (!aw_ok(r)) {
        close(u->fd);
        return r;
    }
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->free, NULL);
    *out = AW_MOVE(u);
    return AW_OK;
}

void
users_stop(users **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    users *u = *slot;

    close(u->fd);
    child_end(u->child);
    pthread_cond_destroy(&u->free);
    pthread_mutex_destroy(&u->lock);
    free(u);
    *slot = NULL;
}

bool
users_gone(const users *u)
{
    struct pollfd look = {.fd = u->fd, .events = 0};

    return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

/* False: errno says why, EAGAIN where nothing is there yet. */
static bool
take_answer(users *u, struct note *note)
{
    ssize_t size = recv(u->fd, note, sizeof(*note), MSG_DONTWAIT);

    if (size >= 0 && size != sizeof(*note))
        errno = EPIPE; /* it has ended */
    if (size != sizeof(*note))
        return false;
    u->answered = note->number;
    return true;
}

/* False: an earlier question has no answer yet, so this one would have none in time. */
static bool
is_prompt(users *u)
{
    struct note late;

    while (take_answer(u, &late))
        ;
    return u->answered == u->asked;
}

/* False: no answer in time. */
static bool
exchange(users *u, struct note *note, int64_t deadline)
{
    note->number = u->asked + 1;
    if (send(u->fd, note, sizeof(*note), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(*note))
        return false;
    u->asked = note->number;
    for (;;) {
        struct pollfd wait = {.fd = u->fd, .events = POLLIN};
        int64_t left = deadline - aw_now_ms();

        if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR))
            return false;
        if (take_answer(u, note)) {
            if (u->answered == u->asked)
                return true;
        } else if (errno != EAGAIN && errno != EINTR) {
            return false;
        }
    }
}

/* Waiting for others counts: each of many who ask waits as long as one would. */
static bool
begin(users *u, int64_t deadline)
{
    const struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};

    AW_HOLD(&u->lock);
    while (u->busy)
        if (pthread_cond_clockwait(&u->free, &u->lock, CLOCK_MONOTONIC, &until) != 0 && u->busy)
            return false; /* else it may have been called at that very moment, in place of others */
    u->busy = true;
    return true;
}

static void
end(users *u)
{
    AW_HOLD(&u->lock);
    u->busy = false;
    pthread_cond_signal(&u->free);
}

static bool
ask(users *u, struct note *note, int timeout_ms)
{
    int64_t deadline = aw_now_ms() + timeout_ms;

    if (!begin(u, deadline))
        return false;
    bool answered = (is_prompt(u) || note->kind != ASK_NAME) && exchange(u, note, deadline);
    end(u);
    return answered;
}

/* Longer names than fit into a note are nobody's. */
static aw_result
find(users *u, struct note *note, const char *name, bool *found)
{
    const char *kind = note->kind == ASK_USER ? "user" : "group";

    *found = false;
    if (strlen(name) > USERS_NAME_MAX)
        return AW_OK;
    memcpy(note->name, name, strlen(name) + 1);
    if (!ask(u, note, USERS_LOOKUP_MS))
        return aw_nss_fail(kind, name, ETIMEDOUT);
    if (note->error != 0)
        return aw_nss_fail(kind, name, (int)note->error);
    *found = note->found != 0;
    return AW_OK;
}

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    struct note note = {.kind = ASK_USER};

    AW_TRY(find(context, &note, name, found));
    *uid = note.id;
    return AW_OK;
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    struct note note = {.kind = ASK_GROUP};

    AW_TRY(find(context, &note, name, found));
    *gid = note.id;
    return AW_OK;
}

struct policy_resolver
users_resolver(users *u)
{
    if (u == NULL)
        return policy_system_resolver;
    return (struct policy_resolver){.user = find_user, .group = find_group, .context = u};
}

void
users_name_of(users *u, uid_t uid, char *out, size_t size)
{
    struct note note = {.kind = ASK_NAME, .id = uid};

    if (u == NULL) {
        print_name(uid, out, size);
        return;
    }
    snprintf(out, size, "%u", (unsigned)uid);
    if (!ask(u, &note, USERS_NAME_OF_MS))
        return;
    note.name[USERS_NAME_MAX] = '\0';
    snprintf(out, size, "%s", note.name);
}
