#include "audit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "audit/audit.h"
#include "common/io.h"

enum {
    FILE_MODE = 0640,
    SEALED_MODE = 0440,      /* of a closed segment */
    FILE_FORBIDDEN = 0027,   /* mode bits that the log must not have */
    FOLDER_FORBIDDEN = 0022, /* who may write here may replace the log */
    TORN_FILES_MAX = 100,    /* torn tails of one second */
};

/* O_NONBLOCK: opening a FIFO that somebody put there must not hang. */
static const int open_flags = O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

void
audit_file_close(struct audit_file *file)
{
    aw_close(&file->fd);
    aw_free(&file->path);
}

static aw_result
cannot_open(const char *path, const char *hint)
{
    int number = errno;
    aw_result r = aw_fail_errno(AW_CODE_IO, "cannot open the audit log %s", path);

    if (number == ELOOP)
        return aw_hint(r, "the log must not be a symbolic link: move the file itself here");
    return aw_hint(r, "%s", hint);
}

/* Notes what was opened. */
static aw_result
identify(struct audit_file *file)
{
    struct stat st;

    if (fstat(file->fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine %s", file->path);
    if (!S_ISREG(st.st_mode))
        return aw_hint(
            aw_fail(AW_CODE_IO, "%s is not a regular file", file->path), "move it out of the way");
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return AW_OK;
}

/* The mode is set in spite of the umask: a group that may read the log is part of the design. */
static aw_result
open_or_create(struct audit_file *file)
{
    int access = O_RDWR | O_APPEND | open_flags;

    file->fd = open(file->path, access | O_CREAT | O_EXCL, FILE_MODE);
    if (file->fd >= 0) {
        if (fchmod(file->fd, FILE_MODE) != 0)
            return aw_fail_errno(AW_CODE_IO, "cannot set the mode of %s", file->path);
        return AW_OK;
    }
    if (errno == EEXIST)
        file->fd = open(file->path, access);
    return file->fd < 0 ? cannot_open(file->path,
                              "make the folder, owned by the signer's user, with mode 0750")
                        : AW_OK;
}

/* Bound to this open file, not to the process: closing another descriptor of it changes nothing. */
static aw_result
lock(const struct audit_file *file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(file->fd, F_OFD_SETLK, &whole) == 0)
        return AW_OK;
    if (errno != EAGAIN && errno != EACCES)
        return aw_fail_errno(AW_CODE_IO, "cannot lock %s", file->path);
    return aw_hint(aw_fail(AW_CODE_BUSY, "another process writes to %s", file->path),
        "one signer may run on a log: stop the other one, or give this one a folder of its own");
}

/*
 * After an fsync that failed the kernel may hold pages that never reached the disk and call them
 * clean. Dropping the cache lets the chain be verified as it is on the disk.
 */
static aw_result
settle(const struct audit_file *file)
{
    if (fsync(file->fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make %s durable", file->path);
    if (posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        return aw_fail(AW_CODE_IO, "cannot drop the cached pages of %s", file->path);
    return aw_folder_sync_of(file->path);
}

aw_result
audit_file_open(const char *folder, struct audit_file *out)
{
    AW_CLEANUP(audit_file_close) struct audit_file file = {.fd = -1};

    AW_TRY(aw_path_join(folder, AUDIT_FILE_NAME, &file.path));
    AW_TRY(open_or_create(&file));
    AW_TRY(identify(&file));
    AW_TRY(lock(&file));
    AW_TRY(aw_path_check(folder, geteuid(), FOLDER_FORBIDDEN));
    AW_TRY(aw_path_check(file.path, geteuid(), FILE_FORBIDDEN));
    /* So that what was checked by name is what was opened. */
    AW_TRY(audit_file_check(&file, 0, INT64_MAX));
    AW_TRY(settle(&file));
    *out = file;
    file = (struct audit_file){.fd = -1};
    return AW_OK;
}

/* Rotation. At each moment the log's file is at its path, so nobody takes it for a new log. */

static const char next_suffix[] = ".next";

static aw_result
next_name(const struct audit_file *file, char **out)
{
    return aw_format(out, "%s%s", file->path, next_suffix);
}

static aw_result
create_next(const char *name, struct audit_file *next)
{
    next->fd = open(name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | open_flags, FILE_MODE);
    if (next->fd < 0 || fchmod(next->fd, FILE_MODE) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make %s", name);
    AW_TRY(identify(next));
    AW_TRY(lock(next));
    if (fsync(next->fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make %s durable", name);
    return AW_OK;
}

aw_result
audit_file_next(const struct audit_file *file, struct audit_file *out)
{
    AW_CLEANUP(audit_file_close) struct audit_file next = {.fd = -1};
    AW_CLEANUP(aw_free) char *name = NULL;

    audit_file_drop_next(file); /* of a rotation that failed */
    AW_TRY(next_name(file, &name));
    AW_TRY(aw_format(&next.path, "%s", file->path));
    AW_TRY(create_next(name, &next));
    *out = next;
    next = (struct audit_file){.fd = -1};
    return AW_OK;
}

aw_result
audit_file_keep(const struct audit_file *file, const char *path)
{
    if (link(file->path, path) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot give %s the name %s", file->path, path),
            "a file with the append-only attribute (chattr +a) cannot be closed, nor one on a file "
            "system without hard links");
    aw_result r = aw_folder_sync_of(path);
    if (!aw_ok(r))
        unlink(path);
    return r;
}

aw_result
audit_file_turn(const struct audit_file *next)
{
    AW_CLEANUP(aw_free) char *name = NULL;

    AW_TRY(next_name(next, &name));
    if (rename(name, next->path) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot put %s in its place", name);
    return AW_OK;
}

void
audit_file_drop_next(const struct audit_file *file)
{
    AW_CLEANUP(aw_free) char *name = NULL;

    if (aw_ok(next_name(file, &name)))
        unlink(name); /* most often there is none; one that stays is in nobody's way */
}

aw_result
audit_file_seal(int fd, const char *path)
{
    if (fchmod(fd, SEALED_MODE) != 0 || fsync(fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make the closed segment %s read-only", path);
    return AW_OK;
}

aw_result
audit_file_open_read(const char *folder, struct audit_file *out)
{
    AW_CLEANUP(audit_file_close) struct audit_file file = {.fd = -1};

    AW_TRY(aw_path_join(folder, AUDIT_FILE_NAME, &file.path));
    file.fd = open(file.path, O_RDONLY | open_flags);
    if (file.fd < 0)
        return cannot_open(file.path,
            "name the folder of a signer's audit log (--folder), and be in "
            "the group that may read it");
    AW_TRY(identify(&file));
    *out = file;
    file = (struct audit_file){.fd = -1};
    return AW_OK;
}

/* A new file beside the log, audit.jsonl.torn-TIME, with a number where that is taken. */
static aw_result
create_torn_file(const char *path, char **name, int *fd)
{
    char now[32];

    aw_time_text(time(NULL), now);
    for (int i = 0; i < TORN_FILES_MAX; i++) {
        aw_free(name);
        if (i == 0)
            AW_TRY(aw_format(name, "%s.torn-%s", path, now));
        else
            AW_TRY(aw_format(name, "%s.torn-%s.%d", path, now, i));
        *fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | open_flags, FILE_MODE);
        if (*fd >= 0)
            return AW_OK;
        if (errno != EEXIST)
            break;
    }
    return aw_fail_errno(AW_CODE_IO, "cannot make %s for the torn tail of the log", *name);
}

/* The copy's path goes to `name`, once there is a file. */
static aw_result
keep_torn(const struct audit_file *file, int64_t whole, size_t torn, char **name)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_free) char *bytes = malloc(torn);

    if (bytes == NULL)
        return aw_fail_memory();
    ssize_t got = pread(file->fd, bytes, torn, whole);
    if (got < 0 || (size_t)got != torn)
        return aw_fail_errno(AW_CODE_IO, "cannot read the torn tail of %s", file->path);
    aw_result r = create_torn_file(file->path, name, &fd);
    if (!aw_ok(r)) {
        aw_free(name);
        return r;
    }
    AW_TRY(aw_context(aw_fd_write(fd, bytes, torn), "%s", *name));
    if (fsync(fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make %s durable", *name);
    return aw_folder_sync_of(*name);
}

static aw_result
cut(const struct audit_file *file, int64_t whole, size_t torn)
{
    if (ftruncate(file->fd, whole) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot cut the torn tail (%zu octets) of %s",
                           torn, file->path),
            "a file with the append-only attribute cannot be repaired: lift it (chattr -a) for one "
            "start of the signer");
    if (fsync(file->fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make %s durable", file->path);
    return AW_OK;
}

/* As long as the tail is in the log a copy is of no use, and each start would leave one more. */
aw_result
audit_file_cut(const struct audit_file *file, int64_t whole, size_t torn)
{
    static const char hint[] = "make space or mend the disk, then start the signer anew";
    AW_CLEANUP(aw_free) char *name = NULL;
    struct stat st;

    aw_result r = keep_torn(file, whole, torn, &name);
    if (aw_ok(r))
        r = cut(file, whole, torn);
    if (aw_ok(r))
        return AW_OK;
    if (name != NULL && fstat(file->fd, &st) == 0 && st.st_size == whole + (int64_t)torn)
        unlink(name);
    return aw_error_last()->hint[0] == '\0' ? aw_hint(r, hint) : r;
}

aw_result
audit_file_append(const struct audit_file *file, const void *bytes, size_t size)
{
    static const char hint[] = "nothing is signed from here on: make space or mend the disk, then "
                               "restart the signer";

    aw_result r = aw_context(aw_fd_write(file->fd, bytes, size), "audit log %s", file->path);
    if (!aw_ok(r))
        return aw_hint(r, hint);
    if (fdatasync(file->fd) != 0)
        return aw_hint(
            aw_fail_errno(AW_CODE_IO, "audit log %s: cannot make it durable", file->path), hint);
    return AW_OK;
}

static aw_result
tampered(const struct audit_file *file, const char *what)
{
    return aw_hint(
        aw_fail(AW_CODE_CORRUPT, "audit log %s was %s while it was open", file->path, what),
        "find out who did it; nothing is signed until the signer is restarted on a whole log");
}

aw_result
audit_file_check(const struct audit_file *file, int64_t least, int64_t most)
{
    struct stat own;
    struct stat named;

    if (fstat(file->fd, &own) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine the open audit log %s", file->path);
    if (own.st_nlink == 0)
        return tampered(file, "removed");
    if (lstat(file->path, &named) != 0)
        return errno == ENOENT ? tampered(file, "moved away")
                               : aw_fail_errno(AW_CODE_IO, "cannot examine %s", file->path);
    if (named.st_dev != file->device || named.st_ino != file->inode)
        return tampered(file, "replaced by another file");
    if (own.st_size < least)
        return tampered(file, "cut");
    if (own.st_size > most)
        return tampered(file, "written to by somebody else");
    return AW_OK;
}

void
audit_file_space(const struct audit_file *file, struct audit_file_space *out)
{
    struct statvfs st;

    *out = (struct audit_file_space){.free = 0, .reserve = AUDIT_RESERVE};
    if (fstatvfs(file->fd, &st) != 0 || st.f_frsize == 0 || st.f_bavail > INT64_MAX / st.f_frsize)
        return;
    int64_t tenth = (int64_t)(st.f_blocks * st.f_frsize / 10);
    out->free = (int64_t)(st.f_bavail * st.f_frsize);
    if (tenth < out->reserve)
        out->reserve = tenth;
}
