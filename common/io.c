#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* First buffer of a file whose size the system does not tell (as under /proc). */
enum { READ_START = 4096 };

void
aw_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

void
aw_free(void *pointer_to_pointer)
{
    void *pointer;
    void *nothing = NULL;

    memcpy(&pointer, pointer_to_pointer, sizeof(pointer));
    free(pointer);
    memcpy(pointer_to_pointer, &nothing, sizeof(nothing));
}

int64_t
aw_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* read() over EINTR. */
static ssize_t
read_some(int fd, void *into, size_t size)
{
    ssize_t got;

    do
        got = read(fd, into, size);
    while (got < 0 && errno == EINTR);
    return got;
}

/* O_NONBLOCK: opening a FIFO that somebody put there must not hang. */
static aw_result
open_regular(const char *path, int flags, int *out, struct stat *st)
{
    AW_CLEANUP(aw_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    if (fstat(fd, st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", path);
    if (!S_ISREG(st->st_mode))
        return aw_fail(AW_CODE_IO, "%s is not a regular file", path);
    *out = fd;
    fd = -1;
    return AW_OK;
}

/* Reads to the end into a buffer that grows; one octet more than `max` shows that there is more. */
static aw_result
read_all(int fd, const char *path, size_t max, char **buffer, size_t capacity, size_t *size)
{
    *size = 0;
    for (;;) {
        ssize_t got = read_some(fd, *buffer + *size, capacity - *size);
        if (got < 0)
            return aw_fail_errno(AW_CODE_IO, "can't read %s", path);
        *size += (size_t)got;
        if (*size > max)
            return aw_fail(
                AW_CODE_LIMIT, "%s is longer than %zu octets, the most expected", path, max);
        if (got == 0)
            return AW_OK;
        if (*size < capacity)
            continue;
        capacity *= 2;
        char *larger = realloc(*buffer, capacity + 1);
        if (larger == NULL)
            return aw_fail_memory();
        *buffer = larger;
    }
}

aw_result
aw_file_read(const char *path, size_t max, char **out, size_t *size)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_free) char *buffer = NULL;
    struct stat st;

    AW_TRY(open_regular(path, 0, &fd, &st));
    if ((uint64_t)st.st_size > max)
        return aw_fail(AW_CODE_LIMIT, "%s has %lld octets, at most %zu expected", path,
            (long long)st.st_size, max);
    size_t capacity = st.st_size > 0 ? (size_t)st.st_size + 1 : READ_START;
    buffer = malloc(capacity + 1);
    if (buffer == NULL)
        return aw_fail_memory();
    AW_TRY(read_all(fd, path, max, &buffer, capacity, size));
    buffer[*size] = '\0';
    *out = AW_MOVE(buffer);
    return AW_OK;
}

aw_result
aw_fd_read_secret(int fd, aw_secret *out)
{
    aw_secret_wipe(out);
    for (;;) {
        uint8_t more;
        bool full = out->size == out->capacity;
        ssize_t got = full ? read_some(fd, &more, 1)
                           : read_some(fd, out->data + out->size, out->capacity - out->size);
        if (got == 0)
            return AW_OK;
        if (got < 0) {
            aw_result r = aw_fail_errno(AW_CODE_IO, "can't read a secret");
            aw_secret_wipe(out);
            return r;
        }
        if (full) {
            more = 0;
            aw_secret_wipe(out);
            return aw_fail(AW_CODE_LIMIT, "a secret is longer than %zu octets, the most expected",
                out->capacity);
        }
        out->size += (size_t)got;
    }
}

aw_result
aw_fd_write(int fd, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;

    while (size > 0) {
        ssize_t put = write(fd, next, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return aw_fail_errno(AW_CODE_IO, "can't write");
        if (put == 0)
            return aw_fail(
                AW_CODE_IO, "can't write: nothing was taken, %zu octets were left", size);
        next += put;
        size -= (size_t)put;
    }
    return AW_OK;
}

aw_result
aw_path_folder(const char *path, char **out)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length == 0)
        return aw_format(out, ".");
    while (length > 1 && path[length - 1] == '/')
        length--;
    return aw_format(out, "%.*s", (int)length, path);
}

