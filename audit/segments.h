/**
 * @file segments.h
 * @brief The files that a log is made of: closed segments audit-000001.jsonl, audit-000002.jsonl
 * ..., then audit.jsonl, which is written to. Private to audit/.
 *
 * The log is what stands in them one behind the other. A closed segment that is not at hand has
 * left its mark (mark.h).
 */
#ifndef AW_AUDIT_SEGMENTS_H
#define AW_AUDIT_SEGMENTS_H

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/mark.h"

/** Where the segments of a log are. Release: audit_segments_free. */
struct audit_segments {
    const struct audit_source *source; /**< not owned */
    char **paths;                      /**< [n - 1]: the file of segment n; NULL: not at hand */
    int64_t count;                     /**< closed segments */
};

/** The path of a closed segment in a folder; release with free(). */
AW_MUST_USE aw_result audit_segment_path(const char *folder, int64_t segment, char **out);

/**
 * Finds the closed segments before `current`, which was opened before: one that became a closed
 * segment meanwhile is still the end of this log.
 */
AW_MUST_USE aw_result audit_segments_find(const struct audit_source *source,
    const struct audit_file *current, struct audit_segments *out);

/** True when segment `n` is at hand. */
bool audit_segments_has(const struct audit_segments *segments, int64_t n);

/** Fails for a segment that is not at hand. */
AW_MUST_USE aw_result audit_segments_absent(const struct audit_segments *segments, int64_t n);

/** The mark of segment `n`, from the log's folder or an archive; codes of audit_mark_load. */
AW_MUST_USE aw_result audit_segments_mark(
    const struct audit_segments *segments, int64_t n, struct audit_mark *out);

/** Makes a closed segment read-only, as its rotation should have done. */
AW_MUST_USE aw_result audit_segment_seal(const char *path);

/** Up to which one all segments at hand have a mark; what is behind it lacks one. */
int64_t audit_segments_marked(const struct audit_segments *segments);

/** Releases; works on a zeroed struct too. */
void audit_segments_free(struct audit_segments *segments);

/** Opens a closed segment to read. */
AW_MUST_USE aw_result audit_segment_open(const char *path, int *fd);

/** The number of the last closed segment that has left a file or a mark in the folder; 0: none. */
AW_MUST_USE aw_result audit_segments_last(const char *folder, int64_t *last);

#endif
