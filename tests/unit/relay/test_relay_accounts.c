/* Accounts of clients: what the relay itself looks at, what it hands to the signer, what it
 * tells.*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/io.h"
#include "relay/store.h"
#include "relay_world.h"

#define EAB "\"externalAccountBinding\":{\"protected\":\"a\",\"payload\":\"b\",\"signature\":\"c\"}"

static struct relay_world world;
static struct signing_key stranger;

static int
set_up(void **state)
{
    (void)state;
    relay_world_open(&world);
    signing_key_new(JOSE_EC_P256, &stranger);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    signing_key_free(&stranger);
    relay_world_close(&world);
    return 0;
}

static void
post(const struct relay_world_signed *what, struct relay_response *response)
{
    AW_CLEANUP(aw_free) char *body = relay_world_sign(&world, what);

    relay_world_ask(&world, RELAY_POST, what->path, body, response);
}

/* Keys: an account's own, and one that nobody knows. */
enum who { KNOWN, STRANGER };

static const struct {
    const char *name;
    enum who who;
    const char *payload;
    const char *terms; /* of the relay */
    int status;
    const char *part; /* of the answer's body, or its Location */
    const char *call; /* the last one of the signer */
} news[] = {
    {"a new one", STRANGER, "{" EAB ",\"contact\":[\"mailto:a@example.edu\"]}", NULL, 201,
        "\"contact\":[\"mailto:a@example.edu\"]", "NewAccount"},
    {"its address", STRANGER, "{" EAB "}", NULL, 201, WORLD_URL "/acme/account/9", "NewAccount"},
    {"a key that has one", KNOWN, "{}", NULL, 200, WORLD_URL "/acme/account/7", "GetAccount"},
    {"onlyReturnExisting of a key that has one", KNOWN, "{\"onlyReturnExisting\":true}", NULL, 200,
        WORLD_URL "/acme/account/7", "GetAccount"},
    {"onlyReturnExisting of one that has none", STRANGER, "{\"onlyReturnExisting\":true}", NULL,
        400, "accountDoesNotExist", "FindAccount"},
    {"no binding", STRANGER, "{\"termsOfServiceAgreed\":true}", NULL, 403,
        "externalAccountRequired", "FindAccount"},
    {"terms not agreed to", STRANGER, "{" EAB "}", "https://t", 400, "termsOfServiceAgreed",
        "FindAccount"},
    {"terms agreed to", STRANGER, "{" EAB ",\"termsOfServiceAgreed\":true}", "https://t", 201,
        "valid", "NewAccount"},
    {"a contact of another kind", STRANGER, "{" EAB ",\"contact\":[\"tel:1\"]}", NULL, 400,
        "unsupportedContact", "GetNonces"},
    {"a contact of two addresses", STRANGER, "{" EAB ",\"contact\":[\"mailto:a@b,c@d\"]}", NULL,
        400, "invalidContact", "GetNonces"},
    {"a contact that is no text", STRANGER, "{" EAB ",\"contact\":[1]}", NULL, 400, "malformed",
        "GetNonces"},
    {"an answer that is no answer", STRANGER, "{\"onlyReturnExisting\":1}", NULL, 400, "malformed",
        "GetNonces"},
};

static void
makes_accounts(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(news); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        char terms[32];
        const struct relay_world_signed what = {.path = "/acme/new-account",
            .by_key = true,
            .key = news[i].who == STRANGER ? &stranger : NULL,
            .payload = news[i].payload};

        snprintf(terms, sizeof(terms), "%s", news[i].terms != NULL ? news[i].terms : "");
        world.config.terms_of_service = news[i].terms != NULL ? terms : NULL;
        relay_world_again(&world);
        post(&what, &response);
        bool told = strstr(response.body, news[i].part) != NULL ||
                    (response.location != NULL && strcmp(response.location, news[i].part) == 0);
        if (response.status != news[i].status || !told ||
            strncmp(world.last, news[i].call, strlen(news[i].call)) != 0)
            fail_msg("%s: %d %s (%.40s)", news[i].name, response.status, response.body, world.last);
    }
    world.config.terms_of_service = NULL;
}

