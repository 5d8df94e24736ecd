/* Evidence, not trust: accounts, what rests on a relay's word, and who pays for refusals. */
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
#include "signer/ledger_inner.h"
#include "signer/relay_request.h"

#define CHANGE "{\"evidence\":$E," SEEN "}"
#define INNER(account, old) "{\"account\":\"" account "\",\"oldKey\":" old "}"

/* What the new key signs in a key change; $A the account, $OLD its key. */
static const struct {
    const char *name;
    const char *url;     /* below RELAY_URL */
    const char *payload; /* inner */
    bool by_old;         /* the inner JWS is signed by the old key */
    const char *rule;    /* "": it counts */
    bool forged;         /* the inner JWS names the new key, and the old one signs it */
} changes[] = {
    {"attack 43: about another account", "/acme/key-change",
        INNER(RELAY_URL "/acme/account/2", "$OLD"), false, "evidence.form", false},
    {"attack 43: from another key", "/acme/key-change", INNER("$A", "$STRANGER"), false,
        "evidence.form", false},
    {"attack 43: signed for another URL", "/acme/new-order", INNER("$A", "$OLD"), false,
        "evidence.form", false},
    {"attack 43: no inner payload", "/acme/key-change", "{}", false, "evidence.form", false},
    {"attack 43: the old key for the new one", "/acme/key-change", INNER("$A", "$OLD"), true,
        "evidence.form", false},
    {"attack 43: the new key did not sign", "/acme/key-change", INNER("$A", "$OLD"), false,
        "evidence.signature", true},
    {"as RFC 8555 7.3.5 has it", "/acme/key-change", INNER("$A", "$OLD"), false, "", false},
};

static char *
new_keys_jws(struct world *w, size_t row, const struct relayed_client *by)
{
    AW_CLEANUP(aw_free) char *header = NULL, *payload = world_expand(w, changes[row].payload);
    struct signing_jws jws = {0};
    enum jose_algorithm algorithm = signing_algorithm(by->key.type);

    assert_ok(aw_format(&header, "{\"alg\":\"%s\",\"jwk\":%s,\"url\":\"" RELAY_URL "%s\"}",
        jose_algorithm_name(algorithm), by->key.jwk, changes[row].url));
    signing_sign(changes[row].forged ? &relayed.a.key : &by->key, algorithm, header, payload, &jws);
    char *text = signing_text(&jws);
    signing_free(&jws);
    return text;
}

static void
attack_hostile_relay_key_changes(void **state)
{
    struct world *w = *state;
    struct relayed_client fresh;

    relayed_client_new(JOSE_EC_P256, &fresh);
    world_set(w, "A", RELAY_URL "/acme/account/%lld", (long long)relayed.a.account);
    world_set(w, "OLD", "%s", relayed.a.key.jwk);
    world_set(w, "STRANGER", "%s", relayed.stranger.key.jwk);
    for (size_t i = 0; i < AW_COUNT(changes); i++) {
        AW_CLEANUP(aw_free)
        char *inner = new_keys_jws(w, i, changes[i].by_old ? &relayed.a : &fresh);
        world_set(w, "INNER", "%s", inner);
        relayed_sign(w, "E",
            &(struct relayed_request){
                .client = &relayed.a, .path = "/acme/key-change", .payload = "$INNER"});
        relayed_expect(w, changes[i].name, "ChangeKey", CHANGE,
            changes[i].rule[0] == '\0' ? "" : "EvidenceRefused", changes[i].rule);
    }
    relayed_expect_record(w, "inner-key-change", "permit", relayed.a.account);
    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "the old key afterwards", "NewOrder", NEW_ORDER, "EvidenceRefused",
        "evidence.signature");
    fresh.account = relayed.a.account;
    relayed_order(w, &fresh, APP_A, "y/1");
    world_restart(w);
    relayed_order(w, &fresh, APP_A, "y/2");
    relayed_client_free(&fresh);
}

