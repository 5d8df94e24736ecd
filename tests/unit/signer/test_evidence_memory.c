/* Out of memory at every place that allocates in a relay's call: nothing is signed off the record,
 * and want of memory is never told as a refusal, nor good evidence taken for bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "relayed.h"
#include "signer/application.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 3000 };

/* SoftHSM ends the process for want of memory, so the token is asked with enough. */
static unsigned signatures;

aw_result __real_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __real_token_key_find(token *t, const char *label, token_key **out);
aw_result __wrap_token_key_find(token *t, const char *label, token_key **out);

aw_result
__wrap_token_key_find(token *t, const char *label, token_key **out)
{
    memory_fail_pause();
    aw_result r = __real_token_key_find(t, label, out);
    memory_fail_resume();
    return r;
}

aw_result
__wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    memory_fail_pause();
    aw_result r = __real_token_key_sign(key, input, size, signature, signature_size);
    memory_fail_resume();
    signatures++;
    return r;
}

/* It has the account's number, not its key. */
static struct relayed_client thief;

static const struct operation {
    const char *name, *method, *parameters;
    struct relayed_request evidence; /* anew for each try; client NULL: none */
    const char *error, *rule;        /* what is answered with enough memory; "" for success */
} operations[] = {
    {"new-order", "NewOrder", NEW_ORDER,
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "", ""},
    {"new-order by Ed25519, refused by the policy", "NewOrder", NEW_ORDER,
        {.client = &relayed.b, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "PolicyRefused",
        "names.held-by-other"},
    {"a signature that is none of the account's", "NewOrder", NEW_ORDER,
        {.client = &thief, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "EvidenceRefused",
        "evidence.signature"},
    {"new-account of a key that has one", "NewAccount", "{\"evidence\":$E," SEEN "}",
        {.client = &relayed.other,
            .path = "/acme/new-account",
            .payload = "{\"onlyReturnExisting\":true}",
            .by_jwk = true},
        "", ""},
    {"nonces", "GetNonces", "{\"count\":3}", {.client = NULL}, "", ""},
};

static void
check_answer(const struct operation *row, bool failed, const char *reply)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *rule = NULL;

    assert_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &json));
    const cJSON *error = aw_json_member(json, "error");
    const char *name = error == NULL ? "" : strrchr(error->valuestring, '.') + 1;
    if (failed && strcmp(name, "Unavailable") == 0)
        return;
    assert_ok(aw_json_optional_string(aw_json_member(json, "parameters"), "rule", 64, &rule));
    if (strcmp(name, row->error) != 0 || strcmp(rule == NULL ? "" : rule, row->rule) != 0)
        fail_msg("%s%s: %s", row->name, failed ? "" : " (nothing failed)", reply);
}

/* True when no allocation failed any more. */
static bool
try_call(struct world *w, const struct operation *row)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL, *parameters = NULL;
    struct peer peer = world_peer(RELAY, NULL);
    int64_t before = world_position(w);

    if (row->evidence.client != NULL)
        relayed_sign(w, "E", &row->evidence);
    parameters = world_expand(w, row->parameters);
    assert_ok(aw_format(&text, "{\"method\":\"org.acmeward.Relay.%s\",\"parameters\":%s}",
        row->method, parameters));
    signatures = 0;
    memory_fail_at_new_place(MEMORY_PLACE_EXACT, MEMORY_FAILS_ONCE);
    aw_result r = aw_varlink_call_parse(text, strlen(text), &call);
    if (aw_ok(r))
        r = application_service.answer(w->core, &peer, &call, &reply);
    bool failed = memory_fail_end();
    if (signatures > 0 && world_position(w) <= before)
        fail_msg("%s: signed, and nothing is on record", row->name);
    if (aw_ok(r))
        check_answer(row, failed, reply);
    else if (!failed || r.code != AW_CODE_MEMORY)
        fail_msg("%s: %s", row->name, aw_error_last()->message);
    return !failed;
}

static void
a_relays_call_without_memory_proves_nothing_false(void **state)
{
    struct world *w = *state;

    relayed_names(w, "PAYLOAD", APP_A);
    relayed_client_new(JOSE_EC_P256, &thief);
    thief.account = relayed.a.account;
    for (size_t i = 0; i < AW_COUNT(operations); i++) {
        int tries = 0;

        memory_places_forget();
        while (!try_call(w, &operations[i])) {
            assert_true(++tries < TRIES_MAX);
            if (!aw_ok(core_housekeep(w->core)))
                world_restart(w); /* a database that has failed decides nothing more */
        }
        assert_true(tries > 5);
    }
    relayed_client_free(&thief);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_relays_call_without_memory_proves_nothing_false, relayed_begin, relayed_end),
    };

    return cmocka_run_group_tests(tests, relayed_setup, world_teardown);
}
