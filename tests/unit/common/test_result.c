#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "common/result.h"

static void
codes_have_tags_of_their_own(void **state)
{
    (void)state;
    for (int a = AW_CODE_OK; a <= AW_CODE_INTERNAL; a++) {
        assert_true(aw_code_tag(a)[0] != '\0');
        for (int b = AW_CODE_OK; b < a; b++)
            assert_string_not_equal(aw_code_tag(a), aw_code_tag(b));
    }
}

/* The exit codes that the programs promise. */
static void
codes_exit_as_promised(void **state)
{
    static const struct {
        enum aw_code code;
        int exit_code;
    } rows[] = {
        {AW_CODE_OK, 0},
        {AW_CODE_IO, 1},
        {AW_CODE_USAGE, 2},
        {AW_CODE_CONFIG, 2},
        {AW_CODE_REFUSED, 3},
        {AW_CODE_CA_REFUSED, 4},
        {AW_CODE_CA_UNAVAILABLE, 1},
        {AW_CODE_UNAVAILABLE, 5},
        {AW_CODE_TOKEN_PIN, 5},
        {AW_CODE_FROZEN, 5},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (aw_code_exit(rows[i].code) != rows[i].exit_code)
            fail_msg("%s: exit code %d", aw_code_tag(rows[i].code), aw_code_exit(rows[i].code));
}

static void
errno_chooses_the_code_of_io_failures(void **state)
{
    static const struct {
        const char *name;
        int number;
        enum aw_code asked, code;
    } rows[] = {
        {"ENOMEM", ENOMEM, AW_CODE_IO, AW_CODE_MEMORY},
        {"EACCES", EACCES, AW_CODE_IO, AW_CODE_PERMISSION},
        {"EPERM", EPERM, AW_CODE_IO, AW_CODE_PERMISSION},
        {"ENOENT", ENOENT, AW_CODE_IO, AW_CODE_NOT_FOUND},
        {"EEXIST", EEXIST, AW_CODE_IO, AW_CODE_EXISTS},
        {"ENOSPC", ENOSPC, AW_CODE_IO, AW_CODE_IO},
        {"another code stays", ENOENT, AW_CODE_UNAVAILABLE, AW_CODE_UNAVAILABLE},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        errno = rows[i].number;
        aw_result r = aw_fail_errno(rows[i].asked, "can't open %s", "x");
        const struct aw_error *error = aw_error_last();
        if (r.code != rows[i].code || error->code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        assert_int_equal(error->cause, AW_CAUSE_ERRNO);
        assert_int_equal(error->cause_number, rows[i].number);
        assert_non_null(strstr(error->message, strerror(rows[i].number)));
        assert_memory_equal(error->message, "can't open x: ", 14);
    }
}

static void
a_failure_is_never_ok(void **state)
{
    (void)state;
    assert_int_equal(aw_fail(AW_CODE_OK, "wrong use").code, AW_CODE_INTERNAL);
}

static void
context_goes_before_and_hint_beside(void **state)
{
    (void)state;
    aw_result r = aw_fail(AW_CODE_SYNTAX, "no %s", "colon");
    r = aw_hint(r, "add %s", "one");
    r = aw_context(r, "file %d", 7);
    assert_int_equal(r.code, AW_CODE_SYNTAX);
    assert_string_equal(aw_error_last()->message, "file 7: no colon");
    assert_string_equal(aw_error_last()->hint, "add one");
    r = aw_hint(r, "%s or two", aw_error_last()->hint);
    assert_string_equal(aw_error_last()->hint, "add one or two");
    r = aw_fail(r.code, "again: %s", aw_error_last()->message);
    assert_string_equal(aw_error_last()->message, "again: file 7: no colon");
    assert_string_equal(aw_error_last()->hint, "");
}

static void
success_is_left_alone(void **state)
{
    (void)state;
    aw_ignore(aw_fail(AW_CODE_IO, "old"), "the test's subject");
    assert_true(aw_ok(aw_hint(AW_OK, "hint")));
    assert_true(aw_ok(aw_context(AW_OK, "context")));
    assert_string_equal(aw_error_last()->message, "old");
    assert_string_equal(aw_error_last()->hint, "");
}

static void
long_texts_are_cut(void **state)
{
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    aw_result r = aw_fail(AW_CODE_IO, "%s", text);
    assert_int_equal(strlen(aw_error_last()->message), AW_ERROR_MESSAGE_SIZE - 1);
    errno = EIO;
    r = aw_hint(aw_fail_errno(AW_CODE_IO, "%s", text), "%s", text);
    r = aw_context(r, "%s", text);
    assert_true(strlen(aw_error_last()->message) < AW_ERROR_MESSAGE_SIZE);
    assert_int_equal(strlen(aw_error_last()->hint), AW_ERROR_HINT_SIZE - 1);
    assert_false(aw_ok(r));
}

static void
openssl_queue_is_emptied(void **state)
{
    (void)state;
    ERR_clear_error();
    assert_null(EVP_MD_fetch(NULL, "no-such-digest", NULL));
    assert_int_equal(aw_fail_openssl("can't hash").code, AW_CODE_CRYPTO);
    assert_int_equal(aw_error_last()->cause, AW_CAUSE_OPENSSL);
    assert_int_not_equal(aw_error_last()->cause_number, 0);
    assert_memory_equal(aw_error_last()->message, "can't hash: error:", 18);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(aw_fail_openssl("no cause").code, AW_CODE_CRYPTO);
    assert_string_equal(aw_error_last()->message, "no cause");
}

static void *
fail_in_thread(void *saved)
{
    aw_ignore(aw_fail_cause(AW_CODE_TOKEN, AW_CAUSE_CKR, 5, "general error"), "saved below");
    aw_error_save(saved);
    return NULL;
}

static void
each_thread_has_its_own_and_may_carry_it(void **state)
{
    struct aw_error saved;
    pthread_t thread;

    (void)state;
    aw_ignore(aw_fail(AW_CODE_IO, "mine"), "the test's subject");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_thread, &saved), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(aw_error_last()->message, "mine");
    assert_int_equal(aw_error_restore(&saved).code, AW_CODE_TOKEN);
    assert_string_equal(aw_error_last()->message, "general error");
    assert_int_equal(aw_error_last()->cause, AW_CAUSE_CKR);
    assert_int_equal(aw_error_last()->cause_number, 5);
}

static void
count_release(int **counter)
{
    if (*counter != NULL)
        ++**counter;
}

static aw_result
try_and_move(int *released, bool fails, int **moved)
{
    AW_CLEANUP(count_release) int *owned = released;

    AW_TRY(fails ? aw_fail(AW_CODE_BUSY, "later") : AW_OK);
    *moved = AW_MOVE(owned);
    return AW_OK;
}

static void
scope_releases_unless_moved(void **state)
{
    int released = 0;
    int *moved = NULL;

    (void)state;
    assert_int_equal(try_and_move(&released, true, &moved).code, AW_CODE_BUSY);
    assert_int_equal(released, 1);
    assert_null(moved);
    assert_true(aw_ok(try_and_move(&released, false, &moved)));
    assert_int_equal(released, 1);
    assert_ptr_equal(moved, &released);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_tags_of_their_own),
        cmocka_unit_test(codes_exit_as_promised),
        cmocka_unit_test(errno_chooses_the_code_of_io_failures),
        cmocka_unit_test(a_failure_is_never_ok),
        cmocka_unit_test(context_goes_before_and_hint_beside),
        cmocka_unit_test(success_is_left_alone),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(openssl_queue_is_emptied),
        cmocka_unit_test(each_thread_has_its_own_and_may_carry_it),
        cmocka_unit_test(scope_releases_unless_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
