/* Proofs from the index: right, with little read, and never wrong whatever the index says. */
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

#include "audit/index.h"
#include "audit/proof.h"
#include "common/hex.h"
#include "common/io.h"
#include "support.h"

enum { RECORDS = 3000, SEGMENT = 700, SIZES = 9 };

static const int64_t sizes[SIZES] = {1, 255, 256, 257, 1024, 1400, 2049, 2816, 3000};
static struct audit_head heads[SIZES];
static struct scene scene;

/* Heads are noted on the way: the same log is used by all tests. */
static int
make_log(void **state)
{
    int64_t seq = 0;

    (void)state;
    scene_begin(&scene);
    scene_open(&scene);
    for (int64_t i = 1, next = 0; i <= RECORDS; i++) {
        struct audit_entry entry = {.kind = AUDIT_DECISION, .time = 1795487665, .count = i};
        struct audit_segment closed;

        expect_ok("append", audit_log_append(scene.log, &entry, &seq));
        if (i == sizes[next])
            expect_ok("head", audit_log_head(scene.log, &heads[next++]));
        if (i % SEGMENT == 0)
            expect_ok("rotate", audit_log_rotate(scene.log, &closed));
    }
    scene_close(&scene);
    return 0;
}

static int
remove_log(void **state)
{
    (void)state;
    scene_end(&scene);
    return 0;
}

/* The nodes stand in the order in which they are completed, without a gap. */
static void
each_subtree_has_its_place(void **state)
{
    int64_t offset = 0;

    (void)state;
    for (int64_t size = 1; size <= 1 << 14; size++) {
        int levels = __builtin_ctzll((unsigned long long)size) - AUDIT_TREE_NOTED + 1;

        assert_int_equal(audit_index_offset(size), offset);
        if (levels > 0)
            offset += (int64_t)levels * AW_DIGEST_SIZE;
    }
}

static void
prove_from_size(const struct audit_source *source, const char *row, int first)
{
    for (int n = first; n < SIZES; n += 2) {
        struct audit_proof proof;

        for (int64_t seq = 1; seq <= sizes[n]; seq += 1 + sizes[n] / 7) {
            AW_CLEANUP(aw_free) char *line = NULL;
            char count[32];

            expect_ok(row, audit_prove_record(source, seq, &heads[n], &proof, &line));
            expect_ok(row, audit_proof_inclusion(&proof, seq, line, strlen(line), &heads[n]));
            snprintf(count, sizeof(count), "\"count\":%lld,", (long long)seq);
            assert_non_null(strstr(line, count));
        }
        for (int m = 0; m <= n; m++) {
            expect_ok(row, audit_prove_heads(source, &heads[m], &heads[n], &proof));
            expect_ok(row, audit_proof_consistency(&proof, &heads[m], &heads[n]));
        }
    }
}

static void
change_octet(const char *path, off_t offset)
{
    char octet;
    int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &octet, 1, offset), 1);
    octet ^= 1;
    assert_int_equal(pwrite(fd, &octet, 1, offset), 1);
    close(fd);
}

/* Where a walk would stumble, a proof from the index does not come by. */
static void
a_proof_from_the_index_reads_little(void **state)
{
    const struct audit_source source = {.folder = scene.folder};
    struct audit_proof proof;
    struct audit_verdict verdict;
    char first[128], away[128];

    (void)state;
    prove_from_size(&source, "index", 0);
    prove_from_size(&source, "index", 1);
    scene_path(&scene, "audit-000001.jsonl", first);
    scene_path(&scene, "away", away);
    assert_int_equal(chmod(first, 0640), 0);
    change_octet(first, 10);
    assert_int_equal(audit_verify(scene.folder, &verdict).code, AW_CODE_CORRUPT);
    AW_CLEANUP(aw_free) char *line = NULL;
    expect_ok("far behind", audit_prove_record(&source, 2900, &heads[8], &proof, &line));
    change_octet(first, 10);
    /* The segments before it may be archived. */
    assert_int_equal(rename(first, away), 0);
    AW_CLEANUP(aw_free) char *again = NULL;
    expect_ok("archived", audit_prove_record(&source, 2900, &heads[8], &proof, &again));
    expect_ok("archived", audit_prove_heads(&source, &heads[6], &heads[8], &proof));
    AW_CLEANUP(aw_free) char *none = NULL;
    expect_failure("its own is", audit_prove_record(&source, 5, &heads[8], &proof, &none),
        AW_CODE_NOT_FOUND, "segment 1 of the log");
    assert_int_equal(rename(away, first), 0);
}

