#include "relay/upstream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"
#include "relay/relay.h"

struct upstream_line {
    struct upstream_line *next;
    char *new_nonce; /* of the CA */
    http *h;
    acme_session *session;
};

struct relay_upstream {
    const struct relay_config *config;
    pthread_mutex_t lock; /* over what follows */
    struct upstream_line *idle;
    size_t idle_count;
    size_t answering; /* conversations that clients wait for */
};

/* libcurl asks without saying for whom: one for the process, which has one relay. */
static atomic_bool stopping;

static bool
is_stopping(void)
{
    return atomic_load(&stopping);
}

static bool
session_stops(void *context)
{
    (void)context;
    return is_stopping();
}

aw_result
relay_upstream_new(const struct relay_config *config, struct relay_upstream **out)
{
    struct relay_upstream *upstream = calloc(1, sizeof(*upstream));

    if (upstream == NULL)
        return aw_fail_memory();
    atomic_store(&stopping, false);
    upstream->config = config;
    pthread_mutex_init(&upstream->lock, NULL);
    *out = upstream;
    return AW_OK;
}

static void
line_free(struct upstream_line **slot)
{
    if (*slot == NULL)
        return;
    acme_session_free(&(*slot)->session);
    http_close(&(*slot)->h);
    free((*slot)->new_nonce);
    free(*slot);
    *slot = NULL;
}

void
relay_upstream_free(struct relay_upstream **slot)
{
    if (*slot == NULL)
        return;
    for (struct upstream_line *line = (*slot)->idle, *next; line != NULL; line = next) {
        next = line->next;
        line_free(&line);
    }
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

void
relay_upstream_stop(struct relay_upstream *upstream)
{
    (void)upstream;
    atomic_store(&stopping, true);
}

const char *
relay_upstream_url(const struct relay_account *account, const char *name)
{
    return cJSON_GetStringValue(aw_json_member(account->ca, name));
}

static struct upstream_line *
take_idle(struct relay_upstream *upstream, const char *new_nonce)
{
    struct upstream_line *found = NULL;

    pthread_mutex_lock(&upstream->lock);
    for (struct upstream_line **at = &upstream->idle; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->new_nonce, new_nonce) != 0)
            continue;
        found = *at;
        *at = found->next;
        upstream->idle_count--;
        break;
    }
    pthread_mutex_unlock(&upstream->lock);
    return found;
}

static aw_result
make_line(const struct relay_config *config, const char *new_nonce, struct upstream_line **out)
{
    AW_CLEANUP(line_free) struct upstream_line *line = calloc(1, sizeof(*line));
    const struct http_options options = {.ca_file = config->ca_file,
        .proxy = config->proxy,
        .user_agent = "acmeward-relay/" ACMEWARD_VERSION,
        .stop = is_stopping};
    const struct acme_progress progress = {.stop = session_stops};

    if (line == NULL)
        return aw_fail_memory();
    AW_TRY(aw_format(&line->new_nonce, "%s", new_nonce));
    AW_TRY(http_open(&options, &line->h));
    AW_TRY(acme_session_new(line->h, new_nonce, &progress, &line->session));
    *out = AW_MOVE(line);
    return AW_OK;
}

/* The newest first: its connections are the most likely to be open still. */
static void
give_line(struct relay_upstream *upstream, struct upstream_line **slot)
{
    if (*slot == NULL)
        return;
    pthread_mutex_lock(&upstream->lock);
    if (upstream->idle_count < UPSTREAM_IDLE_MAX) {
        (*slot)->next = upstream->idle;
        upstream->idle = AW_MOVE(*slot);
        upstream->idle_count++;
    }
    pthread_mutex_unlock(&upstream->lock);
    line_free(slot);
}

