#include "audit/heads.h"

#include <stdlib.h>
#include <string.h>

static int
compare_sizes(const void *a, const void *b)
{
    int64_t x = ((const struct audit_expected *)a)->head.size;
    int64_t y = ((const struct audit_expected *)b)->head.size;

    return (x > y) - (x < y);
}

aw_result
audit_heads_take(struct audit_heads *heads, const struct audit_expected *expected, size_t count)
{
    *heads = (struct audit_heads){.items = calloc(count + 1, sizeof(*heads->items))};
    if (heads->items == NULL)
        return aw_fail_memory();
    if (count > 0)
        memcpy(heads->items, expected, count * sizeof(*expected));
    heads->count = count;
    qsort(heads->items, count, sizeof(*heads->items), compare_sizes);
    return AW_OK;
}

void
audit_heads_free(struct audit_heads *heads)
{
    free(heads->items);
    *heads = (struct audit_heads){.items = NULL};
}

static aw_result
rewritten(const struct audit_expected *expected, const struct audit_chain *chain)
{
    return aw_hint(
        aw_fail(AW_CODE_CORRUPT,
            "%s: records 1 to %lld are not those of the checkpoint in %s: the log was rewritten",
            chain->path, (long long)expected->head.size, expected->source),
        "keep both; compare the log with other copies to find the records that were changed");
}

aw_result
audit_heads_check(struct audit_heads *heads, const struct audit_chain *chain)
{
    struct audit_hash root;

    while (heads->next < heads->count && heads->items[heads->next].head.size < chain->tree.size) {
        heads->next++;
        heads->skipped++;
    }
    if (heads->next == heads->count || heads->items[heads->next].head.size != chain->tree.size)
        return AW_OK;
    AW_TRY(audit_tree_root(&chain->tree, chain->hasher, &root));
    for (; heads->next < heads->count; heads->next++) {
        const struct audit_expected *expected = &heads->items[heads->next];

        if (expected->head.size != chain->tree.size)
            break;
        if (!audit_hash_equal(&root, &expected->head.root))
            return rewritten(expected, chain);
        if (expected->compared != NULL)
            *expected->compared = true;
    }
    return AW_OK;
}

aw_result
audit_heads_end(const struct audit_heads *heads, const struct audit_chain *chain)
{
    if (heads->next == heads->count)
        return AW_OK;
    const struct audit_expected *last = &heads->items[heads->count - 1];
    return aw_hint(
        aw_fail(AW_CODE_CORRUPT,
            "%s ends at record %lld, the checkpoint in %s covers %lld: the log was cut back",
            chain->path, (long long)chain->seq, last->source, (long long)last->head.size),
        "find out who cut it; if an older copy was restored on purpose, the records after it "
        "are lost: keep the checkpoints as their trace before you move them away");
}
