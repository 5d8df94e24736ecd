/**
 * @file file.h
 * @brief The file of the log: opened for one writer, appended durably, watched. Private to audit/.
 */
#ifndef AW_AUDIT_FILE_H
#define AW_AUDIT_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/result.h"

/** Name of the file in its folder. */
#define AUDIT_FILE_NAME "audit.jsonl"

/** An open file. It does not change after it was opened, so threads may share it. */
struct audit_file {
    char *path;
    int fd;
    dev_t device; /**< with inode: what `path` must lead to */
    ino_t inode;
};

/**
 * Opens or creates the file, takes its lock, checks modes, makes its name durable, and has it read
 * from the disk from here on. Release: audit_file_close.
 * @return AW_CODE_BUSY when another writer has it
 */
AW_MUST_USE aw_result audit_file_open(const char *folder, struct audit_file *out);

/**
 * Makes the file that is to take the place of `file`: empty, with the lock, under a name of its own
 * (audit.jsonl.next). `out->path` is the path that it will have. Release: audit_file_close.
 */
AW_MUST_USE aw_result audit_file_next(const struct audit_file *file, struct audit_file *out);

/** Gives the file a second name, `path`, durably. On failure it has none. */
AW_MUST_USE aw_result audit_file_keep(const struct audit_file *file, const char *path);

/** Puts the file of audit_file_next in its place. Not durable before aw_folder_sync_of. */
AW_MUST_USE aw_result audit_file_turn(const struct audit_file *next);

/** Takes away what audit_file_next made, or a process before this one. */
void audit_file_drop_next(const struct audit_file *file);

/** Makes a closed segment read-only, durably. */
AW_MUST_USE aw_result audit_file_seal(int fd, const char *path);

/** Opens an existing file to read. Release: audit_file_close. */
AW_MUST_USE aw_result audit_file_open_read(const char *folder, struct audit_file *out);

/** Closes (which gives up the lock) and releases. */
void audit_file_close(struct audit_file *file);

/** Cuts `torn` octets behind `whole`, after a copy of them beside the log is durable. */
AW_MUST_USE aw_result audit_file_cut(const struct audit_file *file, int64_t whole, size_t torn);

/** Appends and makes durable. After a failure nothing is known about what is on the disk. */
AW_MUST_USE aw_result audit_file_append(
    const struct audit_file *file, const void *bytes, size_t size);

/** Room on the file system for us, and how much of it is kept for what is permitted. */
struct audit_file_space {
    int64_t free, reserve; /**< octets */
};

/** Asks the file system; where it does not tell, there is no room. */
void audit_file_space(const struct audit_file *file, struct audit_file_space *out);

/**
 * Fails when the path does not lead to this file any more, or when the file has not from `least` to
 * `most` octets.
 */
AW_MUST_USE aw_result audit_file_check(const struct audit_file *file, int64_t least, int64_t most);

#endif
