/* policy test: expectations of a policy, for the CI of its repository. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "admin/policy_files.h"
#include "common/io.h"
#include "policy/expect.h"

enum { FILES_MAX = 1000 };

/* How the expectations came out so far. */
struct tally {
    size_t passed;
    size_t failed;
    bool json;
    struct aw_json_writer w;
};

static void
tally_free(struct tally *tally)
{
    aw_json_writer_free(&tally->w);
}

static void
print_failure(const struct policy_outcome *o)
{
    printf("%s:%u:%u: FAILED %s: %s: expected %s%s%s%s, found %s (%s)\n", o->file, o->line,
        o->column, o->application, o->name, o->expected, o->expected_rule == NULL ? "" : " (",
        o->expected_rule == NULL ? "" : o->expected_rule, o->expected_rule == NULL ? "" : ")",
        o->found, o->found_rule);
    if (o->reason != NULL)
        printf("    %s\n", o->reason);
}

static void
write_outcome(struct aw_json_writer *w, const struct policy_outcome *o)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "file", o->file);
    aw_json_pair_integer(w, "line", o->line);
    aw_json_pair_integer(w, "column", o->column);
    aw_json_pair(w, "name", o->name);
    aw_json_pair(w, "application", o->application);
    aw_json_pair_bool(w, "passed", o->passed);
    aw_json_pair(w, "expected", o->expected);
    aw_json_pair(w, "expected_rule", o->expected_rule);
    aw_json_pair(w, "found", o->found);
    aw_json_pair(w, "found_rule", o->found_rule);
    aw_json_pair(w, "reason", o->reason);
    aw_json_end_object(w);
}

static void
take(const struct policy_outcome *outcome, void *context)
{
    struct tally *tally = context;

    tally->passed += outcome->passed;
    tally->failed += !outcome->passed;
    if (tally->json)
        write_outcome(&tally->w, outcome);
    else if (!outcome->passed)
        print_failure(outcome);
}

static aw_result
run_file(const struct admin_policy *policy, const char *path, struct tally *tally)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = policy_expect(policy->snapshot, path, (int64_t)time(NULL), &faults,
        &(struct policy_expect_to){take, tally});

    return admin_policy_faults(r, &faults);
}

static aw_result
print_tally(struct tally *tally)
{
    if (!tally->json) {
        printf("%zu passed, %zu failed\n", tally->passed, tally->failed);
        return AW_OK;
    }
    aw_json_end_array(&tally->w);
    aw_json_pair_integer(&tally->w, "passed", (int64_t)tally->passed);
    aw_json_pair_integer(&tally->w, "failed", (int64_t)tally->failed);
    aw_json_end_object(&tally->w);
    return admin_print_writer(&tally->w);
}

static aw_result
run_files(const struct admin_options *options, const char *folder, const char *const *files,
    size_t count, struct tally *tally)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy policy = {0};

    AW_TRY(admin_policy_load_copy(options->config, folder, &policy));
    admin_policy_warn(&policy);
    if (tally->json) {
        aw_json_begin_object(&tally->w);
        aw_json_pair(&tally->w, "policy_digest", policy_digest(policy.snapshot));
        aw_json_name(&tally->w, "expectations");
        aw_json_begin_array(&tally->w);
    }
    for (size_t i = 0; i < count; i++)
        AW_TRY(run_file(&policy, files[i], tally));
    return print_tally(tally);
}

aw_result
admin_policy_test(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(tally_free) struct tally tally = {.json = options->json};
    const char *folder = NULL, *files[FILES_MAX];
    size_t count = 0;
    const struct admin_option table[] = {
        {.name = "policies", .value = &folder}, {.name = "json", .flag = &tally.json}};
    struct admin_words words = {files, &count, FILES_MAX};

    AW_TRY(admin_parse_words(argc, argv, table, AW_COUNT(table), &words));
    if (count == 0)
        return aw_fail(AW_CODE_USAGE, "policy test needs files of expectations");
    AW_TRY(admin_policy_trouble(run_files(options, folder, files, count, &tally)));
    if (tally.failed > 0)
        return aw_fail(AW_CODE_MISMATCH, "%zu of %zu expectations are not met", tally.failed,
            tally.passed + tally.failed);
    return AW_OK;
}
