#include "common/eventcount.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t
aw_eventcount_get(struct aw_eventcount *event)
{
    return atomic_load(&event->count);
}

/* Signals, and a count that is another already, end it as well. */
void
aw_eventcount_wait(struct aw_eventcount *event, uint32_t count)
{
    atomic_fetch_add(&event->waiters, 1);
    (void)syscall(SYS_futex, &event->count, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
    atomic_fetch_sub(&event->waiters, 1);
}

/* Who is not yet among the waiters finds the count changed: both orders are sequentially
 * consistent. */
static void
notify(struct aw_eventcount *event, int threads)
{
    atomic_fetch_add(&event->count, 1);
    if (atomic_load(&event->waiters) > 0)
        (void)syscall(SYS_futex, &event->count, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

void
aw_eventcount_notify_one(struct aw_eventcount *event)
{
    notify(event, 1);
}

void
aw_eventcount_notify_all(struct aw_eventcount *event)
{
    notify(event, INT_MAX);
}
