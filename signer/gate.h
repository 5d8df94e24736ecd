/**
 * @file gate.h
 * @brief The gate: a process that accepts connections and parses what comes, and nothing else.
 *
 * It has a listening socket and a socket to the core; no token, no policy, no files. Each accepted
 * connection is passed to the core together with one end of a channel (channel.h), through which
 * the connection's messages then go, parsed. The core takes identities and writes the answers, into
 * the connection itself. There is one gate for applications and one for administrators.
 */
#ifndef AW_SIGNER_GATE_H
#define AW_SIGNER_GATE_H

#include <stddef.h>

#include "common/result.h"

/** Limits. */
enum {
    GATE_CONNECTIONS_MAX = 512,        /**< of one gate */
    GATE_CONNECTIONS_SPARE = 64,       /**< more that a gate holds, for the core to turn away */
    GATE_CONNECTIONS_PER_UID_MAX = 64, /**< of one uid; more are told so and closed */
    /* Of all uids that one group of a policy or role admits, and of all that one application's
     * policy does: a user can have thousands of uids (user namespaces), a group any number. */
    GATE_CONNECTIONS_PER_GROUP_MAX = 128,
    GATE_CONNECTIONS_PER_APPLICATION_MAX = 128,
    GATE_ARRIVALS_BURST = 128,      /**< connections of one uid that may come at once ... */
    GATE_ARRIVALS_PER_SECOND = 100, /**< ... and then go on so fast; more wait (arrivals.h) */
    GATE_CALLS_PER_UID = 4,      /**< that the core works on at once, of a uid that is not alone */
    GATE_TURN_MS = 30 * 1000,    /**< for a call of such a uid to have its turn */
    GATE_IDLE_MS = 60 * 1000,    /**< between two calls */
    GATE_MESSAGE_MS = 10 * 1000, /**< for one whole call to arrive */
    GATE_SEND_MS = 10 * 1000,    /**< for one whole reply to leave */
    GATE_PACE_MS = 50,        /**< before the answer to one who was refused too often, or crowds */
    GATE_LAST_MS = 10 * 1000, /**< at the end, for what has come before it to be answered */
    GATE_BACKLOG = 128,       /**< connections that wait to be accepted */
};

/** The limits of a gate, and of the core where it looks after a gate's connections. */
struct gate_limits {
    size_t connections, connections_per_uid;                   /**< the core's */
    size_t connections_per_group, connections_per_application; /**< likewise */
    unsigned calls_per_uid, turn_ms;                           /**< likewise */
    int idle_ms, message_ms;                                   /**< the gate's */
    int send_ms, pace_ms;                                      /**< the core's, which writes */
    int last_ms;                                               /**< the core's */
    unsigned burst, per_second;                                /**< the gate's; 0: any */
};

/** The limits that the signer's gates have, for so many calls of one uid at once. */
#define GATE_LIMITS(calls)                                                                        \
    {                                                                                             \
        .connections = GATE_CONNECTIONS_MAX, .connections_per_uid = GATE_CONNECTIONS_PER_UID_MAX, \
        .connections_per_group = GATE_CONNECTIONS_PER_GROUP_MAX,                                  \
        .connections_per_application = GATE_CONNECTIONS_PER_APPLICATION_MAX,                      \
        .calls_per_uid = (calls), .turn_ms = GATE_TURN_MS, .idle_ms = GATE_IDLE_MS,               \
        .message_ms = GATE_MESSAGE_MS, .send_ms = GATE_SEND_MS, .pace_ms = GATE_PACE_MS,          \
        .last_ms = GATE_LAST_MS, .burst = GATE_ARRIVALS_BURST,                                    \
        .per_second = GATE_ARRIVALS_PER_SECOND                                                    \
    }

/**
 * Says that it accepts, and serves until the core ends the conversation on `core_fd` (its end, or
 * what it no longer writes): then who has connected before is still passed on, calls that have come
 * are, and it returns. One thread per connection.
 * @param listen_fd listening, Unix, stream; both descriptors stay the caller's
 */
AW_MUST_USE aw_result gate_run(int listen_fd, int core_fd, const struct gate_limits *limits);

#endif
