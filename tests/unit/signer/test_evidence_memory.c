/* Out of memory at every place that allocates in a relay's call: nothing is signed off the record,
 * and want of memory is never told as a refusal, nor good evidence taken for bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "relayed.h"
#include "signer/application.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 3000, TRIES_OF_AN_ORDER = 5 };

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

/* What a try begins with, with memory. Where that is much, all that a library allocates for one
 * call of ours is one place. */
enum beginning {
    BEGIN_NOTHING,
    BEGIN_ORDER,     /* an order with its URLs, anew now and then: it bears some calls */
    BEGIN_EVIDENCE,  /* a finalize for an order of its own, which binds the order */
    BEGIN_FINALIZED, /* an order whose certificate may be handed back and revoked */
    BEGIN_CHANGE,    /* an account of its own, and $INNER by the key it is to have */
    BEGIN_ACCOUNT    /* an account of its own, and $E that deactivates it */
};

static const struct operation {
    const char *name, *method, *parameters;
    struct relayed_request evidence; /* anew for each try; client NULL: none, or the beginning's */
    const char *error, *rule;        /* what is answered with enough memory; "" for success */
    enum beginning begin;
    bool recorded; /* each time that it is answered with success */
} operations[] = {
    {"new-order", "NewOrder", NEW_ORDER,
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "", "",
        BEGIN_NOTHING, true},
    {"new-order by Ed25519, refused by the policy", "NewOrder", NEW_ORDER,
        {.client = &relayed.b, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "PolicyRefused",
        "names.held-by-other", BEGIN_NOTHING, false},
    {"a signature that is none of the account's", "NewOrder", NEW_ORDER,
        {.client = &thief, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "EvidenceRefused",
        "evidence.signature", BEGIN_NOTHING, false},
    {"new-account of a key that has one", "NewAccount", "{\"evidence\":$E," SEEN "}",
        {.client = &relayed.other,
            .path = "/acme/new-account",
            .payload = "{\"onlyReturnExisting\":true}",
            .by_jwk = true},
        "", "", BEGIN_NOTHING, false},
    {"nonces", "GetNonces", "{\"count\":3}", {.client = NULL}, "", "", BEGIN_NOTHING, false},
    {"the account of a key", "FindAccount", "{\"thumbprint\":\"$T\"}", {.client = NULL}, "", "",
        BEGIN_NOTHING, false},
    {"an account", "GetAccount", "{\"account\":$ID}", {.client = NULL}, "", "", BEGIN_NOTHING,
        false},
    {"no account", "GetAccount", "{\"account\":99999999}", {.client = NULL}, "EvidenceRefused",
        "evidence.account", BEGIN_NOTHING, false},
    {"claim", "ClaimUrls",
        "{\"order\":$ORDER,\"urls\":[{\"kind\":\"challenge\",\"url\":\"$BASE/chall2\"}]}",
        {.client = NULL}, "", "", BEGIN_ORDER, false},
    {"poll", "PostAsGet", TICKET, {.client = NULL}, "", "", BEGIN_ORDER, true},
    {"challenge", "AnswerChallenge", "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/chall\"}",
        {.client = NULL}, "", "", BEGIN_ORDER, true},
    {"finalize", "Finalize", FINALIZE, {.client = NULL}, "", "", BEGIN_EVIDENCE, true},
    {"record-certificate", "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$CERT\",\"chain\":[]}", {.client = NULL}, "", "",
        BEGIN_FINALIZED, false},
    {"revoke", "Revoke", REVOKE,
        {.client = &relayed.a,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\",\"reason\":4}"},
        "", "", BEGIN_FINALIZED, true},
    {"key-change", "ChangeKey", "{\"evidence\":$E," SEEN "}", {.client = NULL}, "", "",
        BEGIN_CHANGE, true},
    {"deactivate", "DeactivateAccount", "{\"evidence\":$E," SEEN "}", {.client = NULL}, "", "",
        BEGIN_ACCOUNT, true},
};

static void
begin_order(struct world *w, const struct operation *row, int tries)
{
    static unsigned number;
    char base[32];

    if (row->begin != BEGIN_EVIDENCE && tries % TRIES_OF_AN_ORDER != 0)
        return;
    snprintf(base, sizeof(base), "m/%u", number++);
    int64_t order = relayed_order(w, &relayed.a, APP_A, base);
    relayed_names(w, "PAYLOAD", APP_A);
    if (row->begin == BEGIN_ORDER)
        return;
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    if (row->begin == BEGIN_FINALIZED)
        relayed_expect(w, row->name, "Finalize", FINALIZE, "", "");
}

/* The new key's own JWS in a key change (RFC 8555 7.3.5). */
static void
sign_inner(struct world *w, const struct relayed_client *old, const struct relayed_client *fresh)
{
    AW_CLEANUP(aw_free) char *header = NULL, *payload = NULL, *text = NULL;
    enum jose_algorithm algorithm = signing_algorithm(fresh->key.type);
    struct signing_jws jws = {0};

    assert_ok(
        aw_format(&header, "{\"alg\":\"%s\",\"jwk\":%s,\"url\":\"" RELAY_URL "/acme/key-change\"}",
            jose_algorithm_name(algorithm), fresh->key.jwk));
    assert_ok(aw_format(&payload,
        "{\"account\":\"" RELAY_URL "/acme/account/%" PRId64 "\",\"oldKey\":%s}", old->account,
        old->key.jwk));
    signing_sign(&fresh->key, algorithm, header, payload, &jws);
    text = signing_text(&jws);
    signing_free(&jws);
    world_set(w, "INNER", "%s", text);
}

static void
begin_account(struct world *w, enum beginning begin)
{
    AW_CLEANUP(relayed_client_free) struct relayed_client own = {0}, fresh = {0};
    struct relayed_request request = {.client = &own, .path = "/acme/key-change"};
    char path[64];

    relayed_client_new(JOSE_EC_P256, &own);
    relayed_account(w, &own, "app-a");
    if (begin == BEGIN_CHANGE) {
        relayed_client_new(JOSE_EC_P256, &fresh);
        sign_inner(w, &own, &fresh);
        request.payload = "$INNER";
    } else {
        snprintf(path, sizeof(path), "/acme/account/%" PRId64, own.account);
        request.path = path;
        request.payload = "{\"status\":\"deactivated\"}";
    }
    relayed_sign(w, "E", &request);
}

static void
prepare(struct world *w, const struct operation *row, int tries)
{
    switch (row->begin) {
    case BEGIN_NOTHING:
        break;
    case BEGIN_ORDER:
    case BEGIN_EVIDENCE:
    case BEGIN_FINALIZED:
        begin_order(w, row, tries);
        break;
    case BEGIN_CHANGE:
    case BEGIN_ACCOUNT:
        begin_account(w, row->begin);
        break;
    }
    if (row->evidence.client != NULL)
        relayed_sign(w, "E", &row->evidence);
}

/* True if it was answered with success. */
static bool
check_answer(const struct operation *row, bool failed, const char *reply)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *rule = NULL;

    assert_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &json));
    const cJSON *error = aw_json_member(json, "error");
    const char *name = error == NULL ? "" : strrchr(error->valuestring, '.') + 1;
    if (failed && strcmp(name, "Unavailable") == 0)
        return false;
    assert_ok(aw_json_optional_string(aw_json_member(json, "parameters"), "rule", 64, &rule));
    if (strcmp(name, row->error) != 0 || strcmp(rule == NULL ? "" : rule, row->rule) != 0)
        fail_msg("%s%s: %s", row->name, failed ? "" : " (nothing failed)", reply);
    return name[0] == '\0';
}

