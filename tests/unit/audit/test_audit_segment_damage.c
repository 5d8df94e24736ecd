/* Damage in any segment of a log, and segments that are missing, swapped or cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/mark.h"
#include "common/io.h"
#include "support.h"

enum { EACH = 3, RECORDS = 11 }; /* 1-3, 4-6, 7-9 in closed segments, 10-11 in the present one */

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
    mark.tree.peaks[2].bytes[0] ^= 1;
    expect_ok("store", audit_mark_store(scene->folder, &mark));
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
        scene_head_after(8, &head);
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
    scene_head_after(5, &heads[0]);
    scene_head_after(8, &heads[1]);
    scene_fill_segments(&older, 7, EACH);
    const struct audit_expected kept[] = {{heads[0], "kept-5", NULL}, {heads[1], "kept-8", NULL}};
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_101_damage_in_any_segment_is_named),
        cmocka_unit_test(a_start_finds_damage_in_what_it_reads),
        cmocka_unit_test(attack_101_cut_back_over_segments_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
