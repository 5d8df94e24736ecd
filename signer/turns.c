#include "signer/turns.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A request that waits; it lives on its thread's stack. The first of each application is in the
 * ring, the others stand behind it. */
struct waiter {
    const char *application;
    pthread_cond_t called;
    bool granted;
    struct waiter *behind; /* the next of the same application */
    struct waiter *next;   /* the first of the next application; for the first only */
};

struct turns {
    pthread_mutex_t lock;
    unsigned count;
    unsigned timeout_ms;
    unsigned had;
    unsigned waiting;
    struct waiter *ring; /* whose turn is next; a list, ended by NULL */
};

aw_result
turns_new(unsigned count, unsigned timeout_ms, turns **out)
{
    turns *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&t->lock, NULL);
    t->count = count > 0 ? count : 1;
    t->timeout_ms = timeout_ms;
    *out = t;
    return AW_OK;
}

void
turns_free(turns **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

/* Where the application's first is linked from, or where it is to be. */
static struct waiter **
place_of(turns *t, const char *application)
{
    struct waiter **at = &t->ring;

    while (*at != NULL && strcmp((*at)->application, application) != 0)
        at = &(*at)->next;
    return at;
}

/* False when as many of the application wait as may. */
static bool
enqueue(turns *t, struct waiter *w)
{
    struct waiter **at = place_of(t, w->application);
    unsigned before = 0;

    for (; *at != NULL; at = &(*at)->behind)
        before++;
    if (before >= TURNS_WAITING_PER_APPLICATION_MAX)
        return false;
    *at = w;
    t->waiting++;
    return true;
}

/* Takes out the first of an application; the one behind it is first from now on. */
static struct waiter *
shift(turns *t, struct waiter **first)
{
    struct waiter *w = *first, *successor = w->behind;

    *first = w->next;
    if (successor != NULL) {
        successor->next = w->next;
        *first = successor;
    }
    t->waiting--;
    return w;
}

static void
leave(turns *t, struct waiter *w)
{
    struct waiter **at = place_of(t, w->application);

    if (*at == w) {
        shift(t, at);
        return;
    }
    while (*at != w)
        at = &(*at)->behind;
    *at = w->behind;
    t->waiting--;
}

/* The application that had its turn is the last of the ring from now on. */
static void
call_next(turns *t)
{
    struct waiter *w = shift(t, &t->ring);
    struct waiter *again = t->ring;

    if (again != NULL && strcmp(again->application, w->application) == 0) {
        t->ring = again->next;
        again->next = NULL;
        *place_of(t, again->application) = again;
    }
    t->had++;
    w->granted = true;
    pthread_cond_signal(&w->called);
}

static struct timespec
deadline(unsigned timeout_ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Under the lock. */
static aw_result
wait_in_line(turns *t, struct waiter *w)
{
    const struct timespec at = deadline(t->timeout_ms);

    if (!enqueue(t, w))
        return aw_hint(aw_fail(AW_CODE_BUSY, "%d requests of %s wait for the token already",
                           TURNS_WAITING_PER_APPLICATION_MAX, w->application),
            "try again later, with fewer requests at once");
    while (!w->granted)
        if (pthread_cond_timedwait(&w->called, &t->lock, &at) == ETIMEDOUT && !w->granted) {
            leave(t, w);
            return aw_hint(aw_fail(AW_CODE_BUSY, "the token stayed busy for %u ms", t->timeout_ms),
                "try again later; if it happens often, raise token.sessions in signer.yaml");
        }
    return AW_OK;
}

aw_result
turns_take(turns *t, const char *application)
{
    struct waiter w = {.application = application};
    aw_result r = AW_OK;

    pthread_mutex_lock(&t->lock);
    if (t->had < t->count) { /* then nobody waits */
        t->had++;
    } else {
        pthread_condattr_t attributes;

        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&w.called, &attributes);
        pthread_condattr_destroy(&attributes);
        r = wait_in_line(t, &w);
        pthread_cond_destroy(&w.called);
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

void
turns_give(turns *t)
{
    pthread_mutex_lock(&t->lock);
    t->had--;
    if (t->ring != NULL)
        call_next(t);
    pthread_mutex_unlock(&t->lock);
}

void
turns_count(turns *t, unsigned *waiting, unsigned *had)
{
    pthread_mutex_lock(&t->lock);
    *waiting = t->waiting;
    *had = t->had;
    pthread_mutex_unlock(&t->lock);
}
