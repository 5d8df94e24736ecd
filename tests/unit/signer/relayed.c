#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relayed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer/application.h"

struct relayed_cast relayed;

int
relayed_setup(void **state)
{
    static const struct {
        const char *file, *more;
    } policies[] = {
        {"policy.d/app-a.yaml", "relay: {}\n"},
        {"policy.d/app-b.yaml", "relay: {}\n"},
        {"policy.d/app-m1.yaml", "relay: {networks: [192.0.2.0/24], validation: http-01}\n"},
    };

    if (world_setup(state) != 0)
        return -1;
    struct world *w = *state;
    for (size_t i = 0; i < AW_COUNT(policies); i++) {
        AW_CLEANUP(aw_free) char *text = NULL, *whole = NULL;
        char path[256];
        size_t size;
        world_path(w, policies[i].file, path);
        assert_ok(aw_file_read(path, 65536, &text, &size));
        assert_ok(aw_format(&whole, "%s%s", text, policies[i].more));
        world_write(w, policies[i].file, whole);
    }
    world_reload(w);
    return 0;
}

void
relayed_client_new(enum jose_key type, struct relayed_client *out)
{
    *out = (struct relayed_client){0};
    signing_key_new(type, &out->key);
}

void
relayed_client_free(struct relayed_client *client)
{
    signing_key_free(&client->key);
    *client = (struct relayed_client){0};
}

void
relayed_app_eab(struct world *w, const char *application, bool once, char kid[64])
{
    static int number;
    struct audit_entry entry = {.kind = AUDIT_ADMIN,
        .application = application,
        .operation = "app-eab-create",
        .verdict = "permit",
        .kid = kid,
        .count = once ? 1 : 0};
    struct ledger_verdict verdict;
    int64_t seq;

    snprintf(kid, 64, "app-%022d", ++number);
    assert_ok(ledger_submit(w->core->ledger, NULL, &entry, core_now(), &verdict, &seq));
}

void
relayed_account(struct world *w, struct relayed_client *client, const char *application)
{
    static const char digest[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const struct peer peer = world_peer(RELAY, NULL);
    char kid[64];
    const struct ledger_request request = {.operation = SIGN_INNER_ACCOUNT,
        .application = application,
        .account = "main",
        .jwk = client->key.jwk,
        .kid = kid,
        .evidence = digest};
    struct audit_entry entry = {
        .has_uid = true, .uid = peer.uid, .user = peer.user, .verdict = "permit"};
    struct ledger_verdict verdict;

    relayed_app_eab(w, application, false, kid);
    assert_ok(
        ledger_submit(w->core->ledger, &request, &entry, core_now(), &verdict, &client->account));
    assert_int_equal(verdict.rule, LEDGER_NONE);
    assert_ok(audit_log_wait(w->core->audit, client->account));
}

void
relayed_call_as(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *out)
{
    char full[64];

    snprintf(full, sizeof(full), "org.acmeward.Relay.%s", method);
    world_call(w, &application_service, user, full, parameters, out);
}

void
relayed_nonce(struct world *w, char out[64])
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    const cJSON *nonces;

    relayed_call_as(w, RELAY, "GetNonces", "{\"count\":1}", &answer);
    assert_ok(aw_json_array(answer.parameters, "nonces", 1, 1, &nonces));
    snprintf(out, 64, "%s", nonces->child->valuestring);
}

void
relayed_sign(struct world *w, const char *name, const struct relayed_request *request)
{
    const struct signing_key *key = &request->client->key;
    enum jose_algorithm algorithm = signing_algorithm(key->type);
    AW_CLEANUP(aw_free) char *payload = world_expand(w, request->payload);
    AW_CLEANUP(aw_free) char *header = NULL, *who = NULL;
    char nonce[64], url[512], kid[512];
    struct signing_jws jws = {0};

    if (request->nonce == NULL)
        relayed_nonce(w, nonce);
    snprintf(url, sizeof(url), RELAY_URL "%s", request->path == NULL ? "" : request->path);
    snprintf(kid, sizeof(kid), RELAY_URL "/acme/account/%lld", (long long)request->client->account);
    if (request->by_jwk)
        assert_ok(aw_format(&who, "\"jwk\":%s", key->jwk));
    else
        assert_ok(aw_format(&who, "\"kid\":\"%s\"", request->kid != NULL ? request->kid : kid));
    assert_ok(aw_format(&header, "{\"alg\":\"%s\",%s,\"nonce\":\"%s\",\"url\":\"%s\"}",
        request->alg != NULL ? request->alg : jose_algorithm_name(algorithm), who,
        request->nonce != NULL ? request->nonce : nonce,
        request->url != NULL ? request->url : url));
    signing_sign(key, algorithm, header, payload, &jws);
    AW_CLEANUP(aw_free) char *text = signing_text(&jws);
    world_set(w, name, "%s", text);
    signing_free(&jws);
}

