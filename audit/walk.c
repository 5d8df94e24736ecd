#include "audit/walk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/record.h"
#include "common/hex.h"
#include "common/io.h"

aw_result
audit_walk_begin(
    struct audit_walk *walk, const struct audit_source *source, const struct audit_file *current)
{
    *walk = (struct audit_walk){.source = source, .fd = -1, .own = {.fd = -1}};
    if (current == NULL)
        AW_TRY(audit_file_open_read(source->folder, &walk->own));
    walk->current = current == NULL ? walk->own : *current;
    AW_TRY(audit_segments_find(source, &walk->current, &walk->segments));
    return audit_chain_begin(&walk->chain, walk->current.fd, walk->current.path);
}

void
audit_walk_end(struct audit_walk *walk)
{
    audit_chain_end(&walk->chain);
    audit_segments_free(&walk->segments);
    if (walk->source != NULL) {
        aw_close(&walk->fd);
        audit_file_close(&walk->own);
    }
}

/* From segment to segment. */

static aw_result
check_tail(const struct audit_walk *walk)
{
    size_t torn = audit_lines_torn(&walk->chain.lines);

    if (torn > 0)
        return aw_fail(AW_CODE_CORRUPT, "%s ends in half a record (%zu octets): it was changed",
            walk->chain.path, torn);
    if (walk->chain.seq < walk->first)
        return aw_fail(AW_CODE_CORRUPT, "%s is empty: its records are removed", walk->chain.path);
    return AW_OK;
}

static aw_result
end_segment(struct audit_walk *walk)
{
    struct audit_mark mark = {
        .segment = walk->segment,
        .first = walk->first,
        .octets = walk->chain.lines.offset,
        .time = walk->chain.time,
        .tree = walk->chain.tree,
    };

    AW_TRY(aw_hint(check_tail(walk),
        "keep the file as it is, and compare it with the exported copies: a closed segment is "
        "never written to"));
    memcpy(mark.head, walk->chain.head, sizeof(mark.head));
    aw_close(&walk->fd);
    walk->reading = false;
    return walk->closed == NULL ? AW_OK : walk->closed(walk, &mark, walk->context);
}

static aw_result
removed(const struct audit_walk *walk)
{
    aw_ignore(audit_segments_absent(&walk->segments, walk->segment), "its message is wanted");
    return aw_hint(
        aw_fail(AW_CODE_CORRUPT, "%.700s; its mark is missing too", aw_error_last()->message),
        "marks stay when segments are archived: bring back both, and find out who removed them");
}

/* Over a segment that is not at hand, by its mark. */
static aw_result
pass_over(struct audit_walk *walk)
{
    const struct audit_source *source = walk->source;
    struct audit_mark mark;

    if (!source->partial)
        return audit_segments_absent(&walk->segments, walk->segment);
    aw_result r = audit_segments_mark(&walk->segments, walk->segment, &mark);
    if (r.code == AW_CODE_NOT_FOUND)
        return removed(walk);
    AW_TRY(r);
    if (mark.first != walk->chain.seq + 1)
        return aw_fail(AW_CODE_CORRUPT,
            "the mark of segment %lld says that it begins with record %lld, expected %lld",
            (long long)mark.segment, (long long)mark.first, (long long)walk->chain.seq + 1);
    audit_chain_jump(&walk->chain, &mark);
    if (source->absent != NULL)
        source->absent(
            &(struct audit_absent){mark.segment, mark.first, mark.tree.size}, source->context);
    return AW_OK;
}

static aw_result
next_segment(struct audit_walk *walk)
{
    walk->segment++;
    walk->first = walk->chain.seq + 1;
    if (walk->segment > walk->segments.count) {
        audit_chain_segment(&walk->chain, walk->current.fd, walk->current.path);
    } else if (audit_segments_has(&walk->segments, walk->segment)) {
        const char *path = walk->segments.paths[walk->segment - 1];

        AW_TRY(audit_segment_open(path, &walk->fd));
        audit_chain_segment(&walk->chain, walk->fd, path);
    } else {
        return pass_over(walk);
    }
    walk->reading = true;
    return AW_OK;
}

