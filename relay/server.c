#include "relay/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "common/io.h"
#include "common/log.h"
#include "common/notify.h"
#include "relay/connections.h"
#include "relay/exchange.h"
#include "relay/workers.h"

enum { LISTENERS_MAX = 32, LIBEVENT_SECONDS = 24 * 3600 };

struct relay_server {
    struct relay_server_of of;
    struct event_base *base;
    struct evhttp *http;
    struct relay_connections *connections;
    struct relay_workers *workers;
    struct event *signals, *worked, *sweep, *greet;
    struct evhttp_bound_socket *listeners[LISTENERS_MAX];
    size_t listener_count;
    bool pausing; /* no descriptor was left for a connection */
    struct relay_job refill;
    bool refilling;
    bool signer_away; /* so that it is told once; the refill's */
    size_t exchanges; /* requests that are being answered */
    bool ending;
    bool failed;     /* the key's token */
    int64_t end_ms;  /* when requests in progress are no longer waited for */
    int64_t look_ms; /* when the certificate's files are looked at next */
};

/* Nonces are fetched ahead. */

static void
fetch_nonces(struct relay_job *job)
{
    struct relay_server *server =
        (struct relay_server *)((char *)job - offsetof(struct relay_server, refill));
    struct relay *relay = server->of.relay;

    bool away = !aw_ok(relay_nonces_fetch(relay->nonces, relay->signer));
    if (away && !server->signer_away)
        aw_log_failure(AW_LOG_WARNING, "no nonces from the signer");
    if (!away && server->signer_away)
        aw_log(AW_LOG_NOTICE, "nonces come from the signer again");
    server->signer_away = away;
}

static void
nonces_fetched(struct relay_job *job)
{
    struct relay_server *server =
        (struct relay_server *)((char *)job - offsetof(struct relay_server, refill));

    server->refilling = false;
}

static void
keep_nonces(struct relay_server *server)
{
    if (server->refilling || server->ending || !relay_nonces_low(server->of.relay->nonces))
        return;
    server->refilling = true;
    server->refill = (struct relay_job){.work = fetch_nonces, .done = nonces_fetched};
    relay_workers_put(server->workers, &server->refill, true);
}

/* Requests. */

static void
finish(struct exchange *exchange)
{
    struct relay_server *server = exchange->context;

    server->exchanges--;
    exchange_respond(exchange, server->of.relay->config, server->ending);
    exchange_free(&exchange);
    keep_nonces(server);
}

static void
work_exchange(struct relay_job *job)
{
    struct exchange *exchange = exchange_of(job);
    struct relay_server *server = exchange->context;

    relay_handle(server->of.relay, &exchange->request, &exchange->response);
}

static void
exchange_worked(struct relay_job *job)
{
    finish(exchange_of(job));
}

static void
too_many(struct exchange *exchange)
{
    AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};

    relay_problem_map(
        &(struct aw_error){.code = AW_CODE_BUSY}, &(struct signer_refusal){0}, &problem);
    if (!aw_ok(relay_problem_respond(&problem, &exchange->response)))
        relay_response_empty(&exchange->response, problem.status);
}

static void
take_request(struct evhttp_request *asked, void *context)
{
    struct relay_server *server = context;
    struct exchange *exchange = NULL;

    if (!aw_ok(exchange_new(asked, server, &exchange))) {
        evhttp_send_error(asked, HTTP_INTERNAL, NULL);
        return;
    }
    server->exchanges++;
    if (relay_place_of(server->of.relay, &exchange->request) == RELAY_ON_WORKER) {
        exchange->job = (struct relay_job){.work = work_exchange, .done = exchange_worked};
        if (relay_workers_put(server->workers, &exchange->job, false))
            return;
        too_many(exchange);
    } else {
        exchange->request.on_loop = true;
        relay_handle(server->of.relay, &exchange->request, &exchange->response);
    }
    finish(exchange);
}

/* Connections. */

