#include "audit/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/lines.h"
#include "common/io.h"

enum { FILE_MODE = 0640, HEADS_START = 64 };

static const int open_flags = O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

/* A note that is gathered line by line. */
struct gathering {
    struct audit_lines lines;
    char *note;
    size_t length;
    bool signed_yet; /* the blank line behind the body was seen */
};

static void
gathering_end(struct gathering *g)
{
    audit_lines_end(&g->lines);
    free(g->note);
}

static aw_result
gather_line(struct gathering *g, const char *line, size_t length)
{
    if (g->length + length + 1 > AUDIT_NOTE_MAX)
        return aw_fail(AW_CODE_CORRUPT, "line %lld: the checkpoint has more than %d octets",
            (long long)g->lines.number, AUDIT_NOTE_MAX);
    memcpy(g->note + g->length, line, length);
    g->note[g->length + length] = '\n';
    g->length += length + 1;
    g->note[g->length] = '\0';
    return AW_OK;
}

/* The second empty line ends a note; *more is false when there is no whole one. */
static aw_result
next_note(struct gathering *g, bool *more)
{
    const char *line;
    size_t length = 0;

    g->length = 0;
    g->signed_yet = false;
    for (;;) {
        AW_TRY(audit_lines_next(&g->lines, &line, &length));
        *more = line != NULL;
        if (line == NULL || (length == 0 && g->signed_yet))
            return AW_OK;
        g->signed_yet = g->signed_yet || length == 0;
        AW_TRY(gather_line(g, line, length));
    }
}

static aw_result
damaged(const char *path, int64_t line)
{
    struct aw_error error;

    aw_error_save(&error);
    if (error.code == AW_CODE_MEMORY)
        return aw_error_restore(&error);
    return aw_hint(aw_fail(AW_CODE_CORRUPT, "%s: the checkpoint that ends at line %lld: %.700s",
                       path, (long long)line, error.message),
        "compare the file with the exported checkpoints; move it away only if you know why it is "
        "damaged");
}

static aw_result
take_note(
    const char *path, const struct gathering *g, int64_t *last, struct audit_checkpoint *checkpoint)
{
    if (!aw_ok(audit_checkpoint_parse(g->note, g->length, checkpoint)))
        return damaged(path, g->lines.number);
    if (checkpoint->head.size >= *last) {
        *last = checkpoint->head.size;
        return AW_OK;
    }
    aw_ignore(aw_fail(AW_CODE_CORRUPT, "it covers %lld records, the one before it %lld",
                  (long long)checkpoint->head.size, (long long)*last),
        "becomes part of the message");
    return damaged(path, g->lines.number);
}

static aw_result
read_notes(struct gathering *g, const char *path, audit_stored_visit visit, void *context,
    struct audit_stored *out)
{
    struct audit_checkpoint checkpoint;
    int64_t last = 0;
    bool more;

    for (;;) {
        AW_TRY(next_note(g, &more));
        if (!more)
            return AW_OK;
        AW_TRY(take_note(path, g, &last, &checkpoint));
        if (visit != NULL)
            AW_TRY(visit(g->note, &checkpoint, context));
        out->count++;
        out->size = g->lines.offset;
    }
}

