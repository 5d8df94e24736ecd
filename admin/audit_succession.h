/**
 * @file audit_succession.h
 * @brief Keys that the log itself names as the next ones, trusted as far as checkpoints go.
 *
 * A key that a record names is trusted once a checkpoint that covers the record is signed by a key
 * that is trusted already (docs/audit-format.md).
 */
#ifndef AW_ADMIN_AUDIT_SUCCESSION_H
#define AW_ADMIN_AUDIT_SUCCESSION_H

#include "admin/audit_files.h"

/** A checkpoint and what it is worth to whoever follows the keys. */
struct admin_audit_held {
    int64_t size;   /**< records that it covers */
    size_t learned; /**< keys that were learned when its signature was verified */
    bool compared;  /**< the log was held against it: not so when its segment is absent */
};

/** The keys that are trusted, and how far the log was read for others. */
struct admin_audit_succession {
    const struct audit_source *source;
    struct admin_audit_keys *keys; /**< grows */
    int64_t covered;               /**< records under a checkpoint that was verified */
    int64_t read;                  /**< records that were looked at */
    struct {
        int64_t seq; /**< of the record that names it */
        const audit_verifier *key;
    } learned[ADMIN_AUDIT_FILES_MAX];
    size_t learned_count;
};

/**
 * After the verification of the log: whether each key that was learned was named before the end of
 * a checkpoint that a key from before signed and that the log was held against.
 * @return AW_CODE_MISMATCH
 */
AW_MUST_USE aw_result admin_audit_succession_end(
    const struct admin_audit_succession *s, const struct admin_audit_held *held, size_t count);

/**
 * Verifies a note where there are keys; its form only where there are none. When no trusted key
 * signed it, the records that are covered so far are looked through for the next ones.
 */
AW_MUST_USE aw_result admin_audit_succession_check(
    struct admin_audit_succession *s, const char *note, struct audit_checkpoint *out);

#endif
