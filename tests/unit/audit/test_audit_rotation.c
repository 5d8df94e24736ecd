/* Closing a segment: killed or failing at each step, and while others append and read. The calls
 * that make a rotation are wrapped (see CMakeLists.txt), so that a test can end or fail it there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/mark.h"
#include "common/io.h"
#include "support.h"

enum { BEFORE = 4, STEPS_MAX = 40, THREADS = 4, RECORDS_EACH = 150 };

/* The n-th call from now on kills the process, or fails with EIO. */
static atomic_int calls, at;
static atomic_bool kills;

static bool
step(void)
{
    if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&at))
        return false;
    if (atomic_load(&kills))
        kill(getpid(), SIGKILL);
    errno = EIO;
    return true;
}

static void
arm(int n, bool kill)
{
    atomic_store(&calls, 0);
    atomic_store(&kills, kill);
    atomic_store(&at, n);
}

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);

int
__wrap_link(const char *from, const char *to)
{
    return step() ? -1 : __real_link(from, to);
}

int
__wrap_rename(const char *from, const char *to)
{
    return step() ? -1 : __real_rename(from, to);
}

int
__wrap_fsync(int fd)
{
    return step() ? -1 : __real_fsync(fd);
}

int
__wrap_fchmod(int fd, mode_t mode)
{
    return step() ? -1 : __real_fchmod(fd, mode);
}

/* All is as it should be after a start, whatever was before it. */
static void
check_started(struct scene *scene, const char *row, int64_t records, int64_t segments)
{
    struct audit_verdict verdict;
    struct audit_mark mark;
    struct stat st;
    int64_t seq;
    char path[128];

    scene_open(scene);
    expect_ok(row, scene_append(scene, &seq));
    assert_int_equal(seq, records + 1);
    scene_close(scene);
    expect_ok(row, audit_verify(scene->folder, &verdict));
    if (verdict.records != records + 1 || verdict.segments != segments)
        fail_msg("%s: %lld records, %lld segments", row, (long long)verdict.records,
            (long long)verdict.segments);
    assert_int_equal(scene_count(scene, "audit.jsonl."), 0);
    for (int64_t n = 1; n <= segments; n++) {
        expect_ok(row, audit_mark_load(scene->folder, n, &mark));
        snprintf(path, sizeof(path), "%s/audit-%06lld.jsonl", scene->folder, (long long)n);
        assert_int_equal(stat(path, &st), 0);
        if ((st.st_mode & 07777) != 0440 || st.st_nlink != 1)
            fail_msg("%s: mode %04o", row, st.st_mode & 07777);
    }
}

/* In a child: rotates and says so with its exit status. */
static void
rotate_and_exit(struct scene *scene, int n)
{
    struct audit_segment closed;

    scene_open(scene);
    arm(n, true);
    _exit(aw_ok(audit_log_rotate(scene->log, &closed)) ? 0 : 1);
}

/* Attack 101: killed between any two steps of a rotation, nothing is lost and a reader sees all. */
static void
attack_101_kill_9_at_each_step_of_a_rotation(void **state)
{
    int status = -1;
    int n = 0;

    (void)state;
    while (status != 0 && ++n < STEPS_MAX) {
        struct audit_verdict verdict;
        struct scene scene;
        char row[32];

        snprintf(row, sizeof(row), "killed at call %d", n);
        scene_fill(&scene, BEFORE);
        pid_t child = fork();
        if (child == 0)
            rotate_and_exit(&scene, n);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(status == 0 || WIFSIGNALED(status));
        expect_ok(row, audit_verify(scene.folder, &verdict));
        assert_int_equal(verdict.records, BEFORE);
        check_started(&scene, row, BEFORE, verdict.segments);
        scene_end(&scene);
    }
    assert_true(n > 6 && n < STEPS_MAX);
}

/* Either the log goes on as it was, or it is broken and whole at the next start; or it was closed
 * but for its mark, and `segments` tells. */