static void
change_key(struct world *w, const struct relayed_client *from, const struct relayed_client *to)
{
    world_set(w, "A", RELAY_URL "/acme/account/%lld", (long long)from->account);
    world_set(w, "OLD", "%s", from->key.jwk);
    AW_CLEANUP(aw_free) char *inner = new_keys_jws(w, AW_COUNT(changes) - 1, to);
    world_set(w, "INNER", "%s", inner);
    relayed_sign(w, "E",
        &(struct relayed_request){.client = from, .path = "/acme/key-change", .payload = "$INNER"});
    relayed_expect(w, "key change", "ChangeKey", CHANGE, "", "");
}

/* Opens an order and has its finalization signed by the client, into $NAME. */
static int64_t
order_and_sign(
    struct world *w, const struct relayed_client *client, const char *name, const char *at)
{
    int64_t order = relayed_order(w, client, APP_A, at);

    relayed_sign_finalize(w, client, order, "{\"csr\":\"$CSR\"}");
    world_set(w, name, "%s", world_value(w, "E"));
    return order;
}

/* RFC 8555 7.3.5: what the old key signed is worth as much as the signer had taken it for before:
 * an order that it finalized goes on, one that it did not does not. */
static void
a_key_change_holds_no_order_that_was_finalized(void **state)
{
    struct world *w = *state;
    struct relayed_client fresh;

    relayed_client_new(JOSE_EC_P256, &fresh);
    int64_t second = order_and_sign(w, &relayed.a, "LATE", "z/2");
    int64_t first = order_and_sign(w, &relayed.a, "EARLY", "z/1");
    relayed_expect(w, "before the change", "Finalize", FINALIZE, "", "");
    change_key(w, &relayed.a, &fresh);
    world_set(w, "E", "%s", world_value(w, "EARLY"));
    world_set(w, "ORDER", "%lld", (long long)first);
    relayed_expect(w, "after it, and again", "Finalize", FINALIZE, "", "");
    relayed_expect_record(w, "finalize", "permit", relayed.a.account);
    world_set(w, "ORDER", "%lld", (long long)second);
    relayed_expect(
        w, "what finalized another order", "Finalize", FINALIZE, "EvidenceRefused", "evidence.url");
    world_set(w, "E", "%s", world_value(w, "LATE"));
    world_set(w, "BASE", CA "z/2");
    relayed_expect(w, "attack 43: what the signer had not seen", "Finalize", FINALIZE,
        "EvidenceRefused", "evidence.signature");
    relayed_client_free(&fresh);
}

/* A key that another account has is not taken over. */
static void
attack_hostile_relay_key_change_to_anothers_key(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_set(w, "A", RELAY_URL "/acme/account/%lld", (long long)relayed.a.account);
    world_set(w, "OLD", "%s", relayed.a.key.jwk);
    AW_CLEANUP(aw_free) char *inner = new_keys_jws(w, AW_COUNT(changes) - 1, &relayed.b);
    world_set(w, "INNER", "%s", inner);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/key-change", .payload = "$INNER"});
    relayed_call_as(w, RELAY, "ChangeKey", CHANGE, &answer);
    assert_string_equal(answer.error, "EvidenceRefused");
    assert_string_equal(world_text(&answer, "rule"), "evidence.key");
    assert_int_equal(aw_json_member(answer.parameters, "account")->valueint, relayed.b.account);
}

static void
a_deactivated_account_is_of_no_use(void **state)
{
    struct world *w = *state;
    char path[64];

    relayed_order(w, &relayed.other, APP_A, "d/1");
    snprintf(path, sizeof(path), "/acme/account/%lld", (long long)relayed.other.account);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.other, .path = path, .payload = "{\"status\":\"deactivated\"}"});
    relayed_expect(w, "deactivate", "DeactivateAccount", "{\"evidence\":$E," SEEN "}", "", "");
    relayed_expect_record(w, "inner-deactivate", "permit", relayed.other.account);
    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.other, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "attack: an order of a deactivated account", "NewOrder", NEW_ORDER,
        "EvidenceRefused", "evidence.account");
    relayed_expect(
        w, "attack: a poll for one", "PostAsGet", TICKET, "EvidenceRefused", "evidence.account");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.other,
            .path = "/acme/new-account",
            .payload = "{}",
            .by_jwk = true});
    relayed_expect(w, "attack: its key once more", "NewAccount", "{\"evidence\":$E," SEEN "}",
        "EvidenceRefused", "evidence.account");
}

