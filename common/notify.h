/**
 * @file notify.h
 * @brief Tells the service manager how the signer is (sd_notify(3), "Notification Protocol").
 *
 * sd_notify() makes a socket for each message, which the core cannot: this one is made before.
 */
#ifndef AW_COMMON_NOTIFY_H
#define AW_COMMON_NOTIFY_H

/** Once, before threads: makes the socket, if the service manager wants to know. */
void notify_open(void);

/** Sends it, for example "READY=1"; nothing where nobody wants to know. */
void notify_send(const char *state);

#endif
