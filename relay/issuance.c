#include "relay/issuance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "client/ari.h"
#include "client/chain.h"
#include "client/issue.h"
#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/log.h"
#include "common/openssl.h"
#include "relay/evidence.h"
#include "relay/payload.h"
#include "relay/recording.h"
#include "relay/upstream.h"
#include "relay/upstream_challenges.h"

/* One run. */
struct run {
    struct relay *relay;
    bool first;
    struct stored_order order;
    struct relay_account *account;
    struct kept_evidence evidence;
    struct aw_name *names; /* sorted */
    struct upstream_talk talk;
    struct upstream_challenges *challenges;
    struct issue_result issued;
    char *chains[STORE_CHAINS_MAX]; /* alternates come behind the first */
    size_t chain_count;
};

static void
run_free(struct run *run)
{
    for (size_t i = 0; i < run->chain_count; i++)
        free(run->chains[i]);
    issue_result_free(&run->issued);
    upstream_challenges_free(&run->challenges);
    relay_upstream_end(&run->talk);
    free(run->names);
    kept_evidence_free(&run->evidence);
    relay_account_release(run->relay->accounts, &run->account);
    stored_order_free(&run->order);
}

/* Preparing. */

static aw_result
sort_names(struct run *run)
{
    size_t count = run->order.authorization_count;

    run->names = calloc(count + 1, sizeof(*run->names));
    if (run->names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < count; i++)
        run->names[i] = run->order.authorizations[i].name;
    return aw_names_sort(run->names, count)
               ? AW_OK
               : aw_fail(
                     AW_CODE_CORRUPT, "order %lld has a name twice", (long long)run->order.ticket);
}

static aw_result
prepare(struct run *run)
{
    struct relay *relay = run->relay;

    AW_TRY(sort_names(run));
    AW_TRY(relay_evidence_read(run->order.evidence, &run->evidence));
    AW_TRY(relay_accounts_get(relay->accounts, relay->signer, run->order.account, &run->account));
    AW_TRY(relay_upstream_begin(relay, run->account, UPSTREAM_WORK, &run->talk));
    signer_link_set_behalf(run->talk.link, &run->evidence.behalf);
    return upstream_challenges_new(relay->config, &run->challenges);
}

/* At the CA. */

/* Every chain is collected: which one is wanted is the client's choice, among those that fit. */
static bool
collect(void *context, const char *chain, size_t size)
{
    struct run *run = context;

    if (run->chain_count < STORE_CHAINS_MAX) {
        char *copy = strndup(chain, size);
        if (copy != NULL)
            run->chains[run->chain_count++] = copy;
    }
    return false;
}

static const char *
choose(void *context, const struct acme_authorization *authorization)
{
    return upstream_challenges_choose(((struct run *)context)->challenges, authorization);
}

static aw_result
deploy(void *context, const struct issue_challenge *challenge)
{
    return upstream_challenges_deploy(((struct run *)context)->challenges, challenge);
}

static aw_result
deployed(void *context)
{
    return upstream_challenges_wait(((struct run *)context)->challenges);
}

static void
cleanup(void *context, const struct issue_challenge *challenge)
{
    upstream_challenges_remove(((struct run *)context)->challenges, challenge);
}

/*
 * Where challenges come first, the signer looks at the CSR before them, so that a client hears of a
 * refusal at once and what it signed is bound. The nonce is none of the CA's: this signature is of
 * no use to anybody.
 */
static aw_result
bind_early(struct run *run, const struct signer_order *order)
{
    AW_CLEANUP(acme_order_free) struct acme_order opened = {0};
    AW_CLEANUP(signer_signed_free) struct signer_signed out = {0};
    uint8_t octets[16];
    char nonce[AW_B64URL_LENGTH(sizeof(octets)) + 1];

    AW_TRY(acme_order_parse(run->order.document, strlen(run->order.document), &opened));
    if (opened.status != ACME_PENDING)
        return AW_OK;
    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return aw_fail_openssl("can't make a nonce");
    aw_b64url_encode(octets, sizeof(octets), nonce);
    const struct signer_target target = {order, nonce, opened.finalize};
    return signer_finalize(
        run->talk.link, &target, run->evidence.csr, run->evidence.csr_size, &out);
}

