/**
 * @file slots.h
 * @brief A table of threads, one for each connection, that end by themselves.
 *
 * Slots are numbered; who uses the table keeps what belongs to a thread in an array of its own. One
 * thread takes slots, and joins those that have ended while it does; each thread gives its slot
 * back as the last thing that it does. When slots_join returns, none is left.
 */
#ifndef AW_SIGNER_SLOTS_H
#define AW_SIGNER_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** A table. The lock guards the states, and whatever its user wants guarded with them. */
struct slots {
    pthread_mutex_t lock;
    struct slot {
        enum { SLOT_FREE, SLOT_OPEN, SLOT_ENDED } state;
        uint32_t owner; /* as its user numbers them */
        pthread_t thread;
    } * items;
    size_t count;
};

/** Makes the table. Release: slots_release. */
AW_MUST_USE aw_result slots_init(struct slots *slots, size_t count);

/** Releases; no thread may be left. */
void slots_release(struct slots *slots);

/** Whether one more is allowed; asked with the lock held, in the thread that takes. */
typedef aw_result (*slots_allow)(void *context);

/**
 * Takes a free slot.
 * @param allow may be NULL
 * @return AW_CODE_BUSY: none is free; what `allow` returned
 */
AW_MUST_USE aw_result slots_take(
    struct slots *slots, uint32_t owner, slots_allow allow, void *context, size_t *out);

/** Starts the slot's thread. When it fails the slot is still taken. */
AW_MUST_USE aw_result slots_start(
    struct slots *slots, size_t slot, void *(*run)(void *context), void *context);

/** Gives back a slot whose thread was never started. */
void slots_give_back(struct slots *slots, size_t slot);

/** The slot's thread ends. */
void slots_end(struct slots *slots, size_t slot);

/** Waits for all threads; nobody may take a slot any more. */
void slots_join(struct slots *slots);

/** How many of that owner are open. */
size_t slots_count(struct slots *slots, uint32_t owner);

/** True while one of another owner is open. */
bool slots_have_others(struct slots *slots, uint32_t owner);

#endif
