/**
 * @file arena.h
 * @brief Texts that live as long as a snapshot: many small strings in few blocks.
 */
#ifndef AW_POLICY_ARENA_H
#define AW_POLICY_ARENA_H

#include <stddef.h>

struct arena_block;

/** Zero-initialise; release: policy_arena_free. What was put never moves. */
struct policy_arena {
    struct arena_block *blocks; /**< the newest first */
};

/** Copies `length` octets and puts a NUL behind them; NULL for want of memory. */
char *policy_arena_put(struct policy_arena *arena, const void *bytes, size_t length);

/** Releases everything that was put. */
void policy_arena_free(struct policy_arena *arena);

#endif
