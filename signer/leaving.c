#include "signer/leaving.h"

#include <time.h>

#include "common/io.h"
#include "common/lock.h"

void
leaving_init(struct leaving *leaving)
{
    *leaving = (struct leaving){.side = 0};
    pthread_mutex_init(&leaving->lock, NULL);
    pthread_mutex_init(&leaving->wait_lock, NULL);
    pthread_cond_init(&leaving->gone, NULL);
}

void
leaving_destroy(struct leaving *leaving)
{
    pthread_cond_destroy(&leaving->gone);
    pthread_mutex_destroy(&leaving->wait_lock);
    pthread_mutex_destroy(&leaving->lock);
}

void
leaving_begin(struct leaving *leaving, struct leave *out)
{
    AW_HOLD(&leaving->lock);
    *out = (struct leave){.of = leaving, .side = leaving->side};
    leaving->open[out->side]++;
}

void
leaving_end(struct leave *leave)
{
    if (leave->of == NULL)
        return;
    AW_HOLD(&leave->of->lock);
    if (--leave->of->open[leave->side] == 0)
        pthread_cond_broadcast(&leave->of->gone);
    leave->of = NULL;
}

/* Under the lock. */
static bool
is_empty_by(struct leaving *leaving, unsigned side, const struct timespec *until)
{
    while (leaving->open[side] > 0)
        if (pthread_cond_clockwait(&leaving->gone, &leaving->lock, CLOCK_MONOTONIC, until) != 0)
            break;
    return leaving->open[side] == 0;
}

/* Those that begin change sides, so that the other one empties. One that was not empty after an
 * earlier wait has to, first: else what begins on it now could not be told from what began then. */
bool
leaving_wait(struct leaving *leaving, int timeout_ms)
{
    int64_t end = aw_now_ms() + timeout_ms;
    const struct timespec until = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};

    AW_CLEANUP(aw_lock_release) pthread_mutex_t *alone = &leaving->wait_lock;
    pthread_mutex_lock(alone);
    AW_HOLD(&leaving->lock);
    if (!is_empty_by(leaving, 1 - leaving->side, &until))
        return false;
    leaving->side = 1 - leaving->side;
    return is_empty_by(leaving, 1 - leaving->side, &until);
}
