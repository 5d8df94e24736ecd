/* Out of memory at every allocation of storing a certificate: what is installed stays as it is, and
 * the next run stores the next version. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "authority.h"
#include "client/store.h"
#include "store_place.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 200, READS_MAX = 1000 };

static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};

/* What is in live/NAME beside the four links and README: nothing, after a whole run. */
static void
assert_no_leftovers(struct place *place)
{
    DIR *folder = opendir(at(place, "live/" NAME));
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    assert_int_equal(count, 2 + 4 + 1);
}

/* Stores; true when no allocation failed any more. `code` is what came of it. */
static bool
try_write(struct place *place, const char *text, long n, enum memory_failure failure,
    enum aw_code *code, unsigned *version)
{
    struct marked m;

    mark(&m, text);
    memory_fail_at(n, failure);
    aw_result r = store_write(place->root, NAME, &m.version, version);
    bool failed = memory_fail_end();
    aw_secret_free(&m.key);
    *code = r.code;
    if (!aw_ok(r) && (!failed || r.code != AW_CODE_MEMORY))
        fail_msg("allocation %ld: %s", n, aw_error_last()->message);
    return !failed;
}

static void
what_is_installed_stays_without_memory(void **state)
{
    struct place *place = *state;
    char installed[32] = "first";

    write_marked(place, installed);
    for (size_t i = 0; i < AW_COUNT(failures); i++) {
        bool whole = false;

        for (long n = 1; !whole; n++) {
            enum aw_code code;
            unsigned version = 0;
            char text[32];

            assert_true(n < TRIES_MAX);
            snprintf(text, sizeof(text), "%zu.%ld", i, n);
            whole = try_write(place, text, n, failures[i], &code, &version);
            if (code == AW_CODE_OK)
                memcpy(installed, text, sizeof(installed));
            assert_live(place, installed);
            assert_true(whole || code != AW_CODE_OK || version > 0);
        }
        snprintf(installed, sizeof(installed), "again %zu", i);
        write_marked(place, installed);
        assert_live(place, installed);
        assert_no_leftovers(place);
    }
}

/* A first certificate: nothing looks as if it had been issued, and the next run makes it. */
static void
a_first_version_is_whole_or_not_there(void **state)
{
    struct place *place = *state;
    bool whole = false;

    for (long n = 1; !whole; n++) {
        enum aw_code code;
        unsigned version = 0;

        assert_true(n < TRIES_MAX);
        whole = try_write(place, "new", n, MEMORY_FAILS_ONCE, &code, &version);
        if (code == AW_CODE_OK)
            assert_live(place, "new");
        else
            assert_int_not_equal(access(at(place, "live/" NAME "/privkey.pem"), F_OK), 0);
        /* 2 too where the key was written, and the links were not. */
        assert_in_range(write_marked(place, "next"), code == AW_CODE_OK ? 2 : 1, 2);
        assert_live(place, "next");
        assert_no_leftovers(place);
        empty_place(place);
    }
}

/* A run that ends before anything is stored leaves no folders of that name, without memory too. */
static void
a_run_that_stores_nothing_leaves_nothing(void **state)
{
    struct place *place = *state;
    bool failed = true;

    for (size_t i = 0; i < AW_COUNT(failures); i++, failed = true)
        for (long n = 1; failed; n++) {
            store *s = NULL;

            assert_true(n < TRIES_MAX);
            memory_fail_at(n, failures[i]);
            aw_result r = store_open(place->root, NAME, &s);
            store_close(&s);
            failed = memory_fail_end();
            assert_true(aw_ok(r) || (failed && r.code == AW_CODE_MEMORY));
            assert_int_not_equal(access(at(place, "live/" NAME), F_OK), 0);
            assert_int_not_equal(access(at(place, "archive/" NAME), F_OK), 0);
        }
}

/* What is shown of a stored certificate: nothing that is good is told to be damaged, and nothing
 * that is damaged to be good. */
static void
reading_tells_no_fault_that_is_none(void **state)
{
    struct place *place = *state;
    struct party leaf = authority_make(
        NULL, &(struct wish){.subject = "a.example.edu", .san = "DNS:a.example.edu"});
    char *pem = authority_pem(leaf.certificate), *key = authority_key_pem(leaf.key);

    assert_int_equal(write_marked(place, "first"), 1);
    put(place, "archive/" NAME "/privkey1.pem", key, 0600);
    put(place, "archive/" NAME "/cert1.pem", pem, 0644);
    put(place, "archive/" NAME "/fullchain1.pem", pem, 0644);
    put(place, "archive/" NAME "/chain1.pem", "", 0644);
    for (size_t i = 0; i < 2 * AW_COUNT(failures); i++) {
        bool damaged = i >= AW_COUNT(failures), failed = true;

        if (damaged)
            put(place, "archive/" NAME "/fullchain1.pem", "scrap", 0644);
        memory_places_forget();
        for (long n = 1; failed; n++) {
            struct store_entry entry = {.name = NULL};

            assert_true(n < READS_MAX);
            memory_fail_at_new_place(MEMORY_PLACE_OURS, failures[i % 2]);
            aw_result r = store_read(place->root, NAME, &entry);
            failed = memory_fail_end();
            if (aw_ok(r) ? (entry.fault != NULL) != damaged : !failed || r.code != AW_CODE_MEMORY)
                fail_msg("row %zu, try %ld: %s", i, n,
                    !aw_ok(r)             ? aw_error_last()->message
                    : entry.fault == NULL ? "told to be good"
                                          : entry.fault);
            store_entry_free(&entry);
        }
    }
    free(pem);
    free(key);
    authority_free(&leaf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(what_is_installed_stays_without_memory),
        IN_PLACE(a_first_version_is_whole_or_not_there),
        IN_PLACE(a_run_that_stores_nothing_leaves_nothing),
        IN_PLACE(reading_tells_no_fault_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
