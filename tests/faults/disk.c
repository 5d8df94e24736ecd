#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 512 };

static const char *_Atomic failing_call;
static const char *failing_suffix;
static int failing_error;
static atomic_uint failed;

void
disk_fail(const char *call, const char *suffix, int error)
{
    failing_suffix = suffix;
    failing_error = error;
    failed = 0;
    failing_call = call;
}

unsigned
disk_fail_end(void)
{
    failing_call = NULL;
    return failed;
}

static bool
fails(const char *call, const char *path)
{
    const char *now = failing_call;
    char ending[PATH_ROOM], temporary[PATH_ROOM];

    if (now == NULL || strcmp(now, call) != 0)
        return false;
    snprintf(ending, sizeof(ending), "*%s", failing_suffix);
    snprintf(temporary, sizeof(temporary), "*%s.??????", failing_suffix);
    if (fnmatch(ending, path, 0) != 0 && fnmatch(temporary, path, 0) != 0)
        return false;
    failed++;
    errno = failing_error;
    return true;
}

static bool
fails_on(const char *call, int fd)
{
    char link[64], path[PATH_ROOM];

    if (failing_call == NULL)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    return fails(call, path);
}

/* The C library's own, or a sanitizer's. */
#define REAL(name, type)                        \
    static type real;                           \
    if (real == NULL) {                         \
        void *symbol = dlsym(RTLD_NEXT, name);  \
        memcpy(&real, &symbol, sizeof(symbol)); \
    }

typedef ssize_t (*writer)(int, const void *, size_t);
typedef ssize_t (*place_writer)(int, const void *, size_t, off_t);
typedef int (*syncer)(int);
typedef int (*renamer)(const char *, const char *);
typedef int (*truncater)(int, off_t);

ssize_t
write(int fd, const void *bytes, size_t size)
{
    REAL("write", writer)
    return fails_on("write", fd) ? -1 : real(fd, bytes, size);
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL("pwrite", place_writer)
    return fails_on("pwrite", fd) ? -1 : real(fd, bytes, size, at);
}

/* SQLite's names of the same two. */
ssize_t
pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    REAL("pwrite64", place_writer)
    return fails_on("pwrite", fd) ? -1 : real(fd, bytes, size, at);
}

int
ftruncate64(int fd, off_t size)
{
    REAL("ftruncate64", truncater)
    return fails_on("ftruncate", fd) ? -1 : real(fd, size);
}

int
ftruncate(int fd, off_t size)
{
    REAL("ftruncate", truncater)
    return fails_on("ftruncate", fd) ? -1 : real(fd, size);
}

int
fsync(int fd)
{
    REAL("fsync", syncer)
    return fails_on("fsync", fd) ? -1 : real(fd);
}

int
fdatasync(int fd)
{
    REAL("fdatasync", syncer)
    return fails_on("fdatasync", fd) ? -1 : real(fd);
}

int
rename(const char *from, const char *to)
{
    REAL("rename", renamer)
    if (fails("rename", to))
        return -1;
    int result = real(from, to);
    return fails("rename done", to) ? -1 : result;
}
