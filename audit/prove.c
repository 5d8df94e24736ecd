/* Proofs from the file: one walk, which feeds each leaf to the range that it is in. */
#include <stdlib.h>
#include <string.h>

#include "audit/proof.h"
#include "audit/walk.h"

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
prove(const char *folder, struct prover *prover, struct audit_proof *proof)
{
    const struct audit_source source = {.folder = folder};
    AW_CLEANUP(audit_walk_end) struct audit_walk walk = {.source = NULL};

    AW_TRY(audit_walk_begin(&walk, &source, NULL));
    AW_TRY(feed(prover, &walk));
    proof->count = prover->count;
    for (size_t i = 0; i < prover->count; i++)
        AW_TRY(audit_tree_root(&prover->trees[i], walk.chain.hasher, &proof->hashes[i]));
    return AW_OK;
}

aw_result
audit_prove_inclusion(
    const char *folder, int64_t seq, int64_t size, struct audit_proof *proof, char **line)
{
    struct prover prover = {.size = size, .wanted = seq};

    *line = NULL;
    if (seq < 1 || seq > size)
        return aw_fail(AW_CODE_NOT_FOUND, "record %lld is not among the records 1 to %lld",
            (long long)seq, (long long)size);
    prover.count = audit_ranges_inclusion(seq - 1, size, prover.ranges);
    aw_result r = prove(folder, &prover, proof);
    if (aw_ok(r))
        *line = prover.line;
    else
        free(prover.line);
    return r;
}

aw_result
audit_prove_consistency(const char *folder, int64_t old, int64_t size, struct audit_proof *proof)
{
    struct prover prover = {.size = size};

    if (old < 0 || old > size)
        return aw_fail(AW_CODE_MISMATCH, "%lld records do not begin with %lld", (long long)size,
            (long long)old);
    prover.count = audit_ranges_consistency(old, size, prover.ranges);
    return prove(folder, &prover, proof);
}
