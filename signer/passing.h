/**
 * @file passing.h
 * @brief Octets with descriptors over a Unix socket (SCM_RIGHTS): what a gate passes to the core.
 */
#ifndef AW_SIGNER_PASSING_H
#define AW_SIGNER_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/result.h"

/** Limits. */
enum { PASSING_MAX = 2 }; /**< descriptors of one message */

/** What came. */
struct passing {
    int fds[PASSING_MAX]; /**< the taker's to close; -1: none */
    size_t count;
    bool truncated; /**< the kernel held descriptors back: none are left in this process */
};

/** Sends one octet with `count` descriptors, at most PASSING_MAX; 1, or -1 with errno. */
ssize_t passing_send(int socket, char octet, const int *fds, size_t count);

/** Takes up to `size` octets and what came with them; more descriptors are closed. As recvmsg. */
ssize_t passing_take(int socket, char *octets, size_t size, struct passing *out);

/**
 * Checks what a gate passed: a connected stream that was accepted at its own socket, and a channel.
 * @param path of the gate's listening socket
 * @param name of its service, for the error
 * @return AW_CODE_MISMATCH: no gate of ours passes that
 */
AW_MUST_USE aw_result passing_check(
    int connection, int channel, const char *path, const char *name);

#endif
