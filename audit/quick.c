#include "audit/quick.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/index.h"
#include "audit/lines.h"
#include "audit/record.h"
#include "audit/segments.h"
#include "common/io.h"

/* Records below one root of the index. */
enum { BLOCK = 1 << AUDIT_TREE_NOTED, PROBE_SIZE = 2 * AUDIT_RECORD_MAX };

struct reader {
    struct audit_file current;
    struct audit_segments segments;
    int index;
    audit_hasher *hasher;
    const struct audit_quick *asked;
    int64_t block; /* whose leaves are here; -1: none */
    struct audit_hash leaves[BLOCK];
    char *line; /* of the wanted record */
};

static void
reader_end(struct reader *reader)
{
    audit_segments_free(&reader->segments);
    audit_file_close(&reader->current);
    audit_hasher_free(&reader->hasher);
    aw_close(&reader->index);
    free(reader->line);
}

/* Finding a record. */

/* The segment that holds it, by the marks. */
static int64_t
segment_of(const struct reader *reader, int64_t seq)
{
    struct audit_mark mark;
    int64_t n = reader->segments.count;

    for (; n > 0; n--)
        if (aw_ok(audit_segments_mark(&reader->segments, n, &mark)) && mark.tree.size < seq)
            break;
    return n + 1;
}

static aw_result
not_there(int64_t seq)
{
    return aw_fail(AW_CODE_NOT_FOUND, "record %lld is not where it was looked for", (long long)seq);
}

/* The first whole line behind `offset`: where it begins, and its number. */
static aw_result
probe(int fd, int64_t offset, char *buffer, int64_t *begin, int64_t *seq)
{
    static const char start[] = "{\"seq\":";
    ssize_t got = pread(fd, buffer, PROBE_SIZE, offset);
    const char *newline = got > 0 ? memchr(buffer, '\n', (size_t)got) : NULL;
    size_t left = newline == NULL ? 0 : (size_t)(buffer + got - newline - 1);

    if (left < sizeof(start) + 20 || memcmp(newline + 1, start, sizeof(start) - 1) != 0)
        return not_there(0);
    *begin = offset + (newline + 1 - buffer);
    *seq = strtoll(newline + sizeof(start), NULL, 10);
    return AW_OK;
}

