/*
 * Walks faults.txt: rows of files that are no policy, or one to be warned of, with every line that
 * loading must say: "FILE:LINE:COLUMN: MESSAGE", before it "warning " for what is no fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "support.h"

enum { LINES_MAX = 32, LINE_SIZE = 600 };

struct row {
    const char *name;
    size_t name_length;
    char expected[LINES_MAX][LINE_SIZE];
    size_t expected_count;
    char folder[64];
};

/* What loading said, in the form of the rows. */
struct said {
    char lines[LINES_MAX][LINE_SIZE];
    size_t count;
};

static void
take(struct said *said, const char *lead, const struct aw_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        const struct aw_fault *fault = &faults->items[i];
        const char *slash = strrchr(fault->file, '/');

        assert_true(said->count < LINES_MAX);
        snprintf(said->lines[said->count++], LINE_SIZE, "%s%s:%u:%u: %s", lead,
            slash == NULL ? fault->file : slash + 1, fault->line, fault->column, fault->message);
    }
}

static void
load(const struct row *row, struct said *said)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = NULL;
    struct aw_name ceiling = name_of("example.edu");
    struct policy_account accounts[] = {
        {.name = "main", .ceiling = &ceiling, .ceiling_count = 1, .orders_per_day = 1000},
        {.name = "free", .ceiling = &ceiling, .ceiling_count = 1}};
    aw_result r = policy_load(&(struct policy_source){row->folder, accounts, 2, &test_resolver},
        &faults, &warnings, &snapshot);

    /* Faults and a snapshot exclude one another. */
    assert_int_equal(aw_ok(r), faults.total == 0);
    assert_int_equal(aw_ok(r), snapshot != NULL);
    take(said, "", &faults);
    take(said, "warning ", &warnings);
}

/* True when every line is there, in order, and no other. */
static bool
matches(const struct row *row, const struct said *said)
{
    bool ok = row->expected_count == said->count;

    for (size_t i = 0; i < row->expected_count && ok; i++)
        ok = strcmp(row->expected[i], said->lines[i]) == 0;
    return ok;
}

static bool
run_row(const struct row *row)
{
    struct said said = {0};

    load(row, &said);
    folder_remove(row->folder);
    if (matches(row, &said))
        return true;
    fprintf(stderr, "FAILED %.*s\n", (int)row->name_length, row->name);
    for (size_t i = 0; i < row->expected_count; i++)
        fprintf(stderr, "  expected %s\n", row->expected[i]);
    for (size_t i = 0; i < said.count; i++)
        fprintf(stderr, "  found    %s\n", said.lines[i]);
    return false;
}

/* The data file: "=== NAME" begins a row, "+++ FILE" one of its files, "***" its expected lines. */

static bool
begins(const char *line, const char *mark)
{
    return strncmp(line, mark, strlen(mark)) == 0;
}

static const char *
next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    assert_non_null(end);
    return end + 1;
}

static const char *
read_file(struct row *row, const char *line)
{
    char name[64];
    const char *begin = next_line(line), *end = begin;

    assert_int_equal(sscanf(line, "+++ %63s", name), 1);
    while (!begins(end, "+++") && !begins(end, "***"))
        end = next_line(end);
    folder_write(row->folder, name, begin, (size_t)(end - begin));
    return end;
}

static const char *
read_row(struct row *row, const char *line)
{
    assert_true(begins(line, "=== "));
    *row = (struct row){.name = line + 4};
    const char *next = next_line(line);
    row->name_length = (size_t)(next - row->name - 1);
    folder_make(row->folder);
    while (begins(next, "+++"))
        next = read_file(row, next);
    assert_true(begins(next, "***"));
    for (next = next_line(next); *next != '\0' && !begins(next, "==="); next = next_line(next)) {
        assert_true(row->expected_count < LINES_MAX);
        snprintf(row->expected[row->expected_count++], LINE_SIZE, "%.*s",
            (int)(next_line(next) - next - 1), next);
    }
    return next;
}

