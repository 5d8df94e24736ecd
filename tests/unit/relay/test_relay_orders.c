/* Orders of clients through the relay, against a scripted signer and a scripted CA: what can't be
 * had of real ones, and what is stored and told in each case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/b64url.h"
#include "common/io.h"
#include "relay/store.h"
#include "relay/upstream.h"
#include "relay/work.h"
#include "relay_stage.h"

#define BAG_WITH_ALTERNATE                                                                    \
    {                                                                                         \
        "POST /cert/1", 200, PEM "Link: <$B/cert/2>;rel=\"alternate\"\r\n", "CHAIN", CA_PLAIN \
    }
#define ALTERNATE                                   \
    {                                               \
        "POST /cert/2", 200, PEM, "CHAIN", CA_PLAIN \
    }

/* From new order to certificate and its alternate; nothing is asked twice of the CA. */
static void
issues_through_signer_and_ca(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, READY, FINALIZED(VALID), BAG_WITH_ALTERNATE, ALTERNATE};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_response_free) struct relay_response opened = {0};
    AW_CLEANUP(relay_response_free) struct relay_response chain = {0};

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_post(
        &s, &(struct relay_world_signed){.path = "/acme/new-order", .payload = NEW_ORDER}, &opened);
    assert_int_equal(opened.status, 201);
    assert_string_equal(opened.location, WORLD_URL "/acme/order/1");
    assert_non_null(strstr(opened.body, "\"status\":\"ready\""));
    assert_non_null(strstr(opened.body, "\"identifiers\":[" NAMES "]"));
    stage_expect(&s, "/acme/authz/1/2", "", 200, "\"wildcard\":true");
    stage_expect(&s, "/acme/authz/1/1", "", 200, "\"status\":\"valid\"");
    stage_expect(&s, "/acme/authz/1/1", "", 200, "\"type\":\"tls-alpn-01\"");
    stage_expect(&s, "/acme/challenge/1/1/http-01", "", 200, "\"token\":\"");
    stage_expect(&s, "/acme/challenge/1/1/dns-01", "{}", 200, "\"type\":\"dns-01\"");
    stage_expect(&s, "/acme/challenge/1/2/http-01", "", 404, "no challenge http-01");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"valid\"");
    assert_true(scripted_ca_check(&s.scene.ca, "issued"));
    stage_post(&s, &(struct relay_world_signed){.path = "/acme/certificate/1"}, &chain);
    assert_string_equal(chain.content_type, "application/pem-certificate-chain");
    assert_string_equal(chain.body, s.chain);
    assert_int_equal(chain.link_count, 1);
    assert_string_equal(chain.links[0].url, WORLD_URL "/acme/certificate/1/1");
    stage_expect(&s, "/acme/certificate/1/1", "", 200, s.chain);
    stage_expect(&s, "/acme/certificate/1/2", "", 404, "malformed");
    stage_expect(&s, "/acme/account/7/orders", "", 200, WORLD_URL "/acme/order/1");
    scripted_signer_settle(&s.scene.signer);
    assert_string_equal(s.scene.signer.calls,
        "NewOrder\nClaimUrls\nFinalize\nClaimUrls\nPostAsGet\nClaimUrls\nPostAsGet\n"
        "RecordCertificate\n");
}

/* What another account of the same application has ordered is none of one's business. */
static void
keeps_accounts_apart(void **state)
{
    static const char *const paths[] = {"/acme/order/1", "/acme/authz/1/1",
        "/acme/challenge/1/1/http-01", "/acme/certificate/1", "/acme/order/1/finalize",
        "/acme/account/7", "/acme/account/7/orders"};
    static const struct ca_answer answers[] = {NONCE, READY};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    for (size_t i = 0; i < AW_COUNT(paths); i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        const struct relay_world_signed what = {.path = paths[i],
            .key = &s.world.other,
            .kid = WORLD_URL "/acme/account/8",
            .payload = strstr(paths[i], "finalize") != NULL ? s.finalize : ""};
        stage_post(&s, &what, &response);
        if (response.status != 403 || strstr(response.body, "unauthorized") == NULL)
            fail_msg("%s: %d %s", paths[i], response.status, response.body);
    }
}

