/* An order that is opened now and gone on with later, as a relay does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "issue_scene.h"

/* What opened told. */
struct kept {
    char *application, *url, *new_order, *document;
    int64_t ticket;
};

static void
kept_free(struct kept *kept)
{
    free(kept->application);
    free(kept->url);
    free(kept->new_order);
    free(kept->document);
}

static aw_result
keep(void *context, const struct issue_order *order)
{
    struct kept *kept = context;

    AW_TRY(aw_format(&kept->application, "%s", order->application));
    AW_TRY(aw_format(&kept->url, "%s", order->url));
    AW_TRY(aw_format(&kept->new_order, "%s", order->new_order));
    AW_TRY(aw_format(&kept->document, "%s", order->document));
    kept->ticket = order->ticket;
    return AW_OK;
}

/* One conversation. */
struct talk {
    struct scene scene;
    http *h;
    acme_session *session;
    signer_link *link;
    struct issue_request request;
};

static void
talk_start(struct talk *t, const struct ca_answer *answers, size_t count)
{
    char nonce[96];

    memset(t, 0, sizeof(*t));
    scene_start(&t->scene);
    scripted_ca_load(&t->scene.ca, answers, count);
    scripted_signer_load(&t->scene.signer, NULL, 0);
    snprintf(nonce, sizeof(nonce), "%s/nonce", t->scene.ca.base);
    assert_true(aw_ok(http_open(&(struct http_options){.ca_file = t->scene.ca.ca_file}, &t->h)));
    assert_true(aw_ok(acme_session_new(t->h, nonce, NULL, &t->session)));
    assert_true(aw_ok(signer_link_open(
        &(struct signer_place){.at = t->scene.signer.path, .server_uid = getuid()}, &t->link)));
    t->request = (struct issue_request){.thumbprint = "THUMB",
        .names = t->scene.names,
        .name_count = 2,
        .csr = (const uint8_t *)"csr",
        .csr_size = 3};
}

static void
talk_end(struct talk *t)
{
    acme_session_free(&t->session);
    http_close(&t->h);
    signer_link_close(&t->link);
    scene_stop(&t->scene);
}

/* Nothing is asked twice: four requests, as where it is issued at once. */
static void
opens_and_goes_on_with_the_document(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(VALID), CHAIN};
    AW_CLEANUP(talk_end) struct talk t;
    AW_CLEANUP(kept_free) struct kept kept = {0};
    AW_CLEANUP(issue_result_free) struct issue_result opened = {0};
    AW_CLEANUP(issue_result_free) struct issue_result issued = {0};
    const struct issue_callbacks callbacks = {.opened = keep, .context = &kept};

    (void)state;
    talk_start(&t, answers, AW_COUNT(answers));
    assert_true(aw_ok(issue_open(t.session, t.link, &t.request, &callbacks, &opened)));
    scripted_signer_settle(&t.scene.signer);
    assert_string_equal(t.scene.signer.calls, "NewOrder\nClaimUrls\n");
    assert_null(opened.chain);
    assert_int_equal(opened.order.ticket, 1);
    const struct issue_order resume = {
        kept.application, kept.ticket, kept.url, kept.new_order, kept.document};
    t.request.resume = &resume;
    assert_true(aw_ok(issue_certificate(t.session, t.link, &t.request, &callbacks, &issued)));
    assert_true(scripted_ca_check(&t.scene.ca, "opened"));
    scripted_signer_settle(&t.scene.signer);
    assert_string_equal(
        t.scene.signer.calls, "NewOrder\nClaimUrls\nFinalize\nClaimUrls\nPostAsGet\n");
    assert_string_equal(issued.chain, "-----BEGIN ...");
}

/* What the CA said is there whole, for whoever passes it on. */
static void
keeps_the_problem_of_a_refused_order(void **state)
{
    static const struct ca_answer answers[] = {NONCE,
        {"POST /new-order", 403, PROBLEM,
            "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\"detail\":\"no\","
            "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"CAA\","
            "\"identifier\":" DNS("a.example.edu") "}]}",
            CA_PLAIN}};
    AW_CLEANUP(talk_end) struct talk t;
    AW_CLEANUP(issue_result_free) struct issue_result opened = {0};
    const struct issue_callbacks callbacks = {.opened = NULL};

    (void)state;
    talk_start(&t, answers, AW_COUNT(answers));
    aw_result r = issue_open(t.session, t.link, &t.request, &callbacks, &opened);
    assert_int_equal(r.code, AW_CODE_CA_REFUSED);
    const struct acme_problem *told = acme_session_told(t.session);
    assert_int_equal(told->status, 403);
    assert_string_equal(told->type, "rejectedIdentifier");
    assert_string_equal(told->detail, "no");
    assert_int_equal(told->subproblem_count, 1);
    assert_string_equal(told->subproblems[0].identifier, "a.example.edu");
    assert_string_equal(acme_session_problem(t.session), "rejectedIdentifier");
}

/* Also one that comes in the order itself. */
static void
keeps_the_problem_of_an_invalid_order(void **state)
{
    static const struct ca_answer answers[] = {
        NONCE, READY, FINALIZED(ORDER_MORE("invalid", ",\"error\":" TYPE("badCSR")))};
    AW_CLEANUP(talk_end) struct talk t;
    AW_CLEANUP(issue_result_free) struct issue_result issued = {0};
    const struct issue_callbacks callbacks = {.opened = NULL};

    (void)state;
    talk_start(&t, answers, AW_COUNT(answers));
    aw_result r = issue_certificate(t.session, t.link, &t.request, &callbacks, &issued);
    assert_int_equal(r.code, AW_CODE_CA_REFUSED);
    assert_string_equal(acme_session_told(t.session)->type, "badCSR");
    assert_string_equal(acme_session_told(t.session)->detail, "told so");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_goes_on_with_the_document),
        cmocka_unit_test(keeps_the_problem_of_a_refused_order),
        cmocka_unit_test(keeps_the_problem_of_an_invalid_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
