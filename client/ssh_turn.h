/**
 * @file ssh_turn.h
 * @brief Turns at logging in by ssh, for a process with many links to a signer of another host.
 *
 * sshd turns connections away while MaxStartups of them (10, see sshd_config(5)) have not logged in
 * yet. Links that log in anew at once, as after a cut, take turns therefore.
 */
#ifndef AW_CLIENT_SSH_TURN_H
#define AW_CLIENT_SSH_TURN_H

/** Logins under way at once in this process; two relays at one signer stay within MaxStartups. */
enum { SSH_TURNS = 5 };

/** Waits for a turn. */
void ssh_turn_take(void);

/** Ends it: ssh has logged in, or has failed. */
void ssh_turn_give(void);

#endif
