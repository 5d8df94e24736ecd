/* Attack 101 and its kin: damage planted in a real log is found, and the place is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "support.h"

enum { RECORDS = 8, LINES_MAX = 16 };

/* A log as lines, each a part of the file (with its newline); a planter moves and changes them. */
struct text {
    char *lines[LINES_MAX];
    size_t sizes[LINES_MAX];
    int count;
};

static void
split(struct text *text, const char *bytes, size_t size)
{
    *text = (struct text){0};
    while (size > 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t length = newline == NULL ? size : (size_t)(newline - bytes) + 1;
        text->lines[text->count] = malloc(AUDIT_RECORD_MAX * 2);
        memcpy(text->lines[text->count], bytes, length);
        text->sizes[text->count++] = length;
        bytes += length;
        size -= length;
    }
}

static void
store(const struct scene *scene, const struct text *text)
{
    static char bytes[LINES_MAX * 2 * AUDIT_RECORD_MAX];
    size_t size = 0;

    for (int i = 0; i < text->count; i++) {
        memcpy(bytes + size, text->lines[i], text->sizes[i]);
        size += text->sizes[i];
    }
    scene_store(scene, bytes, size);
}

static void
release(struct text *text)
{
    for (int i = 0; i < text->count; i++)
        free(text->lines[i]);
}

/* Replaces `from` by `to` in a line (from 1). */
static void
edit(struct text *text, int line, const char *from, const char *to)
{
    char *bytes = text->lines[line - 1];
    size_t size = text->sizes[line - 1];
    char *at = memmem(bytes, size, from, strlen(from));

    assert_non_null(at);
    size_t behind = size - (size_t)(at - bytes) - strlen(from);
    memmove(at + strlen(to), at + strlen(from), behind);
    memcpy(at, to, strlen(to));
    text->sizes[line - 1] = size - strlen(from) + strlen(to);
}

static void
take_out(struct text *text, int line)
{
    free(text->lines[line - 1]);
    text->count--;
    for (int i = line - 1; i < text->count; i++) {
        text->lines[i] = text->lines[i + 1];
        text->sizes[i] = text->sizes[i + 1];
    }
}

/* Puts a copy of line `source` before line `line`. */
static void
put_in(struct text *text, int line, int source)
{
    char *copy = malloc(AUDIT_RECORD_MAX * 2);
    size_t size = text->sizes[source - 1];

    memcpy(copy, text->lines[source - 1], size);
    for (int i = text->count; i >= line; i--) {
        text->lines[i] = text->lines[i - 1];
        text->sizes[i] = text->sizes[i - 1];
    }
    text->lines[line - 1] = copy;
    text->sizes[line - 1] = size;
    text->count++;
}

static void
change_name(struct text *text)
{
    edit(text, 4, "api.dept", "apx.dept");
}

static void
change_verdict(struct text *text)
{
    edit(text, 2, "permit", "refuse");
}

static void
change_seq(struct text *text)
{
    edit(text, 4, "\"seq\":4", "\"seq\":9");
}

static void
change_first_prev(struct text *text)
{
    edit(text, 1, "\"prev\":\"0", "\"prev\":\"1");
}

static void
change_prev(struct text *text)
{
    edit(text, 5, "\"prev\":\"", "\"prev\":\"0123");
}

static void
change_space(struct text *text)
{
    edit(text, 3, "{\"seq\"", "{ \"seq\"");
}

static void
put_nul(struct text *text)
{
    memset(text->lines[4] + 30, 0, 3);
}

static void
zero_line(struct text *text)
{
    memset(text->lines[4], 0, text->sizes[4] - 1);
}

static void
put_bad_utf8(struct text *text)
{
    edit(text, 6, "dept_myapp1", "dept_\xff\xfeyapp1");
}

static void
put_control(struct text *text)
{
    edit(text, 6, "dept_myapp1", "dept_\x1b[2J");
}

static void
put_carriage_return(struct text *text)
{
    edit(text, 6, "}\n", "}\r\n");
}

static void
put_long_line(struct text *text)
{
    memset(text->lines[6], ' ', AUDIT_RECORD_MAX + 100);
    text->lines[6][AUDIT_RECORD_MAX + 99] = '\n';
    text->sizes[6] = AUDIT_RECORD_MAX + 100;
}

static void
put_long_tail(struct text *text)
{
    memset(text->lines[7], 'x', AUDIT_RECORD_MAX + 100);
    text->sizes[7] = AUDIT_RECORD_MAX + 100;
}

static void
put_empty_line(struct text *text)
{
    put_in(text, 3, 1);
    text->lines[2][0] = '\n';
    text->sizes[2] = 1;
}

static void
join_lines(struct text *text)
{
    edit(text, 3, "}\n", "}");
}

static void
duplicate_member(struct text *text)
{
    edit(text, 3, "\"verdict\":\"permit\"", "\"verdict\":\"refuse\",\"verdict\":\"permit\"");
}

static void
remove_middle(struct text *text)
{
    take_out(text, 4);
    take_out(text, 4);
}

