#include "relay/connections.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>

#include "common/io.h"
#include "common/log.h"
#include "relay/address.h"

enum { BUCKETS = 1024 };

struct relay_connection {
    TAILQ_ENTRY(relay_connection) all; /* the oldest first */
    LIST_ENTRY(relay_connection) near; /* in its bucket, once it was greeted */
    struct relay_connections *connections;
    SSL *ssl; /* which this goes with */
    enum relay_doing doing;
    int64_t since_ms;
    bool greeted;
    bool ended; /* its socket is shut down */
    struct relay_neighbourhood neighbourhood;
    char address[RELAY_ADDRESS_SIZE];
};

TAILQ_HEAD(connection_list, relay_connection);
LIST_HEAD(connection_bucket, relay_connection);

struct relay_connections {
    const struct relay_config *config;
    struct connection_list all;
    size_t count;    /* of `all` */
    size_t open;     /* of them, those that are not ended */
    size_t unmet;    /* of them, those that were not greeted */
    bool retiring;   /* no more requests */
    int64_t told_ms; /* when the log was told last that connections are turned away */
    struct connection_bucket buckets[BUCKETS];
};

/* Where a connection is found in its SSL; made once. */
static int ssl_index = -1;

static void
forget(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *context)
{
    struct relay_connection *connection = pointer;

    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)context;
    if (connection == NULL)
        return;
    struct relay_connections *connections = connection->connections;

    TAILQ_REMOVE(&connections->all, connection, all);
    connections->count--;
    if (!connection->ended)
        connections->open--;
    if (connection->greeted)
        LIST_REMOVE(connection, near);
    else
        connections->unmet--;
    free(connection);
}

static void
make_index(void)
{
    ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, forget);
}

aw_result
relay_connections_new(const struct relay_config *config, struct relay_connections **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_index);
    if (ssl_index < 0)
        return aw_fail_openssl("can't set up TLS");
    struct relay_connections *connections = calloc(1, sizeof(*connections));
    if (connections == NULL)
        return aw_fail_memory();
    connections->config = config;
    TAILQ_INIT(&connections->all);
    *out = connections;
    return AW_OK;
}

void
relay_connections_free(struct relay_connections **slot)
{
    if (slot == NULL)
        return;
    free(*slot);
    *slot = NULL;
}

size_t
relay_connections_count(const struct relay_connections *connections)
{
    return connections->count;
}

struct relay_connection *
relay_connection_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, ssl_index);
}

const char *
relay_connection_address(const struct relay_connection *connection)
{
    return connection->address;
}

/* What it is doing. */

static void
set_doing(struct relay_connection *connection, enum relay_doing doing)
{
    connection->doing = doing;
    connection->since_ms = aw_now_ms();
}

static void
end(struct relay_connection *connection)
{
    if (connection->ended)
        return;
    connection->ended = true;
    connection->connections->open--;
    shutdown(SSL_get_fd(connection->ssl), SHUT_RDWR);
}

/* TLS 1.3 has messages after the handshake, which are none of a request. */
static void
shaken(const SSL *ssl, int where, int value)
{
    struct relay_connection *connection = relay_connection_of(ssl);

    (void)value;
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0 || connection == NULL ||
        connection->doing != RELAY_SHAKING_HANDS)
        return;
    set_doing(connection, RELAY_IDLE);
    if (connection->connections->retiring)
        end(connection);
}

static void
came_in(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *context)
{
    struct relay_connection *connection = context;

    (void)buffer;
    if (info->n_added > 0 && connection->doing == RELAY_IDLE)
        set_doing(connection, RELAY_ASKING);
}

void
relay_connection_answering(struct relay_connection *connection)
{
    set_doing(connection, RELAY_ANSWERING);
}

void
relay_connection_sending(struct relay_connection *connection)
{
    set_doing(connection, RELAY_SENDING);
}

void
relay_connection_idle(struct relay_connection *connection)
{
    set_doing(connection, RELAY_IDLE);
    if (connection->connections->retiring)
        end(connection);
}

/* Coming and going. */

aw_result
relay_connections_add(
    struct relay_connections *connections, struct bufferevent *bufferevent, SSL *ssl)
{
    struct relay_connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        return aw_fail_memory();
    if (SSL_set_ex_data(ssl, ssl_index, connection) != 1) {
        free(connection);
        return aw_fail_openssl("can't set up a connection");
    }
    connection->connections = connections;
    connection->ssl = ssl;
    set_doing(connection, RELAY_SHAKING_HANDS);
    TAILQ_INSERT_TAIL(&connections->all, connection, all);
    connections->count++;
    connections->open++;
    connections->unmet++;
    SSL_set_info_callback(ssl, shaken);
    if (evbuffer_add_cb(bufferevent_get_input(bufferevent), came_in, connection) == NULL)
        return aw_fail_memory();
    return AW_OK;
}