void
relayed_expect(struct world *w, const char *row, const char *method, const char *parameters,
    const char *error, const char *rule)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    relayed_call_as(w, RELAY, method, parameters, &answer);
    if (strcmp(answer.error, error) != 0 || strcmp(world_text(&answer, "rule"), rule) != 0)
        fail_msg("%s: %s %s: %s", row, answer.error, world_text(&answer, "rule"),
            world_text(&answer, "message"));
}

void
relayed_names(struct world *w, const char *name, const char *names)
{
    char list[1024] = "", copy[512];
    char *save = NULL;

    snprintf(copy, sizeof(copy), "%s", names);
    for (const char *one = strtok_r(copy, " ", &save); one != NULL;
         one = strtok_r(NULL, " ", &save))
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
            "%s{\"type\":\"dns\",\"value\":\"%s\"}", list[0] == '\0' ? "" : ",", one);
    world_set(w, name, "{\"identifiers\":[%s]}", list);
}

int64_t
relayed_order(
    struct world *w, const struct relayed_client *client, const char *names, const char *base)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    int64_t order = 0;

    relayed_names(w, "PAYLOAD", names);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = client, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_call_as(
        w, RELAY, "NewOrder", "{\"evidence\":$E,\"seen\":{},\"nonce\":\"$N\"}", &answer);
    if (answer.error[0] != '\0')
        fail_msg("newOrder of %s: %s %s: %s", names, answer.error, world_text(&answer, "rule"),
            world_text(&answer, "message"));
    assert_ok(aw_json_integer(answer.parameters, "order", 1, INT32_MAX, &order));
    world_set(w, "ORDER", "%lld", (long long)order);
    world_set(w, "BASE", CA "%s", base);
    relayed_expect(w, "claims", "ClaimUrls",
        "{\"order\":$ORDER,\"urls\":[{\"kind\":\"order\",\"url\":\"$BASE/order\"},"
        "{\"kind\":\"finalize\",\"url\":\"$BASE/finalize\"},"
        "{\"kind\":\"authorization\",\"url\":\"$BASE/authz\"},"
        "{\"kind\":\"challenge\",\"url\":\"$BASE/chall\"},"
        "{\"kind\":\"certificate\",\"url\":\"$BASE/cert\"}]}",
        "", "");
    return order;
}

static void
make_clients(struct world *w)
{
    relayed_client_new(JOSE_EC_P256, &relayed.a);
    relayed_client_new(JOSE_EC_P384, &relayed.other);
    relayed_client_new(JOSE_ED25519, &relayed.b);
    relayed_client_new(JOSE_EC_P384, &relayed.stranger);
    relayed_account(w, &relayed.a, "app-a");
    relayed_account(w, &relayed.other, "app-a");
    relayed_account(w, &relayed.b, "app-b");
    world_set_octets(w, "CSR", world_csr(KEY_P256, APP_A));
    world_set_octets(w, "CERT", world_certificate(KEY_P256, APP_A, SERIAL));
}

int
relayed_begin(void **state)
{
    make_clients(*state);
    return 0;
}

int
relayed_end(void **state)
{
    (void)state;
    relayed_client_free(&relayed.a);
    relayed_client_free(&relayed.other);
    relayed_client_free(&relayed.b);
    relayed_client_free(&relayed.stranger);
    return 0;
}

int
relayed_begin_alone(void **state)
{
    return relayed_setup(state) == 0 ? relayed_begin(state) : -1;
}

int
relayed_end_alone(void **state)
{
    return relayed_end(state) == 0 ? world_teardown(state) : -1;
}

void
relayed_expect_record(struct world *w, const char *operation, const char *verdict, int64_t account)
{
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    world_last(w, &last);
    assert_string_equal(last.entry->operation, operation);
    assert_string_equal(last.entry->verdict, verdict);
    assert_int_equal(last.entry->account_id, account);
    assert_string_equal(last.entry->user, RELAY);
}

void
relayed_sign_finalize(
    struct world *w, const struct relayed_client *client, int64_t order, const char *csr)
{
    char path[64];

    snprintf(path, sizeof(path), "/acme/order/%lld/finalize", (long long)order);
    relayed_sign(w, "E", &(struct relayed_request){.client = client, .path = path, .payload = csr});
}
