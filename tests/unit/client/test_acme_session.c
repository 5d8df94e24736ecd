/* Nonces, repetitions and failures of signed requests (RFC 8555 6.5, 6.6, 6.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/acme.h"
#include "common/b64url.h"
#include "common/io.h"
#include "scripted_ca.h"

static bool
has(const char *text, const char *words)
{
    return words == NULL || strstr(text, words) != NULL;
}

/* A client of the server, and a signer that puts the nonce where the server looks for it. */
struct client {
    http *h;
    acme_session *session;
    char post[96];
    unsigned waits;      /* of a second or more */
    unsigned stop_after; /* waits that are let be; 0: any number */
    unsigned asked;
    bool refuses;
};

static void
count_wait(void *context, const char *why, int64_t seconds)
{
    struct client *c = context;

    assert_non_null(why);
    assert_true(seconds > 0);
    c->waits++;
}

static bool
is_stopped(void *context)
{
    struct client *c = context;

    c->asked++;
    return c->stop_after != 0 && c->asked > c->stop_after;
}

static void
client_open(struct client *c, const struct scripted_ca *ca)
{
    struct http_options options = {.ca_file = ca->ca_file};
    struct acme_progress progress = {count_wait, is_stopped, c};
    char url[96];

    memset(c, 0, sizeof(*c));
    assert_true(aw_ok(http_open(&options, &c->h)));
    snprintf(url, sizeof(url), "%s/nonce", ca->base);
    snprintf(c->post, sizeof(c->post), "%s/post", ca->base);
    assert_true(aw_ok(acme_session_new(c->h, url, &progress, &c->session)));
}

static void
client_close(struct client *c)
{
    acme_session_free(&c->session);
    http_close(&c->h);
}

static aw_result
sign(void *context, const char *nonce, char **url, char **jws)
{
    const struct client *c = context;
    AW_CLEANUP(aw_free) char *protected = NULL;

    if (c->refuses)
        return aw_fail(AW_CODE_REFUSED, "refused: by the test");
    AW_TRY(aw_b64url_encode_new(nonce, strlen(nonce), &protected));
    AW_TRY(aw_format(url, "%s", c->post));
    return aw_format(jws, "{\"protected\":\"%s\"}", protected);
}

#define PROBLEM "Content-Type: application/problem+json\r\n"
#define TYPE(type) "{\"type\":\"urn:ietf:params:acme:error:" type "\",\"detail\":\"told so\"}"
#define NONCE                                    \
    {                                            \
        "HEAD /nonce", 200, NULL, NULL, CA_PLAIN \
    }
#define NONCE_AND_END                                               \
    {                                                               \
        "HEAD /nonce", 200, "Connection: close\r\n", NULL, CA_CLOSE \
    }
#define GOOD                                    \
    {                                           \
        "POST /post", 200, NULL, "{}", CA_PLAIN \
    }
#define BAD_NONCE                                              \
    {                                                          \
        "POST /post", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN \
    }
#define TROUBLE                                                      \
    {                                                                \
        "POST /post", 500, PROBLEM, TYPE("serverInternal"), CA_PLAIN \
    }
#define DROPPED                              \
    {                                        \
        "POST /post", 0, NULL, NULL, CA_DROP \
    }
#define LIMITED(after)                                                  \
    {                                                                   \
        "POST /post", 429, PROBLEM after, TYPE("rateLimited"), CA_PLAIN \
    }

enum { ANSWERS_MAX = 16 };

