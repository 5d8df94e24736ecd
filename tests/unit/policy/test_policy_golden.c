/*
 * Walks golden/: each folder holds a policy (policy.d) and rows.yaml: {name, subject, request,
 * verdict, rule}. A row whose names are no identifiers at all has the verdict "syntax". Every row
 * is decided and every deviation printed before the test fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "support.h"

enum { ACCOUNTS_MAX = 8, CEILING_MAX = 16, GROUPS_MAX = 8 };

/* 2026-11-24: the day of every row that names no other. */
#define DEFAULT_DAY 1795478400

static const char *const operation_names[] = {"order", "revoke", NULL};
static const char *const key_names[] = {
#define KEY_NAME(name, text) text,
    POLICY_KEYS(KEY_NAME)
#undef KEY_NAME
        NULL};

struct row {
    char *name;
    char *user;
    int64_t uid;
    struct aw_yaml_strings groups;
    char *application;
    int operation;
    struct aw_yaml_strings names;
    int key;
    char *profile;
    bool validity;
    int64_t on;
    char *verdict;
    char *rule;
    char *refused; /* the name of the verdict */
    char *matched;
    char *other;
    char *of; /* the application of the verdict */
};

#define AT(field) offsetof(struct row, field)
static const struct aw_yaml_field row_fields[] = {
    {.name = "name", .kind = AW_YAML_STRING, .offset = AT(name), .required = true},
    {.name = "user", .kind = AW_YAML_STRING, .offset = AT(user)},
    {.name = "uid", .kind = AW_YAML_INTEGER, .offset = AT(uid), .min = 0, .max = UINT32_MAX},
    {.name = "groups", .kind = AW_YAML_STRINGS, .offset = AT(groups)},
    {.name = "application", .kind = AW_YAML_STRING, .offset = AT(application)},
    {.name = "operation",
        .kind = AW_YAML_ENUM,
        .offset = AT(operation),
        .choices = operation_names},
    {.name = "names", .kind = AW_YAML_STRINGS, .offset = AT(names)},
    {.name = "key", .kind = AW_YAML_ENUM, .offset = AT(key), .choices = key_names},
    {.name = "profile", .kind = AW_YAML_STRING, .offset = AT(profile)},
    {.name = "validity", .kind = AW_YAML_BOOL, .offset = AT(validity)},
    {.name = "on", .kind = AW_YAML_DATE, .offset = AT(on)},
    {.name = "verdict", .kind = AW_YAML_STRING, .offset = AT(verdict), .required = true},
    {.name = "rule", .kind = AW_YAML_STRING, .offset = AT(rule)},
    {.name = "refused", .kind = AW_YAML_STRING, .offset = AT(refused)},
    {.name = "matched", .kind = AW_YAML_STRING, .offset = AT(matched)},
    {.name = "other", .kind = AW_YAML_STRING, .offset = AT(other)},
    {.name = "of", .kind = AW_YAML_STRING, .offset = AT(of)},
    {.name = NULL},
};
#undef AT

struct account_row {
    char *name;
    struct aw_yaml_strings ceiling;
    struct aw_yaml_strings networks;
};

#define AT(field) offsetof(struct account_row, field)
static const struct aw_yaml_field account_fields[] = {
    {.name = "name", .kind = AW_YAML_STRING, .offset = AT(name), .required = true},
    {.name = "ceiling", .kind = AW_YAML_STRINGS, .offset = AT(ceiling), .required = true},
    {.name = "networks", .kind = AW_YAML_STRINGS, .offset = AT(networks)},
    {.name = NULL},
};
#undef AT

struct document {
    struct aw_yaml_items accounts;
    struct aw_yaml_items rows;
};

#define AT(field) offsetof(struct document, field)
static const struct aw_yaml_field document_fields[] = {
    {.name = "accounts", .kind = AW_YAML_LIST, .offset = AT(accounts), .required = true},
    {.name = "rows", .kind = AW_YAML_LIST, .offset = AT(rows), .required = true},
    {.name = NULL},
};
#undef AT

/* One folder of golden/. */
struct golden {
    const char *folder;
    policy_snapshot *snapshot;
    size_t rows;
    size_t failed;
};

