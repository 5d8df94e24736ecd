#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/hasher.h"
#include "audit/heads.h"
#include "audit/record.h"
#include "audit/rotation.h"
#include "audit/stored.h"
#include "audit/tree.h"
#include "audit/walk.h"
#include "common/io.h"

enum {
    QUEUE_OCTETS_MAX = 16 * 1024 * 1024, /* memory of records that wait to become durable */
    BATCH_START = 64 * 1024,             /* first size of a batch's buffer; it doubles */
};

/* Lines, one behind the other. */
struct batch {
    char *bytes;
    size_t size, capacity;
};

struct audit_log {
    char *folder;
    int64_t segment_size;
    pthread_t writer;
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t work;    /* for the writer: there is something, or the end */
    pthread_cond_t done[2]; /* for those who wait: their batch is durable, or the log is broken; by
                               turns, so that a batch wakes its own waiters only */
    struct audit_file file; /* changed by the writer only */
    unsigned turn; /* batches that the writer has taken: the one in flight is done[turn % 2] */
    int64_t taken; /* last record of the batch in flight */
    audit_hasher *hasher;
    struct batch queue;            /* appended, not yet taken by the writer */
    int64_t appended;              /* the chain's end: sequence number, */
    int64_t time;                  /* time */
    char head[AUDIT_HEX_SIZE];     /* and digest of the last record appended */
    struct audit_tree tree;        /* over all records appended */
    int64_t durable;               /* sequence number of the last durable record */
    int64_t size;                  /* octets of the file that are durable */
    size_t in_flight;              /* octets that the writer may or may not have written yet */
    struct audit_file_space space; /* as of the last batch */
    struct audit_mark end;         /* of the last batch taken; its segment is the present one */
    int64_t rotate_at;             /* size of the file from which on it is to be closed */
    pthread_cond_t rotated;        /* for those who asked for it */
    uint64_t asked, answered;      /* rotations; one answer serves all who asked before it began */
    struct aw_error rotation;      /* how the last one went */
    struct audit_segment closed;   /* what it closed */
    bool closing;
    bool broken;
    struct aw_error cause; /* first failure of a broken log */
};

static void
unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* Holds the log's lock to the end of the scope. */
#define HOLD(log)                                             \
    AW_CLEANUP(unlock) pthread_mutex_t *held_ = &(log)->lock; \
    pthread_mutex_lock(held_)

static aw_result
batch_add(struct batch *batch, const char *line, size_t length)
{
    size_t need = batch->size + length + 1;

    if (need > batch->capacity) {
        size_t capacity = batch->capacity > 0 ? batch->capacity : BATCH_START;
        while (capacity < need)
            capacity *= 2;
        char *larger = realloc(batch->bytes, capacity);
        if (larger == NULL)
            return aw_fail_memory();
        batch->bytes = larger;
        batch->capacity = capacity;
    }
    memcpy(batch->bytes + batch->size, line, length);
    batch->bytes[need - 1] = '\n';
    batch->size = need;
    return AW_OK;
}

/* Under the lock. The first failure stays; everybody who waits or comes later gets it. */
static aw_result
settle_result(audit_log *log, aw_result r)
{
    if (!aw_ok(r) && !log->broken) {
        log->broken = true;
        aw_error_save(&log->cause);
        pthread_cond_broadcast(&log->done[0]);
        pthread_cond_broadcast(&log->done[1]);
        pthread_cond_broadcast(&log->rotated);
    }
    return log->broken ? aw_error_restore(&log->cause) : AW_OK;
}

/* The writer: all that is queued is one batch, so one fdatasync serves all that wait. */

/* All that was appended is in the batch that is taken: where a segment may end. */
static void
set_end(audit_log *log)
{
    log->end.time = log->time;
    log->end.tree = log->tree;
    memcpy(log->end.head, log->head, sizeof(log->end.head));
}

enum task { TASK_BATCH, TASK_ROTATE, TASK_END };

