/* A log in segments: one chain and one tree over all, where a start begins, segments that were
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
    static const char *const strays[] = {/* somebody's copies: no segments */
        "backup000009.jsonl", "audit-0000009.jsonl", "audit-+00009.jsonl", "audit-000009.jsonl~"};
    struct scene scene, whole;
    struct audit_verdict verdict, other;
    char path[128];

    (void)state;
    scene_fill_segments(&scene, RECORDS, EACH);
    scene_fill(&whole, RECORDS);
    for (size_t i = 0; i < AW_COUNT(strays); i++) {
        scene_path(&scene, strays[i], path);
        expect_ok("stray", aw_file_replace(path, "{}\n", 3, 0440));
    }
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
    assert_int_equal(scene_count(&scene, ""), 2 + 3 * 2 + 2); /* and . and .. */
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
            scene_head_after(rows[i].checkpoint, &head);
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
mark_of_another(const struct scene *scene, struct audit_mark *mark)
{
    char path[128], other[128];

    scene_path(scene, "audit-000003.mark", path);
    scene_path(scene, "audit-000001.mark", other);
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;
    expect_ok("read", aw_file_read(other, 65536, &text, &size));
    expect_ok("write", aw_file_replace(path, text, size, 0440));
    assert_int_equal(audit_mark_load(scene->folder, 3, mark).code, AW_CODE_CORRUPT);
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
        {"size", wrong_octets, 6}, {"another's", wrong_number, 6},
        {"another's, as it is", mark_of_another, 6}, {"tree", wrong_tree, 0}};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_log_opening opening;
        struct audit_verdict verdict;
        struct audit_mark mark, good;
        struct audit_head head;
        struct scene scene;

        scene_fill_segments(&scene, RECORDS, EACH);
        scene_head_after(10, &head);
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

static void
take(const struct scene *scene, const char *name)
{
    char path[128];

    scene_path(scene, name, path);
    assert_int_equal(unlink(path), 0);
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
    scene_head_after(10, &head);
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
    scene_head_after(2, &heads[0]);
    scene_head_after(3, &heads[1]);
    scene_head_after(10, &heads[2]);
    bool compared[3] = {false};
    const struct audit_expected kept[] = {{heads[0], "2", &compared[0]},
        {heads[1], "3", &compared[1]}, {heads[2], "10", &compared[2]}};
    scene_path(&scene, "archive", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    archive(&scene, folder, 1, false);
    const struct audit_source partial = {.folder = scene.folder, .partial = true};
    expect_ok("partial", audit_verify_source(&partial, kept, 3, &verdict));
    assert_int_equal(verdict.unchecked, 2);
    assert_true(!compared[0] && !compared[1] && compared[2]);
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
    scene_head_after(5, &head);
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
        cmocka_unit_test(closed_segments_without_the_present_one_are_no_new_log),
        cmocka_unit_test(the_log_goes_on_without_archived_segments),
        cmocka_unit_test(checkpoints_of_archived_records_are_counted),
        cmocka_unit_test(a_start_needs_what_the_last_checkpoint_does_not_cover),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