/* An offset at or shortly before the line of record `seq`: numbers grow with the offset. */
static aw_result
approach(int fd, int64_t seq, int64_t *out)
{
    AW_CLEANUP(aw_free) char *buffer = malloc(PROBE_SIZE + 1);
    int64_t low = 0, begin = 0, found = 0;
    struct stat st;

    if (buffer == NULL)
        return aw_fail_memory();
    if (fstat(fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot examine a segment of the log");
    buffer[PROBE_SIZE] = '\0';
    for (int64_t high = st.st_size; high - low > PROBE_SIZE;) {
        int64_t middle = low + (high - low) / 2;

        if (!aw_ok(probe(fd, middle, buffer, &begin, &found)) || found > seq || begin >= high)
            high = middle;
        else
            low = begin;
    }
    *out = low;
    return AW_OK;
}

/* Reading a block. */

static aw_result
take_line(struct reader *reader, const char *line, size_t length, int64_t *next)
{
    AW_CLEANUP(audit_record_free) struct audit_record record = {.json = NULL};
    int64_t first = reader->block * BLOCK + 1;

    AW_TRY(audit_record_read(line, length, &record));
    if (record.seq < first)
        return AW_OK;
    if (record.seq != *next)
        return not_there(*next);
    AW_TRY(audit_tree_leaf(reader->hasher, line, length, &reader->leaves[*next - first]));
    if (record.seq == reader->asked->wanted && reader->line == NULL) {
        reader->line = strndup(line, length);
        if (reader->line == NULL)
            return aw_fail_memory();
    }
    ++*next;
    return AW_OK;
}

static aw_result
read_lines(struct reader *reader, int fd, int64_t offset, int64_t last, int64_t *next)
{
    AW_CLEANUP(audit_lines_end) struct audit_lines lines = {.fd = -1};
    const char *line;
    size_t length;

    AW_TRY(audit_lines_begin(&lines, fd));
    lines.offset = offset;
    while (*next <= last) {
        AW_TRY(audit_lines_next(&lines, &line, &length));
        if (line == NULL)
            return AW_OK;
        AW_TRY(take_line(reader, line, length, next));
    }
    return AW_OK;
}

static aw_result
read_segment(struct reader *reader, int64_t segment, int64_t last, int64_t *next)
{
    AW_CLEANUP(aw_close) int own = -1;
    int fd = reader->current.fd;
    int64_t offset = 0;

    if (segment <= reader->segments.count) {
        if (!audit_segments_has(&reader->segments, segment))
            return audit_segments_absent(&reader->segments, segment);
        AW_TRY(audit_segment_open(reader->segments.paths[segment - 1], &own));
        fd = own;
    }
    AW_TRY(approach(fd, *next, &offset));
    return read_lines(reader, fd, offset, last, next);
}

static aw_result
load_block(struct reader *reader, int64_t block)
{
    int64_t next = block * BLOCK + 1;
    int64_t last = (block + 1) * BLOCK;

    if (reader->block == block)
        return AW_OK;
    reader->block = block;
    if (last > reader->asked->size)
        last = reader->asked->size;
    for (int64_t n = segment_of(reader, next); n <= reader->segments.count + 1 && next <= last; n++)
        AW_TRY(read_segment(reader, n, last, &next));
    return next > last ? AW_OK : not_there(next);
}

/* Roots. */

static aw_result
small_root(struct reader *reader, unsigned level, int64_t number, struct audit_hash *out)
{
    struct audit_tree tree = {.size = 0};
    int64_t begin = number << level;

    AW_TRY(load_block(reader, begin / BLOCK));
    for (int64_t i = 0; i < INT64_C(1) << level; i++)
        AW_TRY(audit_tree_add(&tree, reader->hasher, &reader->leaves[begin % BLOCK + i]));
    return audit_tree_root(&tree, reader->hasher, out);
}

static aw_result
subtree_root(struct reader *reader, unsigned level, int64_t number, struct audit_hash *out)
{
    return level < AUDIT_TREE_NOTED ? small_root(reader, level, number, out)
                                    : audit_index_get(reader->index, level, number, out);
}

/* Of a range: complete subtrees, the largest first, as the bits of its size name them. */
static aw_result
range_root(struct reader *reader, const struct audit_range *range, struct audit_hash *out)
{
    struct audit_tree tree = {.size = range->end - range->begin};
    int64_t begin = range->begin;

    for (int level = AUDIT_TREE_LEVELS - 1; level >= 0; level--) {
        if ((tree.size >> level & 1) == 0)
            continue;
        AW_TRY(subtree_root(reader, (unsigned)level, begin >> level, &tree.peaks[level]));
        begin += INT64_C(1) << level;
    }
    return audit_tree_root(&tree, reader->hasher, out);
}

aw_result
audit_quick_roots(const struct audit_source *source, const struct audit_quick *asked,
    struct audit_hash *out, char **line)
{
    AW_CLEANUP(reader_end)
    struct reader reader = {.current = {.fd = -1}, .index = -1, .asked = asked, .block = -1};

    *line = NULL;
    AW_TRY(audit_file_open_read(source->folder, &reader.current));
    AW_TRY(audit_segments_find(source, &reader.current, &reader.segments));
    AW_TRY(audit_hasher_new(&reader.hasher));
    audit_index_open(source->folder, false, &reader.index);
    if (asked->wanted > 0)
        AW_TRY(load_block(&reader, (asked->wanted - 1) / BLOCK));
    for (size_t i = 0; i < asked->count; i++)
        AW_TRY(range_root(&reader, &asked->ranges[i], &out[i]));
    *line = AW_MOVE(reader.line);
    return AW_OK;
}
