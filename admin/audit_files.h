/**
 * @file audit_files.h
 * @brief What the audit commands read: the log's folder, keys, checkpoints. No signer, no token.
 */
#ifndef AW_ADMIN_AUDIT_FILES_H
#define AW_ADMIN_AUDIT_FILES_H

#include "admin/admin_cli.h"
#include "audit/audit.h"
#include "audit/checkpoint.h"

/** Limits. */
enum { ADMIN_AUDIT_FILES_MAX = 64 }; /**< times that an option may be repeated */

/** Which log: --folder, --archive, --partial. Release: admin_audit_log_free. */
struct admin_audit_log {
    const char *given;                           /**< --folder */
    const char *archives[ADMIN_AUDIT_FILES_MAX]; /**< --archive */
    size_t archive_count;
    bool partial;
    char *folder;
    struct audit_source source; /**< set by admin_audit_log_find */
};

/** Rows of a command's table for it. */
#define ADMIN_AUDIT_LOG_OPTIONS(log)              \
    {.name = "folder", .value = &(log).given},    \
        {.name = "archive",                       \
            .list = (log).archives,               \
            .list_count = &(log).archive_count,   \
            .list_max = ADMIN_AUDIT_FILES_MAX},   \
    {                                             \
        .name = "partial", .flag = &(log).partial \
    }

/** After the options were read: the folder is the one given, or signer.yaml's. */
AW_MUST_USE aw_result admin_audit_log_find(
    const struct admin_options *options, struct admin_audit_log *log);

/** For audit_source.absent: says on stderr that records are left out. Context: none. */
void admin_audit_tell_absent(const struct audit_absent *absent, void *context);

/** For AW_CLEANUP; nothing is left in it. */
void admin_audit_log_free(struct admin_audit_log *log);

/** Keys of --public-key. Release: admin_audit_keys_free. */
struct admin_audit_keys {
    audit_verifier *items[ADMIN_AUDIT_FILES_MAX];
    size_t count;
};

/** Reads each file: PEM or a verifier key line. */
AW_MUST_USE aw_result admin_audit_keys_read(
    const char *const *files, size_t count, struct admin_audit_keys *out);

/** For AW_CLEANUP; nothing is left in it. */
void admin_audit_keys_free(struct admin_audit_keys *keys);

/** A checkpoint from a file. Release: admin_audit_note_free. */
struct admin_audit_note {
    char *text;
    struct audit_checkpoint checkpoint;
};

/** Reads a note; verifies it where there are keys. */
AW_MUST_USE aw_result admin_audit_note_read(
    const char *file, const struct admin_audit_keys *keys, struct admin_audit_note *out);

/** The form of a note that is in memory already; verified where there are keys. */
AW_MUST_USE aw_result admin_audit_note_check(
    const char *text, const struct admin_audit_keys *keys, struct audit_checkpoint *out);

/** For AW_CLEANUP; nothing is left in it. */
void admin_audit_note_free(struct admin_audit_note *note);

#endif
