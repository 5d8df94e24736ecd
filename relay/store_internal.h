/**
 * @file store_internal.h
 * @brief What the files of the store share.
 */
#ifndef AW_RELAY_STORE_INTERNAL_H
#define AW_RELAY_STORE_INTERNAL_H

#include <pthread.h>

#include "relay/store.h"
#include "relay/store_db.h"

/** A connection and its lock. */
struct store_side {
    aw_db *db;
    pthread_mutex_t lock;
};

struct relay_store {
    struct store_side writer, reader;
};

/** Locks a side until store_leave, for AW_CLEANUP. */
struct store_side *store_enter(struct store_side *side);

/** Unlocks. */
void store_leave(struct store_side **side);

/** Runs a transaction of the writer. */
AW_MUST_USE aw_result store_write(struct relay_store *store,
    aw_result (*work)(aw_db *db, const void *context), const void *context);

/** Moves an order within a transaction; *moved false: it is in another state. */
AW_MUST_USE aw_result store_move(aw_db *db, const struct order_step *step, bool *moved);

#endif
