/* Out of memory at every place that allocates in a call: parsing it, deciding, ledger, log, JWS,
 * reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "signer/application.h"
#include "signer_world.h"
#include "tests/faults/memory.h"
#include "tests/unit/client/authority.h"

/* A finalize may be signed eight times: each call has its order a few times only. */
enum { TRIES_MAX = 5000, TRIES_OF_AN_ORDER = 5, CHECK_EVERY = 20 };

#define NAMES "a.example.edu www.a.example.edu"
#define SAN "DNS:a.example.edu,DNS:www.a.example.edu"
#define ORDERED \
    "[{\"type\":\"dns\",\"value\":\"a.example.edu\"},{\"type\":\"ip\",\"value\":\"192.0.2.17\"}]"

/* SoftHSM ends the process for want of memory, so the token is asked with enough. That a signature
 * was made is counted. */
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

static const char app_a[] =
    "application: app-a\nowner: team@example.edu\naccount: main\nprincipals: [{user: daemon}]\n"
    "names: {exact: [a.example.edu, www.a.example.edu], addresses: [192.0.2.16/28]}\n"
    "operations: [order, revoke]\nprofiles: [classic]\n"
    "limits: {names_per_certificate: 4, orders_per_day: 100000}\n";

static void
set_certificate(struct world *w, const char *name, const X509 *certificate)
{
    size_t size;
    unsigned char *der = authority_der(certificate, &size);

    world_set_octets(w, name, octets_of(der, size));
    free(der);
}

/* A CA whose certificate is pinned, and what it issued for the finalized key: handed back, that is
 * verified. */
static void
pin_issuer(struct world *w)
{
    struct party root = authority_make(NULL, &(struct wish){.subject = "Root", .ca = true});
    struct party leaf = authority_make(
        &root, &(struct wish){.subject = "leaf", .san = SAN, .key = test_key(KEY_P256)});
    AW_CLEANUP(aw_free) char *pem = authority_pem(root.certificate);

    world_write(w, "issuers.pem", pem);
    world_pin_issuers(w, "issuers.pem");
    set_certificate(w, "CERT", leaf.certificate);
    set_certificate(w, "ROOT", root.certificate);
    authority_free(&leaf);
    authority_free(&root);
}

static int
setup(void **state)
{
    (void)world_setup(state);
    struct world *w = *state;
    world_write(w, "policy.d/app-a.yaml", app_a);
    pin_issuer(w);
    world_reload(w);
    world_set_octets(w, "CSR", world_csr(KEY_P256, NAMES));
    world_set_octets(w, "CSR_ACCOUNT", world_csr(KEY_P256_OTHER, NAMES));
    return 0;
}

static const struct operation {
    const char *name, *method, *parameters;
    bool of_order;     /* an order is used up by it */
    const char *error; /* what is answered with enough memory; "" for success */
} operations[] = {
    {"new-order", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":" ORDERED ",\"profile\":\"classic\"}", false, ""},
    {"new-order, refused by the policy", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.example.edu\"}]}",
        false, "PolicyRefused"},
    {"new-order, refused as a call", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a..edu\"}]}", false,
        "InvalidRequest"},
    {"claim", "ClaimUrls",
        "{\"order\":$ORDER,\"urls\":[{\"kind\":\"order\",\"url\":\"$BASE/order\"},"
        "{\"kind\":\"challenge\",\"url\":\"$BASE/chall2\"}]}",
        true, ""},
    {"poll", "PostAsGet", "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/order\"}", true, ""},
    {"poll, refused by the ledger", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/unknown\"}", true, "LedgerRefused"},
    {"poll, refused for its origin", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"https://ca.example.org/order\"}", true,
        "LedgerRefused"},
    {"claim, refused for its origin", "ClaimUrls",
        "{\"order\":$ORDER,\"urls\":[{\"kind\":\"order\",\"url\":\"$BASE/order\"},"
        "{\"kind\":\"challenge\",\"url\":\"https://ca.example.org/chall\"}]}",
        true, "LedgerRefused"},
    {"challenge", "AnswerChallenge", "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/chall\"}",
        true, ""},
    {"finalize", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CSR\"}", true,
        ""},
    {"finalize, refused for its CSR", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CERT\"}", true,
        "CsrRefused"},
    {"finalize, refused for an account's key", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CSR_ACCOUNT\"}",
        true, "CsrRefused"},
    {"record-certificate", "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$CERT\",\"chain\":[\"$ROOT\"]}", true, ""},
    {"revoke", "Revoke", "{\"nonce\":\"$N\",\"certificate\":\"$CERT\",\"reason\":4}", false, ""},
    {"check", "Check",
        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}],\"key\":\"ec-p256\"}",
        false, ""},
    {"whoami", "WhoAmI", "{}", false, ""},
};

/* An order that is finalized and whose certificate may be handed back and revoked. */
static void
open_order(struct world *w, unsigned number)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);
    char base[32];

    snprintf(base, sizeof(base), "o/%u", number);
    world_order(w, "daemon", NAMES, base);
    assert_int_equal(world_ask(w, &peer, "Finalize",
                         "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\","
                         "\"csr\":\"$CSR\"}",
                         &reply),
        SIGN_OUTCOME_DONE);
}

/* One call as the gate makes it; what is answered is parsed when there is memory again. */
struct attempt {
    struct aw_varlink_call call;
    aw_result result;
    bool failed; /* an allocation did */
    struct world_answer answer;
};

