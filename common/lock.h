/**
 * @file lock.h
 * @brief A mutex that is held to the end of a scope.
 */
#ifndef AW_COMMON_LOCK_H
#define AW_COMMON_LOCK_H

#include <pthread.h>

#include "common/result.h"

/** Unlocks the mutex that *lock points to; for AW_HOLD. */
static inline void
aw_lock_release(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/** Takes the mutex (a pthread_mutex_t *) and holds it to the end of the scope; once in a scope. */
#define AW_HOLD(mutex)                                            \
    AW_CLEANUP(aw_lock_release) pthread_mutex_t *held_ = (mutex); \
    pthread_mutex_lock(held_)

#endif
