/**
 * @file quick.h
 * @brief The hashes of a proof from the index and the few records beside it: O(log n) reads.
 * Private to audit/.
 *
 * Nothing is checked here but that it could be read: the caller verifies the proof.
 */
#ifndef AW_AUDIT_QUICK_H
#define AW_AUDIT_QUICK_H

#include "audit/proof.h"

/** What is asked for. */
struct audit_quick {
    const struct audit_range *ranges; /**< each complete subtrees' worth, as in proof.h */
    size_t count;
    int64_t size;   /**< records that may be read */
    int64_t wanted; /**< record whose line is wanted; 0: none */
};

/**
 * The roots of the ranges.
 * @param[out] line of the wanted record; release with free()
 */
AW_MUST_USE aw_result audit_quick_roots(const struct audit_source *source,
    const struct audit_quick *asked, struct audit_hash *out, char **line);

#endif
