/**
 * @file eventcount.h
 * @brief An eventcount: threads wait until something that they look at without a lock has changed.
 *
 * A condition variable hands its mutex to each thread that it wakes, one behind the other; where
 * many wait for the same thing, that costs more than the wait. Here nothing is handed over. A
 * thread takes the present count, looks whether what it waits for is so, and waits only as long as
 * the count is still the same; who changes things does so before he notifies. Linux's futex(2).
 */
#ifndef AW_AUDIT_EVENTCOUNT_H
#define AW_AUDIT_EVENTCOUNT_H

#include <stdatomic.h>
#include <stdint.h>

/** All zero is a good beginning; it holds nothing that would have to be released. */
struct audit_eventcount {
    _Atomic uint32_t count;
    _Atomic uint32_t waiters;
};

/** The present count, to be taken before the look. */
uint32_t audit_eventcount_get(struct audit_eventcount *event);

/** Returns when the count is another, or earlier: look again. */
void audit_eventcount_wait(struct audit_eventcount *event, uint32_t count);

/** Changes the count, and wakes one of those who wait. */
void audit_eventcount_notify_one(struct audit_eventcount *event);

/** Changes the count, and wakes all who wait. */
void audit_eventcount_notify_all(struct audit_eventcount *event);

#endif
