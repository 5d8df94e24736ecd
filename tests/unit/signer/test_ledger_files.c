/*
 * A ledger that was left by a kill, with its write-ahead log, and then damaged: bits that flip in
 * either file, files that are lost, cut or folders. Whatever is made of it is what the audit log
 * says, or the start is refused in words and nothing is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "ledger_support.h"

enum { FLIPS = 24 };

static struct {
    struct ledger_scene scene;
    char log[160];   /* path of the write-ahead log */
    char seal[160];  /* and of the seal */
    char *files[4];  /* as the kill left them: database, write-ahead log; as an orderly end did:
                      * database, seal */
    size_t sizes[4]; /* octets */
    char *expected;  /* rows, by the audit log */
} left;

static void
put(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0640), 0);
}

/* In a child: some of it is in the write-ahead log alone, some in the audit log alone. */
static void
work_and_die(void)
{
    struct ledger_scene *scene = &left.scene;

    scene_open(scene);
    for (int i = 0; i < 20; i++) {
        scene_order(scene, "app-a", NULL);
        if (i % 4 == 0 && i < 15)
            assert_true(aw_ok(ledger_commit(scene->ledger)));
    }
    _exit(0);
}

static int
setup(void **state)
{
    struct ledger_scene *scene = &left.scene;
    int status;

    (void)state;
    scene_start(scene);
    scene_order(scene, "app-b", NULL);
    scene_close(scene);
    snprintf(left.log, sizeof(left.log), "%s-wal", scene->path);
    snprintf(left.seal, sizeof(left.seal), "%s.seal", scene->path);
    pid_t child = fork();
    if (child == 0)
        work_and_die();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(aw_ok(aw_file_read(scene->path, 1 << 20, &left.files[0], &left.sizes[0])));
    assert_true(aw_ok(aw_file_read(left.log, 1 << 24, &left.files[1], &left.sizes[1])));
    assert_true(left.sizes[1] > 4096);
    scene_forget(scene);
    scene_open(scene);
    scene_close(scene);
    assert_true(aw_ok(aw_file_read(scene->path, 1 << 20, &left.files[2], &left.sizes[2])));
    assert_true(aw_ok(aw_file_read(left.seal, 1024, &left.files[3], &left.sizes[3])));
    left.expected = scene_dump(scene);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    scene_end(&left.scene);
    for (size_t i = 0; i < AW_COUNT(left.files); i++)
        free(left.files[i]);
    free(left.expected);
    return 0;
}

static void
restore(void)
{
    scene_forget(&left.scene);
    put(left.scene.path, left.files[0], left.sizes[0]);
    put(left.log, left.files[1], left.sizes[1]);
}

static void
restore_sealed(void)
{
    scene_forget(&left.scene);
    put(left.scene.path, left.files[2], left.sizes[2]);
    put(left.seal, left.files[3], left.sizes[3]);
}

static void
expect_what_the_log_says(const char *row)
{
    scene_open(&left.scene);
    scene_close(&left.scene);
    AW_CLEANUP(aw_free) char *found = scene_dump(&left.scene);
    if (strcmp(found, left.expected) != 0)
        fail_msg("%s: the ledger is not what the log says", row);
}

/* Bits of what an orderly end left are found by the seal, whatever they are; of what a kill left,
 * by the write-ahead log's checksums. */
static void
attack_104_a_bit_that_flips_in_a_file_of_the_ledger(void **state)
{
    static const char *const names[] = {
        "database", "its write-ahead log", "a database that was closed", "its seal"};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(left.files) * FLIPS; i++) {
        size_t which = i / FLIPS;
        size_t at = (left.sizes[which] - 1) * (i % FLIPS) / FLIPS + (which == 3 ? 0 : i * 37 % 64);
        const char *paths[] = {left.scene.path, left.log, left.scene.path, left.seal};
        char row[64];

        if (which < 2)
            restore();
        else
            restore_sealed();
        left.files[which][at] ^= (char)(1 << i % 8);
        put(paths[which], left.files[which], left.sizes[which]);
        left.files[which][at] ^= (char)(1 << i % 8);
        snprintf(row, sizeof(row), "%s, octet %zu", names[which], at);
        expect_what_the_log_says(row);
        if (which >= 2 && !left.scene.recovery.rebuilt)
            fail_msg("%s: believed", row);
    }
}

static void
lose_log(void)
{
    assert_int_equal(unlink(left.log), 0);
}

static void
cut_log(void)
{
    assert_int_equal(truncate(left.log, (off_t)left.sizes[1] - 1000), 0);
}

static void
empty_log(void)
{
    assert_int_equal(truncate(left.log, 0), 0);
}

static void
lose_database(void)
{
    assert_int_equal(unlink(left.scene.path), 0);
}

static void
empty_database(void)
{
    assert_int_equal(truncate(left.scene.path, 0), 0);
}

static const struct {
    const char *name;
    void (*damage)(void);
} losses[] = {
    {"nothing", restore},
    {"the write-ahead log is lost", lose_log},
    {"it is cut", cut_log},
    {"it is empty", empty_log},
    {"the database is lost", lose_database},
    {"it is empty", empty_database},
};

static void
attack_104_a_file_of_the_ledger_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(losses); i++) {
        restore();
        losses[i].damage();
        expect_what_the_log_says(losses[i].name);
    }
}

/* Nobody's doing but a person's: so a person has to undo it, and is told of what. */
static void
a_folder_in_the_place_of_a_file_is_refused(void **state)
{
    const char *const paths[] = {left.scene.path, left.log};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(paths); i++) {
        restore();
        assert_int_equal(unlink(paths[i]), 0);
        assert_int_equal(mkdir(paths[i], 0750), 0);
        aw_result r = scene_try_open(&left.scene);
        if (aw_ok(r) || strstr(aw_error_last()->message, left.scene.path) == NULL ||
            aw_error_last()->hint[0] == '\0')
            fail_msg("%s: %s (%s)", paths[i], aw_ok(r) ? "opened" : aw_error_last()->message,
                aw_error_last()->hint);
        scene_close(&left.scene);
        assert_int_equal(rmdir(paths[i]), 0);
        expect_what_the_log_says(paths[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_104_a_bit_that_flips_in_a_file_of_the_ledger),
        cmocka_unit_test(attack_104_a_file_of_the_ledger_is_lost),
        cmocka_unit_test(a_folder_in_the_place_of_a_file_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
