#include "policy/system.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "policy/snapshot.h"

enum { LOOKUP_SIZE = 16384 };

static bool
find_user(const char *name, uid_t *uid, void *context)
{
    struct passwd entry, *found = NULL;
    char buffer[LOOKUP_SIZE];

    (void)context;
    if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
        return false;
    *uid = found->pw_uid;
    return true;
}

/* A group with very many members needs more room: grow until it fits. */
static bool
find_group(const char *name, gid_t *gid, void *context)
{
    struct group entry, *found = NULL;
    bool known = false;

    (void)context;
    for (size_t size = LOOKUP_SIZE; size <= 64 * LOOKUP_SIZE; size *= 2) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return false;
        int error = getgrnam_r(name, &entry, buffer, size, &found);
        known = error == 0 && found != NULL;
        if (known)
            *gid = found->gr_gid;
        free(buffer);
        if (error != ERANGE)
            return known;
    }
    return false;
}

const struct policy_resolver policy_system_resolver = {.user = find_user, .group = find_group};

/* Numbers that the kernel gives to nobody: (uid_t)-1 is "no change" to it (chown(2)). */
#define ANYBODY UINT32_MAX

static bool
take_user(const char *name, uid_t *uid, void *context)
{
    (void)context;
    *uid = strcmp(name, "nobody") == 0 ? POLICY_NOBODY : ANYBODY;
    return true;
}

static bool
take_group(const char *name, gid_t *gid, void *context)
{
    (void)context;
    *gid = strcmp(name, "nogroup") == 0 ? POLICY_NOBODY : ANYBODY;
    return true;
}

const struct policy_resolver policy_anybody_resolver = {.user = take_user, .group = take_group};
