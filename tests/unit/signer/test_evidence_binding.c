/* Evidence, not trust: who gets an account with a relay, and of which application it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "relayed.h"
#include "signer/ledger_inner.h"

#define NEW_ACCOUNT "{\"evidence\":$E," SEEN "}"

/* A credential, as acmeward-admin app-eab create shows it. */
struct credential {
    char kid[64];
    uint8_t key[64];
    size_t size;
};

static struct credential of_a, of_b, once, revoked, expired;

static void
create(struct world *w, const char *parameters, struct credential *out)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    const char *key;

    world_call_admin(w, OFFICER, "CreateAppEab", parameters, &answer);
    if (answer.error[0] != '\0')
        fail_msg("%s: %s", answer.error, world_text(&answer, "message"));
    key = world_text(&answer, "key");
    snprintf(out->kid, sizeof(out->kid), "%s", world_text(&answer, "kid"));
    assert_ok(aw_b64url_decode(key, strlen(key), out->key, sizeof(out->key), &out->size));
}

/* Made by hand: an administrator can't make one that has expired. */
static void
make_expired(struct world *w)
{
    struct audit_entry entry = {.kind = AUDIT_ADMIN,
        .application = "app-a",
        .operation = "app-eab-create",
        .verdict = "permit",
        .kid = "app-expiredexpiredexpired",
        .not_after = 1};
    struct ledger_verdict verdict;
    int64_t seq;

    expired = of_a;
    snprintf(expired.kid, sizeof(expired.kid), "%s", entry.kid);
    assert_ok(ledger_submit(w->core->ledger, NULL, &entry, core_now(), &verdict, &seq));
}

static int
make(void **state)
{
    if (relayed_setup(state) != 0)
        return -1;
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer made = {0}, gone = {0};
    world_call_admin(w, OFFICER, "CreateRelayKey", "{}", &made);
    assert_string_equal(made.error, "");
    create(w, "{\"application\":\"app-a\"}", &of_a);
    create(w, "{\"application\":\"app-b\"}", &of_b);
    create(w, "{\"application\":\"app-a\",\"once\":true}", &once);
    create(w, "{\"application\":\"app-a\"}", &revoked);
    world_set(w, "KID", "%s", revoked.kid);
    world_call_admin(w, OFFICER, "RevokeAppEab", "{\"kid\":\"$KID\"}", &gone);
    assert_string_equal(gone.error, "");
    make_expired(w);
    return 0;
}

/* newAccount, and in it a binding; what is NULL or 0 is as an honest client does it. */
struct registration {
    const struct relayed_client *client;
    const struct credential *by;
    const char *kid;                    /* in the binding */
    const struct credential *macked;    /* with whose key */
    const struct relayed_client *bound; /* whose key is the payload */
    const char *url;                    /* of the binding */
    enum jose_algorithm algorithm;      /* of the binding's MAC; 0: HS256 */
    const char *header;                 /* the binding's, whole */
    const char *payload;                /* of newAccount, whole */
};

static void
make_binding(struct world *w, const struct registration *r)
{
    const struct credential *by = r->macked != NULL ? r->macked : r->by;
    const struct relayed_client *bound = r->bound != NULL ? r->bound : r->client;
    enum jose_algorithm algorithm = r->algorithm == 0 ? JOSE_HS256 : r->algorithm;
    AW_CLEANUP(aw_free) char *header = NULL;
    struct signing_jws jws = {0};

    assert_ok(aw_format(&header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"url\":\"%s\"}",
        jose_algorithm_name(algorithm), r->kid != NULL ? r->kid : r->by->kid,
        r->url != NULL ? r->url : RELAY_URL "/acme/new-account"));
    signing_mac(
        by->key, by->size, algorithm, r->header != NULL ? r->header : header, bound->key.jwk, &jws);
    AW_CLEANUP(aw_free) char *text = signing_text(&jws);
    world_set(w, "BINDING", "%s", text);
    signing_free(&jws);
}

static void
sign(struct world *w, const struct registration *r)
{
    if (r->by != NULL)
        make_binding(w, r);
    relayed_sign(w, "E",
        &(struct relayed_request){.client = r->client,
            .path = "/acme/new-account",
            .payload =
                r->payload != NULL
                    ? r->payload
                    : "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:a@example.edu\"],"
                      "\"externalAccountBinding\":$BINDING}",
            .by_jwk = true});
}

