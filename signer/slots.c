#include "signer/slots.h"

#include <stdlib.h>

#include "signer/thread.h"

aw_result
slots_init(struct slots *slots, size_t count)
{
    *slots = (struct slots){.items = calloc(count, sizeof(*slots->items)), .count = count};
    if (slots->items == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&slots->lock, NULL);
    return AW_OK;
}

void
slots_release(struct slots *slots)
{
    if (slots->items == NULL)
        return;
    pthread_mutex_destroy(&slots->lock);
    free(slots->items);
    *slots = (struct slots){0};
}

/* The number of slots: none. */
static size_t
find_free(struct slots *slots)
{
    size_t found = slots->count;

    for (size_t i = slots->count; i-- > 0;) {
        struct slot *slot = &slots->items[i];

        if (slot->state == SLOT_ENDED) {
            pthread_join(slot->thread, NULL); /* it has left the lock: it ends at once */
            slot->state = SLOT_FREE;
        }
        if (slot->state == SLOT_FREE)
            found = i;
    }
    return found;
}

aw_result
slots_take(struct slots *slots, uint32_t owner, slots_allow allow, void *context, size_t *out)
{
    aw_result r = AW_OK;

    pthread_mutex_lock(&slots->lock);
    *out = find_free(slots);
    if (*out == slots->count)
        r = aw_fail(AW_CODE_BUSY, "there are too many connections in all (%zu)", slots->count);
    else if (allow != NULL)
        r = allow(context);
    if (aw_ok(r)) {
        slots->items[*out].state = SLOT_OPEN;
        slots->items[*out].owner = owner;
    }
    pthread_mutex_unlock(&slots->lock);
    return r;
}

aw_result
slots_start(struct slots *slots, size_t slot, void *(*run)(void *context), void *context)
{
    return thread_start(&slots->items[slot].thread, run, context);
}

static void
set_state(struct slots *slots, size_t slot, int state)
{
    pthread_mutex_lock(&slots->lock);
    slots->items[slot].state = state;
    pthread_mutex_unlock(&slots->lock);
}

void
slots_give_back(struct slots *slots, size_t slot)
{
    set_state(slots, slot, SLOT_FREE);
}

void
slots_end(struct slots *slots, size_t slot)
{
    set_state(slots, slot, SLOT_ENDED);
}

void
slots_join(struct slots *slots)
{
    for (size_t i = 0; i < slots->count; i++) {
        pthread_mutex_lock(&slots->lock);
        bool taken = slots->items[i].state != SLOT_FREE;
        pthread_mutex_unlock(&slots->lock);
        if (taken)
            pthread_join(slots->items[i].thread, NULL);
        set_state(slots, i, SLOT_FREE);
    }
}

size_t
slots_count(struct slots *slots, uint32_t owner)
{
    size_t count = 0;

    pthread_mutex_lock(&slots->lock);
    for (size_t i = 0; i < slots->count; i++)
        count += slots->items[i].state == SLOT_OPEN && slots->items[i].owner == owner;
    pthread_mutex_unlock(&slots->lock);
    return count;
}

bool
slots_have_others(struct slots *slots, uint32_t owner)
{
    bool found = false;

    pthread_mutex_lock(&slots->lock);
    for (size_t i = 0; i < slots->count && !found; i++)
        found = slots->items[i].state == SLOT_OPEN && slots->items[i].owner != owner;
    pthread_mutex_unlock(&slots->lock);
    return found;
}
