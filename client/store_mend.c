/*
 * What a crash can leave behind: temporary files, a version without its key (privkeyN.pem is
 * written last, so its presence means that version N is whole), links that point at two versions.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/store_steps.h"
#include "common/io.h"

/* Longest name of a file of ours, with a temporary file's ending. */
enum { FILE_NAME_SIZE = 64, TEMPORARY_LETTERS = 6 };

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

/* Digits without a leading zero. */
static bool
parse_version(const char *text, size_t length, unsigned *out)
{
    if (length == 0 || length > 7 || text[0] == '0' || strspn(text, "0123456789") < length)
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= STORE_VERSION_MAX;
}

bool
store_file_parse(const char *file, enum store_kind *kind, unsigned *version)
{
    static const char ending[] = ".pem";
    size_t length = strlen(file);

    if (length <= strlen(ending) || strcmp(file + length - strlen(ending), ending) != 0)
        return false;
    for (unsigned i = 0; i < STORE_KINDS; i++) {
        size_t prefix = strlen(store_kind_names[i]);
        if (strncmp(file, store_kind_names[i], prefix) != 0 ||
            !parse_version(file + prefix, length - prefix - strlen(ending), version))
            continue;
        *kind = (enum store_kind)i;
        return true;
    }
    return false;
}

/* "privkey3.pem.Ab12Cd": aw_file_replace did not come to its rename. */
static bool
is_temporary(const char *file)
{
    char whole[FILE_NAME_SIZE];
    enum store_kind kind;
    unsigned version;
    size_t length = strlen(file);

    if (length <= TEMPORARY_LETTERS + 1 || length >= sizeof(whole) ||
        file[length - TEMPORARY_LETTERS - 1] != '.')
        return false;
    memcpy(whole, file, length + 1);
    whole[length - TEMPORARY_LETTERS - 1] = '\0';
    return store_file_parse(whole, &kind, &version);
}

static bool
is_whole(int folder, unsigned version)
{
    char key[FILE_NAME_SIZE];
    struct stat st;

    snprintf(key, sizeof(key), "%s%u.pem", store_kind_names[STORE_PRIVKEY], version);
    return fstatat(folder, key, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static aw_result
mend_archive(store *s)
{
    AW_CLEANUP(close_folder) DIR *folder = opendir(s->archive);
    struct dirent *entry;

    if (folder == NULL)
        return aw_fail_errno(AW_CODE_IO, "can't read %s", s->archive);
    while (errno = 0, (entry = readdir(folder)) != NULL) {
        enum store_kind kind;
        unsigned version = 0;
        bool ours = store_file_parse(entry->d_name, &kind, &version);
        bool whole = ours && is_whole(dirfd(folder), version);

        if (whole && version > s->highest)
            s->highest = version;
        if (!whole && (ours || is_temporary(entry->d_name)) &&
            unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            return aw_fail_errno(
                AW_CODE_IO, "can't remove %s/%s, left by a crash", s->archive, entry->d_name);
    }
    return errno == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't read %s", s->archive);
}

static aw_result
foreign_link(const char *path, const char *found)
{
    return aw_hint(
        aw_fail(AW_CODE_CORRUPT, "%s is %s, expected a link that acmeward made", path, found),
        "move it out of the way, or choose another --cert-name");
}

aw_result
store_link_read(const char *live, const char *name, enum store_kind kind, unsigned *version)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *folder = NULL;
    char target[STORE_NAME_MAX + 128];
    enum store_kind found;

    *version = 0;
    AW_TRY(aw_format(&path, "%s/%s.pem", live, store_kind_names[kind]));
    AW_TRY(aw_format(&folder, "../../archive/%s/", name));
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    if (length < 0 && errno == ENOENT)
        return AW_OK;
    if (length < 0 && errno == EINVAL)
        return foreign_link(path, "no link");
    if (length < 0)
        return aw_fail_errno(AW_CODE_IO, "can't read the link %s", path);
    target[length] = '\0';
    if (strncmp(target, folder, strlen(folder)) != 0 ||
        !store_file_parse(target + strlen(folder), &found, version) || found != kind) {
        *version = 0;
        return foreign_link(path, "a link to another place");
    }
    return AW_OK;
}

/* Links that agree are left alone, be it at an older version: somebody may have gone back. */
static aw_result
mend_links(store *s)
{
    unsigned versions[STORE_KINDS];
    bool agree = true;

    for (unsigned i = 0; i < STORE_KINDS; i++) {
        AW_TRY(store_link_read(s->live, s->name, (enum store_kind)i, &versions[i]));
        agree = agree && versions[i] == versions[0];
    }
    if (s->highest == 0 || (agree && versions[0] != 0))
        return AW_OK;
    for (unsigned i = 0; i < STORE_KINDS; i++)
        AW_TRY(store_link_prepare(s, (enum store_kind)i, s->highest));
    for (unsigned i = 0; i < STORE_KINDS; i++)
        AW_TRY(store_link_commit(s, (enum store_kind)i));
    return AW_OK;
}

aw_result
store_mend(store *s)
{
    s->highest = 0;
    AW_TRY(mend_archive(s));
    return mend_links(s);
}
