#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "common/io.h"

struct worker {
    const struct bench_job *job;
    void *state;
    pthread_t thread;
    pthread_barrier_t *start;
    const atomic_bool *stop;
    uint64_t operations;
    uint64_t latencies[BENCH_BUCKETS];
    aw_result result;
    struct aw_error error;
};

struct team {
    pthread_barrier_t start;
    atomic_bool stop;
    unsigned count;
    struct worker *workers;
};

uint64_t
bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Buckets of equal ratio: the octave, and 128 steps within it. */
static size_t
bucket_of(uint64_t nanoseconds)
{
    unsigned octave = 0;

    while (nanoseconds >> octave >= 2u << BENCH_STEP_BITS)
        octave++;
    size_t step = nanoseconds >> octave;
    size_t bucket = ((size_t)octave << BENCH_STEP_BITS) + step;
    return bucket < BENCH_BUCKETS ? bucket : BENCH_BUCKETS - 1;
}

static double
bucket_middle(size_t bucket)
{
    const size_t steps = 1u << BENCH_STEP_BITS;

    if (bucket < 2 * steps)
        return (double)bucket;
    size_t octave = (bucket >> BENCH_STEP_BITS) - 1;
    size_t step = bucket - (octave << BENCH_STEP_BITS);
    return ((double)step + 0.5) * (double)(1ull << octave);
}

static void *
work(void *argument)
{
    struct worker *w = argument;

    pthread_barrier_wait(w->start);
    uint64_t before = bench_now();
    while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
        w->result = w->job->operate(w->state);
        if (!aw_ok(w->result)) {
            aw_error_save(&w->error);
            break;
        }
        uint64_t after = bench_now();
        w->latencies[bucket_of(after - before)]++;
        w->operations++;
        before = after;
    }
    return NULL;
}

static double
cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
sleep_for(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

static aw_result
open_states(struct team *team, const struct bench_job *job)
{
    for (unsigned i = 0; i < team->count; i++) {
        team->workers[i] = (struct worker){.job = job, .start = &team->start, .stop = &team->stop};
        AW_TRY(job->open(job->context, i, &team->workers[i].state));
    }
    return AW_OK;
}

static void
disband(struct team *team)
{
    for (unsigned i = 0; team->workers != NULL && i < team->count; i++)
        if (team->workers[i].job != NULL)
            team->workers[i].job->close(team->workers[i].state);
    free(team->workers);
    pthread_barrier_destroy(&team->start);
}

static aw_result
sum_up(const struct team *team, struct bench_outcome *out)
{
    for (unsigned i = 0; i < team->count; i++) {
        const struct worker *w = &team->workers[i];

        if (!aw_ok(w->result))
            return aw_error_restore(&w->error);
        out->operations += w->operations;
        for (size_t b = 0; b < BENCH_BUCKETS; b++)
            out->latencies[b] += w->latencies[b];
    }
    if (out->operations == 0)
        return aw_fail(AW_CODE_TIMEOUT, "not one operation ended in the time given");
    return AW_OK;
}

/* Threads that could not be started would leave the others at the barrier: that ends the program.
 */
static void
start_threads(struct team *team)
{
    for (unsigned i = 0; i < team->count; i++) {
        if (pthread_create(&team->workers[i].thread, NULL, work, &team->workers[i]) != 0) {
            fprintf(stderr, "bench: can't start thread %u\n", i);
            exit(1);
        }
    }
}

aw_result
bench_run(const struct bench_job *job, const struct bench_plan *plan, struct bench_outcome *out)
{
    AW_CLEANUP(disband) struct team team = {.count = plan->threads};

    *out = (struct bench_outcome){0};
    if (plan->threads == 0 || plan->threads > BENCH_THREADS_MAX)
        return aw_fail(
            AW_CODE_USAGE, "%u threads, expected 1 to %d", plan->threads, BENCH_THREADS_MAX);
    pthread_barrier_init(&team.start, NULL, plan->threads + 1);
    team.workers = calloc(plan->threads, sizeof(*team.workers));
    if (team.workers == NULL)
        return aw_fail_memory();
    AW_TRY(open_states(&team, job));
    start_threads(&team);
    double cpu = cpu_seconds();
    uint64_t before = bench_now();
    pthread_barrier_wait(&team.start);
    sleep_for(plan->seconds);
    atomic_store(&team.stop, true);
    for (unsigned i = 0; i < team.count; i++)
        pthread_join(team.workers[i].thread, NULL);
    out->seconds = (double)(bench_now() - before) / 1e9;
    out->cpu_seconds = cpu_seconds() - cpu;
    return sum_up(&team, out);
}

static double
percentile_us(const struct bench_outcome *outcome, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)outcome->operations);
    uint64_t seen = 0;

    for (size_t b = 0; b < BENCH_BUCKETS; b++) {
        seen += outcome->latencies[b];
        if (seen > wanted)
            return bucket_middle(b) / 1000;
    }
    return bucket_middle(BENCH_BUCKETS - 1) / 1000;
}

void
bench_print(const struct bench_outcome *outcome)
{
    double operations = (double)outcome->operations;

    printf("{\"operations\":%llu,\"seconds\":%.6f,\"per_second\":%.1f,\"cpu_us\":%.3f,"
           "\"p10_us\":%.2f,\"p50_us\":%.2f,\"p90_us\":%.2f,\"p99_us\":%.2f}\n",
        (unsigned long long)outcome->operations, outcome->seconds, operations / outcome->seconds,
        outcome->cpu_seconds * 1e6 / operations, percentile_us(outcome, 0.1),
        percentile_us(outcome, 0.5), percentile_us(outcome, 0.9), percentile_us(outcome, 0.99));
}

aw_result
bench_number(const char *option, const char *text, double *out)
{
    char *end = NULL;

    *out = strtod(text, &end);
    if (end == text || *end != '\0' || !(*out > 0 && *out < 1e9))
        return aw_fail(
            AW_CODE_USAGE, "%s is \"%s\", expected a number greater than zero", option, text);
    return AW_OK;
}

int
bench_failed(const char *program)
{
    const struct aw_error *error = aw_error_last();

    fprintf(stderr, "%s: %s\n", program, error->message);
    if (error->hint[0] != '\0')
        fprintf(stderr, "%s\n", error->hint);
    return aw_code_exit(error->code);
}
