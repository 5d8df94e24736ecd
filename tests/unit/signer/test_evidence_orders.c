/* Evidence, not trust: orders and revocations through a relay. */
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

/* Tickets: of one account, and either a relay's or an application's own. */
static void
attack_hostile_relay_orders_of_others(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer daemon = world_peer("daemon", NULL);

    int64_t order = relayed_order(w, &relayed.a, APP_A, "t/1");
    relayed_sign_finalize(w, &relayed.other, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "attack 36: finalized by another account of the application", "Finalize",
        FINALIZE, "LedgerRefused", "order.unknown");
    relayed_sign_finalize(w, &relayed.b, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "attack 36: finalized by an account of another application", "Finalize",
        FINALIZE, "PolicyRefused", "names.held-by-other");
    relayed_sign_finalize(w, &relayed.a, order + 1, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "what was signed for another order", "Finalize", FINALIZE, "EvidenceRefused",
        "evidence.url");
    assert_int_equal(
        world_ask(w, &daemon, "PostAsGet", TICKET, &reply), SIGN_OUTCOME_LEDGER_REFUSED);
    assert_string_equal(reply.rule, "order.unknown");
    sign_reply_free(&reply);
    assert_int_equal(world_ask(w, &daemon, "Finalize",
                         "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\","
                         "\"csr\":\"$CSR\"}",
                         &reply),
        SIGN_OUTCOME_LEDGER_REFUSED);
    assert_string_equal(reply.rule, "order.unknown");
    world_order(w, "daemon", APP_A, "t/2");
    relayed_expect(w, "an order that the application opened itself", "PostAsGet", TICKET,
        "LedgerRefused", "order.unknown");
    relayed_sign_finalize(w, &relayed.a, 0, "{\"csr\":\"$CSR\"}");
    relayed_expect(
        w, "finalize for no order at all", "Finalize", FINALIZE, "EvidenceRefused", "evidence.url");
}

/* The first finalize binds; what a client signs later for another CSR is refused. */
static void
attack_hostile_relay_finalize_is_bound(void **state)
{
    struct world *w = *state;

    int64_t order = relayed_order(w, &relayed.a, APP_A, "f/1");
    world_set_octets(w, "CSR2", world_csr(KEY_RSA_2048, APP_A));
    world_set_octets(w, "CSR3", world_csr(KEY_P256, "a.example.edu"));
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR3\"}");
    relayed_expect(w, "attack 71a: names that are not the order's", "Finalize", FINALIZE,
        "LedgerRefused", "order.names");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    for (int i = 0; i < LEDGER_FINALIZES_MAX; i++)
        relayed_expect(w, "the same evidence again", "Finalize", FINALIZE, "", "");
    relayed_expect(
        w, "attack 88a: a ninth time", "Finalize", FINALIZE, "LedgerRefused", "order.spent");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR2\"}");
    relayed_expect(
        w, "attack 88a: another CSR", "Finalize", FINALIZE, "LedgerRefused", "order.bound");
}

/* After a restart the evidence that finalized an order still does, its nonce being unknown. */
static void
finalize_goes_on_after_a_restart(void **state)
{
    struct world *w = *state;

    int64_t order = relayed_order(w, &relayed.a, APP_A, "r/1");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "before", "Finalize", FINALIZE, "", "");
    world_restart(w);
    relayed_expect(w, "after", "Finalize", FINALIZE, "", "");
    relayed_expect_record(w, "finalize", "permit", relayed.a.account);
}

/* What a client signed, besides names, is asked of the policy and of the CA. */
static const struct {
    const char *name, *members, *error, *rule;
    const char *payload; /* what is signed; NULL: nothing is */
} extras[] = {
    {"a profile", ",\"profile\":\"classic\"", "", "",
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}],"
        "\"profile\":\"classic\"}"},
    {"a profile that is not the application's", ",\"profile\":\"other\"", "PolicyRefused",
        "profiles", NULL},
    {"notBefore", ",\"notBefore\":\"2027-01-01T00:00:00Z\"", "PolicyRefused", "validity", NULL},
    {"notAfter", ",\"notAfter\":\"2027-01-01T00:00:00Z\"", "PolicyRefused", "validity", NULL},
    {"what it never had replaced", ",\"replaces\":\"AQ.Aas\"", "LedgerRefused", "order.replaces",
        NULL},
};

