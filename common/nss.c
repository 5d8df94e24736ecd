#include "common/nss.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Octets of an entry: a group with very many members needs more than most. */
enum { ENTRY_SIZE = 16384, ENTRY_MAX = 64 * ENTRY_SIZE };

/* One database: what its entries are asked by, and the file of the service "files". */
struct database {
    const char *kind, *path;
    int (*ask)(const char *name, char *buffer, size_t size, bool *found, uint32_t *id);
};

static int
ask_passwd(const char *name, char *buffer, size_t size, bool *found, uint32_t *id)
{
    struct passwd entry, *result = NULL;
    int error = getpwnam_r(name, &entry, buffer, size, &result);

    *found = error == 0 && result != NULL;
    if (*found)
        *id = entry.pw_uid;
    return error;
}

static int
ask_group(const char *name, char *buffer, size_t size, bool *found, uint32_t *id)
{
    struct group entry, *result = NULL;
    int error = getgrnam_r(name, &entry, buffer, size, &result);

    *found = error == 0 && result != NULL;
    if (*found)
        *id = entry.gr_gid;
    return error;
}

static const struct database passwd = {"user", "/etc/passwd", ask_passwd};
static const struct database group = {"group", "/etc/group", ask_group};

/* Services answer "no such entry" by many numbers (getpwnam_r(3), NOTES). */
static bool
means_unknown(int error)
{
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

/* 0, or why it could not look. */
static int
ask(const struct database *database, const char *name, bool *found, uint32_t *id)
{
    int error = ERANGE;

    for (size_t size = ENTRY_SIZE; error == ERANGE && size <= ENTRY_MAX; size *= 2) {
        char *buffer = malloc(size);

        if (buffer == NULL)
            return ENOMEM;
        error = database->ask(name, buffer, size, found, id);
        free(buffer);
    }
    return means_unknown(error) ? 0 : error;
}

static int
open_file(const struct database *database)
{
    int fd = open(database->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : errno;
    close(fd);
    return 0;
}

/* Where the first service of nsswitch.conf could not look and the next knows nobody of that name,
 * the C library says just "no such entry". So a "no" counts when the file can be opened, and when
 * it is heard twice. */
static int
look_up(const struct database *database, const char *name, bool *found, uint32_t *id)
{
    int error = ask(database, name, found, id);

    if (error == 0 && !*found)
        error = open_file(database);
    if (error == 0 && !*found)
        error = ask(database, name, found, id);
    return error;
}

aw_result
aw_nss_fail(const char *kind, const char *name, int error)
{
    errno = error;
    return aw_hint(aw_fail_errno(AW_CODE_IO, "can't look up the %s \"%.64s\"", kind, name),
        "whether it exists is not known: look at memory, open files and the services that "
        "/etc/nsswitch.conf names, then try again");
}

static aw_result
find(const struct database *database, const char *name, bool *found, uint32_t *id)
{
    int error = look_up(database, name, found, id);

    return error == 0 ? AW_OK : aw_nss_fail(database->kind, name, error);
}

aw_result
aw_nss_user(const char *name, bool *found, uid_t *uid)
{
    return find(&passwd, name, found, uid);
}

aw_result
aw_nss_group(const char *name, bool *found, gid_t *gid)
{
    return find(&group, name, found, gid);
}
