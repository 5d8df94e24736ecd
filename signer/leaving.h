/**
 * @file leaving.h
 * @brief Signatures on their way out, from the last look at freezes to the peer's socket.
 *
 * What has passed that look leaves, however late its thread goes on. So a freeze is answered when
 * those that passed before it are gone: what an administrator is told to be frozen sends nothing
 * any more.
 */
#ifndef AW_SIGNER_LEAVING_H
#define AW_SIGNER_LEAVING_H

#include <pthread.h>
#include <stdbool.h>

/** All that leave. Locks itself. */
struct leaving {
    pthread_mutex_t lock, wait_lock; /* the second: one waits at a time; before the first */
    pthread_cond_t gone;
    unsigned open[2]; /* begun before the last wait, and since; or the other way round */
    unsigned side;    /* of those that begin now */
};

/** One of them; zero: none. Can be moved: whoever ends it zeroes it. */
struct leave {
    struct leaving *of;
    unsigned side;
};

/** None leaves yet. Release: leaving_destroy. */
void leaving_init(struct leaving *leaving);

/** Nobody may wait any more; one that has not ended does not matter. */
void leaving_destroy(struct leaving *leaving);

/** Begins, before the look. */
void leaving_begin(struct leaving *leaving, struct leave *out);

/** It has left, or never will. None is allowed. */
void leaving_end(struct leave *leave);

/**
 * Waits for those that have begun; others may begin meanwhile. False when one still leaves after
 * the timeout.
 */
bool leaving_wait(struct leaving *leaving, int timeout_ms);

#endif
