/*
 * A request to the relay, every endpoint: whatever it is, the answer is whole, and what is no
 * client's own request is a problem document. The first line is "METHOD PATH HOW"; the rest is the
 * body, as it is ("raw", or "json" with another content type), or the payload that account 7
 * ("kid") or its key ("jwk") signs for that path, as an honest client would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"
#include "common/log.h"
#include "fuzz.h"
#include "tests/unit/relay/relay_world.h"

enum { WORD_SIZE = 600 };

static struct relay_world world;

static void
end_world(void)
{
    relay_world_close(&world);
}

static void
begin_world(void)
{
    static bool begun;

    if (begun)
        return;
    begun = true;
    aw_log_open("fuzz", AW_LOG_ERROR); /* refusals are no news */
    relay_world_open(&world);
    atexit(end_world);
}

struct input {
    char method[8], path[WORD_SIZE], how[8];
    const char *rest;
};

static bool
take_word(const char **text, char *out, size_t capacity, char end)
{
    const char *at = strchr(*text, end);
    size_t length = at == NULL ? 0 : (size_t)(at - *text);

    if (at == NULL || length >= capacity)
        return false;
    memcpy(out, *text, length);
    out[length] = '\0';
    *text = at + 1;
    return true;
}

static enum relay_method
method_of(const char *name)
{
    static const enum relay_method methods[] = {RELAY_GET, RELAY_HEAD, RELAY_POST};

    for (size_t i = 0; i < AW_COUNT(methods); i++)
        if (strcmp(relay_method_name(methods[i]), name) == 0)
            return methods[i];
    return RELAY_OTHER;
}

/* RFC 8555 6.7, and what HTTP must not be given: line breaks in fields. */
static void
check(const struct relay_request *request, const struct relay_response *response)
{
    AW_CLEANUP(aw_json_free) cJSON *document = NULL;

    FUZZ_CHECK(response->status >= 200 && response->status <= 599);
    FUZZ_CHECK((response->body != NULL) == (response->content_type != NULL));
    FUZZ_CHECK(request->method != RELAY_POST || response->nonce[0] != '\0');
    if (response->location != NULL)
        fuzz_check_plain(response->location);
    for (size_t i = 0; i < response->link_count; i++)
        fuzz_check_plain(response->links[i].url);
    if (response->status < 400) {
        fuzz_accept();
        return;
    }
    FUZZ_CHECK(strcmp(response->content_type, "application/problem+json") == 0);
    FUZZ_CHECK(aw_ok(aw_json_parse(response->body, response->size, AW_JSON_STRICT, &document)));
    const char *type = cJSON_GetStringValue(aw_json_member(document, "type"));
    FUZZ_CHECK(type != NULL && strncmp(type, "urn:ietf:params:acme:error:", 27) == 0);
    FUZZ_CHECK(cJSON_GetStringValue(aw_json_member(document, "detail")) != NULL);
}

static void
ask(const struct input *input)
{
    AW_CLEANUP(aw_free) char *path = NULL, *body = NULL;
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    bool by_key = strcmp(input->how, "jwk") == 0;

    FUZZ_CHECK(aw_ok(aw_format(&path, "/base%s", input->path)));
    if (by_key || strcmp(input->how, "kid") == 0)
        body = relay_world_sign(
            &world, &(struct relay_world_signed){
                        .path = input->path, .payload = input->rest, .by_key = by_key});
    else
        body = strdup(input->rest);
    struct relay_request request = {.method = method_of(input->method),
        .path = path,
        .content_type =
            strcmp(input->how, "json") == 0 ? "application/json" : "application/jose+json",
        .body = body,
        .size = strlen(body),
        .address = "192.0.2.1"};
    relay_handle(&world.relay, &request, &response);
    check(&request, &response);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    struct input input;
    const char *at = text;

    begin_world();
    if (!take_word(&at, input.method, sizeof(input.method), ' ') ||
        !take_word(&at, input.path, sizeof(input.path), ' ') ||
        !take_word(&at, input.how, sizeof(input.how), '\n'))
        return 0;
    input.rest = at;
    ask(&input);
    return 0;
}
