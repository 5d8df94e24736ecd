/* The signing contract, from request to signature: every operation, whoever asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "signer_world.h"

#define APP_A "a.example.edu www.a.example.edu"
#define SERIAL LITERAL("\x01\xab\xcd")
/* Key identifier of an issuer, and SERIAL, as RFC 9773 4.1 writes them. */
#define CERTIFICATE_ID "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AavN"

/* What an operation that is permitted signs and records. */
static const struct operation {
    const char *name, *method, *parameters;
    const char *payload;   /* NULL: nothing is signed */
    const char *operation; /* as recorded */
    enum audit_kind kind;
    const char *url;
} operations[] = {
    {"new-order: names sorted and in lower case", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"WWW.a.Example.edu\"},"
        "{\"type\":\"ip\",\"value\":\"192.0.2.17\"},{\"type\":\"dns\",\"value\":\"a.example.edu\"}]"
        ","
        "\"profile\":\"classic\"}",
        "{\"identifiers\":[{\"type\":\"ip\",\"value\":\"192.0.2.17\"},"
        "{\"type\":\"dns\",\"value\":\"a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"www.a.example.edu\"}],\"profile\":\"classic\"}",
        "new-order", AUDIT_DECISION, CA "new-order"},
    {"new-order: a wildcard and a name below", "NewOrder",
        "{\"nonce\":\"$N\",\"application\":\"app-a\",\"identifiers\":["
        "{\"type\":\"dns\",\"value\":\"*.w.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"x.y.sub.a.example.edu\"}]}",
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"*.w.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"x.y.sub.a.example.edu\"}]}",
        "new-order", AUDIT_DECISION, CA "new-order"},
    {"post-as-get of the order", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/order\"}", "", "post-as-get",
        AUDIT_DECISION, CA "o/1/order"},
    {"post-as-get of the authorization", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/authz\"}", "", "post-as-get",
        AUDIT_DECISION, CA "o/1/authz"},
    {"answer-challenge", "AnswerChallenge",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/chall\"}", "{}", "answer-challenge",
        AUDIT_DECISION, CA "o/1/chall"},
    {"finalize", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CSR\"}",
        "{\"csr\":\"$CSR\"}", "finalize", AUDIT_DECISION, CA "o/1/finalize"},
    {"finalize, the same again after badNonce", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CSR\"}",
        "{\"csr\":\"$CSR\"}", "finalize", AUDIT_DECISION, CA "o/1/finalize"},
    {"the certificate", "PostAsGet", "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/cert\"}",
        "", "post-as-get", AUDIT_DECISION, CA "o/1/cert"},
    {"record-certificate", "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$CERT\",\"chain\":[]}", NULL, "record-certificate",
        AUDIT_CERTIFICATE, NULL},
    {"new-order that replaces what was handed back (RFC 9773 5)", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}],"
        "\"replaces\":\"" CERTIFICATE_ID "\"}",
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}],"
        "\"replaces\":\"" CERTIFICATE_ID "\"}",
        "new-order", AUDIT_DECISION, CA "new-order"},
    {"revoke with a reason", "Revoke", "{\"nonce\":\"$N\",\"certificate\":\"$CERT\",\"reason\":4}",
        "{\"certificate\":\"$CERT\",\"reason\":4}", "revoke", AUDIT_DECISION, CA "revoke-cert"},
    {"revoke without", "Revoke", "{\"nonce\":\"$N\",\"certificate\":\"$CERT\"}",
        "{\"certificate\":\"$CERT\"}", "revoke", AUDIT_DECISION, CA "revoke-cert"},
};

