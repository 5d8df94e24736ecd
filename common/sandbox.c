#include "common/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/filter.h"
#include "common/landlock.h"

enum { SETS = _LINUX_CAPABILITY_U32S_3 };

/* A process without the capability for it keeps its bounding set, which no_new_privs makes idle. */
static void
empty_bounding_set(void)
{
    int held = 0;

    for (unsigned long i = 0; (held = prctl(PR_CAPBSET_READ, i, 0, 0, 0)) >= 0; i++)
        if (held > 0)
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static aw_result
drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[SETS] = {{0}};

    empty_bounding_set();
    if (syscall(SYS_capset, &header, sets) != 0 || syscall(SYS_capget, &header, sets) != 0)
        return aw_fail_errno(AW_CODE_PERMISSION, "can't drop the capabilities");
    for (size_t i = 0; i < SETS; i++)
        if ((sets[i].effective | sets[i].permitted | sets[i].inheritable) != 0)
            return aw_hint(aw_fail(AW_CODE_PERMISSION, "capabilities are left that were dropped"),
                "run it as a user of its own, without capabilities");
    return AW_OK;
}

aw_result
sandbox_drop_privileges(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return aw_fail_errno(AW_CODE_INTERNAL, "can't switch core dumps and new privileges off");
    AW_TRY(drop_capabilities());
#ifndef ACMEWARD_INSTRUMENTED /* leaks are looked for by a tracer of the same user */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return aw_fail_errno(AW_CODE_INTERNAL, "can't switch dumps off");
#endif
    return AW_OK;
}

/* Landlock binds the calling thread: another would stay outside. */
static aw_result
refuse_threads(void)
{
#ifndef ACMEWARD_INSTRUMENTED /* the thread sanitizer has one */
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    if (tasks == NULL)
        return aw_hint(
            aw_fail_errno(AW_CODE_UNSUPPORTED, "can't see this process's threads"), "mount /proc");
    for (const struct dirent *entry = readdir(tasks); entry != NULL; entry = readdir(tasks))
        count += entry->d_name[0] != '.';
    closedir(tasks);
    if (count != 1)
        return aw_fail(AW_CODE_INTERNAL, "%d threads where the sandbox is entered, not one", count);
#endif
    return AW_OK;
}

aw_result
sandbox_enter(const struct sandbox *sandbox)
{
    AW_TRY(refuse_threads());
    if (sandbox->use.landlock)
        AW_TRY(landlock_enter(sandbox));
    return sandbox->use.seccomp ? filter_enter(sandbox) : AW_OK;
}
