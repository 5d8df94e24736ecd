/**
 * @file http_plain.h
 * @brief A GET by plain HTTP for who validates http-01 (RFC 8555 8.3): to given addresses, and to
 * no other host than the caller lets.
 *
 * Redirects are followed, also to https, where no certificate is looked at (RFC 8555 8.3). Each
 * address that is connected to, those of redirects too, is put before `may_connect`.
 */
#ifndef AW_CLIENT_HTTP_PLAIN_H
#define AW_CLIENT_HTTP_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/result.h"

/** Limits. */
enum {
    HTTP_PLAIN_BODY_MAX = 4096, /**< octets; more is a failure */
    HTTP_PLAIN_REDIRECTS_MAX = 10,
    HTTP_PLAIN_SECONDS = 10,
};

/** What to ask. */
struct http_plain {
    const char *host; /**< name, or numeric address without brackets */
    unsigned port;
    const char *path;                         /**< with its "/" */
    const struct sockaddr_storage *addresses; /**< of the host, tried in order */
    size_t count;
    bool (*may_connect)(void *context, const struct sockaddr *address);
    void *context;
};

/**
 * Asks.
 * @param[out] body NUL-terminated
 * @return AW_CODE_PERMISSION: an address was not let; AW_CODE_TIMEOUT, AW_CODE_IO, AW_CODE_LIMIT
 */
AW_MUST_USE aw_result http_plain_get(
    const struct http_plain *asked, long *status, char body[HTTP_PLAIN_BODY_MAX + 1], size_t *size);

#endif
