#include "signer/prove_parts.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/hex.h"
#include "common/io.h"
#include "signer/evidence.h"
#include "signer/ledger_inner.h"

static void
end(struct proving *p)
{
    jose_jws_free(&p->jws);
    jose_jwk_free(&p->account_key);
}

aw_result
proving_refuse_if(struct work *work, aw_result r, const char *const *rule)
{
    if (aw_ok(r) || *rule == NULL)
        return r;
    return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, *rule, "%s", aw_error_last()->message);
}

aw_result
proving_copy(const char *text, char **out)
{
    free(*out);
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* Steps. Each refuses, or lets the next one go on. */

static aw_result
open_evidence(struct proving *p)
{
    const char *rule = NULL;

    aw_result r = evidence_open(&p->work->request->relayed.evidence, &p->openssl, &rule, &p->jws);
    if (!aw_ok(r))
        return proving_refuse_if(p->work, r, &rule);
    aw_hex(p->jws->digest, sizeof(p->jws->digest), p->work->proof.evidence);
    return AW_OK;
}

static aw_result
find_account(struct proving *p)
{
    struct proof *proof = &p->work->proof;
    int64_t id = evidence_account_of(p->jws->kid, proof->base);
    enum jose_fault fault;

    if (id != 0)
        AW_TRY(ledger_inner_account_find(p->work->core->ledger, id, &proof->account));
    if (proof->account.id == 0 || !proof->account.active)
        return work_refuse(p->work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_ACCOUNT,
            proof->account.id == 0 ? "there is no such account here: register anew"
                                   : "the account was deactivated: register anew, with a new key");
    AW_TRY(jose_jwk_parse_text(proof->account.jwk, &p->openssl, &fault, &p->account_key));
    p->key = p->account_key;
    return AW_OK;
}

/* RFC 8555 6.2: jwk for newAccount, and for revokeCert by the certificate's key; kid for all else.
 */
static aw_result
find_signer(struct proving *p)
{
    enum sign_operation operation = p->work->request->operation;
    bool by_key = p->jws->kid == NULL;

    if (by_key ? operation != SIGN_INNER_ACCOUNT && operation != SIGN_REVOKE
               : operation == SIGN_INNER_ACCOUNT)
        return work_refuse(p->work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_FORM,
            "the request names its key by \"%s\", expected \"%s\"", by_key ? "jwk" : "kid",
            by_key ? "kid" : "jwk");
    if (!by_key)
        return find_account(p);
    p->key = p->jws->jwk;
    return AW_OK;
}

static aw_result
check_url(struct proving *p)
{
    const struct sign_request *request = p->work->request;
    const struct proof *proof = &p->work->proof;
    int64_t number = request->operation == SIGN_FINALIZE ? request->order : proof->account.id;

    if (evidence_is_for(p->jws, proof->base, request->operation, number))
        return AW_OK;
    return work_refuse(p->work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_URL,
        "it was signed for %.200s, which is not this request's URL at %.200s", p->jws->url,
        proof->base);
}

/* Whether this very text was verified before, and what it asks was signed: an order that was
 * finalized is bound to it, whatever has become of the account's key (RFC 8555 7.3.5). */
static aw_result
has_finalized(const struct proving *p, bool *out)
{
    const struct sign_request *request = p->work->request;
    int64_t account;

    *out = false;
    if (request->operation != SIGN_FINALIZE)
        return AW_OK;
    return ledger_inner_order_find(
        p->work->core->ledger, request->order, p->work->proof.evidence, &account, out);
}

/* From here on it is the application's: what is refused counts to its budget. */
static aw_result
verify(struct proving *p)
{
    struct work *work = p->work;
    const char *rule = NULL;

    AW_TRY(has_finalized(p, &p->bound));
    if (p->bound)
        jose_jws_known(p->jws);
    else
        AW_TRY(proving_refuse_if(work, evidence_verify(p->jws, p->key, &p->openssl, &rule), &rule));
    if (work_refused(work) || work->proof.account.application == NULL)
        return AW_OK;
    return proving_copy(work->proof.account.application, &work->reply->application);
}

/* What was signed once for this may be signed for it again: the ledger has the evidence. */
static bool
is_repeated(const struct proving *p)
{
    const struct sign_relayed *relayed = &p->work->request->relayed;

    return p->bound || relayed->repeated || relayed->again != 0;
}

static aw_result
use_nonce(struct proving *p)
{
    static const char *const reasons[] = {
        [RELAY_NONCE_UNKNOWN] = "the nonce is none that was given out here",
        [RELAY_NONCE_OLD] = "the nonce is too old",
        [RELAY_NONCE_USED] = "the nonce was used before",
    };
    struct work *work = p->work;
    enum relay_nonce worth;

    if (is_repeated(p))
        return AW_OK;
    AW_TRY(
        relay_nonces_use(work->core->nonces, work->proof.base, p->jws->nonce, aw_now_ms(), &worth));
    if (worth != RELAY_NONCE_GOOD)
        return work_refuse(
            work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_NONCE, "%s", reasons[worth]);
    work->proof.nonce = AW_MOVE(p->jws->nonce);
    return AW_OK;
}

/* What the client signed takes the place of what an application would say itself. */
static aw_result
read_request(struct proving *p)
{
    struct proof *proof = &p->work->proof;
    struct sign_request *whole = &proof->whole, *by_client = &proof->by_client;
    const char *rule = NULL;

    by_client->operation = whole->operation;
    AW_TRY(proving_refuse_if(p->work, evidence_read(p->jws, by_client, &rule), &rule));
    whole->names = by_client->names;
    whole->name_count = by_client->name_count;
    whole->profile = by_client->profile;
    whole->not_before = by_client->not_before;
    whole->not_after = by_client->not_after;
    whole->replaces = by_client->replaces;
    whole->csr = by_client->csr;
    whole->certificate = by_client->certificate;
    whole->has_reason = by_client->has_reason;
    whole->reason = by_client->reason;
    return AW_OK;
}

static aw_result
digest_key(const struct proving *p, uint8_t out[AW_DIGEST_SIZE])
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(p->key->key, &der);

    if (size <= 0)
        return aw_fail_openssl("encoding a public key");
    int rc = EVP_Q_digest(p->openssl.libctx, "SHA256", NULL, der, (size_t)size, out, NULL);
    OPENSSL_free(der);
    return rc == 1 ? AW_OK : aw_fail_openssl("hashing a public key");
}

