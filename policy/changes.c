#include "policy/changes.h"

#include <stdlib.h>
#include <string.h>

const char *
policy_effect_name(enum policy_effect effect)
{
    static const char *const names[POLICY_EFFECT_COUNT] = {
        [POLICY_GAINS] = "gains",
        [POLICY_LOSES] = "loses",
        [POLICY_CHANGES] = "changes",
    };

    return names[effect];
}

/* False for want of memory. */
static bool
keep(struct policy_arena *texts, const char **text)
{
    if (*text == NULL)
        return true;
    *text = policy_arena_put(texts, *text, strlen(*text));
    return *text != NULL;
}

aw_result
policy_changes_add(struct policy_changes *changes, const struct policy_change *change)
{
    struct policy_change copy = *change;

    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity == 0 ? 64 : 2 * changes->capacity;
        struct policy_change *items = realloc(changes->items, capacity * sizeof(*items));

        if (items == NULL)
            return aw_fail_memory();
        changes->items = items;
        changes->capacity = capacity;
    }
    if (!keep(&changes->texts, &copy.subject) || !keep(&changes->texts, &copy.what) ||
        !keep(&changes->texts, &copy.text) || !keep(&changes->texts, &copy.before) ||
        !keep(&changes->texts, &copy.after))
        return aw_fail_memory();
    changes->items[changes->count++] = copy;
    return AW_OK;
}

static int
compare_texts(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int
by_subject(const void *a, const void *b)
{
    const struct policy_change *x = a, *y = b;
    int order = (int)y->of_account - (int)x->of_account;

    if (order == 0)
        order = strcmp(x->subject, y->subject);
    if (order == 0)
        order = (int)x->effect - (int)y->effect;
    if (order == 0)
        order = strcmp(x->what, y->what);
    return order != 0 ? order : compare_texts(x->text, y->text);
}

void
policy_changes_finish(struct policy_changes *changes)
{
    size_t kept = 0;

    if (changes->count > 0)
        qsort(changes->items, changes->count, sizeof(*changes->items), by_subject);
    for (size_t i = 0; i < changes->count; i++) {
        if (kept > 0 && by_subject(&changes->items[kept - 1], &changes->items[i]) == 0)
            continue;
        changes->counts[changes->items[i].effect]++;
        changes->items[kept++] = changes->items[i];
    }
    changes->count = kept;
}

void
policy_changes_free(struct policy_changes *changes)
{
    free(changes->items);
    policy_arena_free(&changes->texts);
    *changes = (struct policy_changes){0};
}

/* What both sides are asked. */

const struct application *
policy_application_of(const policy_snapshot *snapshot, const char *name)
{
    /* The application shown is the first member of the one inside. */
    return (const struct application *)(const void *)policy_find(snapshot, name);
}

uint32_t
policy_first_of(const struct application *application, enum claim_kind kind)
{
    uint32_t first = application->first;

    for (unsigned before = 0; before < kind; before++)
        first += application->list_count[before];
    return first;
}

int
policy_account_of(const policy_snapshot *snapshot, const char *name)
{
    struct policy_index_key key = policy_index_key_of(name);
    uint32_t claim = policy_index_find(&snapshot->index, CLAIM_ACCOUNT, &key);

    return claim == CLAIM_NONE ? -1 : snapshot->index.owners[claim];
}

bool
policy_lists(const policy_snapshot *snapshot, const struct application *application,
    enum claim_kind kind, const struct policy_index_key *key)
{
    return application != NULL && policy_index_find_own(&snapshot->index, kind, key,
                                      number_of(snapshot, application)) != CLAIM_NONE;
}
