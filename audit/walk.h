/**
 * @file walk.h
 * @brief A walk over all records of a log, from segment to segment (chain.h does the checking).
 * Private to audit/.
 *
 * It begins with the first record, or behind a mark.
 */
#ifndef AW_AUDIT_WALK_H
#define AW_AUDIT_WALK_H

#include "audit/chain.h"
#include "audit/segments.h"

struct audit_walk;

/** Called at the end of each closed segment with the mark that the walk would make there. */
typedef aw_result (*audit_walk_closed)(
    const struct audit_walk *walk, const struct audit_mark *mark, void *context);

/** A walk. Release: audit_walk_end. */
struct audit_walk {
    const struct audit_source *source;
    struct audit_segments segments;
    struct audit_file own;     /**< audit.jsonl, where the walk opened it */
    struct audit_file current; /**< audit.jsonl; not owned */
    struct audit_chain chain;  /**< the present record */
    int64_t segment;           /**< the one that is read; segments.count + 1: the current */
    int64_t first;             /**< number of its first record */
    int fd;                    /**< of a closed one; -1 */
    bool reading;              /**< a file of the walk is open */
    int64_t begun;             /**< number of the record before the walk's first */
    audit_walk_closed closed;  /**< may be NULL */
    void *context;             /**< for it */
};

/** Begins before the first record. `current`: audit.jsonl when it is open already, or NULL. */
AW_MUST_USE aw_result audit_walk_begin(
    struct audit_walk *walk, const struct audit_source *source, const struct audit_file *current);

/**
 * Goes to behind the last mark of segments 1 to `last` that is before record `seq` and fits to the
 * records on both sides of it, as far as these are at hand. Without one the walk stays where it is.
 */
AW_MUST_USE aw_result audit_walk_skip(struct audit_walk *walk, int64_t last, int64_t seq);

/**
 * Goes to the next record; *more is false behind the last whole one. A segment that is not at hand
 * ends the walk with AW_CODE_NOT_FOUND; with `partial` it is passed over by its mark.
 * @return AW_CODE_CORRUPT as audit_chain_next, and for segments that do not fit together
 */
AW_MUST_USE aw_result audit_walk_next(struct audit_walk *walk, bool *more);

/** Releases; works on a zeroed struct too. */
void audit_walk_end(struct audit_walk *walk);

#endif
