#include "pkcs11/lock.h"

#include <errno.h>

struct timespec
token_deadline(unsigned milliseconds)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += milliseconds / 1000;
    at.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

aw_result
token_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return aw_fail_memory();
    bool good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return good ? AW_OK : aw_fail_memory();
}

aw_result
token_lock_init(struct token_lock *lock)
{
    lock->held = false;
    pthread_mutex_init(&lock->mutex, NULL);
    return token_condition_init(&lock->freed);
}

void
token_lock_destroy(struct token_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
    pthread_cond_destroy(&lock->freed);
}

aw_result
token_lock_take(struct token_lock *lock, const struct timespec *deadline)
{
    bool late = false;

    pthread_mutex_lock(&lock->mutex);
    while (lock->held && !late)
        late = pthread_cond_timedwait(&lock->freed, &lock->mutex, deadline) == ETIMEDOUT;
    bool taken = !lock->held;
    lock->held = true;
    pthread_mutex_unlock(&lock->mutex);
    if (taken)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_BUSY, "another call to the token did not end in time"),
        "try again later; \"acmeward-admin status\" says how the token is");
}

void
token_lock_release(struct token_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    lock->held = false;
    pthread_cond_signal(&lock->freed);
    pthread_mutex_unlock(&lock->mutex);
}
