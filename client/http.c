#include "client/http.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/http_internal.h"
#include "common/io.h"
#include "common/log.h"

enum { BODY_FIRST = 4096 }; /* octets that a body is given at first */

struct http {
    CURL *easy;
    struct curl_slist *get_fields;
    struct curl_slist *post_fields;
    size_t requests;
    bool hashed_roots; /* the system's bundle of roots was not read */
    bool (*stop)(void);
    char words[CURL_ERROR_SIZE]; /* libcurl's own, of the last failure */
};

/* Why one of our callbacks ended a transfer. */
enum fault {
    FAULT_NONE,
    FAULT_BODY,
    FAULT_HEADERS,
    FAULT_MEMORY,
};

/* One transfer, for the callbacks. */
struct transfer {
    struct http_response *out;
    size_t capacity; /* of the body, with its NUL */
    size_t header_octets;
    enum fault fault;
};

/* Opening. */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_state;

static void
init_curl(void)
{
    curl_state = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t
refuse_part(struct transfer *t, enum fault fault)
{
    t->fault = fault;
    return 0;
}

static bool
body_reserve(struct transfer *t, size_t needed)
{
    size_t capacity = t->capacity == 0 ? BODY_FIRST : t->capacity;

    if (needed <= t->capacity)
        return true;
    while (capacity < needed)
        capacity *= 2;
    char *body = realloc(t->out->body, capacity);
    if (body == NULL)
        return false;
    t->out->body = body;
    t->capacity = capacity;
    return true;
}

static size_t
take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct transfer *t = context;

    (void)one;
    if (size > HTTP_BODY_MAX - t->out->size)
        return refuse_part(t, FAULT_BODY);
    if (!body_reserve(t, t->out->size + size + 1))
        return refuse_part(t, FAULT_MEMORY);
    memcpy(t->out->body + t->out->size, bytes, size);
    t->out->size += size;
    return size;
}

static size_t
take_header(char *bytes, size_t one, size_t size, void *context)
{
    struct transfer *t = context;

    (void)bytes;
    (void)one;
    t->header_octets += size;
    if (t->header_octets > HTTP_HEADERS_MAX)
        return refuse_part(t, FAULT_HEADERS);
    return size;
}

#define SET(option, value)                                    \
    do {                                                      \
        if (code == CURLE_OK)                                 \
            code = curl_easy_setopt(easy, (option), (value)); \
    } while (0)

/* libcurl asks several times a second, also while it waits (CURLOPT_XFERINFOFUNCTION). */
static int
ask_to_stop(void *context, curl_off_t all, curl_off_t now, curl_off_t all_up, curl_off_t now_up)
{
    const http *h = context;

    (void)all;
    (void)now;
    (void)all_up;
    (void)now_up;
    return h->stop() ? 1 : 0;
}

/* Verification is not a setting: nothing turns it off. */
static CURLcode
set_security(CURL *easy)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    return code;
}

/* HTTP/1.1: requests go one after the other, so HTTP/2 has nothing to give. */
static CURLcode
set_behaviour(CURL *easy, long total_seconds)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_PATH_AS_IS, 1L); /* a URL that was signed is sent byte for byte */
    SET(CURLOPT_CONNECTTIMEOUT, (long)HTTP_CONNECT_SECONDS);
    SET(CURLOPT_TIMEOUT, total_seconds);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)HTTP_STALL_RATE);
    SET(CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_SECONDS);
    SET(CURLOPT_MAXFILESIZE, (long)HTTP_BODY_MAX);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    return code;
}

/*
 * The system's roots are there twice: a folder in which OpenSSL finds the one it needs by its
 * name's hash, and a bundle of all, which costs some 50 ms to read. The bundle is asked second.
 */
static CURLcode
leave_bundle(http *h)
{
    const curl_version_info_data *built = curl_version_info(CURLVERSION_NOW);

    if (built->capath == NULL || built->cainfo == NULL)
        return CURLE_OK;
    h->hashed_roots = true;
    return curl_easy_setopt(h->easy, CURLOPT_CAINFO, NULL);
}

static CURLcode
take_bundle(http *h)
{
    h->hashed_roots = false;
    return curl_easy_setopt(h->easy, CURLOPT_CAINFO, curl_version_info(CURLVERSION_NOW)->cainfo);
}

/* With roots of its own a CA is not trusted through the system's: CAPATH has a default too. */
static CURLcode
set_options(CURL *easy, const struct http_options *options, const char *agent)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_USERAGENT, agent);
    if (options->ca_file != NULL) {
        SET(CURLOPT_CAINFO, options->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (options->proxy != NULL)
        SET(CURLOPT_PROXY, options->proxy);
    return code;
}

static CURLcode
set_stop(http *h, bool (*stop)(void))
{
    CURL *easy = h->easy;
    CURLcode code = CURLE_OK;

    h->stop = stop;
    if (stop != NULL) {
        SET(CURLOPT_XFERINFOFUNCTION, ask_to_stop);
        SET(CURLOPT_XFERINFODATA, h);
        SET(CURLOPT_NOPROGRESS, 0L);
    }
    return code;
}

static aw_result
check_ca_file(const char *path)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    if (path == NULL)
        return AW_OK;
    return aw_hint(aw_context(aw_file_read(path, HTTP_CA_FILE_MAX, &text, &size), "the CA file"),
        "--ca-file names a file of the CA's root certificates in PEM form");
}

