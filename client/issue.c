#include "client/issue.h"

#include <stdlib.h>
#include <string.h>

#include "client/issue_internal.h"
#include "common/io.h"

static const char *const step_texts[] = {
    [ISSUE_ORDER] = "ordering",
    [ISSUE_AUTHORIZE] = "authorizing",
    [ISSUE_FINALIZE] = "finalizing",
    [ISSUE_POLL] = "waiting for the CA",
    [ISSUE_DOWNLOAD] = "downloading",
    [ISSUE_DONE] = "done",
};

static const char json[] = "application/json";

const char *
issue_step_text(enum issue_step step)
{
    return step_texts[step];
}

void
issue_tell(const struct issue *issue, enum issue_step step, const char *name, const char *detail)
{
    if (issue->callbacks->progress != NULL)
        issue->callbacks->progress(issue->callbacks->context, step, name, detail);
}

void
issue_result_free(struct issue_result *result)
{
    free(result->chain);
    signer_order_free(&result->order);
    free(result->order_url);
    free(result->certificate_url);
    free(result->warning);
    memset(result, 0, sizeof(*result));
}

static void
issue_free(struct issue *issue)
{
    free(issue->pinned);
    acme_order_free(&issue->order);
    issue_result_free(&issue->result);
}

/* Signing: what acme_post asks for each nonce. */

static aw_result
hand_over(struct signer_signed *from, char **url, char **jws)
{
    *url = AW_MOVE(from->url);
    *jws = AW_MOVE(from->jws);
    return AW_OK;
}

static void
keep_warning(struct issue *issue, struct signer_signed *from)
{
    if (from->warning == NULL)
        return;
    free(issue->result.warning);
    issue->result.warning = AW_MOVE(from->warning);
}

/* Signed again, it is another order with the signer: the last one is what the CA answers. */
static aw_result
sign_new_order(void *context, const char *nonce, char **url, char **jws)
{
    AW_CLEANUP(signer_signed_free) struct signer_signed s = {0};
    struct issue *issue = context;
    const struct issue_request *request = issue->request;
    struct signer_new_order asked = {request->application, request->names, request->name_count,
        request->profile, request->replaces};

    signer_order_free(&issue->result.order);
    AW_TRY(signer_new_order(issue->link, &asked, nonce, &issue->result.order, &s));
    keep_warning(issue, &s);
    free(issue->pinned);
    issue->pinned = strdup(s.url);
    if (issue->pinned == NULL)
        return aw_fail_memory();
    return hand_over(&s, url, jws);
}

/* What keeps the CA from taking finalize does not get better by more of them. */
static aw_result
finalizes_spent(const struct issue *issue)
{
    const char *problem = acme_session_problem(issue->session);

    return aw_hint(
        aw_fail(AW_CODE_CA_UNAVAILABLE, "the CA took none of %d requests to finalize (%s)",
            ISSUE_SIGNATURES_MAX, problem[0] != '\0' ? problem : "no problem told"),
        "try again later: the order is gone on with");
}

static aw_result
sign_finalize(void *context, const char *nonce, char **url, char **jws)
{
    AW_CLEANUP(signer_signed_free) struct signer_signed s = {0};
    struct issue *issue = context;
    struct signer_target target = {&issue->result.order, nonce, issue->order.finalize};

    if (issue->signatures == ISSUE_SIGNATURES_MAX)
        return finalizes_spent(issue);
    issue->signatures++;
    AW_TRY(
        signer_finalize(issue->link, &target, issue->request->csr, issue->request->csr_size, &s));
    keep_warning(issue, &s);
    issue->finalized = aw_now_ms();
    return hand_over(&s, url, jws);
}

struct post {
    struct issue *issue;
    const char *method;
    const char *url;
};

static aw_result
sign_post(void *context, const char *nonce, char **url, char **jws)
{
    AW_CLEANUP(signer_signed_free) struct signer_signed s = {0};
    const struct post *post = context;
    struct signer_target target = {&post->issue->result.order, nonce, post->url};

    AW_TRY(signer_post_url(post->issue->link, post->method, &target, &s));
    return hand_over(&s, url, jws);
}

aw_result
issue_post(struct issue *issue, const char *method, const char *url, const char *type,
    struct http_response *out)
{
    struct post post = {issue, method, url};
    bool idempotent = strcmp(method, "PostAsGet") == 0;

    AW_TRY(acme_post(issue->session, sign_post, &post, idempotent, url, out));
    issue->retry_after = out->retry_after;
    return acme_expect_type(out, type, url);
}