/* Scripts; `used`: nonces of the POSTs that arrived, "n1" is the first that the CA gave. */
static const struct {
    const char *name;
    bool idempotent;
    struct ca_answer answers[ANSWERS_MAX];
    enum aw_code code;
    const char *words, *hint, *used;
} rows[] = {
    {"the least", false, {NONCE, GOOD}, AW_CODE_OK, NULL, NULL, "n1\n"},
    {"created", false, {NONCE, {"POST /post", 201, NULL, "{}", CA_PLAIN}}, AW_CODE_OK, NULL, NULL,
        "n1\n"},
    {"badNonce is tried again with the nonce of that answer", false,
        {NONCE, BAD_NONCE, BAD_NONCE, GOOD}, AW_CODE_OK, NULL, NULL, "n1\nn2\nn3\n"},
    {"badNonce without a nonce", false,
        {NONCE, {"POST /post", 400, PROBLEM, TYPE("badNonce"), CA_NO_NONCE}, NONCE, GOOD},
        AW_CODE_OK, NULL, NULL, "n1\nn2\n"},
    {"badNonce, and the connection ends", false,
        {NONCE, {"POST /post", 400, PROBLEM, TYPE("badNonce"), CA_CLOSE}, GOOD}, AW_CODE_OK, NULL,
        NULL, "n1\nn2\n"},
    {"badNonce in the detail is not one", false,
        {NONCE, {"POST /post", 400, PROBLEM, "{\"detail\":\"badNonce\"}", CA_PLAIN}},
        AW_CODE_CA_REFUSED, "posting: the CA says", NULL, "n1\n"},
    {"badNonce for ever", false,
        {NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE,
            BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE},
        AW_CODE_CA_UNAVAILABLE, "badNonce", "refuses its own nonces",
        "n1\nn2\nn3\nn4\nn5\nn6\nn7\nn8\nn9\nn10\nn11\n"},
    {"a refusal", true, {NONCE, {"POST /post", 403, PROBLEM, TYPE("rejectedIdentifier"), CA_PLAIN}},
        AW_CODE_CA_REFUSED, "posting: the CA says rejectedIdentifier (HTTP 403): told so",
        "delegated", "n1\n"},
    {"a rate limit with a time", false, {NONCE, LIMITED("Retry-After: 1\r\n"), GOOD}, AW_CODE_OK,
        NULL, NULL, "n1\nn2\n"},
    {"a rate limit without a time", true, {NONCE, LIMITED("")}, AW_CODE_CA_UNAVAILABLE,
        "rateLimited", "fewer requests", "n1\n"},
    {"a rate limit for too long", true, {NONCE, LIMITED("Retry-After: 601\r\n")},
        AW_CODE_CA_UNAVAILABLE, "rateLimited", "not before 601 seconds", "n1\n"},
    {"503 with a time", false,
        {NONCE, {"POST /post", 503, "Retry-After: 0\r\n", NULL, CA_PLAIN}, GOOD}, AW_CODE_OK, NULL,
        NULL, "n1\nn2\n"},
    {"503 with too long a time", true,
        {NONCE, {"POST /post", 503, "Retry-After: 86400\r\n", NULL, CA_PLAIN}},
        AW_CODE_CA_UNAVAILABLE, "(HTTP 503)", "not before 86400 seconds", "n1\n"},
    {"500 where it may be repeated", true, {NONCE, TROUBLE, GOOD}, AW_CODE_OK, NULL, NULL,
        "n1\nn2\n"},
    {"500 where it may not", false, {NONCE, TROUBLE}, AW_CODE_CA_UNAVAILABLE, "serverInternal",
        "try again later", "n1\n"},
    {"500 for ever", true, {NONCE, TROUBLE, TROUBLE, TROUBLE, TROUBLE, TROUBLE, TROUBLE},
        AW_CODE_CA_UNAVAILABLE, "serverInternal", NULL, "n1\nn2\nn3\nn4\nn5\nn6\n"},
    {"dropped where it may be repeated", true, {NONCE_AND_END, DROPPED, NONCE, GOOD}, AW_CODE_OK,
        NULL, NULL, "n1\nn2\n"},
    {"dropped where it may not", false, {NONCE_AND_END, DROPPED}, AW_CODE_CA_UNAVAILABLE,
        "posting: POST", "connection was lost", "n1\n"},
    {"dropped on a used connection: libcurl sends it again", false, {NONCE, DROPPED, GOOD},
        AW_CODE_OK, NULL, NULL, "n1\nn1\n"},
    {"a redirect", true,
        {NONCE, {"POST /post", 307, "Location: https://evil.example/\r\n", NULL, CA_PLAIN}},
        AW_CODE_CA_UNAVAILABLE, "posting: POST", NULL, "n1\n"},
    {"newNonce is in trouble, once", false,
        {{"HEAD /nonce", 503, NULL, NULL, CA_NO_NONCE}, NONCE, GOOD}, AW_CODE_OK, NULL, NULL,
        "n1\n"},
    {"newNonce is dropped, once", false, {{"HEAD /nonce", 0, NULL, NULL, CA_DROP}, NONCE, GOOD},
        AW_CODE_OK, NULL, NULL, "n1\n"},
    {"newNonce without a nonce", false, {{"HEAD /nonce", 200, NULL, NULL, CA_NO_NONCE}},
        AW_CODE_SYNTAX, "no Replay-Nonce", "really the CA's newNonce", ""},
    {"newNonce with a nonce that is none", false,
        {{"HEAD /nonce", 200, "Replay-Nonce: a\"b\r\n", NULL, CA_NO_NONCE}}, AW_CODE_SYNTAX,
        "no Replay-Nonce", NULL, ""},
    {"newNonce is not there", false, {{"HEAD /nonce", 404, NULL, NULL, CA_NO_NONCE}},
        AW_CODE_CA_REFUSED, "asking for a nonce", "has it moved", ""},
};

