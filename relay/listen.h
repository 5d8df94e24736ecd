/**
 * @file listen.h
 * @brief The listening sockets: passed by the service manager, or made here.
 */
#ifndef AW_RELAY_LISTEN_H
#define AW_RELAY_LISTEN_H

#include <stddef.h>

#include "common/result.h"
#include "relay/config.h"

enum { RELAY_SOCKETS_MAX = 32 };

/** Sockets; zero is none. Release: relay_sockets_close. */
struct relay_sockets {
    int fds[RELAY_SOCKETS_MAX];
    size_t count;
};

/**
 * Takes what the service manager passed (sd_listen_fds(3): listening TCP sockets that are named
 * "relay"), in place of `listen` of the configuration; without any, makes those. Refused: sockets
 * of another name or kind, and none at all.
 */
AW_MUST_USE aw_result relay_sockets_open(
    const struct relay_config *config, struct relay_sockets *out);

/** Closes those that nobody took. */
void relay_sockets_close(struct relay_sockets *sockets);

#endif