/* The relay's word permits nothing: it can only be asked for in addition. */
static const struct {
    const char *name, *seen, *error, *rule;
    bool finalize;
} words[] = {
    {"no address", "{}", "PolicyRefused", "relay.networks", false},
    {"another network", "{\"address\":\"198.51.100.1\"}", "PolicyRefused", "relay.networks", false},
    {"the right one", "{\"address\":\"192.0.2.9\"}", "", "", false},
    {"finalize without proof", "{\"address\":\"192.0.2.9\"}", "PolicyRefused", "relay.validation",
        true},
    {"finalize with proof of another kind", "{\"address\":\"192.0.2.9\",\"validated\":\"dns-01\"}",
        "PolicyRefused", "relay.validation", true},
    {"finalize with proof", "{\"address\":\"192.0.2.9\",\"validated\":\"http-01\"}", "", "", true},
    {"an address that is none", "{\"address\":\"x\"}", "InvalidRequest", "", false},
    {"validated by nothing known", "{\"validated\":\"tls-sni-01\"}", "InvalidRequest", "", false},
    {"a client's certificate that is no digest", "{\"client_certificate\":\"00ff\"}",
        "InvalidRequest", "", false},
    {"a word nobody asked for", "{\"user\":\"root\"}", "InvalidRequest", "", false},
};

static void
attack_hostile_relay_its_word_is_a_condition_only(void **state)
{
    struct world *w = *state;
    struct relayed_client m;

    relayed_client_new(JOSE_EC_P256, &m);
    relayed_account(w, &m, "app-m1");
    world_set_octets(w, "CSRM", world_csr(KEY_RSA_2048, "m1.example.edu"));
    relayed_names(w, "PAYLOAD", "m1.example.edu");
    for (size_t i = 0; i < AW_COUNT(words); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        world_set(w, "SEEN", "%s", words[i].seen);
        if (words[i].finalize) {
            char path[64];
            snprintf(path, sizeof(path), "/acme/order/%s/finalize", world_value(w, "ORDER"));
            relayed_sign(w, "E",
                &(struct relayed_request){
                    .client = &m, .path = path, .payload = "{\"csr\":\"$CSRM\"}"});
        } else {
            relayed_sign(w, "E",
                &(struct relayed_request){
                    .client = &m, .path = "/acme/new-order", .payload = "$PAYLOAD"});
        }
        relayed_call_as(w, RELAY, words[i].finalize ? "Finalize" : "NewOrder",
            words[i].finalize ? "{\"evidence\":$E,\"seen\":$SEEN,\"nonce\":\"$N\",\"order\":$ORDER,"
                                "\"url\":\"" CA "m/finalize\"}"
                              : "{\"evidence\":$E,\"seen\":$SEEN,\"nonce\":\"$N\"}",
            &answer);
        if (strcmp(answer.error, words[i].error) != 0 ||
            strcmp(world_text(&answer, "rule"), words[i].rule) != 0)
            fail_msg("%s: %s %s: %s", words[i].name, answer.error, world_text(&answer, "rule"),
                world_text(&answer, "message"));
        if (!words[i].finalize && answer.error[0] == '\0') {
            int64_t order = 0;
            assert_ok(aw_json_integer(answer.parameters, "order", 1, INT32_MAX, &order));
            world_set(w, "ORDER", "%lld", (long long)order);
            relayed_expect(w, "claim", "ClaimUrls",
                "{\"order\":$ORDER,\"urls\":[{\"kind\":\"finalize\",\"url\":\"" CA
                "m/finalize\"}]}",
                "", "");
        }
    }
    relayed_client_free(&m);
}

