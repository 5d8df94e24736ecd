/**
 * @file lines.h
 * @brief The whole lines of a log file, one after the other, in a buffer of fixed size.
 *
 * What stands behind the last newline is no line yet: a writer may be at work, or the tail is torn.
 * Private to audit/.
 */
#ifndef AW_AUDIT_LINES_H
#define AW_AUDIT_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** A walk. Begin with audit_lines_begin; release: audit_lines_end. */
struct audit_lines {
    int fd; /**< not owned; read with pread, so its position does not matter */
    char *buffer;
    size_t start, end; /**< what of the buffer is not taken yet */
    int64_t offset;    /**< octets of the lines taken: where the next line begins */
    int64_t number;    /**< lines taken: number of the present line, from 1 */
};

/** Begins at the first line. */
AW_MUST_USE aw_result audit_lines_begin(struct audit_lines *lines, int fd);

/** Turns to another file, at its first line. */
void audit_lines_turn(struct audit_lines *lines, int fd);

/**
 * Takes the next whole line.
 * @param[out] line into the buffer, valid until the next call; NULL at the end
 * @param[out] length without the newline
 * @return AW_CODE_CORRUPT for a line over AUDIT_RECORD_MAX
 */
AW_MUST_USE aw_result audit_lines_next(
    struct audit_lines *lines, const char **line, size_t *length);

/** After the end: octets behind the last newline. */
size_t audit_lines_torn(const struct audit_lines *lines);

/** Releases. */
void audit_lines_end(struct audit_lines *lines);

#endif
