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

/** Ends it; true if an allocation failed since. */
bool memory_fail_end(void);

/** Between these, what this thread allocates is neither counted nor refused: for parts that are not
 * under test and do not bear it. They may be nested. */
void memory_fail_pause(void);
void memory_fail_resume(void);

#endif
