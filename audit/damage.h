/**
 * @file damage.h
 * @brief What was done to a log whose chain breaks: a second look at the file, for the message.
 *
 * Nothing here decides whether a log is damaged; that is chain.c. Private to audit/.
 */
#ifndef AW_AUDIT_DAMAGE_H
#define AW_AUDIT_DAMAGE_H

#include "audit/audit.h"
#include "audit/lines.h"

/** Fails for a record whose sequence number is not the expected one. `lines` stands behind it. */
AW_MUST_USE aw_result audit_damage_sequence(
    const struct audit_lines *lines, const struct audit_record *found, int64_t expected);

/** Fails for a record that does not carry the digest of the line before it. */
AW_MUST_USE aw_result audit_damage_digest(
    const struct audit_lines *lines, const struct audit_record *found, const char *expected);

#endif
