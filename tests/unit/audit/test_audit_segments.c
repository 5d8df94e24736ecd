/* A log in segments: one chain and one tree over all, damage in any of them, segments that were
 * archived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/mark.h"
#include "common/io.h"
#include "support.h"

enum { EACH = 3, RECORDS = 11 }; /* 1-3, 4-6, 7-9 in closed segments, 10-11 in the present one */

static aw_result
count_record(const struct audit_record *record, void *context)
{
    int64_t *seen = context;

    if (seen[0] == 0)
        seen[1] = record->seq;
    if (record->seq != seen[1] + seen[0]++)
        return aw_fail(AW_CODE_MISMATCH, "record %lld", (long long)record->seq);
    return AW_OK;
}

static void
the_chain_goes_on_over_segments(void **state)
{
    struct scene scene, whole;
    struct audit_verdict verdict, other;

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    scene_fill(&whole, RECORDS);
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    expect_ok("verify", audit_verify(whole.folder, &other));
    assert_int_equal(verdict.records, RECORDS);
    assert_int_equal(verdict.segments, 3);
    assert_int_equal(verdict.absent, 0);
    assert_string_equal(verdict.head, other.head); /* what the records say is all that counts */
    assert_true(memcmp(&verdict.root, &other.root, sizeof(other.root)) == 0);
    for (int64_t from = 1; from <= RECORDS + 1; from++) {
        int64_t seen[2] = {0};

        expect_ok("read", audit_read(scene.folder, from, count_record, seen));
        assert_int_equal(seen[0], RECORDS + 1 - from);
        assert_int_equal(seen[1], from <= RECORDS ? from : 0);
    }
    scene_end(&scene);
    scene_end(&whole);
}

static void
closed_segments_are_read_only(void **state)
{
    static const char *const names[] = {"audit-000001.jsonl", "audit-000003.jsonl",
        "audit-000001.mark", "audit-000003.mark", "audit.jsonl"};
    struct scene scene;
    struct stat st;

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    for (size_t i = 0; i < AW_COUNT(names); i++) {
        char path[128];

        scene_path(&scene, names[i], path);
        assert_int_equal(stat(path, &st), 0);
        if ((st.st_mode & 07777) != (i < 4 ? 0440 : 0640) || st.st_nlink != 1)
            fail_msg("%s: mode %04o, %d names", names[i], st.st_mode & 07777, (int)st.st_nlink);
    }
    assert_int_equal(scene_count(&scene, ""), 2 + 3 * 2 + 1); /* and . and .. */
    scene_end(&scene);
}

static void
rotation_on_demand(void **state)
{
    struct audit_segment closed;
    struct audit_log_segments segments;
    struct scene scene;
    int64_t seq;

    (void)state;
    scene_begin(&scene);
    scene_open(&scene);
    expect_failure("empty", audit_log_rotate(scene.log, &closed), AW_CODE_NOT_FOUND, "no records");
    for (int64_t i = 1; i <= 3; i++) {
        expect_ok("append", scene_append(&scene, &seq));
        expect_ok("append", scene_append(&scene, &seq));
        expect_ok("rotate", audit_log_rotate(scene.log, &closed));
        assert_int_equal(closed.number, i);
        assert_int_equal(closed.first, 2 * i - 1);
        assert_int_equal(closed.last, 2 * i);
    }
    expect_failure("again", audit_log_rotate(scene.log, &closed), AW_CODE_NOT_FOUND, "no records");
    audit_log_segments(scene.log, &segments);
    assert_int_equal(segments.closed, 3);
    assert_int_equal(segments.last, 6);
    assert_int_equal(segments.size, 0);
    assert_string_equal(segments.message, "");
    scene_close(&scene);
    scene_open(&scene);
    expect_failure("at a start", audit_log_rotate(scene.log, &closed), AW_CODE_NOT_FOUND, "no rec");
    expect_ok("append", scene_append(&scene, &seq));
    assert_int_equal(seq, 7);
    scene_end(&scene);
}

/* Where a start begins. */

