#include "signer/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "common/varlink.h"
#include "signer/arrivals.h"
#include "signer/channel.h"
#include "signer/slots.h"

/* A connection: what belongs to the slot of the same number. */
struct connection {
    struct gate *gate;
    size_t slot;
    int fd; /* for shutdown at the end; the stream's; -1: closed. Guarded by the slots' lock */
    int channel;
    aw_varlink_stream *stream;
};

struct gate {
    int listen_fd;
    int core_fd;
    const struct gate_limits *limits;
    struct arrivals arrivals;
    struct slots slots;
    struct connection *connections;
};

/* The number may be another file's from now on. */
static void
forget_fd(struct connection *connection)
{
    pthread_mutex_lock(&connection->gate->slots.lock);
    connection->fd = -1;
    pthread_mutex_unlock(&connection->gate->slots.lock);
}

/* What came, as a message for the core: a call, or why it is none. */
static aw_result
translate(const char *text, size_t length, struct channel_message *out)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    aw_result r = aw_varlink_call_parse(text, length, &call);

    if (aw_ok(r))
        r = channel_encode(&call, out);
    if (aw_ok(r) || r.code == AW_CODE_MEMORY)
        return r;
    channel_message_free(out);
    return channel_encode_garbage(aw_error_last()->message, out);
}

static aw_result
tell(struct connection *slot, const struct channel_message *message)
{
    return channel_send(slot->channel, message);
}

static aw_result
serve_one(struct connection *slot)
{
    const struct gate_limits *limits = slot->gate->limits;
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    const char *text = NULL;
    size_t length = 0;
    aw_result r =
        aw_varlink_receive(slot->stream, limits->idle_ms, limits->message_ms, &text, &length);

    if (r.code == AW_CODE_LIMIT || r.code == AW_CODE_SYNTAX) {
        /* Too long, or cut off: the core says so if the peer still listens. */
        AW_TRY(channel_encode_garbage(aw_error_last()->message, &message));
        AW_TRY(tell(slot, &message));
        return (aw_result){AW_CODE_CLOSED};
    }
    AW_TRY(r);
    AW_TRY(translate(text, length, &message));
    return tell(slot, &message);
}

static void *
serve(void *argument)
{
    struct connection *slot = argument;
    aw_result r = channel_await(slot->channel);

    while (aw_ok(r))
        r = serve_one(slot);
    forget_fd(slot);
    aw_varlink_stream_free(&slot->stream);
    aw_close(&slot->channel);
    slots_end(&slot->gate->slots, slot->slot);
    return NULL;
}

/* The core gets the connection and the far end of its channel; the slot the near end. */
static aw_result
introduce(struct connection *slot, int fd)
{
    AW_CLEANUP(aw_close) int far = -1;
    AW_CLEANUP(aw_close) int near = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a channel");
    near = ends[0];
    far = ends[1];
    AW_TRY(channel_pass(slot->gate->core_fd, fd, far));
    slot->channel = near;
    near = -1;
    return AW_OK;
}

static aw_result
fill_slot(struct connection *slot, int *fd)
{
    AW_TRY(introduce(slot, *fd));
    AW_TRY(aw_varlink_stream_new(*fd, &slot->stream));
    slot->fd = *fd;
    *fd = -1;
    return slots_start(&slot->gate->slots, slot->slot, serve, slot);
}

/* On any failure the descriptor is closed: the peer sees the end of the connection. */
static aw_result
admit(struct gate *gate, int *fd)
{
    size_t number = 0;

    AW_TRY(slots_take(&gate->slots, 0, NULL, NULL, &number));
    struct connection *slot = &gate->connections[number];
    *slot = (struct connection){.gate = gate, .slot = number, .fd = -1, .channel = -1};
    aw_result r = fill_slot(slot, fd);
    if (!aw_ok(r)) {
        forget_fd(slot);
        aw_varlink_stream_free(&slot->stream);
        aw_close(&slot->channel);
        slots_give_back(&gate->slots, number);
    }
    return r;
}

static void
admit_or_close(struct gate *gate, int arrived)
{
    AW_CLEANUP(aw_close) int fd = arrived;

    if (!aw_ok(admit(gate, &fd)))
        aw_log_failure(AW_LOG_DEBUG, "a connection was closed at once");
}

/* Those that came too fast, when it is their time. */
static void
admit_due(struct gate *gate, int64_t now)
{
    for (int fd; (fd = arrivals_next(&gate->arrivals, now)) >= 0;)
        admit_or_close(gate, fd);
}

static void
accept_one(struct gate *gate)
{
    int fd = accept4(gate->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0) {
        /* Out of descriptors: the pending connection stays readable, so do not spin on it. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            poll(NULL, 0, 100);
        return;
    }
    fd = arrivals_take(&gate->arrivals, fd, aw_now_ms());
    if (fd >= 0)
        admit_or_close(gate, fd);
}

/* Who has connected before the end is still answered; bounded, for others may go on connecting. */
static void
accept_last(struct gate *gate)
{
    struct pollfd wait = {.fd = gate->listen_fd, .events = POLLIN};

    for (int i = 0; i < GATE_BACKLOG && poll(&wait, 1, 0) > 0; i++)
        accept_one(gate);
    admit_due(gate, INT64_MAX);
}

static aw_result
accept_all(struct gate *gate)
{
    struct pollfd waits[] = {{.fd = gate->listen_fd, .events = POLLIN},
        {.fd = gate->core_fd, .events = POLLIN | POLLRDHUP}};

    for (;;) {
        int wait = arrivals_wait(&gate->arrivals, aw_now_ms());
        if (poll(waits, AW_COUNT(waits), wait) < 0 && errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't wait for connections");
        if (waits[1].revents != 0)
            break;
        if (waits[0].revents != 0)
            accept_one(gate);
        admit_due(gate, aw_now_ms());
    }
    accept_last(gate);
    return AW_OK;
}

/* Peers get no more calls in; what has come already is passed on. No slot is taken any more. */
static void
end_connections(struct gate *gate)
{
    pthread_mutex_lock(&gate->slots.lock);
    for (size_t i = 0; i < gate->slots.count; i++)
        if (gate->slots.items[i].state == SLOT_OPEN && gate->connections[i].fd >= 0)
            shutdown(gate->connections[i].fd, SHUT_RD);
    pthread_mutex_unlock(&gate->slots.lock);
    slots_join(&gate->slots);
}

static aw_result
serve_all(struct gate *gate)
{
    AW_TRY(slots_init(&gate->slots, gate->limits->connections + GATE_CONNECTIONS_SPARE));
    gate->connections = calloc(gate->slots.count, sizeof(*gate->connections));
    if (gate->connections == NULL)
        return aw_fail_memory();
    aw_result r = channel_open(gate->core_fd);
    if (aw_ok(r))
        r = accept_all(gate);
    end_connections(gate);
    return r;
}

aw_result
gate_run(int listen_fd, int core_fd, const struct gate_limits *limits)
{
    const int64_t interval_ms = limits->per_second == 0 ? 0 : 1000 / limits->per_second;
    struct gate gate = {.listen_fd = listen_fd,
        .core_fd = core_fd,
        .limits = limits,
        .arrivals = {.interval_ms = interval_ms, .burst_ms = (limits->burst - 1) * interval_ms}};
    int flags = fcntl(listen_fd, F_GETFL);

    /* A peer that gives up between poll and accept must not hold the acceptor. */
    if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't use the listening socket");
    aw_result r = serve_all(&gate);
    free(gate.connections);
    slots_release(&gate.slots);
    return r;
}
