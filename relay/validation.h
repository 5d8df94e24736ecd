/**
 * @file validation.h
 * @brief Proof inside the network, where a policy asks for it: http-01 (RFC 8555 8.3), dns-01
 * (8.4), tls-alpn-01 (RFC 8737), made here, to addresses of the configured networks only.
 *
 * It rests on the relay's word, so it is an additional condition and never the only one.
 */
#ifndef AW_RELAY_VALIDATION_H
#define AW_RELAY_VALIDATION_H

#include <netinet/in.h>

#include "common/names.h"
#include "relay/config.h"
#include "relay/problem.h"

struct relay;

/** Limits. */
enum {
    VALIDATION_TRIES = 4,       /**< of one challenge (RFC 8555 8.2) */
    VALIDATION_AGAIN_MS = 3000, /**< between two */
    VALIDATION_SECONDS = 10,    /**< for the connections of one attempt */
    VALIDATION_ADDRESSES_MAX = 16,
};

/** One attempt; it sets `problem` where it fails with AW_CODE_REFUSED. */
struct validation {
    const struct relay_config *config;
    const struct aw_name *name;
    const char *token;
    const char *key_authorization; /**< RFC 8555 8.1 */
    struct relay_problem *problem;
    bool final;  /**< set: it is not better the next time */
    int seconds; /**< for all connections of it together */
};

/** @name One attempt of a type of challenge; AW_CODE_REFUSED with `problem`, or a failure here. @{
 */
AW_MUST_USE aw_result validation_http(struct validation *v);
AW_MUST_USE aw_result validation_dns(struct validation *v);
AW_MUST_USE aw_result validation_tls_alpn(struct validation *v);
/** @} */

/** Where the name is, as far as it may be connected to; fails when that is nowhere. */
AW_MUST_USE aw_result validation_addresses(
    struct validation *v, struct sockaddr_storage *out, size_t *count);

/**
 * Validates a challenge that is processing, and stores what came of it.
 * @param tries that were made before
 * @param[out] again try once more later
 */
AW_MUST_USE aw_result relay_validation_run(
    struct relay *relay, int64_t ticket, size_t number, unsigned tries, bool *again);

#endif