static enum task
next_task(audit_log *log)
{
    HOLD(log);
    while (log->queue.size == 0 && log->size < log->rotate_at && log->asked == log->answered &&
           !log->closing && !log->broken)
        pthread_cond_wait(&log->work, &log->lock);
    if (log->broken)
        return TASK_END;
    if (log->size >= log->rotate_at)
        return TASK_ROTATE;
    if (log->queue.size > 0)
        return TASK_BATCH;
    return log->asked != log->answered ? TASK_ROTATE : TASK_END;
}

/* There is something in the queue. */
static void
take_batch(audit_log *log, struct batch *batch, int64_t *last)
{
    HOLD(log);
    struct batch taken = log->queue;
    log->queue = *batch;
    log->queue.size = 0;
    *batch = taken;
    *last = log->taken = log->appended;
    set_end(log);
    log->turn++;
    log->in_flight = taken.size;
}

static void
finish_batch(audit_log *log, aw_result r, size_t size, int64_t last)
{
    HOLD(log);
    if (aw_ok(r))
        r = audit_file_check(&log->file, log->size + (int64_t)size, log->size + (int64_t)size);
    if (!aw_ok(settle_result(log, r)))
        return;
    audit_file_space(&log->file, &log->space);
    log->size += (int64_t)size;
    log->in_flight = 0;
    log->durable = last;
    pthread_cond_broadcast(&log->done[log->turn % 2]);
}

static void
write_batch(audit_log *log, struct batch *batch)
{
    int64_t last;

    take_batch(log, batch, &last);
    finish_batch(log, audit_file_append(&log->file, batch->bytes, batch->size), batch->size, last);
}

/* Rotation, by the writer between two batches: nothing is in flight, what is queued is for the next
 * segment. */

/* The next file takes the place of the log's: from here on it is the log. */
static aw_result
turn(audit_log *log, struct audit_file *closed, struct audit_file *next)
{
    HOLD(log);
    AW_TRY(audit_rotation_turn(log->folder, &log->file, log->end.segment, next));
    *closed = log->file;
    log->file = *next;
    *next = (struct audit_file){.fd = -1};
    log->end.octets = log->size;
    log->size = 0;
    return AW_OK;
}

static void
begin_segment(audit_log *log)
{
    HOLD(log);
    log->closed = (struct audit_segment){log->end.segment, log->end.first, log->end.tree.size};
    log->end.segment++;
    log->end.first = log->end.tree.size + 1;
    log->end.octets = 0;
}

/* Nothing may be called durable in a file whose name may be lost. */
static aw_result
sync_turn(audit_log *log)
{
    aw_result r = aw_folder_sync_of(log->file.path);

    HOLD(log);
    return settle_result(log, r);
}

static aw_result
close_segment(audit_log *log)
{
    AW_CLEANUP(audit_file_close) struct audit_file next = {.fd = -1}, closed = {.fd = -1};

    if (log->end.tree.size < log->end.first)
        return aw_fail(AW_CODE_NOT_FOUND, "the segment has no records yet");
    AW_TRY(audit_rotation_prepare(log->folder, &log->file, log->end.segment, &next));
    AW_TRY(turn(log, &closed, &next));
    AW_TRY(sync_turn(log));
    /* What is left undone here, the next start does. */
    aw_result r = audit_rotation_finish(log->folder, &closed, &log->end);
    begin_segment(log);
    return r;
}

/* One that failed is tried again when the segment has grown by an eighth, or when asked. */
static void
rotate(audit_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t asked = log->asked;
    pthread_mutex_unlock(&log->lock);
    aw_result r = close_segment(log);

    HOLD(log);
    log->answered = asked;
    log->rotation = (struct aw_error){.code = AW_CODE_OK};
    if (!aw_ok(r))
        aw_error_save(&log->rotation);
    log->rotate_at =
        log->size < log->segment_size ? log->segment_size : log->size + log->segment_size / 8;
    pthread_cond_broadcast(&log->rotated);
}

static void *
writer_main(void *context)
{
    audit_log *log = context;
    struct batch batch = {0};
    enum task task;

    while ((task = next_task(log)) != TASK_END) {
        if (task == TASK_BATCH)
            write_batch(log, &batch);
        else
            rotate(log);
    }
    free(batch.bytes);
    return NULL;
}

