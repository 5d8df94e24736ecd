/**
 * @file mutate.h
 * @brief Damage to inputs, always the same from the same number.
 */
#ifndef AW_TEST_FUZZ_MUTATE_H
#define AW_TEST_FUZZ_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An input. */
struct input {
    const char *name;
    uint8_t *data;
    size_t size;
};

/** Begins a sequence of random numbers. */
void mutate_seed(uint64_t seed);

/** The next one, below `limit`, which is over 0. */
size_t mutate_below(size_t limit);

/**
 * Changes `input` in place a few times; stretches of `other` come into it. It never grows beyond
 * `capacity`.
 */
void mutate(struct input *input, size_t capacity, const struct input *other);

#endif