/* Reading. */

static void
check_faults(const struct aw_faults *faults)
{
    if (faults->total == 0)
        return;
    aw_faults_print(faults, stderr);
    fail_msg("a file of rows has faults");
}

static void
read_accounts(const struct document *document, const char *folder, struct golden *golden)
{
    struct aw_name ceilings[ACCOUNTS_MAX][CEILING_MAX];
    struct policy_network networks[ACCOUNTS_MAX][CEILING_MAX];
    struct policy_account accounts[ACCOUNTS_MAX] = {0};
    struct account_row rows[ACCOUNTS_MAX] = {0};
    struct aw_faults faults = {0};

    assert_true(document->accounts.count <= ACCOUNTS_MAX);
    for (size_t i = 0; i < document->accounts.count; i++) {
        aw_yaml_read_mapping(document->accounts.items[i], account_fields, &rows[i], &faults);
        check_faults(&faults);
        for (size_t j = 0; j < rows[i].ceiling.count; j++)
            ceilings[i][j] = name_of(rows[i].ceiling.items[j].text);
        for (size_t j = 0; j < rows[i].networks.count; j++)
            networks[i][j] = network_of(rows[i].networks.items[j].text);
        accounts[i] = (struct policy_account){.name = rows[i].name,
            .ceiling = ceilings[i],
            .ceiling_count = rows[i].ceiling.count,
            .networks = networks[i],
            .network_count = rows[i].networks.count};
    }
    golden->snapshot = load_folder(folder, accounts, document->accounts.count);
    for (size_t i = 0; i < document->accounts.count; i++)
        aw_yaml_release(account_fields, &rows[i]);
}

/* Files of a working copy may have any mode: what is loaded is a copy. */
static void
copy_policies(const char *from, const char *to)
{
    DIR *entries = opendir(from);
    struct dirent *entry;

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        AW_CLEANUP(aw_free) char *path = NULL;
        AW_CLEANUP(aw_free) char *text = NULL;
        size_t size;

        if (entry->d_name[0] == '.')
            continue;
        assert_true(aw_ok(aw_path_join(from, entry->d_name, &path)));
        assert_true(aw_ok(aw_file_read(path, AW_YAML_MAX_SIZE, &text, &size)));
        folder_write(to, entry->d_name, text, size);
    }
    closedir(entries);
}

/* Rows. */

/* False when one of the names is no identifier. */
static bool
parse_names(const struct row *row, struct aw_name *names)
{
    for (size_t i = 0; i < row->names.count; i++) {
        const char *text = row->names.items[i].text;

        if (!aw_ok(aw_name_parse(text, strlen(text), &names[i])) &&
            !aw_ok(aw_name_parse_address(text, strlen(text), &names[i])))
            return false;
    }
    return true;
}

static const char *
verdict_text(const struct policy_verdict *verdict)
{
    if (!verdict->allowed)
        return verdict->warned ? "refused and warned" : "refused";
    return verdict->warned ? "warned" : "allowed";
}

static bool
same(const char *row, const char *what, const char *expected, const char *found)
{
    if (expected == NULL || (found != NULL && strcmp(expected, found) == 0))
        return true;
    fprintf(stderr, "FAILED %s: %s is %s, expected %s\n", row, what, found == NULL ? "none" : found,
        expected);
    return false;
}

static bool
compare(const struct row *row, const struct policy_verdict *v)
{
    bool ok = same(row->name, "verdict", row->verdict, verdict_text(v));

    ok &= same(row->name, "rule", row->rule, policy_rule_tag(v->rule));
    ok &= same(row->name, "name", row->refused, v->name == NULL ? NULL : v->name->text);
    ok &= same(row->name, "matched", row->matched, v->matched);
    ok &= same(row->name, "other", row->other, v->other);
    ok &= same(
        row->name, "application", row->of, v->application == NULL ? NULL : v->application->name);
    return ok;
}

