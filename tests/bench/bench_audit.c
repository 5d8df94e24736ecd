/*
 * bench_audit MODE --folder DIR [--records N]: what a log costs by its length.
 *   fill     makes a log of N records
 *   commit   appends N records one by one, each made durable
 *   open     opens it, with its marks and then as if it had none
 *   prove    proves N records spread over it, from the index and then one by the walk
 * One line of JSON on standard output.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/index.h"
#include "audit/mark.h"
#include "audit/proof.h"
#include "bench.h"
#include "common/io.h"

enum { PAUSE_EVERY = 2000 };

struct options {
    const char *folder;
    int64_t records;
};

static const struct audit_entry *
usual_record(void)
{
    static const char digest[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const names[] = {"www.app1.dept.example.edu", "api.app1.dept.example.edu"};
    static const struct audit_entry entry = {.kind = AUDIT_DECISION,
        .time = 1795487665,
        .has_uid = true,
        .uid = 1001,
        .user = "app1",
        .application = "dept_app1",
        .account = "incommon-ov",
        .operation = "new-order",
        .verdict = "permit",
        .rule = "names.subdomains_of",
        .names = names,
        .name_count = AW_COUNT(names),
        .policy = digest,
        .input = digest};

    return &entry;
}

static aw_result
fill(const struct options *options)
{
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    size_t repaired;
    int64_t seq = 0;

    AW_TRY(audit_log_open(options->folder, &log, &repaired));
    for (int64_t i = 1; i <= options->records; i++) {
        AW_TRY(audit_log_append(log, usual_record(), &seq));
        if (i % PAUSE_EVERY == 0)
            AW_TRY(audit_log_wait(log, seq));
    }
    return audit_log_wait(log, seq);
}

/* CPU time of the process: the machine may be busy. */
static double
cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static aw_result
append_one(audit_log *log, uint64_t *ns)
{
    uint64_t begin = bench_now();
    int64_t seq;

    AW_TRY(audit_log_append(log, usual_record(), &seq));
    AW_TRY(audit_log_wait(log, seq));
    *ns = bench_now() - begin;
    return AW_OK;
}

static aw_result
commit(const struct options *options)
{
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    AW_CLEANUP(aw_free) uint64_t *taken = calloc((size_t)options->records, sizeof(*taken));
    size_t repaired;

    if (taken == NULL)
        return aw_fail_memory();
    AW_TRY(audit_log_open(options->folder, &log, &repaired));
    double begin = cpu_seconds();
    for (int64_t i = 0; i < options->records; i++)
        AW_TRY(append_one(log, &taken[i]));
    double cpu_us = (cpu_seconds() - begin) * 1e6 / (double)options->records;
    qsort(taken, (size_t)options->records, sizeof(*taken), compare);
    uint64_t median = taken[options->records / 2];
    printf("{\"commit_us\":%.2f,\"cpu_us\":%.2f}\n", (double)median / 1000, cpu_us);
    return AW_OK;
}

static aw_result
open_once(const struct options *options, double *seconds, struct audit_log_opening *opening)
{
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    double begin = cpu_seconds();

    AW_TRY(audit_log_open_with(&(struct audit_log_how){.folder = options->folder}, &log, opening));
    *seconds = cpu_seconds() - begin;
    return AW_OK;
}

static aw_result
drop_marks(const struct options *options, int64_t segments)
{
    for (int64_t n = 1; n <= segments; n++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        AW_TRY(audit_mark_path(options->folder, n, &path));
        unlink(path);
    }
    return AW_OK;
}

static aw_result
open_both(const struct options *options)
{
    struct audit_log_opening opening, full;
    double marked = 0, unmarked = 0;

    AW_TRY(open_once(options, &marked, &opening));
    AW_TRY(drop_marks(options, opening.segments));
    AW_TRY(open_once(options, &unmarked, &full));
    printf("{\"marked_seconds\":%.6f,\"full_seconds\":%.6f,\"begun\":%lld,\"segments\":%lld}\n",
        marked, unmarked, (long long)opening.begun, (long long)opening.segments);
    return AW_OK;
}

static aw_result
prove_one(const struct options *options, int64_t seq, const struct audit_head *head, double *us)
{
    const struct audit_source source = {.folder = options->folder};
    AW_CLEANUP(aw_free) char *line = NULL;
    struct audit_proof proof;
    double begin = cpu_seconds();

    AW_TRY(audit_prove_record(&source, seq, head, &proof, &line));
    *us += (cpu_seconds() - begin) * 1e6;
    return AW_OK;
}

static aw_result
head_of(const struct options *options, struct audit_head *head)
{
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    size_t repaired;

    AW_TRY(audit_log_open(options->folder, &log, &repaired));
    return audit_log_head(log, head);
}

static aw_result
prove(const struct options *options)
{
    AW_CLEANUP(aw_free) char *index = NULL;
    struct audit_head head;
    double quick = 0, slow = 0;

    AW_TRY(head_of(options, &head));
    for (int64_t i = 0; i < options->records; i++)
        AW_TRY(prove_one(options, 1 + i * (head.size - 1) / options->records, &head, &quick));
    AW_TRY(aw_path_join(options->folder, AUDIT_INDEX_NAME, &index));
    unlink(index);
    AW_TRY(prove_one(options, head.size / 2, &head, &slow));
    printf("{\"index_us\":%.1f,\"walk_us\":%.1f}\n", quick / (double)options->records, slow);
    return AW_OK;
}

static const struct {
    const char *name;
    aw_result (*run)(const struct options *options);
} modes[] = {{"fill", fill}, {"commit", commit}, {"open", open_both}, {"prove", prove}};

static aw_result
run(int argc, char **argv)
{
    static const struct option table[] = {
        {"folder", required_argument, NULL, 'f'}, {"records", required_argument, NULL, 'r'}, {0}};
    struct options options = {.records = 1};
    double number = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'f')
            options.folder = optarg;
        else if (option == 'r')
            AW_TRY(bench_number("--records", optarg, &number));
        else
            return aw_fail(AW_CODE_USAGE, "an option that is none");
    }
    if (number >= 1)
        options.records = (int64_t)number;
    for (size_t i = 0; i < AW_COUNT(modes) && options.folder != NULL && optind < argc; i++)
        if (strcmp(argv[optind], modes[i].name) == 0)
            return modes[i].run(&options);
    return aw_fail(AW_CODE_USAGE, "expected fill, commit, open or prove, and --folder");
}

int
main(int argc, char **argv)
{
    aw_result r = run(argc, argv);

    if (!aw_ok(r))
        fprintf(stderr, "bench_audit: %s\n", aw_error_last()->message);
    return aw_code_exit(r.code);
}
