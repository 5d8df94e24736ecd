/**
 * @file index.h
 * @brief Roots of the complete subtrees of 256 records and more, in a file beside the log, so that
 * a proof need not read all of it. Private to audit/.
 *
 * `audit.tree` holds them as they are completed, 32 octets each, so the place of each can be
 * computed. It is not synced and nothing is believed of it: what is proved with it is verified
 * against the checkpoint before it is told, and without it the log is walked.
 */
#ifndef AW_AUDIT_INDEX_H
#define AW_AUDIT_INDEX_H

#include "audit/tree.h"

/** Name of the file in the log's folder. */
#define AUDIT_INDEX_NAME "audit.tree"

/** Opens the index; *fd is -1 where there is none, or it cannot be had: that is no failure. */
void audit_index_open(const char *folder, bool to_write, int *fd);

/** Octets of the index before the roots that a tree of `size` leaves completed last. */
int64_t audit_index_offset(int64_t size);

/** Writes what the last leaf of a tree of `size` leaves completed. What fails is missing then. */
void audit_index_put(int fd, int64_t size, const struct audit_completed *completed);

/**
 * Root of the subtree of leaves `number` << `level` and on, 1 << `level` of them.
 * @return AW_CODE_NOT_FOUND when the index does not hold it
 */
AW_MUST_USE aw_result audit_index_get(
    int fd, unsigned level, int64_t number, struct audit_hash *out);

#endif
