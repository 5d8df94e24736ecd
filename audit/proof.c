#include "audit/proof.h"

/* Ranges. */

/* The largest power of two below n; n is at least 2. */
static int64_t
split(int64_t n)
{
    int64_t k = 1;

    while (k < n - k)
        k *= 2;
    return k;
}

/* The RFC walks down from the root, a proof goes up. */
static void
reverse(struct audit_range *ranges, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct audit_range other = ranges[count - 1 - i];

        ranges[count - 1 - i] = ranges[i];
        ranges[i] = other;
    }
}

/* RFC 9162 2.1.3.1, PATH, without the recursion. */
size_t
audit_ranges_inclusion(int64_t index, int64_t size, struct audit_range ranges[AUDIT_PROOF_MAX])
{
    int64_t begin = 0, end = size;
    size_t count = 0;

    while (end - begin > 1) {
        int64_t middle = begin + split(end - begin);

        if (index < middle) {
            ranges[count++] = (struct audit_range){middle, end};
            end = middle;
        } else {
            ranges[count++] = (struct audit_range){begin, middle};
            begin = middle;
        }
    }
    reverse(ranges, count);
    return count;
}

/* RFC 9162 2.1.4.1, SUBPROOF, without the recursion. */
size_t
audit_ranges_consistency(int64_t old, int64_t size, struct audit_range ranges[AUDIT_PROOF_MAX])
{
    int64_t begin = 0, end = size;
    size_t count = 0;

    if (old == 0)
        return 0;
    while (old != end) {
        int64_t middle = begin + split(end - begin);

        if (old <= middle) {
            ranges[count++] = (struct audit_range){middle, end};
            end = middle;
        } else {
            ranges[count++] = (struct audit_range){begin, middle};
            begin = middle;
        }
    }
    if (begin > 0) /* else it is the old root itself, which the verifier has */
        ranges[count++] = (struct audit_range){begin, end};
    reverse(ranges, count);
    return count;
}

/* Verification: names as in RFC 9162. */

/* A step up to the next level at which something stands on the left. */
static void
climb(int64_t *fn, int64_t *sn)
{
    while ((*fn & 1) == 0 && *fn != 0) {
        *fn >>= 1;
        *sn >>= 1;
    }
}

static aw_result
not_included(int64_t seq, const struct audit_head *head)
{
    return aw_hint(
        aw_fail(AW_CODE_MISMATCH, "the proof does not show record %lld in the tree of %lld records",
            (long long)seq, (long long)head->size),
        "record, proof or checkpoint was changed, or they are not of one log");
}

aw_result
audit_proof_inclusion(const struct audit_proof *proof, int64_t seq, const char *line, size_t length,
    const struct audit_head *head)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    int64_t fn = seq - 1, sn = head->size - 1;
    struct audit_hash r;

    if (fn < 0 || fn > sn)
        return not_included(seq, head);
    AW_TRY(audit_hasher_new(&hasher));
    AW_TRY(audit_tree_leaf(hasher, line, length, &r));
    for (size_t i = 0; i < proof->count; i++) {
        const struct audit_hash *p = &proof->hashes[i];

        if (sn == 0)
            return not_included(seq, head);
        if ((fn & 1) != 0 || fn == sn) {
            AW_TRY(audit_tree_node(hasher, p, &r, &r));
            climb(&fn, &sn);
        } else {
            AW_TRY(audit_tree_node(hasher, &r, p, &r));
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && audit_hash_equal(&r, &head->root) ? AW_OK : not_included(seq, head);
}

static aw_result
not_continued(const struct audit_head *old, const struct audit_head *head)
{
    return aw_hint(aw_fail(AW_CODE_MISMATCH,
                       "the proof does not show that the tree of %lld records continues the one "
                       "of %lld records",
                       (long long)head->size, (long long)old->size),
        "proof or checkpoint was changed, or the log was rewritten or cut");
}

/* Both roots at once, from where the two trees begin to differ; true when they come out. */
static aw_result
rebuild(const struct audit_proof *proof, const struct audit_head *old,
    const struct audit_head *head, bool *good)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    bool complete = (old->size & (old->size - 1)) == 0; /* the old root is part of the proof */
    struct audit_hash fr = complete ? old->root : proof->hashes[0];
    struct audit_hash sr = fr;
    int64_t fn = old->size - 1, sn = head->size - 1;

    AW_TRY(audit_hasher_new(&hasher));
    for (; (fn & 1) != 0; fn >>= 1)
        sn >>= 1;
    for (size_t i = complete ? 0 : 1; i < proof->count && sn != 0; i++) {
        const struct audit_hash *c = &proof->hashes[i];

        if ((fn & 1) != 0 || fn == sn) {
            AW_TRY(audit_tree_node(hasher, c, &fr, &fr));
            AW_TRY(audit_tree_node(hasher, c, &sr, &sr));
            climb(&fn, &sn);
        } else {
            AW_TRY(audit_tree_node(hasher, &sr, c, &sr));
        }
        fn >>= 1;
        sn >>= 1;
        *good = i + 1 == proof->count; /* nothing is left over */
    }
    *good =
        *good && sn == 0 && audit_hash_equal(&fr, &old->root) && audit_hash_equal(&sr, &head->root);
    return AW_OK;
}

aw_result
audit_proof_consistency(
    const struct audit_proof *proof, const struct audit_head *old, const struct audit_head *head)
{
    bool good = false;

    if (old->size < 0 || old->size > head->size)
        return not_continued(old, head);
    if (old->size == head->size)
        good = proof->count == 0 && audit_hash_equal(&old->root, &head->root);
    else if (old->size == 0)
        good = proof->count == 0;
    else if (proof->count > 0)
        AW_TRY(rebuild(proof, old, head, &good));
    return good ? AW_OK : not_continued(old, head);
}
