/**
 * @file passing.h
 * @brief Octets with descriptors over a Unix socket (SCM_RIGHTS).
 */
#ifndef AW_SIGNER_PASSING_H
#define AW_SIGNER_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

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

#endif