static void
what_else_a_client_signed(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(extras); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        AW_CLEANUP(world_record_free) struct world_record last = {0};

        world_set(w, "PAYLOAD",
            "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]%s}",
            extras[i].members);
        relayed_sign(w, "E",
            &(struct relayed_request){
                .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
        relayed_call_as(w, RELAY, "NewOrder", NEW_ORDER, &answer);
        if (strcmp(answer.error, extras[i].error) != 0 ||
            strcmp(world_text(&answer, "rule"), extras[i].rule) != 0)
            fail_msg("%s: %s %s", extras[i].name, answer.error, world_text(&answer, "message"));
        world_last(w, &last);
        if (strcmp(extras[i].rule, "order.replaces") == 0)
            assert_string_equal(last.entry->serial, "01ab");
        if (extras[i].payload == NULL)
            continue;
        AW_CLEANUP(aw_free)
        char *payload = world_decode(aw_json_member(answer.parameters, "jws"), "payload");
        assert_string_equal(payload, extras[i].payload);
    }
}

#define AGAIN "{\"evidence\":$E,\"seen\":{},\"nonce\":\"$N\",\"again\":$ORDER}"

static void
new_order_again(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer first = {0};
    struct ledger_usage before, after;
    int64_t order = 0;

    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_call_as(w, RELAY, "NewOrder", NEW_ORDER, &first);
    assert_string_equal(first.error, "");
    assert_ok(aw_json_integer(first.parameters, "order", 1, INT32_MAX, &order));
    world_set(w, "ORDER", "%lld", (long long)order);
    assert_ok(ledger_used_today(w->core->ledger, "app-a", core_now(), &before));
    world_restart(w); /* its nonce is forgotten, its order is not */
    for (int i = 0; i < LEDGER_REPEATS_MAX; i++) {
        AW_CLEANUP(world_answer_free) struct world_answer again = {0};
        int64_t same = 0;
        relayed_call_as(w, RELAY, "NewOrder", AGAIN, &again);
        assert_string_equal(again.error, "");
        assert_ok(aw_json_integer(again.parameters, "order", 1, INT32_MAX, &same));
        assert_int_equal(same, order);
    }
    relayed_expect(w, "a fifth time", "NewOrder", AGAIN, "LedgerRefused", "order.spent");
    assert_ok(ledger_used_today(w->core->ledger, "app-a", core_now(), &after));
    assert_int_equal(after.orders, before.orders); /* no further share */
}

static void
attack_hostile_relay_new_order_again_with_other_evidence(void **state)
{
    struct world *w = *state;

    relayed_order(w, &relayed.a, APP_A, "g/1");
    relayed_expect(w, "again when the CA's order is known", "NewOrder", AGAIN, "EvidenceRefused",
        "evidence.order");
    relayed_names(w, "PAYLOAD", "a.example.edu");
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(w, "again with what was signed for another order", "NewOrder", AGAIN,
        "EvidenceRefused", "evidence.order");
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.other, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    relayed_expect(
        w, "again by another account", "NewOrder", AGAIN, "LedgerRefused", "order.unknown");
}

static void
attack_hostile_relay_revocations(void **state)
{
    struct world *w = *state;

    int64_t order = relayed_order(w, &relayed.a, APP_A, "v/1");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "finalize", "Finalize", FINALIZE, "", "");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.a,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\",\"reason\":1}"});
    relayed_expect(w, "attack 41: keyCompromise without the certificate's key", "Revoke", REVOKE,
        "LedgerRefused", "revoke.reason");
    world_set_octets(w, "OTHERS", world_certificate(KEY_P256_OTHER, APP_A, SERIAL));
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.a,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$OTHERS\"}"});
    relayed_expect(w, "attack 40: a certificate that the application never finalized", "Revoke",
        REVOKE, "LedgerRefused", "revoke.key");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.b,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\"}"});
    relayed_expect(w, "attack 40: by an application that may not revoke", "Revoke", REVOKE,
        "PolicyRefused", "operations");
    relayed_expect(w, "again what never revoked", "Revoke",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"again\":true}", "PolicyRefused",
        "operations");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.a,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\"}"});
    relayed_expect(w, "again, before the first", "Revoke",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"again\":true}", "EvidenceRefused",
        "evidence.order");
    relayed_expect(w, "the first", "Revoke", REVOKE, "", "");
    for (int i = 0; i < LEDGER_REPEATS_MAX; i++)
        relayed_expect(w, "again", "Revoke",
            "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"again\":true}", "", "");
    relayed_expect(w, "a fifth time", "Revoke",
        "{\"evidence\":$E," SEEN ",\"nonce\":\"$N\",\"again\":true}", "LedgerRefused",
        "order.spent");
    relayed_expect(w, "attack 89: replayed", "Revoke", REVOKE, "EvidenceRefused", "evidence.nonce");
}

/* RFC 8555 7.6: the certificate's key revokes, may say keyCompromise, and is refused from then on.
 */
static void
a_certificate_is_revoked_by_its_own_key(void **state)
{
    struct world *w = *state;
    struct relayed_client holder = {.account = 0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    holder.key.key = test_key(KEY_P256);
    holder.key.type = JOSE_EC_P256;
    holder.key.jwk = signing_jwk(holder.key.key, JOSE_EC_P256);
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &holder,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\",\"reason\":1}",
            .by_jwk = true});
    relayed_expect(
        w, "before anybody finalized that key", "Revoke", REVOKE, "LedgerRefused", "revoke.key");
    int64_t order = relayed_order(w, &relayed.a, APP_A, "c/1");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "finalize", "Finalize", FINALIZE, "", "");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &holder,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\",\"reason\":1}",
            .by_jwk = true});
    relayed_expect(w, "by the certificate's key", "Revoke", REVOKE, "", "");
    world_last(w, &last);
    assert_string_equal(last.entry->application, "app-a");
    assert_string_equal(last.entry->rule, "revoke.compromised");
    assert_int_equal(last.entry->account_id, 0);
    order = relayed_order(w, &relayed.a, APP_A, "c/2");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\"}");
    relayed_expect(w, "finalize with the key that is compromised", "Finalize", FINALIZE,
        "LedgerRefused", "key.refused");
    free(holder.key.jwk);
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_orders_of_others, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_finalize_is_bound, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            finalize_goes_on_after_a_restart, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(what_else_a_client_signed, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(new_order_again, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_new_order_again_with_other_evidence, relayed_begin, relayed_end),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_revocations, relayed_begin_alone, relayed_end_alone),
        cmocka_unit_test_setup_teardown(
            a_certificate_is_revoked_by_its_own_key, relayed_begin_alone, relayed_end_alone),
    };

    int failed = cmocka_run_group_tests(shared, relayed_setup, world_teardown);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