static size_t
count_answers(const struct ca_answer *answers)
{
    size_t count = 0;

    while (count < ANSWERS_MAX && answers[count].request != NULL)
        count++;
    return count;
}

static void
posts_by_script(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    unsigned failed = 0;

    (void)state;
    scripted_ca_start(&ca, NULL);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(client_close) struct client c;
        AW_CLEANUP(http_response_free) struct http_response response = {0};

        scripted_ca_load(&ca, rows[i].answers, count_answers(rows[i].answers));
        client_open(&c, &ca);
        aw_result r = acme_post(c.session, sign, &c, rows[i].idempotent, "posting", &response);
        const struct aw_error *error = aw_error_last();
        const char *problem = acme_session_problem(c.session);
        bool told = aw_ok(r) ? response.size > 0 && *problem == '\0'
                             : response.body == NULL && has(error->message, rows[i].words) &&
                                   has(error->hint, rows[i].hint);
        if (scripted_ca_check(&ca, rows[i].name) && r.code == rows[i].code && told &&
            strcmp(ca.used, rows[i].used) == 0)
            continue;
        failed++;
        print_error("%s: found %s, nonces %s: %s (%s)\n", rows[i].name, aw_code_tag(r.code),
            ca.used, aw_ok(r) ? "" : error->message, aw_ok(r) ? "" : error->hint);
    }
    assert_int_equal(failed, 0);
}

/* Every answer feeds the pool: one newNonce is enough for a whole conversation. */
static void
takes_nonces_from_answers(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, GOOD, GOOD, {"POST /post", 403, NULL, NULL, CA_PLAIN}, GOOD};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(client_close) struct client c;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, answers, AW_COUNT(answers));
    client_open(&c, &ca);
    for (size_t i = 0; i < 4; i++) {
        AW_CLEANUP(http_response_free) struct http_response response = {0};
        assert_int_equal(acme_post(c.session, sign, &c, false, "posting", &response).code,
            i == 2 ? AW_CODE_CA_REFUSED : AW_CODE_OK);
    }
    assert_true(scripted_ca_check(&ca, "nonces"));
    assert_string_equal(ca.used, "n1\nn2\nn3\nn4\n");
    assert_int_equal(ca.connections, 1);
    assert_int_equal(acme_session_requests(c.session), 5);
}

static void
tells_of_waits_and_can_be_stopped(void **state)
{
    static const struct ca_answer waits[] = {NONCE, LIMITED("Retry-After: 1\r\n"), GOOD};
    static const struct ca_answer stops[] = {LIMITED("Retry-After: 600\r\n")};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(client_close) struct client c;
    struct http_response response;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, waits, AW_COUNT(waits));
    client_open(&c, &ca);
    assert_true(aw_ok(acme_post(c.session, sign, &c, false, "posting", &response)));
    http_response_free(&response);
    assert_int_equal(c.waits, 1);
    /* Before the wait, and in the middle of it, where no signal wakes it. */
    for (unsigned later = 0; later < 2; later++) {
        scripted_ca_load(&ca, stops, AW_COUNT(stops));
        c.stop_after = c.asked + later;
        assert_int_equal(
            acme_post(c.session, sign, &c, false, "posting", &response).code, AW_CODE_INTERRUPTED);
        assert_non_null(strstr(aw_error_last()->message, "stopped while waiting"));
    }
    assert_true(scripted_ca_check(&ca, "stopped"));
}

