#include "signer/gate.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

/* A connection in the gate's table; the slot is free when `gate` is NULL. */
struct connection {
    struct gate *gate;
    uid_t uid;
    int fd; /* for shutdown by gate_stop; owned by the stream */
};

struct gate {
    struct core *core;
    const struct gate_service *service;
    int listen_fd;
    int stop_fd; /* an eventfd that wakes the acceptor */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t emptied;
    struct connection connections[GATE_CONNECTIONS_MAX];
    size_t open;
    bool stopping;
};

/* Finds a slot under the limits; NULL when one of them is reached. */
static struct connection *
enter(struct gate *gate, uid_t uid, int fd)
{
    struct connection *free_slot = NULL;
    size_t of_uid = 0;

    pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < GATE_CONNECTIONS_MAX; i++) {
        struct connection *slot = &gate->connections[i];

        if (slot->gate == NULL)
            free_slot = free_slot == NULL ? slot : free_slot;
        else if (slot->uid == uid)
            of_uid++;
    }
    if (gate->stopping || of_uid >= GATE_CONNECTIONS_PER_UID_MAX)
        free_slot = NULL;
    if (free_slot != NULL) {
        *free_slot = (struct connection){.gate = gate, .uid = uid, .fd = fd};
        gate->open++;
    }
    pthread_mutex_unlock(&gate->lock);
    return free_slot;
}

static void
leave(struct connection *connection)
{
    struct gate *gate = connection->gate;

    pthread_mutex_lock(&gate->lock);
    connection->gate = NULL;
    gate->open--;
    if (gate->open == 0)
        pthread_cond_broadcast(&gate->emptied);
    pthread_mutex_unlock(&gate->lock);
}

static aw_result
answer_message(
    struct gate *gate, const struct peer *peer, const char *text, size_t length, char **reply)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    aw_result r = aw_varlink_call_parse(text, length, &call);

    if (!aw_ok(r))
        return gate->service->answer_garbage(reply);
    return gate->service->answer(gate->core, peer, &call, reply);
}

static aw_result
serve_one(struct gate *gate, const struct peer *peer, aw_varlink_stream *stream)
{
    AW_CLEANUP(aw_free) char *reply = NULL;
    const char *text = NULL;
    size_t length = 0;
    aw_result r = aw_varlink_receive(stream, GATE_IDLE_MS, GATE_MESSAGE_MS, &text, &length);

    if (r.code == AW_CODE_LIMIT || r.code == AW_CODE_SYNTAX) {
        /* Too long, or cut off: say so if the peer still listens, then close. */
        AW_TRY(gate->service->answer_garbage(&reply));
        aw_ignore(aw_varlink_send(stream, reply, GATE_SEND_MS), "the connection ends anyway");
        return (aw_result){AW_CODE_CLOSED};
    }
    AW_TRY(r);
    AW_TRY(answer_message(gate, peer, text, length, &reply));
    return aw_varlink_send(stream, reply, GATE_SEND_MS);
}

/* What a connection's thread is given. */
struct arrival {
    struct connection *connection;
    aw_varlink_stream *stream;
    struct peer peer;
};

static void *
serve(void *argument)
{
    struct arrival *arrival = argument;
    struct gate *gate = arrival->connection->gate;
    aw_result r = AW_OK;

    while (aw_ok(r))
        r = serve_one(gate, &arrival->peer, arrival->stream);
    if (r.code != AW_CODE_CLOSED && r.code != AW_CODE_TIMEOUT)
        aw_log_failure(AW_LOG_WARNING, arrival->peer.user);
    leave(arrival->connection);
    aw_varlink_stream_free(&arrival->stream);
    free(arrival);
    return NULL;
}

static aw_result
start_thread(struct arrival *arrival)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, GATE_STACK);
    int error = pthread_create(&thread, &attributes, serve, arrival);
    pthread_attr_destroy(&attributes);
    errno = error;
    return error == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}

/* On any failure the descriptor is closed: the peer sees the end of the connection. */
static aw_result
admit(struct gate *gate, int *fd)
{
    AW_CLEANUP(aw_free) struct arrival *arrival = calloc(1, sizeof(*arrival));

    if (arrival == NULL)
        return aw_fail_memory();
    AW_TRY(peer_from_fd(*fd, &arrival->peer));
    if (!gate->service->admits(gate->core, &arrival->peer))
        return aw_fail(AW_CODE_PERMISSION, "%s (uid %u) has no business with the socket for %s",
            arrival->peer.user, (unsigned)arrival->peer.uid, gate->service->name);
    AW_TRY(aw_varlink_stream_new(*fd, &arrival->stream));
    arrival->connection = enter(gate, arrival->peer.uid, *fd);
    *fd = -1;
    aw_result r = arrival->connection == NULL
                      ? aw_fail(AW_CODE_BUSY, "%s has too many connections", arrival->peer.user)
                      : start_thread(arrival);
    if (!aw_ok(r)) {
        if (arrival->connection != NULL)
            leave(arrival->connection);
        aw_varlink_stream_free(&arrival->stream);
        return r;
    }
    arrival = NULL; /* the thread's now */
    return AW_OK;
}

