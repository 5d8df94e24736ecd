/* Evidence, not trust: what a relay gets signed, and what a hostile one tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "relayed.h"
#include "signer/ledger_inner.h"

/* From newOrder to revokeCert: signed for the CA, and on record with account and evidence. */
static void
what_a_client_signed_is_signed(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    int64_t order = relayed_order(w, &relayed.a, APP_A, "w/1");
    relayed_expect(w, "post-as-get", "PostAsGet", TICKET, "", "");
    relayed_expect_record(w, "post-as-get", "permit", relayed.a.account);
    relayed_expect(w, "answer-challenge", "AnswerChallenge",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/chall\"}", "", "");
    relayed_sign_finalize(w, &relayed.a, order, "{\"csr\":\"$CSR\",\"unknown\":[1.5]}");
    relayed_expect(w, "finalize", "Finalize", FINALIZE, "", "");
    relayed_expect_record(w, "finalize", "permit", relayed.a.account);
    world_last(w, &last);
    assert_non_null(last.entry->evidence);
    assert_int_equal(last.entry->name_count, 2);
    relayed_expect(w, "record-certificate", "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$CERT\",\"chain\":[]}", "", "");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.a,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\",\"reason\":4}"});
    relayed_expect(w, "revoke", "Revoke", REVOKE, "", "");
    relayed_expect_record(w, "revoke", "permit", relayed.a.account);
}

/* Every kind of key that ACME clients have. */
static void
each_kind_of_key_orders(void **state)
{
    struct world *w = *state;

    for (unsigned type = JOSE_EC_P256; type <= JOSE_ED25519; type++) {
        struct relayed_client client;
        char base[16];
        snprintf(base, sizeof(base), "k/%u", type);
        relayed_client_new(type, &client);
        relayed_account(w, &client, "app-a");
        relayed_order(w, &client, APP_A, base);
        relayed_client_free(&client);
    }
}

