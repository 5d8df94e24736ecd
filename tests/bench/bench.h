/**
 * @file bench.h
 * @brief What the bench programs share: threads that repeat one operation, and what they took.
 *
 * A job's states are made before the clock starts; then all threads run for the given time. The
 * result is one line of JSON on standard output; run.py makes ratios of such lines.
 */
#ifndef AW_TESTS_BENCH_H
#define AW_TESTS_BENCH_H

#include <stdint.h>

#include "common/result.h"

/** Limits. */
enum {
    BENCH_THREADS_MAX = 64,
    BENCH_STEP_BITS = 7,                   /**< latencies are kept to one part in 128 */
    BENCH_BUCKETS = 40 << BENCH_STEP_BITS, /**< from 1 ns to 2^39 ns */
};

/** What is repeated. */
struct bench_job {
    void *context;
    /** Makes what a thread needs: a session, a connection. Called by the main thread. */
    aw_result (*open)(void *context, unsigned thread, void **state);
    /** Does it once. */
    aw_result (*operate)(void *state);
    /** Releases; `state` may be NULL. */
    void (*close)(void *state);
};

/** How it is repeated. */
struct bench_plan {
    unsigned threads;
    double seconds;
};

/** What came out. Latencies are of single operations. */
struct bench_outcome {
    uint64_t operations;
    double seconds;
    double cpu_seconds; /**< of this process */
    uint64_t latencies[BENCH_BUCKETS];
};

/** Runs a job; the first failure of any thread is the result. */
AW_MUST_USE aw_result bench_run(
    const struct bench_job *job, const struct bench_plan *plan, struct bench_outcome *out);

/** Prints the outcome as one line of JSON: operations, seconds, cpu_us (per operation), p50_us ...
 */
void bench_print(const struct bench_outcome *outcome);

/** Reads a positive number of a command line. */
AW_MUST_USE aw_result bench_number(const char *option, const char *text, double *out);

/** Nanoseconds of the monotonic clock. */
uint64_t bench_now(void);

/** Tells the last failure of `program` on standard error; the exit code. */
int bench_failed(const char *program);

#endif
