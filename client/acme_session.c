#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/acme_internal.h"
#include "common/io.h"

enum { WAIT_PIECE_MS = 500 }; /* of a wait, until `stop` is asked again */

struct acme_session {
    http *h;
    char *new_nonce;
    struct acme_progress progress;
    char *nonces[ACME_NONCES_MAX]; /* the freshest last */
    size_t nonce_count;
    struct acme_problem problem; /* the last post's */
    int64_t retry_after;         /* of the last post that failed; -1: none */
    int64_t limit;               /* seconds; 0: none */
    int64_t limit_ms;            /* when that is over, as aw_now_ms */
};

aw_result
acme_session_new(
    http *h, const char *new_nonce_url, const struct acme_progress *progress, acme_session **out)
{
    AW_CLEANUP(acme_session_free) acme_session *session = NULL;

    AW_TRY(aw_context(http_url_check(new_nonce_url), "the CA's newNonce"));
    session = calloc(1, sizeof(*session));
    if (session == NULL)
        return aw_fail_memory();
    session->h = h;
    session->new_nonce = strdup(new_nonce_url);
    if (session->new_nonce == NULL)
        return aw_fail_memory();
    if (progress != NULL)
        session->progress = *progress;
    *out = AW_MOVE(session);
    return AW_OK;
}

static void
forget_nonces(acme_session *session)
{
    while (session->nonce_count > 0)
        free(session->nonces[--session->nonce_count]);
}

void
acme_session_free(acme_session **session)
{
    if (*session == NULL)
        return;
    forget_nonces(*session);
    acme_problem_free(&(*session)->problem);
    free((*session)->new_nonce);
    free(*session);
    *session = NULL;
}

int64_t
acme_session_retry_after(const acme_session *session)
{
    return session->retry_after;
}

const char *
acme_session_problem(const acme_session *session)
{
    return session->problem.type;
}

const struct acme_problem *
acme_session_told(const acme_session *session)
{
    return &session->problem;
}

aw_result
acme_session_keep(acme_session *session, const struct acme_problem *problem)
{
    acme_problem_free(&session->problem);
    return acme_problem_copy(problem, &session->problem);
}

size_t
acme_session_requests(const acme_session *session)
{
    return http_requests(session->h);
}

/* Waiting. */

static bool
is_stopped(const acme_session *session)
{
    return session->progress.stop != NULL && session->progress.stop(session->progress.context);
}

void
acme_session_limit(acme_session *session, int64_t seconds)
{
    session->limit = seconds;
    session->limit_ms = aw_now_ms() + seconds * 1000;
}

static aw_result
past_limit(const acme_session *session, const char *why, int64_t ms)
{
    char when[32];

    aw_time_text((int64_t)time(NULL) + (ms + 999) / 1000, when);
    return aw_hint(aw_fail(AW_CODE_TIMEOUT, "%s: not done within %lld seconds", why,
                       (long long)session->limit),
        "try again after %s, or wait longer with --issuance-timeout", when);
}

/* In pieces: a relay stops without a signal, and a signal may come just before it would be slept
 * through. */
aw_result
acme_wait(acme_session *session, const char *why, int64_t ms)
{
    int64_t end_ms = aw_now_ms() + ms, left = ms;

    if (session->limit > 0 && aw_now_ms() + ms > session->limit_ms)
        return past_limit(session, why, ms);
    if (session->progress.waiting != NULL && ms >= 1000)
        session->progress.waiting(session->progress.context, why, ms / 1000);
    do {
        if (is_stopped(session))
            return aw_fail(AW_CODE_INTERRUPTED, "stopped while waiting: %s", why);
        poll(NULL, 0, (int)(left < WAIT_PIECE_MS ? left : WAIT_PIECE_MS));
        left = end_ms - aw_now_ms();
    } while (left > 0);
    return AW_OK;
}

int64_t
acme_backoff(int64_t *last_ms, int64_t retry_after)
{
    if (retry_after > 0)
        return 1000 * (retry_after < ACME_RETRY_AFTER_MAX ? retry_after : ACME_RETRY_AFTER_MAX);
    *last_ms = *last_ms == 0 ? ACME_BACKOFF_FIRST_MS : *last_ms * 2;
    if (*last_ms > ACME_BACKOFF_MAX_MS)
        *last_ms = ACME_BACKOFF_MAX_MS;
    return *last_ms;
}

/* Trying again. */

/* One request and its repetitions. */
struct attempt {
    acme_session *session;
    const char *what;
    bool idempotent;
    unsigned bad_nonces;
    unsigned retries;
    int64_t backoff_ms;
};

static aw_result
wait_again(struct attempt *a, const char *why, int64_t retry_after)
{
    a->retries++;
    return aw_context(
        acme_wait(a->session, why, acme_backoff(&a->backoff_ms, retry_after)), "%s", a->what);
}

/* A failed transfer: *again when it is worth another. */
static aw_result
judge_failure(struct attempt *a, aw_result failed, bool *again)
{
    struct aw_error error;

    aw_error_save(&error);
    *again = a->idempotent && a->retries < ACME_RETRIES_MAX && failed.code == error.code &&
             http_dropped(&error);
    if (*again)
        return wait_again(a, "the connection to the CA was lost", -1);
    return aw_context(aw_error_restore(&error), "%s", a->what);
}

