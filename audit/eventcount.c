#include "audit/eventcount.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t
audit_eventcount_get(struct audit_eventcount *event)
{
    return atomic_load(&event->count);
}

/* Signals, and a count that is another already, end it as well. */
void
audit_eventcount_wait(struct audit_eventcount *event, uint32_t count)
{
    atomic_fetch_add(&event->waiters, 1);
    (void)syscall(SYS_futex, &event->count, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
    atomic_fetch_sub(&event->waiters, 1);
}

/* Who is not yet among the waiters finds the count changed: both orders are sequentially
 * consistent. */
static void
notify(struct audit_eventcount *event, int threads)
{
    atomic_fetch_add(&event->count, 1);
    if (atomic_load(&event->waiters) > 0)
        (void)syscall(SYS_futex, &event->count, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

void
audit_eventcount_notify_one(struct audit_eventcount *event)
{
    notify(event, 1);
}

void
audit_eventcount_notify_all(struct audit_eventcount *event)
{
    notify(event, INT_MAX);
}
