#include "audit/index.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/hex.h"
#include "common/io.h"

enum { FILE_MODE = 0640 };

void
audit_index_open(const char *folder, bool to_write, int *fd)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    int flags = to_write ? O_RDWR | O_CREAT : O_RDONLY;

    *fd = -1;
    if (aw_ok(aw_path_join(folder, AUDIT_INDEX_NAME, &path)))
        *fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
}

/* Roots that the first `leaves` leaves completed. */
static int64_t
roots_of(int64_t leaves)
{
    int64_t count = 0;

    for (int64_t n = leaves >> AUDIT_TREE_NOTED; n > 0; n >>= 1)
        count += n;
    return count;
}

int64_t
audit_index_offset(int64_t size)
{
    return roots_of(size - 1) * AW_DIGEST_SIZE;
}

void
audit_index_put(int fd, int64_t size, const struct audit_completed *completed)
{
    if (fd < 0 || completed->count == 0)
        return;
    ssize_t written = pwrite(fd, completed->roots, completed->count * sizeof(completed->roots[0]),
        audit_index_offset(size));
    (void)written; /* the log is the truth: what is missing here costs time */
}

aw_result
audit_index_get(int fd, unsigned level, int64_t number, struct audit_hash *out)
{
    int64_t size = (number + 1) << level;
    int64_t offset = audit_index_offset(size) + (level - AUDIT_TREE_NOTED) * AW_DIGEST_SIZE;

    if (fd < 0 || pread(fd, out->bytes, sizeof(out->bytes), offset) != sizeof(out->bytes))
        return aw_fail(AW_CODE_NOT_FOUND, "the index of the log lacks a subtree");
    return AW_OK;
}
