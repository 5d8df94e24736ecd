#include "signer/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

enum { FORGOTTEN = METRICS_FORGOTTEN_DAYS * 24 * 3600 };

const int64_t metrics_bounds[METRICS_BUCKETS] = {1000, 2500, 5000, 10000, 25000, 50000, 100000,
    250000, 500000, 1000000, 2500000, 10000000, INT64_MAX};

struct rule {
    char text[METRICS_RULE_SIZE];
    atomic_llong verdicts[METRICS_VERDICTS];
};

/* The newest certificate for one set of names of one application. */
struct group {
    char *application;
    uint64_t names; /* hash */
    int64_t not_after;
};

struct metrics {
    atomic_llong operations[SIGN_OPERATION_COUNT][METRICS_VERDICTS];
    struct rule rules[METRICS_RULES_MAX + 1]; /* [METRICS_RULES_MAX]: "other" */
    atomic_size_t rule_count;                 /* those before it are not changed any more */
    atomic_llong buckets[METRICS_BUCKETS];
    atomic_llong token_failures, token_microseconds;
    pthread_mutex_t lock; /* for adding a rule, and for the groups */
    struct group *groups; /* open addressing */
    size_t group_count, group_room;
    struct metrics_writer *writer;
};

aw_result
metrics_new(metrics **out)
{
    metrics *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&self->lock, NULL);
    snprintf(self->rules[METRICS_RULES_MAX].text, METRICS_RULE_SIZE, "other");
    *out = self;
    return AW_OK;
}

void
metrics_free(metrics **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    metrics *self = *slot;

    metrics_stop(self);
    for (size_t i = 0; i < self->group_room; i++)
        free(self->groups[i].application);
    free(self->groups);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *slot = NULL;
}

struct metrics_writer **
metrics_writer_of(metrics *self)
{
    return &self->writer;
}

/* Rules: a table that only grows, read without a lock. */

static struct rule *
look_up(metrics *self, const char *text)
{
    size_t count = atomic_load_explicit(&self->rule_count, memory_order_acquire);

    for (size_t i = 0; i < count; i++)
        if (strcmp(self->rules[i].text, text) == 0)
            return &self->rules[i];
    return NULL;
}

