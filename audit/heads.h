/**
 * @file heads.h
 * @brief Heads that a log must have had, looked at while it is walked. Private to audit/.
 */
#ifndef AW_AUDIT_HEADS_H
#define AW_AUDIT_HEADS_H

#include "audit/chain.h"

/** A set of heads in order of size. Release: audit_heads_free. */
struct audit_heads {
    struct audit_expected *items;
    size_t count;
    size_t next;     /**< the first that the walk has not reached */
    int64_t skipped; /**< heads of sizes that the walk has passed over */
};

/** Takes copies of `count` expected heads and sorts them. */
AW_MUST_USE aw_result audit_heads_take(
    struct audit_heads *heads, const struct audit_expected *expected, size_t count);

/** Compares the heads of the size that the walk has reached; before the first record too. */
AW_MUST_USE aw_result audit_heads_check(struct audit_heads *heads, const struct audit_chain *chain);

/** At the end of the walk: no head may be left. */
AW_MUST_USE aw_result audit_heads_end(
    const struct audit_heads *heads, const struct audit_chain *chain);

/** Releases; works on a zeroed struct too. */
void audit_heads_free(struct audit_heads *heads);

#endif
