/**
 * @file follow.h
 * @brief Reads a log that is being written to, record by record, over rotations.
 */
#ifndef AW_AUDIT_FOLLOW_H
#define AW_AUDIT_FOLLOW_H

#include "audit/audit.h"

/** A reader. */
typedef struct audit_follow audit_follow;

/** Begins behind record `seq` of the log in `folder`. Release: audit_follow_free. */
AW_MUST_USE aw_result audit_follow_new(const char *folder, int64_t seq, audit_follow **out);

/** Releases and nulls; NULL is allowed. */
void audit_follow_free(audit_follow **follow);

/** A record: what it says, and its line. Valid until the next call. */
struct audit_followed {
    const struct audit_record *record; /**< NULL: there is none yet */
    const char *line;                  /**< without its newline; not NUL-terminated */
    size_t length;
};

/**
 * The next record, if it is not behind record `limit` (what is behind the last durable one may
 * still be lost, and another record get its number). After a failure the same record is tried
 * again.
 * @return AW_CODE_NOT_FOUND when the record is in a segment that was archived; AW_CODE_CORRUPT
 */
AW_MUST_USE aw_result audit_follow_next(
    audit_follow *follow, int64_t limit, struct audit_followed *out);

#endif