static struct bufferevent *
make_connection(struct event_base *base, void *context)
{
    struct relay_server *server = context;
    SSL *ssl = relay_tls_accept(server->of.tls);
    struct bufferevent *made = ssl == NULL ? NULL
                                           : bufferevent_openssl_socket_new(base, -1, ssl,
                                                 BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

    if (made == NULL) {
        SSL_free(ssl);
        return NULL; /* libevent then takes it for plain HTTP: exchange_new() does not */
    }
    if (!aw_ok(relay_connections_add(server->connections, made, ssl))) {
        bufferevent_free(made);
        return NULL;
    }
    /* As soon as libevent has told the socket to OpenSSL. */
    event_active(server->greet, EV_TIMEOUT, 0);
    return made;
}

static void
greet(evutil_socket_t fd, short what, void *context)
{
    struct relay_server *server = context;

    (void)fd;
    (void)what;
    relay_connections_greet(server->connections);
}

static void
set_listening(struct relay_server *server, bool on)
{
    server->pausing = !on;
    for (size_t i = 0; i < server->listener_count; i++) {
        struct evconnlistener *listener = evhttp_bound_socket_get_listener(server->listeners[i]);

        if (on)
            evconnlistener_enable(listener);
        else
            evconnlistener_disable(listener);
    }
}

/* Without a descriptor accept(2) would fail again at once, for ever. */
static void
accept_failed(struct evconnlistener *listener, void *context)
{
    struct relay_server *server = context;

    (void)listener;
    if (!server->pausing)
        aw_log(AW_LOG_WARNING, "a connection can't be taken: %s", strerror(EVUTIL_SOCKET_ERROR()));
    set_listening(server, false);
}

aw_result
relay_server_listen(struct relay_server *server, int fd)
{
    struct evconnlistener *listener = NULL;

    /* A service manager's sockets block, and accept(2) would. */
    if (server->listener_count < LISTENERS_MAX && evutil_make_socket_nonblocking(fd) == 0)
        listener = evconnlistener_new(server->base, NULL, NULL,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd); /* it listens */
    if (listener == NULL) {
        aw_close(&fd);
        return aw_fail(AW_CODE_LIMIT, "can't listen at one more socket");
    }
    evconnlistener_set_error_cb(listener, accept_failed);
    struct evhttp_bound_socket *bound = evhttp_bind_listener(server->http, listener);
    if (bound == NULL) {
        evconnlistener_free(listener);
        return aw_fail_memory();
    }
    server->listeners[server->listener_count++] = bound;
    return AW_OK;
}

/* Housekeeping. */

static void
begin_end(struct relay_server *server)
{
    if (server->ending)
        return;
    server->ending = true;
    server->end_ms = aw_now_ms() + RELAY_ENDING_SECONDS * INT64_C(1000);
    notify_send("STOPPING=1");
    while (server->listener_count > 0)
        evhttp_del_accept_socket(server->http, server->listeners[--server->listener_count]);
    relay_connections_retire(server->connections);
}

static void
reload(struct relay_server *server)
{
    struct timespec now;
    char state[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
        (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    notify_send(state);
    if (aw_ok(relay_tls_reload(server->of.tls)))
        aw_log(AW_LOG_NOTICE, "the certificate was loaded anew");
    else
        aw_log_failure(AW_LOG_ERROR, "the certificate in force stays");
    notify_send("READY=1");
}

static void
take_signal(evutil_socket_t fd, short what, void *context)
{
    struct relay_server *server = context;
    struct signalfd_siginfo info;

    (void)what;
    if (read(fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(server);
        return;
    }
    aw_log(AW_LOG_NOTICE, "ending on signal %u", info.ssi_signo);
    begin_end(server);
}

static void
collect(evutil_socket_t fd, short what, void *context)
{
    struct relay_server *server = context;

    (void)fd;
    (void)what;
    relay_workers_collect(server->workers);
}

/* At the end: when all that was asked is answered and sent, or after long enough. */
static void
look_at_end(struct relay_server *server)
{
    bool idle = server->exchanges == 0 && relay_connections_count(server->connections) == 0;

    if (server->ending && (idle || aw_now_ms() > server->end_ms))
        event_base_loopbreak(server->base);
}

static void
keep_house(evutil_socket_t fd, short what, void *context)
{
    struct relay_server *server = context;
    int64_t now_ms = aw_now_ms();

    (void)fd;
    (void)what;
    relay_connections_sweep(server->connections);
    if (server->pausing && !server->ending)
        set_listening(server, true);
    keep_nonces(server);
    look_at_end(server);
    if (now_ms < server->look_ms)
        return;
    server->look_ms = now_ms + RELAY_TLS_LOOK_MS;
    relay_tls_look(server->of.tls);
    if (!server->ending && !aw_ok(relay_tls_try(server->of.tls))) {
        server->failed = true;
        aw_log_failure(AW_LOG_ERROR, "ending, so that a new start opens the token");
        begin_end(server);
    }
}

/* Making it. */

static aw_result
add_event(struct relay_server *server, int fd, event_callback_fn call, struct event **out)
{
    *out = event_new(server->base, fd, EV_READ | EV_PERSIST, call, server);
    return *out != NULL && event_add(*out, NULL) == 0 ? AW_OK : aw_fail_memory();
}

static aw_result
add_timers(struct relay_server *server)
{
    static const struct timeval pause = {.tv_usec = RELAY_SWEEP_MS * 1000};

    server->sweep = event_new(server->base, -1, EV_PERSIST, keep_house, server);
    server->greet = event_new(server->base, -1, 0, greet, server);
    if (server->sweep == NULL || server->greet == NULL || event_add(server->sweep, &pause) != 0)
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
make_http(struct relay_server *server)
{
    enum { ALL_METHODS = 0xffff };

    server->http = evhttp_new(server->base);
    if (server->http == NULL)
        return aw_fail_memory();
    evhttp_set_bevcb(server->http, make_connection, server);
    evhttp_set_gencb(server->http, take_request, server);
    evhttp_set_allowed_methods(server->http, ALL_METHODS); /* we answer 405 ourselves */
    evhttp_set_max_headers_size(server->http, RELAY_HEADERS_MAX);
    /* Somewhat longer ones get a problem document, from relay_verify(). */
    evhttp_set_max_body_size(server->http, 2 * RELAY_BODY_MAX);
    evhttp_set_default_content_type(server->http, NULL);
    evhttp_set_timeout(server->http, LIBEVENT_SECONDS); /* deadlines are our own */
    return AW_OK;
}

static aw_result
make_parts(struct relay_server *server)
{
    const struct relay_config *config = server->of.relay->config;

    server->base = event_base_new();
    if (server->base == NULL)
        return aw_fail_memory();
    AW_TRY(make_http(server));
    AW_TRY(relay_connections_new(config, &server->connections));
    AW_TRY(relay_workers_start(
        (size_t)config->limits.workers, (size_t)config->limits.queue, &server->workers));
    AW_TRY(add_timers(server));
    AW_TRY(add_event(server, server->of.signals, take_signal, &server->signals));
    return add_event(server, relay_workers_fd(server->workers), collect, &server->worked);
}

aw_result
relay_server_new(const struct relay_server_of *of, struct relay_server **out)
{
    AW_CLEANUP(relay_server_free) struct relay_server *server = calloc(1, sizeof(*server));

    if (server == NULL)
        return aw_fail_memory();
    server->of = *of;
    AW_TRY(make_parts(server));
    *out = AW_MOVE(server);
    return AW_OK;
}

aw_result
relay_server_run(struct relay_server *server)
{
    keep_nonces(server);
    if (event_base_dispatch(server->base) < 0)
        return aw_fail(AW_CODE_INTERNAL, "the event loop failed");
    if (server->exchanges > 0)
        aw_log(AW_LOG_WARNING, "%zu requests were given up", server->exchanges);
    return server->failed ? aw_fail(AW_CODE_TOKEN, "the token does not sign with the relay's key")
                          : AW_OK;
}

static void
free_event(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

/* Workers first: what they answer goes to libevent, whatever has become of the connection. */
void
relay_server_free(struct relay_server **slot)
{
    struct relay_server *server = *slot;

    if (server == NULL)
        return;
    server->ending = true;
    relay_workers_stop(&server->workers);
    free_event(server->signals);
    free_event(server->worked);
    free_event(server->sweep);
    free_event(server->greet);
    if (server->http != NULL)
        evhttp_free(server->http);
    if (server->base != NULL) {
        event_base_loop(server->base, EVLOOP_NONBLOCK); /* connections go with the next turn */
        event_base_free(server->base);
    }
    relay_connections_free(&server->connections);
    free(server);
    *slot = NULL;
}
