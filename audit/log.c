#include "audit/log.h"

#include <stdlib.h>
#include <string.h>

#include "audit/record.h"
#include "common/hex.h"
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

/* Appending and waiting. */

static aw_result
admit(audit_log *log)
{
    AW_TRY(audit_log_settle(log, AW_OK));
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
    char digest[AW_DIGEST_HEX_SIZE];
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
    audit_log_call_writer(log);
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

/* What one who waits has to do. */
enum next { NEXT_NOTHING, NEXT_WAIT, NEXT_WRITE };

/* NEXT_WRITE: nobody else makes the record durable, so the caller has taken the batch and has to.
 * NEXT_WAIT: for a count of *event other than *count. */
static aw_result
look(audit_log *log, int64_t seq, enum next *next, struct audit_eventcount **event, uint32_t *count)
{
    *next = NEXT_NOTHING;
    AUDIT_LOG_HOLD(log);
    if (seq > log->appended)
        return aw_fail(AW_CODE_INTERNAL, "waiting for audit record %lld, the last one is %lld",
            (long long)seq, (long long)log->appended);
    if (log->broken || log->durable >= seq)
        return audit_log_settle(log, AW_OK);
    if (audit_log_may_take(log)) {
        audit_log_take(log);
        *next = NEXT_WRITE;
        return AW_OK;
    }
    unsigned batch = (seq <= log->taken ? log->turn : log->turn + 1) % 2;

    *next = NEXT_WAIT;
    *event = &log->done[batch];
    *count = audit_eventcount_get(*event);
    log->waiting[batch]++;
    return AW_OK;
}

/* Without the lock, which all that a batch wakes would want at once. */
static bool
is_durable(audit_log *log, int64_t seq)
{
    return log->durable >= seq && !log->broken;
}

aw_result
audit_log_wait(audit_log *log, int64_t seq)
{
    struct audit_eventcount *event = NULL;
    uint32_t count = 0;
    enum next next;

    while (!is_durable(log, seq)) {
        AW_TRY(look(log, seq, &next, &event, &count));
        if (next == NEXT_WRITE)
            return audit_log_write(log);
        if (next == NEXT_NOTHING)
            return AW_OK;
        audit_eventcount_wait(event, count);
    }
    return AW_OK;
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
    AW_TRY(audit_log_settle(log, AW_OK));
    return audit_log_settle(
        log, audit_file_check(&log->file, log->size, log->size + (int64_t)log->in_flight));
}

/* Segments. */

aw_result
audit_log_rotate(audit_log *log, struct audit_segment *closed)
{
    AUDIT_LOG_HOLD(log);
    AW_TRY(audit_log_settle(log, AW_OK));
    uint64_t mine = ++log->asked;
    log->asked_behind = log->appended;
    log->hurry = true;
    pthread_cond_signal(&log->work);
    while (!log->broken && log->answered < mine)
        pthread_cond_wait(&log->rotated, &log->lock);
    AW_TRY(audit_log_settle(log, AW_OK));
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