/* Each root of the index changed, a part of it missing, all of it: the proof is right all the same.
 */
static void
a_wrong_index_proves_nothing_wrong(void **state)
{
    const struct audit_source source = {.folder = scene.folder};
    char path[128];
    struct stat st;

    (void)state;
    scene_path(&scene, AUDIT_INDEX_NAME, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, audit_index_offset(RECORDS + 1));
    for (off_t at = 0; at < st.st_size; at += AW_DIGEST_SIZE) {
        struct audit_proof proof;

        change_octet(path, at + 3);
        for (int64_t seq = 1; seq <= RECORDS; seq += RECORDS - 2) {
            AW_CLEANUP(aw_free) char *line = NULL;
            expect_ok("changed", audit_prove_record(&source, seq, &heads[8], &proof, &line));
            expect_ok("changed", audit_proof_inclusion(&proof, seq, line, strlen(line), &heads[8]));
        }
        change_octet(path, at + 3);
    }
    assert_int_equal(truncate(path, 100), 0);
    prove_from_size(&source, "cut", SIZES - 1);
    assert_int_equal(unlink(path), 0);
    prove_from_size(&source, "missing", SIZES - 1);
    /* A head that the log never had is not proved by either way. */
    struct audit_head other = heads[8];
    struct audit_proof proof;
    AW_CLEANUP(aw_free) char *line = NULL;
    other.root.bytes[0] ^= 1;
    expect_failure("another head", audit_prove_record(&source, 7, &other, &proof, &line),
        AW_CODE_MISMATCH, "does not show record 7");
    expect_failure("another head", audit_prove_heads(&source, &heads[3], &other, &proof),
        AW_CODE_MISMATCH, "does not show that the tree");
}

/* The index that was lost is made anew by a start that reads all. */
static void
a_full_walk_makes_the_index_anew(void **state)
{
    struct audit_log_opening opening;
    char path[128], mark[128];
    struct stat st;

    (void)state;
    for (int i = 1; i <= 4; i++) {
        snprintf(mark, sizeof(mark), "%s/audit-%06d.mark", scene.folder, i);
        assert_int_equal(unlink(mark), 0);
    }
    expect_ok("open",
        audit_log_open_with(&(struct audit_log_how){.folder = scene.folder}, &scene.log, &opening));
    assert_int_equal(opening.begun, 0);
    scene_close(&scene);
    scene_path(&scene, AUDIT_INDEX_NAME, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, audit_index_offset(RECORDS + 1));
    scene_path(&scene, "audit-000002.jsonl", path);
    assert_int_equal(chmod(path, 0640), 0);
    change_octet(path, 10); /* so that only the index can serve */
    struct audit_proof proof;
    AW_CLEANUP(aw_free) char *line = NULL;
    expect_ok("again", audit_prove_record(&(struct audit_source){.folder = scene.folder}, 2900,
                           &heads[8], &proof, &line));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_subtree_has_its_place),
        cmocka_unit_test(a_proof_from_the_index_reads_little),
        cmocka_unit_test(a_wrong_index_proves_nothing_wrong),
        cmocka_unit_test(a_full_walk_makes_the_index_anew),
    };

    return cmocka_run_group_tests(tests, make_log, remove_log);
}