/* New orders that are not answered with one: by the signer's or the CA's word. */
static const struct {
    const char *name;
    const char *payload;
    struct signer_change change;
    struct ca_answer answer;
    int status;
    const char *part;
    int64_t retry_after;
} refusals[] = {
    {.name = "a name that the policy does not give",
        .change = {.method = "NewOrder",
            .error = "org.acmeward.Relay.PolicyRefused",
            .parameters = "{\"rule\":\"names.exact\",\"name\":\"a.example.edu\","
                          "\"message\":\"not yours\"}"},
        .status = 403,
        .part = "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\""},
    {.name = "a quota",
        .change = {.method = "NewOrder",
            .error = "org.acmeward.Relay.LedgerRefused",
            .parameters = "{\"rule\":\"quota.orders_per_day\",\"message\":\"enough\","
                          "\"retry_after\":77}"},
        .status = 429,
        .part = "rateLimited",
        .retry_after = 77},
    {.name = "a nonce that the signer does not know",
        .change = {.method = "NewOrder",
            .error = "org.acmeward.Relay.EvidenceRefused",
            .parameters = "{\"rule\":\"evidence.nonce\",\"message\":\"used\"}"},
        .status = 400,
        .part = "badNonce"},
    {.name = "frozen",
        .change = {.method = "NewOrder",
            .error = "org.acmeward.Relay.Frozen",
            .parameters = "{\"message\":\"stopped\"}"},
        .status = 503,
        .part = "serverInternal",
        .retry_after = 60},
    {.name = "the CA rejects a name",
        .answer = {"POST /new-order", 403, PROBLEM,
            "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"no\","
            "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"C\","
            "\"identifier\":" DNS("a.example.edu") "}]}",
            CA_PLAIN},
        .status = 403,
        .part = "\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"C\""},
    {.name = "the CA limits the rate",
        .answer = {"POST /new-order", 429, PROBLEM "Retry-After: 3600\r\n", TYPE("rateLimited"),
            CA_PLAIN},
        .status = 429,
        .part = "rateLimited",
        .retry_after = 3600},
    {.name = "the CA is down",
        .answer = {"POST /new-order", 503, PROBLEM "Retry-After: 900\r\n", TYPE("serverInternal"),
            CA_PLAIN},
        .status = 503,
        .part = "serverInternal",
        .retry_after = 900},
    {.name = "the CA drops the connection",
        .answer = {"POST /new-order", 0, NULL, NULL, CA_DROP},
        .status = 503,
        .part = "serverInternal",
        .retry_after = 60},
    {.name = "a page of a proxy in place of the CA's answer",
        .answer = {"POST /new-order", 200, "Content-Type: text/html\r\n", "<html>", CA_PLAIN},
        .status = 503,
        .part = "serverInternal",
        .retry_after = 60},
    {.name = "no identifiers",
        .payload = "{\"identifiers\":[]}",
        .status = 400,
        .part = "malformed"},
    {.name = "a name twice",
        .payload = "{\"identifiers\":[" DNS("a.example.edu") "," DNS("A.example.edu") "]}",
        .status = 400,
        .part = "twice"},
    {.name = "a type of identifier that nobody knows",
        .payload = "{\"identifiers\":[{\"type\":\"email\",\"value\":\"a@b\"}]}",
        .status = 400,
        .part = "unsupportedIdentifier"},
    {.name = "no name",
        .payload = "{\"identifiers\":[" DNS("a_b.example.edu") "]}",
        .status = 403,
        .part = "rejectedIdentifier"},
};

static void
tells_why_there_is_no_order(void **state)
{
    static const struct ca_answer nonce = NONCE;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(refusals); i++) {
        AW_CLEANUP(stage_close) struct stage s;
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        struct ca_answer answers[] = {nonce, refusals[i].answer};
        const struct relay_world_signed what = {.path = "/acme/new-order",
            .payload = refusals[i].payload != NULL ? refusals[i].payload : NEW_ORDER};

        stage_open(&s);
        stage_script(&s, answers, refusals[i].answer.request != NULL ? 2 : 1);
        scripted_signer_load(
            &s.scene.signer, &refusals[i].change, refusals[i].change.method != NULL ? 1 : 0);
        stage_post(&s, &what, &response);
        if (response.status != refusals[i].status ||
            strstr(response.body, refusals[i].part) == NULL ||
            response.retry_after != refusals[i].retry_after)
            fail_msg("%s: %d (%lld) %s", refusals[i].name, response.status,
                (long long)response.retry_after, response.body);
    }
}

