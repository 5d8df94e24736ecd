/* Group commit. fdatasync is wrapped (see CMakeLists.txt), so that a test can count, hold and fail
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "audit/file.h"
#include "support.h"

enum { THREADS = 8, RECORDS_EACH = 500 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int syncs;   /* calls so far */
    bool closed; /* calls are held while this is set */
    int error;   /* errno that calls fail with; 0: they do their work */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int
__wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&gate.lock);
    gate.syncs++;
    pthread_cond_broadcast(&gate.changed);
    while (gate.closed)
        pthread_cond_wait(&gate.changed, &gate.lock);
    int error = gate.error;
    pthread_mutex_unlock(&gate.lock);
    if (error == 0)
        return __real_fdatasync(fd);
    errno = error;
    return -1;
}

static void
gate_set(bool closed, int error)
{
    pthread_mutex_lock(&gate.lock);
    gate.closed = closed;
    gate.error = error;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

int __real_fstatvfs(int fd, struct statvfs *out);
int __wrap_fstatvfs(int fd, struct statvfs *out);

/* As some file systems in user space answer: nothing at all, and that it went well. */
int
__wrap_fstatvfs(int fd, struct statvfs *out)
{
    if (fd >= 0)
        return __real_fstatvfs(fd, out);
    *out = (struct statvfs){.f_frsize = 0};
    return 0;
}

static void
where_the_file_system_tells_nothing_there_is_no_room(void **state)
{
    struct audit_file_space space = {.free = 1};

    (void)state;
    audit_file_space(&(struct audit_file){.fd = -1}, &space);
    assert_int_equal(space.free, 0);
    assert_int_equal(space.reserve, AUDIT_RESERVE);
}

static void
gate_reset(void)
{
    gate_set(false, 0);
    gate.syncs = 0;
}

/* Until the writer stands before the gate for the `count`th time. */
static void
gate_await(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.syncs < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static aw_result
append(struct scene *scene, int64_t *seq)
{
    struct audit_entry entry = {.kind = AUDIT_DECISION, .time = 1795487665};

    return audit_log_append(scene->log, &entry, seq);
}

/* A scene whose writer is held with one record in flight. */
static void
begin_held(struct scene *scene)
{
    int64_t seq;

    gate_reset();
    scene_begin(scene);
    scene_open(scene);
    gate_set(true, 0);
    expect_ok("first", append(scene, &seq));
    gate_await(1);
}

static void
all_that_is_queued_is_one_batch(void **state)
{
    struct scene scene;
    int64_t seq = 0, appended, durable;

    (void)state;
    begin_held(&scene);
    for (int i = 0; i < 1000; i++)
        expect_ok("append", append(&scene, &seq));
    audit_log_position(scene.log, &appended, &durable);
    assert_int_equal(appended, 1001);
    assert_int_equal(durable, 0);
    expect_ok("health while a batch is in flight", audit_log_healthy(scene.log));
    gate_set(false, 0);
    expect_ok("wait", audit_log_wait(scene.log, seq));
    assert_int_equal(gate.syncs, 2);
    scene_end(&scene);
}

static void
an_idle_writer_does_not_wait_for_company(void **state)
{
    struct scene scene;
    int64_t seq;

    (void)state;
    gate_reset();
    scene_begin(&scene);
    scene_open(&scene);
    for (int i = 1; i <= 10; i++) {
        expect_ok("append", append(&scene, &seq));
        expect_ok("wait", audit_log_wait(scene.log, seq));
        assert_int_equal(gate.syncs, i);
    }
    scene_end(&scene);
}

static void
a_full_queue_is_busy(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    int64_t seq = 0;

    (void)state;
    begin_held(&scene);
    for (int i = 1; i < AUDIT_QUEUE_MAX; i++)
        expect_ok("append", append(&scene, &seq));
    expect_failure("one more", append(&scene, &seq), AW_CODE_BUSY, "4096 audit records wait");
    assert_int_equal(seq, AUDIT_QUEUE_MAX);
    gate_set(false, 0);
    expect_ok("wait", audit_log_wait(scene.log, seq));
    expect_ok("room again", append(&scene, &seq));
    assert_int_equal(seq, AUDIT_QUEUE_MAX + 1);
    scene_close(&scene);
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, AUDIT_QUEUE_MAX + 1);
    scene_end(&scene);
}

/* Long records fill the queue's memory before its count. */
static void
long_records_are_bounded_in_octets(void **state)
{
    static char text[AUDIT_RECORD_MAX / 2];
    struct audit_entry entry = {.kind = AUDIT_DECISION, .message = text};
    struct scene scene;
    int64_t seq, count = 0;
    aw_result r = AW_OK;

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = 'a';
    begin_held(&scene);
    while (aw_ok(r) && count++ < AUDIT_QUEUE_MAX)
        r = audit_log_append(scene.log, &entry, &seq);
    expect_failure("queue", r, AW_CODE_BUSY, "wait to become durable");
    assert_in_range(count, 400, 600);
    gate_set(false, 0);
    scene_end(&scene);
}

static void
the_first_cause_stays(void **state)
{
    struct scene scene;
    int64_t seq;

    (void)state;
    begin_held(&scene);
    assert_int_equal(unlink(scene.path), 0);
    expect_failure("health", audit_log_healthy(scene.log), AW_CODE_CORRUPT, "was removed");
    gate_set(false, EIO);
    /* The batch in flight fails too, at some moment of this. */
    for (int i = 0; i < 200; i++) {
        expect_failure("in flight", audit_log_wait(scene.log, 1), AW_CODE_CORRUPT, "was removed");
        usleep(50);
    }
    gate_reset();
    scene_close(&scene);
    scene_open(&scene);
    expect_ok("a new log", append(&scene, &seq));
    assert_int_equal(seq, 1);
    scene_end(&scene);
}

/* Those who wait, those who were queued and those who come later all get the first cause. */
static void *
wait_for_second(void *context)
{
    struct scene *scene = context;
    aw_result r = audit_log_wait(scene->log, 2);

    expect_failure("waiting", r, AW_CODE_IO, "Input/output error");
    return NULL;
}

static void
attack_104_a_failed_fsync_is_final(void **state)
{
    struct scene scene;
    pthread_t waiter;
    int64_t seq;

    (void)state;
    begin_held(&scene);
    expect_ok("second", append(&scene, &seq));
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_second, &scene), 0);
    gate_set(false, EIO);
    expect_failure(
        "attack 104: first", audit_log_wait(scene.log, 1), AW_CODE_IO, "Input/output error");
    pthread_join(waiter, NULL);
    gate_set(false, 0);
    expect_failure("attack 104: later", append(&scene, &seq), AW_CODE_IO, "Input/output error");
    expect_failure(
        "attack 104: health", audit_log_healthy(scene.log), AW_CODE_IO, "Input/output error");
    assert_int_equal(gate.syncs, 1); /* no second try on the same file */
    assert_true(aw_error_last()->hint[0] != '\0');
    scene_close(&scene);
    scene_open(&scene);
    expect_ok("attack 104: restarted", append(&scene, &seq));
    scene_end(&scene);
}

