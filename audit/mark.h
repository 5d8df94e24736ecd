/**
 * @file mark.h
 * @brief What a log was like at the end of a closed segment, so that it can go on without the
 * segment.
 *
 * A mark is kept beside the segment, audit-000001.mark beside audit-000001.jsonl, and stays when
 * that is moved to an archive. It is a hint: whoever has the segment makes the mark again, and what
 * begins at a mark holds it against the records on both sides of it and against the checkpoints.
 */
#ifndef AW_AUDIT_MARK_H
#define AW_AUDIT_MARK_H

#include "audit/audit.h"
#include "audit/hasher.h"
#include "audit/tree.h"
#include "common/hex.h"

/** Limits. */
enum {
    AUDIT_SEGMENTS_MAX = 999999, /**< closed segments: numbers of six digits */
    AUDIT_MARK_MAX = 8 * 1024,   /**< octets of a mark's file */
};

/** A mark; zeroed with `head` AUDIT_HEX_ZERO it is the beginning of a log. May be copied. */
struct audit_mark {
    int64_t segment;               /**< number of the segment that ends here */
    int64_t first;                 /**< sequence number of its first record */
    int64_t octets;                /**< its size */
    int64_t time;                  /**< of its last record */
    char head[AW_DIGEST_HEX_SIZE]; /**< digest of its last record */
    struct audit_tree tree; /**< over all records up to here: its size is the last one's number */
};

/** The mark as one line of JSON with its newline; release with free(). */
AW_MUST_USE aw_result audit_mark_write(const struct audit_mark *mark, char **out);

/** Reads it strictly. AW_CODE_SYNTAX. */
AW_MUST_USE aw_result audit_mark_parse(const char *text, size_t length, struct audit_mark *out);

/** Writes the mark's file (0440), durably and whole. */
AW_MUST_USE aw_result audit_mark_store(const char *folder, const struct audit_mark *mark);

/**
 * Reads the mark of that segment.
 * @return AW_CODE_NOT_FOUND; AW_CODE_CORRUPT for a file that is no mark of that segment
 */
AW_MUST_USE aw_result audit_mark_load(const char *folder, int64_t segment, struct audit_mark *out);

/** The path of a mark; release with free(). */
AW_MUST_USE aw_result audit_mark_path(const char *folder, int64_t segment, char **out);

/** True when both say the same. */
bool audit_mark_equal(const struct audit_mark *a, const struct audit_mark *b);

#endif