bool
issue_answer_lost(void)
{
    const struct aw_error *error = aw_error_last();

    return http_dropped(error) ||
           (error->cause == AW_CAUSE_CURL && error->code == AW_CODE_TIMEOUT) ||
           (error->cause == AW_CAUSE_HTTP && error->cause_number >= 500);
}

/* The order. */

static aw_result
order_failed(const struct issue *issue, const char *what)
{
    const struct acme_order *order = &issue->order;

    if (order->problem.type[0] != '\0' || order->problem.detail != NULL) {
        AW_TRY(acme_session_keep(issue->session, &order->problem));
        return acme_problem_fail(&order->problem, -1, what);
    }
    return aw_hint(aw_fail(AW_CODE_CA_REFUSED, "%s: the CA made the order %s and tells no reason",
                       what, acme_status_name(order->status)),
        "try again: a new order is made; %s is the order's URL for the CA's support",
        issue->result.order_url);
}

/* RFC 8555 7.1.3: the names are what was asked, and may never change. */
static aw_result
check_names(const struct issue *issue)
{
    const struct issue_request *request = issue->request;
    const struct acme_order *order = &issue->order;
    bool same = request->name_count == order->name_count;

    for (size_t i = 0; same && i < order->name_count; i++)
        same = aw_name_compare(&request->names[i], &order->names[i]) == 0;
    if (same)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_MISMATCH, "the CA's order has %zu names (%s ...), asked were %zu (%s ...)",
            order->name_count, order->names[0].text, request->name_count, request->names[0].text),
        "the CA must order what it is asked: report it to the CA");
}

static aw_result
check_profile(const struct issue *issue)
{
    const char *asked = issue->request->profile, *found = issue->order.profile;

    if (asked == NULL || found == NULL || strcmp(asked, found) == 0)
        return AW_OK;
    return aw_fail(
        AW_CODE_MISMATCH, "the CA's order has the profile %s, asked was %s", found, asked);
}

/* Attack 26: each URL is on the pinned origin before anything is signed for it. */
static aw_result
check_urls(const struct issue *issue)
{
    const struct acme_order *order = &issue->order;

    AW_TRY(acme_url_check(issue->pinned, issue->result.order_url, "order"));
    AW_TRY(acme_url_check(issue->pinned, order->finalize, "finalize"));
    for (size_t i = 0; i < order->authorization_count; i++)
        AW_TRY(acme_url_check(issue->pinned, order->authorizations[i], "authorization"));
    return AW_OK;
}

static aw_result
check_order(const struct issue *issue)
{
    AW_TRY(check_names(issue));
    AW_TRY(check_profile(issue));
    return check_urls(issue);
}

static aw_result
tell_opened(const struct issue *issue, const char *document)
{
    const struct issue_callbacks *callbacks = issue->callbacks;
    const struct issue_order order = {issue->result.order.application, issue->result.order.ticket,
        issue->result.order_url, issue->pinned, document};

    return callbacks->opened == NULL ? AW_OK : callbacks->opened(callbacks->context, &order);
}

/* The authorizations of an order that is not pending are of no use to it, and may be another
 * application's already, where names overlap. */
static aw_result
claim_order(struct issue *issue)
{
    const struct acme_order *order = &issue->order;
    size_t count = order->status == ACME_PENDING ? order->authorization_count : 0;
    AW_CLEANUP(aw_free) struct signer_claim *claims = calloc(count + 2, sizeof(*claims));

    if (claims == NULL)
        return aw_fail_memory();
    claims[0] = (struct signer_claim){"order", issue->result.order_url};
    claims[1] = (struct signer_claim){"finalize", order->finalize};
    for (size_t i = 0; i < count; i++)
        claims[i + 2] = (struct signer_claim){"authorization", order->authorizations[i]};
    return signer_claim_urls(issue->link, &issue->result.order, claims, count + 2);
}

static aw_result
open_order(struct issue *issue)
{
    static const char what[] = "ordering";
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    issue_tell(issue, ISSUE_ORDER, NULL, NULL);
    AW_TRY(acme_post(issue->session, sign_new_order, issue, false, what, &response));
    AW_TRY(acme_expect_type(&response, json, what));
    AW_TRY(acme_order_parse(response.body, response.size, &issue->order));
    if (response.location == NULL)
        return aw_hint(aw_fail(AW_CODE_SYNTAX, "%s: the answer has no Location", what),
            "RFC 8555 7.4 wants the order's URL there: report it to the CA");
    issue->result.order_url = AW_MOVE(response.location);
    AW_TRY(check_order(issue));
    AW_TRY(tell_opened(issue, response.body));
    return claim_order(issue);
}