aw_result
aw_folder_sync_of(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = NULL;

    AW_TRY(aw_path_folder(path, &folder));
    AW_CLEANUP(aw_close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make changes in folder %s durable", folder);
    return AW_OK;
}

/* Puts the temporary file in its place. */
typedef int (*place_file)(const char *temporary, const char *path);

/* Unlike rename, link fails where something is already. */
static int
place_new(const char *temporary, const char *path)
{
    return link(temporary, path) == 0 ? unlink(temporary) : -1;
}

/* Content for a file. */
struct content {
    const void *bytes;
    size_t size;
    mode_t mode;
    gid_t group; /* (gid_t)-1: the caller's */
};

/* Content of the temporary file, with its mode set before the first octet. */
static aw_result
fill_file(int fd, const struct content *content)
{
    if (content->group != (gid_t)-1 && fchown(fd, (uid_t)-1, content->group) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't give it to group %u", (unsigned)content->group);
    if (fchmod(fd, content->mode) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set mode %04o", (unsigned)content->mode);
    return aw_fd_write(fd, content->bytes, content->size);
}

static aw_result
sync_file(int fd)
{
    return fsync(fd) == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't make the content durable");
}

/* Only a hint, that file systems may leave alone: the disk begins now, fsync waits for it later. */
static aw_result
begin_to_sync(int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return AW_OK;
}

static aw_result
place_file_at(
    const char *path, const struct content *content, aw_result (*sync)(int fd), place_file place)
{
    AW_CLEANUP(aw_free) char *temporary = NULL;

    AW_TRY(aw_format(&temporary, "%s.XXXXXX", path));
    /* mkostemp: O_EXCL, mode 0600. */
    AW_CLEANUP(aw_close) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a file beside %s", path);
    aw_result r = fill_file(fd, content);
    if (aw_ok(r))
        r = sync(fd);
    if (aw_ok(r) && place(temporary, path) != 0)
        r = aw_fail_errno(AW_CODE_IO, "can't give it its name");
    if (!aw_ok(r))
        unlink(temporary);
    return r;
}

static aw_result
write_file(const char *path, const struct content *content, place_file place)
{
    AW_TRY(place_file_at(path, content, sync_file, place));
    return aw_folder_sync_of(path);
}

aw_result
aw_file_replace_unsynced(const char *path, const void *bytes, size_t size, mode_t mode)
{
    const struct content content = {bytes, size, mode, (gid_t)-1};

    return aw_context(
        place_file_at(path, &content, begin_to_sync, rename), "can't replace %s", path);
}

aw_result
aw_file_sync(const char *path)
{
    AW_CLEANUP(aw_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    return aw_context(sync_file(fd), "%s", path);
}

aw_result
aw_file_replace_for(const char *path, const void *bytes, size_t size, mode_t mode, gid_t group)
{
    const struct content content = {bytes, size, mode, group};

    return aw_context(write_file(path, &content, rename), "can't replace %s", path);
}

aw_result
aw_file_replace(const char *path, const void *bytes, size_t size, mode_t mode)
{
    return aw_file_replace_for(path, bytes, size, mode, (gid_t)-1);
}

aw_result
aw_file_create(const char *path, const void *bytes, size_t size, mode_t mode)
{
    const struct content content = {bytes, size, mode, (gid_t)-1};

    return aw_context(write_file(path, &content, place_new), "can't make %s", path);
}

/* Not to the umask's mode, but to the one asked for; never looser in between. */
static aw_result
set_folder_mode(const char *path, mode_t mode)
{
    AW_CLEANUP(aw_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fchmod(fd, mode) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set mode %04o of folder %s", (unsigned)mode, path);
    return aw_folder_sync_of(path);
}

aw_result
aw_folder_make(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return set_folder_mode(path, mode);
    if (errno != EEXIST)
        return aw_fail_errno(AW_CODE_IO, "can't make folder %s", path);
    if (stat(path, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", path);
    if (!S_ISDIR(st.st_mode))
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is there already and is no folder", path),
            "move it out of the way");
    return AW_OK;
}

static aw_result
check_stat(const char *path, const struct stat *st, uid_t owner, mode_t forbidden)
{
    unsigned mode = st->st_mode & 07777;

    if (S_ISLNK(st->st_mode))
        return aw_hint(
            aw_fail(AW_CODE_PERMISSION, "%s is a symbolic link", path), "name the file itself");
    if (st->st_uid != 0 && st->st_uid != owner)
        return aw_hint(
            aw_fail(AW_CODE_PERMISSION, "%s (mode %04o) belongs to uid %u, expected root or uid %u",
                path, mode, (unsigned)st->st_uid, (unsigned)owner),
            "chown %u %s", (unsigned)owner, path);
    if ((mode & forbidden) != 0)
        return aw_hint(aw_fail(AW_CODE_PERMISSION,
                           "%s (owner uid %u) has mode %04o, of which %04o is not allowed", path,
                           (unsigned)st->st_uid, mode, (unsigned)(mode & forbidden)),
            "chmod %04o %s", mode & ~(unsigned)forbidden, path);
    return AW_OK;
}

aw_result
aw_path_check(const char *path, uid_t owner, mode_t forbidden)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", path);
    return check_stat(path, &st, owner, forbidden);
}

aw_result
aw_path_check_place(const char *path, uid_t owner)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    struct stat st;

    AW_TRY(aw_path_folder(path, &folder));
    if (stat(folder, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", folder);
    unsigned mode = st.st_mode & 07777;
    bool writable = (mode & 0022) != 0 && (mode & S_ISVTX) == 0;
    if (!writable && (st.st_uid == 0 || st.st_uid == owner))
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_PERMISSION,
            "others can put something in the place of %s: its folder %s (owner uid %u) has mode "
            "%04o",
            path, folder, (unsigned)st.st_uid, mode),
        writable ? "chmod go-w %s" : "chown root %s", folder);
}

aw_result
aw_file_open_checked(const char *path, uid_t owner, mode_t forbidden, int *out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    struct stat st;

    AW_TRY(aw_path_check(path, owner, forbidden));
    AW_TRY(open_regular(path, O_NOFOLLOW, &fd, &st));
    /* What was opened, not what was there a moment ago. */
    AW_TRY(check_stat(path, &st, owner, forbidden));
    *out = fd;
    fd = -1;
    return AW_OK;
}

aw_result
aw_path_join(const char *folder, const char *name, char **out)
{
    size_t length = strlen(folder);

    return aw_format(
        out, "%s%s%s", folder, length > 0 && folder[length - 1] == '/' ? "" : "/", name);
}

aw_result
aw_format(char **out, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int length = vasprintf(out, format, ap);
    va_end(ap);
    if (length < 0) {
        *out = NULL;
        return aw_fail_memory();
    }
    return AW_OK;
}

void
aw_time_text(int64_t unix_seconds, char out[32])
{
    time_t seconds = (time_t)unix_seconds;
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, 32, "@%lld", (long long)unix_seconds);
}

/* strptime is lax (white space, signs, 31 February); only what is written back the same passes. */
aw_result
aw_time_parse(const char *text, int64_t *out)
{
    struct tm parts = {0};
    char again[32];
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);

    if (end != NULL && *end == '\0') {
        int64_t seconds = timegm(&parts);
        aw_time_text(seconds, again);
        if (strcmp(text, again) == 0) {
            *out = seconds;
            return AW_OK;
        }
    }
    return aw_fail(
        AW_CODE_SYNTAX, "\"%.40s\" is not a time, expected the form 2026-11-24T02:34:25Z", text);
}

aw_result
aw_array_grow(void *items, size_t count, size_t *room, size_t size)
{
    size_t wanted = *room == 0 ? 64 : 2 * *room;
    void *array;

    if (count < *room)
        return AW_OK;
    memcpy(&array, items, sizeof(array));
    void *bigger = reallocarray(array, wanted, size);
    if (bigger == NULL)
        return aw_fail_memory();
    memcpy(items, &bigger, sizeof(bigger));
    *room = wanted;
    return AW_OK;
}
