/**
 * @file keeper_child.h
 * @brief The keeper's own side: its loop, and how notes pass between it and the core.
 */
#ifndef AW_SIGNER_KEEPER_CHILD_H
#define AW_SIGNER_KEEPER_CHILD_H

#include <stdbool.h>

#include "signer/keeper.h"

/** What the core wants. What the keeper sends is always KEEPER_OPEN with the socket to a gate. */
enum keeper_order {
    KEEPER_OPEN = 'o', /**< with the listening socket */
    KEEPER_KILL = 'k',
    KEEPER_RETIRE = 'r',
};

/** What the keeper begins with. */
struct keeper_begin {
    int fds[KEEPER_GATES]; /**< the conversations with the core */
    struct aw_config_sandbox use;
};

/** Runs until the core's end closes, then kills the gates. `context` is a struct keeper_begin. */
int keeper_child_run(void *context);

/** Sends an octet, with a descriptor if `fd` is not negative. False: errno says why. */
bool keeper_note_send(int socket, char what, int fd);

/** Takes an octet and the descriptor with it, -1 for none. False at the end. */
bool keeper_note_take(int socket, char *what, int *fd);

#endif
