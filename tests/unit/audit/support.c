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
