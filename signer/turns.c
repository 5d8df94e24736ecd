#include "signer/turns.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "common/names.h"

struct turns {
    struct turns_rule rule;
    pthread_mutex_t lock;
    unsigned had_count;
    unsigned waiting_count;
    struct turn *had;  /* a list */
    struct turn *ring; /* that wait: the first of each party, whose line stands behind it; the party
                          that is next comes first */
    char last[AW_NAME_MAX + 1]; /* the party that was served last */
    int64_t changed_ms;         /* when that was another for the last time */
};

aw_result
turns_new(const struct turns_rule *rule, turns **out)
{
    turns *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&t->lock, NULL);
    t->rule = *rule;
    t->changed_ms = aw_now_ms() - TURNS_ALONE_MS;
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

/* Where the party's first is linked from, or where it is to be. */
static struct turn **
place_of(turns *t, const char *party)
{
    struct turn **at = &t->ring;

    while (*at != NULL && strcmp((*at)->party, party) != 0)
        at = &(*at)->next;
    return at;
}

/* False when as many of the party wait as may. */
static bool
enqueue(turns *t, struct turn *turn)
{
    struct turn **at = place_of(t, turn->party);
    unsigned before = 0;

    for (; *at != NULL; at = &(*at)->behind)
        before++;
    if (before >= TURNS_WAITING_PER_PARTY_MAX)
        return false;
    *at = turn;
    t->waiting_count++;
    return true;
}

/* Takes out the first of a party; the one behind it is first from now on. */
static struct turn *
shift(turns *t, struct turn **first)
{
    struct turn *turn = *first, *successor = turn->behind;

    *first = turn->next;
    if (successor != NULL) {
        successor->next = turn->next;
        *first = successor;
    }
    t->waiting_count--;
    return turn;
}

static void
leave(turns *t, struct turn *turn)
{
    struct turn **at = place_of(t, turn->party);

    if (*at == turn) {
        shift(t, at);
        return;
    }
    while (*at != turn)
        at = &(*at)->behind;
    *at = turn->behind;
    t->waiting_count--;
}

/* A party that is alone has as many as it wants. */
static bool
has_its_share(const turns *t, const char *party)
{
    unsigned count = 0;

    if (t->had_count < t->rule.share)
        return false;
    for (const struct turn *turn = t->had; turn != NULL; turn = turn->next)
        count += strcmp(turn->party, party) == 0;
    return count >= t->rule.share &&
           (strcmp(t->last, party) != 0 || aw_now_ms() - t->changed_ms < TURNS_ALONE_MS);
}

/* The first in the ring that may have a turn, by where it is linked from. */
static struct turn **
find_next(turns *t)
{
    struct turn **at = &t->ring;

    while (*at != NULL && has_its_share(t, (*at)->party))
        at = &(*at)->next;
    return at;
}

static void
grant(turns *t, struct turn *turn)
{
    if (strcmp(t->last, turn->party) != 0) {
        if (t->last[0] != '\0')
            t->changed_ms = aw_now_ms();
        snprintf(t->last, sizeof(t->last), "%s", turn->party);
    }
    t->had_count++;
    turn->next = t->had;
    t->had = turn;
    turn->granted = true;
    pthread_cond_signal(&turn->called);
}

/* The party that had its turn is the last of the ring from now on. */
static void
call_one(turns *t, struct turn **at)
{
    struct turn *turn = shift(t, at), *again = turn->behind;

    if (again != NULL) {
        *at = again->next;
        again->next = NULL;
        *place_of(t, again->party) = again;
    }
    grant(t, turn);
}

static void
call_all(turns *t)
{
    while (t->had_count < t->rule.count) {
        struct turn **at = find_next(t);

        if (*at == NULL)
            return;
        call_one(t, at);
    }
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
wait_in_line(turns *t, struct turn *turn)
{
    const struct turns_rule *rule = &t->rule;
    const struct timespec at = deadline(rule->timeout_ms);

    if (!enqueue(t, turn))
        return aw_hint(aw_fail(AW_CODE_BUSY, "%d requests of %s wait for %s already",
                           TURNS_WAITING_PER_PARTY_MAX, turn->party, rule->what),
            "try again later, with fewer requests at once");
    call_all(t);
    while (!turn->granted)
        if (pthread_cond_timedwait(&turn->called, &t->lock, &at) == ETIMEDOUT && !turn->granted) {
            leave(t, turn);
            return aw_hint(
                aw_fail(AW_CODE_BUSY, "%s stayed busy for %u ms", rule->what, rule->timeout_ms),
                "%s", rule->hint);
        }
    return AW_OK;
}

aw_result
turns_take(turns *t, const char *party, struct turn *turn)
{
    pthread_condattr_t attributes;

    *turn = (struct turn){.party = party};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&turn->called, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_lock(&t->lock);
    aw_result r = wait_in_line(t, turn);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_destroy(&turn->called);
    return r;
}

void
turns_give(turns *t, struct turn *turn)
{
    struct turn **at = &t->had;

    if (!turn->granted)
        return;
    pthread_mutex_lock(&t->lock);
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->granted = false;
    t->had_count--;
    call_all(t);
    pthread_mutex_unlock(&t->lock);
}

void
turns_count(turns *t, unsigned *waiting, unsigned *had)
{
    pthread_mutex_lock(&t->lock);
    *waiting = t->waiting_count;
    *had = t->had_count;
    pthread_mutex_unlock(&t->lock);
}
