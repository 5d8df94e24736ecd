/**
 * @file proof.h
 * @brief Proofs of the Merkle tree (RFC 9162 2.1.3, 2.1.4): that a record is in a tree, that a tree
 * continues an older one. To verify one needs neither the log nor the token.
 *
 * A proof has at most one hash for each level of the tree. It is made from the index (index.h), or
 * by one walk over the log (linear in its size, memory O(log n)).
 */
#ifndef AW_AUDIT_PROOF_H
#define AW_AUDIT_PROOF_H

#include "audit/tree.h"

/** Hashes of a proof: one a level, and one more for consistency. */
enum { AUDIT_PROOF_MAX = AUDIT_TREE_LEVELS + 1 };

/** A proof, in the order of the RFC: from the leaves up. */
struct audit_proof {
    size_t count;
    struct audit_hash hashes[AUDIT_PROOF_MAX];
};

/**
 * Verifies that record `seq`, whose line of `length` octets is given without its newline, is in the
 * tree (RFC 9162 2.1.3.2).
 * @return AW_CODE_MISMATCH
 */
AW_MUST_USE aw_result audit_proof_inclusion(const struct audit_proof *proof, int64_t seq,
    const char *line, size_t length, const struct audit_head *head);

/**
 * Verifies that the tree of `head` begins with all of the tree of `old` (RFC 9162 2.1.4.2).
 * @return AW_CODE_MISMATCH
 */
AW_MUST_USE aw_result audit_proof_consistency(
    const struct audit_proof *proof, const struct audit_head *old, const struct audit_head *head);

/**
 * Proves that record `seq` is in the tree of `head`, from the index beside the log in O(log n)
 * reads; without one that is right, by the walk. What is handed out verifies.
 * @param[out] line the record's line without its newline; release with free()
 * @return AW_CODE_NOT_FOUND when the log has fewer records; AW_CODE_CORRUPT; AW_CODE_MISMATCH when
 *   the log is not the head's
 */
AW_MUST_USE aw_result audit_prove_record(const struct audit_source *source, int64_t seq,
    const struct audit_head *head, struct audit_proof *proof, char **line);

/** The same for a head that continues an older one. */
AW_MUST_USE aw_result audit_prove_heads(const struct audit_source *source,
    const struct audit_head *old, const struct audit_head *head, struct audit_proof *proof);

/* What a proof is made of, for prove.c and for tests. */

/** Leaves `begin` to `end` - 1, counted from 0, whose root is a hash of a proof. */
struct audit_range {
    int64_t begin, end;
};

/** The ranges of a proof in its order; the number of them. Needs 0 <= index < size. */
size_t
audit_ranges_inclusion(int64_t index, int64_t size, struct audit_range ranges[AUDIT_PROOF_MAX]);

/** Needs 0 <= old <= size. */
size_t
audit_ranges_consistency(int64_t old, int64_t size, struct audit_range ranges[AUDIT_PROOF_MAX]);

#endif
