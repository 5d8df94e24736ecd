#include "signer/connections.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/channel.h"
#include "signer/passing.h"
#include "signer/slots.h"
#include "signer/teller.h"
#include "signer/turned.h"
#include "signer/turns.h"
#include "signer/users.h"

/* A connection: what belongs to the slot of the same number. */
struct connection {
    connections *all;
    size_t slot;
    struct peer peer;
    char party[32];            /* the peer's uid as text, for its turns */
    struct grounds grounds;    /* as of when it was taken */
    int channel;               /* from the gate */
    aw_varlink_stream *stream; /* to the peer, which is written only */
};

struct connections {
    struct connections_of of;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
    int stop_fd, open_fd;       /* eventfds: it is the end; a gate has accepted */
    _Atomic int64_t away_since; /* that no gate accepts; 0: one does */
    _Atomic int64_t ends_at;    /* no call is begun from then on; 0: it is not the end */
    pthread_t taker;
    turns *turns;       /* of uids, at the core */
    struct slots slots; /* the taker takes them */
    struct connection *items;
    struct turned turned; /* the taker's */
    struct teller closed; /* connections closed at accept */
    struct teller failed; /* connections and calls that failed */
};

/* Shares. In the taker, with the slots locked. */

/* Who asks for a connection. */
struct arrival {
    connections *all;
    const struct peer *peer;
    const struct grounds *grounds;
};

typedef bool (*counts_to)(const struct connection *connection, const struct ground *ground);

static bool
of_group(const struct connection *connection, const struct ground *ground)
{
    return grounds_have_group(&connection->grounds, ground->group);
}

static bool
of_application(const struct connection *connection, const struct ground *ground)
{
    return grounds_have_application(&connection->grounds, ground->application);
}

static size_t
count_open(const connections *c, counts_to counts, const struct ground *ground)
{
    size_t count = 0;

    for (size_t i = 0; i < c->slots.count; i++)
        count += c->slots.items[i].state == SLOT_OPEN && counts(&c->items[i], ground);
    return count;
}

static bool
has_room(const connections *c, const struct ground *ground)
{
    const struct gate_limits *limits = &c->of.service->limits;

    if (ground->by_group && count_open(c, of_group, ground) >= limits->connections_per_group)
        return false;
    return ground->application == 0 ||
           count_open(c, of_application, ground) < limits->connections_per_application;
}

static aw_result
check_uid(const connections *c, const struct peer *peer)
{
    size_t count = 0;

    for (size_t i = 0; i < c->slots.count; i++)
        count += c->slots.items[i].state == SLOT_OPEN && c->slots.items[i].owner == peer->uid;
    if (count < c->of.service->limits.connections_per_uid)
        return AW_OK;
    return aw_fail(
        AW_CODE_BUSY, "there are too many connections of uid %s (%zu)", peer->user, count);
}

/* A connection counts to all of its peer's groups and applications, and any of them that has room
 * lets it in: so who is in several has no more than one share, and one group that is full shuts
 * nobody out who has business by another. */
static aw_result
check_shares(void *context)
{
    const struct arrival *arrival = context;

    AW_TRY(check_uid(arrival->all, arrival->peer));
    for (size_t i = 0; i < arrival->grounds->count; i++)
        if (has_room(arrival->all, &arrival->grounds->items[i]))
            return AW_OK;
    return aw_fail(AW_CODE_BUSY,
        "there are too many connections of others with the groups or applications of uid %s",
        arrival->peer->user);
}

/* Finds a slot under the limits. */
static aw_result
enter(
    connections *c, const struct peer *peer, const struct grounds *grounds, struct connection **out)
{
    struct arrival arrival = {c, peer, grounds};
    size_t slot = 0;

    AW_TRY(slots_take(&c->slots, peer->uid, check_shares, &arrival, &slot));
    *out = &c->items[slot];
    **out = (struct connection){
        .all = c, .slot = slot, .peer = *peer, .grounds = *grounds, .channel = -1};
    snprintf((*out)->party, sizeof((*out)->party), "uid %u", (unsigned)peer->uid);
    if (c->of.core != NULL)
        atomic_fetch_add(&c->of.core->connections, 1);
    return AW_OK;
}

static void
count_leaver(const struct connection *connection)
{
    if (connection->all->of.core != NULL)
        atomic_fetch_sub(&connection->all->of.core->connections, 1);
}

/* Calls. */

/* One, and what becomes of it. */
struct exchange {
    struct channel_message message;
    struct gate_answer answer; /* it may hold an app-eab's key */
};

static void
exchange_free(struct exchange *exchange)
{
    channel_message_free(&exchange->message);
    aw_secret_text_free(&exchange->answer.reply);
    leaving_end(&exchange->answer.leave);
}