static void
end_attempt(struct attempt *attempt)
{
    aw_varlink_call_free(&attempt->call);
    world_answer_free(&attempt->answer);
}

static void
ask(struct world *w, const struct operation *row, long n, enum memory_failure failure,
    struct attempt *out)
{
    AW_CLEANUP(aw_free) char *parameters = world_expand(w, row->parameters);
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL;
    struct peer peer = world_peer("daemon", NULL);
    struct gate_answer said = {.reply = NULL};

    assert_ok(aw_format(&text, "{\"method\":\"org.acmeward.Signer.%s\",\"parameters\":%s}",
        row->method, parameters));
    memory_fail_at_new_place(
        failure == MEMORY_FAILS_ONCE ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, failure);
    out->result = aw_varlink_call_parse(text, strlen(text), &out->call);
    if (aw_ok(out->result))
        out->result = application_service.answer(w->core, &peer, &out->call, &said);
    reply = said.reply;
    out->failed = memory_fail_end();
    out->answer.error = "";
    if (!aw_ok(out->result))
        return;
    if (!aw_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &out->answer.json)))
        fail_msg("%s, allocation %ld: %s", row->name, n, reply);
    const cJSON *error = aw_json_member(out->answer.json, "error");
    if (error != NULL)
        out->answer.error = strrchr(error->valuestring, '.') + 1;
    assert_ok(aw_json_object(out->answer.json, "parameters", &out->answer.parameters));
}

/* A JWS that came out is the account's signature of what the last record has the digest of. */
static void
check_signed(struct world *w, const struct operation *row, const struct attempt *attempt)
{
    AW_CLEANUP(aw_free) char *jws = NULL, *url = NULL;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    const cJSON *signed_request = aw_json_member(attempt->answer.parameters, "request");

    if (signed_request == NULL)
        signed_request = attempt->answer.parameters;
    const cJSON *member = aw_json_member(signed_request, "jws");
    if (member == NULL)
        return;
    jws = cJSON_IsString(member) ? strdup(member->valuestring) : cJSON_PrintUnformatted(member);
    url = strdup(aw_json_member(signed_request, "url")->valuestring);
    world_last(w, &last);
    world_check_jws(
        w, row->name, &(struct sign_reply){.jws = jws, .url = url}, "nonce-1", NULL, last.entry);
}

/* True when no allocation failed any more. */
static bool
try_call(struct world *w, const struct operation *row, long n, enum memory_failure failure)
{
    AW_CLEANUP(end_attempt) struct attempt attempt = {0};
    int64_t before = world_position(w);

    signatures = 0;
    ask(w, row, n, failure, &attempt);
    if (signatures > 0 && world_position(w) <= before)
        fail_msg("%s, allocation %ld: signed, and nothing is on record", row->name, n);
    if (!aw_ok(attempt.result)) {
        if (!attempt.failed || attempt.result.code != AW_CODE_MEMORY)
            fail_msg("%s, allocation %ld: %s", row->name, n, aw_error_last()->message);
        return false;
    }
    /* Want of memory is never told as a refusal. */
    if (strcmp(attempt.answer.error, row->error) != 0 &&
        !(attempt.failed && strcmp(attempt.answer.error, "Unavailable") == 0))
        fail_msg("%s, allocation %ld: %s %s %s", row->name, n, attempt.answer.error,
            world_text(&attempt.answer, "rule"), world_text(&attempt.answer, "message"));
    /* Nor does it raise an alarm, as one about the CA would be, which is a record more. */
    if (world_position(w) > before + 1) {
        AW_CLEANUP(world_record_free) struct world_record last = {0};

        world_last(w, &last);
        fail_msg("%s, allocation %ld%s: %s", row->name, n, attempt.failed ? "" : " (none failed)",
            last.entry->message == NULL ? "more than one record" : last.entry->message);
    }
    /* Reading the record walks the log: at the end, and now and then. */
    if (attempt.answer.error[0] == '\0' && (!attempt.failed || n % CHECK_EVERY == 0))
        check_signed(w, row, &attempt);
    return !attempt.failed;
}

/* A start and a look at the last record read one segment: it stays short. */
static void
begin_segment(struct world *w)
{
    struct audit_segment closed;

    assert_ok(audit_log_rotate(w->core->audit, &closed));
}

/* A database that has failed decides nothing more: the process ends, and the service manager starts
 * it anew, which brings the ledger up from the log. True if that was so. */
static bool
begin_anew(struct world *w)
{
    if (aw_ok(core_housekeep(w->core)))
        return false;
    world_restart(w);
    return true;
}

static void
a_call_without_memory_signs_nothing_off_the_record(void **state)
{
    static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};
    struct world *w = *state;
    unsigned orders = 0, restarts = 0;

    for (size_t i = 0; i < AW_COUNT(operations) * AW_COUNT(failures); i++) {
        const struct operation *row = &operations[i / 2];
        bool whole = false;
        int tries = 0;

        begin_segment(w);
        memory_places_forget();
        for (; !whole; tries++) {
            assert_true(tries < TRIES_MAX);
            if (tries % TRIES_OF_AN_ORDER == 0 && (tries == 0 || row->of_order))
                open_order(w, orders++);
            whole = try_call(w, row, tries + 1, failures[i % 2]);
            restarts += begin_anew(w);
        }
        assert_true(tries > 5);
    }
    assert_true(restarts > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_call_without_memory_signs_nothing_off_the_record, setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