static void
check_permit(struct world *w, const struct operation *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    AW_CLEANUP(aw_free) char *payload = row->payload ? world_expand(w, row->payload) : NULL;
    struct peer peer = world_peer("daemon", NULL);
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(w->core);

    int outcome = world_ask(w, &peer, row->method, row->parameters, &reply);
    if (outcome != SIGN_OUTCOME_DONE)
        fail_msg("%s: outcome %d, %s: %s", row->name, outcome, reply.rule ? reply.rule : "",
            reply.message ? reply.message : aw_error_last()->message);
    world_last(w, &last);
    const struct audit_entry *entry = last.entry;
    if (entry->kind != row->kind || strcmp(entry->operation, row->operation) != 0 ||
        strcmp(entry->verdict, "permit") != 0 || entry->rule == NULL)
        fail_msg("%s: recorded as %s %s %s", row->name, audit_kind_name(entry->kind),
            entry->operation, entry->verdict);
    assert_string_equal(entry->application, "app-a");
    assert_string_equal(entry->account, "main");
    assert_string_equal(entry->user, "daemon");
    assert_int_equal(entry->uid, peer.uid);
    assert_string_equal(entry->policy, policy_digest(snapshot));
    if (payload == NULL) {
        assert_null(reply.jws);
        assert_null(entry->input);
        return;
    }
    assert_string_equal(reply.url, row->url);
    assert_string_equal(entry->url, row->url);
    world_check_jws(w, row->name, &reply, "nonce-1", payload, entry);
}

static void
every_operation_is_signed_and_recorded(void **state)
{
    struct world *w = *state;

    world_order(w, "daemon", APP_A, "o/1");
    world_set_octets(w, "CSR", world_csr(KEY_P256, APP_A));
    world_set_octets(w, "CERT", world_certificate(KEY_P256, APP_A, SERIAL));
    for (size_t i = 0; i < AW_COUNT(operations); i++)
        check_permit(w, &operations[i]);
    assert_int_equal(atomic_load(&w->core->refusals), 0);
    assert_int_equal(atomic_load(&w->core->failures), 0);
}

/* Names, CSR and key of a permit are on record. */
static void
the_record_says_what_was_signed(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0}, again = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0}, order = {0};
    struct peer peer = world_peer("daemon", NULL);
    int64_t ticket = world_order(w, "daemon", "a.example.edu", "o/2");

    assert_int_equal(world_ask(w, &peer, "NewOrder",
                         "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                         "\"www.a.example.edu\"},{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}",
                         &reply),
        SIGN_OUTCOME_DONE);
    world_last(w, &order);
    assert_int_equal(order.record.seq, reply.order);
    assert_int_equal(order.entry->name_count, 2);
    assert_string_equal(order.entry->names[0], "a.example.edu");
    assert_string_equal(order.entry->names[1], "www.a.example.edu");
    world_set_octets(w, "CSR", world_csr(KEY_RSA_2048, "a.example.edu"));
    assert_int_equal(world_ask(w, &peer, "Finalize",
                         "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\","
                         "\"csr\":\"$CSR\"}",
                         &again),
        SIGN_OUTCOME_DONE);
    world_last(w, &last);
    assert_int_equal(last.entry->order, ticket);
    assert_non_null(last.entry->csr);
    assert_non_null(last.entry->key);
    assert_string_equal(last.entry->order_url, CA "o/2/order");
    assert_int_equal(last.entry->name_count, 1);
    assert_string_equal(last.entry->names[0], "a.example.edu");
}

