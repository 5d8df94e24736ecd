/* HTTPS to a CA: what an answer's fields become, and what is refused (attack 109). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/http.h"
#include "common/io.h"
#include "scripted_ca.h"

static bool
has(const char *text, const char *words)
{
    return words == NULL || strstr(text, words) != NULL;
}

static void
open_for(const struct scripted_ca *ca, http **out)
{
    struct http_options options = {.ca_file = ca->ca_file, .user_agent = "test/1"};

    assert_true(aw_ok(http_open(&options, out)));
}

static aw_result
get(http *h, struct scripted_ca *ca, const char *path, struct http_response *out)
{
    char url[256];

    snprintf(url, sizeof(url), "%s%s", ca->base, path);
    aw_result r = http_request(h, HTTP_GET, url, NULL, out);
    scripted_ca_settle(ca);
    return r;
}

/* Answers that are not taken. */
static const struct {
    const char *name;
    struct ca_answer answer;
    enum aw_code code;
    const char *words, *hint;
} refused_rows[] = {
    {"redirect", {"GET /x", 302, "Location: https://evil.example/\r\n", NULL, CA_CLOSE},
        AW_CODE_CA_UNAVAILABLE, "(HTTP 302) to https://evil.example/, which is not followed",
        "pins its new directory"},
    {"redirect to a file", {"GET /x", 301, "Location: file:///etc/passwd\r\n", NULL, CA_CLOSE},
        AW_CODE_CA_UNAVAILABLE, "(HTTP 301) to file:///etc/passwd", NULL},
    {"redirect to nowhere", {"GET /x", 308, NULL, NULL, CA_CLOSE}, AW_CODE_CA_UNAVAILABLE,
        "to nowhere", NULL},
    {"redirect with ESC", {"GET /x", 307, "Location: /\x1b[2J\r\n", NULL, CA_CLOSE},
        AW_CODE_CA_UNAVAILABLE, "(HTTP 307) to", NULL},
    {"a body of 1 GiB, told", {"GET /x", 0, NULL, NULL, CA_GIB_BODY}, AW_CODE_LIMIT,
        "/x: ", "no answer of a CA is that long"},
    {"a body without end", {"GET /x", 0, NULL, NULL, CA_ENDLESS_BODY}, AW_CODE_LIMIT, "1048576",
        "is this "}, /* counted by curl from 8.4 on */
    {"a header without end", {"GET /x", 0, NULL, NULL, CA_ENDLESS_HEADER}, AW_CODE_LIMIT,
        "header has more than 65536 octets", "is this really one?"},
    {"a NUL in the header", {"GET /x", 0, NULL, NULL, CA_NUL_FIELD}, AW_CODE_CA_UNAVAILABLE,
        "Nul byte in header", "really the URL"},
    {"a slow body", {"GET /x", 0, NULL, NULL, CA_SLOW_BODY}, AW_CODE_TIMEOUT,
        "/x: ", "the CA is slow"},
    {"no answer", {"GET /x", 0, NULL, NULL, CA_DROP}, AW_CODE_CA_UNAVAILABLE,
        "/x: ", "the connection was lost"},
    {"half a body", {"GET /x", 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CA_RAW},
        AW_CODE_CA_UNAVAILABLE, "/x: ", "the connection was lost"},
    {"no HTTP", {"GET /x", 0, NULL, "220 mail.example.edu ESMTP\r\n\r\n", CA_RAW},
        AW_CODE_CA_UNAVAILABLE, "/x: ", "really the URL of a CA's ACME server"},
    {"two Locations", {"GET /x", 201, "Location: $B/a\r\nLocation: $B/b\r\n", NULL, CA_CLOSE},
        AW_CODE_SYNTAX, "2 Location fields, expected one", "at fault"},
    {"two media types",
        {"GET /x", 200, "Content-Type: text/html\r\nContent-Type: application/json\r\n", "{}",
            CA_CLOSE},
        AW_CODE_SYNTAX, "2 Content-Type fields", NULL},
};