static void
each_step_of_a_rotation_fails(void **state)
{
    bool good = false;
    int n = 0, unrotated = 0, broken = 0, unfinished = 0;

    (void)state;
    while (!good && ++n < STEPS_MAX) {
        struct audit_segment closed;
        struct audit_log_segments segments;
        struct scene scene;
        int64_t seq, records = BEFORE;
        char row[32];

        snprintf(row, sizeof(row), "call %d fails", n);
        scene_fill(&scene, BEFORE);
        scene_open(&scene);
        arm(n, false);
        good = aw_ok(audit_log_rotate(scene.log, &closed));
        arm(0, false);
        audit_log_segments(scene.log, &segments);
        if (!aw_ok(audit_log_healthy(scene.log))) {
            broken++;
            assert_false(aw_ok(scene_append(&scene, &seq)));
        } else {
            expect_ok(row, scene_append(&scene, &seq));
            assert_int_equal(seq, ++records);
            assert_int_equal(segments.message[0] == '\0', good);
            unrotated += !good && segments.closed == 0;
            unfinished += !good && segments.closed == 1;
            expect_ok("the next one", audit_log_rotate(scene.log, &closed));
            audit_log_segments(scene.log, &segments);
            assert_string_equal(segments.message, "");
        }
        scene_close(&scene);
        struct audit_verdict verdict;
        expect_ok(row, audit_verify(scene.folder, &verdict));
        assert_int_equal(verdict.records, records);
        check_started(&scene, row, records, verdict.segments);
        scene_end(&scene);
    }
    assert_true(good && unrotated > 0 && broken == 1 && unfinished > 0);
}

/* A segment that cannot be closed is written to on: closing is tidiness, records are not. */
static void
a_name_that_is_taken_keeps_the_segment_open(void **state)
{
    struct audit_segment closed;
    struct scene scene;
    char path[128];
    int64_t seq;

    (void)state;
    scene_fill(&scene, BEFORE);
    scene_open(&scene);
    scene_path(&scene, "audit-000001.jsonl", path);
    expect_ok("somebody's", aw_file_replace(path, "theirs", 6, 0600));
    expect_failure("rotate", audit_log_rotate(scene.log, &closed), AW_CODE_EXISTS, "File exists");
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(scene_count(&scene, "audit.jsonl."), 0);
    expect_ok("append", scene_append(&scene, &seq));
    assert_int_equal(seq, BEFORE + 1);
    scene_end(&scene);
}

/* Append, read and rotate at once. */

struct crowd {
    struct scene *scene;
    atomic_int failures;
    atomic_bool done;
};

static void *
append_many(void *context)
{
    struct crowd *crowd = context;
    int64_t seq;

    for (int i = 0; i < RECORDS_EACH; i++)
        if (!aw_ok(scene_append(crowd->scene, &seq)))
            atomic_fetch_add(&crowd->failures, 1);
    return NULL;
}

static void *
read_many(void *context)
{
    struct crowd *crowd = context;
    struct audit_verdict verdict;

    while (!atomic_load(&crowd->done)) {
        int64_t appended, durable;

        audit_log_position(crowd->scene->log, &appended, &durable);
        aw_result r = audit_verify(crowd->scene->folder, &verdict);
        if (!aw_ok(r) || verdict.records < durable) {
            fprintf(stderr, "%lld of %lld records: %s\n", (long long)verdict.records,
                (long long)durable, aw_error_last()->message);
            atomic_fetch_add(&crowd->failures, 1);
        }
    }
    return NULL;
}

static void
readers_and_writers_do_not_notice(void **state)
{
    struct scene scene;
    struct crowd crowd = {.scene = &scene};
    struct audit_verdict verdict;
    struct audit_segment closed;
    pthread_t writers[THREADS], reader;

    (void)state;
    scene_begin(&scene);
    scene_open_segments(&scene, 40, NULL);
    pthread_create(&reader, NULL, read_many, &crowd);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&writers[i], NULL, append_many, &crowd);
    for (int i = 0; i < 10; i++) {
        aw_ignore(audit_log_rotate(scene.log, &closed), "it may be empty");
        usleep(1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&crowd.done, true);
    pthread_join(reader, NULL);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    scene_close(&scene);
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, THREADS * RECORDS_EACH);
    assert_true(verdict.segments > 5);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_101_kill_9_at_each_step_of_a_rotation),
        cmocka_unit_test(each_step_of_a_rotation_fails),
        cmocka_unit_test(a_name_that_is_taken_keeps_the_segment_open),
        cmocka_unit_test(readers_and_writers_do_not_notice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
