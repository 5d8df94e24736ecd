/*
 * Walks diff.txt: "=== NAME" begins a row; "--- FILE NAMES | KEY | ..." is a file before, "+++" one
 * after; then, behind "***", every change that must be told: subject, effect, what, text, after,
 * before in parentheses. A file is of the application "app", other.yaml of "other".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "policy/diff.h"
#include "support.h"

enum { LINES_MAX = 32, LINE_SIZE = 400, FILE_MAX = 1024 };

struct row {
    char name[LINE_SIZE];
    char folders[2][64];
    char expected[LINES_MAX][LINE_SIZE];
    size_t count;
};

static const struct {
    const char *key;
    const char *usual;
} required[] = {{"owner:", "owner: o@example.edu"}, {"account:", "account: main"},
    {"principals:", "principals: [{uid: 1}]"}};

/* "a.yaml exact: [...] | key: value" becomes a file; what a file needs is put in. */
static void
write_file(const char *folder, const char *line)
{
    char text[FILE_MAX], file[32];
    int used = 0;
    const char *names = strchr(line, ' ') + 1, *more = strstr(names, " | ");
    int length = more == NULL ? (int)strlen(names) : (int)(more - names);

    assert_int_equal(sscanf(line, "%31s", file), 1);
    used += snprintf(text + used, sizeof(text) - (size_t)used, "application: %s\nnames: %s%.*s%s\n",
        strcmp(file, "other.yaml") == 0 ? "other" : "app", names[0] == '{' ? "" : "{", length,
        names, names[0] == '{' ? "" : "}");
    for (size_t i = 0; i < AW_COUNT(required); i++)
        if (more == NULL || strstr(more, required[i].key) == NULL)
            used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\n", required[i].usual);
    for (; more != NULL; more = strstr(more + 3, " | ")) {
        const char *end = strstr(more + 3, " | ");

        length = end == NULL ? (int)strlen(more + 3) : (int)(end - more - 3);
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%.*s\n", length, more + 3);
    }
    assert_true((size_t)used < sizeof(text));
    folder_write(folder, file, text, (size_t)used);
}

static policy_snapshot *
load_side(const char *folder)
{
    struct aw_name ceilings[2] = {name_of("example.edu"), name_of("lab.example.edu")};
    struct policy_network network = network_of("192.0.2.0/24");
    struct policy_account accounts[] = {{.name = "main",
                                            .ceiling = &ceilings[0],
                                            .ceiling_count = 1,
                                            .networks = &network,
                                            .network_count = 1},
        {.name = "lab", .ceiling = &ceilings[1], .ceiling_count = 1}};
    policy_snapshot *snapshot = load_folder(folder, accounts, AW_COUNT(accounts));

    folder_remove(folder);
    return snapshot;
}

static const char *
or_dash(const char *text)
{
    return text == NULL ? "-" : text;
}

static void
tell_change(const struct policy_change *c, char out[LINE_SIZE])
{
    snprintf(out, LINE_SIZE, "%s %s %s%s%s: %s (%s)", c->subject, policy_effect_name(c->effect),
        c->what, c->text == NULL ? "" : " ", c->text == NULL ? "" : c->text, or_dash(c->after),
        or_dash(c->before));
}

static bool
matches(const struct row *row, const struct policy_changes *changes)
{
    bool ok = changes->count == row->count;
    char line[LINE_SIZE];

    for (size_t i = 0; i < changes->count && ok; i++) {
        tell_change(&changes->items[i], line);
        ok = strcmp(line, row->expected[i]) == 0;
    }
    if (ok)
        return true;
    fprintf(stderr, "FAILED %s\n", row->name);
    for (size_t i = 0; i < row->count; i++)
        fprintf(stderr, "  expected %s\n", row->expected[i]);
    for (size_t i = 0; i < changes->count; i++) {
        tell_change(&changes->items[i], line);
        fprintf(stderr, "  found    %s\n", line);
    }
    return false;
}

static bool
run_row(const struct row *row)
{
    AW_CLEANUP(policy_changes_free) struct policy_changes changes = {0};
    AW_CLEANUP(policy_release) policy_snapshot *before = load_side(row->folders[0]);
    AW_CLEANUP(policy_release) policy_snapshot *after = load_side(row->folders[1]);

    assert_true(aw_ok(policy_diff(before, after, &changes)));
    return matches(row, &changes);
}