/* The evidence goes to the signer as it came, with what was seen. */
static void
hands_the_evidence_over(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    const struct relay_world_signed what = {
        .path = "/acme/new-account", .by_key = true, .key = &stranger, .payload = "{" EAB "}"};
    AW_CLEANUP(aw_free) char *body = relay_world_sign(&world, &what);

    (void)state;
    relay_world_ask(&world, RELAY_POST, what.path, body, &response);
    assert_int_equal(response.status, 201);
    assert_non_null(strstr(world.last, body));
    assert_non_null(strstr(world.last, "\"seen\":{"));
}

static void
expect(const char *path, const char *payload, int status, const char *part)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    const struct relay_world_signed what = {.path = path, .payload = payload};

    post(&what, &response);
    if (response.status != status || strstr(response.body, part) == NULL)
        fail_msg("%s %s: %d %s", path, payload, response.status, response.body);
}

/* RFC 8555 7.3.2, 7.3.6; the contacts are there after a start too. */
static void
updates_and_deactivates(void **state)
{
    (void)state;
    expect("/acme/account/7", "", 200, "\"contact\":[]");
    expect("/acme/account/7", "{\"contact\":[\"mailto:b@example.edu\"]}", 200, "b@example.edu");
    relay_world_again(&world);
    expect("/acme/account/7", "", 200, "b@example.edu");
    expect("/acme/account/7", "{\"status\":\"revoked\"}", 400, "malformed");
    expect("/acme/account/7", "{\"status\":\"valid\"}", 200, "valid");
    expect("/acme/account/7", "{\"status\":\"deactivated\"}", 200, "\"status\":\"deactivated\"");
    expect("/acme/account/7", "", 403, "deactivated");
    world.inactive = false;
    relay_world_again(&world);
}

static char *
inner_jws(const struct signing_key *key)
{
    AW_CLEANUP(signing_free) struct signing_jws inner = {0};
    AW_CLEANUP(aw_free) char *header = NULL;

    assert_true(aw_ok(aw_format(&header,
        "{\"alg\":\"ES256\",\"url\":\"" WORLD_URL "/acme/key-change\",\"jwk\":%s}", key->jwk)));
    signing_sign(key, JOSE_ES256, header, "{}", &inner);
    return signing_text(&inner);
}

/* RFC 8555 7.3.5: a key that has an account is told where. */
static void
changes_keys(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};
    AW_CLEANUP(aw_free) char *fresh = inner_jws(&stranger);
    AW_CLEANUP(aw_free) char *taken = inner_jws(&world.other);

    (void)state;
    expect("/acme/key-change", "{}", 400, "malformed");
    expect("/acme/key-change", fresh, 200, "valid");
    assert_int_equal(strncmp(world.last, "ChangeKey", 9), 0);
    post(&(struct relay_world_signed){.path = "/acme/key-change", .payload = taken}, &response);
    assert_int_equal(response.status, 409);
    assert_string_equal(response.location, WORLD_URL "/acme/account/8");
}

static void
add_order(int64_t ticket)
{
    struct stored_order order = {.ticket = ticket,
        .account = 7,
        .application = (char[]){"web"},
        .state = ORDER_READY,
        .identifiers = (char[]){"[]"},
        .url = (char[]){"u"},
        .new_order = (char[]){"n"},
        .document = (char[]){"{}"},
        .opened = 1,
        .expires = INT64_C(1) << 40};

    assert_true(aw_ok(relay_store_order_add(world.relay.store, &order)));
}

/* RFC 8555 7.1.2.1: by pages, each with a link to the next. */
static void
lists_orders_by_pages(void **state)
{
    AW_CLEANUP(relay_response_free) struct relay_response first = {0};
    AW_CLEANUP(relay_response_free) struct relay_response second = {0};

    (void)state;
    for (int64_t ticket = 1; ticket <= 101; ticket++)
        add_order(ticket);
    post(&(struct relay_world_signed){.path = "/acme/account/7/orders"}, &first);
    assert_int_equal(first.link_count, 1);
    assert_string_equal(first.links[0].relation, "next");
    assert_string_equal(first.links[0].url, WORLD_URL "/acme/account/7/orders/100");
    post(&(struct relay_world_signed){.path = "/acme/account/7/orders/100"}, &second);
    assert_int_equal(second.link_count, 0);
    assert_string_equal(second.body, "{\"orders\":[\"" WORLD_URL "/acme/order/101\"]}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_accounts),
        cmocka_unit_test(hands_the_evidence_over),
        cmocka_unit_test(updates_and_deactivates),
        cmocka_unit_test(changes_keys),
        cmocka_unit_test(lists_orders_by_pages),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
