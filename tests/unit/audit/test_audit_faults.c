/* The log under failing disks, meddling with its file, and kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/* Attack 104: no more can be written. SIGXFSZ is left alone: the writer must survive it. */

static void
set_size_limit(rlim_t octets)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = octets < limit.rlim_max ? octets : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The first failure is the answer to everybody from then on, even when there is room again. */
static void
expect_broken(const char *row, struct scene *scene, enum aw_code code, const char *text)
{
    struct audit_entry entry = {.kind = AUDIT_DECISION};
    int64_t seq, appended, durable;

    audit_log_position(scene->log, &appended, &durable);
    expect_failure(row, audit_log_append(scene->log, &entry, &seq), code, text);
    expect_failure(row, audit_log_wait(scene->log, appended), code, text);
    expect_failure(row, audit_log_wait(scene->log, durable), code, text);
    expect_failure(row, audit_log_healthy(scene->log), code, text);
    if (aw_error_last()->hint[0] == '\0')
        fail_msg("%s: no hint", row);
}

static void
attack_104_full_disk_stops_the_log(void **state)
{
    struct scene scene;
    struct stat st;
    struct audit_verdict verdict;
    int64_t seq;
    aw_result r;

    (void)state;
    scene_fill(&scene, 3);
    assert_int_equal(stat(scene.path, &st), 0);
    scene_open(&scene);
    set_size_limit((rlim_t)st.st_size + 100);
    r = scene_append(&scene, &seq);
    set_size_limit(RLIM_INFINITY);
    expect_failure("attack 104: write", r, AW_CODE_IO, "File too large");
    expect_broken("attack 104: afterwards", &scene, AW_CODE_IO, "File too large");
    scene_close(&scene);
    expect_ok("attack 104: verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, 3);
    assert_int_equal(verdict.torn, 100);
    scene_open(&scene);
    assert_int_equal(scene.repaired, 100);
    expect_ok("attack 104: restarted", scene_append(&scene, &seq));
    assert_int_equal(seq, 4);
    scene_end(&scene);
}

static bool
put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* A mount namespace where we are root, whoever we are outside. */
static bool
mount_small_disk(const char *folder)
{
    char users[64], groups[64];

    snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_text("/proc/self/uid_map", users) &&
           put_text("/proc/self/setgroups", "deny") && put_text("/proc/self/gid_map", groups) &&
           mount("none", folder, "tmpfs", 0, "size=64k,mode=0700") == 0;
}

/* In a child: exit status 0 done, 77 not possible here. */
static int
fill_small_disk(const char *folder)
{
    struct scene scene = {0};
    int64_t seq = 0, last = 0;
    aw_result r = AW_OK;
    struct audit_verdict verdict;

    if (!mount_small_disk(folder))
        return 77;
    snprintf(scene.folder, sizeof(scene.folder), "%s", folder);
    if (!aw_ok(audit_log_open(folder, &scene.log, &scene.repaired)))
        return 2;
    while (aw_ok(r)) {
        last = seq;
        r = scene_append(&scene, &seq);
    }
    if (strstr(aw_error_last()->message, "No space left on device") == NULL)
        return 3;
    if (aw_ok(audit_log_healthy(scene.log)) || aw_ok(scene_append(&scene, &seq)))
        return 4;
    audit_log_close(&scene.log);
    if (!aw_ok(audit_verify(folder, &verdict)) || last < 10 || verdict.records < last)
        return 5;
    return 0;
}

static void
attack_104_no_space_left(void **state)
{
    struct scene scene;
    int status;

    (void)state;
    scene_begin(&scene);
    pid_t child = fork();
    if (child == 0)
        _exit(fill_small_disk(scene.folder));
    assert_int_equal(waitpid(child, &status, 0), child);
    scene_end(&scene);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no user namespaces here: the row above stands alone */
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The file under the open log. */

static void
remove_file(const struct scene *scene)
{
    assert_int_equal(unlink(scene->path), 0);
}

static void
rename_file(const struct scene *scene)
{
    char other[128];

    snprintf(other, sizeof(other), "%s.old", scene->path);
    assert_int_equal(rename(scene->path, other), 0);
}

static void
replace_file(const struct scene *scene)
{
    size_t size;
    char *bytes = scene_load(scene, &size);

    rename_file(scene);
    scene_store(scene, bytes, size);
    free(bytes);
}

static void
link_file(const struct scene *scene)
{
    char other[128];

    rename_file(scene);
    snprintf(other, sizeof(other), "%s.old", scene->path);
    assert_int_equal(symlink(other, scene->path), 0);
}

static void
cut_file(const struct scene *scene)
{
    struct stat st;

    assert_int_equal(stat(scene->path, &st), 0);
    assert_int_equal(truncate(scene->path, st.st_size - 1), 0);
}

static void
empty_file(const struct scene *scene)
{
    assert_int_equal(truncate(scene->path, 0), 0);
}

static void
write_to_file(const struct scene *scene)
{
    int fd = open(scene->path, O_WRONLY | O_APPEND);

    assert_int_equal(write(fd, "{}\n", 3), 3);
    close(fd);
}

static const struct {
    const char *name;
    void (*meddle)(const struct scene *scene);
    const char *reason;
} meddlings[] = {
    {"removed", remove_file, "was removed"},
    {"renamed", rename_file, "was moved away"},
    {"replaced by a copy", replace_file, "was replaced"},
    {"replaced by a link to itself", link_file, "was replaced"},
    {"cut by an octet", cut_file, "was cut"},
    {"emptied", empty_file, "was cut"},
    {"appended to", write_to_file, "was written to"},
};

/* Found by asking (health), and by the next record, which is then not called durable. */
static void
meddling_with_the_file_breaks_the_log(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * AW_COUNT(meddlings); i++) {
        const char *name = meddlings[i / 2].name;
        const char *reason = meddlings[i / 2].reason;
        struct scene scene;
        int64_t seq;
        scene_fill(&scene, 2);
        scene_open(&scene);
        meddlings[i / 2].meddle(&scene);
        if (i % 2 == 0)
            expect_failure(name, audit_log_healthy(scene.log), AW_CODE_CORRUPT, reason);
        else
            expect_failure(name, scene_append(&scene, &seq), AW_CODE_CORRUPT, "while it was open");
        expect_broken(name, &scene, AW_CODE_CORRUPT, "while it was open");
        scene_end(&scene);
    }
}

/* What is not a log of ours is not opened. */

static void
make_link(const struct scene *scene)
{
    assert_int_equal(symlink("/dev/full", scene->path), 0);
}

static void
make_dangling_link(const struct scene *scene)
{
    assert_int_equal(symlink("/nonexistent/audit.jsonl", scene->path), 0);
}

static void
make_folder(const struct scene *scene)
{
    assert_int_equal(mkdir(scene->path, 0700), 0);
}

static void
make_fifo(const struct scene *scene)
{
    assert_int_equal(mkfifo(scene->path, 0600), 0);
}

static void
make_loose_file(const struct scene *scene)
{
    scene_store(scene, "", 0);
    assert_int_equal(chmod(scene->path, 0666), 0);
}

static void
make_loose_folder(const struct scene *scene)
{
    assert_int_equal(chmod(scene->folder, 0777), 0);
}

static void
remove_folder(const struct scene *scene)
{
    assert_int_equal(rmdir(scene->folder), 0);
}

static void
what_is_no_log_of_ours_is_not_opened(void **state)
{
    static const struct {
        const char *name;
        void (*make)(const struct scene *scene);
        enum aw_code code;
        const char *reason;
    } rows[] = {
        {"a symbolic link", make_link, AW_CODE_IO, "symbolic link"},
        {"a dangling link", make_dangling_link, AW_CODE_IO, "symbolic link"},
        {"a folder", make_folder, AW_CODE_IO, "audit.jsonl"},
        {"a FIFO", make_fifo, AW_CODE_IO, "not a regular file"},
        {"a file for everybody", make_loose_file, AW_CODE_PERMISSION, "0666"},
        {"a folder for everybody", make_loose_folder, AW_CODE_PERMISSION, "0777"},
        {"no folder", remove_folder, AW_CODE_NOT_FOUND, "audit.jsonl"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct scene scene;
        scene_begin(&scene);
        rows[i].make(&scene);
        expect_failure(rows[i].name, audit_log_open(scene.folder, &scene.log, &scene.repaired),
            rows[i].code, rows[i].reason);
        assert_null(scene.log);
        assert_true(aw_error_last()->hint[0] != '\0');
        if (access(scene.folder, F_OK) != 0)
            assert_int_equal(mkdir(scene.folder, 0700), 0);
        scene_end(&scene);
    }
}

/* kill -9. */

/* Appends for ever; what it knows to be durable it says into the pipe. */
static void
append_for_ever(struct scene *scene, int out)
{
    int64_t seq;

    scene_open(scene);
    while (aw_ok(scene_append(scene, &seq)) && write(out, &seq, sizeof(seq)) == sizeof(seq))
        continue;
    _exit(1);
}

/* Returns the last number that the child called durable before it was killed. */
static int64_t
kill_in_the_middle(struct scene *scene, int after)
{
    int ends[2];
    int64_t seq = 0, last = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        append_for_ever(scene, ends[1]);
    }
    close(ends[1]);
    for (int i = 0; i < after; i++) {
        assert_int_equal(read(ends[0], &seq, sizeof(seq)), sizeof(seq));
        last = seq;
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(ends[0], &seq, sizeof(seq)) == sizeof(seq))
        last = seq;
    close(ends[0]);
    return last;
}

static void
tear(const struct scene *scene, size_t octets)
{
    size_t size;
    char *bytes = scene_load(scene, &size);
    FILE *file = fopen(scene->path, "a");

    /* The beginning of the first record stands for one that did not reach the disk whole. */
    assert_int_equal(fwrite(bytes, 1, octets, file), octets);
    fclose(file);
    free(bytes);
}

static void
what_was_durable_survives_kill_9(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    int64_t appended, durable;

    (void)state;
    scene_begin(&scene);
    for (int round = 1; round <= 8; round++) {
        int64_t last = kill_in_the_middle(&scene, 5 * round);
        size_t torn = (size_t)(round % 3) * 40;
        expect_ok("verify", audit_verify(scene.folder, &verdict));
        if (verdict.torn == 0)
            tear(&scene, torn);
        scene_open(&scene);
        assert_int_equal(scene.repaired, verdict.torn == 0 ? torn : verdict.torn);
        audit_log_position(scene.log, &appended, &durable);
        if (durable < last || appended != durable)
            fail_msg("round %d: record %lld was durable, the log ends at %lld", round,
                (long long)last, (long long)durable);
        scene_close(&scene);
        expect_ok("verify", audit_verify(scene.folder, &verdict));
        assert_int_equal(verdict.torn, 0);
    }
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_104_full_disk_stops_the_log),
        cmocka_unit_test(attack_104_no_space_left),
        cmocka_unit_test(meddling_with_the_file_breaks_the_log),
        cmocka_unit_test(what_is_no_log_of_ours_is_not_opened),
        cmocka_unit_test(what_was_durable_survives_kill_9),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
