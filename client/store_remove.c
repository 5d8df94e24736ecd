/*
 * Removing a certificate: links first, then the versions, keys before the rest. A crash leaves a
 * certificate without links, which the next store_open mends or the next removal ends.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/renew_state.h"
#include "client/renewal_config.h"
#include "client/store_order.h"
#include "client/store_steps.h"
#include "common/io.h"

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static aw_result
remove_path(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "can't remove %s", path);
    return AW_OK;
}

static aw_result
remove_links(const store *s)
{
    AW_CLEANUP(aw_free) char *readme = NULL;

    for (unsigned i = 0; i < STORE_KINDS; i++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        AW_TRY(aw_format(&path, "%s/%s.pem", s->live, store_kind_names[i]));
        AW_TRY(remove_path(path));
    }
    AW_TRY(aw_path_join(s->live, "README", &readme));
    return remove_path(readme);
}

/* Files of ours only: what somebody else put there stays, and so does the folder then. */
static aw_result
remove_versions(const store *s, bool keys)
{
    AW_CLEANUP(close_folder) DIR *folder = opendir(s->archive);
    struct dirent *entry;

    if (folder == NULL)
        return aw_fail_errno(AW_CODE_IO, "can't read %s", s->archive);
    while (errno = 0, (entry = readdir(folder)) != NULL) {
        enum store_kind kind;
        unsigned version = 0;

        if (!store_file_parse(entry->d_name, &kind, &version) || (kind == STORE_PRIVKEY) != keys)
            continue;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            return aw_fail_errno(AW_CODE_IO, "can't remove %s/%s", s->archive, entry->d_name);
    }
    return errno == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't read %s", s->archive);
}

static aw_result
remove_folder(const char *path)
{
    if (rmdir(path) != 0 && errno != ENOTEMPTY && errno != EEXIST)
        return aw_fail_errno(AW_CODE_IO, "can't remove %s", path);
    return AW_OK;
}

aw_result
store_remove(store *s)
{
    /* First: settings without a certificate would have it ordered anew. */
    AW_TRY(renewal_config_remove(s->root, s->name));
    AW_TRY(renew_state_remove(s->root, s->name));
    AW_TRY(store_order_forget(s));
    AW_TRY(remove_links(s));
    AW_TRY(remove_versions(s, true));
    AW_TRY(remove_versions(s, false));
    AW_TRY(remove_folder(s->live));
    AW_TRY(remove_folder(s->archive));
    s->highest = 0;
    AW_TRY(aw_folder_sync_of(s->live));
    return aw_folder_sync_of(s->archive);
}
