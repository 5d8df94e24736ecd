#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/secret.h"

/* The sanitizers' run time turns mlock into nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_WORKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MLOCK_WORKS 0
#endif
#endif
#ifndef MLOCK_WORKS
#define MLOCK_WORKS 1
#endif

static void
capacity_is_bounded(void **state)
{
    aw_secret *secret = NULL;

    (void)state;
    assert_int_equal(aw_secret_new(0, &secret).code, AW_CODE_LIMIT);
    assert_int_equal(aw_secret_new(AW_SECRET_MAX + 1, &secret).code, AW_CODE_LIMIT);
    assert_null(secret);
    aw_secret_free(&secret);
    aw_secret_free(NULL);
}

static void
append_stops_at_capacity(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    (void)state;
    assert_true(aw_ok(aw_secret_new(8, &secret)));
    assert_int_equal(secret->size, 0);
    assert_true(aw_ok(aw_secret_append(secret, NULL, 0)));
    assert_true(aw_ok(aw_secret_append(secret, "12345", 5)));
    assert_int_equal(aw_secret_append(secret, "6789", 4).code, AW_CODE_LIMIT);
    assert_int_equal(aw_secret_append(secret, "6789", SIZE_MAX).code, AW_CODE_LIMIT);
    assert_int_equal(secret->size, 5);
    assert_true(aw_ok(aw_secret_append(secret, "678", 3)));
    assert_true(aw_secret_equal(secret, "12345678", 8));
}

static void
equal_compares_all(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    (void)state;
    assert_true(aw_ok(aw_secret_new(8, &secret)));
    assert_true(aw_secret_equal(secret, "", 0));
    assert_true(aw_ok(aw_secret_append(secret, "abc", 3)));
    assert_true(aw_secret_equal(secret, "abc", 3));
    assert_false(aw_secret_equal(secret, "abd", 3));
    assert_false(aw_secret_equal(secret, "ab", 2));
    assert_false(aw_secret_equal(secret, "abcd", 4));
}

static void
wipe_leaves_zeros(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    static const uint8_t zeros[100];

    (void)state;
    assert_true(aw_ok(aw_secret_new(sizeof(zeros), &secret)));
    memset(secret->data, 0xa5, sizeof(zeros));
    secret->size = 3; /* what was beyond the size is wiped too */
    aw_secret_wipe(secret);
    assert_int_equal(secret->size, 0);
    assert_memory_equal(secret->data, zeros, sizeof(zeros));
}

/* proc(5), smaps: the VmFlags line of the mapping that begins at `address`. */
static bool
mapping_flags(const void *address, char *flags, int size)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    bool inside = false, found = false;
    char line[512];

    assert_non_null(maps);
    while (!found && fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t begin, end;
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            inside = (uintptr_t)address >= begin && (uintptr_t)address < end;
        found = inside && strncmp(line, "VmFlags:", 8) == 0;
    }
    fclose(maps);
    snprintf(flags, (size_t)size, "%s", found ? line : "");
    return found;
}

static void
pages_are_locked_not_dumped_not_forked(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    char flags[512];

    (void)state;
    assert_true(aw_ok(aw_secret_new(32, &secret)));
    if (!mapping_flags(secret->data, flags, sizeof(flags)))
        skip(); /* a kernel without VmFlags */
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " dc"));
    if (MLOCK_WORKS)
        assert_non_null(strstr(flags, " lo"));
}

/* 0: refused with the hint. Root may lock whatever the limit, so the child gives that up. */
static int
lock_without_allowance(void)
{
    const struct rlimit none = {0, 0};
    aw_secret *secret = NULL;

    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (getuid() == 0 && setuid(65534) != 0))
        return 2;
    aw_result r = aw_secret_new(32, &secret);
    return r.code == AW_CODE_PERMISSION && secret == NULL &&
                   strstr(aw_error_last()->hint, "LimitMEMLOCK") != NULL
               ? 0
               : 1;
}

static void
memory_that_cannot_be_locked_is_refused(void **state)
{
    int status;

    (void)state;
    if (!MLOCK_WORKS)
        skip();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(lock_without_allowance());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity_is_bounded),
        cmocka_unit_test(append_stops_at_capacity),
        cmocka_unit_test(equal_compares_all),
        cmocka_unit_test(wipe_leaves_zeros),
        cmocka_unit_test(pages_are_locked_not_dumped_not_forked),
        cmocka_unit_test(memory_that_cannot_be_locked_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
