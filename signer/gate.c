#include "signer/gate.h"

#include <errno.h>
#include <fcntl.h>
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
#include "signer/teller.h"

/* A connection in the gate's table. Its thread ends by itself and is joined by the next that needs
 * a slot, or by gate_stop: when that returns, no thread is left that could use the core. */
struct connection {
    struct gate *gate;
    enum { SLOT_FREE, SLOT_OPEN, SLOT_ENDED } state;
    uid_t uid;
    int fd; /* for shutdown by gate_stop; owned by the stream; -1: closed */
    pthread_t thread;
};

struct gate {
    struct core *core;
    const struct gate_service *service;
    int listen_fd;
    int stop_fd; /* an eventfd that wakes the acceptor */
    pthread_t acceptor;
    pthread_mutex_t lock; /* guards state and fd of the connections */
    struct connection *connections;
    struct teller closed; /* connections closed at accept */
    struct teller failed; /* connections and calls that failed */
};

static struct connection *
find_slot(struct gate *gate, uid_t uid)
{
    const struct gate_limits *limits = &gate->service->limits;
    struct connection *found = NULL;
    size_t of_uid = 0;

    for (size_t i = 0; i < limits->connections; i++) {
        struct connection *slot = &gate->connections[i];

        if (slot->state == SLOT_ENDED) {
            pthread_join(slot->thread, NULL); /* it has left the lock: it ends at once */
            slot->state = SLOT_FREE;
        }
        if (slot->state == SLOT_FREE)
            found = found == NULL ? slot : found;
        else if (slot->uid == uid)
            of_uid++;
    }
    return of_uid < limits->connections_per_uid ? found : NULL;
}

/* Finds a slot under the limits; NULL when one of them is reached. */
static struct connection *
enter(struct gate *gate, uid_t uid, int fd)
{
    pthread_mutex_lock(&gate->lock);
    struct connection *slot = find_slot(gate, uid);
    if (slot != NULL)
        *slot = (struct connection){.gate = gate, .state = SLOT_OPEN, .uid = uid, .fd = fd};
    pthread_mutex_unlock(&gate->lock);
    return slot;
}

static void
leave(struct connection *slot, int state)
{
    struct gate *gate = slot->gate;

    pthread_mutex_lock(&gate->lock);
    slot->state = state;
    pthread_mutex_unlock(&gate->lock);
}

/* The descriptor's number may be another file's from now on. */
static void
forget_fd(struct connection *slot)
{
    pthread_mutex_lock(&slot->gate->lock);
    slot->fd = -1;
    pthread_mutex_unlock(&slot->gate->lock);
}

static aw_result
answer_message(
    struct gate *gate, const struct peer *peer, const char *text, size_t length, char **reply)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    aw_result r = aw_varlink_call_parse(text, length, &call);

    if (aw_ok(r))
        r = gate->service->answer(gate->core, peer, &call, reply);
    else if (r.code != AW_CODE_MEMORY)
        return gate->service->answer_garbage(gate->core, peer, reply);
    if (aw_ok(r))
        return r;
    teller_failure(&gate->failed, AW_LOG_ERROR, peer->user);
    return gate->service->answer_failure(reply);
}

static aw_result
send_reply(struct gate *gate, aw_varlink_stream *stream, const char *reply)
{
    AW_CLEANUP(aw_free) char *shorter = NULL;
    aw_result r = aw_varlink_send(stream, reply, gate->service->limits.send_ms);

    if (r.code != AW_CODE_LIMIT)
        return r;
    AW_TRY(gate->service->answer_failure(&shorter));
    return aw_varlink_send(stream, shorter, gate->service->limits.send_ms);
}

static aw_result
serve_one(struct gate *gate, const struct peer *peer, aw_varlink_stream *stream)
{
    const struct gate_limits *limits = &gate->service->limits;
    AW_CLEANUP(aw_free) char *reply = NULL;
    const char *text = NULL;
    size_t length = 0;
    aw_result r = aw_varlink_receive(stream, limits->idle_ms, limits->message_ms, &text, &length);

    if (r.code == AW_CODE_LIMIT || r.code == AW_CODE_SYNTAX) {
        /* Too long, or cut off: say so if the peer still listens, then close. */
        AW_TRY(gate->service->answer_garbage(gate->core, peer, &reply));
        aw_ignore(aw_varlink_send(stream, reply, limits->send_ms), "the connection ends anyway");
        return (aw_result){AW_CODE_CLOSED};
    }
    AW_TRY(r);
    AW_TRY(answer_message(gate, peer, text, length, &reply));
    return send_reply(gate, stream, reply);
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
    struct connection *slot = arrival->connection;
    aw_result r = AW_OK;

    peer_look_up(&arrival->peer);
    while (aw_ok(r))
        r = serve_one(slot->gate, &arrival->peer, arrival->stream);
    if (r.code != AW_CODE_CLOSED && r.code != AW_CODE_TIMEOUT)
        teller_failure(&slot->gate->failed, AW_LOG_WARNING, arrival->peer.user);
    forget_fd(slot);
    aw_varlink_stream_free(&arrival->stream);
    free(arrival);
    leave(slot, SLOT_ENDED);
    return NULL;
}

