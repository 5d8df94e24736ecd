#include "audit/log.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "audit/index.h"
#include "audit/record.h"
#include "audit/rotation.h"
#include "common/io.h"

enum {
    QUEUE_OCTETS_MAX = 16 * 1024 * 1024, /* memory of records that wait to become durable */
    BATCH_START = 64 * 1024,             /* first size of a batch's buffer; it doubles */
};

void
audit_log_unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

static aw_result
batch_add(struct audit_batch *batch, const char *line, size_t length)
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
void
audit_log_set_end(audit_log *log)
{
    log->end.time = log->time;
    log->end.tree = log->tree;
    memcpy(log->end.head, log->head, sizeof(log->end.head));
}

enum task { TASK_BATCH, TASK_ROTATE, TASK_END };

static enum task
next_task(audit_log *log)
{
    AUDIT_LOG_HOLD(log);
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
take_batch(audit_log *log, struct audit_batch *batch, int64_t *last)
{
    AUDIT_LOG_HOLD(log);
    struct audit_batch taken = log->queue;
    log->queue = *batch;
    log->queue.size = 0;
    *batch = taken;
    *last = log->taken = log->appended;
    audit_log_set_end(log);
    log->turn++;
    log->in_flight = taken.size;
}

static void
finish_batch(audit_log *log, aw_result r, size_t size, int64_t last)
{
    AUDIT_LOG_HOLD(log);
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

/* Of records that are durable. Where there are none to write, no copy is made. */
static void
write_index(audit_log *log)
{
    struct audit_noted noted;

    for (;;) {
        {
            AUDIT_LOG_HOLD(log);
            if (log->noted_count == 0 || log->noted[0].size > log->durable)
                return;
            noted = log->noted[0];
            memmove(log->noted, log->noted + 1, --log->noted_count * sizeof(log->noted[0]));
        }
        audit_index_put(log->index, noted.size, &noted.completed);
    }
}

static void
write_batch(audit_log *log, struct audit_batch *batch)
{
    int64_t last;

    take_batch(log, batch, &last);
    finish_batch(log, audit_file_append(&log->file, batch->bytes, batch->size), batch->size, last);
    write_index(log);
}

/* Rotation, by the writer between two batches: nothing is in flight, what is queued is for the next
 * segment. */

/* The next file takes the place of the log's: from here on it is the log. */
static aw_result
turn(audit_log *log, struct audit_file *closed, struct audit_file *next)
{
    AUDIT_LOG_HOLD(log);
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
    AUDIT_LOG_HOLD(log);
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

    AUDIT_LOG_HOLD(log);
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

    AUDIT_LOG_HOLD(log);
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
    struct audit_batch batch = {0};
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
aw_result
audit_log_start_writer(audit_log *log)
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
grow_tree(audit_log *log, const char *line, size_t length, struct audit_completed *completed)
{
    struct audit_hash leaf;

    AW_TRY(audit_tree_leaf(log->hasher, line, length, &leaf));
    return audit_tree_note(&log->tree, log->hasher, &leaf, completed);
}

/* What finds no room is missing in the index. */
static void
note_completed(audit_log *log, const struct audit_completed *completed)
{
    if (completed->count > 0 && log->noted_count < AUDIT_NOTED_MAX)
        log->noted[log->noted_count++] = (struct audit_noted){log->tree.size, *completed};
}

aw_result
audit_log_record(audit_log *log, const struct audit_entry *entry, struct audit_receipt *receipt)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    char digest[AUDIT_HEX_SIZE];
    struct audit_completed completed;
    size_t length;

    AUDIT_LOG_HOLD(log);
    AW_TRY(admit(log));
    struct audit_record record = {.seq = log->appended + 1, .entry = *entry};
    if (record.entry.time < log->time)
        record.entry.time = log->time;
    memcpy(record.previous, log->head, sizeof(record.previous));
    AW_TRY(audit_record_write(&record, &line, &length));
    AW_TRY(audit_hasher_line(log->hasher, line, length, digest));
    AW_TRY(grow_tree(log, line, length, &completed));
    aw_result r = batch_add(&log->queue, line, length);
    if (!aw_ok(r)) {
        log->tree.size--; /* takes the leaf back: no other peak was touched */
        return r;
    }
    /* Nothing fails from here on. */
    note_completed(log, &completed);
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
    AUDIT_LOG_HOLD(log);
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
    AUDIT_LOG_HOLD(log);
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
        AUDIT_LOG_HOLD(log);
        tree = log->tree;
    }
    AW_TRY(audit_log_wait(log, tree.size));
    out->size = tree.size;
    return audit_tree_root(&tree, hasher, &out->root);
}

void
audit_log_room(audit_log *log, struct audit_room *out)
{
    AUDIT_LOG_HOLD(log);
    out->free = log->space.free - (int64_t)(log->queue.size + log->in_flight);
    out->reserve = log->space.reserve;
    out->spare = out->free > out->reserve &&
                 log->appended - log->durable < AUDIT_QUEUE_MAX - AUDIT_QUEUE_RESERVED &&
                 log->queue.size + log->in_flight < QUEUE_OCTETS_MAX / 4 * 3;
}

aw_result
audit_log_healthy(audit_log *log)
{
    AUDIT_LOG_HOLD(log);
    audit_file_space(&log->file, &log->space);
    AW_TRY(settle_result(log, AW_OK));
    return settle_result(
        log, audit_file_check(&log->file, log->size, log->size + (int64_t)log->in_flight));
}

/* Segments. */

aw_result
audit_log_rotate(audit_log *log, struct audit_segment *closed)
{
    AUDIT_LOG_HOLD(log);
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
    AUDIT_LOG_HOLD(log);
    *out = (struct audit_log_segments){
        .closed = log->end.segment - 1, .last = log->end.first - 1, .size = log->size};
    if (log->rotation.code != AW_CODE_OK && log->rotation.code != AW_CODE_NOT_FOUND)
        memcpy(out->message, log->rotation.message, sizeof(out->message));
}
