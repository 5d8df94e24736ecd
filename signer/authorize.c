/*
 * The signing contract, top to bottom: prove, parse, decide, write, record, sign.
 *
 * A request names an operation and typed parameters (request.h); no bytes of it are ever signed as
 * they came. Where there is a doubt there is no signature: each step either adds to `work` or ends
 * the request.
 */
#include "signer/authorize.h"

#include <string.h>

#include "common/io.h"
#include "signer/held_keys.h"
#include "signer/prove.h"
#include "signer/work.h"

/* What each operation is to the policy, and what is signed for it. */
struct contract {
    enum policy_operation policy;
    aw_result (*payload)(struct work *work, char **out); /* NULL: nothing is signed */
    const char *(*url)(const struct work *work);
};

static aw_result
payload_new_order(struct work *work, char **out)
{
    const struct sign_request *request = work->request;

    return jws_payload_new_order(&(struct jws_new_order){.names = request->names,
                                     .name_count = request->name_count,
                                     .profile = request->profile,
                                     .not_before = request->not_before,
                                     .not_after = request->not_after,
                                     .replaces = request->replaces},
        out);
}

static aw_result
payload_finalize(struct work *work, char **out)
{
    return jws_payload_finalize(work->request->csr.data, work->request->csr.size, out);
}

/* RFC 8555 6.3: the payload of a POST-as-GET is empty. */
static aw_result
payload_empty(struct work *work, char **out)
{
    (void)work;
    *out = strdup("");
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

/* RFC 8555 7.5.1: "{}" tells the CA to validate; key authorizations are not sent. */
static aw_result
payload_answer(struct work *work, char **out)
{
    (void)work;
    *out = strdup("{}");
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
payload_revoke(struct work *work, char **out)
{
    const struct sign_request *request = work->request;

    return aw_jws_payload_revoke(request->certificate.data, request->certificate.size,
        request->has_reason ? request->reason : -1, out);
}

static const char *
url_new_order(const struct work *work)
{
    return work->account->ca->pin.new_order;
}

static const char *
url_revoke(const struct work *work)
{
    return work->account->ca->pin.revoke_cert;
}

static const char *
url_of_request(const struct work *work)
{
    return work->request->url;
}

static const struct contract contracts[SIGN_OPERATION_COUNT] = {
    [SIGN_NEW_ORDER] = {POLICY_ORDER, payload_new_order, url_new_order},
    [SIGN_CLAIM] = {POLICY_ORDER, NULL, NULL},
    [SIGN_FINALIZE] = {POLICY_ORDER, payload_finalize, url_of_request},
    [SIGN_POST_AS_GET] = {POLICY_ORDER, payload_empty, url_of_request},
    [SIGN_ANSWER_CHALLENGE] = {POLICY_ORDER, payload_answer, url_of_request},
    [SIGN_REVOKE] = {POLICY_REVOKE, payload_revoke, url_revoke},
    [SIGN_RECORD_CERTIFICATE] = {POLICY_ORDER, NULL, NULL},
    [SIGN_INNER_ACCOUNT] = {POLICY_ORDER, NULL, NULL},
    [SIGN_INNER_KEY_CHANGE] = {POLICY_ORDER, NULL, NULL},
    [SIGN_INNER_DEACTIVATE] = {POLICY_ORDER, NULL, NULL},
};

/* 1. Parse what the request carries, each by its own grammar. */
static aw_result
parse(struct work *work)
{
    const struct sign_request *request = work->request;
    char rule[CSR_RULE_SIZE] = "";
    aw_result r = AW_OK;

    if (request->operation == SIGN_FINALIZE)
        r = csr_parse(
            request->csr.data, request->csr.size, work->core->libctx, NULL, rule, &work->csr);
    else if (request->certificate.size > 0)
        r = certificate_parse(
            request->certificate.data, request->certificate.size, rule, &work->certificate);
    if (r.code == AW_CODE_SYNTAX)
        return work_refuse(work, SIGN_OUTCOME_CSR_REFUSED, rule, "%s", aw_error_last()->message);
    if (work->certificate != NULL && work->certificate->name_count == 0)
        return work_refuse(work, SIGN_OUTCOME_CSR_REFUSED, "certificate.san.missing",
            "a certificate without subjectAltName is none that was ordered here");
    return r;
}

/* 2. Decide: the policy is pure, and default is deny. */
static aw_result
decide(struct work *work)
{
    const struct sign_request *request = work->request;
    const struct policy_subject subject = peer_subject(work->peer);
    struct policy_request asked = {
        .operation = contracts[request->operation].policy,
        .application = request->application,
        .names = request->names,
        .name_count = request->name_count,
        .profile = request->profile,
        .has_validity = request->not_before != NULL || request->not_after != NULL,
    };

    if (work->csr != NULL) {
        asked.names = work->csr->names;
        asked.name_count = work->csr->name_count;
        asked.has_key = true;
        asked.key = (enum policy_key)work->csr->key;
    }
    if (request->relayed.is)
        return work_decide_proven(work, &asked);
    policy_decide(work->snapshot, &subject, &asked, work->now, &work->verdict);
    return work_take_verdict(work, &asked);
}

/* A certificate's key is its host's alone. The CSR is signed with its key: whoever sent it can use
 * that key without us. */
static aw_result
check_csr_key(struct work *work)
{
    const uint8_t *digest = work->csr->key_digest;

    if (accounts_holds_key(work->core->accounts, digest))
        return work_refuse(work, SIGN_OUTCOME_CSR_REFUSED, "csr.key.account",
            "the CSR's key is an account key, which must not become a certificate's key");
    if (held_keys_has(work->core, digest))
        return work_refuse(work, SIGN_OUTCOME_CSR_REFUSED, "csr.key.token",
            "the CSR's key is in the signer's token, so it must not become a certificate's key");
    return AW_OK;
}

/* An account with a relay: nothing of the CA's is involved. */
static bool
is_inner(enum sign_operation operation)
{
    return operation == SIGN_INNER_ACCOUNT || operation == SIGN_INNER_KEY_CHANGE ||
           operation == SIGN_INNER_DEACTIVATE;
}

/* What the policy can't know: stopped signing, keys of our own, URLs outside the pinned CA. */
static aw_result
decide_beyond_policy(struct work *work)
{
    const struct sign_request *request = work->request;

    AW_TRY(work_check_freeze(work));
    if (work_refused(work) || is_inner(request->operation))
        return AW_OK;
    AW_TRY(work_bind_account(work));
    if (work_refused(work))
        return AW_OK;
    if (work->csr != NULL)
        AW_TRY(check_csr_key(work));
    if (request->operation == SIGN_REVOKE && request->has_reason && request->reason == 1 &&
        !work->proof.by_certificate)
        return work_refuse(work, SIGN_OUTCOME_LEDGER_REFUSED, "revoke.reason",
            "keyCompromise is to be proved with the certificate's own key (RFC 8555 7.6); if it is "
            "a key of this application, CSRs with it are refused from now on");
    if (request->url != NULL)
        AW_TRY(work_check_url(work, request->url));
    for (size_t i = 0; i < request->claim_count; i++)
        AW_TRY(work_check_url(work, request->claims[i].url));
    return AW_OK;
}

/* 3. Write what is signed: header and payload from typed values. */
static aw_result
write_jws(struct work *work)
{
    const struct contract *contract = &contracts[work->request->operation];
    AW_CLEANUP(aw_free) char *payload = NULL;

    if (contract->payload == NULL)
        return AW_OK;
    const char *url = contract->url(work);
    AW_TRY(contract->payload(work, &payload));
    work->reply->url = strdup(url);
    if (work->reply->url == NULL)
        return aw_fail_memory();
    return aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(work->key),
                            .kid = work->account->url,
                            .nonce = work->request->nonce,
                            .url = url},
        payload, &work->jws);
}