/* The URL may not have been claimed yet when the run before ended; to claim it again is no fault.*/
static aw_result
find_order(struct issue *issue)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    const char *url = issue->request->resume->url;
    struct signer_claim claim = {"order", url};

    AW_TRY(acme_url_check(issue->pinned, url, "order"));
    AW_TRY(signer_claim_urls(issue->link, &issue->result.order, &claim, 1));
    AW_TRY(issue_post(issue, "PostAsGet", url, json, &response));
    AW_TRY(acme_order_parse(response.body, response.size, &issue->order));
    AW_TRY(check_order(issue));
    return claim_order(issue);
}

static aw_result
resume_order(struct issue *issue)
{
    const struct issue_order *from = issue->request->resume;

    issue_tell(issue, ISSUE_POLL, NULL, "the order under way");
    issue->result.order.ticket = from->ticket;
    AW_TRY(aw_format(&issue->result.order.application, "%s", from->application));
    AW_TRY(aw_format(&issue->result.order_url, "%s", from->url));
    AW_TRY(aw_format(&issue->pinned, "%s", from->new_order));
    if (from->document == NULL)
        return find_order(issue);
    AW_TRY(acme_order_parse(from->document, strlen(from->document), &issue->order));
    return check_order(issue);
}

/* Takes a later state of the order. */
static aw_result
take_order(struct issue *issue, const struct http_response *response)
{
    AW_CLEANUP(acme_order_free) struct acme_order order = {0};

    AW_TRY(acme_order_parse(response->body, response->size, &order));
    AW_TRY(acme_order_check_same(&issue->order, &order));
    acme_order_free(&issue->order);
    issue->order = order;
    memset(&order, 0, sizeof(order));
    return AW_OK;
}

static aw_result
read_order(struct issue *issue)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    issue_tell(issue, ISSUE_POLL, NULL, acme_status_name(issue->order.status));
    AW_TRY(issue_post(issue, "PostAsGet", issue->result.order_url, json, &response));
    return take_order(issue, &response);
}

/* Polls until the order has left `status`; the session's limit ends it. The first wait is twice
 * `backoff_ms`. */
static aw_result
wait_from(struct issue *issue, enum acme_status status, int64_t backoff_ms)
{
    while (issue->order.status == status) {
        AW_TRY(aw_context(acme_wait(issue->session, "the CA works on the order",
                              acme_backoff(&backoff_ms, issue->retry_after)),
            "the order %s is still %s", issue->result.order_url, acme_status_name(status)));
        AW_TRY(read_order(issue));
    }
    return AW_OK;
}

static aw_result
wait_while(struct issue *issue, enum acme_status status)
{
    return wait_from(issue, status, ISSUE_POLL_BEFORE_MS);
}

/* Until the order may be finalized. */
static aw_result
make_ready(struct issue *issue)
{
    if (issue->order.status == ACME_PENDING) {
        AW_TRY(issue_authorize(issue));
        AW_TRY(read_order(issue));
        AW_TRY(wait_while(issue, ACME_PENDING));
    }
    switch (issue->order.status) {
    case ACME_READY:
        return AW_OK;
    case ACME_PROCESSING:
    case ACME_VALID:
        if (issue->request->resume != NULL)
            return AW_OK;
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "the CA's new order is %s already, for a key that is not ours",
                           acme_status_name(issue->order.status)),
            "try again later; if it stays so, report it to the CA");
    case ACME_PENDING:
    case ACME_INVALID:
    case ACME_DEACTIVATED:
    case ACME_EXPIRED:
    case ACME_REVOKED:
        return order_failed(issue, "validating the names");
    }
    return aw_fail(AW_CODE_INTERNAL, "an order of state %d", (int)issue->order.status);
}

/* orderNotReady may tell of a finalize that arrived, whose answer was lost on the way. */
static bool
order_may_tell(const struct issue *issue)
{
    return issue_answer_lost() ||
           strcmp(acme_session_problem(issue->session), "orderNotReady") == 0;
}

static aw_result
finalize_failed(struct issue *issue)
{
    struct aw_error error;

    aw_error_save(&error);
    if (order_may_tell(issue)) {
        AW_TRY(read_order(issue));
        if (issue->order.status != ACME_PENDING)
            return AW_OK;
    }
    return aw_error_restore(&error);
}