/* Refused before anything was signed: the order is ready still, and the next CSR may be good. */
static void
is_ready_after_a_refused_csr(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, NONCE, NONCE, FINALIZED(VALID), BAG};
    static const struct signer_change changes[] = {
        {.method = "Finalize",
            .error = "org.acmeward.Relay.CsrRefused",
            .parameters = "{\"rule\":\"csr.san\",\"message\":\"a name too many\"}"},
        {.method = "Finalize",
            .error = "org.acmeward.Relay.PolicyRefused",
            .parameters = "{\"rule\":\"names.exact\",\"message\":\"not yours\","
                          "\"name\":\"b.example.edu\"}"}};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    scripted_signer_load(&s.scene.signer, changes, AW_COUNT(changes));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 400, "badCSR");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 400, "badCSR");
    stage_expect(&s, "/acme/order/1", "", 200, "\"status\":\"ready\"");
    stage_expect(&s, "/acme/certificate/1", "", 404, "no certificate yet");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"valid\"");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 403, "orderNotReady");
}

/* What is no base64url can't be handed to the signer: it is refused before anything is stored. */
static void
is_ready_after_a_csr_that_can_not_be_read(void **state)
{
    static const char *const payloads[] = {"{\"csr\":\"MIIB==\"}", "{\"csr\":\"a+b/\"}",
        "{\"csr\":\"A\"}", "{\"csr\":\"-----BEGIN CERTIFICATE REQUEST-----\"}"};
    static const struct ca_answer answers[] = {NONCE, READY};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    for (size_t i = 0; i < AW_COUNT(payloads); i++)
        stage_expect(&s, "/acme/order/1/finalize", payloads[i], 400, "badCSR");
    stage_expect(&s, "/acme/order/1/finalize", "{\"csr\":1}", 400, "malformed");
    stage_expect(&s, "/acme/order/1", "", 200, "\"status\":\"ready\"");
}

/* The CA's own word ends the order, with its problem in it. */
static void
is_invalid_by_the_ca(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, READY, FINALIZED(ORDER_MORE("invalid", ",\"error\":" TYPE("badCSR")))};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200,
        "\"error\":{\"type\":\"urn:ietf:params:acme:error:badCSR\"");
    stage_expect(&s, "/acme/order/1", "", 200, "\"status\":\"invalid\"");
}

/* A chain that is not of the CSR's key is not passed on. */
static void
refuses_a_certificate_of_another_key(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(VALID), CHAIN};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(aw_free) char *foreign = NULL;
    struct party other;

    (void)state;
    stage_open(&s);
    other = authority_make(NULL,
        &(struct wish){.san = "DNS:a.example.edu,DNS:*.example.edu", .from = -60, .until = 86400});
    foreign = authority_pem(other.certificate);
    stage_script(&s, answers, AW_COUNT(answers));
    s.answers[3].body = foreign;
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"invalid\"");
    authority_free(&other);
}

/* Whatever a CA has under an alternate's URL, a chain of the same certificate is passed on, and
 * nothing else; the first chain is as good as before. */
static void
attack_109_no_foreign_alternate_is_passed_on(void **state)
{
    static const char key[] = "-----BEGIN PRIVATE KEY-----\nMC4CAQA=\n-----END PRIVATE KEY-----\n";
    static const struct ca_answer answers[] = {
        NONCE, READY, FINALIZED(VALID), BAG_WITH_ALTERNATE, ALTERNATE};
    struct wish again = {.subject = "leaf",
        .san = "DNS:a.example.edu,DNS:*.example.edu",
        .from = -60,
        .until = 86400};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        AW_CLEANUP(stage_close) struct stage s;
        AW_CLEANUP(aw_free) char *alternate = NULL;
        struct party other;

        stage_open(&s);
        other = authority_make(&s.issuer, &again);
        stage_script(&s, answers, AW_COUNT(answers));
        switch (i) {
        case 0: /* attack 109: a private key behind the chain */
            assert_true(aw_ok(aw_format(&alternate, "%s%s", s.chain, key)));
            break;
        case 1: /* attack 109: text for whoever reads it */
            assert_true(aw_ok(aw_format(&alternate, "<script>\n%s", s.chain)));
            break;
        case 2: /* another certificate for the names, of another key */
            alternate = authority_pem(other.certificate);
            break;
        default: /* the issuer alone */
            alternate = authority_pem(s.issuer.certificate);
        }
        s.answers[4].body = alternate;
        assert_true(aw_ok(relay_begin(&s.world.relay)));
        stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
        stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"valid\"");
        stage_expect(&s, "/acme/certificate/1", "", 200, s.chain);
        stage_expect(&s, "/acme/certificate/1/1", "", 404, "malformed");
        authority_free(&other);
    }
}

