#include "relay/exchange.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/ssl.h>

#include "common/io.h"
#include "common/log.h"
#include "relay/connections.h"
#include "relay/tls.h"

struct exchange *
exchange_of(struct relay_job *job)
{
    return (struct exchange *)((char *)job - offsetof(struct exchange, job));
}

void
exchange_free(struct exchange **slot)
{
    if (*slot == NULL)
        return;
    relay_response_free(&(*slot)->response);
    free((*slot)->path);
    free((*slot)->content_type);
    free((*slot)->body);
    free(*slot);
    *slot = NULL;
}

/* NULL: the connection is gone, or never was one of ours. */
static const SSL *
ssl_of(struct evhttp_request *asked)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(asked);

    return connection == NULL
               ? NULL
               : bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(connection));
}

static struct relay_connection *
connection_of(struct evhttp_request *asked)
{
    const SSL *ssl = ssl_of(asked);

    return ssl == NULL ? NULL : relay_connection_of(ssl);
}

static enum relay_method
method_of(struct evhttp_request *asked)
{
    switch (evhttp_request_get_command(asked)) {
    case EVHTTP_REQ_GET:
        return RELAY_GET;
    case EVHTTP_REQ_HEAD:
        return RELAY_HEAD;
    case EVHTTP_REQ_POST:
        return RELAY_POST;
    case EVHTTP_REQ_PUT:
    case EVHTTP_REQ_DELETE:
    case EVHTTP_REQ_OPTIONS:
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT:
    case EVHTTP_REQ_PATCH:
        break;
    }
    return RELAY_OTHER;
}

static aw_result
copy_text(const char *text, char **out)
{
    if (text == NULL)
        return AW_OK;
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static aw_result
copy_body(struct evhttp_request *asked, struct exchange *exchange)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(asked);
    size_t size = evbuffer_get_length(input);

    if (size == 0)
        return AW_OK;
    exchange->body = malloc(size);
    if (exchange->body == NULL)
        return aw_fail_memory();
    exchange->request.body = exchange->body;
    exchange->request.size = size;
    return evbuffer_remove(input, exchange->body, size) == (int)size
               ? AW_OK
               : aw_fail(AW_CODE_INTERNAL, "a request's body is shorter than it was");
}

static aw_result
copy_request(struct evhttp_request *asked, struct exchange *exchange)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(asked);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);

    AW_TRY(copy_text(path != NULL ? path : "", &exchange->path));
    AW_TRY(copy_text(evhttp_find_header(evhttp_request_get_input_headers(asked), "Content-Type"),
        &exchange->content_type));
    AW_TRY(copy_body(asked, exchange));
    exchange->request.method = method_of(asked);
    exchange->request.path = exchange->path;
    exchange->request.content_type = exchange->content_type;
    return AW_OK;
}

static void
sent(struct evhttp_request *asked, void *context)
{
    struct relay_connection *connection = connection_of(asked);

    (void)context;
    if (connection != NULL)
        relay_connection_idle(connection);
}

static aw_result
fill(struct evhttp_request *asked, struct exchange *exchange)
{
    const SSL *ssl = ssl_of(asked);
    struct relay_connection *connection = connection_of(asked);

    if (ssl == NULL || connection == NULL)
        return aw_fail(AW_CODE_INTERNAL, "a request that did not come by TLS");
    AW_TRY(copy_request(asked, exchange));
    relay_tls_client(ssl, exchange->request.client_certificate);
    snprintf(exchange->request.address, sizeof(exchange->request.address), "%s",
        relay_connection_address(connection));
    relay_connection_answering(connection);
    evhttp_request_set_on_complete_cb(asked, sent, NULL);
    return AW_OK;
}

aw_result
exchange_new(struct evhttp_request *asked, void *context, struct exchange **out)
{
    AW_CLEANUP(exchange_free) struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL)
        return aw_fail_memory();
    exchange->asked = asked;
    exchange->context = context;
    AW_TRY(fill(asked, exchange));
    *out = AW_MOVE(exchange);
    return AW_OK;
}

/* Values are of our own making: libevent refuses line breaks in them, and then leaves them out. */
static void
add_header(struct exchange *exchange, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(exchange->asked), name, value);
}

static void
add_link(struct exchange *exchange, const char *url, const char *relation)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    if (aw_ok(aw_format(&text, "<%s>;rel=\"%s\"", url, relation)))
        add_header(exchange, "Link", text);
}

/* RFC 8555 7.1: the index on every answer. */
static void
add_links(struct exchange *exchange, const struct relay_config *config)
{
    const struct relay_response *response = &exchange->response;
    char index[RELAY_URL_MAX + 16];

    snprintf(index, sizeof(index), "%s/directory", config->url);
    add_link(exchange, index, "index");
    for (size_t i = 0; i < response->link_count; i++)
        add_link(exchange, response->links[i].url, response->links[i].relation);
}

static void
add_headers(struct exchange *exchange, const struct relay_config *config, bool last)
{
    const struct relay_response *response = &exchange->response;
    char seconds[32];

    snprintf(seconds, sizeof(seconds), "%lld", (long long)response->retry_after);
    const struct {
        const char *name;
        const char *value;
    } fields[] = {
        {"Content-Type", response->content_type},
        {"Cache-Control", "no-store"},
        {"Replay-Nonce", response->nonce[0] != '\0' ? response->nonce : NULL},
        {"Location", response->location},
        {"Retry-After", response->retry_after > 0 ? seconds : NULL},
        {"Allow", response->allow},
        {"Connection", last ? "close" : NULL},
    };
    for (size_t i = 0; i < AW_COUNT(fields); i++)
        if (fields[i].value != NULL)
            add_header(exchange, fields[i].name, fields[i].value);
    add_links(exchange, config);
}

static void
log_answered(const struct exchange *exchange)
{
    const struct relay_request *request = &exchange->request;
    char status[16];

    snprintf(status, sizeof(status), "%d", exchange->response.status);
    const struct aw_log_field fields[] = {
        {"METHOD", relay_method_name(request->method)},
        {"URL_PATH", request->path},
        {"CLIENT", request->address},
        {"STATUS", status},
    };
    aw_log_fields(request->method == RELAY_POST ? AW_LOG_INFO : AW_LOG_DEBUG, fields,
        AW_COUNT(fields), "answered");
}

void
exchange_respond(struct exchange *exchange, const struct relay_config *config, bool last)
{
    struct relay_connection *connection = connection_of(exchange->asked);
    struct evbuffer *body = evbuffer_new();
    const struct relay_response *response = &exchange->response;

    if (connection != NULL)
        relay_connection_sending(connection);
    add_headers(exchange, config, last);
    if (body != NULL && response->body != NULL && exchange->request.method != RELAY_HEAD)
        evbuffer_add(body, response->body, response->size);
    log_answered(exchange);
    evhttp_send_reply(exchange->asked, response->status, NULL, body);
    exchange->asked = NULL;
    if (body != NULL)
        evbuffer_free(body);
}
