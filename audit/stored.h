/**
 * @file stored.h
 * @brief The checkpoints that are kept beside the log: folder/checkpoints, only ever appended to.
 *
 * One note after the other, an empty line behind each. The log's writer writes here too (it has the
 * lock of the log). What stands behind the last whole note is torn: nobody was given it.
 */
#ifndef AW_AUDIT_STORED_H
#define AW_AUDIT_STORED_H

#include "audit/checkpoint.h"

/** Name of the file in the log's folder. */
#define AUDIT_STORED_NAME "checkpoints"

/** How messages call it. */
#define AUDIT_STORED_SOURCE "the file \"" AUDIT_STORED_NAME "\" beside the log"

/** What a walk over the stored checkpoints is called with: note and what it says. */
typedef aw_result (*audit_stored_visit)(
    const char *note, const struct audit_checkpoint *checkpoint, void *context);

/** What was found. */
struct audit_stored {
    int64_t count; /**< whole checkpoints */
    int64_t size;  /**< octets that they take */
    size_t torn;   /**< octets behind them */
};

/**
 * Visits each checkpoint in order; their sizes never go back. No file: none. `visit` may be NULL.
 * @return AW_CODE_CORRUPT with the line for what is no checkpoint
 */
AW_MUST_USE aw_result audit_stored_read(
    const char *folder, audit_stored_visit visit, void *context, struct audit_stored *out);

/** Reads the heads of all as expected ones, AUDIT_STORED_SOURCE. */
AW_MUST_USE aw_result audit_stored_heads(
    const char *folder, struct audit_expected **out, size_t *count);

/**
 * Appends a note durably. `stored` is what was found or written before: a file that has another
 * size is not written to (AW_CODE_CORRUPT), and the torn tail is cut off first.
 */
AW_MUST_USE aw_result audit_stored_append(
    const char *folder, const char *note, struct audit_stored *stored);

#endif