static aw_result
open_read(const char *path, int *fd, int64_t *size)
{
    struct stat st;

    *fd = open(path, O_RDONLY | open_flags);
    if (*fd < 0)
        return errno == ENOENT
                   ? AW_OK
                   : aw_hint(aw_fail_errno(AW_CODE_IO, "cannot open %s", path),
                         "be in the group that may read the log; the file must not be a link");
    if (fstat(*fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine %s", path);
    if (!S_ISREG(st.st_mode))
        return aw_fail(AW_CODE_IO, "%s is not a regular file", path);
    *size = st.st_size;
    return AW_OK;
}

aw_result
audit_stored_read(
    const char *folder, audit_stored_visit visit, void *context, struct audit_stored *out)
{
    AW_CLEANUP(gathering_end) struct gathering g = {.length = 0};
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_free) char *path = NULL;
    int64_t size = 0;

    *out = (struct audit_stored){.count = 0};
    AW_TRY(aw_path_join(folder, AUDIT_STORED_NAME, &path));
    AW_TRY(open_read(path, &fd, &size));
    if (fd < 0)
        return AW_OK;
    g.note = malloc(AUDIT_NOTE_MAX + 1);
    if (g.note == NULL)
        return aw_fail_memory();
    AW_TRY(audit_lines_begin(&g.lines, fd));
    AW_TRY(aw_context(read_notes(&g, path, visit, context, out), "stored checkpoints"));
    out->torn = size > out->size ? (size_t)(size - out->size) : 0;
    return AW_OK;
}

/* Heads. */

struct collecting {
    struct audit_expected *items;
    size_t count, capacity;
};

static void
collecting_free(struct collecting *c)
{
    free(c->items);
}

static aw_result
collect(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    struct collecting *c = context;

    (void)note;
    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? HEADS_START : 2 * c->capacity;
        struct audit_expected *larger = realloc(c->items, capacity * sizeof(*larger));
        if (larger == NULL)
            return aw_fail_memory();
        c->items = larger;
        c->capacity = capacity;
    }
    c->items[c->count++] =
        (struct audit_expected){.head = checkpoint->head, .source = AUDIT_STORED_SOURCE};
    return AW_OK;
}

aw_result
audit_stored_heads(const char *folder, struct audit_expected **out, size_t *count)
{
    AW_CLEANUP(collecting_free) struct collecting c = {.count = 0};
    struct audit_stored found;

    *out = NULL;
    *count = 0;
    AW_TRY(audit_stored_read(folder, collect, &c, &found));
    *out = AW_MOVE(c.items);
    *count = c.count;
    return AW_OK;
}

/* Appending. */

static aw_result
check_size(int fd, const char *path, const struct audit_stored *stored)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine %s", path);
    if (st.st_size != stored->size + (int64_t)stored->torn)
        return aw_hint(
            aw_fail(AW_CODE_CORRUPT, "%s has %lld octets, it had %lld", path, (long long)st.st_size,
                (long long)(stored->size + (int64_t)stored->torn)),
            "find out who changed it, restore it from the exported checkpoints, and restart the "
            "signer");
    return AW_OK;
}

static aw_result
write_note(int fd, const char *path, const char *text, struct audit_stored *stored)
{
    size_t size = strlen(text);

    if (stored->torn > 0 && ftruncate(fd, stored->size) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot cut the torn tail of %s", path);
    stored->torn = 0;
    aw_result r = aw_context(aw_fd_write(fd, text, size), "%s", path);
    if (aw_ok(r) && fdatasync(fd) != 0)
        r = aw_fail_errno(AW_CODE_IO, "cannot make %s durable", path);
    struct stat st;
    if (!aw_ok(r) && fstat(fd, &st) == 0 && st.st_size > stored->size)
        stored->torn = (size_t)(st.st_size - stored->size); /* the next attempt cuts it off */
    AW_TRY(r);
    stored->size += (int64_t)size;
    stored->count++;
    return AW_OK;
}

aw_result
audit_stored_append(const char *folder, const char *note, struct audit_stored *stored)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    int create = stored->size == 0 && stored->torn == 0 ? O_CREAT : 0;

    AW_TRY(aw_path_join(folder, AUDIT_STORED_NAME, &path));
    AW_TRY(aw_format(&text, "%s\n", note));
    fd = open(path, O_RDWR | O_APPEND | create | open_flags, FILE_MODE);
    if (fd < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "cannot open %s", path),
            "if it was removed, restore it from the exported checkpoints and restart the signer");
    AW_TRY(check_size(fd, path, stored));
    AW_TRY(aw_hint(write_note(fd, path, text, stored),
        "make space or mend the disk: the next checkpoint takes this one's place"));
    return create != 0 ? aw_folder_sync_of(path) : AW_OK;
}
