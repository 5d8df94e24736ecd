/*
 * The server is libevent's evhttp: HTTP that strangers speak to is not parsed by hand. It lives in
 * one thread; the only things shared with it are the table of tokens, under a lock, and an eventfd
 * that ends its loop.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "client/challenge.h"
#include "common/io.h"

enum { LISTEN_QUEUE = 64 };

struct served {
    char token[CHALLENGE_TOKEN_MAX + 1]; /* empty: a free place */
    char text[CHALLENGE_TEXT_MAX + 1];
};

struct challenge_standalone {
    struct event_base *base;
    struct evhttp *server;
    struct event *stop;
    int stop_fd;
    unsigned port;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of the table */
    struct served served[CHALLENGE_DEPLOYED_MAX];
};

/* Under the lock. */
static struct served *
find(challenge_standalone *s, const char *token)
{
    for (size_t i = 0; i < CHALLENGE_DEPLOYED_MAX; i++)
        if (strcmp(s->served[i].token, token) == 0)
            return &s->served[i];
    return NULL;
}

/* Copies the text of the token that a request's path names; false when there is none. */
static bool
look_up(challenge_standalone *s, const char *uri, char text[CHALLENGE_TEXT_MAX + 1])
{
    static const char prefix[] = "/" CHALLENGE_PATH "/";

    if (uri == NULL || strncmp(uri, prefix, strlen(prefix)) != 0 || uri[strlen(prefix)] == '\0')
        return false;
    pthread_mutex_lock(&s->lock);
    const struct served *found = find(s, uri + strlen(prefix));
    if (found != NULL)
        memcpy(text, found->text, sizeof(found->text));
    pthread_mutex_unlock(&s->lock);
    return found != NULL;
}

static void
answer(struct evhttp_request *request, void *context)
{
    char text[CHALLENGE_TEXT_MAX + 1];
    struct evbuffer *body = evhttp_request_get_output_buffer(request);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Connection", "close");
    if (!look_up(context, evhttp_request_get_uri(request), text)) {
        evhttp_send_reply(request, HTTP_NOTFOUND, NULL, NULL);
        return;
    }
    evhttp_add_header(headers, "Content-Type", "application/octet-stream");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_GET)
        evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, HTTP_OK, NULL, NULL);
}

static void
end_loop(evutil_socket_t fd, short what, void *context)
{
    challenge_standalone *s = context;

    (void)fd;
    (void)what;
    event_base_loopbreak(s->base);
}

static void *
serve(void *context)
{
    challenge_standalone *s = context;

    event_base_dispatch(s->base);
    return NULL;
}

static aw_result
listen_failed(const char *address, unsigned port)
{
    int number = errno;
    aw_result r = aw_fail_errno(AW_CODE_IO, "can't listen at port %u of %s", port,
        address == NULL ? "any address" : address);

    if (number == EADDRINUSE)
        return aw_hint(r, "another server has the port: use --webroot with its folder, or stop it");
    if (number == EACCES || number == EPERM)
        return aw_hint(r, "ports below 1024 are for root or CAP_NET_BIND_SERVICE: use --webroot, "
                          "or --http-01-port behind a redirection of port 80");
    return aw_hint(r, "--http-01-address is a numeric address of this host");
}

static int
listen_at(const struct addrinfo *at)
{
    int one = 1, zero = 0;
    AW_CLEANUP(aw_close)
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0)
        return -1;
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0)
        return -1;
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, LISTEN_QUEUE) != 0)
        return -1;
    int taken = fd;
    fd = -1;
    return taken;
}

static void
free_addresses(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(*list);
}

/* Any address is one IPv6 socket that takes IPv4 too; where there is no IPv6, an IPv4 socket. */
static aw_result
open_port(const char *address, unsigned port, int *out)
{
    AW_CLEANUP(free_addresses) struct addrinfo *list = NULL;
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    char service[16];

    snprintf(service, sizeof(service), "%u", port);
    int error = getaddrinfo(address, service, &hints, &list);
    if (error != 0)
        return aw_fail(AW_CODE_USAGE, "\"%s\" is no numeric address: %s",
            address == NULL ? "" : address, gai_strerror(error));
    *out = -1;
    errno = 0;
    for (int v6 = 1; v6 >= 0 && *out < 0; v6--)
        for (const struct addrinfo *at = list; at != NULL && *out < 0; at = at->ai_next)
            if ((at->ai_family == AF_INET6) == (v6 == 1) && errno != EADDRINUSE && errno != EACCES)
                *out = listen_at(at);
    return *out < 0 ? listen_failed(address, port) : AW_OK;
}

