/* Deterministic mutation of test inputs: the same seed gives the same inputs on every machine. */
#ifndef TEST_MUTATE_H
#define TEST_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mutator {
    uint64_t state; /* not 0 */
    const char *const *words;
    size_t word_count;
};

/* xorshift64 (Marsaglia 2003). */
static inline size_t
mutate_below(struct mutator *m, size_t bound)
{
    m->state ^= m->state << 13;
    m->state ^= m->state >> 7;
    m->state ^= m->state << 17;
    return (size_t)(m->state % bound);
}

static inline void
mutate_insert(char *text, size_t *length, size_t capacity, size_t at, const char *what, size_t size)
{
    if (*length + size > capacity)
        return;
    memmove(text + at + size, text + at, *length - at);
    memcpy(text + at, what, size);
    *length += size;
}

/* One change: an octet, a word of the dictionary, a cut, or a part said twice. */
static inline void
mutate_once(struct mutator *m, char *text, size_t *length, size_t capacity)
{
    char copy[16];
    size_t at = mutate_below(m, *length + 1);
    size_t part = *length - at;

    part = mutate_below(m, (part < sizeof(copy) ? part : sizeof(copy)) + 1);
    switch (mutate_below(m, 4)) {
    case 0:
        if (at < *length)
            text[at] = (char)mutate_below(m, 256);
        break;
    case 1: {
        const char *word = m->words[mutate_below(m, m->word_count)];
        mutate_insert(text, length, capacity, at, word, strlen(word));
        break;
    }
    case 2:
        memmove(text + at, text + at + part, *length - at - part);
        *length -= part;
        break;
    default:
        memcpy(copy, text + at, part);
        mutate_insert(text, length, capacity, mutate_below(m, *length + 1), copy, part);
        break;
    }
}

#endif