static void
registers(struct world *w, struct relayed_client *client, const char *application, bool created)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    int64_t account = 0;

    relayed_call_as(w, RELAY, "NewAccount", NEW_ACCOUNT, &answer);
    if (answer.error[0] != '\0')
        fail_msg(
            "%s %s: %s", answer.error, world_text(&answer, "rule"), world_text(&answer, "message"));
    assert_ok(aw_json_integer(answer.parameters, "account", 1, INT32_MAX, &account));
    assert_string_equal(world_text(&answer, "application"), application);
    assert_int_equal(cJSON_IsTrue(aw_json_member(answer.parameters, "created")), created);
    if (!created)
        assert_int_equal(account, client->account);
    client->account = account;
}

/* By each kind of key; the account is the credential's application's. */
static void
a_binding_makes_an_account(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct relayed_client client;

    for (unsigned type = JOSE_EC_P256; type <= JOSE_ED25519; type++) {
        relayed_client_new(type, &client);
        sign(w, &(struct registration){.client = &client, .by = &of_a});
        registers(w, &client, "app-a", true);
        if (type < JOSE_ED25519)
            relayed_client_free(&client);
    }
    world_last(w, &last);
    assert_int_equal(last.record.seq, client.account);
    assert_string_equal(last.entry->operation, "inner-account");
    assert_string_equal(last.entry->kid, of_a.kid);
    assert_string_equal(last.entry->jwk, client.key.jwk);
    relayed_order(w, &client, APP_A, "n/1");
    world_restart(w);
    relayed_order(w, &client, APP_A, "n/2");
    relayed_client_free(&client);
}

/* RFC 8555 7.3.1: whatever binding comes with it. */
static void
a_key_that_has_an_account_gets_that_one(void **state)
{
    struct world *w = *state;
    int64_t before;

    sign(w, &(struct registration){.client = &relayed.stranger, .by = &of_a});
    registers(w, &relayed.stranger, "app-a", true);
    before = world_position(w);
    sign(w, &(struct registration){.client = &relayed.stranger, .by = &of_b});
    registers(w, &relayed.stranger, "app-a", false);
    sign(w, &(struct registration){
                .client = &relayed.stranger, .payload = "{\"onlyReturnExisting\":true}"});
    registers(w, &relayed.stranger, "app-a", false);
    assert_int_equal(world_position(w), before); /* nothing is permitted anew: no record */
}

/* What a hostile relay, or a client without the credential, tries. */
static const struct forged {
    const char *name;
    struct registration asked;
    const char *error, *rule;
} forged[] = {
    {"no binding", {.payload = "{}"}, "EvidenceRefused", "evidence.binding"},
    {"a binding of null", {.payload = "{\"externalAccountBinding\":null}"}, "EvidenceRefused",
        "evidence.binding"},
    {"a binding that is no JWS", {.payload = "{\"externalAccountBinding\":{}}"}, "EvidenceRefused",
        "evidence.binding"},
    {"only an existing account", {.payload = "{\"onlyReturnExisting\":true}"}, "EvidenceRefused",
        "evidence.account"},
    {"attack 86: a key id of nobody's", {.by = &of_a, .kid = "app-AAAAAAAAAAAAAAAAAAAAAA"},
        "EvidenceRefused", "evidence.binding"},
    {"attack 86: a key id that is none", {.by = &of_a, .kid = "../x"}, "EvidenceRefused",
        "evidence.binding"},
    {"attack: the credential of another application", {.by = &of_b, .macked = &of_a},
        "EvidenceRefused", "evidence.binding"},
    {"attack 84: for another key", {.by = &of_a, .bound = &relayed.a}, "EvidenceRefused",
        "evidence.binding"},
    {"attack 85: for another URL", {.by = &of_a, .url = RELAY_URL "/acme/new-order"},
        "EvidenceRefused", "evidence.binding"},
    {"attack 85: for another relay",
        {.by = &of_a, .url = "https://relay.example.org/acme/new-account"}, "EvidenceRefused",
        "evidence.binding"},
    {"attack 33: a binding with a nonce",
        {.by = &of_a,
            .header = "{\"alg\":\"HS256\",\"kid\":\"x\",\"nonce\":\"AAAA\",\"url\":\"" RELAY_URL
                      "/acme/new-account\"}"},
        "EvidenceRefused", "evidence.binding"},
    {"attack 29: a binding by alg none",
        {.by = &of_a,
            .header =
                "{\"alg\":\"none\",\"kid\":\"x\",\"url\":\"" RELAY_URL "/acme/new-account\"}"},
        "EvidenceRefused", "evidence.binding"},
    {"attack: a credential that has expired", {.by = &expired}, "EvidenceRefused",
        "evidence.binding.expired"},
    {"attack: a credential that was revoked", {.by = &revoked}, "EvidenceRefused",
        "evidence.binding.revoked"},
};

