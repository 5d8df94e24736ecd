#include "durable.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 512, CHANGES_MAX = 256 };

/* Something that an fsync of `device`, `inode` makes durable. */
struct change {
    dev_t device;
    ino_t inode;
    const char *what;
    char path[PATH_ROOM];
};

static struct {
    struct change changes[CHANGES_MAX];
    size_t count;
    char early[PATH_ROOM + 64]; /* what got its name too early; "": nothing */
} noted;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_watching;

/* The index and metrics can be made anew; SQLite has rules of its own; a temporary file is nobody's
 * until it is renamed, a socket nobody's after a crash. */
static bool
is_left_out(const char *path)
{
    static const char *const patterns[] = {
        "*/audit.tree*", "*/ledger.db", "*/ledger.db-*", "*.prom", "*.??????", "*.next", "*.sock"};

    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        if (fnmatch(patterns[i], path, 0) == 0)
            return true;
    return false;
}

/* Under the lock. One that is noted already is not noted twice. */
static void
note(const struct stat *st, const char *what, const char *path)
{
    for (size_t i = 0; i < noted.count; i++)
        if (noted.changes[i].device == st->st_dev && noted.changes[i].inode == st->st_ino &&
            strcmp(noted.changes[i].path, path) == 0)
            return;
    if (noted.count == CHANGES_MAX)
        return;
    struct change *change = &noted.changes[noted.count++];
    change->device = st->st_dev;
    change->inode = st->st_ino;
    change->what = what;
    snprintf(change->path, sizeof(change->path), "%s", path);
}

static void
forget(const struct stat *st)
{
    size_t kept = 0;

    for (size_t i = 0; i < noted.count; i++)
        if (noted.changes[i].device != st->st_dev || noted.changes[i].inode != st->st_ino)
            noted.changes[kept++] = noted.changes[i];
    noted.count = kept;
}

void
durable_watch(void)
{
    pthread_mutex_lock(&lock);
    memset(&noted, 0, sizeof(noted));
    is_watching = true;
    pthread_mutex_unlock(&lock);
}

const char *
durable_missing(void)
{
    static char text[PATH_ROOM + 64];

    pthread_mutex_lock(&lock);
    snprintf(text, sizeof(text), "%s", noted.early);
    for (size_t i = 0; i < noted.count && text[0] == '\0'; i++)
        if (!is_left_out(noted.changes[i].path))
            snprintf(text, sizeof(text), "%s of %s", noted.changes[i].what, noted.changes[i].path);
    pthread_mutex_unlock(&lock);
    return text[0] == '\0' ? NULL : text;
}

void
durable_note_content(int fd)
{
    char link[64], path[PATH_ROOM];
    int error = errno;
    struct stat st;

    if (!is_watching || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length < 0 ? 0 : length] = '\0';
    pthread_mutex_lock(&lock);
    note(&st, "content", path);
    pthread_mutex_unlock(&lock);
    errno = error;
}

void
durable_note_sync(int fd)
{
    struct stat st;

    if (!is_watching || fstat(fd, &st) != 0)
        return;
    pthread_mutex_lock(&lock);
    forget(&st);
    pthread_mutex_unlock(&lock);
}

/* The folder's content, known by the path of the name. */
void
durable_note_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_ROOM];
    int error = errno;
    struct stat st;

    if (!is_watching || slash == NULL)
        return;
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    if (stat(folder, &st) == 0) {
        pthread_mutex_lock(&lock);
        note(&st, "name", path);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
}

void
durable_note_naming(const char *from, const char *to)
{
    int error = errno;
    struct stat st;

    if (!is_watching || is_left_out(to) || stat(from, &st) != 0)
        return;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < noted.count; i++)
        if (noted.changes[i].device == st.st_dev && noted.changes[i].inode == st.st_ino &&
            noted.changes[i].what[0] == 'c')
            snprintf(noted.early, sizeof(noted.early),
                "%s got its name before its content was durable", to);
    pthread_mutex_unlock(&lock);
    errno = error;
}