/* True when no allocation failed any more. */
static bool
try_call(struct world *w, const struct operation *row, int tries)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL, *parameters = NULL;
    struct peer peer = world_peer(RELAY, NULL);
    struct gate_answer said = {.reply = NULL};

    prepare(w, row, tries);
    int64_t before = world_position(w);
    parameters = world_expand(w, row->parameters);
    assert_ok(aw_format(&text, "{\"method\":\"org.acmeward.Relay.%s\",\"parameters\":%s}",
        row->method, parameters));
    signatures = 0;
    memory_fail_at_new_place(
        row->begin == BEGIN_NOTHING ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, MEMORY_FAILS_ONCE);
    aw_result r = aw_varlink_call_parse(text, strlen(text), &call);
    if (aw_ok(r))
        r = application_service.answer(w->core, &peer, &call, &said);
    reply = said.reply;
    bool failed = memory_fail_end();
    if (signatures > 0 && world_position(w) <= before)
        fail_msg("%s: signed, and nothing is on record", row->name);
    if (aw_ok(r)) {
        if (check_answer(row, failed, reply) && row->recorded && world_position(w) <= before)
            fail_msg("%s: done, and nothing is on record", row->name);
    } else if (!failed || r.code != AW_CODE_MEMORY)
        fail_msg("%s: %s", row->name, aw_error_last()->message);
    return !failed;
}

/* Each try at a finalize takes an order: the day has enough of them. */
static void
raise_quota(struct world *w)
{
    static const char few[] = "orders_per_day: 200}";
    AW_CLEANUP(aw_free) char *text = NULL, *whole = NULL;
    char path[256];
    size_t size;

    world_path(w, "policy.d/app-a.yaml", path);
    assert_ok(aw_file_read(path, 65536, &text, &size));
    char *at = strstr(text, few);
    assert_non_null(at);
    *at = '\0';
    assert_ok(aw_format(&whole, "%sorders_per_day: 100000}%s", text, at + strlen(few)));
    world_write(w, "policy.d/app-a.yaml", whole);
    world_reload(w);
}

/* What every row may use. */
static void
set_values(struct world *w)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
    const struct jose_openssl plain = {0};
    char thumbprint[JOSE_THUMBPRINT_TEXT];
    enum jose_fault fault;

    assert_ok(jose_jwk_parse_text(relayed.a.key.jwk, &plain, &fault, &jwk));
    jose_thumbprint_text(jwk->thumbprint, thumbprint);
    world_set(w, "T", "%s", thumbprint);
    world_set(w, "ID", "%" PRId64, relayed.a.account);
    relayed_names(w, "PAYLOAD", APP_A);
    relayed_client_new(JOSE_EC_P256, &thief);
    thief.account = relayed.a.account;
}

static void
a_relays_call_without_memory_proves_nothing_false(void **state)
{
    struct world *w = *state;

    raise_quota(w);
    set_values(w);
    for (size_t i = 0; i < AW_COUNT(operations); i++) {
        struct audit_segment closed;
        int tries = 0;

        if (operations[i].begin != BEGIN_NOTHING)
            assert_ok(audit_log_rotate(w->core->audit, &closed)); /* a start reads one segment */
        memory_places_forget();
        while (!try_call(w, &operations[i], tries)) {
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
