/* A folder of files to a snapshot. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "policy/entry.h"

/* Policies decide who gets certificates: nobody but root and the signer's user may write them. */
enum { FORBIDDEN_MODE = 0022 };

/* Names of the folder's files, sorted, so that faults come in the same order everywhere. */
struct listing {
    struct dirent **entries;
    int count;
};

static void
free_listing(struct listing *listing)
{
    /* -1 entries when the folder could not be read. */
    for (int i = 0; i < listing->count; i++)
        free(listing->entries[i]);
    free(listing->entries);
}

static bool
ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), wanted = strlen(end);

    return length > wanted && strcmp(text + length - wanted, end) == 0;
}

static int
is_candidate(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".yml"));
}

static int
by_octets(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool
check_path(const struct checker *checker, const char *path)
{
    struct aw_faults *faults = checker->draft->faults;
    struct stat st;

    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        aw_faults_add(faults, path, 0, 0, "is not a regular file, expected one");
        return false;
    }
    if (checker->working_copy || aw_ok(aw_path_check(path, geteuid(), FORBIDDEN_MODE)))
        return true;
    aw_faults_add(faults, path, 0, 0, "%s; %s", aw_error_last()->message, aw_error_last()->hint);
    return false;
}

static aw_result
take_document(const struct checker *checker, const aw_yaml *yaml)
{
    AW_CLEANUP(policy_file_release) struct policy_file file = {0};

    policy_file_read(aw_yaml_root(yaml), &file, checker->draft->faults);
    return policy_entry_add(checker, &file);
}

static aw_result
load_file(const struct checker *checker, const char *path)
{
    struct draft *draft = checker->draft;
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;

    if (!check_path(checker, path) || !aw_ok(aw_yaml_load(path, draft->faults, &yaml))) {
        draft->incomplete = true;
        return AW_OK;
    }
    return take_document(checker, yaml);
}

static aw_result
load_addition(const struct checker *checker, const struct policy_addition *addition)
{
    struct draft *draft = checker->draft;
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;

    if (aw_ok(aw_yaml_parse(addition->path, addition->text, addition->size, draft->faults, &yaml)))
        return take_document(checker, yaml);
    draft->incomplete = true;
    return AW_OK;
}

static aw_result
load_entry(const struct checker *checker, const char *folder, const char *name)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_path_join(folder, name, &path));
    if (ends_with(name, ".yaml"))
        return load_file(checker, path);
    if (checker->draft->warnings != NULL)
        aw_faults_add(
            checker->draft->warnings, path, 0, 0, "is not read: files of policies end in .yaml");
    return AW_OK;
}

static aw_result
load_folder(const struct checker *checker, const char *folder)
{
    AW_CLEANUP(free_listing) struct listing listing = {0};

    if (!checker->working_copy)
        AW_TRY(aw_path_check(folder, geteuid(), FORBIDDEN_MODE));
    listing.count = scandir(folder, &listing.entries, is_candidate, by_octets);
    if (listing.count < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "can't read the folder of policies %s", folder),
            checker->working_copy ? "name the folder that holds the files of policies"
                                  : "make it readable for the signer's user, or name another "
                                    "under paths.policies in signer.yaml");
    for (int i = 0; i < listing.count; i++)
        AW_TRY(load_entry(checker, folder, listing.entries[i]->d_name));
    return AW_OK;
}

static void
free_suffixes(psl_ctx_t **suffixes)
{
    psl_free(*suffixes);
}

/* How a folder is read, and what besides. */
struct reading {
    const struct policy_source *source;
    const struct policy_addition *addition; /* NULL: nothing */
    bool working_copy;
};

static aw_result
load_all(struct draft *draft, const struct reading *reading)
{
    AW_CLEANUP(free_suffixes) psl_ctx_t *suffixes = psl_latest(NULL);
    struct checker checker = {draft, suffixes, reading->source->resolver, reading->working_copy};

    if (suffixes == NULL)
        return aw_hint(aw_fail(AW_CODE_UNSUPPORTED, "there is no public suffix list"),
            "install the package publicsuffix");
    AW_TRY(load_folder(&checker, reading->source->folder));
    if (reading->addition != NULL)
        AW_TRY(load_addition(&checker, reading->addition));
    return policy_compile(draft);
}

static aw_result
load(const struct reading *reading, struct aw_faults *faults, struct aw_faults *warnings,
    policy_snapshot **out)
{
    AW_CLEANUP(policy_draft_release)
    struct draft draft = {
        .snapshot = policy_snapshot_new(), .faults = faults, .warnings = warnings};
    const struct policy_source *source = reading->source;
    size_t before = faults->total;

    if (draft.snapshot == NULL)
        return aw_fail_memory();
    AW_TRY(policy_index_open(&draft.snapshot->index));
    AW_TRY(policy_draft_accounts(&draft, source->accounts, source->account_count));
    AW_TRY(load_all(&draft, reading));
    if (faults->total > before)
        return aw_faults_result(faults);
    if (warnings != NULL)
        policy_warn_overlaps(&draft);
    *out = AW_MOVE(draft.snapshot);
    return AW_OK;
}

aw_result
policy_load(const struct policy_source *source, struct aw_faults *faults,
    struct aw_faults *warnings, policy_snapshot **out)
{
    return load(&(struct reading){source, NULL, false}, faults, warnings, out);
}

aw_result
policy_load_working_copy(const struct policy_source *source, struct aw_faults *faults,
    struct aw_faults *warnings, policy_snapshot **out)
{
    return load(&(struct reading){source, NULL, true}, faults, warnings, out);
}

aw_result
policy_load_addition(const struct policy_source *source, const struct policy_addition *addition,
    struct aw_faults *faults, struct aw_faults *warnings, policy_snapshot **out)
{
    return load(&(struct reading){source, addition, addition->working_copy}, faults, warnings, out);
}