/* An error status: *again when the CA, or its trouble, asks for another request. */
static aw_result
judge_status(
    struct attempt *a, const struct acme_problem *problem, int64_t retry_after, bool *again)
{
    bool limited = problem->status == 429 || strcmp(problem->type, "rateLimited") == 0;
    bool trouble = problem->status >= 500;
    bool told = retry_after >= 0 && retry_after <= ACME_RETRY_AFTER_MAX;
    bool far = retry_after > ACME_RETRY_AFTER_MAX;

    *again = a->retries < ACME_RETRIES_MAX && !far &&
             (((limited || problem->status == 503) && told) || (trouble && a->idempotent));
    if (*again)
        return wait_again(
            a, limited ? "the CA limits the rate" : "the CA is in trouble", retry_after);
    return acme_problem_fail(problem, retry_after, a->what);
}

/* Nonces (RFC 8555 6.5, 7.2). */

static aw_result
keep_nonce(acme_session *session, const struct http_response *response)
{
    if (response->nonce == NULL)
        return AW_OK;
    if (session->nonce_count == ACME_NONCES_MAX) {
        free(session->nonces[0]);
        memmove(session->nonces, session->nonces + 1,
            (ACME_NONCES_MAX - 1) * sizeof(session->nonces[0]));
        session->nonce_count--;
    }
    char *nonce = strdup(response->nonce);
    if (nonce == NULL)
        return aw_fail_memory();
    session->nonces[session->nonce_count++] = nonce;
    return AW_OK;
}

static aw_result
fetch_nonce_once(struct attempt *a, bool *again)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    acme_session *session = a->session;

    *again = false;
    aw_result r = http_request(session->h, HTTP_HEAD, session->new_nonce, NULL, &response);
    if (!aw_ok(r))
        return judge_failure(a, r, again);
    if (response.status < 200 || response.status > 299) {
        acme_problem_free(&session->problem);
        AW_TRY(acme_problem_parse(&response, &session->problem));
        session->retry_after = response.retry_after;
        return judge_status(a, &session->problem, response.retry_after, again);
    }
    if (response.nonce == NULL)
        return aw_hint(
            aw_fail(AW_CODE_SYNTAX, "%s: no Replay-Nonce of base64url characters", a->what),
            "is %s really the CA's newNonce?", session->new_nonce);
    return keep_nonce(session, &response);
}

static aw_result
take_nonce(acme_session *session, char **out)
{
    struct attempt a = {.session = session, .what = "asking for a nonce", .idempotent = true};
    bool again = true;

    while (session->nonce_count == 0 && again)
        AW_TRY(fetch_nonce_once(&a, &again));
    session->nonce_count--;
    *out = AW_MOVE(session->nonces[session->nonce_count]);
    return AW_OK;
}

/* Posting. */

static aw_result
post_signed(
    acme_session *session, acme_signer sign, void *context, struct http_response *out, bool *sent)
{
    AW_CLEANUP(aw_free) char *nonce = NULL;
    AW_CLEANUP(aw_free) char *url = NULL;
    AW_CLEANUP(aw_free) char *jws = NULL;

    *sent = false;
    AW_TRY(take_nonce(session, &nonce));
    AW_TRY(sign(context, nonce, &url, &jws));
    *sent = true;
    AW_TRY(http_request(session->h, HTTP_POST, url, jws, out));
    return keep_nonce(session, out);
}

/*
 * RFC 8555 6.5: again with the nonce of this very answer. It is the pool's freshest, and taken
 * first; those before it are likely to be as bad, so they are dropped.
 */
static aw_result
judge_bad_nonce(struct attempt *a, const struct http_response *response)
{
    a->bad_nonces++;
    forget_nonces(a->session);
    return keep_nonce(a->session, response);
}

static aw_result
judge_answer(struct attempt *a, const struct http_response *response, bool *again)
{
    struct acme_problem *problem = &a->session->problem;

    *again = false;
    acme_problem_free(problem);
    if (response->status >= 200 && response->status <= 299)
        return AW_OK;
    AW_TRY(acme_problem_parse(response, problem));
    a->session->retry_after = response->retry_after;
    if (strcmp(problem->type, "badNonce") == 0 && a->bad_nonces < ACME_BAD_NONCE_RETRIES) {
        *again = true;
        return judge_bad_nonce(a, response);
    }
    return judge_status(a, problem, response->retry_after, again);
}

aw_result
acme_post(acme_session *session, acme_signer sign, void *context, bool idempotent, const char *what,
    struct http_response *out)
{
    struct attempt a = {.session = session, .what = what, .idempotent = idempotent};

    memset(out, 0, sizeof(*out));
    acme_problem_free(&session->problem);
    session->retry_after = -1;
    for (;;) {
        AW_CLEANUP(http_response_free) struct http_response response = {0};
        bool again = false, sent;

        aw_result r = post_signed(session, sign, context, &response, &sent);
        if (aw_ok(r))
            r = judge_answer(&a, &response, &again);
        else if (sent)
            r = judge_failure(&a, r, &again);
        AW_TRY(r);
        if (again)
            continue;
        *out = response;
        memset(&response, 0, sizeof(response));
        return AW_OK;
    }
}
