/* -v: what is shown of a request and its answer, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/http.h"
#include "client/trace.h"

#define URL "https://ca.example.edu/acme/new-order"
/* {"alg":"ES256"}, {"a":1}; the signature is "secretsignature". */
#define PROTECTED "eyJhbGciOiJFUzI1NiJ9"
#define PAYLOAD "eyJhIjoxfQ"
#define SIGNATURE "c2VjcmV0c2lnbmF0dXJl"
#define JWS(protected, payload)                                     \
    "{\"protected\":\"" protected "\",\"payload\":\"" payload "\"," \
                                  "\"signature\":\"" SIGNATURE "\"}"

/* What http_trace and signer_link_trace were given: the tests make the exchanges. */
static http_tracer tracer;
static signer_tracer call_tracer;
static void *tracer_context;

void __wrap_http_trace(http_tracer t, void *context);

void
__wrap_http_trace(http_tracer t, void *context)
{
    tracer = t;
    tracer_context = context;
}

void __wrap_signer_link_trace(signer_tracer t, void *context);

void
__wrap_signer_link_trace(signer_tracer t, void *context)
{
    call_tracer = t;
    tracer_context = context;
}

/* An exchange. has: all of these lines; lacks: none of them (both with "|" between). */
static const struct {
    const char *name, *method, *body;
    const char *type, *text, *location, *nonce, *index, *rel;
    int64_t retry_after;
    const char *failure;
    const char *has, *lacks;
} rows[] = {
    {.name = "a GET without a body",
        .method = "GET",
        .has = "> GET " URL "|< 200 in 7 ms, 0 octets",
        .lacks = "signature|protected|Retry-After"},
    {.name = "the signature of a JWS is not shown",
        .method = "POST",
        .body = JWS(PROTECTED, PAYLOAD),
        .has =
            ">   protected {\"alg\":\"ES256\"}|>   payload   {\"a\":1}|>   signature (not shown)",
        .lacks = SIGNATURE "|secretsignature|" PAYLOAD},
    {.name = "POST-as-GET",
        .method = "POST",
        .body = JWS(PROTECTED, ""),
        .has = ">   payload   (empty)",
        .lacks = SIGNATURE},
    {.name = "a body that is no JWS is not shown",
        .method = "POST",
        .body = "hmac=topsecret",
        .has = "> POST " URL,
        .lacks = "topsecret|hmac"},
    {.name = "a part that is no base64url is not shown",
        .method = "POST",
        .body = JWS("%%", PAYLOAD),
        .has = ">   payload   {\"a\":1}",
        .lacks = "%%"},
    {.name = "header fields",
        .method = "HEAD",
        .location = "https://ca.example.edu/order/1",
        .nonce = "abc",
        .retry_after = 30,
        .index = "https://ca.example.edu/dir",
        .has = "<   Location: https://ca.example.edu/order/1|<   Replay-Nonce: abc"
               "|<   Retry-After: 30 s|<   index: https://ca.example.edu/dir"},
    {.name = "JSON on one line",
        .method = "GET",
        .type = "application/json",
        .text = "{\n  \"status\": \"valid\"\n}",
        .has = "<   {\"status\":\"valid\"}"},
    {.name = "what calls itself JSON and is none",
        .method = "GET",
        .type = "application/problem+json",
        .text = "<html>",
        .has = "<   <html>"},
    {.name = "a certificate is not shown",
        .method = "POST",
        .body = JWS(PROTECTED, ""),
        .type = "application/pem-certificate-chain",
        .text = "-----BEGIN",
        .has = "< 200 in 7 ms, 10 octets",
        .lacks = "BEGIN"},
    {.name = "attack 100: escape sequences of a CA do not reach the terminal",
        .method = "GET",
        .type = "application/json",
        .text = "\033]0;x\007",
        .location = "https://ca.example.edu/\033[2J",
        .index = "https://ca.example.edu/\033[2J",
        .rel = "\033[2J",
        .has = "<   Location: https://ca.example.edu/",
        .lacks = "\033|\007"},
    {.name = "no answer",
        .method = "GET",
        .failure = "can't connect",
        .has = "< no answer: can't connect",
        .lacks = "< 200"},
};