/* One thing each is not as the client signed it, or not the client's. $E as in the row. */
static const struct forged {
    const char *name;
    struct relayed_request request;
    const char *method, *parameters, *rule;
} forged[] = {
    {"attack: names that no client signed for: a stranger's key",
        {.client = &relayed.stranger, .path = "/acme/new-order", .payload = "$PAYLOAD"}, "NewOrder",
        NEW_ORDER, "evidence.account"},
    {"attack: a stranger's signature in an account's name",
        {.client = &relayed.stranger,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .kid = "$A",
            .alg = "ES256"},
        "NewOrder", NEW_ORDER, "evidence.signature"},
    {"attack 29: alg none",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD", .alg = "none"},
        "NewOrder", NEW_ORDER, "evidence.algorithm"},
    {"attack 29: HS256",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD", .alg = "HS256"},
        "NewOrder", NEW_ORDER, "evidence.algorithm"},
    {"attack 29: an algorithm of another kind of key",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD", .alg = "RS256"},
        "NewOrder", NEW_ORDER, "evidence.key"},
    {"attack 27: jwk where the account's kid belongs",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD", .by_jwk = true},
        "NewOrder", NEW_ORDER, "evidence.form"},
    {"attack: another relay's URL",
        {.client = &relayed.a,
            .payload = "$PAYLOAD",
            .url = "https://relay.example.org/inner/acme/new-order"},
        "NewOrder", NEW_ORDER, "evidence.url"},
    {"attack: a URL of the CA's",
        {.client = &relayed.a, .payload = "$PAYLOAD", .url = CA "new-order"}, "NewOrder", NEW_ORDER,
        "evidence.url"},
    {"attack: another resource's URL",
        {.client = &relayed.a, .path = "/acme/revoke-cert", .payload = "$PAYLOAD"}, "NewOrder",
        NEW_ORDER, "evidence.url"},
    {"attack 21: a URL that is the same by normalising",
        {.client = &relayed.a, .path = "/acme/./new-order", .payload = "$PAYLOAD"}, "NewOrder",
        NEW_ORDER, "evidence.url"},
    {"attack 23: a query",
        {.client = &relayed.a, .path = "/acme/new-order?x", .payload = "$PAYLOAD"}, "NewOrder",
        NEW_ORDER, "evidence.url"},
    {"a slash behind the URL",
        {.client = &relayed.a, .path = "/acme/new-order/", .payload = "$PAYLOAD"}, "NewOrder",
        NEW_ORDER, "evidence.url"},
    {"attack: an account of another relay",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .kid = "https://relay.example.org/acme/account/1"},
        "NewOrder", NEW_ORDER, "evidence.account"},
    {"an account number with a zero before it",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .kid = RELAY_URL "/acme/account/0$NUMBER"},
        "NewOrder", NEW_ORDER, "evidence.account"},
    {"an account number with something behind it",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .kid = "$A/orders"},
        "NewOrder", NEW_ORDER, "evidence.account"},
    {"an account number that no integer holds",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .kid = RELAY_URL "/acme/account/99999999999999999999"},
        "NewOrder", NEW_ORDER, "evidence.account"},
    {"attack: a nonce of nobody's",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .nonce = "oFvnlFP1wIhRlYS2jTaXbA"},
        "NewOrder", NEW_ORDER, "evidence.nonce"},
    {"attack: a nonce made up in the right length",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .nonce = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        "NewOrder", NEW_ORDER, "evidence.nonce"},
    {"attack 1: identifiers twice",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "{\"identifiers\":[],\"identifiers\":[]}"},
        "NewOrder", NEW_ORDER, "evidence.form"},
    {"no identifiers", {.client = &relayed.a, .path = "/acme/new-order", .payload = "{}"},
        "NewOrder", NEW_ORDER, "evidence.identifiers"},
    {"attack 83a: a name twice",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"},"
                       "{\"type\":\"dns\",\"value\":\"A.example.edu\"}]}"},
        "NewOrder", NEW_ORDER, "evidence.identifiers"},
    {"attack 77: a name that is none",
        {.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a..edu\"}]}"},
        "NewOrder", NEW_ORDER, "evidence.identifiers"},
    {"attack 16: the payload of another request",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = "{\"csr\":\"$CSR\"}"},
        "NewOrder", NEW_ORDER, "evidence.identifiers"},
    {"attack: a POST-as-GET for a request",
        {.client = &relayed.a, .path = "/acme/new-order", .payload = ""}, "NewOrder", NEW_ORDER,
        "evidence.form"},
    {"attack 17: a deactivation for the account that is an authorization's",
        {.client = &relayed.a,
            .path = "/acme/authz/1/1",
            .payload = "{\"status\":\"deactivated\"}"},
        "DeactivateAccount", "{\"evidence\":$E," SEEN "}", "evidence.url"},
    {"attack: a deactivation of another's account",
        {.client = &relayed.a,
            .path = "/acme/account/3",
            .payload = "{\"status\":\"deactivated\"}"},
        "DeactivateAccount", "{\"evidence\":$E," SEEN "}", "evidence.url"},
    {"attack 44: a change of contact for a deactivation",
        {.client = &relayed.a,
            .path = "$SELF",
            .payload = "{\"contact\":[],\"status\":\"deactivated\"}"},
        "DeactivateAccount", "{\"evidence\":$E," SEEN "}", "evidence.form"},
    {"attack 40: a revocation by a key that is not the certificate's",
        {.client = &relayed.stranger,
            .path = "/acme/revoke-cert",
            .payload = "{\"certificate\":\"$CERT\"}",
            .by_jwk = true},
        "Revoke", REVOKE, "evidence.key"},
};

static void
attack_hostile_relay_evidence_that_proves_nothing(void **state)
{
    struct world *w = *state;
    int64_t permits = atomic_load(&w->core->permits);

    relayed_names(w, "PAYLOAD", APP_A);
    world_set(w, "A", RELAY_URL "/acme/account/%lld", (long long)relayed.a.account);
    world_set(w, "NUMBER", "%lld", (long long)relayed.a.account);
    for (size_t i = 0; i < AW_COUNT(forged); i++) {
        struct relayed_request request = forged[i].request;
        char self[64];
        AW_CLEANUP(aw_free) char *kid = request.kid != NULL ? world_expand(w, request.kid) : NULL;
        snprintf(self, sizeof(self), "/acme/account/%lld", (long long)relayed.a.account);
        if (request.path != NULL && strcmp(request.path, "$SELF") == 0)
            request.path = self;
        request.kid = kid;
        relayed_sign(w, "E", &request);
        relayed_expect(w, forged[i].name, forged[i].method, forged[i].parameters, "EvidenceRefused",
            forged[i].rule);
    }
    assert_int_equal(atomic_load(&w->core->permits), permits);
}

