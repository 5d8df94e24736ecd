#include "policy/system.h"

#include <string.h>

#include "common/nss.h"
#include "policy/snapshot.h"

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    (void)context;
    return aw_nss_user(name, found, uid);
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    (void)context;
    return aw_nss_group(name, found, gid);
}

const struct policy_resolver policy_system_resolver = {.user = find_user, .group = find_group};

/* Numbers that the kernel gives to nobody: (uid_t)-1 is "no change" to it (chown(2)). */
#define ANYBODY UINT32_MAX

static aw_result
take_user(const char *name, bool *found, uid_t *uid, void *context)
{
    (void)context;
    *found = true;
    *uid = strcmp(name, "nobody") == 0 ? POLICY_NOBODY : ANYBODY;
    return AW_OK;
}

static aw_result
take_group(const char *name, bool *found, gid_t *gid, void *context)
{
    (void)context;
    *found = true;
    *gid = strcmp(name, "nogroup") == 0 ? POLICY_NOBODY : ANYBODY;
    return AW_OK;
}

const struct policy_resolver policy_anybody_resolver = {.user = take_user, .group = take_group};
