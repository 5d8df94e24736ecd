/* What a report makes of records about clients of relays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "admin/report_clients.h"

/* RFC 7638 3.1. */
#define RFC_JWK                                                                                    \
    "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4" \
    "cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArw"   \
    "l93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"   \
    "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCu"   \
    "r-kEgU8awapJzKnqDKgw\"}"
#define RFC_THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

#define ADMIN AUDIT_ADMIN
#define DECISION AUDIT_DECISION

static const struct audit_record records[] = {
    {.seq = 1,
        .entry = {.kind = ADMIN,
            .time = 100,
            .operation = "app-eab-create",
            .user = "root",
            .application = "a",
            .kid = "app-1",
            .count = 1}},
    {.seq = 2,
        .entry = {.kind = ADMIN,
            .time = 101,
            .operation = "app-eab-create",
            .user = "root",
            .application = "b",
            .kid = "app-2",
            .not_after = 500}},
    {.seq = 3,
        .entry = {.kind = DECISION,
            .time = 102,
            .operation = "inner-account",
            .application = "a",
            .kid = "app-1",
            .jwk = "{}"}},
    {.seq = 4,
        .entry = {.kind = DECISION,
            .time = 103,
            .operation = "inner-account",
            .application = "b",
            .kid = "app-2",
            .jwk = "{}"}},
    {.seq = 5,
        .entry = {.kind = DECISION,
            .time = 104,
            .operation = "new-order",
            .application = "a",
            .account_id = 3}},
    {.seq = 6,
        .entry = {.kind = DECISION,
            .time = 105,
            .operation = "new-order",
            .application = "a"}}, /* a principal's own */
    {.seq = 7,
        .entry = {.kind = DECISION,
            .time = 106,
            .operation = "inner-key-change",
            .application = "a",
            .account_id = 3,
            .jwk = RFC_JWK}},
    {.seq = 8,
        .entry = {.kind = ADMIN,
            .time = 107,
            .operation = "app-eab-revoke",
            .application = "b",
            .kid = "app-2"}},
    {.seq = 9,
        .entry = {.kind = ADMIN,
            .time = 108,
            .operation = "inner-deactivate",
            .application = "b",
            .kid = "app-2",
            .account_id = 4}},
    {.seq = 10, .entry = {.kind = ADMIN, .time = 109, .operation = "eab-import"}},
    {.seq = 11,
        .entry = {.kind = DECISION,
            .time = 110,
            .operation = "new-order",
            .application = "x",
            .account_id = 99}}, /* of one before the log's begin */
};

static void
records_make_the_table(void **state)
{
    struct report_clients clients = {.app_eabs = NULL};
    char *thumbprint = NULL;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(records); i++)
        assert_true(aw_ok(report_clients_take(&clients, &records[i])));
    assert_int_equal(clients.app_eab_count, 2);
    assert_int_equal(clients.client_count, 2);
    const struct report_client *client = &clients.clients[0];
    assert_int_equal(client->id, 3);
    assert_int_equal(client->created, 102);
    assert_int_equal(client->last_used, 106);
    assert_int_equal(client->ended, 0);
    assert_string_equal(client->kid, "app-1");
    assert_true(aw_ok(report_client_thumbprint(client, &thumbprint)));
    assert_string_equal(thumbprint, RFC_THUMBPRINT);
    free(thumbprint);
    assert_int_equal(clients.clients[1].ended, 108);
    assert_string_equal(clients.app_eabs[0].made_by, "root");
    assert_string_equal(report_app_eab_state(&clients.app_eabs[0], 200), "used");
    assert_string_equal(report_app_eab_state(&clients.app_eabs[1], 200), "revoked");
    report_clients_free(&clients);
}

static void
states_of_an_app_eab(void **state)
{
    static const struct {
        struct report_app_eab app_eab;
        const char *expected;
    } rows[] = {
        {{.expires = 0}, "usable"},
        {{.expires = 200}, "expired"},
        {{.expires = 201}, "usable"},
        {{.once = true}, "usable"},
        {{.once = true, .accounts = 1}, "used"},
        {{.accounts = 5}, "usable"},
        {{.once = true, .accounts = 1, .expires = 100, .revoked = 150}, "revoked"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        assert_string_equal(report_app_eab_state(&rows[i].app_eab, 200), rows[i].expected);
}

/* With the relay key all end that were made before, and none that is made after. */
static void
the_relay_key_takes_them_along(void **state)
{
    static const struct audit_record destroy = {
        .seq = 20, .entry = {.kind = ADMIN, .time = 300, .operation = "relay-key-destroy"}};
    struct audit_record later = records[0];
    struct report_clients clients = {.app_eabs = NULL};

    (void)state;
    later.entry.kid = "app-3";
    assert_true(aw_ok(report_clients_take(&clients, &records[0])));
    assert_true(aw_ok(report_clients_take(&clients, &destroy)));
    assert_true(aw_ok(report_clients_take(&clients, &later)));
    assert_string_equal(report_app_eab_state(&clients.app_eabs[0], 400), "revoked");
    assert_string_equal(report_app_eab_state(&clients.app_eabs[1], 400), "usable");
    report_clients_free(&clients);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_make_the_table),
        cmocka_unit_test(states_of_an_app_eab),
        cmocka_unit_test(the_relay_key_takes_them_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