static void
refuses_answers_attack_109(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    unsigned failed = 0;

    (void)state;
    scripted_ca_start(&ca, NULL);
    for (size_t i = 0; i < AW_COUNT(refused_rows); i++) {
        AW_CLEANUP(http_close) http *h = NULL;
        AW_CLEANUP(http_response_free) struct http_response response = {0};
        struct http_options options = {.ca_file = ca.ca_file, .total_seconds = 2};

        scripted_ca_load(&ca, &refused_rows[i].answer, 1);
        assert_true(aw_ok(http_open(&options, &h)));
        aw_result r = get(h, &ca, "/x", &response);
        const struct aw_error *error = aw_error_last();
        if (r.code == refused_rows[i].code && has(error->message, refused_rows[i].words) &&
            has(error->hint, refused_rows[i].hint) && strchr(error->message, 0x1b) == NULL &&
            response.body == NULL && scripted_ca_check(&ca, refused_rows[i].name))
            continue;
        failed++;
        print_error("%s: found %s: %s (%s)\n", refused_rows[i].name, aw_code_tag(r.code),
            error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

/* Fields of an answer; "-" is NULL. $B is not known to a table, so locations end with it. */
static const struct {
    const char *name;
    const char *fields;
    const char *content_type, *location, *nonce;
    int64_t retry_after;
} field_rows[] = {
    {"none", "", "-", "-", "n", -1},
    {"media type", "Content-Type: Application/JSON; charset=utf-8\r\n", "application/json", "-",
        "n", -1},
    {"media type with a control", "Content-Type: a\x01/b\r\n", "-", "-", "n", -1},
    {"empty media type", "Content-Type:\r\n", "-", "-", "n", -1},
    {"location", "Location: $B/order/1\r\n", "-", "/order/1", "n", -1},
    {"location, relative", "Location: order/1\r\n", "-", "/dir/order/1", "n", -1},
    {"location, absolute path", "Location: /order/1\r\n", "-", "/order/1", "n", -1},
    {"location is kept byte for byte", "Location: $B/a/../b\r\n", "-", "/a/../b", "n", -1},
    {"a nonce with quotes is ignored", "Replay-Nonce: a\"b\r\n", "-", "-", "-", -1},
    {"an empty nonce is ignored", "Replay-Nonce:\r\n", "-", "-", "-", -1},
    {"two nonces are ignored", "Replay-Nonce: a\r\nReplay-Nonce: b\r\n", "-", "-", "-", -1},
    {"a good nonce", "Replay-Nonce: aB-_9\r\n", "-", "-", "aB-_9", -1},
    {"retry after seconds", "Retry-After: 17\r\n", "-", "-", "n", 17},
    {"retry after a past date", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "-", "-", "n", 0},
    {"retry after nonsense", "Retry-After: soon\r\n", "-", "-", "n", -1},
    {"retry after less than nothing", "Retry-After: -5\r\n", "-", "-", "n", -1},
    {"retry after an age", "Retry-After: 99999999999999999999\r\n", "-", "-", "n", INT32_MAX},
};

/* "-" is NULL, "n" is whatever nonce the server made up. */
static bool
same(const char *found, const char *expected)
{
    if (strcmp(expected, "-") == 0)
        return found == NULL;
    return found != NULL && (strcmp(expected, "n") == 0 || strcmp(found, expected) == 0);
}

static void
reads_fields(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    unsigned failed = 0;

    (void)state;
    scripted_ca_start(&ca, NULL);
    open_for(&ca, &h);
    for (size_t i = 0; i < AW_COUNT(field_rows); i++) {
        AW_CLEANUP(http_response_free) struct http_response response = {0};
        struct ca_answer answer = {"GET /dir/x", 200, field_rows[i].fields, NULL,
            strstr(field_rows[i].fields, "Replay-Nonce") != NULL ? CA_NO_NONCE : CA_PLAIN};

        scripted_ca_load(&ca, &answer, 1);
        assert_true(aw_ok(get(h, &ca, "/dir/x", &response)));
        const char *location = response.location;
        if (location != NULL && strncmp(location, ca.base, strlen(ca.base)) == 0)
            location += strlen(ca.base);
        if (same(response.content_type, field_rows[i].content_type) &&
            same(location, field_rows[i].location) && same(response.nonce, field_rows[i].nonce) &&
            response.retry_after == field_rows[i].retry_after)
            continue;
        failed++;
        print_error("%s: found %s, %s, %s, %lld\n", field_rows[i].name,
            response.content_type != NULL ? response.content_type : "-",
            location != NULL ? location : "-", response.nonce != NULL ? response.nonce : "-",
            (long long)response.retry_after);
    }
    assert_int_equal(failed, 0);
}

static void
reads_a_date_to_come(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    char field[128];
    time_t then = time(NULL) + 1000;
    struct tm parts;

    (void)state;
    scripted_ca_start(&ca, NULL);
    open_for(&ca, &h);
    strftime(field, sizeof(field), "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
        gmtime_r(&then, &parts));
    struct ca_answer answer = {"GET /x", 503, field, NULL, CA_PLAIN};
    scripted_ca_load(&ca, &answer, 1);
    assert_true(aw_ok(get(h, &ca, "/x", &response)));
    assert_true(response.retry_after > 0 && response.retry_after <= 1000);
}

/* Link fields; expected: each as "rel path" and a line's end. */
static const struct {
    const char *name, *fields, *expected;
} link_rows[] = {
    {"one", "Link: <$B/a>; rel=\"alternate\"\r\n", "alternate /a\n"},
    {"a token", "Link: <$B/a>;rel=up\r\n", "up /a\n"},
    {"two fields", "Link: <$B/a>;rel=up\r\nLink: <$B/b>;rel=index\r\n", "up /a\nindex /b\n"},
    {"two in a field", "Link: <$B/a>;rel=up, <$B/b>; rel=\"index\"\r\n", "up /a\nindex /b\n"},
    {"a comma in the URL", "Link: <$B/a,b>;rel=up\r\n", "up /a,b\n"},
    {"other parameters", "Link: <$B/a>; title=\"a;\\\"b, <c>\"; rel=up; x\r\n", "up /a\n"},
    {"the first rel counts", "Link: <$B/a>; rel=up; rel=index\r\n", "up /a\n"},
    {"relative", "Link: </b>; rel=up\r\n", "up /b\n"},
    {"no rel", "Link: <$B/a>\r\n", ""},
    {"no end", "Link: <$B/a; rel=up\r\n", ""},
    {"an open quote", "Link: <$B/a>; rel=\"up\r\n", "u /a\n"},
    {"nonsense", "Link: ,,;;==\"\r\n", ""},
};

static void
reads_links(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    unsigned failed = 0;

    (void)state;
    scripted_ca_start(&ca, NULL);
    open_for(&ca, &h);
    for (size_t i = 0; i < AW_COUNT(link_rows); i++) {
        AW_CLEANUP(http_response_free) struct http_response response = {0};
        struct ca_answer answer = {"GET /x", 200, link_rows[i].fields, NULL, CA_PLAIN};
        char found[1024] = "";

        scripted_ca_load(&ca, &answer, 1);
        assert_true(aw_ok(get(h, &ca, "/x", &response)));
        for (size_t k = 0; k < response.link_count; k++) {
            assert_memory_equal(response.links[k].url, ca.base, strlen(ca.base));
            size_t used = strlen(found);
            snprintf(found + used, sizeof(found) - used, "%s %s\n", response.links[k].rel,
                response.links[k].url + strlen(ca.base));
        }
        if (strcmp(found, link_rows[i].expected) == 0)
            continue;
        failed++;
        print_error("%s: found \"%s\"\n", link_rows[i].name, found);
    }
    assert_int_equal(failed, 0);
}

static void
keeps_a_limited_number_of_links(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    char fields[CA_TEXT_MAX] = "";

    (void)state;
    scripted_ca_start(&ca, NULL);
    open_for(&ca, &h);
    for (size_t i = 0, used = 0; i < 2 * HTTP_LINKS_MAX; i++)
        used += (size_t)snprintf(
            fields + used, sizeof(fields) - used, "Link: <$B/%zu>;rel=a, <$B/%zu>;rel=b\r\n", i, i);
    struct ca_answer answer = {"GET /x", 200, fields, NULL, CA_PLAIN};
    scripted_ca_load(&ca, &answer, 1);
    assert_true(aw_ok(get(h, &ca, "/x", &response)));
    assert_int_equal(response.link_count, HTTP_LINKS_MAX);
}

/* One connection for all; what is sent, and what is not. */
static void
sends_what_it_should(void **state)
{
    static const struct ca_answer answers[] = {
        {"HEAD /nonce", 200, "Set-Cookie: a=b; Path=/\r\n", NULL, CA_PLAIN},
        {"POST /a/../b", 200, NULL, "{}", CA_PLAIN},
        {"GET /c", 404, NULL, "gone", CA_PLAIN},
        {"HEAD /nonce", 204, NULL, NULL, CA_PLAIN},
    };
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    struct http_response response;
    char url[128];

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, answers, AW_COUNT(answers));
    open_for(&ca, &h);
    snprintf(url, sizeof(url), "%s/nonce", ca.base);
    assert_true(aw_ok(http_request(h, HTTP_HEAD, url, NULL, &response)));
    assert_int_equal(response.size, 0);
    assert_string_equal(response.body, "");
    http_response_free(&response);

    snprintf(url, sizeof(url), "%s/a/../b", ca.base);
    assert_true(aw_ok(http_request(h, HTTP_POST, url, "{\"protected\":\"\"}", &response)));
    assert_string_equal(response.body, "{}");
    http_response_free(&response);
    scripted_ca_settle(&ca);
    assert_string_equal(ca.last_body, "{\"protected\":\"\"}");
    assert_non_null(strstr(ca.last, "\r\nContent-Type: application/jose+json\r\n"));
    assert_non_null(strstr(ca.last, "\r\nUser-Agent: test/1 libcurl/"));
    assert_non_null(strstr(ca.last, "\r\nAccept-Language: en\r\n"));
    assert_null(strstr(ca.last, "\r\nCookie:"));
    assert_null(strstr(ca.last, "\r\nExpect:"));

    assert_true(aw_ok(get(h, &ca, "/c", &response)));
    assert_int_equal(response.status, 404);
    assert_string_equal(response.body, "gone");
    http_response_free(&response);
    assert_null(strstr(ca.last, "Content-Type"));
    snprintf(url, sizeof(url), "%s/nonce", ca.base);
    assert_true(aw_ok(http_request(h, HTTP_HEAD, url, NULL, &response)));
    http_response_free(&response);
    assert_true(scripted_ca_check(&ca, "requests"));
    assert_int_equal(ca.connections, 1);
    assert_int_equal(http_requests(h), 4);
}

static void
names_itself_without_being_told(void **state)
{
    static const struct ca_answer answer = {"GET /x", 200, NULL, NULL, CA_PLAIN};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, &answer, 1);
    assert_true(aw_ok(http_open(&(struct http_options){.ca_file = ca.ca_file}, &h)));
    assert_true(aw_ok(get(h, &ca, "/x", &response)));
    assert_non_null(strstr(ca.last, "\r\nUser-Agent: acmeward/" ACMEWARD_VERSION " libcurl/"));
}

static void
takes_no_password_from_netrc(void **state)
{
    static const struct ca_answer answer = {"GET /x", 200, NULL, NULL, CA_PLAIN};
    static const char netrc[] = "machine 127.0.0.1 login user password secret\n";
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    char path[64];

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, &answer, 1);
    snprintf(path, sizeof(path), "%s/.netrc", ca.folder);
    assert_true(aw_ok(aw_file_replace(path, netrc, sizeof(netrc) - 1, 0600)));
    assert_int_equal(setenv("HOME", ca.folder, 1), 0);
    open_for(&ca, &h);
    aw_result r = get(h, &ca, "/x", &response);
    unlink(path);
    assert_true(aw_ok(r));
    assert_null(strstr(ca.last, "Authorization"));
}