static void
accept_one(struct gate *gate)
{
    AW_CLEANUP(aw_close) int fd = accept4(gate->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        /* Out of descriptors: the pending connection stays readable, so do not spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            poll(NULL, 0, 100);
        return;
    }
    if (!aw_ok(admit(gate, &fd)))
        aw_log_failure(AW_LOG_NOTICE, "connection closed at accept");
}

static void *
accept_all(void *argument)
{
    struct gate *gate = argument;
    struct pollfd waits[] = {
        {.fd = gate->listen_fd, .events = POLLIN}, {.fd = gate->stop_fd, .events = POLLIN}};

    for (;;) {
        if (poll(waits, AW_COUNT(waits), -1) < 0 && errno != EINTR)
            return NULL;
        if (waits[1].revents != 0)
            return NULL;
        if (waits[0].revents != 0)
            accept_one(gate);
    }
}

static aw_result
remove_stale_socket(const char *path)
{
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "%s", path);
    if (!S_ISSOCK(status.st_mode))
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is there and is not a socket", path),
            "remove it, or name another path in paths");
    if (unlink(path) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't remove the stale socket %s", path);
    return AW_OK;
}

static aw_result
check_folder(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = strdup(path);

    if (folder == NULL)
        return aw_fail_memory();
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';
    return aw_path_check(folder, geteuid(), 0022);
}

static aw_result
address_of(const char *path, struct sockaddr_un *out)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(out->sun_path))
        return aw_fail(AW_CODE_LIMIT, "%s is longer than the %zu octets of a socket's path", path,
            sizeof(out->sun_path) - 1);
    memcpy(out->sun_path, path, strlen(path) + 1);
    return AW_OK;
}

aw_result
gate_listen(const char *path, mode_t mode, int *fd)
{
    AW_CLEANUP(aw_close) int made = -1;
    struct sockaddr_un address;

    AW_TRY(address_of(path, &address));
    AW_TRY(check_folder(path));
    AW_TRY(remove_stale_socket(path));
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a socket");
    /* bind takes the mode from here, so there is no moment in which it is wider. */
    if (fchmod(made, mode) != 0 ||
        bind(made, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, mode) != 0 || listen(made, GATE_BACKLOG) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't listen at %s", path);
    *fd = made;
    made = -1;
    return AW_OK;
}

aw_result
gate_check_passed(int fd, const char *path)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int listening = 0, type = 0;
    socklen_t int_size = sizeof(int);

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_size) != 0)
        return aw_fail_errno(AW_CODE_IO, "descriptor %d from the service manager", fd);
    if (address.sun_family != AF_UNIX || type != SOCK_STREAM || listening == 0 ||
        strncmp(address.sun_path, path, sizeof(address.sun_path)) != 0)
        return aw_hint(aw_fail(AW_CODE_CONFIG,
                           "the service manager's socket is not a stream listening at %s", path),
            "make ListenStream= of the socket unit and paths in signer.yaml the same");
    return check_folder(path);
}

aw_result
gate_start(struct core *core, const struct gate_service *service, int fd, struct gate **out)
{
    struct gate *gate = calloc(1, sizeof(*gate));

    if (gate == NULL) {
        close(fd);
        return aw_fail_memory();
    }
    gate->core = core;
    gate->service = service;
    gate->listen_fd = fd;
    gate->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->emptied, NULL);
    int error = gate->stop_fd < 0 ? errno : pthread_create(&gate->acceptor, NULL, accept_all, gate);
    if (error != 0) {
        errno = error;
        aw_result r = aw_fail_errno(AW_CODE_IO, "can't start the gate for %s", service->name);
        aw_close(&gate->listen_fd);
        aw_close(&gate->stop_fd);
        free(gate);
        return r;
    }
    *out = gate;
    return AW_OK;
}

/* Peers get no more calls in; a call in progress still gets its reply out. */
static void
end_connections(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->stopping = true;
    for (size_t i = 0; i < GATE_CONNECTIONS_MAX; i++)
        if (gate->connections[i].gate != NULL)
            shutdown(gate->connections[i].fd, SHUT_RD);
    while (gate->open > 0)
        pthread_cond_wait(&gate->emptied, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

void
gate_stop(struct gate **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    struct gate *gate = *slot;
    uint64_t one = 1;

    if (write(gate->stop_fd, &one, sizeof(one)) != sizeof(one))
        aw_log(AW_LOG_ERROR, "can't wake the gate for %s", gate->service->name);
    pthread_join(gate->acceptor, NULL);
    end_connections(gate);
    aw_close(&gate->listen_fd);
    aw_close(&gate->stop_fd);
    pthread_cond_destroy(&gate->emptied);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
    *slot = NULL;
}
