#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "signer/relay_nonces.h"

#define BASE "https://relay.example.edu:14443"
#define OTHER "https://relay.example.edu:14444"
enum { WINDOW = 4096 };

#define NOW INT64_C(1000000)

static void
expect(relay_nonces *n, const char *base, const char *nonce, int64_t now, enum relay_nonce worth)
{
    enum relay_nonce found = RELAY_NONCE_GOOD;

    assert_true(aw_ok(relay_nonces_use(n, base, nonce, now, &found)));
    assert_int_equal(found, worth);
}

/* Serial numbers of a window that is begun anew begin anywhere. */
static void
expect_ended(relay_nonces *n, const char *base, const char *nonce, int64_t now)
{
    enum relay_nonce found = RELAY_NONCE_GOOD;

    assert_true(aw_ok(relay_nonces_use(n, base, nonce, now, &found)));
    assert_true(found == RELAY_NONCE_UNKNOWN || found == RELAY_NONCE_OLD);
}

static void
make(relay_nonces *n, const char *base, int64_t now, char (*out)[RELAY_NONCE_SIZE], size_t count)
{
    assert_true(aw_ok(relay_nonces_make(n, base, now, out, count)));
}

static void
attack_89_a_nonce_is_good_once(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    char nonces[256][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, BASE, NOW, nonces, 256);
    for (size_t i = 0; i < 256; i++) {
        assert_int_equal(strlen(nonces[i]), RELAY_NONCE_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(nonces[i], nonces[j]);
    }
    for (size_t i = 256; i-- > 0;)
        expect(n, BASE, nonces[i], NOW + 1, RELAY_NONCE_GOOD);
    for (size_t i = 0; i < 256; i++)
        expect(n, BASE, nonces[i], NOW + 1, RELAY_NONCE_USED);
}

static void
one_that_is_given_back_is_good_again_once(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    char nonces[2][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, BASE, NOW, nonces, 2);
    expect(n, BASE, nonces[0], NOW, RELAY_NONCE_GOOD);
    expect(n, BASE, nonces[1], NOW, RELAY_NONCE_GOOD);
    relay_nonces_give_back(n, BASE, nonces[0]);
    relay_nonces_give_back(n, OTHER, nonces[1]);
    relay_nonces_give_back(n, BASE, "x");
    expect(n, BASE, nonces[0], NOW, RELAY_NONCE_GOOD);
    expect(n, BASE, nonces[0], NOW, RELAY_NONCE_USED);
    expect(n, BASE, nonces[1], NOW, RELAY_NONCE_USED);
}

static void
attack_a_nonce_of_another_relay_restart_or_nobody(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    AW_CLEANUP(relay_nonces_free) relay_nonces *after = NULL;
    char nonces[1][RELAY_NONCE_SIZE], others[1][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    assert_true(aw_ok(relay_nonces_new(WINDOW, &after)));
    make(n, BASE, NOW, nonces, 1);
    make(n, OTHER, NOW, others, 1);
    make(after, BASE, NOW, others, 1);
    expect(n, OTHER, nonces[0], NOW, RELAY_NONCE_UNKNOWN);
    expect(after, BASE, nonces[0], NOW, RELAY_NONCE_UNKNOWN);
    expect(n, BASE, "", NOW, RELAY_NONCE_UNKNOWN);
    expect(n, BASE, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NOW, RELAY_NONCE_UNKNOWN);
    for (size_t i = 0; i < RELAY_NONCE_SIZE - 1; i++) { /* every character counts */
        char altered[RELAY_NONCE_SIZE];
        memcpy(altered, nonces[0], sizeof(altered));
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        expect(n, BASE, altered, NOW, RELAY_NONCE_UNKNOWN);
    }
    expect(n, BASE, nonces[0], NOW, RELAY_NONCE_GOOD);
}

static void
a_nonce_lives_an_hour(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    char nonces[2][RELAY_NONCE_SIZE];
    const int64_t end = NOW + INT64_C(1000) * RELAY_NONCE_LIFETIME;

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, BASE, NOW, nonces, 2);
    expect(n, BASE, nonces[0], end, RELAY_NONCE_GOOD);
    expect(n, BASE, nonces[1], end + 1, RELAY_NONCE_OLD);
}

/* A flood of asking ends the older ones of that relay alone; none of them is good twice. */
static void
attack_a_flood_of_nonces_ends_its_own(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    static char flood[1024][RELAY_NONCE_SIZE];
    char first[2][RELAY_NONCE_SIZE], others[1][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, OTHER, NOW, others, 1);
    make(n, BASE, NOW, first, 2);
    expect(n, BASE, first[0], NOW, RELAY_NONCE_GOOD);
    for (size_t i = 0; i < WINDOW; i += 1024)
        make(n, BASE, NOW, flood, 1024);
    expect(n, BASE, first[0], NOW, RELAY_NONCE_OLD);
    expect(n, BASE, first[1], NOW, RELAY_NONCE_OLD);
    expect(n, BASE, flood[0], NOW, RELAY_NONCE_GOOD);
    expect(n, OTHER, others[0], NOW, RELAY_NONCE_GOOD);
}

/* A place of the table is kept for the newest serial number that has it. */
static void
attack_89_what_left_the_window_frees_nothing_in_it(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    static char flood[1024][RELAY_NONCE_SIZE];
    char oldest[1][RELAY_NONCE_SIZE], next[1][RELAY_NONCE_SIZE], some[1][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, BASE, NOW, oldest, 1);
    for (size_t left = WINDOW - 1; left > 0; left -= left > 1024 ? 1024 : left)
        make(n, BASE, NOW, flood, left > 1024 ? 1024 : left);
    expect(n, BASE, oldest[0], NOW, RELAY_NONCE_GOOD);
    relay_nonces_give_back(n, BASE, oldest[0]);
    expect(n, BASE, oldest[0], NOW, RELAY_NONCE_GOOD);
    make(n, BASE, NOW, next, 1);
    expect(n, BASE, oldest[0], NOW, RELAY_NONCE_OLD);
    expect(n, BASE, next[0], NOW, RELAY_NONCE_GOOD);
    relay_nonces_give_back(n, BASE, oldest[0]);
    expect(n, BASE, next[0], NOW, RELAY_NONCE_USED);
    for (int i = 0; i < RELAY_NONCE_BASES_MAX; i++) {
        char base[64] = BASE "/";
        base[strlen(base)] = (char)(' ' + i);
        make(n, base, NOW + 1 + i, some, 1);
    }
    relay_nonces_give_back(n, BASE, next[0]);
    expect(n, BASE, next[0], NOW, RELAY_NONCE_UNKNOWN);
}

/* More base URLs than are kept: the one asked for longest ago goes, with its nonces. */
static void
relays_do_not_grow_the_table(void **state)
{
    AW_CLEANUP(relay_nonces_free) relay_nonces *n = NULL;
    char first[1][RELAY_NONCE_SIZE], second[1][RELAY_NONCE_SIZE], some[1][RELAY_NONCE_SIZE];

    (void)state;
    assert_true(aw_ok(relay_nonces_new(WINDOW, &n)));
    make(n, BASE, NOW, first, 1);
    make(n, OTHER, NOW + 1, second, 1);
    for (int i = 0; i < RELAY_NONCE_BASES_MAX - 1; i++) {
        char base[64] = BASE "/";
        base[strlen(base)] = (char)(' ' + i);
        make(n, base, NOW + 2 + i, some, 1);
    }
    expect(n, BASE, first[0], NOW + 3, RELAY_NONCE_UNKNOWN);
    expect(n, OTHER, second[0], NOW + 3, RELAY_NONCE_GOOD);
    make(n, BASE, NOW + 100, some, 1);
    expect_ended(n, BASE, first[0], NOW + 101);
    expect(n, BASE, some[0], NOW + 101, RELAY_NONCE_GOOD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_89_a_nonce_is_good_once),
        cmocka_unit_test(one_that_is_given_back_is_good_again_once),
        cmocka_unit_test(attack_a_nonce_of_another_relay_restart_or_nobody),
        cmocka_unit_test(a_nonce_lives_an_hour),
        cmocka_unit_test(attack_a_flood_of_nonces_ends_its_own),
        cmocka_unit_test(attack_89_what_left_the_window_frees_nothing_in_it),
        cmocka_unit_test(relays_do_not_grow_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
