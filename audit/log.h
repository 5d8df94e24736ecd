/**
 * @file log.h
 * @brief The open log from the inside: what opening (log_open.c), appending (log.c) and writing
 * (log_write.c) share. Private to these three.
 */
#ifndef AW_AUDIT_LOG_H
#define AW_AUDIT_LOG_H

#include <pthread.h>
#include <stdatomic.h>

#include "audit/audit.h"
#include "audit/eventcount.h"
#include "audit/file.h"
#include "audit/hasher.h"
#include "audit/mark.h"
#include "audit/tree.h"
#include "common/hex.h"

/** Lines, one behind the other. */
struct audit_batch {
    char *bytes;
    size_t size, capacity;
};

/** Subtrees that a record completed, on their way into the index. */
struct audit_noted {
    int64_t size; /**< of the tree with that record */
    struct audit_completed completed;
};

/** One in 256 of the records that may wait, and as many of a batch that was just written. */
enum { AUDIT_NOTED_MAX = 2 * (AUDIT_QUEUE_MAX >> AUDIT_TREE_NOTED) + 2 };

/** An open log. */
struct audit_log {
    char *folder;
    int64_t segment_size;
    pthread_t writer;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* for the writer's thread: there is something, or the end */
    struct audit_eventcount
        done[2];         /* for those who wait: their batch is durable, nobody writes it,
                or the log is broken; by turns, so that a batch wakes its own waiters */
    unsigned waiting[2]; /* how many, at most; 0 again when their batch is durable */
    bool writing;        /* somebody writes a batch or closes a segment: `file` and `batch` are
                            his, without the lock, until he has done so */
    struct audit_file file;
    struct audit_batch batch; /* what is written, or was last */
    unsigned turn;            /* batches that were taken: the one in flight is done[turn % 2] */
    int64_t taken;            /* last record of the batch in flight */
    int64_t batch_us;         /* what batches take, lately */
    bool asleep;              /* the writer's thread does not look at the queue by itself */
    bool hurry;               /* it is to write what is queued now */
    audit_hasher *hasher;
    struct audit_batch queue;      /* appended, not yet taken */
    int64_t appended;              /* the chain's end: sequence number, */
    int64_t time;                  /* time */
    char head[AW_DIGEST_HEX_SIZE]; /* and digest of the last record appended */
    struct audit_tree tree;        /* over all records appended */
    _Atomic int64_t durable;       /* sequence number of the last durable record; it may be read
                                      without the lock, as `broken` may */
    int64_t size;                  /* octets of the file that are durable */
    size_t in_flight;              /* octets that may or may not have been written yet */
    struct audit_file_space space; /* as of the last batch */
    int index;                     /* -1: none */
    struct audit_noted noted[AUDIT_NOTED_MAX]; /* completed by what is queued; for the index */
    size_t noted_count;
    struct audit_mark end;       /* of the last batch taken; its segment is the present one */
    int64_t rotate_at;           /* size of the file from which on it is to be closed */
    pthread_cond_t rotated;      /* for those who asked for it */
    uint64_t asked, answered;    /* rotations; one answer serves all who asked before it began */
    int64_t asked_behind;        /* the last record that is to be in the segment */
    struct aw_error rotation;    /* how the last one went */
    struct audit_segment closed; /* what it closed */
    bool closing;
    atomic_bool broken;
    struct aw_error cause; /* first failure of a broken log */
};

/** For AUDIT_LOG_HOLD. */
void audit_log_unlock(pthread_mutex_t **lock);

/** Holds the log's lock to the end of the scope. */
#define AUDIT_LOG_HOLD(log)                                             \
    AW_CLEANUP(audit_log_unlock) pthread_mutex_t *held_ = &(log)->lock; \
    pthread_mutex_lock(held_)

/** Under the lock, or before the writer runs: all that was appended may be the end of a segment. */
void audit_log_set_end(audit_log *log);

/** Under the lock: notes the first failure for good; what everybody gets from then on. */
AW_MUST_USE aw_result audit_log_settle(audit_log *log, aw_result r);

/** Under the lock, when a record was queued: calls the writer's thread where that is worth it. */
void audit_log_call_writer(audit_log *log);

/** Under the lock: whether the caller may, and has to, write what is queued. */
bool audit_log_may_take(const audit_log *log);

/** Under the lock: takes what is queued. The caller writes it, by audit_log_write. */
void audit_log_take(audit_log *log);

/** Not under the lock: makes the batch durable that was taken, and wakes those who wait for it. */
AW_MUST_USE aw_result audit_log_write(audit_log *log);

/** Starts the writer's thread. SIGXFSZ is ignored from then on. */
AW_MUST_USE aw_result audit_log_start_writer(audit_log *log);

#endif
