/**
 * @file connections.h
 * @brief The core's side of a gate: whose connections there are, what they ask, what is answered.
 *
 * A gate passes connections (channel.h). Identity is taken from the connection itself, never from
 * the gate; a call is worth what its connection's peer may do; the answer is written into the
 * connection, so a gate sees none. A gate that sends what no gate sends is killed. One thread per
 * connection up to named limits (gate.h).
 */
#ifndef AW_SIGNER_CONNECTIONS_H
#define AW_SIGNER_CONNECTIONS_H

#include <stdint.h>

#include "common/result.h"
#include "common/varlink.h"
#include "signer/core.h"
#include "signer/gate.h"
#include "signer/grounds.h"
#include "signer/leaving.h"
#include "signer/peer.h"

/** An answer to a call. */
struct gate_answer {
    char *reply; /**< allocated; NULL where it failed */
    bool light;  /**< the call went on no record and was not counted as if it had, so nothing but
                      processor time was its price */
    struct leave leave; /**< ended when the reply has been sent */
};

/** What is served at a gate. */
struct gate_service {
    const char *name; /**< for the log: "applications", "administrators" */
    /** Says why the peer has business here; one without grounds is dropped at accept. Must not
     * block. */
    void (*grounds)(struct core *core, const struct peer *peer, struct grounds *out);
    /** NULL: no answers are held back. Else: true for one whose answers all are, a little, while
     * others are connected. Those to light calls are where the peer's uid has more connections than
     * it may have calls at once. */
    bool (*is_paced)(struct core *core, const struct peer *peer);
    /** Answers one call. */
    aw_result (*answer)(struct core *core, const struct peer *peer,
        const struct aw_varlink_call *call, struct gate_answer *out);
    /** The error reply to a message that is no call. Uses the thread's last failure. */
    aw_result (*answer_garbage)(struct core *core, const struct peer *peer, char **reply);
    /** The error reply to a call whose answer failed, or is too long, and to a peer for which there
     * is no connection left. Likewise. */
    aw_result (*answer_failure)(char **reply);
    struct gate_limits limits;
};

/** Where the gate's sockets come from. */
struct gate_source {
    /** Waits for the socket to the gate, each time it was started; AW_CODE_CLOSED: there will be
     * none any more, or stop_fd is readable. */
    aw_result (*next)(void *context, int stop_fd, int *out);
    /** Kills the gate. */
    void (*kill)(void *context);
    void *context;
};

/** What connections are of. Core, service and source outlive them. */
struct connections_of {
    struct core *core; /**< NULL in tests whose service needs none */
    const struct gate_service *service;
    struct gate_source source;
    const char *path; /**< of the gate's listening socket: a connection must have come by it; copied
                       */
};

/** The connections of a gate (struct connections). */
typedef struct connections connections;

/** Begins to take connections. Release: connections_stop. */
AW_MUST_USE aw_result connections_start(const struct connections_of *of, connections **out);

/**
 * Tells the gate that it is the end, takes what it still passes, lets calls in progress finish,
 * closes, nulls; NULL is allowed. The source must start no gate any more.
 */
void connections_stop(connections **slot);

/** Readable from when a gate has accepted for the first time. The descriptor stays theirs. */
int connections_open_fd(const connections *c);

/** How long there has been no gate that accepts, in milliseconds; 0: there is one. Who connects
 * meanwhile waits in the kernel. */
int64_t connections_away_ms(connections *c);

#endif
