/**
 * @file gate.h
 * @brief The signer's door: accepts connections, takes identities, reads calls, sends replies.
 *
 * One thread per connection up to named limits. The gate knows framing, limits and identity; what a
 * call means is the handler's. There are two gates, one for applications, one for administrators.
 */
#ifndef AW_SIGNER_GATE_H
#define AW_SIGNER_GATE_H

#include "common/result.h"
#include "common/varlink.h"
#include "signer/core.h"
#include "signer/peer.h"

/** Limits. */
enum {
    GATE_CONNECTIONS_MAX = 512,        /**< of one gate */
    GATE_CONNECTIONS_PER_UID_MAX = 64, /**< of one uid; more are told so and closed at accept */
    GATE_IDLE_MS = 60 * 1000,          /**< between two calls */
    GATE_MESSAGE_MS = 10 * 1000,       /**< for one whole call to arrive */
    GATE_SEND_MS = 10 * 1000,          /**< for one whole reply to leave */
    GATE_BACKLOG = 128,                /**< connections that wait to be accepted */
    GATE_STACK = 512 * 1024,           /**< octets of a connection thread's stack */
};

/** The limits of a gate. */
struct gate_limits {
    size_t connections, connections_per_uid;
    int idle_ms, message_ms, send_ms;
};

/** The limits that the signer's gates have. */
#define GATE_LIMITS                                                                               \
    {                                                                                             \
        .connections = GATE_CONNECTIONS_MAX, .connections_per_uid = GATE_CONNECTIONS_PER_UID_MAX, \
        .idle_ms = GATE_IDLE_MS, .message_ms = GATE_MESSAGE_MS, .send_ms = GATE_SEND_MS           \
    }

/** What a gate serves. */
struct gate_service {
    const char *name; /**< for the log: "applications", "administrators" */
    /** False: the peer has no business here and is dropped at accept. Must not block. */
    bool (*admits)(struct core *core, const struct peer *peer);
    /** Answers one call. */
    aw_result (*answer)(struct core *core, const struct peer *peer,
        const struct aw_varlink_call *call, char **reply);
    /** The error reply to a message that is no call. Uses the thread's last failure. */
    aw_result (*answer_garbage)(struct core *core, const struct peer *peer, char **reply);
    /** The error reply to a call whose answer failed, or is too long, and to a peer for which there
     * is no connection left. Likewise. */
    aw_result (*answer_failure)(char **reply);
    struct gate_limits limits;
};

/** An open gate (struct gate). */
struct gate;

/**
 * Makes a Unix socket at `path`: the folder must be owned by root or us and not be writable by
 * others; a stale socket is replaced, anything else at the path is refused (attack 97), and so is a
 * socket that somebody listens on; the mode is set before anybody can connect.
 */
AW_MUST_USE aw_result gate_listen(const char *path, mode_t mode, int *fd);

/** Checks a socket that the service manager passed: a listening Unix stream socket at `path`. */
AW_MUST_USE aw_result gate_check_passed(int fd, const char *path);

/** Starts to accept on `fd`, which it then owns. `service` must outlive it. Release: gate_stop. */
AW_MUST_USE aw_result gate_start(
    struct core *core, const struct gate_service *service, int fd, struct gate **out);

/** Stops accepting, lets calls in progress finish, closes, nulls; NULL is allowed. */
void gate_stop(struct gate **slot);

#endif
