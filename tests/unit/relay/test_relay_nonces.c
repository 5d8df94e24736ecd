/* Nonces: each is given once and taken once; floods and a signer that is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay_world.h"

static struct relay_world world;

static int
set_up(void **state)
{
    (void)state;
    relay_world_open(&world);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    relay_world_close(&world);
    return 0;
}

static void
give(enum relay_nonce_kind kind, char out[RELAY_NONCE_SIZE])
{
    assert_true(aw_ok(relay_nonces_give(world.relay.nonces, world.relay.signer, kind, out)));
}

static void
each_is_taken_once(void **state)
{
    char first[RELAY_NONCE_SIZE], second[RELAY_NONCE_SIZE];

    (void)state;
    give(RELAY_NONCE_ASKED, first);
    give(RELAY_NONCE_SIGNED, second);
    assert_string_not_equal(first, second);
    assert_true(relay_nonces_use(world.relay.nonces, first));
    assert_false(relay_nonces_use(world.relay.nonces, first));
    assert_true(relay_nonces_use(world.relay.nonces, second));
    assert_false(relay_nonces_use(world.relay.nonces, second));
    assert_false(relay_nonces_use(world.relay.nonces, "never-given"));
}

/* What is in stock is nobody's yet. */
static void
one_in_stock_is_not_good(void **state)
{
    char nonce[RELAY_NONCE_SIZE];

    (void)state;
    give(RELAY_NONCE_ASKED, nonce);
    assert_string_equal(nonce, "nonce-000255");
    assert_false(relay_nonces_use(world.relay.nonces, "nonce-000254"));
}

/* After the signer was started anew; whoever has old ones at hand drops nothing more. */
static void
drops_a_stock_that_the_signer_does_not_know(void **state)
{
    char nonce[RELAY_NONCE_SIZE];

    (void)state;
    give(RELAY_NONCE_ASKED, nonce);
    relay_nonces_drop(world.relay.nonces);
    assert_false(relay_nonces_ready(world.relay.nonces));
    give(RELAY_NONCE_ASKED, nonce);
    assert_string_equal(nonce, "nonce-000511");
    relay_nonces_drop(world.relay.nonces);
    assert_true(relay_nonces_ready(world.relay.nonces));
}

static void
a_flood_of_requests_for_nonces_leaves_those_of_signed_answers(void **state)
{
    char mine[RELAY_NONCE_SIZE], oldest[RELAY_NONCE_SIZE], nonce[RELAY_NONCE_SIZE];

    (void)state;
    give(RELAY_NONCE_SIGNED, mine);
    give(RELAY_NONCE_ASKED, oldest);
    for (int i = 0; i < RELAY_NONCES_GIVEN; i++)
        give(RELAY_NONCE_ASKED, nonce);
    assert_false(relay_nonces_use(world.relay.nonces, oldest));
    assert_true(relay_nonces_use(world.relay.nonces, nonce));
    assert_true(relay_nonces_use(world.relay.nonces, mine));
}

/* The ring comes round after every second nonce was used: nothing is lost or found twice. */
static void
the_ring_comes_round(void **state)
{
    char nonce[RELAY_NONCE_SIZE], kept[RELAY_NONCE_SIZE];

    (void)state;
    for (int i = 0; i < 3 * RELAY_NONCES_GIVEN; i++) {
        give(RELAY_NONCE_ASKED, nonce);
        if (i % 2 == 0 && !relay_nonces_use(world.relay.nonces, nonce))
            fail_msg("nonce %d is lost", i);
        if (i % 2 == 1)
            memcpy(kept, nonce, sizeof(kept));
    }
    assert_true(relay_nonces_use(world.relay.nonces, kept));
    assert_false(relay_nonces_use(world.relay.nonces, kept));
}

static void
batches_reach_the_signer_not_requests(void **state)
{
    char nonce[RELAY_NONCE_SIZE];

    (void)state;
    for (int i = 0; i < 10 * RELAY_NONCES_BATCH; i++)
        give(RELAY_NONCE_ASKED, nonce);
    assert_int_equal(world.calls, 10);
}

/* It is left alone for a while, however many ask. */
static void
a_signer_that_is_away(void **state)
{
    char nonce[RELAY_NONCE_SIZE];

    (void)state;
    world.fails = AW_CODE_UNAVAILABLE;
    for (int i = 0; i < 100; i++) {
        assert_false(aw_ok(
            relay_nonces_give(world.relay.nonces, world.relay.signer, RELAY_NONCE_ASKED, nonce)));
        assert_false(relay_nonces_low(world.relay.nonces));
        assert_false(relay_nonces_ready(world.relay.nonces));
    }
    assert_int_equal(world.calls, 1);
}

static void
nobody_waits_on_the_loop(void **state)
{
    char nonce[RELAY_NONCE_SIZE];

    (void)state;
    assert_true(relay_nonces_low(world.relay.nonces));
    assert_false(relay_nonces_low(world.relay.nonces)); /* said once */
    assert_false(aw_ok(relay_nonces_give(world.relay.nonces, NULL, RELAY_NONCE_ASKED, nonce)));
    assert_int_equal(world.calls, 0);
    assert_true(aw_ok(relay_nonces_fetch(world.relay.nonces, world.relay.signer)));
    assert_true(aw_ok(relay_nonces_give(world.relay.nonces, NULL, RELAY_NONCE_ASKED, nonce)));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_is_taken_once),
        TEST(drops_a_stock_that_the_signer_does_not_know),
        TEST(one_in_stock_is_not_good),
        TEST(a_flood_of_requests_for_nonces_leaves_those_of_signed_answers),
        TEST(the_ring_comes_round),
        TEST(batches_reach_the_signer_not_requests),
        TEST(a_signer_that_is_away),
        TEST(nobody_waits_on_the_loop),
    };
    return cmocka_run_group_tests_name("relay_nonces", tests, NULL, NULL);
}