static void
remove_first(struct text *text)
{
    take_out(text, 1);
}

static void
reorder_neighbours(struct text *text)
{
    put_in(text, 4, 5);
    take_out(text, 6);
}

static void
move_to_end(struct text *text)
{
    put_in(text, 9, 2);
    take_out(text, 2);
}

static void
duplicate_next(struct text *text)
{
    put_in(text, 4, 3);
}

static void
duplicate_far(struct text *text)
{
    put_in(text, 9, 2);
}

/* A well-made forgery: right number, right digest of the line before. */
static void
insert_forged(struct text *text)
{
    put_in(text, 5, 5);
    edit(text, 5, "dept_myapp1", "dept_other1");
}

static void
time_back(struct text *text)
{
    edit(text, 8, "\"time\":\"2026", "\"time\":\"2025");
}

static const struct row {
    const char *name;
    void (*plant)(struct text *text);
    const char *reason;
} rows[] = {
    {"changed: a name", change_name, "record 4 (line 4) is changed"},
    {"changed: a verdict", change_verdict, "record 2 (line 2) is changed"},
    {"changed: white space", change_space, "record 3 (line 3) is changed"},
    {"changed: a sequence number", change_seq, "line 4 holds record 9, expected 4"},
    {"changed: prev of the first", change_first_prev, "line 1 (record 1) is changed"},
    {"changed: prev too long", change_prev, "line 5 (expected record 5) is changed"},
    {"changed: time set back in the last", time_back, "line 8 (record 8) is changed: its time"},
    {"changed: NUL octets", put_nul, "line 5 (expected record 5) is changed"},
    {"changed: a line of NULs", zero_line, "line 5 (expected record 5) is changed"},
    {"changed: not UTF-8", put_bad_utf8, "line 6 (expected record 6) is changed"},
    {"changed: raw ESC (100)", put_control, "line 6 (expected record 6) is changed"},
    {"changed: CRLF", put_carriage_return, "record 6 (line 6) is changed"},
    {"changed: over-long line", put_long_line, "line 7 is changed: it has more than 65536 octets"},
    {"changed: over-long tail", put_long_tail, "line 8 is changed: it has more than 65536 octets"},
    {"changed: an empty line", put_empty_line, "line 3 (expected record 3) is changed"},
    {"changed: two records on a line", join_lines, "line 3 (expected record 3) is changed"},
    {"changed: a duplicate member", duplicate_member, "line 3 (expected record 3) is changed"},
    {"removed: two in the middle", remove_middle,
        "records are removed: line 4 holds record 6, expected 4 (2 missing)"},
    {"removed: the first", remove_first,
        "records are removed: line 1 holds record 2, expected 1 (1 missing)"},
    {"reordered: neighbours", reorder_neighbours,
        "records are reordered: line 4 holds record 5, expected 4, which is on line 5"},
    {"reordered: moved to the end", move_to_end,
        "records are reordered: line 2 holds record 3, expected 2, which is on line 8"},
    {"duplicated: next to it", duplicate_next,
        "a record is duplicated: line 4 repeats record 3 of line 3, expected record 4"},
    {"duplicated: at the end", duplicate_far,
        "a record is duplicated: line 9 repeats record 2 of line 2, expected record 9"},
    {"inserted: well-made", insert_forged,
        "a record is inserted: line 6 holds a second, different record 5 (the first is on line 5)"},
};

static aw_result
count_record(const struct audit_record *record, void *context)
{
    (void)record;
    ++*(int *)context;
    return AW_OK;
}

/* Verifying, opening and reading must all find it, and the file must stay as it was. */
static void
check_row(const struct scene *scene, const struct row *row)
{
    struct audit_verdict verdict;
    audit_log *log = NULL;
    size_t repaired;
    size_t before_size, after_size;
    int read = 0;
    char *before = scene_load(scene, &before_size);

    expect_failure(row->name, audit_verify(scene->folder, &verdict), AW_CODE_CORRUPT, row->reason);
    assert_true(aw_error_last()->hint[0] != '\0');
    expect_failure(
        row->name, audit_log_open(scene->folder, &log, &repaired), AW_CODE_CORRUPT, row->reason);
    assert_null(log);
    expect_failure(
        row->name, audit_read(scene->folder, 1, count_record, &read), AW_CODE_CORRUPT, row->reason);
    char *after = scene_load(scene, &after_size);
    if (after_size != before_size || memcmp(before, after, after_size) != 0)
        fail_msg("%s: the damaged file was written to", row->name);
    assert_int_equal(scene_count(scene, "audit.jsonl."), 0);
    free(before);
    free(after);
}

static void
planted_damage_is_named(void **state)
{
    struct scene scene;
    struct text text;
    size_t size;

    (void)state;
    scene_fill(&scene, RECORDS);
    char *whole = scene_load(&scene, &size);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        split(&text, whole, size);
        assert_int_equal(text.count, RECORDS);
        rows[i].plant(&text);
        store(&scene, &text);
        release(&text);
        check_row(&scene, &rows[i]);
    }
    free(whole);
    scene_end(&scene);
}

