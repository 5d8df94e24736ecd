/* Out of memory at every allocation that the C library and its services make for a look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/nss.h"
#include "tests/faults/memory.h"

/* The C library (2.36) ends the process when it can't read nsswitch.conf for want of memory, which
 * it does once: with enough here. */
static void
begin(void)
{
    bool found = false;
    uint32_t id = 0;

    assert_true(aw_ok(aw_nss_user("daemon", &found, &id)) && found);
    assert_true(aw_ok(aw_nss_group("daemon", &found, &id)) && found);
}

static void
who_exists_is_never_told_not_to(void **state)
{
    static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};
    static const char *const names[] = {"daemon", "no-such-user"};
    enum { ROWS = 2 * 2 * AW_COUNT(names) };

    (void)state;
    begin();
    for (size_t i = 0; i < ROWS; i++) {
        bool group = i % 2 == 1, exists = i / 4 == 0, failed = true;

        for (long n = 1; failed; n++) {
            const char *name = names[i / 4];
            bool found = false;
            uint32_t id = 0;

            assert_true(n < 1000);
            memory_fail_at(n, failures[i / 2 % 2]);
            aw_result r = group ? aw_nss_group(name, &found, &id) : aw_nss_user(name, &found, &id);
            failed = memory_fail_end();
            if (aw_ok(r) ? found != exists : !failed || r.code != AW_CODE_MEMORY)
                fail_msg("%s, row %zu, allocation %ld: %s", name, i, n,
                    aw_ok(r) ? "told wrong" : aw_error_last()->message);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_exists_is_never_told_not_to)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
