/**
 * @file memory.h
 * @brief Memory that runs out when a test says so: for our code and for every library in the
 * process.
 *
 * A program that links this has its own malloc, calloc and realloc, which pass on to the C
 * library's (or a sanitizer's). libyaml, cJSON, SQLite and OpenSSL get no memory either. Counted
 * and refused are the allocations of the calling thread only.
 */
#ifndef AW_TEST_MEMORY_H
#define AW_TEST_MEMORY_H

#include <stdbool.h>

/** Which allocations fail. */
enum memory_failure {
    MEMORY_FAILS_ONCE,    /**< one: the rest of the process has enough */
    MEMORY_FAILS_FOR_GOOD /**< that one and all that follow: what cleans up gets none either */
};

/** From now on the n-th allocation (from 1) of this thread fails. */
void memory_fail_at(long n, enum memory_failure failure);

/** What counts as a place that has failed already. */
enum memory_place {
    MEMORY_PLACE_EXACT, /**< the program's functions on the stack, and those of a library that are
                           next to the allocation */
    MEMORY_PLACE_OURS /**< the program's functions alone: all that a library allocates for one call
                         is one place */
};

/** Forgets all places: another operation begins. */
void memory_places_forget(void);

/** From now on the first allocation of this thread fails whose place has not failed since the last
 * memory_places_forget(). Repeated until memory_fail_end() is false, it reaches every place once:
 * what a loop allocates in its hundredth turn is handled by the same lines as in its first. */
void memory_fail_at_new_place(enum memory_place place, enum memory_failure failure);

/** Ends it; true if an allocation failed since, or if not every place was looked at yet: again. */
bool memory_fail_end(void);

/** Between these, what this thread allocates is neither counted nor refused: for parts that are not
 * under test and do not bear it. They may be nested. */
void memory_fail_pause(void);
void memory_fail_resume(void);

#endif