static aw_result
read_port(int fd, unsigned *out)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    char service[16] = "";

    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0 ||
        getnameinfo((struct sockaddr *)&bound, size, NULL, 0, service, sizeof(service),
            NI_NUMERICSERV) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't tell the port that is listened at");
    *out = (unsigned)strtoul(service, NULL, 10);
    return AW_OK;
}

static aw_result
make_server(challenge_standalone *s, int *fd)
{
    s->base = event_base_new();
    s->server = s->base == NULL ? NULL : evhttp_new(s->base);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->server == NULL || s->stop_fd < 0)
        return aw_fail_memory();
    s->stop = event_new(s->base, s->stop_fd, EV_READ, end_loop, s);
    if (s->stop == NULL || event_add(s->stop, NULL) != 0)
        return aw_fail_memory();
    evhttp_set_allowed_methods(s->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(s->server, CHALLENGE_REQUEST_MAX);
    evhttp_set_max_body_size(s->server, 0);
    evhttp_set_timeout(s->server, CHALLENGE_REQUEST_SECONDS);
    evhttp_set_gencb(s->server, answer, s);
    if (evhttp_accept_socket(s->server, *fd) != 0)
        return aw_fail_memory();
    *fd = -1; /* evhttp's now */
    return AW_OK;
}

/* Signals are for the main thread. */
static aw_result
start_thread(challenge_standalone *s)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&s->thread, NULL, serve, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    s->running = error == 0;
    return s->running ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}

aw_result
challenge_standalone_start(const char *address, unsigned port, challenge_standalone **out)
{
    AW_CLEANUP(aw_close) int fd = -1;

    AW_TRY(open_port(address, port, &fd));
    AW_CLEANUP(challenge_standalone_stop) challenge_standalone *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return aw_fail_memory();
    s->stop_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    AW_TRY(read_port(fd, &s->port));
    AW_TRY(make_server(s, &fd));
    AW_TRY(start_thread(s));
    *out = AW_MOVE(s);
    return AW_OK;
}

void
challenge_standalone_stop(challenge_standalone **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    challenge_standalone *s = *slot;

    if (s->running) {
        eventfd_write(s->stop_fd, 1);
        pthread_join(s->thread, NULL);
    }
    if (s->server != NULL)
        evhttp_free(s->server);
    if (s->stop != NULL)
        event_free(s->stop);
    if (s->base != NULL)
        event_base_free(s->base);
    aw_close(&s->stop_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *slot = NULL;
}

unsigned
challenge_standalone_port(const challenge_standalone *s)
{
    return s->port;
}

aw_result
challenge_standalone_deploy(challenge_standalone *s, const char *token, const char *text)
{
    AW_TRY(challenge_token_check(token));
    if (strlen(text) > CHALLENGE_TEXT_MAX)
        return aw_fail(AW_CODE_LIMIT, "a key authorization of %zu octets", strlen(text));
    pthread_mutex_lock(&s->lock);
    struct served *place = find(s, token);
    if (place == NULL)
        place = find(s, "");
    if (place != NULL) {
        snprintf(place->text, sizeof(place->text), "%s", text);
        snprintf(place->token, sizeof(place->token), "%s", token);
    }
    pthread_mutex_unlock(&s->lock);
    if (place == NULL)
        return aw_fail(AW_CODE_LIMIT, "more than %d challenges at a time", CHALLENGE_DEPLOYED_MAX);
    return AW_OK;
}

void
challenge_standalone_remove(challenge_standalone *s, const char *token)
{
    pthread_mutex_lock(&s->lock);
    struct served *place = find(s, token);
    if (place != NULL)
        memset(place, 0, sizeof(*place));
    pthread_mutex_unlock(&s->lock);
}
