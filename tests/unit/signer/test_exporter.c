/* The folder for checkpoints: a share that hangs is told, whatever was asked of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/exporter.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hangs, asked;
} share = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

DIR *__real_opendir(const char *name);
DIR *__wrap_opendir(const char *name);

DIR *
__wrap_opendir(const char *name)
{
    pthread_mutex_lock(&share.lock);
    share.asked = true;
    pthread_cond_broadcast(&share.changed);
    while (share.hangs)
        pthread_cond_wait(&share.changed, &share.lock);
    pthread_mutex_unlock(&share.lock);
    return __real_opendir(name);
}

static void
set_hangs(bool hangs)
{
    pthread_mutex_lock(&share.lock);
    share.hangs = hangs;
    pthread_cond_broadcast(&share.changed);
    pthread_mutex_unlock(&share.lock);
}

static void
wait_until_asked(void)
{
    pthread_mutex_lock(&share.lock);
    while (!share.asked)
        pthread_cond_wait(&share.changed, &share.lock);
    pthread_mutex_unlock(&share.lock);
}

/* The seconds of "... has not answered for 3 s", -1 for another text. */
static long
seconds_of(const char *message)
{
    const char *at = strstr(message, "has not answered for ");

    return at == NULL ? -1 : strtol(at + strlen("has not answered for "), NULL, 10);
}

/* It hangs while nothing is to be written, as it mostly would. */
static void
a_folder_that_hangs_while_its_files_are_counted(void **state)
{
    char folder[] = "/tmp/aw-exporter-XXXXXX";
    AW_CLEANUP(aw_free) char *path = NULL;
    struct exporter_state how;
    exporter *e = NULL;
    int64_t ticket = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    set_hangs(true);
    assert_int_equal(exporter_open(folder, &e).code, AW_CODE_OK);
    wait_until_asked();
    assert_int_equal(exporter_give(e, "note\n", 7, &ticket).code, AW_CODE_OK);
    assert_int_equal(exporter_wait(e, ticket).code, AW_CODE_IO);
    assert_in_range(seconds_of(aw_error_last()->message), 2, 20);
    exporter_state(e, &how);
    assert_in_range(seconds_of(how.message), 2, 20);
    set_hangs(false);
    assert_int_equal(exporter_wait(e, ticket).code, AW_CODE_OK);
    exporter_state(e, &how);
    assert_string_equal(how.message, "");
    assert_int_equal(how.exported, 7);
    exporter_close(&e);
    assert_int_equal(
        aw_format(&path, "%s/checkpoint-0000000000000000007", folder).code, AW_CODE_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_that_hangs_while_its_files_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