/* Who may open an order, and for which application. */
static const struct {
    const char *name, *user, *group, *application, *identifier;
    int outcome;
    const char *rule;
} identities[] = {
    {"a user", "daemon", NULL, NULL, "a.example.edu", SIGN_OUTCOME_DONE, NULL},
    {"attack 96a: a supplementary group", "lp", "www-data", NULL, "g.example.edu",
        SIGN_OUTCOME_DONE, NULL},
    {"a group beside an own application, named", "daemon", "www-data", "app-g", "g.example.edu",
        SIGN_OUTCOME_DONE, NULL},
    {"a group beside an own application, not named", "daemon", "www-data", NULL, "g.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.ambiguous"},
    {"attack 96a: without the group", "lp", NULL, NULL, "g.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.none"},
    {"two applications, none named", "mail", NULL, NULL, "m1.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.ambiguous"},
    {"two applications, one named", "mail", NULL, "app-m2", "m2.example.edu", SIGN_OUTCOME_DONE,
        NULL},
    {"two applications, the names of the other", "mail", NULL, "app-m2", "m1.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "names.held-by-other"},
    {"another user's application", "bin", NULL, "app-a", "a.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.unknown"},
    {"an application that is not there", "bin", NULL, "app-z", "b.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.unknown"},
    {"root is nobody here", "root", NULL, NULL, "a.example.edu", SIGN_OUTCOME_POLICY_REFUSED,
        "application.none"},
    {"an administrator is nobody here", "sys", NULL, "app-a", "a.example.edu",
        SIGN_OUTCOME_POLICY_REFUSED, "application.none"},
    {"expired", "uucp", NULL, NULL, "e.example.edu", SIGN_OUTCOME_POLICY_REFUSED,
        "application.expired"},
    {"inert", "proxy", NULL, NULL, "i.example.edu", SIGN_OUTCOME_POLICY_REFUSED,
        "application.inert"},
    {"the account has no key", "man", NULL, NULL, "r.example.edu", SIGN_OUTCOME_NOT_READY,
        "account"},
    {"the CA is not pinned", "backup", NULL, NULL, "u.example.edu", SIGN_OUTCOME_NOT_READY, "ca"},
    {"the account's key is not in the token", "list", NULL, NULL, "k.example.edu",
        WORLD_UNAVAILABLE, NULL},
};

static void
check_identity(struct world *w, size_t i)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer(identities[i].user, identities[i].group);
    int64_t before = world_position(w);

    world_set(w, "NAME", "%s", identities[i].identifier);
    world_set(w, "APP", identities[i].application ? "\"%s\"" : "null", identities[i].application);
    int outcome = world_ask(w, &peer, "NewOrder",
        "{\"nonce\":\"$N\",\"application\":$APP,\"identifiers\":[{\"type\":\"dns\",\"value\":"
        "\"$NAME\"}]}",
        &reply);
    if (outcome != identities[i].outcome ||
        (identities[i].rule != NULL && strcmp(reply.rule, identities[i].rule) != 0))
        fail_msg("%s: outcome %d, rule %s, %s", identities[i].name, outcome,
            reply.rule ? reply.rule : "", reply.message ? reply.message : "");
    assert_int_equal(outcome == SIGN_OUTCOME_DONE, reply.jws != NULL);
    bool recorded = outcome == SIGN_OUTCOME_DONE || outcome == SIGN_OUTCOME_POLICY_REFUSED;
    if (world_position(w) != before + (recorded ? 1 : 0))
        fail_msg("%s: %s recorded", identities[i].name, recorded ? "not" : "is");
}

static void
identity_limits_the_choice(void **state)
{
    for (size_t i = 0; i < AW_COUNT(identities); i++)
        check_identity(*state, i);
}

static void
a_warning_is_signed_and_told(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct peer peer = world_peer("news", NULL);

    assert_int_equal(world_ask(w, &peer, "NewOrder",
                         "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                         "\"other.example.edu\"}]}",
                         &reply),
        SIGN_OUTCOME_DONE);
    assert_non_null(strstr(reply.warning, "will be refused from 2099-01-01 on"));
    world_last(w, &last);
    assert_string_equal(last.entry->verdict, "warn");
    assert_string_equal(last.entry->rule, "names.none");
    assert_string_equal(last.entry->message, reply.warning);
    world_check_jws(w, "warn", &reply, "nonce-1", NULL, last.entry);
}

/* The ledger comes from the log: an order outlives a restart. */
static void
an_order_outlives_a_restart(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct peer peer = world_peer("daemon", NULL);

    world_order(w, "daemon", "a.example.edu", "o/3");
    world_restart(w);
    assert_int_equal(world_ask(w, &peer, "PostAsGet",
                         "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/order\"}", &reply),
        SIGN_OUTCOME_DONE);
    world_last(w, &last);
    world_check_jws(w, "after a restart", &reply, "nonce-1", "", last.entry);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_signed_and_recorded),
        cmocka_unit_test(the_record_says_what_was_signed),
        cmocka_unit_test(identity_limits_the_choice),
        cmocka_unit_test(a_warning_is_signed_and_told),
        cmocka_unit_test(an_order_outlives_a_restart),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
