/* From the order to the files. The key is on disk as long as its order is under way. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "client/interrupt.h"
#include "common/io.h"
#include "hostkey/host_key.h"

/* What issuing makes, in the order in which it is made. */
struct work {
    struct certonly *c;
    http *h;
    acme_session *session;
    struct store_order order; /* with key and CSR */
    bool resumed;
    bool kept; /* on disk, for the next run */
    struct issue_result issued;
    struct chain chain;
};

static void
work_free(struct work *w)
{
    chain_free(&w->chain);
    issue_result_free(&w->issued);
    store_order_free(&w->order);
    acme_session_free(&w->session);
    http_close(&w->h);
}

/* Of a certificate for a CSR, or of a rehearsal, nothing is kept here. */
static bool
is_kept(const struct certonly *c)
{
    return c->csr.der == NULL && !c->rehearsal;
}

/* Callbacks of issue_certificate. */

static const char *
choose(void *context, const struct acme_authorization *authorization)
{
    return authenticator_choose(((struct work *)context)->c->authenticator, authorization);
}

static aw_result
deploy(void *context, const struct issue_challenge *challenge)
{
    return authenticator_deploy(((struct work *)context)->c->authenticator, challenge);
}

static aw_result
deployed(void *context)
{
    return authenticator_wait(((struct work *)context)->c->authenticator);
}

static void
cleanup(void *context, const struct issue_challenge *challenge)
{
    authenticator_remove(((struct work *)context)->c->authenticator, challenge);
}

static void
progress(void *context, enum issue_step step, const char *name, const char *detail)
{
    struct certonly *c = ((struct work *)context)->c;

    if (step != ISSUE_DONE) /* with the order; not with us */
        output_step(c->out, issue_step_text(step), name == NULL ? c->cert_name : name, detail);
}

static void
waiting(void *context, const char *why, int64_t seconds)
{
    struct certonly *c = ((struct work *)context)->c;
    char text[32];

    snprintf(text, sizeof(text), "%lld s", (long long)seconds);
    output_step(c->out, "waiting", text, why);
}

static bool
prefer(void *context, const char *chain, size_t size)
{
    return certonly_is_preferred(((struct work *)context)->c, chain, size);
}

static bool
stopped(void *context)
{
    (void)context;
    return interrupt_came();
}

/* Both are the caller's; what is written down is a copy. */
static aw_result
opened(void *context, const struct issue_order *order)
{
    struct work *w = context;
    AW_CLEANUP(aw_free) char *settings = NULL;

    AW_TRY(aw_format(&w->order.application, "%s", order->application));
    AW_TRY(aw_format(&w->order.url, "%s", order->url));
    AW_TRY(aw_format(&w->order.new_order, "%s", order->new_order));
    w->order.ticket = order->ticket;
    w->order.opened = (int64_t)time(NULL);
    AW_TRY(certonly_order_settings(w->c, &settings));
    AW_TRY(
        aw_context(store_order_save(w->c->store, &w->order, settings), "the order %s", order->url));
    w->kept = true;
    return AW_OK;
}

/* The sequence. */

/* Made elsewhere, with its key. */
static aw_result
take_csr(const struct certonly *c, struct store_order *order)
{
    order->csr = malloc(c->csr.size);
    if (order->csr == NULL)
        return aw_fail_memory();
    memcpy(order->csr, c->csr.der, c->csr.size);
    order->csr_size = c->csr.size;
    if (EVP_PKEY_up_ref(c->csr.key) != 1)
        return aw_fail_openssl("can't use the key of the CSR");
    order->key = c->csr.key;
    return AW_OK;
}

/* A key and its CSR, for an order to be made. */
static aw_result
begin_order(struct work *w)
{
    struct certonly *c = w->c;
    struct store_order *order = &w->order;

    order->names = calloc(c->name_count, sizeof(*order->names));
    if (order->names == NULL)
        return aw_fail_memory();
    memcpy(order->names, c->names, c->name_count * sizeof(*order->names));
    order->name_count = c->name_count;
    if (certonly_profile(c) != NULL)
        AW_TRY(aw_format(&order->profile, "%s", certonly_profile(c)));
    order->must_staple = c->options->must_staple;
    if (c->csr.der != NULL)
        return take_csr(c, order);
    if (c->options->key_uri != NULL && !c->rehearsal) /* which leaves nothing in a token */
        return certonly_token_csr(c, order);
    AW_TRY(certonly_order_key(c, &order->key));
    const struct chain_request asked = {c->names, c->name_count, order->must_staple};
    return chain_csr(NULL, order->key, &asked, &order->csr, &order->csr_size);
}