static aw_result
send_reply(struct connection *slot, const char *reply)
{
    const struct gate_service *service = slot->all->of.service;
    AW_CLEANUP(aw_free) char *shorter = NULL;
    aw_result r = aw_varlink_send(slot->stream, reply, service->limits.send_ms);

    if (r.code != AW_CODE_LIMIT)
        return r;
    AW_TRY(service->answer_failure(&shorter));
    return aw_varlink_send(slot->stream, shorter, service->limits.send_ms);
}

static aw_result
answer_failed(const struct connection *slot, char **reply)
{
    teller_failure(&slot->all->failed, AW_LOG_ERROR, slot->peer.user);
    return slot->all->of.service->answer_failure(reply);
}

static aw_result
answer_garbage(struct connection *slot, struct exchange *x)
{
    const struct connections_of *of = &slot->all->of;
    const char *text = NULL;

    AW_TRY(channel_decode_garbage(&x->message, &text));
    aw_ignore(aw_fail(AW_CODE_SYNTAX, "%s", text), "it is what is answered");
    x->answer.light = true;
    return of->service->answer_garbage(of->core, &slot->peer, &x->answer.reply);
}

static aw_result
answer_call(struct connection *slot, struct exchange *x)
{
    const struct connections_of *of = &slot->all->of;
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    aw_result r = channel_decode(&x->message, &call);

    if (r.code == AW_CODE_MISMATCH)
        return r;
    if (aw_ok(r))
        r = of->service->answer(of->core, &slot->peer, &call, &x->answer);
    return aw_ok(r) ? r : answer_failed(slot, &x->answer.reply);
}

/* Whoever has hung up asks nothing any more: what comes in his name is the gate's own. One who has
 * only said all he has to say still listens. */
static aw_result
check_presence(const struct connection *slot)
{
    struct pollfd look = {.fd = aw_varlink_stream_fd(slot->stream), .events = 0};

    if (poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0)
        return aw_fail(AW_CODE_CLOSED, "the peer has gone");
    return AW_OK;
}

static int64_t
ms_left(connections *c)
{
    return atomic_load(&c->ends_at) - aw_now_ms();
}

/* What has come before the end is answered, but one who has sent calls by the thousand must not
 * keep everybody waiting for the next start. */
static aw_result
check_end(connections *c)
{
    if (atomic_load(&c->ends_at) != 0 && ms_left(c) <= 0)
        return aw_fail(AW_CODE_CLOSED, "the signer ends");
    return AW_OK;
}

/* Processors, locks and disk are everybody's: while others have business too, most of the calls of
 * one who has many at once wait here. */
static aw_result
answer_in_turn(struct connection *slot, struct exchange *x)
{
    turns *turns_of_uids = slot->all->turns;
    struct turn turn;

    if (!aw_ok(turns_take(turns_of_uids, slot->party, &turn)))
        return answer_failed(slot, &x->answer.reply);
    aw_result r = check_presence(slot);
    if (aw_ok(r))
        r = check_end(slot->all);
    if (aw_ok(r))
        r = x->message.kind == CHANNEL_CALL ? answer_call(slot, x) : answer_garbage(slot, x);
    turns_give(turns_of_uids, &turn);
    return r;
}

static bool
is_paced(const struct connection *slot, const struct gate_answer *answer)
{
    const struct connections_of *of = &slot->all->of;

    return of->service->is_paced != NULL &&
           (of->service->is_paced(of->core, &slot->peer) ||
               (answer->light && slots_count(&slot->all->slots, slot->peer.uid) >
                                     of->service->limits.calls_per_uid));
}

/* What costs neither the disk nor a turn at the token would keep the processors busy for one who
 * asks for it without end, so each answer waits. Who is alone takes them from nobody. */
static void
pace(const struct connection *slot)
{
    const struct gate_limits *limits = &slot->all->of.service->limits;
    const struct timespec pause = {
        .tv_sec = limits->pace_ms / 1000,
        .tv_nsec = (long)(limits->pace_ms % 1000) * 1000000,
    };

    if (slots_have_others(&slot->all->slots, slot->peer.uid))
        nanosleep(&pause, NULL);
}

static aw_result
serve_one(struct connection *slot)
{
    AW_CLEANUP(exchange_free) struct exchange x = {.message = {.data = NULL}};

    AW_TRY(channel_receive(slot->channel, GATE_MESSAGE_MS, &x.message));
    AW_TRY(answer_in_turn(slot, &x));
    if (is_paced(slot, &x.answer))
        pace(slot);
    return send_reply(slot, x.answer.reply);
}

