/* policy diff: what two policies allow differently, in words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/policy_files.h"
#include "common/io.h"
#include "policy/diff.h"

static void
print_change(const struct policy_change *change)
{
    printf("  %-8s %s", policy_effect_name(change->effect), change->what);
    if (change->text != NULL)
        printf(" %s", change->text);
    if (change->after != NULL)
        printf(": %s", change->after);
    if (change->before != NULL)
        printf("%s(was %s)", change->after == NULL ? ": " : " ", change->before);
    putchar('\n');
}

static void
print_changes(const struct policy_changes *changes)
{
    const struct policy_change *before = NULL;

    for (size_t i = 0; i < changes->count; i++) {
        const struct policy_change *change = &changes->items[i];

        if (before == NULL || before->of_account != change->of_account ||
            strcmp(before->subject, change->subject) != 0)
            printf("%s %s\n", change->of_account ? "account" : "application", change->subject);
        print_change(change);
        before = change;
    }
    if (changes->count == 0)
        puts("no difference");
}

static aw_result
print_json(const policy_snapshot *const snapshots[2], const struct policy_changes *changes)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    aw_json_begin_object(&w);
    aw_json_pair(&w, "digest_before", policy_digest(snapshots[0]));
    aw_json_pair(&w, "digest_after", policy_digest(snapshots[1]));
    aw_json_name(&w, "changes");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < changes->count; i++) {
        const struct policy_change *change = &changes->items[i];

        aw_json_begin_object(&w);
        aw_json_pair(&w, change->of_account ? "account" : "application", change->subject);
        aw_json_pair(&w, "effect", policy_effect_name(change->effect));
        aw_json_pair(&w, "what", change->what);
        aw_json_pair(&w, "text", change->text);
        aw_json_pair(&w, "before", change->before);
        aw_json_pair(&w, "after", change->after);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    puts(text);
    return AW_OK;
}

/* A folder of policies, with the accounts of this signer.yaml, or a signer.yaml of its own. */
static aw_result
load_side(const struct admin_options *options, const char *path, struct admin_policy *out)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return aw_hint(aw_fail_errno(AW_CODE_NOT_FOUND, "can't read %s", path),
            "name a folder of policies, or a signer.yaml");
    if (S_ISDIR(status.st_mode))
        return admin_policy_load_copy(options->config, path, false, out);
    return admin_policy_load_copy(path, NULL, false, out);
}

static aw_result
compare(const struct admin_options *options, const char *const paths[2], bool json,
    struct policy_changes *changes)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy before = {0};
    AW_CLEANUP(admin_policy_free) struct admin_policy after = {0};

    AW_TRY(load_side(options, paths[0], &before));
    AW_TRY(load_side(options, paths[1], &after));
    AW_TRY(policy_diff(before.snapshot, after.snapshot, changes));
    if (json)
        return print_json(
            (const policy_snapshot *const[2]){before.snapshot, after.snapshot}, changes);
    print_changes(changes);
    return AW_OK;
}

aw_result
admin_policy_diff(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(policy_changes_free) struct policy_changes changes = {0};
    const char *paths[2] = {NULL, NULL};
    bool json = options->json;
    const struct admin_option table[] = {{.name = "json", .flag = &json}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), paths, AW_COUNT(paths)));
    AW_TRY(admin_policy_trouble(compare(options, paths, json, &changes)));
    if (changes.count > 0)
        return aw_fail(AW_CODE_MISMATCH, "the policies differ: %zu gains, %zu losses, %zu others",
            changes.counts[POLICY_GAINS], changes.counts[POLICY_LOSES],
            changes.counts[POLICY_CHANGES]);
    return AW_OK;
}
