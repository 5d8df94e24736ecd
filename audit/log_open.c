/* Opening the log: the walk to its end. And closing it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/heads.h"
#include "audit/index.h"
#include "audit/log.h"
#include "audit/rotation.h"
#include "audit/stored.h"
#include "audit/walk.h"
#include "common/io.h"

/* All but the thread. */
static void
release(audit_log **log)
{
    if (*log == NULL)
        return;
    audit_file_close(&(*log)->file);
    audit_hasher_free(&(*log)->hasher);
    free((*log)->queue.bytes);
    free((*log)->batch.bytes);
    free((*log)->folder);
    aw_close(&(*log)->index);
    pthread_cond_destroy(&(*log)->rotated);
    pthread_cond_destroy(&(*log)->work);
    pthread_mutex_destroy(&(*log)->lock);
    free(*log);
    *log = NULL;
}

static aw_result
prepare(const struct audit_log_how *how, audit_log *log)
{
    pthread_condattr_t monotonic;

    log->file.fd = -1;
    log->index = -1;
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&log->rotated, NULL);
    log->segment_size = how->segment_size == 0 ? AUDIT_SEGMENT_SIZE : how->segment_size;
    log->rotate_at = log->segment_size;
    AW_TRY(aw_format(&log->folder, "%s", how->folder));
    return audit_hasher_new(&log->hasher);
}

/* The log's file without which closed segments stand alone: nobody begins a new one silently. */
static aw_result
check_begun(const char *folder)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    int64_t last = 0;
    struct stat st;

    AW_TRY(aw_path_join(folder, AUDIT_FILE_NAME, &path));
    if (lstat(path, &st) == 0)
        return AW_OK;
    aw_result r = audit_segments_last(folder, &last);
    if (r.code == AW_CODE_NOT_FOUND || (aw_ok(r) && last == 0))
        return AW_OK; /* what else is wrong, opening it tells */
    AW_TRY(r);
    return aw_hint(aw_fail(AW_CODE_CORRUPT, "%s is missing, but the log has %lld closed segments",
                       path, (long long)last),
        "bring it back; if it is lost for good, keep the checkpoints as the trace of its records, "
        "and make an empty file there (mode 0640) to go on after the last closed segment");
}

/* Opening: the walk to the end of the log. */

/* A mark that is missing or wrong is made anew from the records; without one the segment may not be
 * sealed either. */
static aw_result
mend_mark(const struct audit_walk *walk, const struct audit_mark *made, void *context)
{
    struct audit_log_opening *opening = context;
    struct audit_mark kept;
    aw_result r = audit_segments_mark(&walk->segments, made->segment, &kept);

    if (aw_ok(r) && audit_mark_equal(made, &kept))
        return AW_OK;
    if (!aw_ok(r) && r.code != AW_CODE_NOT_FOUND && r.code != AW_CODE_CORRUPT)
        return r;
    AW_TRY(audit_segment_seal(walk->segments.paths[made->segment - 1]));
    AW_TRY(aw_hint(audit_mark_store(walk->source->folder, made),
        "make space or mend the disk, then start the signer anew: it makes the mark from the "
        "records"));
    opening->mended++;
    return AW_OK;
}

/* From where appending goes on. */
static void
take_end(audit_log *log, const struct audit_walk *walk)
{
    const struct audit_chain *chain = &walk->chain;

    log->appended = chain->seq;
    log->durable = chain->seq;
    log->taken = chain->seq;
    log->time = chain->time;
    memcpy(log->head, chain->head, sizeof(log->head));
    log->tree = chain->tree;
    log->size = chain->lines.offset;
    log->end = (struct audit_mark){.segment = walk->segment, .first = walk->first};
    audit_log_set_end(log);
}

