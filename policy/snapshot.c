/* A snapshot's life, and what can be seen of it. */
#include "policy/snapshot.h"

#include <stdlib.h>

policy_snapshot *
policy_snapshot_new(void)
{
    policy_snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot != NULL)
        atomic_init(&snapshot->references, 1);
    return snapshot;
}

policy_snapshot *
policy_retain(policy_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void
policy_release(policy_snapshot **slot)
{
    policy_snapshot *snapshot = slot == NULL ? NULL : AW_MOVE(*slot);

    if (snapshot == NULL ||
        atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1)
        return;
    policy_index_free(&snapshot->index);
    policy_arena_free(&snapshot->arena);
    free(snapshot->applications);
    free(snapshot->accounts);
    free(snapshot->users.items);
    free(snapshot->groups.items);
    free(snapshot);
}

const char *
policy_digest(const policy_snapshot *snapshot)
{
    return snapshot->digest;
}

void
policy_count(const policy_snapshot *snapshot, struct policy_counts *out)
{
    *out = snapshot->counts;
}

void
policy_visit_all(const policy_snapshot *snapshot, policy_visit visit, void *context)
{
    for (size_t i = 0; i < snapshot->application_count; i++)
        if (!visit(&snapshot->applications[i].shown, context))
            return;
}

const struct policy_application *
policy_find(const policy_snapshot *snapshot, const char *name)
{
    struct policy_index_key key = policy_index_key_of(name);
    uint32_t claim = policy_index_find(&snapshot->index, CLAIM_APPLICATION, &key);

    return claim == CLAIM_NONE ? NULL : &owner_of(snapshot, claim)->shown;
}
