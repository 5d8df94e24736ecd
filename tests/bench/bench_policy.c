/*
 * Policies in numbers: `write` makes a folder of them, `measure` loads it and decides. Of an
 * application's names one in each of subdomains_of, wildcards_of and deny, the rest exact; each
 * application is another user's, unless --user names one for all.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "common/io.h"
#include "common/names.h"
#include "policy/policy.h"

enum {
    REQUESTS = 1 << 16, /* spread over all applications: most find nothing in the caches */
    REQUESTS_WARM = 16, /* of which these, repeated, find all of it there */
    LISTED_BESIDES = 3, /* names that are not in exact */
    UID_FIRST = 100000,
    NOW = 1900000000,
};

static const char account_name[] = "bench";
static const char domain[] = "dept.example.edu";

struct options {
    const char *command, *folder, *user;
    double applications, names, seconds;
};

/* Writing. */

static void
write_names(FILE *file, int application, int exact)
{
    fprintf(file, "names:\n  exact:\n");
    for (int i = 0; i < exact; i++)
        fprintf(file, "    - host%d.app%d.%s\n", i, application, domain);
    fprintf(file,
        "  subdomains_of: [dyn.app%d.%s]\n  wildcards_of: [cdn.app%d.%s]\n"
        "  deny: [pay.app%d.%s]\n",
        application, domain, application, domain, application, domain);
}

static aw_result
write_application(const struct options *o, int number)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/app%d.yaml", o->folder, number));
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return aw_fail_errno(AW_CODE_IO, "can't write %s", path);
    fprintf(file, "application: app%d\nowner: app%d-team@%s\naccount: %s\n", number, number, domain,
        account_name);
    if (o->user != NULL)
        fprintf(file, "principals:\n  - user: %s\n", o->user);
    else
        fprintf(file, "principals:\n  - user: user%d\n", number);
    write_names(file, number, (int)o->names - LISTED_BESIDES);
    if (fclose(file) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't write %s", path);
    return AW_OK;
}

static aw_result
command_write(const struct options *o)
{
    if (o->names <= LISTED_BESIDES)
        return aw_fail(AW_CODE_USAGE, "--names: more than %d, please", LISTED_BESIDES);
    for (int i = 0; i < (int)o->applications; i++)
        AW_TRY(write_application(o, i));
    return AW_OK;
}

/* Measuring. */

/* One thing to decide, with the verdict that it must get. */
struct question {
    struct policy_subject subject;
    struct aw_name name;
    bool allowed;
};

struct measure {
    policy_snapshot *snapshot;
    struct question *questions;
    double load_seconds;
    double load_cpu; /* of this process, in seconds */
    long memory;     /* octets of the snapshot: what the process grew by */
    long peak;       /* octets at the worst moment of loading */
};

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    (void)context;
    *found = true;
    *uid = (uid_t)(UID_FIRST + strtol(name + strlen("user"), NULL, 10));
    return AW_OK;
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    (void)name;
    (void)gid;
    (void)context;
    *found = false;
    return AW_OK;
}

/* A line of /proc/self/status in octets: anonymous memory, or the most that was resident. */
static long
status_octets(const char *name)
{
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kilobytes = strtol(line + strlen(name), NULL, 10);
    if (file != NULL)
        fclose(file);
    return kilobytes * 1024;
}

static aw_result
load(const struct options *o, struct measure *m)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    const struct policy_resolver resolver = {find_user, find_group, NULL};
    struct aw_name ceiling;
    const struct policy_account account = {
        .name = account_name, .ceiling = &ceiling, .ceiling_count = 1};

    AW_TRY(aw_name_parse(domain, strlen(domain), &ceiling));
    long before = status_octets("RssAnon:");
    uint64_t start = bench_now();
    aw_result r = policy_load(
        &(struct policy_source){o->folder, &account, 1, &resolver}, &faults, NULL, &m->snapshot);
    if (!aw_ok(r))
        aw_faults_print(&faults, stderr);
    AW_TRY(r);
    m->load_seconds = (double)(bench_now() - start) / 1e9;
    m->peak = status_octets("VmHWM:");
    malloc_trim(0);
    m->memory = status_octets("RssAnon:") - before;
    return AW_OK;
}

/* Numbers that are the same in every run. */
static unsigned
next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