/* Bodies may hold anything, NULs too. */
static void
keeps_a_body_with_a_nul(void **state)
{
    static const struct ca_answer answer = {"GET /x", 200, NULL, "ab", CA_NUL_BODY};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, &answer, 1);
    open_for(&ca, &h);
    assert_true(aw_ok(get(h, &ca, "/x", &response)));
    assert_int_equal(response.size, 4);
    assert_memory_equal(response.body, "ab\0x", 5);
}

static void
tells_a_lost_connection(void **state)
{
    static const struct ca_answer answers[] = {
        {"GET /x", 0, NULL, NULL, CA_DROP}, {"GET /x", 0, NULL, NULL, CA_ENDLESS_BODY}};
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    AW_CLEANUP(http_close) http *h = NULL;
    struct http_response response;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, answers, AW_COUNT(answers));
    open_for(&ca, &h);
    assert_false(aw_ok(get(h, &ca, "/x", &response)));
    assert_true(http_dropped(aw_error_last()));
    assert_false(aw_ok(get(h, &ca, "/x", &response)));
    assert_false(http_dropped(aw_error_last()));
}

/* TLS is verified, always. */
static const struct {
    const char *name;
    struct ca_server_options server;
    bool trusted;
    const char *words, *hint;
} tls_rows[] = {
    {"roots are not known", {NULL, false}, false, "certificate", "--ca-file"},
    {"a certificate for another name", {"DNS:ca.example.edu", false}, true, "127.0.0.1",
        "do not go on"},
    {"nothing above TLS 1.1", {NULL, true}, true, "/x: ", "TLS 1.2 or later"},
};