static bool
resumes_only(const struct certonly *c)
{
    return c->renewal != NULL && c->renewal->resume_only;
}

static aw_result
prepare(struct work *w)
{
    struct certonly *c = w->c;
    const struct http_options options = {.ca_file = c->config->ca_file,
        .proxy = c->config->proxy,
        .user_agent = "acmeward/" ACMEWARD_VERSION,
        .stop = interrupt_came};
    const struct acme_progress told = {.waiting = waiting, .stop = stopped, .context = w};

    AW_TRY(http_open(&options, &w->h));
    AW_TRY(acme_session_new(w->h, c->application->new_nonce, &told, &w->session));
    AW_TRY(certonly_find_profile(c, w->h));
    if (!is_kept(c))
        return begin_order(w);
    AW_TRY(certonly_reuse_key(c));
    aw_result r = certonly_under_way(c, &w->order);
    w->resumed = w->kept = aw_ok(r);
    return r.code == AW_CODE_NOT_FOUND && !resumes_only(c) ? begin_order(w) : r;
}

static aw_result
order(struct work *w, const char *replaces)
{
    struct certonly *c = w->c;
    const struct issue_callbacks callbacks = {.choose = choose,
        .deploy = deploy,
        .deployed = deployed,
        .cleanup = cleanup,
        .progress = progress,
        .prefer = c->options->preferred_chain == NULL ? NULL : prefer,
        .opened = is_kept(c) ? opened : NULL,
        .context = w};
    const struct issue_order resume = {.application = w->order.application,
        .ticket = w->order.ticket,
        .url = w->order.url,
        .new_order = w->order.new_order};
    const struct issue_request request = {.application = c->application->name,
        .thumbprint = c->application->thumbprint,
        .profile = certonly_profile(c),
        .replaces = replaces,
        .names = c->names,
        .name_count = c->name_count,
        .csr = w->order.csr,
        .csr_size = w->order.csr_size,
        .resume = w->resumed ? &resume : NULL,
        .seconds = c->seconds};

    return issue_certificate(w->session, c->link, &request, &callbacks, &w->issued);
}

/* That an order replaces a certificate is only to the CA's and our own good (RFC 9773 5). Where
 * it, or the signer's ledger, takes the word amiss, there is one without it. */
static bool
is_without_replaces(const struct work *w, enum aw_code code)
{
    const struct signer_refusal *refusal = signer_link_refusal(w->c->link);
    const char *problem = acme_session_problem(w->session);

    if (w->order.url != NULL)
        return false;
    if (code == AW_CODE_REFUSED)
        return refusal->rule != NULL && strcmp(refusal->rule, "order.replaces") == 0;
    return code == AW_CODE_CA_REFUSED &&
           (strcmp(problem, "alreadyReplaced") == 0 || strcmp(problem, "malformed") == 0);
}

/* The directory is public; the CA may offer an account less (draft-ietf-acme-profiles). */
static aw_result
order_profiled(struct work *w, const char *replaces)
{
    struct certonly *c = w->c;
    aw_result r = order(w, replaces);

    if (aw_ok(r) || w->order.url != NULL || c->options->profile != NULL ||
        certonly_profile(c) == NULL ||
        strcmp(acme_session_problem(w->session), "invalidProfile") != 0)
        return r;
    certonly_drop_profile(c, aw_error_last()->message);
    free(w->order.profile);
    w->order.profile = NULL;
    issue_result_free(&w->issued);
    return order(w, replaces);
}

static aw_result
order_replacing(struct work *w)
{
    const char *replaces = w->c->renewal == NULL ? NULL : w->c->renewal->replaces;
    aw_result r = order_profiled(w, replaces);

    if (aw_ok(r) || replaces == NULL || w->resumed || !is_without_replaces(w, r.code))
        return r;
    output_note(
        w->c->out, "ordered without a word on what it replaces: %s", aw_error_last()->message);
    issue_result_free(&w->issued);
    return order_profiled(w, NULL);
}

static aw_result
order_or_drop(struct work *w)
{
    aw_result r = order_replacing(w);

    if (!aw_ok(r))
        w->c->out->retry_after = acme_session_retry_after(w->session);
    if (!aw_ok(r) && certonly_order_is_lost(r.code)) {
        certonly_drop_order(w->c);
        w->kept = false;
    } else if (!aw_ok(r) && w->kept)
        output_note(w->c->out, "the order is kept: the next run goes on with it");
    return r;
}

/* An order under way that turns out to be lost is replaced once, by one of this run's own. */
static aw_result
order_or_resume(struct work *w)
{
    aw_result r = order_or_drop(w);

    if (aw_ok(r) || !w->resumed || !certonly_order_is_lost(r.code) || resumes_only(w->c))
        return r;
    output_note(
        w->c->out, "the order under way is lost, and another made: %s", aw_error_last()->message);
    w->resumed = false;
    store_order_free(&w->order);
    AW_TRY(begin_order(w));
    return order_or_drop(w);
}

