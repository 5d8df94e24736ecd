/**
 * @file keeper.h
 * @brief The keeper: a child that starts the gates, and starts them anew when they end.
 *
 * The core must not fork once it has logged in to the token, nor make sockets. So a child is forked
 * before anything is opened; it gets the listening sockets, makes the sockets between gates and
 * core, and executes acmeward-gate. It holds nothing else.
 */
#ifndef AW_SIGNER_KEEPER_H
#define AW_SIGNER_KEEPER_H

#include <stdbool.h>

#include "common/config.h"
#include "common/result.h"

/** The gates. */
enum keeper_gate { KEEPER_APPLICATIONS, KEEPER_ADMINISTRATORS, KEEPER_GATES };

/** What they are called, in the order of the enum; acmeward-gate's argument. */
#define KEEPER_GATE_NAMES                \
    {                                    \
        "applications", "administrators" \
    }

/** Arguments of acmeward-gate that follow its name, where the configuration says so. */
#define KEEPER_NO_SECCOMP "no-seccomp"
#define KEEPER_NO_LANDLOCK "no-landlock"

/** Descriptors that a gate begins with, besides standard error. */
enum {
    KEEPER_LISTEN_FD = 3, /**< listening socket */
    KEEPER_CORE_FD = 4,   /**< socket to the core (SOCK_SEQPACKET) */
};

/** How soon a gate that ended is started anew: at once, then later each time. */
enum {
    KEEPER_PAUSE_MS = 20,           /**< after the first end; doubled after each further one */
    KEEPER_PAUSE_MAX_MS = 5 * 1000, /**< at most */
    KEEPER_CALM_MS = 60 * 1000, /**< a gate that lived longer begins with the first pause again */
};

/** The keeper, as the core sees it. */
typedef struct keeper keeper;

/** Forks it, confined (confine.h), as its gates are; before any thread, and before anything is
 * opened. Release: keeper_stop. */
AW_MUST_USE aw_result keeper_start(const struct aw_config_sandbox *use, keeper **out);

/** Hands a listening socket over (the descriptor is closed here) and has its gate started. */
AW_MUST_USE aw_result keeper_open_gate(keeper *k, enum keeper_gate gate, int *listen_fd);

/**
 * Waits for the socket to the gate, each time it was started.
 * @param stop_fd ends the wait when it is readable: AW_CODE_CLOSED, as when the keeper is gone
 */
AW_MUST_USE aw_result keeper_next(keeper *k, enum keeper_gate gate, int stop_fd, int *out);

/** Kills a gate that sent what no gate sends; it is started anew. */
void keeper_kill_gate(keeper *k, enum keeper_gate gate);

/** From now on a gate that ends is not started anew. */
void keeper_retire_gate(keeper *k, enum keeper_gate gate);

/** True when the keeper has ended by itself. */
bool keeper_gone(const keeper *k);

/** Ends the keeper, waits for it and its gates, nulls; NULL is allowed. */
void keeper_stop(keeper **slot);

#endif