/* What was signed is handed over again, or in another's place. */
static void
attack_hostile_relay_evidence_is_used_once(void **state)
{
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct world *w = *state;

    relayed_order(w, &relayed.a, APP_A, "u/1");
    relayed_expect(
        w, "attack 89: replayed", "NewOrder", NEW_ORDER, "EvidenceRefused", "evidence.nonce");
    relayed_expect_record(w, "new-order", "refuse", relayed.a.account);
    world_last(w, &last);
    assert_string_equal(last.entry->application, "app-a"); /* its budget's, and not the relay's */
    char nonce[64];
    relayed_nonce(w, nonce);
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.a,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .nonce = nonce});
    relayed_expect(w, "the nonce's first", "NewOrder", NEW_ORDER, "", "");
    relayed_sign(w, "E",
        &(struct relayed_request){.client = &relayed.other,
            .path = "/acme/new-order",
            .payload = "$PAYLOAD",
            .nonce = nonce});
    relayed_expect(w, "another's evidence with a used nonce", "NewOrder", NEW_ORDER,
        "EvidenceRefused", "evidence.nonce");
}

static void
attack_hostile_relay_a_restart_ends_nonces(void **state)
{
    struct world *w = *state;

    relayed_names(w, "PAYLOAD", APP_A);
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    world_restart(w);
    relayed_expect(w, "a nonce from before a restart", "NewOrder", NEW_ORDER, "EvidenceRefused",
        "evidence.nonce");
}

/* A refusal spends the nonce; what came to nothing does not. */
static void
evidence_that_came_to_nothing_is_as_good_as_before(void **state)
{
    struct world *w = *state;
    struct relayed_client client;

    relayed_client_new(JOSE_EC_P256, &client);
    relayed_account(w, &client, "app-unpinned");
    world_write(w, "policy.d/app-unpinned.yaml",
        "application: app-unpinned\nowner: team@example.edu\naccount: unpinned\n"
        "principals: [{user: backup}]\nnames: {exact: [u.example.edu]}\nrelay: {}\n");
    world_reload(w);
    relayed_names(w, "PAYLOAD", "u.example.edu");
    relayed_sign(w, "E",
        &(struct relayed_request){
            .client = &client, .path = "/acme/new-order", .payload = "$PAYLOAD"});
    for (int i = 0; i < 2; i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        relayed_call_as(w, RELAY, "NewOrder", NEW_ORDER, &answer);
        assert_string_equal(answer.error, "NotReady");
    }
    relayed_client_free(&client);
}

/* The clock of the day is ahead by that. */
static _Atomic int64_t real_ahead;

int __real_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);

int
__wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    int status = __real_clock_gettime(id, out);

    if (id == CLOCK_REALTIME)
        out->tv_sec += real_ahead;
    return status;
}

/* A nonce lives by the monotonic clock: no step makes it old, or good once more. */
static void
attack_92_a_step_of_the_clock_ends_no_nonce_and_revives_none(void **state)
{
    enum { YEAR = 366 * 86400 };
    static const struct {
        const char *name;
        int64_t step;
    } rows[] = {{"a year ahead", YEAR}, {"a year back", -YEAR}};
    struct world *w = *state;

    relayed_names(w, "PAYLOAD", APP_A);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        relayed_sign(w, "E",
            &(struct relayed_request){
                .client = &relayed.a, .path = "/acme/new-order", .payload = "$PAYLOAD"});
        real_ahead = rows[i].step;
        relayed_expect(w, rows[i].name, "NewOrder", NEW_ORDER, "", "");
        real_ahead = 0;
        relayed_expect(w, rows[i].name, "NewOrder", NEW_ORDER, "EvidenceRefused", "evidence.nonce");
    }
}

int
main(void)
{
    const struct CMUnitTest shared[] = {
        cmocka_unit_test_setup_teardown(what_a_client_signed_is_signed, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(each_kind_of_key_orders, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_evidence_that_proves_nothing, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_evidence_is_used_once, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_hostile_relay_a_restart_ends_nonces, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            evidence_that_came_to_nothing_is_as_good_as_before, relayed_begin, relayed_end),
        cmocka_unit_test_setup_teardown(
            attack_92_a_step_of_the_clock_ends_no_nonce_and_revives_none, relayed_begin,
            relayed_end),
    };

    return cmocka_run_group_tests(shared, relayed_setup, world_teardown);
}
