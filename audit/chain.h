/**
 * @file chain.h
 * @brief A walk over the records of a log that checks the chain (sequence, digests, time) and grows
 * the Merkle tree.
 *
 * Opening, reading and verifying are this walk. Private to audit/.
 */
#ifndef AW_AUDIT_CHAIN_H
#define AW_AUDIT_CHAIN_H

#include "audit/audit.h"
#include "audit/hasher.h"
#include "audit/lines.h"
#include "audit/mark.h"
#include "audit/tree.h"
#include "common/hex.h"

/** A walk. Begin with audit_chain_begin; release: audit_chain_end. */
struct audit_chain {
    const char *path; /**< for messages; not owned */
    struct audit_lines lines;
    audit_hasher *hasher;
    struct audit_record record;    /**< the present one */
    int64_t seq;                   /**< its sequence number; 0 before the first */
    int64_t time;                  /**< its time */
    char head[AW_DIGEST_HEX_SIZE]; /**< its digest; zeros before the first */
    const char *line;              /**< its line without the newline; valid until the next one */
    size_t line_length;
    struct audit_hash leaf;           /**< its hash as a leaf */
    struct audit_tree tree;           /**< over all records so far */
    struct audit_completed completed; /**< by it */
};

/** Begins before the first record of an open file. */
AW_MUST_USE aw_result audit_chain_begin(struct audit_chain *chain, int fd, const char *path);

/**
 * Goes to the next record; *more is false behind the last whole one.
 * @return AW_CODE_CORRUPT with the line, what was found there and the kind of damage
 */
AW_MUST_USE aw_result audit_chain_next(struct audit_chain *chain, bool *more);

/** Goes on with another file, where the last one ended. */
void audit_chain_segment(struct audit_chain *chain, int fd, const char *path);

/** Takes a mark for the state of the walk. */
void audit_chain_jump(struct audit_chain *chain, const struct audit_mark *mark);

/** Releases; works on a zeroed struct too. */
void audit_chain_end(struct audit_chain *chain);

#endif