static aw_result
issue(struct run *run)
{
    const struct stored_order *order = &run->order;
    const struct signer_order ours = {order->application, order->ticket};
    const struct issue_order resume = {.application = order->application,
        .ticket = order->ticket,
        .url = order->url,
        .new_order = order->new_order,
        .document = run->first ? order->document : NULL};
    const struct issue_request request = {.thumbprint = run->account->thumbprint,
        .names = run->names,
        .name_count = order->authorization_count,
        .csr = run->evidence.csr,
        .csr_size = run->evidence.csr_size,
        .resume = &resume,
        .seconds = ISSUANCE_SECONDS};
    const struct issue_callbacks callbacks = {.choose = choose,
        .deploy = deploy,
        .deployed = deployed,
        .cleanup = cleanup,
        .prefer = collect,
        .context = run};

    if (run->first)
        AW_TRY(bind_early(run, &ours));
    return issue_certificate(run->talk.session, run->talk.link, &request, &callbacks, &run->issued);
}

/* The certificate. */

/* What the CA sent is of the key and the names that the client asked for, or it is not passed on.
 */
static aw_result
check_chain(struct run *run, const char *pem, struct chain *out)
{
    const uint8_t *der = run->evidence.csr;
    AW_CLEANUP(aw_x509_request_free)
    X509_REQ *csr = d2i_X509_REQ(NULL, &der, (long)run->evidence.csr_size);
    AW_CLEANUP(chain_key_free) EVP_PKEY *key = csr != NULL ? X509_REQ_get_pubkey(csr) : NULL;

    if (key == NULL)
        return aw_fail_openssl("the CSR's key can't be read");
    return chain_check(pem, strlen(pem), key, run->names, run->order.authorization_count, out);
}

static aw_result
leaf_digest(const struct chain *chain, char out[AW_DIGEST_HEX_SIZE])
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    size_t size = 0;

    AW_TRY(chain_der(chain, 0, &der, &size));
    SHA256(der, size, digest);
    aw_hex(digest, sizeof(digest), out);
    return AW_OK;
}

/* RFC 8555 7.4.2: an alternate is another way up from the same certificate. */
static aw_result
check_alternate(struct run *run, const char *pem, const char *leaf)
{
    AW_CLEANUP(chain_free) struct chain chain = {0};
    char other[AW_DIGEST_HEX_SIZE];

    AW_TRY(check_chain(run, pem, &chain));
    AW_TRY(leaf_digest(&chain, other));
    return strcmp(other, leaf) == 0
               ? AW_OK
               : aw_fail(
                     AW_CODE_MISMATCH, "it begins with another certificate than the first chain");
}

/* Whatever a CA sends under an alternate's URL (attack 109), only chains reach a client. One that
 * does not fit takes away nothing of the others. */
static void
keep_fitting(struct run *run, const char *leaf)
{
    size_t kept = 1;

    for (size_t i = 1; i < run->chain_count; i++) {
        char *pem = AW_MOVE(run->chains[i]);

        if (aw_ok(check_alternate(run, pem, leaf))) {
            run->chains[kept++] = pem;
            continue;
        }
        aw_log_failure(AW_LOG_WARNING, "an alternate chain of the CA's is not passed on");
        free(pem);
    }
    run->chain_count = kept;
}

