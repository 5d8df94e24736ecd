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
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
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
    uint32_t id;
    char name[USERS_NAME_MAX + 1];
};

struct users {
    int fd;
    pid_t child;
    pthread_mutex_t lock; /* one question at a time */
    uint32_t asked;
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
answer(struct note *note)
{
    const struct policy_resolver *system = &policy_system_resolver;
    uid_t uid = 0;
    gid_t gid = 0;

    note->name[USERS_NAME_MAX] = '\0';
    if (note->kind == ASK_USER) {
        note->found = system->user(note->name, &uid, system->context);
        note->id = uid;
    } else if (note->kind == ASK_GROUP) {
        note->found = system->group(note->name, &gid, system->context);
        note->id = gid;
    } else {
        note->found = true;
        print_name(note->id, note->name, sizeof(note->name));
    }
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

/* Under the lock. False: no answer in time. */
static bool
exchange(users *u, struct note *note, int timeout_ms)
{
    int64_t deadline = aw_now_ms() + timeout_ms;
    uint32_t number = note->number = ++u->asked;

    if (send(u->fd, note, sizeof(*note), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(*note))
        return false;
    for (;;) {
        struct pollfd wait = {.fd = u->fd, .events = POLLIN};
        int64_t left = deadline - aw_now_ms();

        if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR))
            return false;
        ssize_t size = recv(u->fd, note, sizeof(*note), MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (size == sizeof(*note) && note->number == number)
            return note->found != 0;
    }
}

static bool
ask(users *u, struct note *note, int timeout_ms)
{
    pthread_mutex_lock(&u->lock);
    bool found = exchange(u, note, timeout_ms);
    pthread_mutex_unlock(&u->lock);
    return found;
}

static bool
find(users *u, enum kind kind, const char *name, uint32_t *id)
{
    struct note note = {.kind = kind};

    if (strlen(name) > USERS_NAME_MAX)
        return false;
    memcpy(note.name, name, strlen(name) + 1);
    if (!ask(u, &note, USERS_LOOKUP_MS))
        return false;
    *id = note.id;
    return true;
}

static bool
find_user(const char *name, uid_t *uid, void *context)
{
    return find(context, ASK_USER, name, uid);
}

static bool
find_group(const char *name, gid_t *gid, void *context)
{
    return find(context, ASK_GROUP, name, gid);
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
