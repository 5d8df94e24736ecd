#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "support.h"

static void
a_new_log_is_empty_and_private(void **state)
{
    struct scene scene;
    struct stat st;
    struct audit_verdict verdict;
    int64_t appended, durable;

    (void)state;
    scene_begin(&scene);
    mode_t before = umask(0077); /* the mode is set in spite of it */
    scene_open(&scene);
    umask(before);
    assert_int_equal(stat(scene.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    audit_log_position(scene.log, &appended, &durable);
    assert_int_equal(appended, 0);
    assert_int_equal(durable, 0);
    expect_ok("healthy", audit_log_healthy(scene.log));
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, 0);
    scene_end(&scene);
}

static void
numbers_go_on_over_restarts(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    int64_t seq;

    (void)state;
    scene_begin(&scene);
    for (int64_t i = 1; i <= 5; i++) {
        scene_open(&scene);
        assert_int_equal(scene.repaired, 0);
        expect_ok("append", scene_append(&scene, &seq));
        assert_int_equal(seq, i);
        scene_close(&scene);
    }
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_int_equal(verdict.records, 5);
    scene_end(&scene);
}

static aw_result
note_times(const struct audit_record *record, void *context)
{
    int64_t *times = context;

    times[record->seq] = record->entry.time;
    return AW_OK;
}

static void
time_never_goes_back(void **state)
{
    static const int64_t said[] = {1000, 3000, 2000, 0, 3001};
    static const int64_t written[] = {1000, 3000, 3000, 3000, 3001, 3001};
    int64_t times[8] = {0};
    struct scene scene;
    int64_t seq = 0;

    (void)state;
    scene_begin(&scene);
    scene_open(&scene);
    for (size_t i = 0; i < AW_COUNT(said); i++) {
        struct audit_entry entry = {.kind = AUDIT_ALARM, .time = said[i]};
        expect_ok("append", audit_log_append(scene.log, &entry, &seq));
    }
    scene_close(&scene); /* makes durable what nobody waited for */
    scene_open(&scene);
    struct audit_entry late = {.kind = AUDIT_START, .time = 5};
    expect_ok("after a restart", audit_log_append(scene.log, &late, &seq));
    expect_ok("wait", audit_log_wait(scene.log, seq));
    expect_ok("read", audit_read(scene.folder, 1, note_times, times));
    assert_memory_equal(times + 1, written, sizeof(written));
    scene_end(&scene);
}

static aw_result
compare_receipt(const struct audit_record *record, void *context)
{
    const struct audit_receipt *receipt = context;

    if (record->seq != receipt->seq || record->entry.time != receipt->time ||
        strcmp(record->digest, receipt->digest) != 0)
        return aw_fail(AW_CODE_MISMATCH, "record %lld", (long long)record->seq);
    return AW_OK;
}

static void
a_receipt_is_what_is_read_back(void **state)
{
    struct audit_entry entry = {.kind = AUDIT_CLAIM, .time = 5};
    struct audit_receipt receipt;
    struct audit_verdict verdict;
    struct scene scene;

    (void)state;
    scene_fill(&scene, 2);
    scene_open(&scene);
    expect_ok("record", audit_log_record(scene.log, &entry, &receipt));
    expect_ok("wait", audit_log_wait(scene.log, receipt.seq));
    assert_int_equal(receipt.seq, 3);
    assert_int_equal(receipt.time, 1795487665); /* the clock went back */
    expect_ok("read", audit_read(scene.folder, 3, compare_receipt, &receipt));
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    assert_string_equal(verdict.head, receipt.digest);
    scene_end(&scene);
}

static void
a_refused_entry_leaves_no_trace(void **state)
{
    static char huge[AUDIT_RECORD_MAX + 1];
    struct audit_entry entry = {.kind = AUDIT_DECISION, .message = huge};
    struct scene scene;
    int64_t seq = -1;

    (void)state;
    memset(huge, 'a', AUDIT_RECORD_MAX);
    scene_begin(&scene);
    scene_open(&scene);
    expect_failure("huge", audit_log_append(scene.log, &entry, &seq), AW_CODE_LIMIT, "octets");
    expect_ok("next", scene_append(&scene, &seq));
    assert_int_equal(seq, 1);
    expect_failure("unknown", audit_log_wait(scene.log, 2), AW_CODE_INTERNAL, "last one is 1");
    scene_end(&scene);
}

static void
one_writer_at_a_time(void **state)
{
    struct scene scene;
    audit_log *second = NULL;
    size_t repaired;
    struct audit_verdict verdict;

    (void)state;
    scene_begin(&scene);
    scene_open(&scene);
    expect_failure("second", audit_log_open(scene.folder, &second, &repaired), AW_CODE_BUSY,
        "another process writes");
    assert_null(second);
    /* Reading opens and closes the file, which must not give up the lock. */
    expect_ok("verify", audit_verify(scene.folder, &verdict));
    expect_failure("again", audit_log_open(scene.folder, &second, &repaired), AW_CODE_BUSY,
        "another process writes");
    scene_close(&scene);
    scene_open(&scene);
    scene_end(&scene);
}

static aw_result
stop_at_four(const struct audit_record *record, void *context)
{
    *(int64_t *)context += record->seq;
    if (record->seq == 4)
        return aw_fail(AW_CODE_REFUSED, "enough");
    return AW_OK;
}

static void
reading_begins_and_stops_where_told(void **state)
{
    struct scene scene;
    int64_t sum = 0;

    (void)state;
    scene_fill(&scene, 6);
    expect_failure(
        "stop", audit_read(scene.folder, 3, stop_at_four, &sum), AW_CODE_REFUSED, "enough");
    assert_int_equal(sum, 3 + 4);
    sum = 0;
    expect_ok("behind the end", audit_read(scene.folder, 7, stop_at_four, &sum));
    assert_int_equal(sum, 0);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_is_empty_and_private),
        cmocka_unit_test(numbers_go_on_over_restarts),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(a_receipt_is_what_is_read_back),
        cmocka_unit_test(a_refused_entry_leaves_no_trace),
        cmocka_unit_test(one_writer_at_a_time),
        cmocka_unit_test(reading_begins_and_stops_where_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