/* Many threads. */

struct crowd {
    struct scene *scene;
    atomic_int failures;
    atomic_bool over;
    unsigned char *seen; /* by sequence number */
};

static void *
append_many(void *context)
{
    struct crowd *crowd = context;
    int64_t seq;

    for (int i = 0; i < RECORDS_EACH; i++) {
        if (!aw_ok(scene_append(crowd->scene, &seq)) || seq < 1 || seq > THREADS * RECORDS_EACH)
            crowd->failures++;
        else
            crowd->seen[seq]++;
    }
    return NULL;
}

static aw_result
check_whole(const struct audit_record *record, void *context)
{
    int64_t *last = context;

    if (record->seq != *last + 1 || record->entry.name_count != 2)
        return aw_fail(AW_CODE_CORRUPT, "record %lld is not whole", (long long)record->seq);
    *last = record->seq;
    return AW_OK;
}

/* Reads and asks all the time, while others append. */
static void *
observe(void *context)
{
    struct crowd *crowd = context;
    struct audit_verdict verdict;
    int64_t before = 0;

    while (!crowd->over) {
        int64_t last = 0, appended, durable;
        audit_log_position(crowd->scene->log, &appended, &durable);
        if (!aw_ok(audit_read(crowd->scene->folder, 1, check_whole, &last)) || last < durable ||
            durable > appended || durable < before)
            crowd->failures++;
        before = durable;
        if (!aw_ok(audit_verify(crowd->scene->folder, &verdict)) || verdict.records < last)
            crowd->failures++;
        if (!aw_ok(audit_log_healthy(crowd->scene->log)))
            crowd->failures++;
    }
    return NULL;
}

static void
threads_get_dense_numbers_and_readers_whole_records(void **state)
{
    struct scene scene;
    struct crowd crowd = {.scene = &scene};
    pthread_t threads[THREADS], observer;
    struct audit_verdict verdict;

    (void)state;
    gate_reset();
    scene_begin(&scene);
    scene_open(&scene);
    crowd.seen = calloc(THREADS * RECORDS_EACH + 1, 1);
    assert_int_equal(pthread_create(&observer, NULL, observe, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    crowd.over = true;
    pthread_join(observer, NULL);
    assert_int_equal(crowd.failures, 0);
    assert_in_range(gate.syncs, 1, THREADS * RECORDS_EACH - 1);
    for (int i = 1; i <= THREADS * RECORDS_EACH; i++) {
        if (crowd.seen[i] != 1)
            fail_msg("record %d was given %d times", i, crowd.seen[i]);
    }
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, THREADS * RECORDS_EACH);
    free(crowd.seen);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_queued_is_one_batch),
        cmocka_unit_test(an_idle_writer_does_not_wait_for_company),
        cmocka_unit_test(a_full_queue_is_busy),
        cmocka_unit_test(where_the_file_system_tells_nothing_there_is_no_room),
        cmocka_unit_test(long_records_are_bounded_in_octets),
        cmocka_unit_test(the_first_cause_stays),
        cmocka_unit_test(attack_104_a_failed_fsync_is_final),
        cmocka_unit_test(threads_get_dense_numbers_and_readers_whole_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
