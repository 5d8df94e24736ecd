#include "policy/arena.h"

#include <stdlib.h>
#include <string.h>

/* Blocks double in size between these, so that a small policy stays small. */
enum { BLOCK_MIN = 4096, BLOCK_MAX = 1024 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    char bytes[];
};

static struct arena_block *
add_block(struct policy_arena *arena, size_t needed)
{
    size_t size = arena->blocks == NULL ? BLOCK_MIN : 2 * arena->blocks->size;

    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < needed)
        size = needed;
    struct arena_block *block = malloc(sizeof(*block) + size);
    if (block == NULL)
        return NULL;
    *block = (struct arena_block){.next = arena->blocks, .size = size};
    arena->blocks = block;
    return block;
}

char *
policy_arena_put(struct policy_arena *arena, const void *bytes, size_t length)
{
    struct arena_block *block = arena->blocks;

    if (block == NULL || block->size - block->used < length + 1)
        block = add_block(arena, length + 1);
    if (block == NULL)
        return NULL;
    char *copy = block->bytes + block->used;
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    block->used += length + 1;
    return copy;
}

void
policy_arena_free(struct policy_arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
}
