/**
 * @file checkpoints.h
 * @brief Signs heads of the audit log with the audit key, on schedule and on demand, and lets them
 * out.
 *
 * The audit key signs nothing else: it is known here only, what it signs is written here from the
 * log's own head, and no request brings any of it. A checkpoint covers durable records only, is
 * verified, stored beside the log, and then exported: a line of the journal, and a file in a folder
 * where one is configured (signer/exporter.h). A checkpoint that fails does not stop signing for
 * applications: the failure is logged and `status` tells it.
 */
#ifndef AW_SIGNER_CHECKPOINTS_H
#define AW_SIGNER_CHECKPOINTS_H

#include <stdint.h>

#include "audit/checkpoint.h"
#include "common/result.h"
#include "pkcs11/token.h"
#include "signer/exporter.h"

struct core;
struct peer;

/** The maker of checkpoints. Thread-safe. */
typedef struct checkpoints checkpoints;

/**
 * Reads what is stored, finds the audit key, and starts the schedule's thread: one checkpoint at
 * the start, then every so many records or minutes, as far as there are new records. *out is NULL
 * where the configuration has no `audit`. A key that is missing is made later.
 * @return AW_CODE_CONFIG when the stored checkpoints are of another origin
 */
AW_MUST_USE aw_result checkpoints_open(struct core *core, checkpoints **out);

/** Makes a last checkpoint, ends the thread, releases, nulls; NULL is allowed. */
void checkpoints_close(checkpoints **maker);

/** Makes the audit key in the token. AW_CODE_EXISTS when it is there. */
AW_MUST_USE aw_result checkpoints_create_key(checkpoints *maker, struct token_key_report *report);

/**
 * Puts a new key in the audit key's place: names it on record, has the old key sign a checkpoint
 * that covers this record, and destroys the old key. Where it fails before that the old one stays
 * in use; it may be called again.
 */
AW_MUST_USE aw_result checkpoints_rotate_key(
    checkpoints *maker, const struct peer *by, struct token_key_report *report);

/** The audit key's public half as a verifier key line and as PEM; release with free(). */
AW_MUST_USE aw_result checkpoints_key_text(checkpoints *maker, char **line, char **pem);

/**
 * A checkpoint of all that is on record now; the last one again where nothing was added since.
 * @param[out] note release with free()
 */
AW_MUST_USE aw_result checkpoints_make(checkpoints *maker, char **note, int64_t *size);

/** For `status`. */
struct checkpoints_state {
    int64_t size; /**< records covered; 0: none yet */
    int64_t at;   /**< when this process made the last one; 0: it made none */
    char message[AW_ERROR_MESSAGE_SIZE]; /**< why the last attempt failed; empty: it did not */
    bool exports;                        /**< a folder is configured, and this is how it is: */
    struct exporter_state export;
};

/** How it is; waits neither for the token nor for the folder. */
void checkpoints_state(checkpoints *maker, struct checkpoints_state *out);

#endif
