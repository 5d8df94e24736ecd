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

static const char *
kind_of(const struct policy_change *change)
{
    return change->of_account ? "account" : "application";
}

static bool
is_same_subject(const struct policy_change *a, const struct policy_change *b)
{
    return a->of_account == b->of_account && strcmp(a->subject, b->subject) == 0;
}

/* That the subject itself came or went; NULL: it is on both sides. */
static const struct policy_change *
find_whole(const struct policy_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (changes[i].text != NULL && strcmp(changes[i].what, kind_of(changes)) == 0 &&
            strcmp(changes[i].text, changes->subject) == 0)
            return &changes[i];
    return NULL;
}

/* All changes of one subject: the first `count`. */
static void
print_subject(const struct policy_change *changes, size_t count)
{
    const struct policy_change *whole = find_whole(changes, count);

    printf("%s %s%s\n", kind_of(changes), changes->subject,
        whole == NULL                   ? ""
        : whole->effect == POLICY_GAINS ? " (new)"
                                        : " (gone)");
    for (size_t i = 0; i < count; i++)
        if (&changes[i] != whole)
            print_change(&changes[i]);
}

static void
print_changes(const struct policy_changes *changes)
{
    for (size_t first = 0, next; first < changes->count; first = next) {
        for (next = first + 1; next < changes->count; next++)
            if (!is_same_subject(&changes->items[first], &changes->items[next]))
                break;
        print_subject(&changes->items[first], next - first);
    }
    if (changes->count == 0)
        puts("no difference");
}

static aw_result
print_json(const policy_snapshot *const snapshots[2], const struct policy_changes *changes)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

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
    return admin_print_writer(&w);
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
        return admin_policy_load_copy(options->config, path, out);
    return admin_policy_load_copy(path, NULL, out);
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