/* Walks to the end, from the last mark before record `from`; a torn tail may be behind it. */
static aw_result
walk_to_end(
    audit_log *log, struct audit_heads *heads, int64_t from, struct audit_log_opening *opening)
{
    const struct audit_source source = {.folder = log->folder};
    AW_CLEANUP(audit_walk_end) struct audit_walk walk = {.source = NULL};
    bool more = true;

    *opening = (struct audit_log_opening){.repaired = 0};
    heads->next = 0;
    AW_TRY(audit_walk_begin(&walk, &source, &log->file));
    AW_TRY(audit_walk_skip(&walk, audit_segments_marked(&walk.segments), from));
    walk.closed = mend_mark;
    walk.context = opening;
    opening->begun = walk.begun;
    while (more) {
        AW_TRY(audit_heads_check(heads, &walk.chain));
        AW_TRY(audit_walk_next(&walk, &more));
        if (more)
            audit_index_put(log->index, walk.chain.tree.size, &walk.chain.completed);
    }
    AW_TRY(audit_heads_end(heads, &walk.chain));
    take_end(log, &walk);
    opening->repaired = audit_lines_torn(&walk.chain.lines);
    opening->segments = walk.segments.count;
    return AW_OK;
}

/*
 * The last checkpoint must be met on the way, since its root commits to all that the mark says of
 * the tree. What looks like damage behind a mark may be the mark's: the whole log tells.
 */
static aw_result
find_end(audit_log *log, struct audit_heads *heads, struct audit_log_opening *opening)
{
    int64_t from = heads->count == 0 ? INT64_MAX : heads->items[heads->count - 1].head.size + 1;
    aw_result r = walk_to_end(log, heads, from, opening);

    if (r.code != AW_CODE_CORRUPT || opening->begun == 0)
        return r;
    struct aw_error first;
    aw_error_save(&first);
    r = walk_to_end(log, heads, 0, opening);
    return r.code == AW_CODE_NOT_FOUND ? aw_error_restore(&first) : r;
}

/* Of the checkpoints beside the log: what was signed of it must be true of it still. */
static aw_result
read_heads(const char *folder, struct audit_heads *heads)
{
    AW_CLEANUP(aw_free) struct audit_expected *expected = NULL;
    size_t count = 0;

    AW_TRY(audit_stored_heads(folder, &expected, &count));
    return audit_heads_take(heads, expected, count);
}

aw_result
audit_log_open_with(
    const struct audit_log_how *how, audit_log **out, struct audit_log_opening *opening)
{
    AW_CLEANUP(release) audit_log *log = calloc(1, sizeof(*log));
    AW_CLEANUP(audit_heads_free) struct audit_heads heads = {.items = NULL};
    aw_result r;

    *out = NULL;
    *opening = (struct audit_log_opening){.repaired = 0};
    if (log == NULL)
        return aw_fail_memory();
    AW_TRY(prepare(how, log));
    AW_TRY(check_begun(how->folder));
    AW_TRY(audit_file_open(how->folder, &log->file));
    AW_TRY(audit_rotation_mend(how->folder, &log->file));
    audit_index_open(how->folder, true, &log->index);
    AW_TRY(read_heads(how->folder, &heads));
    r = find_end(log, &heads, opening);
    if (r.code == AW_CODE_NOT_FOUND)
        return aw_hint(r, "bring it back, not compressed: it is needed to hold the log against its "
                          "last checkpoint; archive only what a checkpoint covers");
    AW_TRY(r);
    if (opening->repaired > 0)
        AW_TRY(audit_file_cut(&log->file, log->size, opening->repaired));
    audit_file_space(&log->file, &log->space);
    AW_TRY(audit_log_start_writer(log));
    *out = AW_MOVE(log);
    return AW_OK;
}

aw_result
audit_log_open(const char *folder, audit_log **out, size_t *repaired)
{
    struct audit_log_opening opening;
    aw_result r = audit_log_open_with(&(struct audit_log_how){.folder = folder}, out, &opening);

    *repaired = opening.repaired;
    return r;
}

static void
stop_writer(audit_log *log)
{
    {
        AUDIT_LOG_HOLD(log);
        log->closing = true;
        pthread_cond_signal(&log->work);
    }
    pthread_join(log->writer, NULL);
}

void
audit_log_close(audit_log **log)
{
    if (*log == NULL)
        return;
    stop_writer(*log);
    release(log);
}