static void
begin_row(struct row *row, const char *name)
{
    *row = (struct row){0};
    snprintf(row->name, sizeof(row->name), "%s", name);
    folder_make(row->folders[0]);
    folder_make(row->folders[1]);
}

static void
tells_who_gains_and_who_loses(void **state)
{
    static struct row row;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size, rows = 0, failed = 0;
    char *save = NULL;

    (void)state;
    assert_true(aw_ok(aw_file_read(TEST_SOURCE_DIR "/diff.txt", AW_YAML_MAX_SIZE, &text, &size)));
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "=== ", 4) == 0) {
            failed += rows++ > 0 && !run_row(&row);
            begin_row(&row, line + 4);
        } else if (strncmp(line, "--- ", 4) == 0 || strncmp(line, "+++ ", 4) == 0)
            write_file(row.folders[line[0] == '+'], line + 4);
        else if (strcmp(line, "***") != 0) {
            assert_true(row.count < LINES_MAX);
            snprintf(row.expected[row.count++], LINE_SIZE, "%s", line);
        }
    }
    failed += !run_row(&row);
    print_message("%zu rows\n", rows);
    assert_true(rows >= 15);
    assert_int_equal(failed, 0);
}

/* Accounts: the same files under other accounts. */

static policy_snapshot *
load_under(const char *const ceilings[2], int64_t orders_per_day, const char *second)
{
    static const char file[] = "application: app\nowner: o@example.edu\naccount: main\n"
                               "principals: [{uid: 1}]\nnames: {subdomains_of: [example.edu]}\n";
    struct aw_name names[2] = {name_of(ceilings[0]), name_of(ceilings[1])};
    struct policy_account accounts[] = {
        {.name = "main", .ceiling = names, .ceiling_count = 2, .orders_per_day = orders_per_day},
        {.name = second}};
    char folder[64];

    folder_make(folder);
    folder_write(folder, "a.yaml", file, sizeof(file) - 1);
    policy_snapshot *snapshot = load_folder(folder, accounts, second == NULL ? 1 : 2);
    folder_remove(folder);
    return snapshot;
}

static void
tells_what_an_account_gains(void **state)
{
    static const char *const expected[] = {"main gains ceiling b.example.edu: - (-)",
        "main loses ceiling a.example.edu: - (-)", "main loses orders_per_day: 100 (no limit)",
        "old loses account old: - (-)",
        "app gains name b.example.edu: names.subdomains_of \"example.edu\" (account.ceiling)",
        "app gains names below b.example.edu: names.subdomains_of \"example.edu\" "
        "(account.ceiling)",
        "app loses name a.example.edu: account.ceiling (names.subdomains_of \"example.edu\")",
        "app loses names below a.example.edu: account.ceiling (names.subdomains_of "
        "\"example.edu\")"};
    AW_CLEANUP(policy_changes_free) struct policy_changes changes = {0};
    AW_CLEANUP(policy_release)
    policy_snapshot *before =
        load_under((const char *const[]){"a.example.edu", "c.example.edu"}, 0, "old");
    AW_CLEANUP(policy_release)
    policy_snapshot *after =
        load_under((const char *const[]){"b.example.edu", "c.example.edu"}, 100, NULL);
    char line[LINE_SIZE];

    (void)state;
    assert_true(aw_ok(policy_diff(before, after, &changes)));
    for (size_t i = 0; i < changes.count && i < AW_COUNT(expected); i++) {
        tell_change(&changes.items[i], line);
        assert_string_equal(line, expected[i]);
        assert_int_equal(changes.items[i].of_account, i < 4);
    }
    assert_int_equal(changes.count, AW_COUNT(expected));
    assert_int_equal(changes.counts[POLICY_GAINS], 3);
    assert_int_equal(changes.counts[POLICY_LOSES], 5);
    assert_int_equal(changes.counts[POLICY_CHANGES], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_who_gains_and_who_loses),
        cmocka_unit_test(tells_what_an_account_gains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
