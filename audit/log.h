/**
 * @file log.h
 * @brief The open log from the inside: what opening (log_open.c) and writing (log.c) share. Private
 * to these two.
 */
#ifndef AW_AUDIT_LOG_H
#define AW_AUDIT_LOG_H

#include <pthread.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/hasher.h"
#include "audit/mark.h"
#include "audit/tree.h"

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
    pthread_mutex_t lock;   /* guards all below */
    pthread_cond_t work;    /* for the writer: there is something, or the end */
    pthread_cond_t done[2]; /* for those who wait: their batch is durable, or the log is broken; by
                               turns, so that a batch wakes its own waiters only */
    struct audit_file file; /* changed by the writer only */
    unsigned turn; /* batches that the writer has taken: the one in flight is done[turn % 2] */
    int64_t taken; /* last record of the batch in flight */
    audit_hasher *hasher;
    struct audit_batch queue;      /* appended, not yet taken by the writer */
    int64_t appended;              /* the chain's end: sequence number, */
    int64_t time;                  /* time */
    char head[AUDIT_HEX_SIZE];     /* and digest of the last record appended */
    struct audit_tree tree;        /* over all records appended */
    int64_t durable;               /* sequence number of the last durable record */
    int64_t size;                  /* octets of the file that are durable */
    size_t in_flight;              /* octets that the writer may or may not have written yet */
    struct audit_file_space space; /* as of the last batch */
    int index;                     /* the writer's, and of the walk before it; -1 */
    struct audit_noted noted[AUDIT_NOTED_MAX]; /* completed by what is queued; for the index */
    size_t noted_count;
    struct audit_mark end;       /* of the last batch taken; its segment is the present one */
    int64_t rotate_at;           /* size of the file from which on it is to be closed */
    pthread_cond_t rotated;      /* for those who asked for it */
    uint64_t asked, answered;    /* rotations; one answer serves all who asked before it began */
    struct aw_error rotation;    /* how the last one went */
    struct audit_segment closed; /* what it closed */
    bool closing;
    bool broken;
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

/** Starts the writer's thread. */
AW_MUST_USE aw_result audit_log_start_writer(audit_log *log);

#endif
