/**
 * @file record.h
 * @brief One record as a line: its members and their order. Private to audit/.
 *
 * docs/audit-format.md describes the line for those who read it with other programs.
 */
#ifndef AW_AUDIT_RECORD_H
#define AW_AUDIT_RECORD_H

#include <stddef.h>

#include "audit/audit.h"

/**
 * Writes seq, entry and previous as a line without its newline. Nothing is written that
 * audit_record_parse would not take back.
 * @param[out] line release with free()
 * @return AW_CODE_LIMIT when the line would be over AUDIT_RECORD_MAX; AW_CODE_INTERNAL for values
 *         that no record can hold
 */
AW_MUST_USE aw_result audit_record_write(
    const struct audit_record *record, char **line, size_t *length);

/** audit_record_parse without the digest, and `length` without the newline. */
AW_MUST_USE aw_result audit_record_read(const char *line, size_t length, struct audit_record *out);

#endif
