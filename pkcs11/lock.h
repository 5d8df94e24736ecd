/**
 * @file lock.h
 * @brief A lock that is held over calls to the token, so waiting for it has a deadline.
 *
 * A token that hangs holds what its caller holds. Whoever waits for that is told "busy" in time.
 * Made of a mutex and a condition, since deadlines are monotonic: a clock step must not look like a
 * busy token. Not recursive.
 */
#ifndef AW_PKCS11_LOCK_H
#define AW_PKCS11_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "common/result.h"

struct token_lock {
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    bool held;
};

/** The monotonic time so many milliseconds from now. */
struct timespec token_deadline(unsigned milliseconds);

/** Makes a condition whose deadlines are monotonic. AW_CODE_MEMORY. */
AW_MUST_USE aw_result token_condition_init(pthread_cond_t *condition);

/** Makes a lock; release: token_lock_destroy. */
AW_MUST_USE aw_result token_lock_init(struct token_lock *lock);

/** Nobody holds it or waits for it any more. */
void token_lock_destroy(struct token_lock *lock);

/** Takes the lock. A free one is taken whatever the deadline. AW_CODE_BUSY */
AW_MUST_USE aw_result token_lock_take(struct token_lock *lock, const struct timespec *deadline);

/** By whichever thread: the lock does not know who took it. */
void token_lock_release(struct token_lock *lock);

#endif
