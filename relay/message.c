#include "relay/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

const char *
relay_method_name(enum relay_method method)
{
    switch (method) {
    case RELAY_GET:
        return "GET";
    case RELAY_HEAD:
        return "HEAD";
    case RELAY_POST:
        return "POST";
    case RELAY_OTHER:
        break;
    }
    return "";
}

void
relay_response_reset(struct relay_response *response)
{
    char nonce[RELAY_NONCE_SIZE];

    memcpy(nonce, response->nonce, sizeof(nonce));
    relay_response_free(response);
    memcpy(response->nonce, nonce, sizeof(nonce));
}

void
relay_response_free(struct relay_response *response)
{
    free(response->body);
    free(response->location);
    for (size_t i = 0; i < response->link_count; i++)
        free(response->links[i].url);
    memset(response, 0, sizeof(*response));
}

void
relay_response_empty(struct relay_response *response, int status)
{
    aw_free(&response->body);
    response->size = 0;
    response->content_type = NULL;
    response->status = status;
}

/* Takes the body over. */
static void
set_body(struct relay_response *response, int status, const char *content_type, char *body)
{
    relay_response_empty(response, status);
    response->content_type = content_type;
    response->body = body;
    response->size = strlen(body);
}

aw_result
relay_response_json(struct relay_response *response, int status, struct aw_json_writer *document)
{
    char *text;

    AW_TRY(aw_json_writer_finish(document, &text));
    set_body(response, status, "application/json", text);
    return AW_OK;
}

aw_result
relay_response_text(
    struct relay_response *response, int status, const char *content_type, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return aw_fail_memory();
    set_body(response, status, content_type, copy);
    return AW_OK;
}

static aw_result
format_text(char **out, const char *format, va_list values)
{
    *out = NULL;
    return vasprintf(out, format, values) >= 0 ? AW_OK : aw_fail_memory();
}

aw_result
relay_response_location(struct relay_response *response, const char *format, ...)
{
    va_list values;
    char *text;

    va_start(values, format);
    aw_result r = format_text(&text, format, values);
    va_end(values);
    AW_TRY(r);
    free(response->location);
    response->location = text;
    return AW_OK;
}

aw_result
relay_response_link(struct relay_response *response, const char *relation, const char *format, ...)
{
    va_list values;

    if (response->link_count == RELAY_LINKS_MAX)
        return aw_fail(AW_CODE_LIMIT, "a response holds at most %d links", RELAY_LINKS_MAX);
    va_start(values, format);
    aw_result r = format_text(&response->links[response->link_count].url, format, values);
    va_end(values);
    AW_TRY(r);
    response->links[response->link_count++].relation = relation;
    return AW_OK;
}
