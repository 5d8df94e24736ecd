#include "client/trace.h"

#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "client/signer_link.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/log.h"

enum { TEXT_MAX = 16 * 1024 };

static void
tell(FILE *stream, const char *before, const char *text, size_t length)
{
    size_t taken = length < TEXT_MAX ? length : TEXT_MAX;
    AW_CLEANUP(aw_free) char *safe = malloc(4 * taken + 1);

    if (safe == NULL)
        return;
    aw_log_escape(text, taken, safe, 4 * taken + 1);
    fprintf(stream, "%s%s%s\n", before, safe, taken < length ? " ..." : "");
}

/* On one line where it is JSON, as CAs indent it. */
static void
tell_json(FILE *stream, const char *before, const char *text, size_t size)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    if (!aw_ok(aw_json_parse(text, size, AW_JSON_TOLERANT, &json))) {
        tell(stream, before, text, size);
        return;
    }
    char *line = cJSON_PrintUnformatted(json);
    if (line != NULL)
        tell(stream, before, line, strlen(line));
    cJSON_free(line);
}

static void
tell_part(FILE *stream, const cJSON *jws, const char *name)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    const char *encoded = cJSON_GetStringValue(aw_json_member(jws, name));
    char before[32];
    size_t size = 0;

    snprintf(before, sizeof(before), ">   %-9s ", name);
    if (encoded == NULL || encoded[0] == '\0') {
        fprintf(stream, "%s(empty)\n", before);
        return;
    }
    if (!aw_ok(aw_b64url_decode_new(encoded, strlen(encoded), &bytes, &size)))
        return;
    text = strndup((const char *)bytes, size);
    if (text != NULL)
        tell_json(stream, before, text, strlen(text));
}

/* A body that is no JWS is not of ours, and not shown. */
static void
tell_request(FILE *stream, const struct http_exchange *exchange)
{
    AW_CLEANUP(aw_json_free) cJSON *jws = NULL;

    fprintf(stream, "> %s %s\n", exchange->method, exchange->url);
    if (exchange->body == NULL ||
        !aw_ok(aw_json_parse(exchange->body, strlen(exchange->body), AW_JSON_STRICT, &jws)))
        return;
    tell_part(stream, jws, "protected");
    tell_part(stream, jws, "payload");
    fputs(">   signature (not shown)\n", stream);
}

/* Names come from the CA too: those of links. */
static void
tell_field(FILE *stream, const char *name, const char *value)
{
    char safe[64], before[80];

    if (value == NULL)
        return;
    aw_log_escape(name, strlen(name), safe, sizeof(safe));
    snprintf(before, sizeof(before), "<   %s: ", safe);
    tell(stream, before, value, strlen(value));
}

static void
tell_answer(FILE *stream, const struct http_exchange *exchange)
{
    const struct http_response *answer = exchange->answer;
    const char *type = answer == NULL ? NULL : answer->content_type;

    if (answer == NULL) {
        tell(stream, "< no answer: ", exchange->failure, strlen(exchange->failure));
        return;
    }
    fprintf(stream, "< %ld in %lld ms, %zu octets\n", answer->status,
        (long long)exchange->milliseconds, answer->size);
    tell_field(stream, "Content-Type", type);
    tell_field(stream, "Location", answer->location);
    tell_field(stream, "Replay-Nonce", answer->nonce);
    if (answer->retry_after >= 0)
        fprintf(stream, "<   Retry-After: %lld s\n", (long long)answer->retry_after);
    for (size_t i = 0; i < answer->link_count; i++)
        tell_field(stream, answer->links[i].rel, answer->links[i].url);
    if (type != NULL && strstr(type, "json") != NULL)
        tell_json(stream, "<   ", answer->body, answer->size);
}

static void
take(const struct http_exchange *exchange, void *context)
{
    struct output *out = context;

    output_clear(out);
    tell_request(out->messages, exchange);
    tell_answer(out->messages, exchange);
    fflush(out->messages);
}

/* A signed request is shown when it is posted, there without its signature. */
static void
tell_reply(FILE *stream, const cJSON *reply)
{
    AW_CLEANUP(aw_json_free) cJSON *shown = cJSON_Duplicate(reply, true);

    cJSON_DeleteItemFromObjectCaseSensitive(shown, "jws");
    char *line = shown == NULL ? NULL : cJSON_PrintUnformatted(shown);
    if (line != NULL)
        tell(stream, "<   ", line, strlen(line));
    cJSON_free(line);
}

static void
take_call(const struct signer_exchange *exchange, void *context)
{
    struct output *out = context;
    FILE *stream = out->messages;

    output_clear(out);
    fprintf(stream, "> signer: %s\n", exchange->method);
    tell_json(stream, ">   ", exchange->parameters, strlen(exchange->parameters));
    if (exchange->reply == NULL) {
        tell(stream, "< no answer: ", exchange->failure, strlen(exchange->failure));
    } else {
        fprintf(stream, "< %s in %lld ms\n", exchange->error == NULL ? "done" : exchange->error,
            (long long)exchange->milliseconds);
        tell_reply(stream, exchange->reply);
    }
    fflush(stream);
}

void
trace_begin(struct output *out)
{
    out->terminal = false;
    signer_link_trace(take_call, out);
    http_trace(take, out);
}