static void
head_after(const struct scene *scene, int64_t size, struct audit_head *out)
{
    struct audit_verdict verdict;
    struct scene other;

    (void)scene;
    scene_fill(&other, (int)size); /* the same records */
    expect_ok("verify", audit_verify(other.folder, &verdict));
    *out = (struct audit_head){.size = size, .root = verdict.root};
    scene_end(&other);
}

static void
a_start_begins_at_the_last_mark_that_a_checkpoint_covers(void **state)
{
    static const struct {
        int64_t checkpoint, begun;
    } rows[] = {{0, 9}, {1, 0}, {3, 3}, {5, 3}, {6, 6}, {8, 6}, {9, 9}, {10, 9}, {11, 9}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_log_opening opening;
        struct audit_head head;
        struct scene scene;
        int64_t seq;

        scene_fill_segments(&scene, RECORDS, EACH);
        if (rows[i].checkpoint > 0) {
            head_after(&scene, rows[i].checkpoint, &head);
            scene_checkpoint(&scene, &head);
        }
        scene_open_segments(&scene, EACH, &opening);
        assert_int_equal(opening.begun, rows[i].begun);
        assert_int_equal(opening.segments, 3);
        assert_int_equal(opening.mended, 0);
        expect_ok("append", scene_append(&scene, &seq));
        assert_int_equal(seq, RECORDS + 1);
        scene_end(&scene);
    }
}

static void
mark_store(const struct scene *scene, struct audit_mark *mark)
{
    expect_ok("store", audit_mark_store(scene->folder, mark));
}

static void
wrong_head(const struct scene *scene, struct audit_mark *mark)
{
    mark->head[0] = mark->head[0] == '0' ? '1' : '0';
    mark_store(scene, mark);
}

static void
wrong_octets(const struct scene *scene, struct audit_mark *mark)
{
    mark->octets++;
    mark_store(scene, mark);
}

static void
wrong_tree(const struct scene *scene, struct audit_mark *mark)
{
    mark->tree.peaks[3].bytes[7] ^= 1;
    mark_store(scene, mark);
}

static void
wrong_number(const struct scene *scene, struct audit_mark *mark)
{
    int64_t segment = mark->segment;

    expect_ok("load", audit_mark_load(scene->folder, 1, mark));
    mark->segment = segment;
    mark_store(scene, mark);
}

static void
garbage(const struct scene *scene, struct audit_mark *mark)
{
    char path[128];

    scene_path(scene, "audit-000003.mark", path);
    expect_ok("garbage", aw_file_replace(path, "{}\n", 3, 0440));
    (void)mark;
}

static void
no_mark(const struct scene *scene, struct audit_mark *mark)
{
    char path[128];

    scene_path(scene, "audit-000003.mark", path);
    assert_int_equal(unlink(path), 0);
    (void)mark;
}

/* A hint that is missing or wrong costs time and nothing else: it is made anew from the records. */
static void
a_wrong_mark_is_found_and_made_anew(void **state)
{
    static const struct {
        const char *name;
        void (*plant)(const struct scene *scene, struct audit_mark *mark);
        int64_t begun;
    } rows[] = {{"none", no_mark, 6}, {"garbage", garbage, 6}, {"digest", wrong_head, 6},
        {"size", wrong_octets, 6}, {"another's", wrong_number, 6}, {"tree", wrong_tree, 0}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_log_opening opening;
        struct audit_verdict verdict;
        struct audit_mark mark, good;
        struct audit_head head;
        struct scene scene;

        scene_fill_segments(&scene, RECORDS, EACH);
        head_after(&scene, 10, &head);
        scene_checkpoint(&scene, &head);
        expect_ok("load", audit_mark_load(scene.folder, 3, &good));
        mark = good;
        rows[i].plant(&scene, &mark);
        aw_result r = audit_verify(scene.folder, &verdict);
        if (aw_ok(r) != (rows[i].plant == no_mark))
            fail_msg("%s: verify says %s", rows[i].name, aw_code_tag(r.code));
        scene_open_segments(&scene, EACH, &opening);
        if (opening.begun != rows[i].begun || opening.mended != 1)
            fail_msg("%s: began behind %lld, mended %lld", rows[i].name, (long long)opening.begun,
                (long long)opening.mended);
        expect_ok("load", audit_mark_load(scene.folder, 3, &mark));
        assert_true(audit_mark_equal(&mark, &good));
        expect_ok(rows[i].name, audit_verify(scene.folder, &verdict));
        scene_end(&scene);
    }
}

