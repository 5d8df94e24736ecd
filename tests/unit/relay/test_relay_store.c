/* The relay's store: steps of orders, what a kill leaves, damaged and foreign files, a full disk.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "relay/store.h"
#include "tests/faults/disk.h"

enum { NOW = 1800000000, YEAR = 366 * 86400 };

/* A folder with a store. */
struct place {
    char folder[32];
    char path[64];
    struct relay_store *store;
};

static void
place_open(struct place *p)
{
    memset(p, 0, sizeof(*p));
    snprintf(p->folder, sizeof(p->folder), "/tmp/aw-relay-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof(p->path), "%s/relay.db", p->folder);
    assert_true(aw_ok(relay_store_open(p->folder, &p->store)));
}

static void
place_close(struct place *p)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[80];

    relay_store_close(&p->store);
    for (size_t i = 0; i < AW_COUNT(suffixes); i++) {
        snprintf(path, sizeof(path), "%s%s", p->path, suffixes[i]);
        unlink(path);
    }
    rmdir(p->folder);
}

/* As after a kill: what was not stored by then is not there. Nothing is written at a close that a
 * kill would have left out but the WAL's checkpoint. */
static void
place_again(struct place *p)
{
    relay_store_close(&p->store);
    assert_true(aw_ok(relay_store_open(p->folder, &p->store)));
}

static void
add_order(struct place *p, int64_t ticket, enum order_state state, int64_t expires)
{
    struct stored_authorization authorizations[2] = {
        {.state = AUTHORIZATION_PENDING, .type = "http-01", .token = "tok-1"},
        {.state = AUTHORIZATION_PENDING, .type = "dns-01", .token = "tok-2"}};
    struct stored_order order = {.ticket = ticket,
        .account = 7,
        .application = (char[]){"app"},
        .state = state,
        .identifiers = (char[]){"[]"},
        .profile = (char[]){"short"},
        .url = (char[]){"https://ca/o"},
        .new_order = (char[]){"https://ca/new"},
        .document = (char[]){"{}"},
        .opened = NOW,
        .expires = expires,
        .authorizations = authorizations,
        .authorization_count = 2};

    assert_true(aw_ok(aw_name_parse_address("192.0.2.1", 9, &authorizations[0].name)));
    assert_true(aw_ok(aw_name_parse("*.example.edu", 13, &authorizations[1].name)));
    assert_true(aw_ok(relay_store_order_add(p->store, &order)));
}

static enum order_state
state_of(struct place *p, int64_t ticket)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    assert_true(aw_ok(relay_store_order(p->store, ticket, &order)));
    return order.state;
}

static bool
step(struct place *p, int64_t ticket, enum order_state from, enum order_state to)
{
    const struct order_step s = {ticket, from, to, "{\"p\":1}", "{\"e\":1}"};
    bool moved = false;

    assert_true(aw_ok(relay_store_order_move(p->store, &s, &moved)));
    return moved;
}

static bool
answer(struct place *p, size_t number, enum authorization_state to)
{
    const struct authorization_step s = {.ticket = 1,
        .number = number,
        .from = AUTHORIZATION_PENDING,
        .to = to,
        .challenge_from = CHALLENGE_PENDING,
        .challenge_to = to == AUTHORIZATION_VALID ? CHALLENGE_VALID : CHALLENGE_INVALID,
        .validated = NOW + 5,
        .problem = "{\"a\":1}",
        .order_problem = "{\"o\":1}"};
    bool moved = false;

    assert_true(aw_ok(relay_store_authorization_move(p->store, &s, &moved)));
    return moved;
}

/* An order is there with all it had, also after a start. */
static void
keeps_an_order(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_PENDING, NOW + 10);
    place_again(&p);
    assert_true(aw_ok(relay_store_order(p.store, 1, &order)));
    assert_int_equal(order.account, 7);
    assert_string_equal(order.application, "app");
    assert_string_equal(order.profile, "short");
    assert_null(order.not_before);
    assert_null(order.evidence);
    assert_string_equal(order.url, "https://ca/o");
    assert_int_equal(order.expires, NOW + 10);
    assert_int_equal(order.authorization_count, 2);
    assert_int_equal(order.authorizations[0].name.form, AW_NAME_ADDRESS);
    assert_string_equal(order.authorizations[1].name.text, "*.example.edu");
    assert_string_equal(order.authorizations[1].token, "tok-2");
    stored_order_free(&order);
    assert_int_equal(relay_store_order(p.store, 2, &order).code, AW_CODE_NOT_FOUND);
}