/* Every octet of a log flipped, one at a time: none may pass (but for the last line's own). */
static void
no_single_octet_can_change(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    size_t size;

    (void)state;
    scene_fill(&scene, 3);
    char *bytes = scene_load(&scene, &size);
    char *second = strchr(bytes, '\n') + 1;
    size_t covered = (size_t)(strchr(second, '\n') + 1 - bytes);
    for (size_t i = 0; i < covered; i++) {
        bytes[i] ^= 0x01;
        scene_store(&scene, bytes, size);
        aw_result r = audit_verify(scene.folder, &verdict);
        if (r.code != AW_CODE_CORRUPT)
            fail_msg("octet %zu changed to '%c': %s", i, bytes[i], aw_code_tag(r.code));
        bytes[i] ^= 0x01;
    }
    free(bytes);
    scene_end(&scene);
}

/* Attack 101: the tail cut off anywhere. Whole records stay, the rest is reported and kept. */
static void
attack_101_cut_tail_is_torn(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    size_t size;

    (void)state;
    scene_fill(&scene, 2);
    char *bytes = scene_load(&scene, &size);
    size_t first = (size_t)(strchr(bytes, '\n') + 1 - bytes);
    for (size_t cut = first + 1; cut < size; cut++) {
        scene_store(&scene, bytes, cut);
        expect_ok("verify", audit_verify(scene.folder, &verdict));
        assert_int_equal(verdict.records, 1);
        assert_int_equal(verdict.torn, cut - first);
    }
    free(bytes);
    scene_end(&scene);
}

/* Some file beside the log holds exactly these octets. */
static bool
is_kept(const struct scene *scene, const char *octets, size_t size)
{
    char pattern[128];
    glob_t found;
    bool kept = false;

    snprintf(pattern, sizeof(pattern), "%s.torn-*", scene->path);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *content;
        size_t length;
        expect_ok(found.gl_pathv[i], aw_file_read(found.gl_pathv[i], 1000, &content, &length));
        kept = kept || (length == size && memcmp(content, octets, size) == 0);
        free(content);
    }
    globfree(&found);
    return kept;
}

/* The octets cut are beside the log, whole; the log goes on with the next number. */
static void
torn_tail_is_repaired_and_kept(void **state)
{
    static const struct {
        const char *name;
        const char *tail;
        size_t size;
    } tails[] = {
        {"half a record", "{\"seq\":4,\"ti", 12},
        {"a record without its newline", "{\"seq\":4}", 9},
        {"NULs", "\0\0\0\0", 4},
        {"garbage", "\xff\xfe", 2},
    };
    struct scene scene;
    int64_t seq;

    (void)state;
    scene_fill(&scene, 3);
    for (size_t i = 0; i < AW_COUNT(tails); i++) {
        FILE *file = fopen(scene.path, "a");
        assert_int_equal(fwrite(tails[i].tail, 1, tails[i].size, file), tails[i].size);
        fclose(file);
        scene_open(&scene);
        if (scene.repaired != tails[i].size)
            fail_msg("%s: %zu octets repaired", tails[i].name, scene.repaired);
        assert_int_equal(scene_count(&scene, "audit.jsonl.torn-"), i + 1);
        if (!is_kept(&scene, tails[i].tail, tails[i].size))
            fail_msg("%s: the octets cut are not kept", tails[i].name);
        expect_ok(tails[i].name, scene_append(&scene, &seq));
        assert_int_equal(seq, 4 + (int64_t)i);
        scene_close(&scene);
        scene_open(&scene);
        assert_int_equal(scene.repaired, 0);
        scene_close(&scene);
    }
    scene_end(&scene);
}

static void
verdict_of_a_whole_log(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    struct audit_record last;
    size_t size;

    (void)state;
    scene_fill(&scene, RECORDS);
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, RECORDS);
    assert_int_equal(verdict.torn, 0);
    assert_int_equal(verdict.first_time, 1795487665);
    assert_int_equal(verdict.last_time, 1795487665);
    char *bytes = scene_load(&scene, &size);
    bytes[size - 1] = '\0';
    const char *line = strrchr(bytes, '\n') + 1;
    expect_ok("last", audit_record_parse(line, strlen(line), &last));
    assert_string_equal(verdict.head, last.digest);
    audit_record_free(&last);
    free(bytes);
    scene_end(&scene);
}

static void
no_log_is_not_found(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    int read = 0;

    (void)state;
    scene_begin(&scene);
    expect_failure("verify", audit_verify(scene.folder, &verdict), AW_CODE_NOT_FOUND, scene.path);
    expect_failure(
        "read", audit_read(scene.folder, 1, count_record, &read), AW_CODE_NOT_FOUND, scene.path);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_damage_is_named),
        cmocka_unit_test(no_single_octet_can_change),
        cmocka_unit_test(attack_101_cut_tail_is_torn),
        cmocka_unit_test(torn_tail_is_repaired_and_kept),
        cmocka_unit_test(verdict_of_a_whole_log),
        cmocka_unit_test(no_log_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