/*
 * Finalize's own answer is the order (RFC 8555 7.4). Where it was lost, only the order tells
 * whether the CA got it.
 */
static aw_result
finalize_once(struct issue *issue)
{
    static const char what[] = "finalizing";
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    issue_tell(issue, ISSUE_FINALIZE, NULL, NULL);
    aw_result r = acme_post(issue->session, sign_finalize, issue, false, what, &response);
    if (!aw_ok(r))
        return finalize_failed(issue);
    issue->retry_after = response.retry_after;
    AW_TRY(acme_expect_type(&response, json, what));
    return take_order(issue, &response);
}

/* An order that is "ready" still may only not show yet what the CA does: look once more. */
static aw_result
look_again(struct issue *issue, int64_t *backoff_ms)
{
    AW_TRY(acme_wait(issue->session, "the CA has not begun with the order",
        acme_backoff(backoff_ms, issue->retry_after)));
    AW_TRY(read_order(issue));
    return wait_while(issue, ACME_PROCESSING);
}

/* A CA near by is ready at once, one far away is not asked in vain: the first look comes after as
 * long as the answer to finalize took, which the signature before it is no part of. */
static aw_result
finalize_and_wait(struct issue *issue)
{
    AW_TRY(finalize_once(issue));
    int64_t half = (aw_now_ms() - issue->finalized) / 2;
    if (half < ISSUE_POLL_BEFORE_LEAST_MS)
        half = ISSUE_POLL_BEFORE_LEAST_MS;
    if (half > ACME_BACKOFF_FIRST_MS / 2)
        half = ACME_BACKOFF_FIRST_MS / 2;
    return wait_from(issue, ACME_PROCESSING, half);
}

static aw_result
finalize(struct issue *issue)
{
    int64_t backoff_ms = ISSUE_POLL_BEFORE_MS;

    AW_TRY(wait_while(issue, ACME_PROCESSING)); /* one that was finalized before */
    for (size_t i = 0; i < ISSUE_FINALIZES_MAX && issue->order.status == ACME_READY; i++) {
        AW_TRY(finalize_and_wait(issue));
        if (issue->order.status == ACME_READY)
            AW_TRY(look_again(issue, &backoff_ms));
    }
    if (issue->order.status == ACME_READY)
        return aw_hint(aw_fail(AW_CODE_CA_UNAVAILABLE,
                           "the order %s is still ready after %d requests to "
                           "finalize it",
                           issue->result.order_url, ISSUE_FINALIZES_MAX),
            "try again later; if it stays so, report it to the CA");
    return issue->order.status == ACME_VALID ? AW_OK : order_failed(issue, "finalizing");
}

/* Until the order is there, or until its certificate is. */
static aw_result
run(struct issue *issue, bool to_the_end)
{
    const struct issue_request *request = issue->request;

    acme_session_limit(issue->session, request->seconds > 0 ? request->seconds : ISSUE_SECONDS);
    AW_TRY(request->resume != NULL ? resume_order(issue) : open_order(issue));
    if (!to_the_end)
        return AW_OK;
    AW_TRY(make_ready(issue));
    AW_TRY(finalize(issue));
    AW_TRY(issue_download(issue));
    issue_tell(issue, ISSUE_DONE, NULL, NULL);
    return AW_OK;
}

static aw_result
start(struct issue issue, bool to_the_end, struct issue_result *out)
{
    AW_CLEANUP(issue_free) struct issue running = issue;
    size_t before = acme_session_requests(running.session);

    memset(out, 0, sizeof(*out));
    AW_TRY(run(&running, to_the_end));
    running.result.requests = acme_session_requests(running.session) - before;
    *out = running.result;
    memset(&running.result, 0, sizeof(running.result));
    return AW_OK;
}

static struct issue
asked(acme_session *session, signer_link *link, const struct issue_request *request,
    const struct issue_callbacks *callbacks)
{
    return (struct issue){.session = session,
        .link = link,
        .request = request,
        .callbacks = callbacks,
        .retry_after = -1};
}

aw_result
issue_certificate(acme_session *session, signer_link *link, const struct issue_request *request,
    const struct issue_callbacks *callbacks, struct issue_result *out)
{
    return start(asked(session, link, request, callbacks), true, out);
}

aw_result
issue_open(acme_session *session, signer_link *link, const struct issue_request *request,
    const struct issue_callbacks *callbacks, struct issue_result *out)
{
    return start(asked(session, link, request, callbacks), false, out);
}