/* RFC 8555 7.1.6: every pair of states, once. */
static void
goes_by_the_table_only(void **state)
{
    static const char allowed[ORDER_STATES][ORDER_STATES + 1] = {
        /* to: pending ready processing valid invalid */
        [ORDER_PENDING] = ".x..x",
        [ORDER_READY] = "..x.x",
        [ORDER_PROCESSING] = ".x.xx",
        [ORDER_VALID] = ".....",
        [ORDER_INVALID] = ".....",
    };

    (void)state;
    for (int from = 0; from < ORDER_STATES; from++)
        for (int to = 0; to < ORDER_STATES; to++)
            if (order_may_move((enum order_state)from, (enum order_state)to) !=
                (allowed[from][to] == 'x'))
                fail_msg("from %s to %s", order_state_name((enum order_state)from),
                    order_state_name((enum order_state)to));
}

/* Killed after each step: the order is where the step left it, and each is taken once. */
static void
is_where_the_last_step_left_it(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    AW_CLEANUP(aw_free) char *pem = NULL;
    char *const chains[] = {(char[]){"first"}, (char[]){"second"}};
    const struct stored_certificate certificate = {
        "abcd", "AKI.serial", chains, 2, false, NOW + YEAR};
    int64_t ticket = 0;
    size_t count = 0;

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_READY, NOW + 10);
    assert_true(step(&p, 1, ORDER_READY, ORDER_PROCESSING));
    assert_false(step(&p, 1, ORDER_READY, ORDER_PROCESSING));
    place_again(&p);
    assert_int_equal(state_of(&p, 1), ORDER_PROCESSING);
    assert_true(aw_ok(relay_store_order(p.store, 1, &order)));
    assert_string_equal(order.evidence, "{\"e\":1}");
    assert_true(aw_ok(relay_store_finish(p.store, 1, &certificate)));
    assert_int_equal(relay_store_finish(p.store, 1, &certificate).code, AW_CODE_MISMATCH);
    place_again(&p);
    assert_true(aw_ok(relay_store_by_leaf(p.store, "abcd", &ticket)));
    assert_int_equal(ticket, 1);
    assert_true(aw_ok(relay_store_by_renewal(p.store, "AKI.serial", &ticket)));
    assert_int_equal(relay_store_by_leaf(p.store, "ab", &ticket).code, AW_CODE_NOT_FOUND);
    assert_int_equal(state_of(&p, 1), ORDER_VALID);
    assert_true(aw_ok(relay_store_chain(p.store, 1, 1, &pem, &count)));
    assert_string_equal(pem, "second");
    assert_int_equal(count, 2);
    free(AW_MOVE(pem));
    assert_int_equal(relay_store_chain(p.store, 1, 2, &pem, &count).code, AW_CODE_NOT_FOUND);
    stored_order_free(&order);
    assert_true(aw_ok(relay_store_order(p.store, 1, &order)));
    assert_null(order.evidence); /* it has done its work */
}

/* A certificate can be revoked with its key, and is asked about, to its end: not its order's. */
static void
keeps_a_certificate_to_its_end(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    char *const chains[] = {(char[]){"first"}};
    const struct stored_certificate certificate = {
        "abcd", "AKI.serial", chains, 1, true, NOW + YEAR};
    int64_t ticket = 0;

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_PROCESSING, NOW + 10);
    assert_true(aw_ok(relay_store_finish(p.store, 1, &certificate)));
    assert_true(aw_ok(relay_store_expire(p.store, NOW + YEAR)));
    assert_true(aw_ok(relay_store_by_leaf(p.store, "abcd", &ticket)));
    assert_true(aw_ok(relay_store_by_renewal(p.store, "AKI.serial", &ticket)));
    assert_true(aw_ok(relay_store_expire(p.store, NOW + YEAR + STORE_KEPT_SECONDS)));
    assert_int_equal(relay_store_by_leaf(p.store, "abcd", &ticket).code, AW_CODE_NOT_FOUND);
}