static aw_result
make_agent(const struct http_options *options, char **out)
{
    const char *program =
        options->user_agent != NULL ? options->user_agent : "acmeward/" ACMEWARD_VERSION;

    return aw_format(out, "%s libcurl/%s", program, curl_version_info(CURLVERSION_NOW)->version);
}

static bool
add_field(struct curl_slist **list, const char *field)
{
    struct curl_slist *longer = curl_slist_append(*list, field);

    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

/* RFC 8555 6.1: a client should say which language it wants problems in; 6.2: the media type.
 * Expect is taken away: its wait is of no use for small bodies. */
static aw_result
make_fields(http *h)
{
    static const char language[] = "Accept-Language: en";

    if (!add_field(&h->get_fields, language) || !add_field(&h->post_fields, language) ||
        !add_field(&h->post_fields, "Content-Type: application/jose+json") ||
        !add_field(&h->post_fields, "Expect:"))
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
set_up(http *h, const struct http_options *options)
{
    AW_CLEANUP(aw_free) char *agent = NULL;
    long total = options->total_seconds > 0 ? options->total_seconds : HTTP_TOTAL_SECONDS;

    AW_TRY(make_agent(options, &agent));
    CURLcode code = set_security(h->easy);
    if (code == CURLE_OK)
        code = set_behaviour(h->easy, total);
    if (code == CURLE_OK)
        code = set_options(h->easy, options, agent);
    if (code == CURLE_OK && options->ca_file == NULL)
        code = leave_bundle(h);
    if (code == CURLE_OK)
        code = set_stop(h, options->stop);
    if (code == CURLE_OK)
        code = curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->words);
    if (code == CURLE_OUT_OF_MEMORY)
        return aw_fail_memory();
    if (code != CURLE_OK)
        return aw_hint(aw_fail_cause(AW_CODE_UNSUPPORTED, AW_CAUSE_CURL, (unsigned long)code,
                           "libcurl can't be set up: %s", curl_easy_strerror(code)),
            "libcurl 7.85 or later with OpenSSL is needed");
    return AW_OK;
}

aw_result
http_open(const struct http_options *options, http **out)
{
    AW_CLEANUP(http_close) http *h = NULL;

    pthread_once(&curl_once, init_curl);
    if (curl_state != CURLE_OK)
        return aw_fail_cause(AW_CODE_UNSUPPORTED, AW_CAUSE_CURL, (unsigned long)curl_state,
            "libcurl does not start: %s", curl_easy_strerror(curl_state));
    AW_TRY(check_ca_file(options->ca_file));
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return aw_fail_memory();
    h->easy = curl_easy_init();
    if (h->easy == NULL)
        return aw_fail_memory();
    AW_TRY(make_fields(h));
    AW_TRY(set_up(h, options));
    *out = AW_MOVE(h);
    return AW_OK;
}

void
http_close(http **h)
{
    if (*h == NULL)
        return;
    curl_easy_cleanup((*h)->easy);
    curl_slist_free_all((*h)->get_fields);
    curl_slist_free_all((*h)->post_fields);
    free(*h);
    *h = NULL;
}

size_t
http_requests(const http *h)
{
    return h->requests;
}

/* Requests. */

/* What is not printable ASCII never reaches a request line; parsers of URLs disagree on "\\". */
aw_result
http_url_check(const char *url)
{
    char shown[256];
    size_t length = strnlen(url, HTTP_URL_MAX + 1);

    if (length > HTTP_URL_MAX)
        return aw_fail(AW_CODE_LIMIT, "a URL of more than %d characters", HTTP_URL_MAX);
    bool plain = strncmp(url, "https://", strlen("https://")) == 0;
    for (size_t i = 0; i < length; i++)
        plain = plain && url[i] > ' ' && url[i] < 0x7f && url[i] != '\\';
    if (plain)
        return AW_OK;
    aw_log_escape(url, length, shown, sizeof(shown));
    return aw_hint(aw_fail(AW_CODE_SYNTAX,
                       "found the URL \"%s\", expected https:// and printable "
                       "ASCII characters",
                       shown),
        "CAs are spoken to over https only");
}

static CURLcode
set_method(http *h, enum http_method method, const char *body)
{
    CURL *easy = h->easy;
    CURLcode code = CURLE_OK;

    switch (method) {
    case HTTP_GET:
        SET(CURLOPT_HTTPGET, 1L);
        break;
    case HTTP_HEAD:
        SET(CURLOPT_HTTPGET, 1L);
        SET(CURLOPT_NOBODY, 1L);
        break;
    case HTTP_POST:
        SET(CURLOPT_NOBODY, 0L);
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, body);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        break;
    }
    SET(CURLOPT_HTTPHEADER, method == HTTP_POST ? h->post_fields : h->get_fields);
    return code;
}

