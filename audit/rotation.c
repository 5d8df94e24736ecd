#include "audit/rotation.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/segments.h"
#include "common/io.h"

/* Of step 1, and of step 2 where it was done. What cannot be taken away, the next start does. A
 * file system may say that a rename failed which it did: then the second name is the only one. */
static void
undo(const struct audit_file *file, const char *kept, struct audit_file *next)
{
    audit_file_drop_next(file);
    if (kept != NULL && aw_ok(audit_file_check(file, 0, INT64_MAX)))
        unlink(kept);
    audit_file_close(next);
}

aw_result
audit_rotation_prepare(
    const char *folder, const struct audit_file *file, int64_t segment, struct audit_file *next)
{
    AW_CLEANUP(aw_free) char *kept = NULL;

    if (segment > AUDIT_SEGMENTS_MAX)
        return aw_fail(AW_CODE_LIMIT, "a log has at most %d closed segments", AUDIT_SEGMENTS_MAX);
    AW_TRY(audit_segment_path(folder, segment, &kept));
    AW_TRY(audit_file_next(file, next));
    aw_result r = audit_file_keep(file, kept);
    if (!aw_ok(r))
        undo(file, NULL, next);
    return r;
}

aw_result
audit_rotation_turn(
    const char *folder, const struct audit_file *file, int64_t segment, struct audit_file *next)
{
    AW_CLEANUP(aw_free) char *kept = NULL;
    aw_result r = audit_segment_path(folder, segment, &kept);

    if (aw_ok(r))
        r = audit_file_turn(next);
    if (!aw_ok(r))
        undo(file, kept, next);
    return r;
}

aw_result
audit_rotation_finish(
    const char *folder, const struct audit_file *closed, const struct audit_mark *mark)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(audit_segment_path(folder, mark->segment, &path));
    AW_TRY(audit_file_seal(closed->fd, path));
    return audit_mark_store(folder, mark);
}

aw_result
audit_rotation_mend(const char *folder, const struct audit_file *file)
{
    AW_CLEANUP(aw_free) char *kept = NULL;
    struct stat st;
    int64_t last;

    audit_file_drop_next(file);
    AW_TRY(audit_segments_last(folder, &last));
    if (last == 0)
        return AW_OK;
    AW_TRY(audit_segment_path(folder, last, &kept));
    if (lstat(kept, &st) != 0)
        return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "cannot examine %s", kept);
    if (st.st_dev != file->device || st.st_ino != file->inode)
        return AW_OK;
    if (unlink(kept) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot take away %s, a second name of the log", kept);
    return aw_folder_sync_of(kept);
}
