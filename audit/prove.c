/* Proofs from the log: from the index, or by one walk, which feeds each leaf to the range that it
 * is in. */
#include <stdlib.h>
#include <string.h>

#include "audit/proof.h"
#include "audit/quick.h"
#include "audit/walk.h"
#include "common/io.h"

/* The ranges are disjoint, so a leaf belongs to one of them at most. */
struct prover {
    size_t count;
    struct audit_range ranges[AUDIT_PROOF_MAX];
    struct audit_tree trees[AUDIT_PROOF_MAX]; /* of each range, as far as it was walked */
    int64_t size;                             /* records to walk */
    int64_t wanted;                           /* record whose line is kept; 0: none */
    char *line;
};

static aw_result
take_leaf(struct prover *prover, const struct audit_chain *chain)
{
    int64_t index = chain->seq - 1;

    for (size_t i = 0; i < prover->count; i++)
        if (index >= prover->ranges[i].begin && index < prover->ranges[i].end)
            return audit_tree_add(&prover->trees[i], chain->hasher, &chain->leaf);
    return AW_OK;
}

static aw_result
too_few(const struct audit_chain *chain, int64_t size)
{
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "%s has %lld records, %lld are needed", chain->path,
                       (long long)chain->seq, (long long)size),
        "the log was cut, or this is another log than the checkpoint's");
}

static aw_result
feed(struct prover *prover, struct audit_walk *walk)
{
    const struct audit_chain *chain = &walk->chain;
    bool more = true;

    while (chain->seq < prover->size) {
        AW_TRY(audit_walk_next(walk, &more));
        if (!more)
            return too_few(chain, prover->size);
        AW_TRY(take_leaf(prover, chain));
        if (chain->seq != prover->wanted)
            continue;
        prover->line = strndup(chain->line, chain->line_length);
        if (prover->line == NULL)
            return aw_fail_memory();
    }
    return AW_OK;
}

static aw_result
walk_roots(const struct audit_source *source, struct prover *prover, struct audit_proof *proof)
{
    AW_CLEANUP(audit_walk_end) struct audit_walk walk = {.source = NULL};

    AW_TRY(audit_walk_begin(&walk, source, NULL));
    AW_TRY(feed(prover, &walk));
    proof->count = prover->count;
    for (size_t i = 0; i < prover->count; i++)
        AW_TRY(audit_tree_root(&prover->trees[i], walk.chain.hasher, &proof->hashes[i]));
    return AW_OK;
}

static aw_result
quick_roots(const struct audit_source *source, struct prover *prover, struct audit_proof *proof)
{
    const struct audit_quick asked = {.ranges = prover->ranges,
        .count = prover->count,
        .size = prover->size,
        .wanted = prover->wanted};

    proof->count = prover->count;
    return audit_quick_roots(source, &asked, proof->hashes, &prover->line);
}

/* Inclusion. */

static aw_result
inclusion_of(int64_t seq, int64_t size, struct prover *prover)
{
    *prover = (struct prover){.size = size, .wanted = seq};
    if (seq < 1 || seq > size)
        return aw_fail(AW_CODE_NOT_FOUND, "record %lld is not among the records 1 to %lld",
            (long long)seq, (long long)size);
    prover->count = audit_ranges_inclusion(seq - 1, size, prover->ranges);
    return AW_OK;
}

static void
prover_end(struct prover *prover)
{
    aw_free(&prover->line);
}

aw_result
audit_prove_record(const struct audit_source *source, int64_t seq, const struct audit_head *head,
    struct audit_proof *proof, char **line)
{
    AW_CLEANUP(prover_end) struct prover prover = {.line = NULL};

    *line = NULL;
    AW_TRY(inclusion_of(seq, head->size, &prover));
    aw_result r = quick_roots(source, &prover, proof);
    if (aw_ok(r))
        r = audit_proof_inclusion(proof, seq, prover.line, strlen(prover.line), head);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r)) { /* the index is missing or wrong, or the log is: the walk tells */
        aw_free(&prover.line);
        AW_TRY(walk_roots(source, &prover, proof));
        AW_TRY(audit_proof_inclusion(proof, seq, prover.line, strlen(prover.line), head));
    }
    *line = AW_MOVE(prover.line);
    return AW_OK;
}

/* Consistency. */

static aw_result
consistency_of(int64_t old, int64_t size, struct prover *prover)
{
    *prover = (struct prover){.size = size};
    if (old < 0 || old > size)
        return aw_fail(AW_CODE_MISMATCH, "%lld records do not begin with %lld", (long long)size,
            (long long)old);
    prover->count = audit_ranges_consistency(old, size, prover->ranges);
    return AW_OK;
}

aw_result
audit_prove_heads(const struct audit_source *source, const struct audit_head *old,
    const struct audit_head *head, struct audit_proof *proof)
{
    AW_CLEANUP(prover_end) struct prover prover = {.line = NULL};

    AW_TRY(consistency_of(old->size, head->size, &prover));
    aw_result r = quick_roots(source, &prover, proof);
    if (aw_ok(r))
        r = audit_proof_consistency(proof, old, head);
    if (aw_ok(r) || r.code == AW_CODE_MEMORY)
        return r;
    AW_TRY(walk_roots(source, &prover, proof));
    return audit_proof_consistency(proof, old, head);
}