static struct connection_bucket *
bucket_of(struct relay_connections *connections, const struct relay_neighbourhood *of)
{
    uint64_t mixed = (of->high ^ of->low) * UINT64_C(0x9e3779b97f4a7c15);

    return &connections->buckets[mixed >> 54];
}

_Static_assert(BUCKETS == 1 << (64 - 54), "all buckets are used, and no others");

static int64_t
count_near(const struct connection_bucket *bucket, const struct relay_neighbourhood *of)
{
    const struct relay_connection *connection;
    int64_t count = 0;

    LIST_FOREACH(connection, bucket, near)
    count += !connection->ended && connection->neighbourhood.high == of->high &&
             connection->neighbourhood.low == of->low;
    return count;
}

static void
know_address(struct relay_connection *connection)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int one = 1;
    int fd = SSL_get_fd(connection->ssl);

    if (fd < 0 || getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return; /* gone already */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    relay_address_text(&address, connection->address);
    connection->neighbourhood = relay_address_neighbourhood(&address);
}

/* A line a minute at most: a flood is not to fill the log. */
static void
tell_turned_away(struct relay_connections *connections, const char *why, const char *address)
{
    enum { PAUSE_MS = 60 * 1000 };
    int64_t now_ms = aw_now_ms();

    if (connections->told_ms != 0 && now_ms < connections->told_ms + PAUSE_MS)
        return;
    connections->told_ms = now_ms;
    aw_log(AW_LOG_WARNING, "connections are turned away: %s (now one of %s)", why, address);
}

/* Whoever waits for nothing of ours and has done so longest. */
static struct relay_connection *
longest_idle(struct relay_connections *connections)
{
    struct relay_connection *connection, *found = NULL;

    TAILQ_FOREACH(connection, &connections->all, all)
    if (!connection->ended && connection->greeted &&
        (connection->doing == RELAY_IDLE || connection->doing == RELAY_SHAKING_HANDS) &&
        (found == NULL || connection->since_ms < found->since_ms))
        found = connection;
    return found;
}

static void
make_room(struct relay_connections *connections, struct relay_connection *newcomer)
{
    struct relay_connection *victim = longest_idle(connections);

    tell_turned_away(
        connections, "there are as many as limits.connections allows", newcomer->address);
    end(victim != NULL ? victim : newcomer);
}

static void
greet(struct relay_connection *connection)
{
    struct relay_connections *connections = connection->connections;
    struct connection_bucket *bucket;

    know_address(connection);
    bucket = bucket_of(connections, &connection->neighbourhood);
    if (count_near(bucket, &connection->neighbourhood) >=
        connections->config->limits.connections_per_address) {
        tell_turned_away(connections,
            "one address has as many as limits.connections_per_address allows",
            connection->address);
        end(connection);
    } else if ((int64_t)connections->open > connections->config->limits.connections) {
        make_room(connections, connection);
    }
    connection->greeted = true;
    connections->unmet--;
    LIST_INSERT_HEAD(bucket, connection, near);
}

/* The new ones are the last; who came first is met first. */
void
relay_connections_greet(struct relay_connections *connections)
{
    struct relay_connection *connection = TAILQ_LAST(&connections->all, connection_list);
    size_t unmet = connections->unmet;

    for (size_t seen = 0; connection != NULL;
         connection = TAILQ_PREV(connection, connection_list, all))
        if (!connection->greeted && ++seen == unmet)
            break;
    for (; connection != NULL; connection = TAILQ_NEXT(connection, all))
        if (!connection->greeted)
            greet(connection);
}

static int64_t
limit_ms(const struct relay_connection *connection)
{
    const struct relay_config *config = connection->connections->config;

    switch (connection->doing) {
    case RELAY_SHAKING_HANDS:
        return config->limits.handshake_seconds * 1000;
    case RELAY_IDLE:
        return config->limits.idle_seconds * 1000;
    case RELAY_ASKING:
        return config->limits.request_seconds * 1000;
    case RELAY_SENDING:
        return config->limits.response_seconds * 1000;
    case RELAY_ANSWERING:
        break;
    }
    return INT64_MAX / 2;
}

void
relay_connections_sweep(struct relay_connections *connections)
{
    struct relay_connection *connection;
    int64_t now_ms = aw_now_ms();

    TAILQ_FOREACH(connection, &connections->all, all)
    if (now_ms - connection->since_ms > limit_ms(connection))
        end(connection);
}

void
relay_connections_retire(struct relay_connections *connections)
{
    struct relay_connection *connection;

    connections->retiring = true;
    TAILQ_FOREACH(connection, &connections->all, all)
    if (connection->doing == RELAY_IDLE || connection->doing == RELAY_SHAKING_HANDS)
        end(connection);
}
