/**
 * @file rotation.h
 * @brief Closing a segment, in steps of which any may be the last one. Private to audit/.
 *
 * 1. the next file is made beside the log (audit.jsonl.next), 2. the log's file gets its second
 * name (audit-000001.jsonl), 3. the next file takes the first name, 4. the closed file becomes
 * read-only, 5. its mark is written. A process that ends before 3 has rotated nothing: what is left
 * is taken away at the next start. One that ends after 3 has: the walk of the next start does 4 and
 * 5.
 */
#ifndef AW_AUDIT_ROTATION_H
#define AW_AUDIT_ROTATION_H

#include "audit/file.h"
#include "audit/mark.h"

/** Steps 1 and 2. On failure nothing is left of them. Release `next`: audit_file_close. */
AW_MUST_USE aw_result audit_rotation_prepare(
    const char *folder, const struct audit_file *file, int64_t segment, struct audit_file *next);

/** Step 3, but for its durability. On failure nothing is left of 1 and 2 either. */
AW_MUST_USE aw_result audit_rotation_turn(
    const char *folder, const struct audit_file *file, int64_t segment, struct audit_file *next);

/** Steps 4 and 5. */
AW_MUST_USE aw_result audit_rotation_finish(
    const char *folder, const struct audit_file *closed, const struct audit_mark *mark);

/** At a start, with the log's lock: takes away what is left of a rotation that did not happen. */
AW_MUST_USE aw_result audit_rotation_mend(const char *folder, const struct audit_file *file);

#endif