static aw_result
make_question(const struct options *o, uint64_t *state, struct question *out)
{
    static const struct {
        const char *format;
        bool allowed;
    } forms[] = {
        {"host%u.app%u.%s", true},   /* exact */
        {"h%u.dyn.app%u.%s", true},  /* subdomains_of */
        {"x%u.app%u.%s", false},     /* nobody's */
        {"a%u.pay.app%u.%s", false}, /* denied */
    };
    unsigned application = next_random(state) % (unsigned)o->applications;
    unsigned host = next_random(state) % ((unsigned)o->names - LISTED_BESIDES);
    unsigned form = next_random(state) % AW_COUNT(forms);
    char text[AW_NAME_MAX + 1];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(text, sizeof(text), forms[form].format, host, application, domain);
#pragma GCC diagnostic pop
    out->subject.uid = UID_FIRST + application;
    out->allowed = forms[form].allowed;
    return aw_name_parse(text, (size_t)length, &out->name);
}

static aw_result
make_questions(const struct options *o, struct question **out)
{
    uint64_t state = 1;

    *out = calloc(REQUESTS, sizeof(**out));
    if (*out == NULL)
        return aw_fail_memory();
    for (int i = 0; i < REQUESTS; i++)
        AW_TRY(make_question(o, &state, &(*out)[i]));
    return AW_OK;
}

/* Nanoseconds a decision, over the first `count` questions, for some time. */
static aw_result
decide(const struct measure *m, int count, double seconds, double *out)
{
    uint64_t start = bench_now();
    uint64_t now = start;
    uint64_t decisions = 0;

    while (now - start < (uint64_t)(seconds * 1e9)) {
        for (int i = 0; i < REQUESTS; i++) {
            const struct question *q = &m->questions[i % count];
            const struct policy_request asked = {
                .operation = POLICY_ORDER, .names = &q->name, .name_count = 1};
            struct policy_verdict verdict;
            policy_decide(m->snapshot, &q->subject, &asked, NOW, &verdict);
            if (verdict.allowed != q->allowed)
                return aw_fail(AW_CODE_INTERNAL, "%s is %s by %s", q->name.text,
                    verdict.allowed ? "allowed" : "refused", policy_rule_tag(verdict.rule));
        }
        decisions += REQUESTS;
        now = bench_now();
    }
    *out = (double)(now - start) / (double)decisions;
    return AW_OK;
}

static void
release(struct measure *m)
{
    policy_release(&m->snapshot);
    free(m->questions);
}

static aw_result
command_measure(const struct options *o)
{
    AW_CLEANUP(release) struct measure m = {0};
    struct policy_counts counts;
    double warm = 0;
    double wide = 0;

    AW_TRY(load(o, &m));
    AW_TRY(make_questions(o, &m.questions));
    AW_TRY(decide(&m, REQUESTS_WARM, o->seconds, &warm));
    AW_TRY(decide(&m, REQUESTS, o->seconds, &wide));
    policy_count(m.snapshot, &counts);
    printf("{\"applications\":%zu,\"names\":%zu,\"load_seconds\":%.6f,\"memory\":%ld,"
           "\"peak\":%ld,\"warm_ns\":%.2f,\"wide_ns\":%.2f}\n",
        counts.applications, counts.names, m.load_seconds, m.memory, m.peak, warm, wide);
    return AW_OK;
}

static const char usage[] =
    "usage: bench_policy write   --folder F --applications A --names N-OF-EACH [--user U]\n"
    "       bench_policy measure --folder F --applications A --names N-OF-EACH [--seconds S]\n";

static aw_result
parse(int argc, char **argv, struct options *out)
{
    static const struct option names[] = {{"folder", required_argument, NULL, 'f'},
        {"user", required_argument, NULL, 'u'}, {"applications", required_argument, NULL, 'a'},
        {"names", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'f')
            out->folder = optarg;
        else if (option == 'u')
            out->user = optarg;
        else if (option == 'a')
            AW_TRY(bench_number("--applications", optarg, &out->applications));
        else if (option == 'n')
            AW_TRY(bench_number("--names", optarg, &out->names));
        else if (option == 's')
            AW_TRY(bench_number("--seconds", optarg, &out->seconds));
        else
            return aw_fail(AW_CODE_USAGE, "the command line is wrong; %s", usage);
    }
    if (optind + 1 != argc || out->folder == NULL || out->applications < 1 || out->names < 1)
        return aw_fail(AW_CODE_USAGE, "an option or the command is missing; %s", usage);
    out->command = argv[optind];
    return AW_OK;
}

static aw_result
run(int argc, char **argv)
{
    struct options options = {.seconds = 1};

    AW_TRY(parse(argc, argv, &options));
    if (strcmp(options.command, "write") == 0)
        return command_write(&options);
    if (strcmp(options.command, "measure") == 0)
        return command_measure(&options);
    return aw_fail(AW_CODE_USAGE, "unknown command \"%s\"; %s", options.command, usage);
}

int
main(int argc, char **argv)
{
    return aw_ok(run(argc, argv)) ? 0 : bench_failed("bench_policy");
}