static void
verifies_tls(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(tls_rows); i++) {
        AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
        AW_CLEANUP(http_close) http *h = NULL;
        AW_CLEANUP(http_response_free) struct http_response response = {0};

        scripted_ca_start(&ca, &tls_rows[i].server);
        scripted_ca_load(&ca, NULL, 0);
        assert_true(aw_ok(http_open(
            &(struct http_options){.ca_file = tls_rows[i].trusted ? ca.ca_file : NULL}, &h)));
        aw_result r = get(h, &ca, "/x", &response);
        const struct aw_error *error = aw_error_last();
        if (r.code == AW_CODE_CA_UNAVAILABLE && error->cause == AW_CAUSE_CURL &&
            has(error->message, tls_rows[i].words) && has(error->hint, tls_rows[i].hint) &&
            scripted_ca_check(&ca, tls_rows[i].name))
            continue;
        failed++;
        print_error("%s: found %s: %s (%s)\n", tls_rows[i].name, aw_code_tag(r.code),
            error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

/* URLs that are never asked for, and servers that are not there. Nothing listens on port 1. */
static const struct {
    const char *name, *proxy, *url;
    enum aw_code code;
    const char *words, *hint;
} unreachable_rows[] = {
    {"http", NULL, "http://127.0.0.1/x", AW_CODE_SYNTAX, "found the URL \"http://127.0.0.1/x\"",
        "over https only"},
    {"file", NULL, "file:///etc/passwd", AW_CODE_SYNTAX, "expected https://", NULL},
    {"no scheme", NULL, "127.0.0.1/x", AW_CODE_SYNTAX, "expected https://", NULL},
    {"a line's end", NULL, "https://127.0.0.1/x\r\nHost: evil", AW_CODE_SYNTAX, "\\x0d\\x0a", NULL},
    {"a user name", NULL, "https://user@127.0.0.1:1/x", AW_CODE_CA_UNAVAILABLE,
        "https://user@127.0.0.1:1/x: ", "really the URL"},
    {"nobody listens", NULL, "https://127.0.0.1:1/x", AW_CODE_CA_UNAVAILABLE, "port 1",
        "is the CA up"},
    {"no such host", NULL, "https://ca.invalid/x", AW_CODE_CA_UNAVAILABLE, "ca.invalid", "DNS"},
    {"the proxy is used", "http://127.0.0.1:1", "https://ca.invalid/x", AW_CODE_CA_UNAVAILABLE,
        "port 1", "proxy"},
    {"no such proxy", "http://proxy.invalid:3128", "https://127.0.0.1:1/x", AW_CODE_CA_UNAVAILABLE,
        "proxy.invalid", "name of the proxy"},
};

static void
says_why_a_ca_is_not_reached(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(unreachable_rows); i++) {
        AW_CLEANUP(http_close) http *h = NULL;
        AW_CLEANUP(http_response_free) struct http_response response = {0};

        assert_true(
            aw_ok(http_open(&(struct http_options){.proxy = unreachable_rows[i].proxy}, &h)));
        aw_result r = http_request(h, HTTP_GET, unreachable_rows[i].url, NULL, &response);
        const struct aw_error *error = aw_error_last();
        if (r.code == unreachable_rows[i].code && has(error->message, unreachable_rows[i].words) &&
            has(error->hint, unreachable_rows[i].hint))
            continue;
        failed++;
        print_error("%s: found %s: %s (%s)\n", unreachable_rows[i].name, aw_code_tag(r.code),
            error->message, error->hint);
    }
    assert_int_equal(failed, 0);
}

static void
refuses_a_url_that_is_too_long(void **state)
{
    AW_CLEANUP(http_close) http *h = NULL;
    struct http_response response;
    char url[HTTP_URL_MAX + 10] = "https://127.0.0.1:1/";

    (void)state;
    memset(url + strlen(url), 'a', sizeof(url) - 1 - strlen(url));
    url[sizeof(url) - 1] = '\0';
    assert_true(aw_ok(http_open(&(struct http_options){.proxy = NULL}, &h)));
    assert_int_equal(http_request(h, HTTP_GET, url, NULL, &response).code, AW_CODE_LIMIT);
    assert_int_equal(http_requests(h), 0);
}

static void
says_what_is_wrong_with_the_ca_file(void **state)
{
    AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
    http *h = NULL;
    struct http_response response;

    (void)state;
    scripted_ca_start(&ca, NULL);
    scripted_ca_load(&ca, NULL, 0);
    assert_int_equal(http_open(&(struct http_options){.ca_file = "/nonexistent/ca.pem"}, &h).code,
        AW_CODE_NOT_FOUND);
    assert_non_null(strstr(aw_error_last()->message, "/nonexistent/ca.pem"));
    assert_non_null(strstr(aw_error_last()->hint, "--ca-file"));
    assert_null(h);
    assert_true(aw_ok(aw_file_replace(ca.ca_file, "no PEM\n", 7, 0600)));
    open_for(&ca, &h);
    assert_int_equal(get(h, &ca, "/x", &response).code, AW_CODE_CONFIG);
    assert_non_null(strstr(aw_error_last()->hint, "--ca-file"));
    http_close(&h);
    http_close(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_answers_attack_109),
        cmocka_unit_test(reads_fields),
        cmocka_unit_test(reads_a_date_to_come),
        cmocka_unit_test(reads_links),
        cmocka_unit_test(keeps_a_limited_number_of_links),
        cmocka_unit_test(sends_what_it_should),
        cmocka_unit_test(names_itself_without_being_told),
        cmocka_unit_test(takes_no_password_from_netrc),
        cmocka_unit_test(keeps_a_body_with_a_nul),
        cmocka_unit_test(tells_a_lost_connection),
        cmocka_unit_test(verifies_tls),
        cmocka_unit_test(says_why_a_ca_is_not_reached),
        cmocka_unit_test(refuses_a_url_that_is_too_long),
        cmocka_unit_test(says_what_is_wrong_with_the_ca_file),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