/* The first of the chains is the CA's default; prefer() was told it before the others. */
static aw_result
finish(struct run *run, enum issuance_end *end)
{
    const struct signer_order ours = {run->order.application, run->order.ticket};
    AW_CLEANUP(chain_free) struct chain chain = {0};
    AW_CLEANUP(aw_free) char *renewal = NULL;
    char leaf[AW_DIGEST_HEX_SIZE];

    if (run->chain_count == 0 || strcmp(run->chains[0], run->issued.chain) != 0)
        return aw_fail_memory(); /* the first was not copied */
    AW_TRY(check_chain(run, run->issued.chain, &chain));
    AW_TRY(leaf_digest(&chain, leaf));
    keep_fitting(run, leaf);
    aw_ignore(ari_id(chain.certificates[0], &renewal), "there is no ARI for it then");
    bool recorded = relay_record(run->talk.link, &ours, &chain);
    const struct stored_certificate certificate = {
        leaf, renewal, run->chains, run->chain_count, recorded, chain.not_after};
    AW_TRY(relay_store_finish(run->relay->store, run->order.ticket, &certificate));
    aw_log(AW_LOG_INFO, "order %lld of %s: issued, serial %s", (long long)run->order.ticket,
        run->order.application, chain.serial);
    *end = recorded ? ISSUANCE_OVER : ISSUANCE_UNRECORDED;
    return AW_OK;
}

/* What failed. */

static aw_result
move(struct run *run, enum order_state to, const struct relay_problem *problem)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct order_step step = {.ticket = run->order.ticket, .from = ORDER_PROCESSING, .to = to};
    bool moved;

    if (to == ORDER_INVALID)
        AW_TRY(relay_problem_text(problem, &text));
    step.problem = text;
    return relay_store_order_move(run->relay->store, &step, &moved);
}

/* A certificate that does not fit is not got better by asking again; a database of ours that can't
 * be read is for a person. */
static bool
is_final(const struct run *run, aw_result r)
{
    return r.code == AW_CODE_REFUSED || r.code == AW_CODE_CA_REFUSED || r.code == AW_CODE_CORRUPT ||
           (run->issued.chain != NULL && r.code == AW_CODE_MISMATCH) ||
           (relay_now() >= run->order.expires && r.code != AW_CODE_INTERRUPTED);
}

static aw_result
explain(struct run *run, aw_result r, struct relay_problem *problem)
{
    AW_CLEANUP(signer_refusal_free) struct signer_refusal refusal = {.retry_after = -1};
    char message[AW_ERROR_MESSAGE_SIZE];

    snprintf(message, sizeof(message), "%s", aw_error_last()->message);
    AW_TRY(relay_upstream_problem(&run->talk, r, &refusal, problem));
    if (r.code == AW_CODE_CA_REFUSED && !relay_upstream_told(&run->talk))
        aw_ignore(
            relay_problem_fail(problem, RELAY_UNAUTHORIZED, "%s", message), "it is for the client");
    if (problem->type == RELAY_REJECTED_IDENTIFIER && refusal.error != NULL) {
        problem->type = RELAY_BAD_CSR; /* the order's names were let through: it is the CSR's */
        problem->status = 400;
    }
    return AW_OK;
}

static aw_result
failed(struct run *run, aw_result r, enum issuance_end *end, struct relay_problem *problem)
{
    char what[64];

    snprintf(what, sizeof(what), "order %lld", (long long)run->order.ticket);
    bool bound = run->talk.link != NULL && signer_link_signed(run->talk.link) > 0;
    aw_log_failure(AW_LOG_WARNING, what);
    *end = ISSUANCE_LATER;
    if (!is_final(run, r))
        return AW_OK;
    AW_TRY(explain(run, r, problem));
    bool again = r.code == AW_CODE_REFUSED && run->first && !bound;
    *end = again ? ISSUANCE_REFUSED : ISSUANCE_OVER;
    return move(run, again ? ORDER_READY : ORDER_INVALID, problem);
}

aw_result
relay_issuance_run(struct relay *relay, int64_t ticket, bool first, enum issuance_end *end,
    struct relay_problem *problem)
{
    AW_CLEANUP(run_free) struct run run = {.relay = relay, .first = first};

    *end = ISSUANCE_OVER;
    AW_TRY(relay_store_order(relay->store, ticket, &run.order));
    if (run.order.state != ORDER_PROCESSING || run.order.evidence == NULL)
        return AW_OK;
    aw_result r = prepare(&run);
    if (aw_ok(r))
        r = issue(&run);
    if (aw_ok(r))
        r = finish(&run, end);
    return aw_ok(r) ? AW_OK : failed(&run, r, end, problem);
}
