/* Freezes of applications: what counts, what is on disk, what a start makes of the file. */
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

#include "common/io.h"
#include "signer/freezes.h"

#define FILE_NAME "frozen-applications.json"

struct place {
    char folder[64], file[96];
    freezes *freezes;
};

static int
setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    snprintf(p->folder, sizeof(p->folder), "/tmp/aw-freezes-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->file, sizeof(p->file), "%s/" FILE_NAME, p->folder);
    assert_true(aw_ok(freezes_open(p->folder, &p->freezes)));
    *state = p;
    return 0;
}

static int
teardown(void **state)
{
    struct place *p = *state;

    freezes_free(&p->freezes);
    assert_null(p->freezes);
    freezes_free(&p->freezes);
    unlink(p->file);
    rmdir(p->file); /* where a test put a folder in its place */
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return 0;
}

static void
open_again(struct place *p)
{
    freezes_free(&p->freezes);
    assert_true(aw_ok(freezes_open(p->folder, &p->freezes)));
}

static void
a_freeze_counts_at_once_and_survives(void **state)
{
    struct place *p = *state;
    struct freeze found;
    struct stat st;

    assert_false(freezes_find(p->freezes, "a", NULL));
    assert_int_equal(access(p->file, F_OK), -1);
    assert_true(aw_ok(freezes_add(p->freezes, "a", "stolen", 100)));
    assert_true(aw_ok(freezes_add(p->freezes, "b", "", 200)));
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    for (int i = 0; i < 2; i++) {
        assert_true(freezes_find(p->freezes, "a", &found));
        assert_string_equal(found.reason, "stolen");
        assert_int_equal(found.since, 100);
        assert_true(freezes_get(p->freezes, 1, &found));
        assert_string_equal(found.application, "b");
        assert_false(freezes_get(p->freezes, 2, &found));
        assert_false(freezes_find(p->freezes, "ab", NULL));
        open_again(p);
    }
    /* Another reason, the same day. */
    assert_true(aw_ok(freezes_add(p->freezes, "a", "found", 300)));
    assert_true(freezes_get(p->freezes, 0, &found));
    assert_string_equal(found.reason, "found");
    assert_int_equal(found.since, 100);
    assert_false(freezes_get(p->freezes, 2, &found));
}

static void
lifting_takes_one_away(void **state)
{
    struct place *p = *state;

    for (char name[] = "a"; name[0] <= 'c'; name[0]++)
        assert_true(aw_ok(freezes_add(p->freezes, name, "r", 1)));
    assert_true(aw_ok(freezes_remove(p->freezes, "b")));
    assert_int_equal(freezes_remove(p->freezes, "b").code, AW_CODE_NOT_FOUND);
    for (int i = 0; i < 2; i++) {
        assert_true(freezes_find(p->freezes, "a", NULL));
        assert_false(freezes_find(p->freezes, "b", NULL));
        assert_true(freezes_find(p->freezes, "c", NULL));
        open_again(p);
    }
}

/* In doubt it is frozen: what can't be written counts until the next start, and is not lifted. */
static void
what_cannot_be_written_stays_frozen(void **state)
{
    struct place *p = *state;

    assert_true(aw_ok(freezes_add(p->freezes, "a", "r", 1)));
    assert_int_equal(unlink(p->file), 0);
    assert_int_equal(mkdir(p->file, 0700), 0);
    assert_false(aw_ok(freezes_add(p->freezes, "b", "r", 1)));
    assert_true(freezes_find(p->freezes, "b", NULL));
    assert_false(aw_ok(freezes_remove(p->freezes, "a")));
    assert_true(freezes_find(p->freezes, "a", NULL));
}

static void
there_is_an_end_to_them(void **state)
{
    struct place *p = *state;
    char name[16];

    /* Written by hand: a sync for each would take its time. */
    FILE *file = fopen(p->file, "w");
    assert_non_null(file);
    fputs("{\"applications\":[", file);
    for (int i = 0; i < FREEZES_MAX - 1; i++)
        fprintf(file, "{\"application\":\"a%d\",\"reason\":\"\",\"since\":1},", i);
    fputs("{\"application\":\"last\",\"reason\":\"\",\"since\":1}]}", file);
    assert_int_equal(fclose(file), 0);
    open_again(p);
    assert_int_equal(freezes_add(p->freezes, "more", "r", 1).code, AW_CODE_LIMIT);
    assert_non_null(strstr(aw_error_last()->hint, "freeze without --application"));
    assert_false(freezes_find(p->freezes, "more", NULL));
    assert_true(aw_ok(freezes_add(p->freezes, "last", "another reason", 1)));
    snprintf(name, sizeof(name), "a%d", FREEZES_MAX - 2);
    assert_true(freezes_find(p->freezes, name, NULL));
}

/* To sign for one that was frozen would be wrong, so there is no start. */
static void
a_file_that_cannot_be_read_is_no_empty_one(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"empty", ""},
        {"no JSON", "x"},
        {"cut", "{\"applications\":[{\"application\":\"a\""},
        {"no list", "{}"},
        {"another list", "{\"frozen\":[]}"},
        {"an empty name",
            "{\"applications\":[{\"application\":\"\",\"reason\":\"\",\"since\":1}]}"},
        {"no reason", "{\"applications\":[{\"application\":\"a\",\"since\":1}]}"},
        {"a member more",
            "{\"applications\":[{\"application\":\"a\",\"reason\":\"\",\"since\":1,\"x\":1}]}"},
        {"a name that is none",
            "{\"applications\":[{\"application\":1,\"reason\":\"\",\"since\":1}]}"},
        {"a time before all",
            "{\"applications\":[{\"application\":\"a\",\"reason\":\"\",\"since\":-1}]}"},
    };
    struct place *p = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        freezes *other = NULL;

        assert_true(aw_ok(aw_file_replace(p->file, rows[i].text, strlen(rows[i].text), 0640)));
        if (aw_ok(freezes_open(p->folder, &other)) || other != NULL)
            fail_msg("%s: read as freezes", rows[i].name);
        assert_non_null(strstr(aw_error_last()->hint, "is not known"));
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_freeze_counts_at_once_and_survives),
        TEST(lifting_takes_one_away),
        TEST(what_cannot_be_written_stays_frozen),
        TEST(there_is_an_end_to_them),
        TEST(a_file_that_cannot_be_read_is_no_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
