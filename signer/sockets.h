/**
 * @file sockets.h
 * @brief The signer's two listening sockets: made here, or passed by the service manager.
 */
#ifndef AW_SIGNER_SOCKETS_H
#define AW_SIGNER_SOCKETS_H

#include <sys/types.h>

#include "common/config.h"
#include "common/result.h"

/**
 * Makes a Unix socket at `path`: the folder must be owned by root or us and not be writable by
 * others; a stale socket is replaced, anything else at the path is refused (attack 97), and so is a
 * socket that somebody listens on; the mode is set before anybody can connect.
 */
AW_MUST_USE aw_result sockets_listen(const char *path, mode_t mode, int *fd);

/** Checks a socket that the service manager passed: a listening Unix stream socket at `path`. */
AW_MUST_USE aw_result sockets_check_passed(int fd, const char *path);

/** The sockets; -1 where there is none. */
struct sockets {
    int application;
    int admin;
    char *made[2]; /**< paths of those that were made here, to be removed at the end */
};

/**
 * Takes what the service manager passed (sd_listen_fds(3): FileDescriptorName application and
 * admin, at the configured paths) and makes the rest. A socket of another name, or two of one, is
 * refused. Nobody can connect yet to those that are made. The descriptors are the caller's to hand
 * on. Release: sockets_end, after a failure too.
 */
AW_MUST_USE aw_result sockets_open(const struct aw_config *config, struct sockets *out);

/** From now on everybody can connect. */
AW_MUST_USE aw_result sockets_begin(const struct sockets *sockets);

/** Removes what was made, so that clients are told at once; closes what nobody took. */
void sockets_end(struct sockets *sockets);

#endif