/* Whatever the verdict, its words can be had, and an explanation names the same rule. */
static bool
check_words(const struct golden *golden, const struct row *row,
    const struct policy_request *request, const struct policy_verdict *v)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    AW_CLEANUP(aw_free) char *path = NULL;

    if (!aw_ok(policy_refusal_text(v, request, &line)) ||
        strstr(line, policy_rule_tag(v->rule)) == NULL || strchr(line, '\n') != NULL)
        return same(row->name, "refusal text", "one line with the rule", line);
    if (v->application == NULL)
        return true;
    if (!aw_ok(policy_explain(golden->snapshot, v->application, request, row->on, &path)) ||
        strstr(path, policy_rule_tag(v->rule)) == NULL)
        return same(row->name, "explanation", "lines with the rule", path);
    return true;
}

static bool
run_row(const struct golden *golden, const struct row *row)
{
    struct aw_name names[POLICY_REQUEST_NAMES_MAX + 8];
    gid_t groups[GROUPS_MAX];
    struct policy_verdict verdict;

    assert_true(row->names.count <= AW_COUNT(names) && row->groups.count <= GROUPS_MAX);
    if (!parse_names(row, names))
        return same(row->name, "verdict", row->verdict, "syntax");
    for (size_t i = 0; i < row->groups.count; i++)
        groups[i] = test_gid(row->groups.items[i].text);
    struct policy_subject subject = {
        row->user == NULL ? (uid_t)row->uid : test_uid(row->user), groups, row->groups.count};
    struct policy_request request = {.operation = (enum policy_operation)row->operation,
        .application = row->application,
        .names = names,
        .name_count = row->names.count,
        .has_key = row->key >= 0,
        .key = (enum policy_key)row->key,
        .profile = row->profile,
        .has_validity = row->validity};
    policy_decide(golden->snapshot, &subject, &request, row->on, &verdict);
    return compare(row, &verdict) && check_words(golden, row, &request, &verdict);
}

static void
run_item(struct golden *golden, aw_yaml_node item)
{
    struct row row = {.key = -1, .on = DEFAULT_DAY};
    struct aw_faults faults = {0};

    aw_yaml_read_mapping(item, row_fields, &row, &faults);
    check_faults(&faults);
    golden->rows++;
    if (!run_row(golden, &row)) {
        fprintf(stderr, "       in %s/rows.yaml, line %u\n", golden->folder, item.line);
        golden->failed++;
    }
    aw_yaml_release(row_fields, &row);
}

static void
run_folder(struct golden *golden)
{
    AW_CLEANUP(aw_free) char *rows = NULL;
    AW_CLEANUP(aw_free) char *policies = NULL;
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    struct document document = {0};
    struct aw_faults faults = {0};
    char copy[64];

    assert_true(aw_ok(aw_path_join(golden->folder, "rows.yaml", &rows)));
    assert_true(aw_ok(aw_path_join(golden->folder, "policy.d", &policies)));
    if (!aw_ok(aw_yaml_load(rows, &faults, &yaml)))
        check_faults(&faults);
    aw_yaml_read_mapping(aw_yaml_root(yaml), document_fields, &document, &faults);
    check_faults(&faults);
    folder_make(copy);
    copy_policies(policies, copy);
    read_accounts(&document, copy, golden);
    folder_remove(copy);
    for (size_t i = 0; i < document.rows.count; i++)
        run_item(golden, document.rows.items[i]);
    aw_yaml_release(document_fields, &document);
    policy_release(&golden->snapshot);
}

static void
decides_golden_rows(void **state)
{
    DIR *entries = opendir(TEST_SOURCE_DIR "/golden");
    struct dirent *entry;
    size_t rows = 0, failed = 0;

    (void)state;
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        AW_CLEANUP(aw_free) char *folder = NULL;

        if (entry->d_name[0] == '.')
            continue;
        assert_true(aw_ok(aw_path_join(TEST_SOURCE_DIR "/golden", entry->d_name, &folder)));
        struct golden golden = {.folder = folder};
        run_folder(&golden);
        rows += golden.rows;
        failed += golden.failed;
    }
    closedir(entries);
    print_message("%zu rows\n", rows);
    /* Rows that are not found must not pass for rows that hold. */
    assert_true(rows >= 120);
    assert_int_equal(failed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(decides_golden_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