static aw_result
transfer_failed(
    const http *h, const struct transfer *t, const struct http_asked *asked, CURLcode code)
{
    static const char not_a_ca[] = "no CA answers like that: is this really one?";

    switch (t->fault) {
    case FAULT_NONE:
        return http_fail(asked, code, h->words);
    case FAULT_BODY:
        return aw_hint(aw_fail(AW_CODE_LIMIT, "%s %s: the answer has more than %d octets",
                           asked->method, asked->url, HTTP_BODY_MAX),
            not_a_ca);
    case FAULT_HEADERS:
        return aw_hint(aw_fail(AW_CODE_LIMIT, "%s %s: the answer's header has more than %d octets",
                           asked->method, asked->url, HTTP_HEADERS_MAX),
            not_a_ca);
    case FAULT_MEMORY:
        return aw_fail_memory();
    }
    return aw_fail(AW_CODE_INTERNAL, "fault %d of a transfer", (int)t->fault);
}

static aw_result
perform(http *h, struct transfer *t, const struct http_asked *asked)
{
    CURL *easy = h->easy;
    CURLcode code = CURLE_OK;

    h->words[0] = '\0';
    SET(CURLOPT_URL, asked->url);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERDATA, t);
    if (code != CURLE_OK)
        return http_fail(asked, code, h->words);
    h->requests++;
    code = curl_easy_perform(easy);
    if (code == CURLE_PEER_FAILED_VERIFICATION && h->hashed_roots) {
        /* Nothing was asked yet. */
        code = take_bundle(h);
        if (code == CURLE_OK)
            code = curl_easy_perform(easy);
    }
    if (code != CURLE_OK)
        return transfer_failed(h, t, asked, code);
    if (!body_reserve(t, t->out->size + 1))
        return aw_fail_memory();
    t->out->body[t->out->size] = '\0';
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &t->out->status);
    return AW_OK;
}

/* RFC 8555 has no redirects: each request is signed for its URL. */
static aw_result
refuse_redirect(const struct http_response *response, const struct http_asked *asked)
{
    char target[512] = "nowhere";

    if (response->status < 300 || response->status > 399)
        return AW_OK;
    if (response->location != NULL)
        aw_log_escape(response->location, strlen(response->location), target, sizeof(target));
    return aw_hint(
        aw_fail_cause(AW_CODE_CA_UNAVAILABLE, AW_CAUSE_HTTP, (unsigned long)response->status,
            "%s %s: redirected (HTTP %ld) to %s, which is not followed", asked->method, asked->url,
            response->status, target),
        "if the CA has moved, an administrator names and pins its new directory");
}

static http_tracer tracer;
static void *tracer_context;

void
http_trace(http_tracer wanted, void *context)
{
    tracer = wanted;
    tracer_context = context;
}

static const char *const method_names[] = {
    [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST"};

static aw_result
make_request(
    http *h, enum http_method method, const char *url, const char *body, struct http_response *out)
{
    AW_CLEANUP(http_response_free) struct http_response response = {.retry_after = -1};
    struct transfer t = {.out = &response};
    struct http_asked asked = {method_names[method], url};
    CURLcode code = set_method(h, method, body);

    if (code != CURLE_OK)
        return http_fail(&asked, code, "");
    AW_TRY(perform(h, &t, &asked));
    AW_TRY(http_fields_read(h->easy, &asked, &response));
    AW_TRY(refuse_redirect(&response, &asked));
    *out = response;
    memset(&response, 0, sizeof(response));
    return AW_OK;
}

aw_result
http_request(
    http *h, enum http_method method, const char *url, const char *body, struct http_response *out)
{
    int64_t began = aw_now_ms();

    memset(out, 0, sizeof(*out));
    AW_TRY(http_url_check(url));
    aw_result r = make_request(h, method, url, body, out);
    if (tracer == NULL)
        return r;
    struct aw_error error;
    aw_error_save(&error);
    tracer(&(struct http_exchange){method_names[method], url, body, aw_ok(r) ? out : NULL,
               error.message, aw_now_ms() - began},
        tracer_context);
    return aw_ok(r) ? r : aw_error_restore(&error);
}

void
http_response_free(struct http_response *response)
{
    free(response->body);
    free(response->content_type);
    free(response->location);
    free(response->nonce);
    for (size_t i = 0; i < response->link_count; i++) {
        free(response->links[i].url);
        free(response->links[i].rel);
    }
    memset(response, 0, sizeof(*response));
}