/* RFC 8555 7.6: whoever has the certificate's key may revoke it, in the name of the application
 * that finalized that key. */
static aw_result
find_key_owner(struct proving *p, const struct certificate *certificate)
{
    struct work *work = p->work;
    uint8_t digest[AW_DIGEST_SIZE];
    char text[AW_DIGEST_HEX_SIZE];

    AW_TRY(digest_key(p, digest));
    if (memcmp(digest, certificate->key_digest, sizeof(digest)) != 0)
        return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_KEY,
            "it is signed with another key than the certificate's, and with none of an account");
    aw_hex(digest, sizeof(digest), text);
    AW_TRY(ledger_key_owner(work->core->ledger, text, &work->proof.account.application));
    if (work->proof.account.application == NULL)
        return work_refuse(work, SIGN_OUTCOME_LEDGER_REFUSED, "revoke.key",
            "no application finalized an order with the certificate's key: revoke it at the CA");
    work->proof.by_certificate = true;
    return proving_copy(work->proof.account.application, &work->reply->application);
}

static aw_result
read_revocation(struct proving *p)
{
    AW_CLEANUP(certificate_free) struct certificate *certificate = NULL;
    const struct sign_bytes *der = &p->work->proof.by_client.certificate;
    char rule[CSR_RULE_SIZE] = "";

    AW_TRY(read_request(p));
    if (work_refused(p->work) || p->jws->kid != NULL)
        return AW_OK;
    aw_result r = certificate_parse(der->data, der->size, rule, &certificate);
    if (r.code == AW_CODE_SYNTAX)
        return work_refuse(p->work, SIGN_OUTCOME_CSR_REFUSED, rule, "%s", aw_error_last()->message);
    AW_TRY(r);
    return find_key_owner(p, certificate);
}

static aw_result
read_key_change(struct proving *p)
{
    const char *rule = NULL;

    return proving_refuse_if(p->work,
        evidence_read_key_change(p->jws, p->key, &p->openssl, &p->work->proof.key, &rule), &rule);
}

static aw_result
read_end(struct proving *p)
{
    const char *rule = NULL;

    return proving_refuse_if(p->work, evidence_check_end(p->jws, &rule), &rule);
}

static aw_result
read_evidence(struct proving *p)
{
    static aw_result (*const readers[SIGN_OPERATION_COUNT])(struct proving * p) = {
        [SIGN_NEW_ORDER] = read_request,
        [SIGN_FINALIZE] = read_request,
        [SIGN_REVOKE] = read_revocation,
        [SIGN_INNER_ACCOUNT] = proving_read_account,
        [SIGN_INNER_KEY_CHANGE] = read_key_change,
        [SIGN_INNER_DEACTIVATE] = read_end,
    };

    return readers[p->work->request->operation](p);
}