static void
attack_hostile_relay_registers_without_a_credential(void **state)
{
    struct world *w = *state;
    int64_t permits = atomic_load(&w->core->permits);

    for (size_t i = 0; i < AW_COUNT(forged); i++) {
        struct registration asked = forged[i].asked;
        asked.client = &relayed.stranger;
        sign(w, &asked);
        relayed_expect(
            w, forged[i].name, "NewAccount", NEW_ACCOUNT, forged[i].error, forged[i].rule);
    }
    assert_int_equal(atomic_load(&w->core->permits), permits);
    sign(w, &(struct registration){.client = &relayed.stranger, .by = &of_a});
    registers(w, &relayed.stranger, "app-a", true);
    relayed_expect(
        w, "attack 89: replayed", "NewAccount", NEW_ACCOUNT, "EvidenceRefused", "evidence.nonce");
}

/* Attack 88: one that is for one account makes no second, whoever comes with it. */
static void
attack_88_a_credential_for_one_account(void **state)
{
    struct world *w = *state;
    struct relayed_client second;

    relayed_client_new(JOSE_EC_P256, &second);
    sign(w, &(struct registration){.client = &relayed.stranger, .by = &once});
    registers(w, &relayed.stranger, "app-a", true);
    sign(w, &(struct registration){.client = &second, .by = &once});
    relayed_expect(w, "a second account", "NewAccount", NEW_ACCOUNT, "EvidenceRefused",
        "evidence.binding.used");
    world_restart(w);
    sign(w, &(struct registration){.client = &second, .by = &once});
    relayed_expect(w, "and after a restart", "NewAccount", NEW_ACCOUNT, "EvidenceRefused",
        "evidence.binding.used");
    AW_CLEANUP(world_answer_free) struct world_answer told = {0};
    sign(w, &(struct registration){.client = &second, .by = &once});
    relayed_call_as(w, RELAY, "NewAccount", NEW_ACCOUNT, &told);
    assert_non_null(strstr(world_text(&told, "message"), "was for one account"));
    assert_non_null(strstr(world_text(&told, "message"), "ask for another one"));
    relayed_client_free(&second);
}

/* What is signed with the account's key, in the form of another request. */
static void
attack_hostile_relay_registers_by_other_evidence(void **state)
{
    struct world *w = *state;

    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-account", .payload = "{}"});
    relayed_expect(
        w, "attack 27: by kid", "NewAccount", NEW_ACCOUNT, "EvidenceRefused", "evidence.form");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.stranger,
            .path = "/acme/new-order",
            .payload = "{}",
            .by_jwk = true});
    relayed_expect(
        w, "for another URL", "NewAccount", NEW_ACCOUNT, "EvidenceRefused", "evidence.url");
}

/* Nobody registers with an application that no relay may be used for, or that is gone or frozen. */
static void
policy_holds_for_registrations(void **state)
{
    struct world *w = *state;
    struct credential of_m;
    struct relayed_client m;

    relayed_client_new(JOSE_EC_P256, &m);
    create(w, "{\"application\":\"app-m1\"}", &of_m);
    sign(w, &(struct registration){.client = &m, .by = &of_m});
    relayed_expect(w, "from another network", "NewAccount",
        "{\"evidence\":$E,\"seen\":{\"address\":\"198.51.100.1\"}}", "PolicyRefused",
        "relay.networks");
    assert_ok(freezes_add(w->core->freezes, "app-m1", "test", core_now()));
    sign(w, &(struct registration){.client = &m, .by = &of_m});
    relayed_expect(w, "frozen", "NewAccount", NEW_ACCOUNT, "Frozen", "");
    assert_ok(freezes_remove(w->core->freezes, "app-m1"));
    sign(w, &(struct registration){.client = &m, .by = &of_m});
    registers(w, &m, "app-m1", true);
    relayed_client_free(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_binding_makes_an_account, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            a_key_that_has_an_account_gets_that_one, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_registers_without_a_credential, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_88_a_credential_for_one_account, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_registers_by_other_evidence, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(policy_holds_for_registrations, relayed_begin, relayed_end),
    };

    return cmocka_run_group_tests(tests, make, world_teardown);
}
