#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/hasher.h"
#include "audit/heads.h"
#include "audit/record.h"
#include "audit/stored.h"
#include "audit/tree.h"
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
    struct audit_file file;
    pthread_t writer;
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t work;    /* for the writer: there is something, or the end */
    pthread_cond_t done[2]; /* for those who wait: their batch is durable, or the log is broken; by
                               turns, so that a batch wakes its own waiters only */
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
    }
    return log->broken ? aw_error_restore(&log->cause) : AW_OK;
}

/* The writer: all that is queued is one batch, so one fdatasync serves all that wait. */

static bool
take_batch(audit_log *log, struct batch *batch, int64_t *last)
{
    HOLD(log);
    while (log->queue.size == 0 && !log->closing && !log->broken)
        pthread_cond_wait(&log->work, &log->lock);
    if (log->queue.size == 0 || log->broken)
        return false;
    struct batch taken = log->queue;
    log->queue = *batch;
    log->queue.size = 0;
    *batch = taken;
    *last = log->taken = log->appended;
    log->turn++;
    log->in_flight = taken.size;
    return true;
}

static bool
finish_batch(audit_log *log, aw_result r, size_t size, int64_t last)
{
    HOLD(log);
    if (aw_ok(r))
        r = audit_file_check(&log->file, log->size + (int64_t)size, log->size + (int64_t)size);
    if (!aw_ok(settle_result(log, r)))
        return false;
    audit_file_space(&log->file, &log->space);
    log->size += (int64_t)size;
    log->in_flight = 0;
    log->durable = last;
    pthread_cond_broadcast(&log->done[log->turn % 2]);
    return true;
}

static void *
writer_main(void *context)
{
    audit_log *log = context;
    struct batch batch = {0};
    int64_t last;
    bool going = true;

    while (going && take_batch(log, &batch, &last))
        going = finish_batch(
            log, audit_file_append(&log->file, batch.bytes, batch.size), batch.size, last);
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
    pthread_cond_destroy(&(*log)->done[0]);
    pthread_cond_destroy(&(*log)->done[1]);
    pthread_cond_destroy(&(*log)->work);
    pthread_mutex_destroy(&(*log)->lock);
    free(*log);
    *log = NULL;
}

static aw_result
prepare(audit_log **out)
{
    audit_log *log = calloc(1, sizeof(*log));

    if (log == NULL)
        return aw_fail_memory();
    log->file.fd = -1;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->work, NULL);
    pthread_cond_init(&log->done[0], NULL);
    pthread_cond_init(&log->done[1], NULL);
    *out = log;
    return audit_hasher_new(&log->hasher);
}

/* Walks the chain to its end, from where appending goes on; *torn octets are behind it. */
static aw_result
find_end(audit_log *log, struct audit_heads *heads, size_t *torn)
{
    AW_CLEANUP(audit_chain_end) struct audit_chain chain = {0};
    bool more = true;

    AW_TRY(audit_chain_begin(&chain, log->file.fd, log->file.path));
    while (more) {
        AW_TRY(audit_heads_check(heads, &chain));
        AW_TRY(audit_chain_next(&chain, &more));
    }
    AW_TRY(audit_heads_end(heads, &chain));
    log->appended = chain.seq;
    log->durable = chain.seq;
    log->taken = chain.seq;
    log->time = chain.time;
    memcpy(log->head, chain.head, sizeof(log->head));
    log->tree = chain.tree;
    log->size = chain.lines.offset;
    *torn = audit_lines_torn(&chain.lines);
    return AW_OK;
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
audit_log_open(const char *folder, audit_log **out, size_t *repaired)
{
    AW_CLEANUP(release) audit_log *log = NULL;
    AW_CLEANUP(audit_heads_free) struct audit_heads heads = {.items = NULL};

    *out = NULL;
    *repaired = 0;
    AW_TRY(prepare(&log));
    AW_TRY(audit_file_open(folder, &log->file));
    AW_TRY(read_heads(folder, &heads));
    AW_TRY(find_end(log, &heads, repaired));
    if (*repaired > 0)
        AW_TRY(audit_file_cut(&log->file, log->size, *repaired));
    audit_file_space(&log->file, &log->space);
    AW_TRY(start_writer(log));
    *out = AW_MOVE(log);
    return AW_OK;
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