/* A freeze holds for what is already being signed: the signature stays here, and that is on record.
 */
static aw_result
withhold(struct work *work)
{
    leaving_end(&work->reply->leave);
    aw_ignore(aw_fail(AW_CODE_FROZEN, "frozen while it was signed: the signature was withheld"),
        "it is what the outcome record says");
    work_record_failure(work);
    AW_TRY(work_check_freeze(work));
    return work_refuse(work, SIGN_OUTCOME_FROZEN, "frozen", /* it has ended meanwhile */
        "an administrator had stopped signing while this was signed");
}

/* 5. Sign while the record becomes durable; release only when it is. */
static aw_result
sign(struct work *work)
{
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    size_t size = 0;

    if (work->jws.input != NULL) {
        aw_result r = work_sign(work, signature, &size);
        work_give_turn(work);
        if (!aw_ok(r)) {
            work_record_failure(work);
            return r;
        }
    }
    AW_TRY(audit_log_wait(work->core->audit, work->seq));
    if (work->jws.input == NULL)
        return AW_OK;
    leaving_begin(&work->core->leaving, &work->reply->leave);
    if (work_is_frozen(work))
        return withhold(work);
    return aw_jws_serialize(&work->jws, signature, size, &work->reply->jws);
}

aw_result
authorize(struct core *core, const struct peer *peer, const struct sign_request *request,
    struct sign_reply *reply)
{
    AW_CLEANUP(work_end)
    struct work work = {.core = core,
        .peer = peer,
        .request = request,
        .reply = reply,
        .now = core_now(),
        .snapshot = core_snapshot(core)};

    AW_TRY(work_prove(&work)); /* 0. what came through a relay, by what its client signed */
    if (work.proof.settled)
        return AW_OK;
    if (!work_refused(&work))
        AW_TRY(parse(&work));
    if (!work_refused(&work))
        AW_TRY(decide(&work));
    if (!work_refused(&work) && contracts[request->operation].payload != NULL)
        AW_TRY(work_take_turn(&work)); /* before anything is on record: busy costs nothing */
    if (!work_refused(&work))
        AW_TRY(decide_beyond_policy(&work));
    if (!work_refused(&work))
        AW_TRY(work_verify(&work)); /* refuses nothing, but goes on record */
    if (!work_refused(&work))
        AW_TRY(write_jws(&work));
    if (reply->outcome == SIGN_OUTCOME_NOT_READY)
        return AW_OK;           /* nothing was decided: there is nothing to record or to sign */
    AW_TRY(work_record(&work)); /* 4. the ledger may still refuse, in which case that is recorded */
    if (work_refused(&work))
        return audit_log_wait(core->audit, work.seq);
    return sign(&work);
}
