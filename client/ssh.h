/**
 * @file ssh.h
 * @brief One ssh process, whose standard streams are joined to the signer of another host.
 *
 * ssh authenticates both sides, by the configuration and the known hosts of this user; the account
 * that is logged in to is the application's identity there. What ssh says is kept for the moment
 * when the connection ends. Not for use by two threads at once.
 */
#ifndef AW_CLIENT_SSH_H
#define AW_CLIENT_SSH_H

#include "common/result.h"
#include "common/varlink.h"

/** Longest time for ssh to reach the host and to log in, in seconds; an answer is waited for
 * longer. */
enum { SSH_CONNECT_TIMEOUT_S = 20 };

/** Which signer, and the way to it. */
struct ssh_place {
    const char *url;     /**< client/ssh_url.h */
    const char *config;  /**< file for ssh -F; NULL: the user's and the system's */
    const char *control; /**< socket of a connection to go through (client/ssh_master.h), where it
                            is there; NULL: a connection of its own */
};

/** A running ssh. */
typedef struct ssh_process ssh_process;

/**
 * Starts ssh. It connects meanwhile: whether it came through is seen from the stream.
 * @param[out] stream to the signer; close it before ssh_process_end
 */
AW_MUST_USE aw_result ssh_process_start(
    const struct ssh_place *place, ssh_process **out, aw_varlink_stream **stream);

/** Waits a little for ssh to end, ends it if it does not, releases, nulls; NULL is allowed. */
void ssh_process_end(ssh_process **process);

/**
 * The same after the connection ended unasked: fails with AW_CODE_UNAVAILABLE, ssh's own words and
 * what to do about them.
 */
AW_MUST_USE aw_result ssh_process_explain(ssh_process **process);

#endif