static void
tells_the_type_of_the_last_problem(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, {"POST /post", 403, PROBLEM, TYPE("rejectedIdentifier"), CA_PLAIN}, BAD_NONCE, GOOD};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(client_close) struct client c;
    struct http_response response;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, answers, AW_COUNT(answers));
    client_open(&c, &ca);
    assert_string_equal(acme_session_problem(c.session), "");
    assert_false(aw_ok(acme_post(c.session, sign, &c, false, "posting", &response)));
    assert_string_equal(acme_session_problem(c.session), "rejectedIdentifier");
    assert_true(aw_ok(acme_post(c.session, sign, &c, false, "posting", &response)));
    http_response_free(&response);
    assert_string_equal(acme_session_problem(c.session), "");
    assert_true(scripted_ca_check(&ca, "problem"));
}

/* A signer's refusal is final, and nothing is sent. */
static void
sends_nothing_that_is_refused(void **state)
{
    static const struct ca_answer answers[] = {NONCE};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(client_close) struct client c;
    struct http_response response;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, answers, AW_COUNT(answers));
    client_open(&c, &ca);
    c.refuses = true;
    assert_int_equal(
        acme_post(c.session, sign, &c, true, "posting", &response).code, AW_CODE_REFUSED);
    assert_string_equal(aw_error_last()->message, "refused: by the test");
    assert_true(scripted_ca_check(&ca, "refused"));
}

/* Directories over HTTPS. */
#define DIRECTORY                                                           \
    "{\"newNonce\":\"$B/n\",\"newAccount\":\"$B/a\",\"newOrder\":\"$B/o\"," \
    "\"revokeCert\":\"$B/r\",\"keyChange\":\"$B/k\"}"
#define JSON "Content-Type: application/json\r\n"

static const struct {
    const char *name;
    struct ca_answer answer;
    enum aw_code code;
    const char *words, *hint;
} directory_rows[] = {
    {"good", {"GET /dir", 200, JSON, DIRECTORY, CA_PLAIN}, AW_CODE_OK, NULL, NULL},
    {"another media type", {"GET /dir", 200, "Content-Type: text/html\r\n", DIRECTORY, CA_PLAIN},
        AW_CODE_SYNTAX, "media type is text/html, expected application/json", "login page"},
    {"no media type", {"GET /dir", 200, NULL, DIRECTORY, CA_PLAIN}, AW_CODE_SYNTAX,
        "media type is not told", NULL},
    {"not there", {"GET /dir", 404, NULL, "gone", CA_PLAIN}, AW_CODE_CA_REFUSED,
        "fetching the directory: the CA says", "moved"},
    {"a redirect", {"GET /dir", 301, "Location: /new\r\n", NULL, CA_PLAIN}, AW_CODE_CA_UNAVAILABLE,
        "/new, which is not followed", NULL},
    {"HTML that says it is JSON", {"GET /dir", 200, JSON, "<html>", CA_PLAIN}, AW_CODE_SYNTAX,
        "/dir: the CA's directory: ", "ACME directory"},
};

static void
fetches_directories(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(client_close) struct client c;
    char url[96];
    unsigned failed = 0;

    (void)state;
    scripted_ca_start(&ca, NULL);
    client_open(&c, &ca);
    snprintf(url, sizeof(url), "%s/dir", ca.base);
    for (size_t i = 0; i < AW_COUNT(directory_rows); i++) {
        AW_CLEANUP(acme_directory_free) struct acme_directory directory;

        scripted_ca_load(&ca, &directory_rows[i].answer, 1);
        aw_result r = acme_directory_fetch(c.h, url, &directory);
        const struct aw_error *error = aw_error_last();
        if (r.code == directory_rows[i].code &&
            (aw_ok(r) ? directory.new_nonce != NULL
                      : has(error->message, directory_rows[i].words) &&
                            has(error->hint, directory_rows[i].hint)))
            continue;
        failed++;
        print_error("%s: found %s: %s\n", directory_rows[i].name, aw_code_tag(r.code),
            aw_ok(r) ? "" : error->message);
    }
    assert_int_equal(failed, 0);
}

static void
wants_https_for_nonces(void **state)
{
    acme_session *session = NULL;

    (void)state;
    assert_int_equal(acme_session_new(NULL, "http://ca/n", NULL, &session).code, AW_CODE_SYNTAX);
    assert_null(session);
    acme_session_free(&session);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_by_script),
        cmocka_unit_test(takes_nonces_from_answers),
        cmocka_unit_test(tells_of_waits_and_can_be_stopped),
        cmocka_unit_test(tells_the_type_of_the_last_problem),
        cmocka_unit_test(sends_nothing_that_is_refused),
        cmocka_unit_test(fetches_directories),
        cmocka_unit_test(wants_https_for_nonces),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