/* On record too: it is an attack, or a fault of ours. */
static void
end_gate(connections *c)
{
    AW_CLEANUP(aw_free) char *message = NULL;

    aw_log_failure(AW_LOG_ERROR, "a gate sent what no gate sends, and is killed");
    c->of.source.kill(c->of.source.context);
    if (c->of.core == NULL || !aw_ok(aw_format(&message, "the gate for %s was killed: %s",
                                  c->of.service->name, aw_error_last()->message)))
        return;
    struct audit_entry entry = {.kind = AUDIT_ALARM, .rule = "gate.hostile", .message = message};
    if (!aw_ok(core_record(c->of.core, &entry)))
        aw_log_failure(AW_LOG_ERROR, "the alarm could not be recorded");
}

static void *
serve(void *argument)
{
    struct connection *slot = argument;
    connections *c = slot->all;
    aw_result r = AW_OK;

    users_name_of(c->of.core == NULL ? NULL : c->of.core->users, slot->peer.uid, slot->peer.user,
        sizeof(slot->peer.user));
    while (aw_ok(r))
        r = serve_one(slot);
    if (r.code == AW_CODE_MISMATCH)
        end_gate(c);
    else if (r.code != AW_CODE_CLOSED && r.code != AW_CODE_TIMEOUT)
        teller_failure(&c->failed, AW_LOG_WARNING, slot->peer.user);
    /* The gate holds the connection too: this is what ends it there. What was sent still arrives.
     */
    shutdown(aw_varlink_stream_fd(slot->stream), SHUT_RDWR);
    aw_varlink_stream_free(&slot->stream);
    aw_close(&slot->channel);
    count_leaver(slot);
    slots_end(&c->slots, slot->slot);
    return NULL;
}

/* Arrivals. */

/* The peer has business here, so it is told that this is no refusal; not at once while others are
 * connected (see pace). */
static aw_result
turn_away(connections *c, const struct peer *peer, aw_varlink_stream **stream)
{
    AW_CLEANUP(aw_free) char *reply = NULL;
    struct aw_error error;

    aw_error_save(&error);
    if (aw_ok(c->of.service->answer_failure(&reply)))
        turned_add(&c->turned, stream, &reply,
            slots_have_others(&c->slots, peer->uid) ? c->of.service->limits.pace_ms : 0);
    return aw_error_restore(&error);
}

/* The connection owns stream and channel from here on, if it is taken. */
static aw_result
settle(struct connection *connection, aw_varlink_stream **stream, int *channel)
{
    struct slots *slots = &connection->all->slots;

    connection->stream = *stream;
    connection->channel = *channel;
    aw_result r = channel_admit(*channel);
    if (aw_ok(r))
        r = slots_start(slots, connection->slot, serve, connection);
    if (!aw_ok(r)) {
        count_leaver(connection);
        slots_give_back(slots, connection->slot);
        return r;
    }
    *stream = NULL;
    *channel = -1;
    return AW_OK;
}

/* Ends the gate's copy of a connection that is not taken, too. */
static void
dismiss(aw_varlink_stream **stream)
{
    if (*stream != NULL)
        shutdown(aw_varlink_stream_fd(*stream), SHUT_RDWR);
    aw_varlink_stream_free(stream);
}

static aw_result
admit(connections *c, int *fd, int *channel)
{
    AW_CLEANUP(dismiss) aw_varlink_stream *stream = NULL;
    struct grounds grounds = {.count = 0};
    struct connection *connection = NULL;
    struct peer peer;

    AW_TRY(passing_check(*fd, *channel, c->path, c->of.service->name));
    AW_TRY(aw_varlink_stream_new(*fd, &stream));
    *fd = -1;
    AW_TRY(peer_from_fd(aw_varlink_stream_fd(stream), &peer));
    c->of.service->grounds(c->of.core, &peer, &grounds);
    if (grounds.count == 0)
        return aw_fail(AW_CODE_PERMISSION, "uid %u has no business with the socket for %s",
            (unsigned)peer.uid, c->of.service->name);
    aw_result r = enter(c, &peer, &grounds, &connection);
    return aw_ok(r) ? settle(connection, &stream, channel) : turn_away(c, &peer, &stream);
}

/* The gate's first word. */
static aw_result
take_open(connections *c, int gate)
{
    AW_TRY(channel_take_open(gate));
    atomic_store(&c->away_since, 0);
    eventfd_write(c->open_fd, 1);
    return AW_OK;
}

