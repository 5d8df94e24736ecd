#include "relay/renewal_info.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/ari.h"
#include "common/io.h"
#include "relay/handlers.h"
#include "relay/payload.h"
#include "relay/upstream.h"

/* An answer of the CA's. */
struct renewal {
    struct renewal *next;
    char *id;
    char *body;    /* NULL: it had none of use */
    int64_t until; /* as relay_now */
};

struct relay_renewals {
    pthread_mutex_t lock; /* over what follows */
    struct renewal *list; /* the newest first */
    size_t count;
};

static void
renewal_free(struct renewal **slot)
{
    if (*slot == NULL)
        return;
    free((*slot)->id);
    free((*slot)->body);
    free(*slot);
    *slot = NULL;
}

aw_result
relay_renewals_new(struct relay_renewals **out)
{
    struct relay_renewals *renewals = calloc(1, sizeof(*renewals));

    if (renewals == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&renewals->lock, NULL);
    *out = renewals;
    return AW_OK;
}

void
relay_renewals_free(struct relay_renewals **slot)
{
    if (*slot == NULL)
        return;
    for (struct renewal *renewal = (*slot)->list, *next; renewal != NULL; renewal = next) {
        next = renewal->next;
        renewal_free(&renewal);
    }
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

/* Takes out what is kept of a certificate, or the oldest of all (`id` NULL); the caller holds the
 * lock. */
static struct renewal *
take_out(struct relay_renewals *renewals, const char *id)
{
    struct renewal **at = &renewals->list;

    while (*at != NULL && (id != NULL ? strcmp((*at)->id, id) != 0 : (*at)->next != NULL))
        at = &(*at)->next;
    struct renewal *found = *at;
    if (found == NULL)
        return NULL;
    *at = found->next;
    renewals->count--;
    return found;
}

static void
put_in(struct relay_renewals *renewals, struct renewal *renewal)
{
    renewal->next = renewals->list;
    renewals->list = renewal;
    renewals->count++;
}

static aw_result
no_use(const char *id)
{
    return aw_fail(
        AW_CODE_CA_UNAVAILABLE, "the CA had no renewal information of use for %s a moment ago", id);
}

/* What is kept and still good, for *left seconds; 0: nothing is. */
static aw_result
look_up(struct relay_renewals *renewals, const char *id, char **body, int64_t *left)
{
    aw_result r = AW_OK;

    pthread_mutex_lock(&renewals->lock);
    struct renewal *found = take_out(renewals, id);
    *left = found != NULL ? found->until - relay_now() : 0;
    if (*left > 0) {
        r = found->body != NULL ? aw_format(body, "%s", found->body) : no_use(id);
        put_in(renewals, found);
    } else {
        renewal_free(&found);
    }
    pthread_mutex_unlock(&renewals->lock);
    return r;
}

/* `body` NULL: that there is none. */
static aw_result
keep(struct relay_renewals *renewals, const char *id, const char *body, int64_t seconds)
{
    AW_CLEANUP(renewal_free) struct renewal *renewal = calloc(1, sizeof(*renewal));
    AW_CLEANUP(renewal_free) struct renewal *old = NULL;

    if (renewal == NULL)
        return aw_fail_memory();
    AW_TRY(aw_format(&renewal->id, "%s", id));
    if (body != NULL)
        AW_TRY(aw_format(&renewal->body, "%s", body));
    renewal->until = relay_now() + seconds;
    pthread_mutex_lock(&renewals->lock);
    old = take_out(renewals, id);
    if (old == NULL && renewals->count >= RENEWAL_KEPT)
        old = take_out(renewals, NULL);
    put_in(renewals, AW_MOVE(renewal));
    pthread_mutex_unlock(&renewals->lock);
    return AW_OK;
}

static aw_result
not_here(struct relay_call *call)
{
    return relay_problem_status(relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                    "there is no renewal information of that certificate here"),
        &call->problem, 404);
}

/* Only of certificates that were issued here: nobody makes the relay ask a CA for anything else. */
static aw_result
find_account(struct relay_call *call, struct relay_account **out)
{
    struct relay *relay = call->relay;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    int64_t ticket = 0;

    aw_result r = relay_store_by_renewal(relay->store, call->match.word, &ticket);
    if (r.code == AW_CODE_NOT_FOUND)
        return not_here(call);
    AW_TRY(r);
    AW_TRY(relay_store_order(relay->store, ticket, &order));
    return relay_accounts_get(relay->accounts, relay->signer, order.account, out);
}

/* What is no window is not passed on. */
static aw_result
ask_at(struct upstream_talk *talk, const char *url, struct http_response *response, int64_t *again)
{
    AW_CLEANUP(ari_free) struct ari ari = {0};

    AW_TRY(http_request(talk->h, HTTP_GET, url, NULL, response));
    if (response->status != 200 || !aw_ok(ari_parse(response->body, response->size, &ari)))
        return aw_fail(AW_CODE_CA_UNAVAILABLE,
            "the CA's renewalInfo answers %ld, and nothing of use", response->status);
    *again = response->retry_after;
    if (*again < ARI_RETRY_MIN || *again > ARI_RETRY_MAX)
        *again = *again > ARI_RETRY_MAX ? ARI_RETRY_MAX : ARI_RETRY_DEFAULT;
    return AW_OK;
}

static aw_result
ask_ca(struct relay_call *call, const struct relay_account *account, char **body, int64_t *again)
{
    AW_CLEANUP(relay_upstream_end) struct upstream_talk talk = {0};
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    AW_CLEANUP(aw_free) char *url = NULL;
    struct relay *relay = call->relay;
    const char *base = relay_upstream_url(account, "renewalInfo");

    if (base == NULL)
        return not_here(call);
    AW_TRY(aw_format(&url, "%s/%s", base, call->match.word));
    AW_TRY(relay_upstream_begin(call->relay, account, UPSTREAM_ANSWER, &talk));
    AW_TRY(ask_at(&talk, url, &response, again));
    *body = AW_MOVE(response.body);
    return keep(relay->renewals, call->match.word, *body, *again);
}

/* Anybody may ask, and a CA that has nothing to say costs one of the conversations that clients
 * with orders need: it is asked once in a while, not each time. */
static void
keep_failure(struct relay_call *call, aw_result r)
{
    struct aw_error error;

    if (r.code != AW_CODE_CA_UNAVAILABLE && r.code != AW_CODE_TIMEOUT)
        return;
    aw_error_save(&error);
    aw_ignore(keep(call->relay->renewals, call->match.word, NULL, RELAY_RETRY_SECONDS),
        "it is asked again then");
    aw_ignore(aw_error_restore(&error), "told by the caller");
}

static aw_result
find_and_ask(struct relay_call *call, char **body, int64_t *again)
{
    struct relay *relay = call->relay;
    struct relay_account *account = NULL;

    AW_TRY(find_account(call, &account));
    aw_result r = ask_ca(call, account, body, again);
    keep_failure(call, r);
    relay_account_release(relay->accounts, &account);
    return r;
}

aw_result
relay_get_renewal_info(struct relay_call *call)
{
    AW_CLEANUP(aw_free) char *body = NULL;
    int64_t again = 0;

    AW_TRY(look_up(call->relay->renewals, call->match.word, &body, &again));
    if (again <= 0)
        AW_TRY(find_and_ask(call, &body, &again));
    call->response->retry_after = again;
    return relay_response_text(call->response, 200, "application/json", body);
}
