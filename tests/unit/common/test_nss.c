/* Users and groups: "there is none" is told only where the system could look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>

#include "common/nss.h"

/* What the C library answers next, once each: an errno, or REAL for what it really says. */
enum { REAL = -1, ANSWERS = 4 };
static int answers[ANSWERS];
static int asked;
static int otherwise; /* when these are used up */

static int
next_answer(void)
{
    return asked < ANSWERS ? answers[asked++] : otherwise;
}

int __real_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found);
int __wrap_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found);
int __real_getgrnam_r(
    const char *name, struct group *entry, char *buffer, size_t size, struct group **found);
int __wrap_getgrnam_r(
    const char *name, struct group *entry, char *buffer, size_t size, struct group **found);

int
__wrap_getpwnam_r(
    const char *name, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
    int answer = next_answer();

    *found = NULL;
    return answer == REAL ? __real_getpwnam_r(name, entry, buffer, size, found) : answer;
}

int
__wrap_getgrnam_r(
    const char *name, struct group *entry, char *buffer, size_t size, struct group **found)
{
    int answer = next_answer();

    *found = NULL;
    return answer == REAL ? __real_getgrnam_r(name, entry, buffer, size, found) : answer;
}

/* Both databases: root is the name of a user and of a group. */
static aw_result
look_up(bool group, const char *name, bool *found, uint32_t *id)
{
    return group ? aw_nss_group(name, found, id) : aw_nss_user(name, found, id);
}

static void
set_answers(const int *list, int last)
{
    asked = list == NULL ? ANSWERS : 0;
    otherwise = last;
    if (list != NULL)
        memcpy(answers, list, sizeof(answers));
}

static void
no_such_user_is_not_could_not_look(void **state)
{
    enum verdict { FOUND, NONE, MEMORY, FAILURE };
    static const struct {
        const char *name, *user;
        int answers[ANSWERS];
        enum verdict verdict;
    } rows[] = {
        {"known", "root", {REAL, REAL, REAL, REAL}, FOUND},
        {"not known", "no-such-user", {REAL, REAL, REAL, REAL}, NONE},
        {"the empty name", "", {REAL, REAL, REAL, REAL}, NONE},
        {"no entry", "root", {0, 0, 0, 0}, NONE},
        {"no entry: ENOENT", "root", {ENOENT, ENOENT, 0, 0}, NONE},
        {"no entry: ESRCH", "root", {ESRCH, ESRCH, 0, 0}, NONE},
        {"no entry: EBADF", "root", {EBADF, EBADF, 0, 0}, NONE},
        {"no entry: EPERM", "root", {EPERM, EPERM, 0, 0}, NONE},
        {"a no of a later service", "root", {0, REAL, REAL, REAL}, FOUND},
        {"a no, then no memory", "root", {0, ENOMEM, 0, 0}, MEMORY},
        {"no memory", "root", {ENOMEM, REAL, REAL, REAL}, MEMORY},
        {"a disk that can't be read", "root", {EIO, REAL, REAL, REAL}, FAILURE},
        {"no descriptor", "root", {EMFILE, REAL, REAL, REAL}, FAILURE},
        {"no descriptor in the system", "root", {ENFILE, REAL, REAL, REAL}, FAILURE},
        {"a directory that is down", "root", {ECONNREFUSED, REAL, REAL, REAL}, FAILURE},
        {"a directory that is busy", "root", {EAGAIN, REAL, REAL, REAL}, FAILURE},
        {"an entry of many members", "root", {ERANGE, ERANGE, REAL, REAL}, FOUND},
    };
    static const char *const kinds[] = {"user", "group"};

    (void)state;
    for (size_t i = 0; i < 2 * AW_COUNT(rows); i++) {
        bool group = i % 2 == 1, found = false;
        uint32_t id = 1;

        set_answers(rows[i / 2].answers, REAL);
        aw_result r = look_up(group, rows[i / 2].user, &found, &id);
        enum verdict verdict = r.code == AW_CODE_MEMORY ? MEMORY
                               : !aw_ok(r)              ? FAILURE
                               : found                  ? FOUND
                                                        : NONE;
        if (verdict != rows[i / 2].verdict || (found && id != 0))
            fail_msg("%s %s: %d", kinds[group], rows[i / 2].name, verdict);
        if (!aw_ok(r))
            assert_non_null(strstr(aw_error_last()->message, kinds[group]));
    }
}

/* Growing has an end, which is a failure too. */
static void
an_entry_without_end_is_no_answer(void **state)
{
    bool found = false;
    uint32_t id = 1;

    (void)state;
    set_answers(NULL, ERANGE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(look_up(i == 1, "root", &found, &id).code, AW_CODE_IO);
}

/* With the real C library and whatever services this machine has. */
static void
without_descriptors_nobody_is_told_not_to_exist(void **state)
{
    static const char *const names[] = {"root", "no-such-user"};
    struct rlimit before, none;

    (void)state;
    set_answers(NULL, REAL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    for (size_t i = 0; i < 2 * AW_COUNT(names); i++) {
        bool found = false;
        uint32_t id = 1;

        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        aw_result r = look_up(i % 2 == 1, names[i / 2], &found, &id);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (aw_ok(r) && !(found && id == 0))
            fail_msg("%s %zu: told not to exist", names[i / 2], i % 2);
        if (!aw_ok(r))
            assert_int_equal(aw_error_last()->cause_number, EMFILE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_such_user_is_not_could_not_look),
        cmocka_unit_test(an_entry_without_end_is_no_answer),
        cmocka_unit_test(without_descriptors_nobody_is_told_not_to_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
