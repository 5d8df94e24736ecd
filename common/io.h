/**
 * @file io.h
 * @brief Files and descriptors: whole reads, durable atomic writes, checks of modes and owners.
 */
#ifndef AW_COMMON_IO_H
#define AW_COMMON_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/result.h"
#include "common/secret.h"

/** Closes *fd if it is not negative and sets it to -1; for AW_CLEANUP. errno is kept. */
void aw_close(int *fd);

/** free() for AW_CLEANUP on a string or buffer: takes the address of the pointer. */
void aw_free(void *pointer_to_pointer);

/** Monotonic milliseconds. */
int64_t aw_now_ms(void);

/**
 * Reads a whole file of at most `max` octets (AW_CODE_LIMIT); a NUL is put behind the end. Only
 * regular files. Release with free().
 */
AW_MUST_USE aw_result aw_file_read(const char *path, size_t max, char **out, size_t *size);

/**
 * Reads everything from a descriptor into a secret, in place of what it held, up to its capacity
 * (AW_CODE_LIMIT). After a failure the secret is empty.
 */
AW_MUST_USE aw_result aw_fd_read_secret(int fd, aw_secret *out);

/** Writes all octets, over short writes and EINTR. */
AW_MUST_USE aw_result aw_fd_write(int fd, const void *bytes, size_t size);

/**
 * Replaces a file atomically and durably: a temporary file in the same folder (O_EXCL, mode set
 * before content), write, fsync, rename, fsync of the folder.
 */
AW_MUST_USE aw_result aw_file_replace(
    const char *path, const void *bytes, size_t size, mode_t mode);

/**
 * The same without any fsync: a process that is killed leaves the old file or the new one, a host
 * that fails may leave less. For several files of one folder, before something else makes them
 * count: aw_file_sync each and aw_folder_sync_of then, which the disk, told of all before, mostly
 * does in one go.
 */
AW_MUST_USE aw_result aw_file_replace_unsynced(
    const char *path, const void *bytes, size_t size, mode_t mode);

/** fsync of a file, whoever wrote it. */
AW_MUST_USE aw_result aw_file_sync(const char *path);

/** aw_file_replace for a file that must not be there yet, whoever makes one meanwhile:
 * AW_CODE_EXISTS, and what is there stays as it is. */
AW_MUST_USE aw_result aw_file_create(const char *path, const void *bytes, size_t size, mode_t mode);

/** aw_file_replace, with the group `group` from the first octet on; (gid_t)-1: the caller's. */
AW_MUST_USE aw_result aw_file_replace_for(
    const char *path, const void *bytes, size_t size, mode_t mode, gid_t group);

/** fsync of the folder that holds `path`. */
AW_MUST_USE aw_result aw_folder_sync_of(const char *path);

/** Makes a folder of that mode; one that is there already is fine if it is a folder. */
AW_MUST_USE aw_result aw_folder_make(const char *path, mode_t mode);

/**
 * Refuses (AW_CODE_PERMISSION, with path, mode, owner and what to do) a file or folder that is a
 * symbolic link, is owned by anyone but root or `owner`, or has any of the permission bits
 * `forbidden` (for example 0077 for a PIN, 0022 for configuration).
 */
AW_MUST_USE aw_result aw_path_check(const char *path, uid_t owner, mode_t forbidden);

/**
 * Refuses (likewise) a file or folder in whose place others can put something else: the folder that
 * it is in is owned by anyone but root or `owner`, or others may write in it and it is not sticky.
 */
AW_MUST_USE aw_result aw_path_check_place(const char *path, uid_t owner);

/**
 * Opens a regular file to read, with the checks of aw_path_check made on what was opened (no
 * symbolic link is followed). For PIN files: aw_fd_read_secret takes it from there.
 */
AW_MUST_USE aw_result aw_file_open_checked(
    const char *path, uid_t owner, mode_t forbidden, int *out);

/** "a/b" from "a" and "b"; AW_CODE_MEMORY. Release with free(). */
AW_MUST_USE aw_result aw_path_join(const char *folder, const char *name, char **out);

/** The folder that holds `path`: "." and "/" where it names no other. Release with free(). */
AW_MUST_USE aw_result aw_path_folder(const char *path, char **out);

/** printf into a new string; release with free(). */
AW_MUST_USE aw_result aw_format(char **out, const char *format, ...) AW_PRINTF(2, 3);

/** Seconds since the epoch (UTC) as "2026-11-24T02:34:25Z"; `out` holds 32 characters. */
void aw_time_text(int64_t unix_seconds, char out[32]);

/** Parses the form of aw_time_text strictly. */
AW_MUST_USE aw_result aw_time_parse(const char *text, int64_t *out);

/**
 * Room for one more item in a growing array, which may be NULL at first.
 * @param items address of the array's pointer
 * @param count items in use
 * @param room items that there is room for
 * @param size octets of one
 */
AW_MUST_USE aw_result aw_array_grow(void *items, size_t count, size_t *room, size_t size);

#endif
