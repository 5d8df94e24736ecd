/* The index against a plain list: colliding keys, crowded chains, its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/index.h"
#include "support.h"

/* A slot keeps ten bits of a hash: among this many tables some keys agree in them and meet in one
 * place. */
enum { ROUNDS = 60000, CROWD = 9, MEMBERS = CROWD + 3 };

static void
add(struct policy_index *index, const char *text, uint16_t owner)
{
    uint32_t head;

    assert_true(aw_ok(policy_index_add(index, CLAIM_EXACT, text)));
    assert_true(aw_ok(policy_index_link(index, (uint32_t)index->count - 1, owner, &head)));
}

/* Attack 80: what only begins like a listed name is not it, whatever its hash. */
static void
a_beginning_of_a_name_is_not_the_name(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        AW_CLEANUP(policy_index_free) struct policy_index index = {0};
        char listed[72], asked[64];

        snprintf(asked, sizeof(asked), "h%d.example.ed", i);
        snprintf(listed, sizeof(listed), "%su", asked);
        assert_true(aw_ok(policy_index_open(&index)));
        add(&index, listed, 1);
        assert_true(aw_ok(policy_index_close(&index)));
        struct policy_index_key there = policy_index_key_of(listed);
        struct policy_index_key not_there = policy_index_key_of(asked);
        assert_int_equal(policy_index_find(&index, CLAIM_EXACT, &there), 0);
        assert_int_equal(policy_index_find(&index, CLAIM_EXACT, &not_there), CLAIM_NONE);
        assert_int_equal(policy_index_find(&index, CLAIM_DENY, &there), CLAIM_NONE);
    }
}

/* Two names that many share: owners 0 on share the first, owners 3 on the second. */
static void
a_crowd_is_told_apart_by_name_and_owner(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS / 4; i++) {
        AW_CLEANUP(policy_index_free) struct policy_index index = {0};
        char names[2][64];

        assert_true(aw_ok(policy_index_open(&index)));
        for (int n = 0; n < 2; n++) {
            snprintf(names[n], sizeof(names[n]), "n%d-%d.example.edu", n, i);
            for (uint16_t owner = CROWD; owner > 0; owner--)
                add(&index, names[n], (uint16_t)(owner - 1 + 3 * n));
        }
        assert_true(aw_ok(policy_index_close(&index)));
        assert_true(index.crowded_count > 0);
        for (uint16_t at = 0; at < 2 * (MEMBERS + 2); at++) {
            int n = at % 2, owner = at / 2;
            struct policy_index_key key = policy_index_key_of(names[n]);
            uint32_t claim = policy_index_find_own(&index, CLAIM_EXACT, &key, (uint16_t)owner);
            bool listed = owner >= 3 * n && owner < 3 * n + CROWD;

            if ((claim != CLAIM_NONE) != listed)
                fail_msg("%s of owner %d", names[n], owner);
            if (listed)
                assert_true(
                    index.owners[claim] == owner && strcmp(index.texts[claim], names[n]) == 0);
        }
    }
}

static void
more_claims_than_a_slot_can_number_are_refused(void **state)
{
    AW_CLEANUP(policy_index_free) struct policy_index index = {0};
    aw_result r = AW_OK;

    (void)state;
    while (aw_ok(r) && index.count <= INDEX_CLAIMS_MAX)
        r = policy_index_add(&index, CLAIM_EXACT, "a.example.edu");
    assert_int_equal(r.code, AW_CODE_LIMIT);
    assert_int_equal(index.count, INDEX_CLAIMS_MAX);
}

/* No name that was parsed has so many labels; what does is cut, and read no further. */
static void
labels_beyond_all_names_are_not_looked_up(void **state)
{
    struct policy_index_suffixes suffixes;
    char name[2 * (INDEX_LABELS_MAX + 10)];

    (void)state;
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 2 == 0 ? 'a' : '.';
    policy_index_suffixes_of(name, sizeof(name) - 1, &suffixes);
    assert_int_equal(suffixes.count, INDEX_LABELS_MAX);
    assert_int_equal(suffixes.keys[0].length, 2 * INDEX_LABELS_MAX - 1);
    assert_int_equal(suffixes.keys[INDEX_LABELS_MAX - 1].length, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_beginning_of_a_name_is_not_the_name),
        cmocka_unit_test(a_crowd_is_told_apart_by_name_and_owner),
        cmocka_unit_test(more_claims_than_a_slot_can_number_are_refused),
        cmocka_unit_test(labels_beyond_all_names_are_not_looked_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
