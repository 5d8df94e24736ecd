#include "log_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/hasher.h"
#include "common/hex.h"
#include "common/io.h"
#include "fuzz.h"

static const char mark[] = "\"prev\":\"";

char *
log_file_path(void)
{
    char *path = NULL;

    FUZZ_CHECK(aw_ok(aw_path_join(fuzz_folder(), AUDIT_FILE_NAME, &path)));
    return path;
}

void
log_file_write(const void *bytes, size_t size)
{
    AW_CLEANUP(aw_free) char *path = log_file_path();
    AW_CLEANUP(aw_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    FUZZ_CHECK(fd >= 0 && fchmod(fd, 0640) == 0);
    FUZZ_CHECK(aw_ok(aw_fd_write(fd, bytes, size)));
}

/* The digest in a line, where it stands there plainly, or NULL. */
static char *
find_digest(char *line, size_t length)
{
    enum { DIGITS = AW_DIGEST_HEX_SIZE - 1 };
    char *at = memmem(line, length, mark, sizeof(mark) - 1);

    if (at == NULL)
        return NULL;
    at += sizeof(mark) - 1;
    size_t left = length - (size_t)(at - line);
    return left > DIGITS && strspn(at, "0123456789abcdef") == DIGITS && at[DIGITS] == '"' ? at
                                                                                          : NULL;
}

bool
log_file_mend(char *text, size_t size)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    char previous[AW_DIGEST_HEX_SIZE] = AUDIT_HEX_ZERO;
    bool changed = false;
    char *newline;

    FUZZ_CHECK(aw_ok(audit_hasher_new(&hasher)));
    for (; (newline = memchr(text, '\n', size)) != NULL; text = newline + 1) {
        size_t length = (size_t)(newline - text);
        char *at = find_digest(text, length);
        if (at != NULL) {
            changed = changed || memcmp(at, previous, AW_DIGEST_HEX_SIZE - 1) != 0;
            memcpy(at, previous, AW_DIGEST_HEX_SIZE - 1);
        }
        FUZZ_CHECK(aw_ok(audit_hasher_line(hasher, text, length, previous)));
        size -= length + 1;
    }
    return changed;
}