static void
tells_every_fault_with_its_place(void **state)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size, rows = 0, failed = 0;

    (void)state;
    assert_true(aw_ok(aw_file_read(TEST_SOURCE_DIR "/faults.txt", AW_YAML_MAX_SIZE, &text, &size)));
    for (const char *next = text; *next != '\0'; rows++) {
        struct row row;

        next = read_row(&row, next);
        failed += !run_row(&row);
    }
    print_message("%zu rows\n", rows);
    assert_true(rows >= 50);
    assert_int_equal(failed, 0);
}

/* What the rows can't say: faults of the folder and of the file as such. */

static const char valid[] = "application: a\nowner: a@example.edu\naccount: main\n"
                            "principals:\n  - user: alice\nnames:\n  exact: [a.example.edu]\n";

static void
expect_fault(const char *folder, const char *text)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    policy_snapshot *snapshot = NULL;
    struct aw_name ceiling = name_of("example.edu");
    struct policy_account account = {.name = "main", .ceiling = &ceiling, .ceiling_count = 1};
    aw_result r = policy_load(
        &(struct policy_source){folder, &account, 1, &test_resolver}, &faults, NULL, &snapshot);

    assert_int_equal(r.code, AW_CODE_CONFIG);
    assert_null(snapshot);
    assert_int_equal(faults.count, 1);
    if (strstr(faults.items[0].message, text) == NULL)
        fail_msg("found \"%s\", expected \"%s\"", faults.items[0].message, text);
}

static void
refuses_files_that_others_may_write(void **state)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    char folder[64];

    (void)state;
    folder_make(folder);
    folder_write(folder, "a.yaml", valid, sizeof(valid) - 1);
    assert_true(aw_ok(aw_path_join(folder, "a.yaml", &path)));
    assert_int_equal(chmod(path, 0664), 0);
    expect_fault(folder, "chmod 0644");
    assert_int_equal(chmod(path, 0646), 0);
    expect_fault(folder, "chmod 0644");
    folder_remove(folder);
}

static void
refuses_what_is_no_regular_file(void **state)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    char folder[64];

    (void)state;
    folder_make(folder);
    assert_true(aw_ok(aw_path_join(folder, "a.yaml", &path)));
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_fault(folder, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    expect_fault(folder, "not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_fault(folder, "not a regular file");
    folder_remove(folder);
}

static void
refuses_a_folder_that_is_absent_or_loose(void **state)
{
    struct aw_faults faults = {0};
    policy_snapshot *snapshot = NULL;
    char folder[64];

    (void)state;
    assert_int_equal(
        policy_load(&(struct policy_source){"/nonexistent/policy.d", NULL, 0, &test_resolver},
            &faults, NULL, &snapshot)
            .code,
        AW_CODE_NOT_FOUND);
    folder_make(folder);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(policy_load(&(struct policy_source){folder, NULL, 0, &test_resolver}, &faults,
                         NULL, &snapshot)
                         .code,
        AW_CODE_PERMISSION);
    folder_remove(folder);
    assert_int_equal(faults.total, 0);
    assert_null(snapshot);
}

static void
refuses_accounts_that_make_no_sense(void **state)
{
    struct aw_name names[] = {name_of("*.example.edu"), name_of("example.edu")};
    const struct policy_account accounts[] = {
        {.name = "main", .ceiling = names, .ceiling_count = 2}, {.name = "main"}};
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    policy_snapshot *snapshot = NULL;
    char folder[64];

    (void)state;
    folder_make(folder);
    assert_int_equal(policy_load(&(struct policy_source){folder, accounts, 2, &test_resolver},
                         &faults, NULL, &snapshot)
                         .code,
        AW_CODE_CONFIG);
    assert_int_equal(policy_load(&(struct policy_source){folder, accounts, POLICY_ACCOUNTS_MAX + 1,
                                     &test_resolver},
                         &faults, NULL, &snapshot)
                         .code,
        AW_CODE_LIMIT);
    folder_remove(folder);
    assert_int_equal(faults.count, 2);
    assert_non_null(strstr(faults.items[0].message, "*.example.edu"));
    assert_non_null(strstr(faults.items[1].message, "two accounts"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_every_fault_with_its_place),
        cmocka_unit_test(refuses_files_that_others_may_write),
        cmocka_unit_test(refuses_what_is_no_regular_file),
        cmocka_unit_test(refuses_a_folder_that_is_absent_or_loose),
        cmocka_unit_test(refuses_accounts_that_make_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
