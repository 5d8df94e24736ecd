/**
 * @file http.h
 * @brief HTTPS to a CA over libcurl: one reused connection, verification always on, every size
 * capped.
 *
 * Redirects are never followed (RFC 8555 has none; a redirect from a CA is an error that names
 * where it pointed). Proxies as curl knows them (environment) or from the configuration.
 */
#ifndef AW_CLIENT_HTTP_H
#define AW_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Limits. */
enum {
    HTTP_BODY_MAX = 1024 * 1024,  /**< octets of a body (a PEM chain is far smaller) */
    HTTP_HEADERS_MAX = 64 * 1024, /**< octets of all header lines */
    HTTP_URL_MAX = 2048,
    HTTP_LINKS_MAX = 16, /**< Link header fields that are kept */
    HTTP_CONNECT_SECONDS = 20,
    HTTP_TOTAL_SECONDS = 60, /**< of one request */
    HTTP_STALL_SECONDS = 30, /**< below HTTP_STALL_RATE octets a second for that long: given up */
    HTTP_STALL_RATE = 32,
    HTTP_CA_FILE_MAX = 4 * 1024 * 1024, /**< octets of a file of roots */
};

/** How to reach CAs. Strings are copied; NULL is the default. */
struct http_options {
    const char *ca_file;    /**< PEM roots for a private CA, instead of the system's */
    const char *proxy;      /**< as curl's CURLOPT_PROXY; NULL: the environment's */
    const char *user_agent; /**< program and version, put before libcurl's; NULL: acmeward's */
    long total_seconds;     /**< of one request; 0: HTTP_TOTAL_SECONDS */
    bool (*stop)(void);     /**< asked now and then during a transfer: true ends it
                                 (AW_CODE_INTERRUPTED); NULL: nothing does */
};

/** A connection pool; for one thread at a time. */
typedef struct http http;

/** A Link header field (RFC 8288). */
struct http_link {
    char *url; /**< absolute */
    char *rel;
};

/** An answer. Members are NULL when the field was absent. */
struct http_response {
    long status;
    char *body; /**< NUL-terminated; may hold NULs before that */
    size_t size;
    char *content_type;  /**< media type in lower case, without parameters */
    char *location;      /**< absolute URL */
    char *nonce;         /**< Replay-Nonce, base64url characters only (RFC 8555 6.5.1) */
    int64_t date;        /**< of Date (RFC 9110 6.6.1), Unix seconds; 0: absent */
    int64_t retry_after; /**< seconds from now, from either form (RFC 9110 10.2.3); -1: absent */
    struct http_link links[HTTP_LINKS_MAX];
    size_t link_count;
};

/** Makes a pool. Release: http_close. */
AW_MUST_USE aw_result http_open(const struct http_options *options, http **out);

/** Closes, releases, nulls; NULL is allowed. */
void http_close(http **h);

/** Requests made so far, answered or not. */
size_t http_requests(const http *h);

/** Refuses a URL that is not https, not printable ASCII, too long or has a backslash. */
AW_MUST_USE aw_result http_url_check(const char *url);

/** Methods. */
enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST };

/**
 * Makes a request and reads the whole answer. An HTTP error status is not a failure, but a redirect
 * is (AW_CODE_CA_UNAVAILABLE, with its target).
 * @param body for HTTP_POST: sent as application/jose+json (RFC 8555 6.2)
 * @return AW_CODE_CA_UNAVAILABLE (no connection, TLS, name), AW_CODE_TIMEOUT, AW_CODE_LIMIT, each
 * with the URL and what to do. Release: http_response_free.
 */
AW_MUST_USE aw_result http_request(
    http *h, enum http_method method, const char *url, const char *body, struct http_response *out);

/** True when a failure of http_request was a connection lost after it was made: worth a retry. */
bool http_dropped(const struct aw_error *error);

/** A request that was made, for http_trace. */
struct http_exchange {
    const char *method;
    const char *url;
    const char *body;                   /**< NULL: none */
    const struct http_response *answer; /**< NULL: none came, or none that can be used */
    const char *failure;                /**< why there is none */
    int64_t milliseconds;
};

/** Is told of each request when it is over. */
typedef void (*http_tracer)(const struct http_exchange *exchange, void *context);

/** Has all requests of this process told, whoever opens the pool; before the first one. */
void http_trace(http_tracer tracer, void *context);

/** Releases and zeroes. */
void http_response_free(struct http_response *response);

#endif
