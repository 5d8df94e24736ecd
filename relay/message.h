/**
 * @file message.h
 * @brief One request and its response, as handlers see them: no sockets, no libevent.
 *
 * Who made a request owns it and lends it; a response is the handler's to fill and its caller's to
 * release (relay_response_free).
 */
#ifndef AW_RELAY_MESSAGE_H
#define AW_RELAY_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hex.h"
#include "common/json.h"
#include "common/result.h"

/** Limits. */
enum {
    RELAY_PATH_MAX = 512,       /**< octets of a path; longer ones are not found */
    RELAY_BODY_MAX = 64 * 1024, /**< octets of a request's body */
    RELAY_LINKS_MAX = 10,       /**< Link fields of a response, the index left out */
    RELAY_ADDRESS_SIZE = 48,    /**< text of an address, with its NUL */
    RELAY_NONCE_SIZE = 129,     /**< a nonce, with its NUL */
};

/** Methods; any other is RELAY_OTHER. */
enum relay_method { RELAY_GET, RELAY_HEAD, RELAY_POST, RELAY_OTHER };

/** "GET" ...; "" for RELAY_OTHER. */
const char *relay_method_name(enum relay_method method);

/** A request as it came. All texts are borrowed. */
struct relay_request {
    enum relay_method method;
    const char *path;         /**< as on the wire, without the query; a query is never used */
    const char *content_type; /**< NULL: none */
    const char *body;         /**< `size` octets; NULL with size 0 */
    size_t size;
    bool on_loop; /**< answered on the event loop: nothing may wait for the signer */
    char address[RELAY_ADDRESS_SIZE];            /**< the client's, numeric; IPv4 as IPv4 */
    char client_certificate[AW_DIGEST_HEX_SIZE]; /**< SHA-256 of its DER, hex; "": none shown */
};

/** A response. Zero is a response that has not been filled yet (status 0). */
struct relay_response {
    int status;
    const char *content_type; /**< static text; NULL: no body */
    char *body;               /**< allocated; NULL: none */
    size_t size;
    char *location;               /**< allocated; absolute URL */
    int64_t retry_after;          /**< seconds; 0: none */
    const char *allow;            /**< static text of an Allow field (405); NULL: none */
    char nonce[RELAY_NONCE_SIZE]; /**< Replay-Nonce; "": none */
    struct relay_link {
        char *url;            /**< allocated, absolute */
        const char *relation; /**< static: "up", "alternate" */
    } links[RELAY_LINKS_MAX];
    size_t link_count;
};

/** Releases what it owns and zeroes it. */
void relay_response_free(struct relay_response *response);

/** Empties it for another answer; the nonce stays. */
void relay_response_reset(struct relay_response *response);

/** Status and no body. */
void relay_response_empty(struct relay_response *response, int status);

/** Status and a JSON document (application/json), which is finished here. */
AW_MUST_USE aw_result relay_response_json(
    struct relay_response *response, int status, struct aw_json_writer *document);

/** Status and text of a static media type, which is copied. */
AW_MUST_USE aw_result relay_response_text(
    struct relay_response *response, int status, const char *content_type, const char *text);

/** The Location field; printf-like, absolute. */
AW_MUST_USE aw_result relay_response_location(
    struct relay_response *response, const char *format, ...) AW_PRINTF(2, 3);

/** One more Link field; AW_CODE_LIMIT when there are RELAY_LINKS_MAX. */
AW_MUST_USE aw_result relay_response_link(
    struct relay_response *response, const char *relation, const char *format, ...) AW_PRINTF(3, 4);

#endif