/* Policy, quotas and freezes hold as for the application itself. */
static void
policy_holds_for_what_is_relayed(void **state)
{
    struct world *w = *state;
    struct relayed_client g;

    relayed_names(w, "PAYLOAD", "b.example.edu");
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "attack 35: a name of another application", "NewOrder", NEW_ORDER,
        "PolicyRefused", "names.held-by-other");
    relayed_expect_record(w, "new-order", "refuse", relayed.a.account);
    relayed_client_new(JOSE_EC_P256, &g);
    relayed_account(w, &g, "app-g");
    relayed_names(w, "PAYLOAD", "g.example.edu");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &g, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "an application whose policy knows no relay", "NewOrder", NEW_ORDER,
        "PolicyRefused", "relay");
    assert_ok(freezes_add(w->core->freezes, "app-a", "test", core_now()));
    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "an application that is frozen", "NewOrder", NEW_ORDER, "Frozen", "");
    assert_ok(freezes_remove(w->core->freezes, "app-a"));
    relayed_client_free(&g);
}

/* Only relays. The relay's own methods take no words for what a client has to sign. */
static const struct {
    const char *name, *user, *method, *parameters, *error;
} calls[] = {
    {"an application asks for nonces", "daemon", "GetNonces", "{\"count\":1}", "PolicyRefused"},
    {"an application hands over evidence", "daemon", "NewOrder", NEW_ORDER, "PolicyRefused"},
    {"an officer hands over evidence", OFFICER, "NewOrder", NEW_ORDER, "PolicyRefused"},
    {"no nonces", RELAY, "GetNonces", "{\"count\":0}", "InvalidRequest"},
    {"too many nonces", RELAY, "GetNonces", "{\"count\":257}", "InvalidRequest"},
    {"names beside the evidence", RELAY, "NewOrder",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"identifiers\":[]}", "InvalidRequest"},
    {"an application beside the evidence", RELAY, "NewOrder",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"application\":\"app-a\"}", "InvalidRequest"},
    {"a CSR beside the evidence", RELAY, "Finalize",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"order\":1,\"url\":\"" CA
        "f\",\"csr\":\"$CSR\"}",
        "InvalidRequest"},
    {"no evidence", RELAY, "NewOrder", "{" SEEN ",\"nonce\":\"$N\"}", "InvalidRequest"},
    {"evidence of null", RELAY, "NewOrder", "{\"evidence\":null," SEEN ",\"nonce\":\"$N\"}",
        "InvalidRequest"},
    {"attack 34: evidence with an unprotected header", RELAY, "NewOrder",
        "{\"evidence\":{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"\",\"header\":{}}"
        "," SEEN ",\"nonce\":\"$N\"}",
        "InvalidRequest"},
    {"a method of the other interface", RELAY, "WhoAmI", "{}", "MethodNotFound"},
    {"a method that there is not", RELAY, "Sign", "{}", "MethodNotFound"},
    {"a ticket of nobody's", RELAY, "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":7777,\"url\":\"" CA "o\"}", "LedgerRefused"},
};

static void
attack_only_relays_hand_over_evidence(void **state)
{
    struct world *w = *state;

    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    for (size_t i = 0; i < AW_COUNT(calls); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        relayed_call_as(w, calls[i].user, calls[i].method, calls[i].parameters, &answer);
        if (strcmp(answer.error, calls[i].error) != 0)
            fail_msg("%s: %s: %s", calls[i].name, answer.error, world_text(&answer, "message"));
    }
    relayed_expect(w, "and then the evidence is still good", "NewOrder", NEW_ORDER, "", "");
}

/* The configuration may have been read anew since the call was parsed. */
static void
attack_a_relay_that_was_struck_off_meanwhile(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_request_free) struct sign_request request = {0};
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(aw_json_free) cJSON *parameters = NULL;
    const struct peer peer = world_peer("daemon", NULL);
    const char *field = NULL;

    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    AW_CLEANUP(aw_free) char *text = world_expand(w, NEW_ORDER);
    parameters = cJSON_Parse(text);
    assert_ok(relay_request_parse(RELAY_NEW_ORDER, parameters, &request, &field));
    assert_ok(authorize(w->core, &peer, &request, &reply));
    assert_int_equal(reply.outcome, SIGN_OUTCOME_POLICY_REFUSED);
    assert_string_equal(reply.rule, "relay.peer");
    assert_null(reply.jws);
}

