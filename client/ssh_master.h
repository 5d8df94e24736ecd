/**
 * @file ssh_master.h
 * @brief One ssh connection that several processes of one run share.
 *
 * It is ssh's own multiplexing (ssh_config(5), ControlMaster): ssh_process_start with the socket of
 * this goes through it, and makes a connection of its own where it is gone. The socket is in a
 * folder that only this user may enter; connection and folder go with this process.
 */
#ifndef AW_CLIENT_SSH_MASTER_H
#define AW_CLIENT_SSH_MASTER_H

#include <stdbool.h>

#include "common/result.h"

/** A connection that is kept open. */
typedef struct ssh_master ssh_master;

/**
 * Connects and logs in, runs nothing, and waits until the others can use it.
 * @param config file for ssh -F; NULL: the user's and the system's
 * @return AW_CODE_UNAVAILABLE when it can't be had: why is for a connection of one's own to tell
 */
AW_MUST_USE aw_result ssh_master_start(const char *url, const char *config, ssh_master **out);

/** Whether the connection is still there. */
bool ssh_master_lives(const ssh_master *master);

/** The socket, for struct ssh_place. */
const char *ssh_master_socket(const ssh_master *master);

/** Ends the connection, removes the folder, releases, nulls; NULL is allowed. */
void ssh_master_end(ssh_master **master);

#endif