/* Signals are other threads' business; SIGXFSZ too, so that a file size limit is EFBIG here. */
static aw_result
start_writer(audit_log *log)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&log->writer, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number != 0)
        return aw_fail_cause(AW_CODE_MEMORY, AW_CAUSE_ERRNO, (unsigned long)number,
            "cannot start the audit log's writer: %s", strerror(number));
    return AW_OK;
}

/* Opening and closing. */

/* All but the thread. */
static void
release(audit_log **log)
{
    if (*log == NULL)
        return;
    audit_file_close(&(*log)->file);
    audit_hasher_free(&(*log)->hasher);
    free((*log)->queue.bytes);
    free((*log)->folder);
    pthread_cond_destroy(&(*log)->rotated);
    pthread_cond_destroy(&(*log)->done[0]);
    pthread_cond_destroy(&(*log)->done[1]);
    pthread_cond_destroy(&(*log)->work);
    pthread_mutex_destroy(&(*log)->lock);
    free(*log);
    *log = NULL;
}

static aw_result
prepare(const struct audit_log_how *how, audit_log **out)
{
    audit_log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return aw_fail_memory();
    log->file.fd = -1;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->work, NULL);
    pthread_cond_init(&log->done[0], NULL);
    pthread_cond_init(&log->done[1], NULL);
    pthread_cond_init(&log->rotated, NULL);
    log->segment_size = how->segment_size == 0 ? AUDIT_SEGMENT_SIZE : how->segment_size;
    log->rotate_at = log->segment_size;
    *out = log;
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
    if (lstat(path, &st) == 0 || !aw_ok(audit_segments_last(folder, &last)) || last == 0)
        return AW_OK; /* what else is wrong, opening it tells */
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
    AW_TRY(audit_mark_store(walk->source->folder, made));
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
    set_end(log);
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
    AW_CLEANUP(release) audit_log *log = NULL;
    AW_CLEANUP(audit_heads_free) struct audit_heads heads = {.items = NULL};
    aw_result r;

    *out = NULL;
    *opening = (struct audit_log_opening){.repaired = 0};
    AW_TRY(prepare(how, &log));
    AW_TRY(check_begun(log->folder));
    AW_TRY(audit_file_open(log->folder, &log->file));
    AW_TRY(audit_rotation_mend(log->folder, &log->file));
    AW_TRY(read_heads(log->folder, &heads));
    r = find_end(log, &heads, opening);
    if (r.code == AW_CODE_NOT_FOUND)
        return aw_hint(r, "bring it back, not compressed: it is needed to hold the log against its "
                          "last checkpoint; archive only what a checkpoint covers");
    AW_TRY(r);
    if (opening->repaired > 0)
        AW_TRY(audit_file_cut(&log->file, log->size, opening->repaired));
    audit_file_space(&log->file, &log->space);
    AW_TRY(start_writer(log));
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
        HOLD(log);
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

/* Appending and waiting. */

static aw_result
admit(audit_log *log)
{
    AW_TRY(settle_result(log, AW_OK));
    if (log->appended - log->durable >= AUDIT_QUEUE_MAX ||
        log->queue.size + log->in_flight > QUEUE_OCTETS_MAX)
        return aw_hint(aw_fail(AW_CODE_BUSY, "%lld audit records wait to become durable",
                           (long long)(log->appended - log->durable)),
            "try again; if it stays so, the disk of the audit log is too slow");
    return AW_OK;
}

static aw_result
grow_tree(audit_log *log, const char *line, size_t length)
{
    struct audit_hash leaf;

    AW_TRY(audit_tree_leaf(log->hasher, line, length, &leaf));
    return audit_tree_add(&log->tree, log->hasher, &leaf);
}