static void
a_relay_asks_about_accounts(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer found = {0}, none = {0}, account = {0};
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *jwk = NULL;
    const struct jose_openssl plain = {0};
    char thumbprint[JOSE_THUMBPRINT_TEXT];
    enum jose_fault fault;

    assert_ok(jose_jwk_parse_text(relayed.a.key.jwk, &plain, &fault, &jwk));
    jose_thumbprint_text(jwk->thumbprint, thumbprint);
    world_set(w, "T", "%s", thumbprint);
    relayed_call_as(w, RELAY, "FindAccount", "{\"thumbprint\":\"$T\"}", &found);
    assert_int_equal(aw_json_member(found.parameters, "account")->valueint, relayed.a.account);
    assert_string_equal(world_text(&found, "application"), "app-a");
    relayed_call_as(w, RELAY, "FindAccount",
        "{\"thumbprint\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", &none);
    assert_null(aw_json_member(none.parameters, "account"));
    world_set(w, "ID", "%lld", (long long)relayed.a.account);
    relayed_call_as(w, RELAY, "GetAccount", "{\"account\":$ID}", &account);
    assert_string_equal(world_text(&account, "jwk"), relayed.a.key.jwk);
    assert_string_equal(world_text(&account, "validation"), "none");
    assert_string_equal(world_text(&account, "account_url"), ACCOUNT_URL);
    assert_true(cJSON_IsTrue(aw_json_member(account.parameters, "active")));
    relayed_expect(
        w, "no account", "GetAccount", "{\"account\":9999}", "EvidenceRefused", "evidence.account");
}

/* Refused for their number, and long on record. */
static void
many_names(struct world *w)
{
    static char list[16384];

    list[0] = '\0';
    for (int i = 0; i < 100; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
            "%s{\"type\":\"dns\",\"value\":\"%d.%060d.example.edu\"}", i == 0 ? "" : ",", i, 0);
    world_set(w, "PAYLOAD", "{\"identifiers\":[%s]}", list);
}

static void
relayed_call_new_order(struct world *w)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    relayed_call_as(w, RELAY, "NewOrder", NEW_ORDER, &answer);
    assert_string_equal(answer.error, "PolicyRefused");
}

static void
flood(struct world *w, const struct relayed_request *request)
{
    for (int i = 0; i < 40; i++) {
        relayed_sign(w, "E", request);
        relayed_call_new_order(w);
    }
}

/* One client's refusals are its application's: neither the relay nor another client is held back.
 */
static void
attack_96b_a_relays_client_floods_only_itself(void **state)
{
    struct world *w = *state;
    struct peer relay = world_peer(RELAY, NULL);

    many_names(w);
    flood(w, &(struct relayed_request){
                 .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    int64_t unrecorded = ledger_unrecorded(w->core->ledger);
    assert_true(unrecorded > 0);
    assert_false(ledger_is_over(w->core->ledger, relay.uid));
    int64_t position = world_position(w);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.b, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_call_new_order(w);
    assert_int_equal(world_position(w), position + 1);
    assert_int_equal(ledger_unrecorded(w->core->ledger), unrecorded);
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_key_changes, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_key_change_to_anothers_key, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            a_key_change_holds_no_order_that_was_finalized, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            a_deactivated_account_is_of_no_use, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_its_word_is_a_condition_only, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            policy_holds_for_what_is_relayed, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_only_relays_hand_over_evidence, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_a_relay_that_was_struck_off_meanwhile, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(a_relay_asks_about_accounts, relayed_begin, relayed_end),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test_setup_teardown(
            attack_96b_a_relays_client_floods_only_itself, relayed_begin_alone, relayed_end_alone),
    };

    int failed = cmocka_run_group_tests(shared, relayed_setup, world_teardown);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