aw_result
audit_walk_next(struct audit_walk *walk, bool *more)
{
    for (;;) {
        if (walk->reading) {
            AW_TRY(audit_chain_next(&walk->chain, more));
            if (*more || walk->segment > walk->segments.count)
                return AW_OK;
            AW_TRY(end_segment(walk));
        }
        AW_TRY(next_segment(walk));
    }
}

/* Beginning behind a mark. */

/* The digest of the last line of a file. A file that has none gives an empty text. */
static aw_result
last_digest(struct audit_walk *walk, const char *path, int64_t octets, char out[AW_DIGEST_HEX_SIZE])
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(audit_lines_end) struct audit_lines lines = {.fd = -1};
    struct stat st;
    const char *line;
    size_t length;

    out[0] = '\0';
    AW_TRY(audit_segment_open(path, &fd));
    if (fstat(fd, &st) != 0 || st.st_size != octets)
        return AW_OK;
    AW_TRY(audit_lines_begin(&lines, fd));
    lines.offset = octets > AUDIT_RECORD_MAX ? octets - AUDIT_RECORD_MAX : 0;
    for (;;) {
        AW_TRY(audit_lines_next(&lines, &line, &length));
        if (line == NULL)
            return AW_OK;
        AW_TRY(audit_hasher_line(walk->chain.hasher, line, length, out));
    }
}

/* What the first record of the segment behind says of the record before it; empty: none there. */
static aw_result
next_previous(struct audit_walk *walk, int64_t segment, char out[AW_DIGEST_HEX_SIZE])
{
    AW_CLEANUP(aw_close) int own = -1;
    AW_CLEANUP(audit_lines_end) struct audit_lines lines = {.fd = -1};
    AW_CLEANUP(audit_record_free) struct audit_record record = {.json = NULL};
    int fd = walk->current.fd;
    const char *line;
    size_t length;

    out[0] = '\0';
    if (segment <= walk->segments.count) {
        if (!audit_segments_has(&walk->segments, segment))
            return AW_OK;
        AW_TRY(audit_segment_open(walk->segments.paths[segment - 1], &own));
        fd = own;
    }
    AW_TRY(audit_lines_begin(&lines, fd));
    AW_TRY(audit_lines_next(&lines, &line, &length));
    if (line != NULL && aw_ok(audit_record_read(line, length, &record)))
        memcpy(out, record.previous, AW_DIGEST_HEX_SIZE);
    return AW_OK;
}

/* A mark that does not fit is of no use; what is wrong then, the walk from further back says. */
static aw_result
fits(struct audit_walk *walk, const struct audit_mark *mark, bool *out)
{
    char before[AW_DIGEST_HEX_SIZE] = "", behind[AW_DIGEST_HEX_SIZE] = "";
    int64_t n = mark->segment;

    *out = false;
    if (audit_segments_has(&walk->segments, n)) {
        AW_TRY(last_digest(walk, walk->segments.paths[n - 1], mark->octets, before));
        if (strcmp(before, mark->head) != 0)
            return AW_OK;
    }
    AW_TRY(next_previous(walk, n + 1, behind));
    *out = behind[0] == '\0' || strcmp(behind, mark->head) == 0;
    return AW_OK;
}

aw_result
audit_walk_skip(struct audit_walk *walk, int64_t last, int64_t seq)
{
    struct audit_mark mark;

    for (int64_t n = last; n > 0; n--) {
        bool good = false;
        aw_result r = audit_segments_mark(&walk->segments, n, &mark);
        if (r.code == AW_CODE_NOT_FOUND || r.code == AW_CODE_CORRUPT)
            continue;
        AW_TRY(r);
        if (mark.tree.size >= seq)
            continue;
        AW_TRY(fits(walk, &mark, &good));
        if (!good)
            continue;
        audit_chain_jump(&walk->chain, &mark);
        walk->segment = n;
        walk->begun = mark.tree.size;
        return AW_OK;
    }
    return AW_OK;
}