aw_result
audit_log_record(audit_log *log, const struct audit_entry *entry, struct audit_receipt *receipt)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    char digest[AUDIT_HEX_SIZE];
    size_t length;

    HOLD(log);
    AW_TRY(admit(log));
    struct audit_record record = {.seq = log->appended + 1, .entry = *entry};
    if (record.entry.time < log->time)
        record.entry.time = log->time;
    memcpy(record.previous, log->head, sizeof(record.previous));
    AW_TRY(audit_record_write(&record, &line, &length));
    AW_TRY(audit_hasher_line(log->hasher, line, length, digest));
    AW_TRY(grow_tree(log, line, length));
    aw_result r = batch_add(&log->queue, line, length);
    if (!aw_ok(r)) {
        log->tree.size--; /* takes the leaf back: no other peak was touched */
        return r;
    }
    /* Nothing fails from here on. */
    log->appended = record.seq;
    log->time = record.entry.time;
    memcpy(log->head, digest, sizeof(log->head));
    receipt->seq = record.seq;
    receipt->time = record.entry.time;
    receipt->size = length + 1;
    memcpy(receipt->digest, digest, sizeof(receipt->digest));
    pthread_cond_signal(&log->work);
    return AW_OK;
}

aw_result
audit_log_append(audit_log *log, const struct audit_entry *entry, int64_t *seq)
{
    struct audit_receipt receipt;

    AW_TRY(audit_log_record(log, entry, &receipt));
    *seq = receipt.seq;
    return AW_OK;
}

aw_result
audit_log_wait(audit_log *log, int64_t seq)
{
    HOLD(log);
    if (seq > log->appended)
        return aw_fail(AW_CODE_INTERNAL, "waiting for audit record %lld, the last one is %lld",
            (long long)seq, (long long)log->appended);
    while (!log->broken && log->durable < seq) {
        unsigned batch = seq <= log->taken ? log->turn : log->turn + 1;

        pthread_cond_wait(&log->done[batch % 2], &log->lock);
    }
    return settle_result(log, AW_OK);
}

void
audit_log_position(audit_log *log, int64_t *appended, int64_t *durable)
{
    HOLD(log);
    *appended = log->appended;
    *durable = log->durable;
}

aw_result
audit_log_head(audit_log *log, struct audit_head *out)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    struct audit_tree tree;

    AW_TRY(audit_hasher_new(&hasher));
    {
        HOLD(log);
        tree = log->tree;
    }
    AW_TRY(audit_log_wait(log, tree.size));
    out->size = tree.size;
    return audit_tree_root(&tree, hasher, &out->root);
}

void
audit_log_room(audit_log *log, struct audit_room *out)
{
    HOLD(log);
    out->free = log->space.free - (int64_t)(log->queue.size + log->in_flight);
    out->reserve = log->space.reserve;
    out->spare = out->free > out->reserve &&
                 log->appended - log->durable < AUDIT_QUEUE_MAX - AUDIT_QUEUE_RESERVED &&
                 log->queue.size + log->in_flight < QUEUE_OCTETS_MAX / 4 * 3;
}

aw_result
audit_log_healthy(audit_log *log)
{
    HOLD(log);
    audit_file_space(&log->file, &log->space);
    AW_TRY(settle_result(log, AW_OK));
    return settle_result(
        log, audit_file_check(&log->file, log->size, log->size + (int64_t)log->in_flight));
}

/* Segments. */

aw_result
audit_log_rotate(audit_log *log, struct audit_segment *closed)
{
    HOLD(log);
    AW_TRY(settle_result(log, AW_OK));
    uint64_t mine = ++log->asked;
    pthread_cond_signal(&log->work);
    while (!log->broken && log->answered < mine)
        pthread_cond_wait(&log->rotated, &log->lock);
    AW_TRY(settle_result(log, AW_OK));
    if (log->rotation.code != AW_CODE_OK)
        return aw_error_restore(&log->rotation);
    *closed = log->closed;
    return AW_OK;
}

void
audit_log_segments(audit_log *log, struct audit_log_segments *out)
{
    HOLD(log);
    *out = (struct audit_log_segments){
        .closed = log->end.segment - 1, .last = log->end.first - 1, .size = log->size};
    if (log->rotation.code != AW_CODE_OK && log->rotation.code != AW_CODE_NOT_FOUND)
        memcpy(out->message, log->rotation.message, sizeof(out->message));
}
