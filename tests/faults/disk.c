#include "disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable.h"

enum { PATH_ROOM = 512 };

/* What fails; threads of the program under test write while a test changes it. */
static struct {
    const char *call; /* NULL: nothing */
    const char *suffix;
    int error;
    unsigned failed;
} failing;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static atomic_bool is_failing; /* so that others need no lock */

void
disk_fail(const char *call, const char *suffix, int error)
{
    pthread_mutex_lock(&lock);
    failing.call = call;
    failing.suffix = suffix;
    failing.error = error;
    failing.failed = 0;
    is_failing = true;
    pthread_mutex_unlock(&lock);
}

unsigned
disk_fail_end(void)
{
    pthread_mutex_lock(&lock);
    failing.call = NULL;
    is_failing = false;
    unsigned failed = failing.failed;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return failed;
}

/* Under the lock. */
static bool
matches(const char *call, const char *path)
{
    char ending[PATH_ROOM], temporary[PATH_ROOM];

    if (failing.call == NULL || strcmp(failing.call, call) != 0)
        return false;
    snprintf(ending, sizeof(ending), "*%s", failing.suffix);
    snprintf(temporary, sizeof(temporary), "*%s.??????", failing.suffix);
    return fnmatch(ending, path, 0) == 0 || fnmatch(temporary, path, 0) == 0;
}

static bool
fails(const char *call, const char *path)
{
    int error = 0;

    if (!is_failing)
        return false;
    pthread_mutex_lock(&lock);
    bool does = matches(call, path);
    if (does) {
        failing.failed++;
        error = failing.error;
    }
    while (does && error == DISK_HANGS) {
        pthread_cond_wait(&ended, &lock);
        does = matches(call, path);
    }
    pthread_mutex_unlock(&lock);
    if (does)
        errno = error;
    return does;
}

static bool
fails_on(const char *call, int fd)
{
    char link[64], path[PATH_ROOM];

    if (!is_failing)
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
typedef int (*folder_maker)(const char *, mode_t);
typedef int (*remover)(const char *);

/* Of calls that change content. */
static ssize_t
noted(int fd, ssize_t result)
{
    if (result >= 0)
        durable_note_content(fd);
    return result;
}

static int
noted_name(const char *path, int result)
{
    if (result == 0)
        durable_note_name(path);
    return result;
}

static int
noted_sync(int fd, int result)
{
    if (result == 0)
        durable_note_sync(fd);
    return result;
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
    REAL("write", writer)
    return fails_on("write", fd) ? -1 : noted(fd, real(fd, bytes, size));
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL("pwrite", place_writer)
    return fails_on("pwrite", fd) ? -1 : noted(fd, real(fd, bytes, size, at));
}

/* SQLite's names of the same two. */
ssize_t
pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    REAL("pwrite64", place_writer)
    return fails_on("pwrite", fd) ? -1 : noted(fd, real(fd, bytes, size, at));
}

int
ftruncate64(int fd, off_t size)
{
    REAL("ftruncate64", truncater)
    return fails_on("ftruncate", fd) ? -1 : (int)noted(fd, real(fd, size));
}

int
ftruncate(int fd, off_t size)
{
    REAL("ftruncate", truncater)
    return fails_on("ftruncate", fd) ? -1 : (int)noted(fd, real(fd, size));
}

int
fsync(int fd)
{
    REAL("fsync", syncer)
    return fails_on("fsync", fd) ? -1 : noted_sync(fd, real(fd));
}

int
fdatasync(int fd)
{
    REAL("fdatasync", syncer)
    return fails_on("fdatasync", fd) ? -1 : noted_sync(fd, real(fd));
}

int
rename(const char *from, const char *to)
{
    REAL("rename", renamer)
    if (fails("rename", to))
        return -1;
    durable_note_naming(from, to);
    int result = noted_name(to, real(from, to));
    return fails("rename done", to) ? -1 : result;
}

int
link(const char *from, const char *to)
{
    REAL("link", renamer)
    durable_note_naming(from, to);
    return noted_name(to, real(from, to));
}

int
unlink(const char *path)
{
    REAL("unlink", remover)
    return noted_name(path, real(path));
}

int
mkdir(const char *path, mode_t mode)
{
    REAL("mkdir", folder_maker)
    return noted_name(path, real(path, mode));
}
