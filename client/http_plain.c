#include "client/http_plain.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "common/io.h"

enum { RESOLVE_SIZE = 2048, ADDRESS_SIZE = 64 };

/* One transfer. */
struct get {
    const struct http_plain *asked;
    char *body;
    size_t size;
    bool too_long;
    bool refused; /* an address was not let */
};

static void
free_easy(CURL **easy)
{
    curl_easy_cleanup(*easy);
}

static void
free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static size_t
take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct get *get = context;

    (void)one;
    if (size > HTTP_PLAIN_BODY_MAX - get->size) {
        get->too_long = true;
        return 0;
    }
    memcpy(get->body + get->size, bytes, size);
    get->size += size;
    return size;
}

/* Whatever was resolved, by whom and for which redirect: this is where it would be connected to. */
static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct get *get = context;

    (void)purpose;
    if (!get->asked->may_connect(get->asked->context, &address->addr)) {
        get->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool
is_numeric_6(const char *host)
{
    return strchr(host, ':') != NULL;
}

/* "host:port:address,address": libcurl asks no resolver for it. */
static aw_result
write_resolve(const struct http_plain *asked, struct curl_slist **out)
{
    char text[RESOLVE_SIZE];
    int used = snprintf(text, sizeof(text), "%s:%u:", asked->host, asked->port);

    for (size_t i = 0; i < asked->count; i++) {
        char address[ADDRESS_SIZE];
        const struct sockaddr *at = (const struct sockaddr *)&asked->addresses[i];
        socklen_t size =
            at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (getnameinfo(at, size, address, sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
            return aw_fail(AW_CODE_INTERNAL, "an address that can't be written");
        used +=
            snprintf(text + used, sizeof(text) - (size_t)used, "%s%s", i > 0 ? "," : "", address);
        if ((size_t)used >= sizeof(text))
            return aw_fail(AW_CODE_LIMIT, "too many addresses");
    }
    *out = curl_slist_append(NULL, text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

#define SET(option, value)                                    \
    do {                                                      \
        if (code == CURLE_OK)                                 \
            code = curl_easy_setopt(easy, (option), (value)); \
    } while (0)

static CURLcode
set_up(CURL *easy, struct get *get, const char *url, struct curl_slist *resolve)
{
    CURLcode code = CURLE_OK;

    SET(CURLOPT_URL, url);
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, (long)HTTP_PLAIN_REDIRECTS_MAX);
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_TIMEOUT, (long)HTTP_PLAIN_SECONDS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_USERAGENT, "acmeward-relay/" ACMEWARD_VERSION);
    if (resolve != NULL)
        SET(CURLOPT_RESOLVE, resolve);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, get);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, get);
    return code;
}

static aw_result
judge(const struct get *get, const char *url, CURLcode code, const char *words)
{
    if (code == CURLE_OK)
        return AW_OK;
    if (get->too_long)
        return aw_fail(
            AW_CODE_LIMIT, "%s: the answer is longer than %d octets", url, HTTP_PLAIN_BODY_MAX);
    if (get->refused)
        return aw_fail(AW_CODE_PERMISSION,
            "%s leads to an address outside the networks that may be validated, or to a port "
            "that is no web server's",
            url);
    return aw_fail_cause(code == CURLE_OPERATION_TIMEDOUT ? AW_CODE_TIMEOUT : AW_CODE_IO,
        AW_CAUSE_CURL, (unsigned long)code, "%s: %s", url,
        words[0] != '\0' ? words : curl_easy_strerror(code));
}

aw_result
http_plain_get(
    const struct http_plain *asked, long *status, char body[HTTP_PLAIN_BODY_MAX + 1], size_t *size)
{
    AW_CLEANUP(free_easy) CURL *easy = curl_easy_init();
    AW_CLEANUP(free_list) struct curl_slist *resolve = NULL;
    AW_CLEANUP(aw_free) char *url = NULL;
    struct get get = {.asked = asked, .body = body};
    char words[CURL_ERROR_SIZE] = "";
    bool bracketed = is_numeric_6(asked->host);

    if (easy == NULL)
        return aw_fail_memory();
    AW_TRY(aw_format(&url, "http://%s%s%s:%u%s", bracketed ? "[" : "", asked->host,
        bracketed ? "]" : "", asked->port, asked->path));
    if (!bracketed)
        AW_TRY(write_resolve(asked, &resolve));
    CURLcode code = set_up(easy, &get, url, resolve);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words);
    if (code == CURLE_OK)
        code = curl_easy_perform(easy);
    AW_TRY(judge(&get, url, code, words));
    body[get.size] = '\0';
    *size = get.size;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
    return AW_OK;
}