/* RFC 8555 7.1.6: an order is ready when all its authorizations are valid, and invalid with one. */
static void
follows_its_authorizations(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_PENDING, NOW + 10);
    assert_true(answer(&p, 1, AUTHORIZATION_VALID));
    assert_false(answer(&p, 1, AUTHORIZATION_VALID));
    assert_int_equal(state_of(&p, 1), ORDER_PENDING);
    place_again(&p);
    assert_true(answer(&p, 2, AUTHORIZATION_VALID));
    place_again(&p);
    assert_true(aw_ok(relay_store_order(p.store, 1, &order)));
    assert_int_equal(order.state, ORDER_READY);
    assert_int_equal(order.authorizations[0].validated, NOW + 5);
    assert_int_equal(order.authorizations[0].challenge, CHALLENGE_VALID);
}

static void
is_invalid_with_an_authorization(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_PENDING, NOW + 10);
    assert_true(answer(&p, 2, AUTHORIZATION_INVALID));
    assert_true(aw_ok(relay_store_order(p.store, 1, &order)));
    assert_int_equal(order.state, ORDER_INVALID);
    assert_string_equal(order.problem, "{\"o\":1}");
    assert_string_equal(order.authorizations[1].problem, "{\"a\":1}");
}

static void
lists_by_account_and_state(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    int64_t tickets[2];
    size_t count = 2;

    (void)state;
    place_open(&p);
    add_order(&p, 5, ORDER_READY, NOW + 10);
    add_order(&p, 2, ORDER_READY, NOW + 10);
    add_order(&p, 9, ORDER_PENDING, NOW + 10);
    assert_true(aw_ok(relay_store_orders_of(p.store, 7, 0, tickets, &count)));
    assert_int_equal(count, 2);
    assert_int_equal(tickets[0], 2);
    assert_int_equal(tickets[1], 5);
    assert_true(aw_ok(relay_store_orders_of(p.store, 7, 5, tickets, &count)));
    assert_int_equal(count, 1);
    assert_int_equal(tickets[0], 9);
    count = 2;
    assert_true(aw_ok(relay_store_orders_of(p.store, 8, 0, tickets, &count)));
    assert_int_equal(count, 0);
    count = 2;
    assert_true(aw_ok(relay_store_orders_in(p.store, ORDER_PENDING, 0, tickets, &count)));
    assert_int_equal(count, 1);
}

static void
begin_validation(struct place *p, int64_t ticket, size_t number)
{
    const struct authorization_step s = {.ticket = ticket,
        .number = number,
        .from = AUTHORIZATION_PENDING,
        .to = AUTHORIZATION_PENDING,
        .challenge_from = CHALLENGE_PENDING,
        .challenge_to = CHALLENGE_PROCESSING};
    bool moved = false;

    assert_true(aw_ok(relay_store_authorization_move(p->store, &s, &moved)));
    assert_true(moved);
}

/* Page by page, none is left out: after a start all of them go on. */
static void
lists_what_is_validated(void **state)
{
    static const struct authorization_place begun[] = {{2, 1}, {2, 2}, {9, 2}};
    AW_CLEANUP(place_close) struct place p;
    struct authorization_place after = {0}, found[2];
    size_t seen = 0;

    (void)state;
    place_open(&p);
    add_order(&p, 9, ORDER_PENDING, NOW + 10);
    add_order(&p, 2, ORDER_PENDING, NOW + 10);
    for (size_t i = 0; i < AW_COUNT(begun); i++)
        begin_validation(&p, begun[i].ticket, begun[i].number);
    place_again(&p);
    for (size_t count = AW_COUNT(found); count == AW_COUNT(found);) {
        assert_true(aw_ok(relay_store_validating(p.store, &after, found, &count)));
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(seen < AW_COUNT(begun));
            assert_int_equal(found[i].ticket, begun[seen].ticket);
            assert_int_equal(found[i].number, begun[seen].number);
            after = found[i];
        }
    }
    assert_int_equal(seen, AW_COUNT(begun));
}