static char *
copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static struct http_response
answer_of(size_t i)
{
    struct http_response answer = {.status = 200,
        .body = copy(rows[i].text),
        .size = rows[i].text == NULL ? 0 : strlen(rows[i].text),
        .content_type = copy(rows[i].type),
        .location = copy(rows[i].location),
        .nonce = copy(rows[i].nonce),
        .retry_after = rows[i].retry_after == 0 ? -1 : rows[i].retry_after};

    if (rows[i].index != NULL)
        answer.links[answer.link_count++] = (struct http_link){
            .url = copy(rows[i].index), .rel = copy(rows[i].rel == NULL ? "index" : rows[i].rel)};
    return answer;
}

static bool
holds(const char *text, const char *part, size_t length)
{
    return memmem(text, strlen(text), part, length) != NULL;
}

/* Each of the parts is there, or none is. */
static void
check(const char *name, const char *text, const char *parts, bool there)
{
    for (const char *part = parts; part != NULL; part = strchr(part, '|')) {
        part += *part == '|' ? 1 : 0;
        size_t length = strcspn(part, "|");

        if (holds(text, part, length) != there)
            fail_msg("%s: \"%.*s\" is %s:\n%s", name, (int)length, part,
                there ? "missing" : "there", text);
    }
}

static void
test_exchanges(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *messages = open_memstream(&text, &size);
        struct output out;

        assert_non_null(messages);
        output_open(&out, stdout, messages);
        trace_begin(&out);
        struct http_response answer = answer_of(i);
        const struct http_exchange exchange = {.method = rows[i].method,
            .url = URL,
            .body = rows[i].body,
            .answer = rows[i].failure == NULL ? &answer : NULL,
            .failure = rows[i].failure,
            .milliseconds = 7};
        tracer(&exchange, tracer_context);
        output_close(&out);
        assert_int_equal(fclose(messages), 0);
        check(rows[i].name, text, rows[i].has, true);
        check(rows[i].name, text, rows[i].lacks, false);
        http_response_free(&answer);
        free(text);
    }
}

/* A call of the signer; reply NULL: none came. */
static const struct {
    const char *name, *parameters, *error, *reply, *failure;
    const char *has, *lacks;
} calls[] = {
    {"a reply", "{ }", NULL, "{\"application\":\"app\"}", NULL,
        "> signer: org.acmeward.Signer.Call|>   {}|< done in 7 ms|<   {\"application\":\"app\"}",
        "signature"},
    {"what the signer signed is not shown", "{\"nonce\":\"n\"}", NULL,
        "{\"url\":\"u\",\"jws\":" JWS(PROTECTED, PAYLOAD) "}", NULL,
        ">   {\"nonce\":\"n\"}|<   {\"url\":\"u\"}", SIGNATURE "|" PAYLOAD "|jws"},
    {"an error reply", "{}", "org.acmeward.Signer.PolicyRefused", "{\"rule\":\"names.none\"}", NULL,
        "< org.acmeward.Signer.PolicyRefused in 7 ms|<   {\"rule\":\"names.none\"}", "done"},
    {"attack 100: escape sequences of a signer do not reach the terminal", "{}", NULL,
        "{\"warning\":\"\\u001b[2J\"}", NULL, "<   {\"warning\":", "\033"},
    {"no reply", "{}", NULL, NULL, "the peer closed", "< no answer: the peer closed", "done"},
};

static void
test_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(calls); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *messages = open_memstream(&text, &size);
        cJSON *reply = calls[i].reply == NULL ? NULL : cJSON_Parse(calls[i].reply);
        struct output out;

        assert_non_null(messages);
        assert_true(calls[i].reply == NULL || reply != NULL);
        output_open(&out, stdout, messages);
        trace_begin(&out);
        const struct signer_exchange exchange = {"org.acmeward.Signer.Call", calls[i].parameters,
            calls[i].error, reply, calls[i].failure, 7};
        call_tracer(&exchange, tracer_context);
        output_close(&out);
        assert_int_equal(fclose(messages), 0);
        check(calls[i].name, text, calls[i].has, true);
        check(calls[i].name, text, calls[i].lacks, false);
        cJSON_Delete(reply);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