/* AW_CODE_CLOSED: the gate is gone. AW_CODE_MISMATCH: it is none. */
static aw_result
take_one(connections *c, int gate)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_close) int channel = -1;

    if (atomic_load(&c->away_since) != 0)
        return take_open(c, gate);
    aw_result r = channel_take(gate, &fd, &channel);

    if (r.code == AW_CODE_CLOSED || r.code == AW_CODE_MISMATCH)
        return r;
    if (aw_ok(r))
        r = admit(c, &fd, &channel);
    if (aw_ok(r) || r.code == AW_CODE_MISMATCH)
        return r;
    teller_failure(&c->closed, AW_LOG_NOTICE, "connection closed at accept");
    return AW_OK;
}

/* What is on its way when the signer ends. */
static void
take_last(connections *c, int gate)
{
    struct pollfd wait = {.fd = gate, .events = POLLIN};

    shutdown(gate, SHUT_WR);
    for (int64_t left = ms_left(c); left > 0; left = ms_left(c))
        if (poll(&wait, 1, (int)left) > 0 && !aw_ok(take_one(c, gate)))
            break;
    c->of.source.kill(c->of.source.context); /* one that does not end by itself */
}

/* Until the gate or the signer ends: true for the latter. */
static bool
take_from(connections *c, int gate)
{
    struct pollfd waits[] = {{.fd = gate, .events = POLLIN}, {.fd = c->stop_fd, .events = POLLIN}};
    aw_result r = AW_OK;

    while (aw_ok(r)) {
        int ready = poll(waits, AW_COUNT(waits), turned_tell(&c->turned));
        if (ready < 0 && errno != EINTR)
            return true;
        if (ready <= 0)
            continue;
        if (waits[1].revents != 0) {
            take_last(c, gate);
            return true;
        }
        if (waits[0].revents != 0)
            r = take_one(c, gate);
    }
    if (r.code == AW_CODE_MISMATCH)
        end_gate(c);
    return false;
}

static void *
take_all(void *argument)
{
    connections *c = argument;
    bool ending = false;

    while (!ending) {
        AW_CLEANUP(aw_close) int gate = -1;

        if (!aw_ok(c->of.source.next(c->of.source.context, c->stop_fd, &gate)))
            break;
        ending = take_from(c, gate);
        turned_end(&c->turned);
        atomic_store(&c->away_since, aw_now_ms());
    }
    return NULL;
}

static void
free_all(connections *c)
{
    aw_close(&c->stop_fd);
    aw_close(&c->open_fd);
    slots_release(&c->slots);
    turns_free(&c->turns);
    free(c->items);
    free(c);
}

static aw_result
open_turns(connections *c)
{
    const struct gate_limits *limits = &c->of.service->limits;

    return turns_new(&(struct turns_rule){.count = (unsigned)limits->connections,
                         .share = limits->calls_per_uid,
                         .timeout_ms = limits->turn_ms,
                         .what = "the signer",
                         .hint = "try again later, with fewer requests at once"},
        &c->turns);
}

static aw_result
start_taker(connections *c)
{
    AW_TRY(slots_init(&c->slots, c->of.service->limits.connections));
    AW_TRY(open_turns(c));
    c->items = calloc(c->slots.count, sizeof(*c->items));
    if (c->items == NULL)
        return aw_fail_memory();
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    c->open_fd = eventfd(0, EFD_CLOEXEC);
    errno = c->stop_fd < 0 || c->open_fd < 0 ? errno : pthread_create(&c->taker, NULL, take_all, c);
    if (errno != 0)
        return aw_fail_errno(AW_CODE_IO, "can't serve %s", c->of.service->name);
    return AW_OK;
}

aw_result
connections_start(const struct connections_of *of, connections **out)
{
    connections *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return aw_fail_memory();
    c->of = *of;
    c->of.path = NULL; /* a reload frees the configuration that it was in */
    snprintf(c->path, sizeof(c->path), "%s", of->path);
    c->stop_fd = c->open_fd = -1;
    c->away_since = aw_now_ms();
    c->closed = c->failed = (struct teller)TELLER_INIT;
    aw_result r = start_taker(c);
    if (!aw_ok(r)) {
        free_all(c);
        return r;
    }
    *out = c;
    return AW_OK;
}

void
connections_stop(connections **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    connections *c = *slot;

    atomic_store(&c->ends_at, aw_now_ms() + c->of.service->limits.last_ms);
    eventfd_write(c->stop_fd, 1);
    pthread_join(c->taker, NULL);
    slots_join(&c->slots); /* the gate is gone, so open ones end without our help */
    free_all(c);
    *slot = NULL;
}

int
connections_open_fd(const connections *c)
{
    return c->open_fd;
}

int64_t
connections_away_ms(connections *c)
{
    int64_t since = atomic_load(&c->away_since);

    return since == 0 ? 0 : aw_now_ms() - since;
}
