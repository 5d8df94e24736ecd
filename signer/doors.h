/**
 * @file doors.h
 * @brief Both listening sockets with their gates: from the first that connects to the last.
 *
 * The sockets are the keeper's while its gates come and go, so who connects meanwhile waits in the
 * kernel and is served by the next gate. A gate's first word is that it accepts (channel.h).
 */
#ifndef AW_SIGNER_DOORS_H
#define AW_SIGNER_DOORS_H

#include <poll.h>
#include <stddef.h>

#include "common/result.h"
#include "signer/connections.h"
#include "signer/keeper.h"
#include "signer/sockets.h"

/** How long a gate may be away: started, or started anew, and does not accept. */
enum { DOORS_AWAY_MS = 60 * 1000 };

/** The doors; begin with sockets of -1, and zeroes. */
struct doors {
    struct sockets sockets;
    /** A gate, as its connections see it. */
    struct door {
        keeper *keeper;
        enum keeper_gate gate;
        connections *connections;
    } items[KEEPER_GATES];
};

/** Listens, and has both gates started. Release: doors_close, after a failure too. */
AW_MUST_USE aw_result doors_open(struct core *core, keeper *k, struct doors *doors);

/**
 * Those of which no gate has accepted yet, to be polled.
 * @return how many; 0: whoever connects is served
 */
size_t doors_awaited(const struct doors *doors, struct pollfd out[KEEPER_GATES]);

/** AW_CODE_INTERNAL: a gate is away for longer than DOORS_AWAY_MS, and nobody is served there. */
AW_MUST_USE aw_result doors_check(const struct doors *doors);

/** Removes the sockets, lets calls in progress finish. */
void doors_close(struct doors *doors);

#endif
