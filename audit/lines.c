#include "audit/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"

/* Several records a read; the longest fits with room to spare. */
enum { BUFFER_SIZE = 4 * AUDIT_RECORD_MAX };

aw_result
audit_lines_begin(struct audit_lines *lines, int fd)
{
    *lines = (struct audit_lines){.fd = fd, .buffer = malloc(BUFFER_SIZE)};
    return lines->buffer == NULL ? aw_fail_memory() : AW_OK;
}

void
audit_lines_turn(struct audit_lines *lines, int fd)
{
    *lines = (struct audit_lines){.fd = fd, .buffer = lines->buffer};
}

void
audit_lines_end(struct audit_lines *lines)
{
    free(lines->buffer);
    lines->buffer = NULL;
}

size_t
audit_lines_torn(const struct audit_lines *lines)
{
    return lines->end - lines->start;
}

/* Moves what is left to the front and reads on; *got is 0 at the end of the file. */
static aw_result
refill(struct audit_lines *lines, size_t *got)
{
    size_t left = lines->end - lines->start;
    ssize_t count;

    memmove(lines->buffer, lines->buffer + lines->start, left);
    lines->start = 0;
    lines->end = left;
    do
        count = pread(
            lines->fd, lines->buffer + left, BUFFER_SIZE - left, lines->offset + (int64_t)left);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return aw_fail_errno(AW_CODE_IO, "cannot read line %lld", (long long)lines->number + 1);
    lines->end += (size_t)count;
    *got = (size_t)count;
    return AW_OK;
}

static aw_result
too_long(const struct audit_lines *lines)
{
    return aw_fail(AW_CODE_CORRUPT,
        "line %lld is changed: it has more than %d octets, no record has",
        (long long)lines->number + 1, AUDIT_RECORD_MAX);
}

aw_result
audit_lines_next(struct audit_lines *lines, const char **line, size_t *length)
{
    size_t got = 1;

    *line = NULL;
    while (got > 0) {
        const char *from = lines->buffer + lines->start;
        size_t left = lines->end - lines->start;
        const char *newline = memchr(from, '\n', left);
        size_t size = newline == NULL ? left : (size_t)(newline - from) + 1;
        if (size > AUDIT_RECORD_MAX)
            return too_long(lines);
        if (newline != NULL) {
            *line = from;
            *length = size - 1;
            lines->start += size;
            lines->offset += (int64_t)size;
            lines->number++;
            return AW_OK;
        }
        AW_TRY(refill(lines, &got));
    }
    return AW_OK;
}
