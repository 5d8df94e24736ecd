/**
 * @file sockets.h
 * @brief The signer's two listening sockets: made here, or passed by the service manager.
 */
#ifndef AW_SIGNER_SOCKETS_H
#define AW_SIGNER_SOCKETS_H

#include "common/config.h"
#include "common/result.h"

/** The sockets; -1 where there is none. */
struct sockets {
    int application;
    int admin;
    char *made[2]; /**< paths of those that were made here, to be removed at the end */
};

/**
 * Takes what the service manager passed (sd_listen_fds(3): FileDescriptorName application and
 * admin, at the configured paths) and makes the rest. A socket of another name, or two of one, is
 * refused. The descriptors are the caller's to hand on. Release: sockets_end, after a failure too.
 */
AW_MUST_USE aw_result sockets_open(const struct aw_config *config, struct sockets *out);

/** Removes what was made, so that clients are told at once; closes what nobody took. */
void sockets_end(struct sockets *sockets);

#endif