/* What is under way at the CA does not expire here; the rest does, and is forgotten later. */
static void
expires_what_was_not_finalized(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    (void)state;
    place_open(&p);
    add_order(&p, 1, ORDER_READY, NOW);
    add_order(&p, 2, ORDER_PROCESSING, NOW);
    add_order(&p, 3, ORDER_READY, NOW + 1);
    assert_true(aw_ok(relay_store_expire(p.store, NOW)));
    assert_int_equal(state_of(&p, 1), ORDER_INVALID);
    assert_int_equal(state_of(&p, 2), ORDER_PROCESSING);
    assert_int_equal(state_of(&p, 3), ORDER_READY);
    assert_true(aw_ok(relay_store_expire(p.store, NOW + STORE_KEPT_SECONDS)));
    assert_int_equal(relay_store_order(p.store, 1, &order).code, AW_CODE_NOT_FOUND);
    assert_int_equal(state_of(&p, 2), ORDER_PROCESSING);
}

static void
keeps_contacts(void **state)
{
    AW_CLEANUP(place_close) struct place p;
    AW_CLEANUP(stored_account_free) struct stored_account account = {0};

    (void)state;
    place_open(&p);
    assert_int_equal(relay_store_account(p.store, 7, &account).code, AW_CODE_NOT_FOUND);
    assert_true(aw_ok(relay_store_account_put(p.store, 7, "[]", NOW)));
    assert_true(aw_ok(relay_store_account_put(p.store, 7, "[\"mailto:a@b\"]", NOW + 5)));
    place_again(&p);
    assert_true(aw_ok(relay_store_account(p.store, 7, &account)));
    assert_string_equal(account.contact, "[\"mailto:a@b\"]");
    assert_int_equal(account.created, NOW);
}

/* A file that is damaged, another program's, or open to others is not gone on with. */
static void
refuses_what_is_no_store(void **state)
{
    static const struct {
        const char *name, *bytes;
        enum aw_code code;
    } rows[] = {
        {"damaged", "SQLite format 3 and then nothing of it, for as long as a header is", 0},
        {"text", "this is not a database, and it is long enough to look like none of it.......",
            AW_CODE_CORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(place_close) struct place p;
        place_open(&p);
        relay_store_close(&p.store);
        assert_true(aw_ok(aw_file_replace(p.path, rows[i].bytes, strlen(rows[i].bytes), 0600)));
        aw_result r = relay_store_open(p.folder, &p.store);
        if (aw_ok(r) || (rows[i].code != AW_CODE_OK && r.code != rows[i].code))
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
    }
}

static void
refuses_a_folder_that_others_write(void **state)
{
    AW_CLEANUP(place_close) struct place p;

    (void)state;
    place_open(&p);
    relay_store_close(&p.store);
    assert_int_equal(chmod(p.folder, 0777), 0);
    assert_int_equal(relay_store_open(p.folder, &p.store).code, AW_CODE_PERMISSION);
}

/* An order that can't be made durable is not acknowledged, and the store goes on afterwards. */
static void
fails_with_a_full_disk(void **state)
{
    static const struct {
        const char *call, *suffix;
        int error;
    } rows[] = {
        {"pwrite", "relay.db-wal", ENOSPC},
        {"fdatasync", "relay.db-wal", EIO},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(place_close) struct place p;
        const struct order_step s = {.ticket = 1, .from = ORDER_READY, .to = ORDER_PROCESSING};
        bool moved = false;

        place_open(&p);
        add_order(&p, 1, ORDER_READY, NOW + 10);
        disk_fail(rows[i].call, rows[i].suffix, rows[i].error);
        aw_result r = relay_store_order_move(p.store, &s, &moved);
        assert_true(disk_fail_end() > 0);
        assert_false(aw_ok(r));
        assert_false(moved);
        assert_int_equal(state_of(&p, 1), ORDER_READY);
        assert_true(step(&p, 1, ORDER_READY, ORDER_PROCESSING));
        place_again(&p);
        assert_int_equal(state_of(&p, 1), ORDER_PROCESSING);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_an_order),
        cmocka_unit_test(goes_by_the_table_only),
        cmocka_unit_test(is_where_the_last_step_left_it),
        cmocka_unit_test(keeps_a_certificate_to_its_end),
        cmocka_unit_test(follows_its_authorizations),
        cmocka_unit_test(is_invalid_with_an_authorization),
        cmocka_unit_test(lists_by_account_and_state),
        cmocka_unit_test(lists_what_is_validated),
        cmocka_unit_test(expires_what_was_not_finalized),
        cmocka_unit_test(keeps_contacts),
        cmocka_unit_test(refuses_what_is_no_store),
        cmocka_unit_test(refuses_a_folder_that_others_write),
        cmocka_unit_test(fails_with_a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