/* Attack 101: damage in any segment. */

struct file {
    char path[128];
    char *bytes;
    size_t size;
};

static struct file
load(const struct scene *scene, const char *name)
{
    struct file file;

    scene_path(scene, name, file.path);
    expect_ok(name, aw_file_read(file.path, 1 << 20, &file.bytes, &file.size));
    return file;
}

static void
save(struct file *file)
{
    expect_ok("save", aw_file_replace(file->path, file->bytes, file->size, 0640));
    free(file->bytes);
}

static void
change(const struct scene *scene, const char *name, const char *from, const char *to)
{
    struct file file = load(scene, name);
    char *at = strstr(file.bytes, from);

    assert_non_null(at);
    memcpy(at, to, strlen(to));
    save(&file);
}

static void
change_first(const struct scene *scene)
{
    change(scene, "audit-000001.jsonl", "api.dept", "apx.dept");
}

/* The last record of a segment: the next segment's first one tells. */
static void
change_last(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");
    char *at = strrchr(file.bytes, '{');

    memcpy(strstr(at, "api.dept"), "apx.dept", 8);
    save(&file);
}

static void
change_next_first(const struct scene *scene)
{
    change(scene, "audit-000003.jsonl", "api.dept", "apx.dept");
}

static void
change_mark(const struct scene *scene)
{
    struct audit_mark mark;

    expect_ok("load", audit_mark_load(scene->folder, 2, &mark));
    wrong_tree(scene, &mark);
    mark.tree.peaks[2].bytes[0] ^= 1;
    mark_store(scene, &mark);
}

static void
remove_last_line(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");

    file.size = (size_t)(strrchr(file.bytes, '{') - file.bytes);
    save(&file);
}

static void
remove_first_line(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");
    size_t line = (size_t)(strchr(file.bytes, '\n') + 1 - file.bytes);

    memmove(file.bytes, file.bytes + line, file.size - line);
    file.size -= line;
    save(&file);
}

static void
cut_closed(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");

    file.size -= 10;
    save(&file);
}

static void
empty_closed(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");

    file.size = 0;
    save(&file);
}

static void
append_to_closed(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");
    struct file other = load(scene, "audit-000001.jsonl");
    size_t line = (size_t)(strchr(other.bytes, '\n') + 1 - other.bytes);

    file.bytes = realloc(file.bytes, file.size + line);
    memcpy(file.bytes + file.size, other.bytes, line);
    file.size += line;
    free(other.bytes);
    save(&file);
}

/* A record moved from the end of one segment to the beginning of the next. */
static void
reorder_over_segments(const struct scene *scene)
{
    struct file file = load(scene, "audit-000001.jsonl");
    struct file next = load(scene, "audit-000002.jsonl");
    size_t at = (size_t)(strchr(next.bytes, '\n') + 1 - next.bytes);
    size_t before = (size_t)(strrchr(file.bytes, '{') - file.bytes);
    char last[1024];
    size_t length = file.size - before;

    memcpy(last, file.bytes + before, length);
    file.bytes = realloc(file.bytes, before + at);
    memcpy(file.bytes + before, next.bytes, at);
    file.size = before + at;
    memmove(next.bytes + length, next.bytes + at, next.size - at);
    memcpy(next.bytes, last, length);
    next.size = next.size - at + length;
    save(&file);
    save(&next);
}

static void
swap_segments(const struct scene *scene)
{
    struct file a = load(scene, "audit-000001.jsonl"), b = load(scene, "audit-000002.jsonl");
    char *bytes = a.bytes;
    size_t size = a.size;

    a.bytes = b.bytes;
    a.size = b.size;
    b.bytes = bytes;
    b.size = size;
    save(&a);
    save(&b);
}

