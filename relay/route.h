/**
 * @file route.h
 * @brief The table of what the server answers: method, path, who must have signed, who answers,
 * and where that runs. What is not in the table is refused.
 */
#ifndef AW_RELAY_ROUTE_H
#define AW_RELAY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "relay/message.h"

struct relay_call;

/** Limits. */
enum {
    RELAY_NUMBERS_MAX = 2, /**< numbers of a path */
    RELAY_WORD_SIZE = 129, /**< text of a path's word, with its NUL */
};

/** Patterns that the core of the server knows by name. */
#define RELAY_NONCE_PATTERN "/acme/new-nonce"
#define RELAY_ACCOUNT_PATTERN "/acme/account/#"

/** Who must have signed a request (RFC 8555 6.2). */
enum relay_authentication {
    RELAY_NO_SIGNATURE, /**< GET and HEAD */
    RELAY_BY_KEY,       /**< the key in the request's header (jwk): new-account */
    RELAY_BY_ACCOUNT,   /**< an account that is active (kid) */
    RELAY_BY_EITHER,    /**< an account that is active, or a key in the header: revoke-cert */
};

/** Where a handler runs. */
enum relay_place {
    RELAY_ON_LOOP,   /**< it never waits: on the event loop */
    RELAY_ON_WORKER, /**< it may wait for the signer, a disk, a CA */
};

/** Answers a request: fills call->response, or fails. */
typedef aw_result (*relay_handler)(struct relay_call *call);

/**
 * One row. Segments of the pattern: text, "#" (a decimal number from 1, without leading zeros),
 * "!" (a challenge's type), "*" (a word of A-Z a-z 0-9 . _ -).
 */
struct relay_route {
    enum relay_method method; /**< RELAY_GET takes HEAD too */
    const char *pattern;      /**< path below the base URL */
    enum relay_authentication authentication;
    enum relay_place place;
    relay_handler handler;
};

/** What a path held. */
struct relay_match {
    const struct relay_route *route; /**< NULL: none has this method */
    bool known;                      /**< some route has the path */
    const char *allow;               /**< for an Allow field: the methods that the path has */
    int64_t numbers[RELAY_NUMBERS_MAX];
    char word[RELAY_WORD_SIZE]; /**< the "!" or "*" */
};

/** Matches a path below the base URL, query cut off. */
void relay_route_find(enum relay_method method, const char *path, struct relay_match *out);

/** Matches a path with one pattern; numbers and word of *out are filled. */
bool relay_path_matches(const char *pattern, const char *path, struct relay_match *out);

/** The table. */
extern const struct relay_route relay_routes[];
extern const size_t relay_route_count;

#endif
