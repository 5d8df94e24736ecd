/**
 * @file freezes.h
 * @brief Applications for which signing is stopped, one by one, across restarts.
 *
 * One file, state/frozen-applications.json, replaced as a whole. A file that can't be read ends the
 * start: an application that was frozen must not sign because a disk was full. What a lost or older
 * file does not have comes from the audit log (core_freeze.h).
 */
#ifndef AW_SIGNER_FREEZES_H
#define AW_SIGNER_FREEZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/result.h"

/** Limits. */
enum {
    FREEZES_MAX = 1000,        /**< applications frozen; beyond that, freeze all */
    FREEZES_REASON_SIZE = 201, /**< octets of a reason, with NUL */
};

/** One of them. */
struct freeze {
    char application[AW_CONFIG_LABEL_MAX + 1];
    char reason[FREEZES_REASON_SIZE];
    int64_t since;
};

/** All of them (struct freezes). Locks itself. */
typedef struct freezes freezes;

/** Reads the file in the state folder; without one none is frozen yet. Release: freezes_free. */
AW_MUST_USE aw_result freezes_open(const char *state, freezes **out);

/** Releases and nulls; NULL is allowed. */
void freezes_free(freezes **slot);

/** True while that application is frozen; *out may be NULL. */
bool freezes_find(freezes *self, const char *application, struct freeze *out);

/** The one of that index, in the order of freezing; false beyond the last. */
bool freezes_get(freezes *self, size_t index, struct freeze *out);

/** Freezes, or changes the reason. It counts at once, and is durable on return; where writing
 * failed it counts until the next start, and longer where it is on record. AW_CODE_LIMIT: nothing
 * counts. */
AW_MUST_USE aw_result freezes_add(
    freezes *self, const char *application, const char *reason, int64_t now);

/** Freezes those that the file lacks, each since its own time, in one write. */
AW_MUST_USE aw_result freezes_restore(freezes *self, const struct freeze *items, size_t count);

/** Lifts it, once that is durable. AW_CODE_NOT_FOUND where there is none. */
AW_MUST_USE aw_result freezes_remove(freezes *self, const char *application);

#endif
