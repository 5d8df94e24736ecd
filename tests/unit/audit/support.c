#include "support.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/checkpoint.h"
#include "audit/stored.h"
#include "common/io.h"

void
expect_ok(const char *row, aw_result r)
{
    if (!aw_ok(r))
        fail_msg("%s: unexpected failure: %s", row, aw_error_last()->message);
}

void
expect_failure(const char *row, aw_result r, enum aw_code code, const char *text)
{
    const char *message = aw_error_last()->message;

    if (aw_ok(r))
        fail_msg("%s: succeeded, expected \"%s\"", row, text);
    if (r.code != code || strstr(message, text) == NULL)
        fail_msg("%s: %s \"%s\", expected %s \"%s\"", row, aw_code_tag(r.code), message,
            aw_code_tag(code), text);
}

void
scene_begin(struct scene *scene)
{
    *scene = (struct scene){0};
    snprintf(scene->folder, sizeof(scene->folder), "/tmp/acmeward-audit-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->path, sizeof(scene->path), "%s/audit.jsonl", scene->folder);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void
scene_end(struct scene *scene)
{
    audit_log_close(&scene->log);
    assert_int_equal(nftw(scene->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void
scene_open(struct scene *scene)
{
    expect_ok("open", audit_log_open(scene->folder, &scene->log, &scene->repaired));
}

void
scene_close(struct scene *scene)
{
    audit_log_close(&scene->log);
    assert_null(scene->log);
}

aw_result
scene_append(struct scene *scene, int64_t *seq)
{
    static const char *const names[] = {"www.dept.example.edu", "api.dept.example.edu"};
    struct audit_entry entry = {.kind = AUDIT_DECISION,
        .time = 1795487665,
        .has_uid = true,
        .uid = 1234,
        .application = "dept_myapp1",
        .operation = "new-order",
        .verdict = "permit",
        .names = names,
        .name_count = AW_COUNT(names)};

    AW_TRY(audit_log_append(scene->log, &entry, seq));
    return audit_log_wait(scene->log, *seq);
}

void
scene_fill(struct scene *scene, int count)
{
    int64_t seq;

    scene_begin(scene);
    scene_open(scene);
    for (int i = 1; i <= count; i++) {
        expect_ok("fill", scene_append(scene, &seq));
        assert_int_equal(seq, i);
    }
    scene_close(scene);
}

/* A record of scene_append has some 270 octets. */
void
scene_open_segments(struct scene *scene, int each, struct audit_log_opening *opening)
{
    const struct audit_log_how how = {.folder = scene->folder, .segment_size = (int64_t)each * 265};
    struct audit_log_opening unused;

    expect_ok("open", audit_log_open_with(&how, &scene->log, opening == NULL ? &unused : opening));
}

void
scene_fill_segments(struct scene *scene, int count, int each)
{
    int64_t seq;

    scene_begin(scene);
    scene_open_segments(scene, each, NULL);
    for (int i = 1; i <= count; i++) {
        struct audit_log_segments segments;

        expect_ok("fill", scene_append(scene, &seq));
        assert_int_equal(seq, i);
        do
            audit_log_segments(scene->log, &segments);
        while (segments.closed < i / each && segments.message[0] == '\0');
        assert_int_equal(segments.closed, i / each);
    }
    scene_close(scene);
}

void
scene_path(const struct scene *scene, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", scene->folder, name);
}

void
scene_head_after(int64_t size, struct audit_head *out)
{
    struct audit_verdict verdict;
    struct scene other;

    scene_fill(&other, (int)size); /* the same records */
    expect_ok("verify", audit_verify(other.folder, &verdict));
    *out = (struct audit_head){.size = size, .root = verdict.root};
    scene_end(&other);
}

void
scene_checkpoint(const struct scene *scene, const struct audit_head *head)
{
    struct audit_checkpoint checkpoint = {.origin = "log.example", .head = *head};
    AW_CLEANUP(aw_free) char *body = NULL;
    AW_CLEANUP(aw_free) char *note = NULL;
    struct audit_stored stored;

    expect_ok("body", audit_checkpoint_body(&checkpoint, &body));
    expect_ok("note", aw_format(&note, "%s\n\xe2\x80\x94 log.example AAAAAQID\n", body));
    expect_ok("stored", audit_stored_read(scene->folder, NULL, NULL, &stored));
    expect_ok("store", audit_stored_append(scene->folder, note, &stored));
}

char *
scene_load(const struct scene *scene, size_t *size)
{
    char *text;

    expect_ok("load", aw_file_read(scene->path, 64 * 1024 * 1024, &text, size));
    return text;
}

void
scene_store(const struct scene *scene, const char *bytes, size_t size)
{
    FILE *file = fopen(scene->path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

int
scene_count(const struct scene *scene, const char *prefix)
{
    DIR *folder = opendir(scene->folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(folder);
    return count;
}