static void
take(const struct scene *scene, const char *name)
{
    char path[128];

    scene_path(scene, name, path);
    assert_int_equal(unlink(path), 0);
}

static void
remove_segment_and_mark(const struct scene *scene)
{
    take(scene, "audit-000002.jsonl");
    take(scene, "audit-000002.mark");
}

/* Renumbered, so that no number is missing. */
static void
remove_and_renumber(const struct scene *scene)
{
    char from[128], to[128];

    take(scene, "audit-000003.mark");
    scene_path(scene, "audit-000003.jsonl", from);
    scene_path(scene, "audit-000002.jsonl", to);
    assert_int_equal(rename(from, to), 0);
}

static void
repeat_segment(const struct scene *scene)
{
    struct file file = load(scene, "audit-000002.jsonl");

    scene_path(scene, "audit-000003.jsonl", file.path);
    save(&file);
}

static const struct damage {
    const char *name;
    void (*plant)(const struct scene *scene);
    const char *reason;
} damages[] = {
    {"changed: in the first segment", change_first, "audit-000001.jsonl: record 1 (line 1) is cha"},
    {"changed: the last of a segment", change_last,
        "audit-000003.jsonl: record 6 (the last one of"},
    {"changed: the first of a segment", change_next_first, "record 7 (line 1) is changed"},
    {"changed: a mark", change_mark, "the mark of segment 2 is not what they say"},
    {"removed: the last of a segment", remove_last_line,
        "audit-000003.jsonl: records are removed: line 1 holds record 7, expected 6 (1 missing)"},
    {"removed: the first of a segment", remove_first_line,
        "audit-000002.jsonl: records are removed: line 1 holds record 5, expected 4 (1 missing)"},
    {"cut: a closed segment", cut_closed, "audit-000002.jsonl ends in half a record"},
    {"cut: a closed segment to nothing", empty_closed, "audit-000002.jsonl is empty"},
    {"appended: to a closed segment", append_to_closed, "record of an earlier segment is repeated"},
    {"reordered: over segments", reorder_over_segments, "line 3 holds record 4, expected 3"},
    {"swapped: two segments", swap_segments, "audit-000001.jsonl: records are removed: line 1 ho"},
    {"removed: a segment and its mark", remove_segment_and_mark, "its mark is missing too"},
    {"removed: a segment, renumbered", remove_and_renumber, "line 1 holds record 7, expected 4"},
    {"repeated: a segment", repeat_segment,
        "audit-000003.jsonl: a record of an earlier segment is repeated: line 1 holds record 4"},
};

static void
attack_101_damage_in_any_segment_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(damages); i++) {
        struct audit_verdict verdict;
        struct scene scene;

        scene_fill_segments(&scene, RECORDS, EACH);
        damages[i].plant(&scene);
        const struct audit_source source = {.folder = scene.folder, .partial = true};
        expect_failure(damages[i].name, audit_verify_source(&source, NULL, 0, &verdict),
            AW_CODE_CORRUPT, damages[i].reason);
        scene_end(&scene);
    }
}