static aw_result
start_thread(struct arrival *arrival)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, GATE_STACK);
    int error = pthread_create(&arrival->connection->thread, &attributes, serve, arrival);
    pthread_attr_destroy(&attributes);
    errno = error;
    return error == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}

/* The peer has business here, so it is told that this is no refusal. Its socket is new and takes
 * the answer at once, or never. */
static aw_result
turn_away(struct gate *gate, struct arrival *arrival)
{
    AW_CLEANUP(aw_free) char *reply = NULL;
    struct aw_error error;

    aw_ignore(aw_fail(AW_CODE_BUSY, "there are too many connections, in all or of uid %s",
                  arrival->peer.user),
        "it is the answer, and what is returned");
    aw_error_save(&error);
    if (aw_ok(gate->service->answer_failure(&reply)))
        aw_ignore(aw_varlink_send(arrival->stream, reply, 0), "the connection ends anyway");
    return aw_error_restore(&error);
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
        return aw_fail(AW_CODE_PERMISSION, "uid %u has no business with the socket for %s",
            (unsigned)arrival->peer.uid, gate->service->name);
    AW_TRY(aw_varlink_stream_new(*fd, &arrival->stream));
    arrival->connection = enter(gate, arrival->peer.uid, *fd);
    *fd = -1;
    aw_result r = arrival->connection == NULL ? turn_away(gate, arrival) : start_thread(arrival);
    if (!aw_ok(r)) {
        if (arrival->connection != NULL)
            leave(arrival->connection, SLOT_FREE);
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
        teller_failure(&gate->closed, AW_LOG_NOTICE, "connection closed at accept");
}

/* Who has connected before the end is still answered; bounded, for others may go on connecting. */
static void
accept_last(struct gate *gate)
{
    struct pollfd wait = {.fd = gate->listen_fd, .events = POLLIN};

    for (int i = 0; i < GATE_BACKLOG && poll(&wait, 1, 0) > 0; i++)
        accept_one(gate);
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
            break;
        if (waits[0].revents != 0)
            accept_one(gate);
    }
    accept_last(gate);
    return NULL;
}

/* A socket that nobody listens on refuses connections; anything else is somebody's. */
static aw_result
refuse_live_socket(const struct sockaddr_un *address)
{
    AW_CLEANUP(aw_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
        errno == ECONNREFUSED)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_EXISTS, "another process has the socket %s", address->sun_path),
        "is another signer running? Stop it, or name another path in paths");
}

static aw_result
remove_stale_socket(const struct sockaddr_un *address)
{
    const char *path = address->sun_path;
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "%s", path);
    if (!S_ISSOCK(status.st_mode))
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is there and is not a socket", path),
            "remove it, or name another path in paths");
    AW_TRY(refuse_live_socket(address));
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
    if (slash == NULL)
        return aw_fail(AW_CODE_CONFIG, "the socket's path %s is not absolute", path);
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
    AW_TRY(remove_stale_socket(&address));
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

static void
gate_free(struct gate *gate)
{
    aw_close(&gate->listen_fd);
    aw_close(&gate->stop_fd);
    pthread_mutex_destroy(&gate->lock);
    free(gate->connections);
    free(gate);
}

static aw_result
start_acceptor(struct gate *gate)
{
    int flags = fcntl(gate->listen_fd, F_GETFL);

    gate->stop_fd = eventfd(0, EFD_CLOEXEC);
    /* A peer that gives up between poll and accept must not hold the acceptor. */
    if (gate->stop_fd < 0 || flags < 0 || fcntl(gate->listen_fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't start the gate for %s", gate->service->name);
    errno = pthread_create(&gate->acceptor, NULL, accept_all, gate);
    if (errno != 0)
        return aw_fail_errno(AW_CODE_IO, "can't start the gate for %s", gate->service->name);
    return AW_OK;
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
    gate->closed = gate->failed = (struct teller)TELLER_INIT;
    gate->listen_fd = fd;
    gate->stop_fd = -1;
    pthread_mutex_init(&gate->lock, NULL);
    gate->connections = calloc(service->limits.connections, sizeof(*gate->connections));
    aw_result r = gate->connections == NULL ? aw_fail_memory() : start_acceptor(gate);
    if (!aw_ok(r)) {
        gate_free(gate);
        return r;
    }
    *out = gate;
    return AW_OK;
}

/* Peers get no more calls in; a call in progress still gets its reply out. */
static void
end_connections(struct gate *gate)
{
    size_t count = gate->service->limits.connections;

    pthread_mutex_lock(&gate->lock);
    for (size_t i = 0; i < count; i++)
        if (gate->connections[i].state == SLOT_OPEN && gate->connections[i].fd >= 0)
            shutdown(gate->connections[i].fd, SHUT_RD);
    pthread_mutex_unlock(&gate->lock);
    /* The acceptor is gone, so no slot is taken any more, and open ones end without our help. */
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&gate->lock);
        bool taken = gate->connections[i].state != SLOT_FREE;
        pthread_mutex_unlock(&gate->lock);
        if (taken)
            pthread_join(gate->connections[i].thread, NULL);
    }
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
    gate_free(gate);
    *slot = NULL;
}
