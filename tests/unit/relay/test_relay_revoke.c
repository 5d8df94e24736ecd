/* Certificates that were issued through the relay: revoked at their CA, and when to renew them. */
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
#include "relay_stage.h"

/* The certificate "abc", as DER goes. */
#define DER "YWJj"
#define SHA256_OF_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER_DER "YWJk"

static void
store_certificate(struct stage *s)
{
    struct stored_order order = {.ticket = 3,
        .account = 7,
        .application = (char[]){"web"},
        .state = ORDER_PROCESSING,
        .identifiers = (char[]){"[]"},
        .url = (char[]){"u"},
        .new_order = (char[]){"n"},
        .document = (char[]){"{}"},
        .opened = 1,
        .expires = INT64_C(1) << 40};
    char *const chains[] = {(char[]){"pem"}};
    const struct stored_certificate certificate = {SHA256_OF_ABC, "key.serial", chains, 1};

    assert_true(aw_ok(relay_store_order_add(s->world.relay.store, &order)));
    assert_true(aw_ok(relay_store_finish(s->world.relay.store, 3, &certificate)));
}

#define REVOKED                                   \
    {                                             \
        "POST /revoke", 200, NULL, NULL, CA_PLAIN \
    }
#define BAD_NONCE                                                \
    {                                                            \
        "POST /revoke", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN \
    }
#define ALREADY                                                        \
    {                                                                  \
        "POST /revoke", 400, PROBLEM, TYPE("alreadyRevoked"), CA_PLAIN \
    }

static const struct {
    const char *name;
    bool by_key;
    const char *payload;
    struct ca_answer answers[3];
    size_t count;
    int status;
    const char *part;  /* of a problem */
    const char *calls; /* of the signer's Revoke, by what `again` was */
} rows[] = {
    {"by the account", false, "{\"certificate\":\"" DER "\",\"reason\":4}", {NONCE, REVOKED}, 2,
        200, NULL, "f"},
    {"by a key of its own", true, "{\"certificate\":\"" DER "\"}", {NONCE, REVOKED}, 2, 200, NULL,
        "f"},
    {"with a nonce that the CA refuses", false, "{\"certificate\":\"" DER "\"}",
        {NONCE, BAD_NONCE, REVOKED}, 3, 200, NULL, "ft"},
    {"once more", false, "{\"certificate\":\"" DER "\"}", {NONCE, ALREADY}, 2, 400,
        "alreadyRevoked", "f"},
    {"of another relay, by the account", false, "{\"certificate\":\"" OTHER_DER "\"}",
        {NONCE, REVOKED}, 2, 200, NULL, "f"},
    {"of another relay, by a key", true, "{\"certificate\":\"" OTHER_DER "\"}", {{NULL}}, 0, 403,
        "unauthorized", ""},
    {"for no reason that there is", false, "{\"certificate\":\"" DER "\",\"reason\":7}", {{NULL}},
        0, 400, "badRevocationReason", ""},
    {"for a reason that no subscriber has", true, "{\"certificate\":\"" DER "\",\"reason\":2}",
        {{NULL}}, 0, 400, "badRevocationReason", ""},
    {"for a reason beyond all", false, "{\"certificate\":\"" DER "\",\"reason\":11}", {{NULL}}, 0,
        400, "badRevocationReason", ""},
    {"for a reason that is no number", false, "{\"certificate\":\"" DER "\",\"reason\":\"x\"}",
        {{NULL}}, 0, 400, "badRevocationReason", ""},
    {"no certificate", false, "{\"certificate\":\"=\"}", {{NULL}}, 0, 400, "malformed", ""},
    {"nothing", false, "", {{NULL}}, 0, 400, "malformed", ""},
};

/* "f" and "t" by the calls of the log. */
static void
told_again(const struct scripted_signer *signer, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *at = signer->log; (at = strstr(at, "\"again\":")) != NULL; at++)
        used += (size_t)snprintf(out + used, size - used, "%c", at[strlen("\"again\":")]);
}

static void
revokes_at_the_ca(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(stage_close) struct stage s;
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        char reply[256], again[8];
        const struct signer_change changes[] = {
            {.method = "Revoke", .parameters = reply}, {.method = "Revoke", .parameters = reply}};
        const struct relay_world_signed what = {
            .path = "/acme/revoke-cert", .payload = rows[i].payload, .by_key = rows[i].by_key};

        stage_open(&s);
        snprintf(reply, sizeof(reply),
            "{\"application\":\"web\",\"url\":\"%s/revoke\",\"jws\":{\"protected\":\"bjE\","
            "\"payload\":\"b\",\"signature\":\"c\"}}",
            s.scene.ca.base);
        store_certificate(&s);
        stage_script(&s, rows[i].answers, rows[i].count);
        scripted_signer_load(&s.scene.signer, changes, AW_COUNT(changes));
        stage_post(&s, &what, &response);
        if (response.status != rows[i].status ||
            (rows[i].part != NULL && strstr(response.body, rows[i].part) == NULL))
            fail_msg("%s: %d %s", rows[i].name, response.status, response.body);
        scripted_signer_settle(&s.scene.signer);
        told_again(&s.scene.signer, again, sizeof(again));
        assert_string_equal(again, rows[i].calls);
    }
}

#define WINDOW \
    "{\"suggestedWindow\":{\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-01-02T00:00:00Z\"}}"

static void
get(struct stage *s, const char *path, struct relay_response *response)
{
    relay_response_free(response);
    relay_world_ask(&s->world, RELAY_GET, path, NULL, response);
}

/* RFC 9773: the CA's answer, once for as long as it says; of nothing that was not issued here. */
static void
passes_renewal_information_on(void **state)
{
    static const struct ca_answer answers[] = {
        {"GET /ari/key.serial", 200, JSON "Retry-After: 7200\r\n", WINDOW, CA_PLAIN}};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    stage_open(&s);
    store_certificate(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    get(&s, "/acme/renewal-info/key.serial", &response);
    assert_int_equal(response.status, 200);
    assert_string_equal(response.body, WINDOW);
    assert_int_equal(response.retry_after, 7200);
    get(&s, "/acme/renewal-info/key.serial", &response);
    assert_int_equal(response.status, 200);
    assert_in_range(response.retry_after, 7190, 7200);
    get(&s, "/acme/renewal-info/key.other", &response);
    assert_int_equal(response.status, 404);
    assert_true(scripted_ca_check(&s.scene.ca, "asked once"));
}

static void
says_when_the_ca_has_no_renewal_information(void **state)
{
    static const struct ca_answer answers[] = {{"GET /ari/key.serial", 500, NULL, NULL, CA_PLAIN},
        {"GET /ari/key.serial", 200, JSON, "{}", CA_PLAIN}};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_response_free) struct relay_response response = {0};

    (void)state;
    stage_open(&s);
    store_certificate(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    for (size_t i = 0; i < AW_COUNT(answers); i++) {
        get(&s, "/acme/renewal-info/key.serial", &response);
        assert_int_equal(response.status, 503);
        assert_true(response.retry_after > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revokes_at_the_ca),
        cmocka_unit_test(passes_renewal_information_on),
        cmocka_unit_test(says_when_the_ca_has_no_renewal_information),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