/* Killed after finalize was stored: the next start asks the CA, and goes on from there. */
static void
goes_on_after_a_kill(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, READY, NONCE, POLLED(ORDER("ready")), FINALIZED(VALID), BAG};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(aw_free) char *evidence = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL;
    bool moved = false;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    assert_true(aw_ok(aw_b64url_encode_new(s.finalize, strlen(s.finalize), &payload)));
    assert_true(aw_ok(aw_format(&evidence,
        "{\"protected\":\"a\",\"payload\":\"%s\",\"signature\":\"b\",\"address\":null,"
        "\"client_certificate\":null,\"validated\":null}",
        payload)));
    const struct order_step step = {
        .ticket = 1, .from = ORDER_READY, .to = ORDER_PROCESSING, .evidence = evidence};
    assert_true(aw_ok(relay_store_order_move(s.world.relay.store, &step, &moved)));
    relay_world_again(&s.world);
    stage_expect(&s, "/acme/order/1", "", 200, "\"status\":\"processing\"");
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    for (int i = 0; i < 500; i++) {
        AW_CLEANUP(relay_response_free) struct relay_response response = {0};
        stage_post(&s, &(struct relay_world_signed){.path = "/acme/order/1"}, &response);
        if (strstr(response.body, "processing") == NULL)
            break;
        usleep(10 * 1000);
    }
    stage_expect(&s, "/acme/certificate/1", "", 200, s.chain);
    assert_true(scripted_ca_check(&s.scene.ca, "gone on with"));
}

/* RFC 8555 7.5.2: the order goes with its authorization. */
static void
ends_with_a_deactivated_authorization(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/authz/1/1", "{\"status\":\"valid\"}", 400, "malformed");
    stage_expect(&s, "/acme/authz/1/1", "{\"status\":\"deactivated\"}", 200, "deactivated");
    stage_expect(&s, "/acme/order/1", "", 200, "\"status\":\"invalid\"");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 403, "orderNotReady");
    stage_expect(&s, "/acme/account/7/orders", "", 200, "\"orders\":[]");
}

aw_result __real_relay_store_authorization_move(
    struct relay_store *store, const struct authorization_step *step, bool *moved);
aw_result __wrap_relay_store_authorization_move(
    struct relay_store *store, const struct authorization_step *step, bool *moved);

static const struct authorization_step *before; /* somebody else's, just before the next one */

aw_result
__wrap_relay_store_authorization_move(
    struct relay_store *store, const struct authorization_step *step, bool *moved)
{
    if (before != NULL) {
        assert_true(aw_ok(__real_relay_store_authorization_move(store, before, moved)));
        assert_true(*moved);
        before = NULL;
    }
    return __real_relay_store_authorization_move(store, step, moved);
}

/* A step that somebody else's went before is not told as done. */
static void
tells_no_deactivation_that_was_not(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY};
    static const struct authorization_step other = {.ticket = 1,
        .number = 1,
        .from = AUTHORIZATION_VALID,
        .to = AUTHORIZATION_INVALID,
        .challenge_from = CHALLENGE_VALID,
        .challenge_to = CHALLENGE_INVALID};
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    before = &other;
    stage_expect(&s, "/acme/authz/1/1", "{\"status\":\"deactivated\"}", 503, "try again later");
    stage_expect(&s, "/acme/authz/1/1", "", 200, "\"status\":\"invalid\"");
}

/* While one of two threads waits for the CA, the other is for those who need none. */
static void
leaves_threads_for_others(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(relay_upstream_end) struct upstream_talk talk = {0};
    struct relay_account *account = NULL;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    struct relay *relay = &s.world.relay;
    assert_true(aw_ok(relay_accounts_get(relay->accounts, relay->signer, 7, &account)));
    assert_true(aw_ok(relay_upstream_begin(relay, account, UPSTREAM_ANSWER, &talk)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 503, "serverInternal");
    stage_expect(&s, "/acme/account/7", "", 200, "valid");
    relay_upstream_end(&talk);
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    relay_account_release(relay->accounts, &account);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issues_through_signer_and_ca),
        cmocka_unit_test(keeps_accounts_apart),
        cmocka_unit_test(tells_why_there_is_no_order),
        cmocka_unit_test(is_ready_after_a_refused_csr),
        cmocka_unit_test(is_ready_after_a_csr_that_can_not_be_read),
        cmocka_unit_test(is_invalid_by_the_ca),
        cmocka_unit_test(refuses_a_certificate_of_another_key),
        cmocka_unit_test(attack_109_no_foreign_alternate_is_passed_on),
        cmocka_unit_test(goes_on_after_a_kill),
        cmocka_unit_test(leaves_threads_for_others),
        cmocka_unit_test(ends_with_a_deactivated_authorization),
        cmocka_unit_test(tells_no_deactivation_that_was_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
