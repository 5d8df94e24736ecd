/* Revocation (RFC 8555 7.6): by an account whose application finalized the certificate's key, or by
 * that key itself. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "relay/evidence.h"
#include "relay/handlers.h"
#include "relay/payload.h"
#include "relay/upstream.h"

/* What is to be revoked, and at which CA. */
struct revoking {
    struct relay_call *call;
    struct relay_account *owner; /* of the order; NULL: the account that signed is it */
    struct upstream_talk talk;
};

static void
revoking_free(struct revoking *r)
{
    relay_upstream_end(&r->talk);
    relay_account_release(r->call->relay->accounts, &r->owner);
}

/* RFC 5280 5.3.1, those that the signer takes of a subscriber. */
static bool
is_reason(int64_t reason)
{
    static const int64_t reasons[] = {0, 1, 3, 4, 5, 9};

    for (size_t i = 0; i < AW_COUNT(reasons); i++)
        if (reasons[i] == reason)
            return true;
    return false;
}

static aw_result
check_reason(struct relay_call *call)
{
    int64_t reason = 0;

    aw_result r = aw_json_optional_integer(call->payload, "reason", INT64_MIN, INT64_MAX, &reason);
    if (aw_ok(r) && is_reason(reason))
        return AW_OK;
    return relay_problem_fail(&call->problem, RELAY_BAD_REVOCATION_REASON,
        "reason: expected 0, 1, 3, 4, 5 or 9 (RFC 5280 5.3.1)");
}

/* RFC 8555 7.6: a key that is not the certificate's is no bad key, but has no say in it. */
static aw_result
no_say(struct relay_call *call)
{
    return relay_problem_fail(&call->problem, RELAY_UNAUTHORIZED,
        "the request is signed neither with the certificate's key nor by an account");
}

/* The certificate is one that was issued here. The signer compares keys too; this is so that a
 * stranger with a certificate, which anybody may have, takes neither its time nor a conversation
 * with the CA. */
static aw_result
compare_keys(struct relay_call *call, const uint8_t *der, size_t size)
{
    const unsigned char *at = der;
    AW_CLEANUP(aw_x509_free) X509 *certificate = d2i_X509(NULL, &at, (long)size);
    bool same =
        certificate != NULL && EVP_PKEY_eq(X509_get0_pubkey(certificate), call->jws->jwk->key) == 1;

    ERR_clear_error();
    return same ? AW_OK : no_say(call);
}

static aw_result
read_certificate(struct relay_call *call, uint8_t **der, size_t *size)
{
    const char *text;

    AW_TRY(relay_payload_check(
        call, aw_json_string(call->payload, "certificate", RELAY_BODY_MAX, &text)));
    return relay_payload_check(call, aw_b64url_decode_new(text, strlen(text), der, size));
}

/* The CA is the one that issued: of the order's account, not of whoever asks. Where it was issued
 * through another relay, an account's own CA is the best guess; a key has none. */
static aw_result
find_owner(struct revoking *r)
{
    struct relay *relay = r->call->relay;
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    char text[AW_DIGEST_HEX_SIZE];
    size_t size = 0;
    int64_t ticket = 0;

    AW_TRY(read_certificate(r->call, &der, &size));
    SHA256(der, size, digest);
    aw_hex(digest, sizeof(digest), text);
    aw_result found = relay_store_by_leaf(relay->store, text, &ticket);
    if (found.code == AW_CODE_NOT_FOUND && r->call->account != NULL)
        return AW_OK;
    if (found.code == AW_CODE_NOT_FOUND)
        return relay_problem_fail(&r->call->problem, RELAY_UNAUTHORIZED,
            "the certificate was not issued here: revoke it with the account that ordered it, or "
            "at the CA");
    AW_TRY(found);
    if (r->call->account == NULL)
        AW_TRY(compare_keys(r->call, der, size));
    AW_TRY(relay_store_order(relay->store, ticket, &order));
    return relay_accounts_get(relay->accounts, relay->signer, order.account, &r->owner);
}

static aw_result
sign(void *context, const char *nonce, char **url, char **jws)
{
    const struct revoking *r = context;
    AW_CLEANUP(signer_signed_free) struct signer_signed out = {0};
    const struct signer_revoke asked = {.reason = -1}; /* the evidence says all of it */

    AW_TRY(signer_revoke(r->talk.link, &asked, nonce, &out));
    *url = AW_MOVE(out.url);
    *jws = AW_MOVE(out.jws);
    return AW_OK;
}

static aw_result
explain(struct revoking *r, aw_result failed)
{
    struct relay_call *call = r->call;

    if (failed.code != AW_CODE_REFUSED)
        relay_log_failed(call);
    AW_TRY(relay_upstream_problem(&r->talk, failed, &call->refusal, &call->problem));
    if (call->problem.type == RELAY_BAD_PUBLIC_KEY && call->refusal.error != NULL)
        aw_ignore(no_say(call), "that is what is wanted");
    return AW_OK;
}

/* Not repeated where the answer is lost: the client asks again, and is told alreadyRevoked. */
static aw_result
post(struct revoking *r)
{
    struct relay_call *call = r->call;
    const struct signer_behalf behalf = relay_behalf(call);
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    signer_link_set_behalf(r->talk.link, &behalf);
    acme_session_limit(r->talk.session, UPSTREAM_ANSWER_SECONDS);
    aw_result posted =
        acme_post(r->talk.session, sign, r, false, "revoking a certificate", &response);
    if (!aw_ok(posted))
        AW_TRY(explain(r, posted));
    signer_link_set_behalf(r->talk.link, NULL);
    return posted;
}

aw_result
relay_post_revoke(struct relay_call *call)
{
    AW_CLEANUP(revoking_free) struct revoking r = {.call = call};
    struct relay *relay = call->relay;

    AW_TRY(relay_require_payload(call));
    AW_TRY(check_reason(call));
    AW_TRY(find_owner(&r));
    AW_TRY(relay_upstream_begin(
        relay, r.owner != NULL ? r.owner : call->account, UPSTREAM_ANSWER, &r.talk));
    AW_TRY(post(&r));
    relay_response_empty(call->response, 200);
    return AW_OK;
}
