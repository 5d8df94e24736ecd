#include "audit/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

static const char prefix[] = "audit-";
static const char segment_suffix[] = ".jsonl";
static const char mark_suffix[] = ".mark";

enum { DIGITS = 6 };

aw_result
audit_segment_path(const char *folder, int64_t segment, char **out)
{
    return aw_format(
        out, "%s/%s%0*lld%s", folder, prefix, DIGITS, (long long)segment, segment_suffix);
}

/* The number in a name of that suffix; 0: another file. */
static int64_t
number_of(const char *name, const char *suffix)
{
    const size_t before = sizeof(prefix) - 1;

    if (strncmp(name, prefix, before) != 0 || strspn(name + before, "0123456789") != DIGITS ||
        strcmp(name + before + DIGITS, suffix) != 0)
        return 0;
    return strtol(name + before, NULL, 10);
}

/* Scanning a folder. */

typedef aw_result (*take_name)(void *context, const char *folder, const char *name);

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static aw_result
scan(const char *path, take_name take, void *context)
{
    AW_CLEANUP(close_folder) DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL)
        return aw_fail_errno(AW_CODE_IO, "cannot read the folder %s", path);
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0)
        AW_TRY(take(context, path, entry->d_name));
    return errno == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "cannot read the folder %s", path);
}

static aw_result
take_last(void *context, const char *folder, const char *name)
{
    int64_t *last = context;
    int64_t segment = number_of(name, segment_suffix);
    int64_t mark = number_of(name, mark_suffix);

    (void)folder;
    if (segment > *last)
        *last = segment;
    if (mark > *last)
        *last = mark;
    return AW_OK;
}

aw_result
audit_segments_last(const char *folder, int64_t *last)
{
    *last = 0;
    return scan(folder, take_last, last);
}

/* What is in the log's folder goes before what is in an archive. */
static aw_result
take_path(void *context, const char *folder, const char *name)
{
    struct audit_segments *segments = context;
    int64_t n = number_of(name, segment_suffix);

    if (n == 0 || n > segments->count || segments->paths[n - 1] != NULL)
        return AW_OK;
    return aw_path_join(folder, name, &segments->paths[n - 1]);
}

/* The segment that `current` has become since it was opened, and what came after it. */
static void
drop_later(struct audit_segments *segments, const struct audit_file *current)
{
    struct stat st;

    for (int64_t n = segments->count; n > 0; n--)
        if (segments->paths[n - 1] != NULL && stat(segments->paths[n - 1], &st) == 0 &&
            st.st_dev == current->device && st.st_ino == current->inode)
            for (; segments->count >= n; segments->count--)
                aw_free(&segments->paths[segments->count - 1]);
}

aw_result
audit_segments_find(
    const struct audit_source *source, const struct audit_file *current, struct audit_segments *out)
{
    *out = (struct audit_segments){.source = source};
    AW_TRY(audit_segments_last(source->folder, &out->count));
    out->paths = calloc((size_t)out->count + 1, sizeof(*out->paths));
    if (out->paths == NULL) {
        out->count = 0;
        return aw_fail_memory();
    }
    AW_TRY(scan(source->folder, take_path, out));
    for (size_t i = 0; i < source->archive_count; i++)
        AW_TRY(scan(source->archives[i], take_path, out));
    drop_later(out, current);
    return AW_OK;
}

void
audit_segments_free(struct audit_segments *segments)
{
    for (int64_t n = 0; n < segments->count; n++)
        free(segments->paths[n]);
    free(segments->paths);
    *segments = (struct audit_segments){.count = 0};
}

bool
audit_segments_has(const struct audit_segments *segments, int64_t n)
{
    return segments->paths[n - 1] != NULL;
}

aw_result
audit_segments_absent(const struct audit_segments *segments, int64_t n)
{
    return aw_hint(
        aw_fail(AW_CODE_NOT_FOUND,
            "segment %lld of the log (%s%0*lld%s) is not in %s: it was archived, or "
            "removed",
            (long long)n, prefix, DIGITS, (long long)n, segment_suffix, segments->source->folder),
        "bring it back, not compressed, or name the folder that has it (--archive); --partial goes "
        "on "
        "without it, and says what is missing");
}

aw_result
audit_segments_mark(const struct audit_segments *segments, int64_t n, struct audit_mark *out)
{
    const struct audit_source *source = segments->source;
    aw_result r = audit_mark_load(source->folder, n, out);

    for (size_t i = 0; i < source->archive_count && r.code == AW_CODE_NOT_FOUND; i++)
        r = audit_mark_load(source->archives[i], n, out);
    return r;
}

aw_result
audit_segment_open(const char *path, int *fd)
{
    struct stat st;

    *fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot open the segment %s of the log", path);
    if (!S_ISREG(st.st_mode))
        return aw_fail(AW_CODE_IO, "%s is not a regular file", path);
    return AW_OK;
}

aw_result
audit_segment_seal(const char *path)
{
    AW_CLEANUP(aw_close) int fd = -1;

    AW_TRY(audit_segment_open(path, &fd));
    return audit_file_seal(fd, path);
}

int64_t
audit_segments_marked(const struct audit_segments *segments)
{
    for (int64_t n = 1; n <= segments->count; n++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        if (audit_segments_has(segments, n) &&
            (!aw_ok(audit_mark_path(segments->source->folder, n, &path)) ||
                access(path, F_OK) != 0))
            return n - 1;
    }
    return segments->count;
}