static aw_result
prove_evidence(struct work *work)
{
    static aw_result (*const steps[])(struct proving * p) = {
        find_signer, check_url, verify, use_nonce, read_evidence};
    AW_CLEANUP(end)
    struct proving proving = {.work = work, .openssl = {work->core->libctx, NULL}};

    AW_TRY(open_evidence(&proving));
    for (size_t i = 0; i < AW_COUNT(steps) && proving.jws != NULL && !work_refused(work); i++)
        AW_TRY(steps[i](&proving));
    return AW_OK;
}

/* What needs no evidence goes on with an order that some account opened, and is of its application.
 */
static aw_result
prove_ticket(struct work *work)
{
    struct proof *proof = &work->proof;
    int64_t id;

    AW_TRY(ledger_inner_order_find(work->core->ledger, work->request->order, NULL, &id, NULL));
    if (id != 0)
        AW_TRY(ledger_inner_account_find(work->core->ledger, id, &proof->account));
    if (proof->account.id != 0)
        return proving_copy(proof->account.application, &work->reply->application);
    return work_refuse(work, SIGN_OUTCOME_LEDGER_REFUSED, ledger_rule_tag(LEDGER_ORDER_UNKNOWN),
        "no relay opened order %lld", (long long)work->request->order);
}

aw_result
work_prove(struct work *work)
{
    struct proof *proof = &work->proof;

    if (!work->request->relayed.is)
        return AW_OK;
    proof->whole = *work->request;
    work->request = &proof->whole;
    if (!core_relay_of(work->core, work->peer, proof->base))
        return work_refuse(work, SIGN_OUTCOME_POLICY_REFUSED, "relay.peer",
            "%s is no relay: an administrator names it under relays: in signer.yaml",
            work->peer->user);
    return work->request->relayed.evidence.header != NULL ? prove_evidence(work)
                                                          : prove_ticket(work);
}

static aw_result
refuse_relay(struct work *work, const struct policy_request *asked, enum policy_rule rule)
{
    work->verdict.allowed = false;
    work->verdict.warned = false;
    work->verdict.rule = rule;
    work->verdict.name = NULL;
    return work_take_verdict(work, asked);
}

aw_result
work_decide_proven(struct work *work, const struct policy_request *asked)
{
    const struct sign_relayed *relayed = &work->request->relayed;
    const char *name = work->proof.account.application;
    const struct policy_application *application = policy_find(work->snapshot, name);
    const struct policy_relayed seen = {.address = relayed->address,
        .client_certificate = relayed->client_certificate,
        .validated = relayed->validated,
        .finalizing = work->request->operation == SIGN_FINALIZE};
    enum policy_rule rule = POLICY_RULE_RELAY;

    if (application == NULL)
        return work_refuse(work, SIGN_OUTCOME_POLICY_REFUSED,
            policy_rule_tag(POLICY_RULE_APPLICATION_UNKNOWN),
            "no policy has an application %s any more", name);
    policy_decide_application(work->snapshot, application, asked, work->now, &work->verdict);
    /* What goes on with an order was asked by nobody whose address could be told. */
    bool passed = relayed->evidence.header != NULL ? policy_decide_relay(application, &seen, &rule)
                                                   : application->relay.allowed;
    if (!passed)
        return refuse_relay(work, asked, rule);
    return work_take_verdict(work, asked);
}

/* Evidence that came to nothing, a busy token for one, is as good as before. */
void
work_end_proof(struct work *work)
{
    struct proof *proof = &work->proof;
    enum sign_outcome outcome = work->reply->outcome;
    bool nothing = work->seq == 0 && !proof->settled &&
                   (outcome == SIGN_OUTCOME_DONE || outcome == SIGN_OUTCOME_NOT_READY);

    if (nothing && proof->nonce != NULL)
        relay_nonces_give_back(work->core->nonces, proof->base, proof->nonce);
    if (outcome == SIGN_OUTCOME_DONE && work->request->operation == SIGN_NEW_ORDER) {
        work->reply->name_count = proof->by_client.name_count;
        work->reply->names = AW_MOVE(proof->by_client.names);
    }
    free(proof->nonce);
    free(proof->kid);
    jose_jwk_free(&proof->key);
    ledger_inner_account_free(&proof->account);
    sign_request_free(&proof->by_client);
}
