#include "common/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "common/io.h"

/* What <linux/landlock.h> of Debian 12 does not know; from version 3, 5, 4 and 6 of the interface.
 */
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_AND_CONNECT_TCP 3ULL
#define SCOPE_ABSTRACT_UNIX_AND_SIGNAL 3ULL

#define FS_VERSION_1 ((1ULL << 13) - 1)
#define FS_REFER LANDLOCK_ACCESS_FS_REFER

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define WRITE                                                                 \
    (READ | REMOVE | FS_REFER | FS_TRUNCATE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
        LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR)

/* What can be allowed for something that is no folder. */
#define FOR_FILES                                                                                \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
        FS_TRUNCATE | FS_IOCTL_DEV)

static const uint64_t rights[] = {
    [SANDBOX_READ] = READ,
    [SANDBOX_PROGRAM] = READ | LANDLOCK_ACCESS_FS_EXECUTE,
    [SANDBOX_WRITE] = WRITE,
    [SANDBOX_REMOVE] = REMOVE,
    [SANDBOX_DEVICE] = READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV,
};

/* struct landlock_ruleset_attr as version 6 has it. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

int
sandbox_landlock_version(void)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

    return version > 0 ? (int)version : 0;
}

static uint64_t
handled_of(int version)
{
    return FS_VERSION_1 | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
           (version >= 5 ? FS_IOCTL_DEV : 0);
}

static aw_result
allow(int ruleset, const struct sandbox_path *path, uint64_t handled)
{
    AW_CLEANUP(aw_close) int fd = open(path->path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return AW_OK;
    if (fd < 0 || fstat(fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "%s", path->path);
    struct landlock_path_beneath_attr beneath = {.parent_fd = fd,
        .allowed_access =
            rights[path->access] & handled & (S_ISDIR(st.st_mode) ? UINT64_MAX : FOR_FILES)};
    if (beneath.allowed_access == 0 ||
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0U) == 0)
        return AW_OK;
    return aw_fail_errno(AW_CODE_IO, "can't allow %s in the sandbox", path->path);
}

static struct ruleset
ruleset_of(const struct sandbox *sandbox, int version)
{
    bool network = sandbox->network == AW_NETWORK_INET;

    return (struct ruleset){.fs = handled_of(version),
        .net = version >= 4 && !network ? NET_BIND_AND_CONNECT_TCP : 0,
        .scoped = version >= 6 && sandbox->network == AW_NETWORK_NONE
                      ? SCOPE_ABSTRACT_UNIX_AND_SIGNAL
                      : 0};
}

aw_result
landlock_enter(const struct sandbox *sandbox)
{
    AW_CLEANUP(aw_close) int fd = -1;
    int version = sandbox_landlock_version();

    if (version == 0)
        return aw_hint(aw_fail_errno(AW_CODE_UNSUPPORTED, "this kernel offers no Landlock"),
            "add landlock to the kernel's lsm= parameter (5.13 or newer), or go without it: "
            "sandbox: {landlock: false} in the configuration");
    struct ruleset attributes = ruleset_of(sandbox, version);
    size_t size = version >= 6   ? sizeof(attributes)
                  : version >= 4 ? 2 * sizeof(uint64_t)
                                 : sizeof(uint64_t);
    fd = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0U);
    if (fd < 0)
        return aw_fail_errno(AW_CODE_UNSUPPORTED, "can't make a Landlock ruleset");
    for (size_t i = 0; i < sandbox->path_count; i++)
        AW_TRY(allow(fd, &sandbox->paths[i], attributes.fs));
    if (syscall(SYS_landlock_restrict_self, fd, 0U) != 0)
        return aw_fail_errno(AW_CODE_UNSUPPORTED, "can't put Landlock in force");
    return AW_OK;
}