static struct rule *
add_rule(metrics *self, const char *text)
{
    struct rule *found;

    pthread_mutex_lock(&self->lock);
    found = look_up(self, text);
    size_t count = atomic_load(&self->rule_count);
    if (found == NULL && count < METRICS_RULES_MAX && strlen(text) < METRICS_RULE_SIZE) {
        found = &self->rules[count];
        memcpy(found->text, text, strlen(text) + 1);
        atomic_store_explicit(&self->rule_count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&self->lock);
    return found == NULL ? &self->rules[METRICS_RULES_MAX] : found;
}

void
metrics_decision(
    metrics *self, enum sign_operation operation, enum metrics_verdict verdict, const char *rule)
{
    if (self == NULL)
        return;
    atomic_fetch_add_explicit(&self->operations[operation][verdict], 1, memory_order_relaxed);
    if (rule == NULL || rule[0] == '\0')
        rule = "none";
    struct rule *found = look_up(self, rule);
    if (found == NULL)
        found = add_rule(self, rule);
    atomic_fetch_add_explicit(&found->verdicts[verdict], 1, memory_order_relaxed);
}

void
metrics_token(metrics *self, int64_t microseconds, bool failed)
{
    size_t i = 0;

    if (self == NULL)
        return;
    while (microseconds > metrics_bounds[i])
        i++;
    atomic_fetch_add_explicit(&self->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->token_microseconds, microseconds, memory_order_relaxed);
    if (failed)
        atomic_fetch_add_explicit(&self->token_failures, 1, memory_order_relaxed);
}

void
metrics_copy(metrics *self, struct metrics_figures *out)
{
    memset(out, 0, sizeof(*out));
    out->rule_count = atomic_load(&self->rule_count);
    for (size_t i = 0; i < SIGN_OPERATION_COUNT; i++)
        for (size_t j = 0; j < METRICS_VERDICTS; j++)
            out->operations[i][j] = atomic_load(&self->operations[i][j]);
    for (size_t i = 0; i <= METRICS_RULES_MAX; i++) {
        if (i >= out->rule_count && i < METRICS_RULES_MAX)
            continue;
        memcpy(out->rules[i].rule, self->rules[i].text, METRICS_RULE_SIZE);
        for (size_t j = 0; j < METRICS_VERDICTS; j++)
            out->rules[i].verdicts[j] = atomic_load(&self->rules[i].verdicts[j]);
    }
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        out->buckets[i] = atomic_load(&self->buckets[i]);
    out->token_failures = atomic_load(&self->token_failures);
    out->token_microseconds = atomic_load(&self->token_microseconds);
}

/* Certificates. */

/* FNV-1a: a collision would hide one certificate behind another, in a figure. */
static uint64_t
hash(const char *text, uint64_t seed)
{
    uint64_t value = seed ^ 14695981039346656037ULL;

    for (; *text != '\0'; text++)
        value = (value ^ (uint8_t)*text) * 1099511628211ULL;
    return value;
}

static struct group *
slot_of(struct group *groups, size_t room, const char *application, uint64_t names)
{
    size_t i = hash(application, names) % room;

    while (groups[i].application != NULL &&
           (groups[i].names != names || strcmp(groups[i].application, application) != 0))
        i = (i + 1) % room;
    return &groups[i];
}

static bool
is_watched(const struct group *group, int64_t oldest)
{
    return group->application != NULL && group->not_after >= oldest;
}

/* Into a table of that room; those whose end is before `oldest` are forgotten. */
static bool
move_groups(metrics *self, size_t room, int64_t oldest)
{
    struct group *groups = calloc(room, sizeof(*groups));

    if (groups == NULL)
        return false;
    self->group_count = 0;
    for (size_t i = 0; i < self->group_room; i++) {
        struct group *group = &self->groups[i];

        if (!is_watched(group, oldest)) {
            free(group->application);
            continue;
        }
        *slot_of(groups, room, group->application, group->names) = *group;
        self->group_count++;
    }
    free(self->groups);
    self->groups = groups;
    self->group_room = room;
    return true;
}

/* Twice the room at each step: at most half of it is used. */
static bool
make_room(metrics *self)
{
    if (2 * (self->group_count + 1) <= self->group_room)
        return true;
    return self->group_count < METRICS_GROUPS_MAX &&
           move_groups(self, self->group_room == 0 ? 64 : self->group_room * 2, INT64_MIN);
}

static void
note(metrics *self, const char *application, uint64_t names, int64_t not_after)
{
    bool room = make_room(self);
    struct group *group =
        self->group_room == 0 ? NULL : slot_of(self->groups, self->group_room, application, names);

    if (group == NULL || (group->application == NULL && !room))
        return;
    if (group->application == NULL) {
        group->application = strdup(application);
        if (group->application == NULL)
            return;
        group->names = names;
        self->group_count++;
    }
    if (group->not_after < not_after)
        group->not_after = not_after;
}

void
metrics_certificate(metrics *self, const char *application, const char *names, int64_t not_after)
{
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    note(self, application, hash(names, 0), not_after);
    pthread_mutex_unlock(&self->lock);
}

static int
by_application(const void *a, const void *b)
{
    const struct metrics_expiry *x = a, *y = b;

    return strcmp(x->application, y->application);
}

static int
by_end(const void *a, const void *b)
{
    const struct metrics_expiry *x = a, *y = b;

    return x->first_end != y->first_end ? (x->first_end < y->first_end ? -1 : 1)
                                        : by_application(a, b);
}

/* Neighbours of one application become one. */
static size_t
merge(struct metrics_expiry *items, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_application(&items[kept - 1], &items[i]) != 0) {
            items[kept++] = items[i];
            continue;
        }
        items[kept - 1].watched++;
        if (items[i].first_end < items[kept - 1].first_end)
            items[kept - 1].first_end = items[i].first_end;
    }
    return kept;
}

aw_result
metrics_expiries(metrics *self, int64_t now, struct metrics_expiry **out, size_t *count)
{
    int64_t oldest = now - FORGOTTEN;

    *count = 0;
    pthread_mutex_lock(&self->lock);
    if (self->group_count >= METRICS_GROUPS_MAX) /* else new ones would never be watched */
        (void)move_groups(self, self->group_room, oldest);
    *out = calloc(self->group_count + 1, sizeof(**out));
    for (size_t i = 0; *out != NULL && i < self->group_room; i++) {
        const struct group *group = &self->groups[i];

        if (!is_watched(group, oldest))
            continue;
        struct metrics_expiry *item = &(*out)[(*count)++];
        snprintf(item->application, sizeof(item->application), "%s", group->application);
        item->first_end = group->not_after;
        item->watched = 1;
    }
    pthread_mutex_unlock(&self->lock);
    if (*out == NULL)
        return aw_fail_memory();
    qsort(*out, *count, sizeof(**out), by_application);
    *count = merge(*out, *count);
    qsort(*out, *count, sizeof(**out), by_end);
    return AW_OK;
}