/* What a start reads, it does not accept damaged; what lies before the mark, it does not read. */
static void
a_start_finds_damage_in_what_it_reads(void **state)
{
    static const struct {
        const char *name;
        void (*plant)(const struct scene *scene);
        const char *reason;
    } rows[] = {
        {"the present segment", NULL, "line 1 (record 10) is changed"},
        {"the segment before it", change_next_first, "record 7 (line 1) is changed"},
        {"its end cut", NULL, "ends in half a record"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_log_opening opening;
        struct audit_head head;
        struct scene scene;

        scene_fill_segments(&scene, RECORDS, EACH);
        head_after(&scene, 8, &head);
        scene_checkpoint(&scene, &head);
        if (i == 0)
            change(&scene, "audit.jsonl", "\"time\":\"2026", "\"time\":\"2025");
        else if (i == 1)
            change_next_first(&scene);
        else {
            struct file file = load(&scene, "audit-000003.jsonl");

            file.size -= 10;
            save(&file);
        }
        expect_failure(rows[i].name,
            audit_log_open_with(
                &(struct audit_log_how){.folder = scene.folder}, &scene.log, &opening),
            AW_CODE_CORRUPT, rows[i].reason);
        assert_null(scene.log);
        scene_end(&scene);
    }
}

/* Attack 101: cut back to a state that the log once had, whole segments long; the chain is good. */
static void
attack_101_cut_back_over_segments_is_found(void **state)
{
    struct audit_head heads[2];
    struct audit_verdict verdict;
    struct audit_log_opening opening;
    struct scene scene, older;

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    head_after(&scene, 5, &heads[0]);
    head_after(&scene, 8, &heads[1]);
    scene_fill_segments(&older, 7, EACH);
    const struct audit_expected kept[] = {{heads[0], "kept-5"}, {heads[1], "kept-8"}};
    expect_ok("whole", audit_verify_heads(scene.folder, kept, 2, &verdict));
    expect_ok("older", audit_verify_heads(older.folder, kept, 1, &verdict));
    expect_failure("cut back", audit_verify_heads(older.folder, kept, 2, &verdict), AW_CODE_CORRUPT,
        "the checkpoint in kept-8 covers 8: the log was cut back");
    scene_checkpoint(&older, &heads[1]);
    expect_failure("start",
        audit_log_open_with(&(struct audit_log_how){.folder = older.folder}, &older.log, &opening),
        AW_CODE_CORRUPT, "the log was cut back");
    scene_end(&scene);
    scene_end(&older);
}

static void
closed_segments_without_the_present_one_are_no_new_log(void **state)
{
    struct audit_log_opening opening;
    struct scene scene;

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    take(&scene, "audit.jsonl");
    expect_failure("start",
        audit_log_open_with(&(struct audit_log_how){.folder = scene.folder}, &scene.log, &opening),
        AW_CODE_CORRUPT, "is missing, but the log has 3 closed segments");
    assert_int_equal(access(scene.path, F_OK), -1);
    scene_end(&scene);
}

/* Archived segments. */

static void
archive(const struct scene *scene, const char *folder, int segment, bool mark_too)
{
    char from[128], to[160];

    for (int i = 0; i <= mark_too; i++) {
        const char *suffix = i == 0 ? "jsonl" : "mark";

        snprintf(from, sizeof(from), "%s/audit-%06d.%s", scene->folder, segment, suffix);
        snprintf(to, sizeof(to), "%s/audit-%06d.%s", folder, segment, suffix);
        assert_int_equal(rename(from, to), 0);
    }
}

static void
add_absent(const struct audit_absent *absent, void *context)
{
    struct audit_absent *list = context;

    list[absent->segment - 1] = *absent;
}

static void
the_log_goes_on_without_archived_segments(void **state)
{
    struct audit_absent absent[4] = {{0}};
    struct audit_log_opening opening;
    struct audit_verdict verdict;
    struct audit_head head;
    struct scene scene;
    int64_t seq, seen[2] = {0};
    char folder[128];

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    head_after(&scene, 10, &head);
    scene_checkpoint(&scene, &head);
    scene_path(&scene, "archive", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    archive(&scene, folder, 1, false);
    archive(&scene, folder, 3, false);
    const char *const archives[] = {folder};
    const struct audit_source partial = {
        .folder = scene.folder, .partial = true, .absent = add_absent, .context = absent};
    const struct audit_source all = {
        .folder = scene.folder, .archives = archives, .archive_count = 1};

    expect_failure("not all", audit_verify(scene.folder, &verdict), AW_CODE_NOT_FOUND,
        "segment 1 of the log (audit-000001.jsonl) is not in");
    expect_failure("read", audit_read(scene.folder, 1, count_record, seen), AW_CODE_NOT_FOUND,
        "segment 1 of the log");
    expect_ok("read the end", audit_read(scene.folder, 10, count_record, seen));
    assert_int_equal(seen[1], 10);
    expect_ok("partial", audit_verify_source(&partial, NULL, 0, &verdict));
    assert_int_equal(verdict.absent, 6);
    assert_int_equal(absent[0].first, 1);
    assert_int_equal(absent[0].last, 3);
    assert_int_equal(absent[1].last, 0);
    assert_int_equal(absent[2].first, 7);
    assert_int_equal(absent[2].last, 9);
    expect_ok("all", audit_verify_source(&all, NULL, 0, &verdict));
    assert_int_equal(verdict.absent, 0);
    assert_int_equal(verdict.records, RECORDS);
    scene_open_segments(&scene, EACH, &opening);
    assert_int_equal(opening.begun, 9);
    for (int i = 1; i <= 4; i++) {
        expect_ok("append", scene_append(&scene, &seq));
        assert_int_equal(seq, RECORDS + i);
    }
    scene_close(&scene);
    expect_ok("all", audit_verify_source(&all, NULL, 0, &verdict));
    assert_int_equal(verdict.records, RECORDS + 4);
    scene_end(&scene);
}

/* Heads of the time that is archived are not compared, and the verdict says how many. */
static void
checkpoints_of_archived_records_are_counted(void **state)
{
    struct audit_head heads[3];
    struct audit_verdict verdict;
    struct scene scene;
    char folder[128];

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    head_after(&scene, 2, &heads[0]);
    head_after(&scene, 3, &heads[1]);
    head_after(&scene, 10, &heads[2]);
    const struct audit_expected kept[] = {{heads[0], "2"}, {heads[1], "3"}, {heads[2], "10"}};
    scene_path(&scene, "archive", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    archive(&scene, folder, 1, false);
    const struct audit_source partial = {.folder = scene.folder, .partial = true};
    expect_ok("partial", audit_verify_source(&partial, kept, 3, &verdict));
    assert_int_equal(verdict.unchecked, 2);
    /* What the mark says of the tree, the checkpoint behind it commits to. */
    struct audit_mark mark;
    expect_ok("load", audit_mark_load(scene.folder, 1, &mark));
    mark.tree.peaks[1].bytes[0] ^= 1;
    mark_store(&scene, &mark);
    expect_failure("the mark", audit_verify_source(&partial, kept, 3, &verdict), AW_CODE_CORRUPT,
        "the log was rewritten");
    scene_end(&scene);
}

/* A start that cannot meet its last checkpoint on the way says which segment it needs. */
static void
a_start_needs_what_the_last_checkpoint_does_not_cover(void **state)
{
    struct audit_log_opening opening;
    struct audit_head head;
    struct scene scene;
    char folder[128];

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    head_after(&scene, 5, &head);
    scene_checkpoint(&scene, &head);
    scene_path(&scene, "archive", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    archive(&scene, folder, 2, false);
    expect_failure("start",
        audit_log_open_with(&(struct audit_log_how){.folder = scene.folder}, &scene.log, &opening),
        AW_CODE_NOT_FOUND, "segment 2 of the log");
    assert_non_null(strstr(aw_error_last()->hint, "last checkpoint"));
    archive(&scene, folder, 2 - 1, false);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_goes_on_over_segments),
        cmocka_unit_test(closed_segments_are_read_only),
        cmocka_unit_test(rotation_on_demand),
        cmocka_unit_test(a_start_begins_at_the_last_mark_that_a_checkpoint_covers),
        cmocka_unit_test(a_wrong_mark_is_found_and_made_anew),
        cmocka_unit_test(attack_101_damage_in_any_segment_is_named),
        cmocka_unit_test(a_start_finds_damage_in_what_it_reads),
        cmocka_unit_test(attack_101_cut_back_over_segments_is_found),
        cmocka_unit_test(closed_segments_without_the_present_one_are_no_new_log),
        cmocka_unit_test(the_log_goes_on_without_archived_segments),
        cmocka_unit_test(checkpoints_of_archived_records_are_counted),
        cmocka_unit_test(a_start_needs_what_the_last_checkpoint_does_not_cover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