static aw_result
count_in(struct upstream_talk *talk)
{
    struct relay_upstream *upstream = talk->upstream;
    size_t most = (size_t)(upstream->config->limits.workers + 1) / 2;

    pthread_mutex_lock(&upstream->lock);
    talk->counted = upstream->answering < most;
    if (talk->counted)
        upstream->answering++;
    pthread_mutex_unlock(&upstream->lock);
    return talk->counted ? AW_OK
                         : aw_hint(aw_fail(AW_CODE_BUSY, "%zu clients wait for CAs already", most),
                               "is a CA slow? limits.workers makes it more");
}

static void
count_out(struct relay_upstream *upstream)
{
    pthread_mutex_lock(&upstream->lock);
    upstream->answering--;
    pthread_mutex_unlock(&upstream->lock);
}

void
relay_upstream_end(struct upstream_talk *talk)
{
    if (talk->link != NULL)
        signer_link_set_behalf(talk->link, NULL);
    if (talk->signer != NULL)
        relay_signer_give(talk->signer, &talk->link);
    if (talk->upstream != NULL) {
        give_line(talk->upstream, &talk->line);
        if (talk->counted)
            count_out(talk->upstream);
    }
    memset(talk, 0, sizeof(*talk));
}

aw_result
relay_upstream_begin(struct relay *relay, const struct relay_account *account,
    enum upstream_use use, struct upstream_talk *out)
{
    AW_CLEANUP(relay_upstream_end)
    struct upstream_talk talk = {.upstream = relay->upstream, .signer = relay->signer};
    const char *new_nonce = relay_upstream_url(account, "newNonce");

    memset(out, 0, sizeof(*out));
    if (new_nonce == NULL || account->thumbprint == NULL)
        return aw_hint(
            aw_fail(AW_CODE_UNAVAILABLE, "the account at the CA of the application %s is not ready",
                account->application),
            "an administrator of the signer registers it: acmeward-admin account list");
    if (use == UPSTREAM_ANSWER)
        AW_TRY(count_in(&talk));
    talk.line = take_idle(relay->upstream, new_nonce);
    if (talk.line == NULL)
        AW_TRY(make_line(relay->config, new_nonce, &talk.line));
    talk.h = talk.line->h;
    talk.session = talk.line->session;
    AW_TRY(relay_signer_take(relay->signer, &talk.link));
    *out = talk;
    memset(&talk, 0, sizeof(talk));
    return AW_OK;
}

bool
relay_upstream_told(const struct upstream_talk *talk)
{
    const struct acme_problem *told =
        talk->session != NULL ? acme_session_told(talk->session) : NULL;

    return told != NULL && (told->status != 0 || told->type[0] != '\0');
}

/* What the session remembers is of its last request, which may have been before this failure. */
static bool
is_of_ca(aw_result r)
{
    return r.code == AW_CODE_CA_REFUSED || r.code == AW_CODE_CA_UNAVAILABLE ||
           r.code == AW_CODE_TIMEOUT;
}

/* Pages of a proxy, answers cut short: not the client's fault, and gone tomorrow. */
static void
unusable(struct relay_problem *problem)
{
    aw_ignore(relay_problem_fail(problem, RELAY_SERVER_INTERNAL,
                  "the CA's answer can't be used now; try again later"),
        "that is what is wanted");
    problem->status = 503;
    problem->retry_after = RELAY_RETRY_SECONDS;
}

aw_result
relay_upstream_problem(struct upstream_talk *talk, aw_result r, struct signer_refusal *refusal,
    struct relay_problem *problem)
{
    struct aw_error error;

    aw_error_save(&error);
    if (talk->link != NULL)
        signer_link_take_refusal(talk->link, refusal);
    if (refusal->error == NULL && is_of_ca(r) && relay_upstream_told(talk))
        return relay_problem_upstream(
            acme_session_told(talk->session), acme_session_retry_after(talk->session), problem);
    relay_problem_map(&error, refusal, problem);
    if (refusal->error == NULL && (error.code == AW_CODE_SYNTAX || error.code == AW_CODE_MISMATCH))
        unusable(problem);
    return AW_OK;
}
