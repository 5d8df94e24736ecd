/*
 * The server is libevent's evhttp: HTTP that strangers speak to is not parsed by hand. It lives in
 * one thread; the only things shared with it are the table of tokens, under a lock, and an eventfd
 * that ends its loop.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "client/challenge.h"
#include "client/challenge_loop.h"
#include "common/io.h"

struct served {
    char token[CHALLENGE_TOKEN_MAX + 1]; /* empty: a free place */
    char text[CHALLENGE_TEXT_MAX + 1];
};

struct challenge_standalone {
    struct challenge_loop loop;
    struct evhttp *server;
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

static aw_result
make_server(challenge_standalone *s, int *fd)
{
    s->server = evhttp_new(s->loop.base);
    if (s->server == NULL)
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

aw_result
challenge_standalone_start(const char *address, unsigned port, challenge_standalone **out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(challenge_standalone_stop) challenge_standalone *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return aw_fail_memory();
    s->loop = CHALLENGE_LOOP_CLOSED;
    pthread_mutex_init(&s->lock, NULL);
    AW_TRY(challenge_loop_listen(&s->loop, address, port, "http-01", &fd));
    AW_TRY(make_server(s, &fd));
    AW_TRY(challenge_loop_start(&s->loop));
    *out = AW_MOVE(s);
    return AW_OK;
}

void
challenge_standalone_stop(challenge_standalone **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    challenge_standalone *s = *slot;

    challenge_loop_stop(&s->loop);
    if (s->server != NULL)
        evhttp_free(s->server);
    challenge_loop_close(&s->loop);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *slot = NULL;
}

unsigned
challenge_standalone_port(const challenge_standalone *s)
{
    return s->loop.port;
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