/* One that is not what was ordered is not asked for again. */
static aw_result
check(struct work *w)
{
    struct certonly *c = w->c;

    output_step(c->out, "checking the certificate", c->cert_name, NULL);
    aw_result r = chain_check(
        w->issued.chain, w->issued.chain_size, w->order.key, c->names, c->name_count, &w->chain);
    if (aw_ok(r))
        return r;
    r = aw_context(r, "the CA's certificate is not used");
    if (r.code != AW_CODE_MEMORY) /* it was not looked at */
        certonly_drop_order(c);
    return r;
}

/* What servers are given as the key's file. */
static aw_result
key_text(struct store_order *order)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    AW_CLEANUP(aw_free) char *pem = NULL;

    if (order->key_pem != NULL)
        return AW_OK;
    if (order->key_uri == NULL)
        return chain_key_pem(order->key, &order->key_pem);
    AW_TRY(host_key_reference_write(order->key_uri, &pem));
    AW_TRY(aw_secret_new(strlen(pem), &secret));
    AW_TRY(aw_secret_append(secret, pem, strlen(pem)));
    order->key_pem = AW_MOVE(secret);
    return AW_OK;
}

static aw_result
keep(struct work *w, unsigned *version)
{
    AW_CLEANUP(aw_free) char *cert = NULL;
    AW_CLEANUP(aw_free) char *chain = NULL;
    AW_CLEANUP(aw_free) char *fullchain = NULL;
    AW_CLEANUP(aw_free) char *key_path = NULL;

    output_step(w->c->out, "storing", w->c->cert_name, NULL);
    AW_TRY(chain_pem(&w->chain, 0, 1, &cert));
    AW_TRY(chain_pem(&w->chain, 1, CHAIN_CERTIFICATES_MAX, &chain));
    AW_TRY(chain_pem(&w->chain, 0, CHAIN_CERTIFICATES_MAX, &fullchain));
    if (w->order.key_pem != NULL) /* written by this run */
        AW_TRY(store_order_key_path(w->c->store, &key_path));
    AW_TRY(key_text(&w->order));
    const struct store_version content = {cert, chain, fullchain, w->order.key_pem, key_path};
    /* Before the certificate: what is live can always be renewed. */
    AW_TRY(certonly_write_settings(w->c));
    return store_add(w->c->store, &content, version);
}

/* DER of the chain, for the signer's inventory. */
struct encoded {
    uint8_t *der[CHAIN_CERTIFICATES_MAX];
    size_t sizes[CHAIN_CERTIFICATES_MAX];
};

static void
free_encoded(struct encoded *e)
{
    for (size_t i = 0; i < CHAIN_CERTIFICATES_MAX; i++)
        free(e->der[i]);
}

static aw_result
hand_back(struct work *w)
{
    AW_CLEANUP(free_encoded) struct encoded e = {0};
    const uint8_t *certificates[CHAIN_CERTIFICATES_MAX];

    for (size_t i = 0; i < w->chain.count; i++) {
        AW_TRY(chain_der(&w->chain, i, &e.der[i], &e.sizes[i]));
        certificates[i] = e.der[i];
    }
    return signer_record_certificate(
        w->c->link, &w->issued.order, certificates, e.sizes, w->chain.count);
}

aw_result
certonly_issue(struct certonly *c)
{
    AW_CLEANUP(work_free) struct work w = {.c = c};
    unsigned version = 0;

    AW_TRY(prepare(&w));
    AW_TRY(order_or_resume(&w));
    AW_TRY(check(&w));
    if (c->options->preferred_chain != NULL &&
        !certonly_is_preferred(c, w.issued.chain, w.issued.chain_size))
        output_note(c->out, "the CA offers no chain up to \"%.100s\": its own choice is used",
            c->options->preferred_chain);
    if (is_kept(c))
        AW_TRY(keep(&w, &version));
    certonly_order_done(c);
    if (!aw_ok(hand_back(&w)))
        output_note(c->out,
            "the certificate is good, but the signer did not take it into its "
            "inventory: %s",
            aw_error_last()->message);
    if (c->rehearsal)
        return AW_OK;
    if (c->csr.der != NULL)
        return certonly_csr_deliver(c, &w.chain);
    const struct certonly_result result = {.issued = &w.issued,
        .version = version,
        .serial = w.chain.serial,
        .not_before = w.chain.not_before,
        .not_after = w.chain.not_after};
    return certonly_report(c, &result);
}
