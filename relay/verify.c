#include "relay/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/io.h"
#include "common/json.h"

static const struct jose_openssl openssl = {0};

void
relay_verify_free(struct relay_call *call)
{
    relay_account_release(call->relay->accounts, &call->account);
    aw_json_free(&call->payload);
    jose_jws_free(&call->jws);
    aw_json_free(&call->body);
}

/* RFC 8555 6.2; parameters of the media type say nothing. */
static aw_result
check_type(struct relay_call *call)
{
    static const char wanted[] = "application/jose+json";
    const char *type = call->request->content_type != NULL ? call->request->content_type : "";
    size_t length = strcspn(type, "; \t");

    if (length == sizeof(wanted) - 1 && strncasecmp(type, wanted, length) == 0)
        return AW_OK;
    return relay_problem_status(relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                    "the request's content type is not %s", wanted),
        &call->problem, 415);
}

/* What jose/ refused, as the client is told it. A failure that is no refusal stays what it is; text
 * of a client that does not parse is the client's fault. */
static aw_result
refused(struct relay_call *call, aw_result r, enum jose_fault fault)
{
    char why[AW_ERROR_MESSAGE_SIZE];

    if (aw_ok(r) || (fault == JOSE_NO_FAULT && r.code != AW_CODE_SYNTAX && r.code != AW_CODE_LIMIT))
        return r;
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    switch (fault) {
    case JOSE_BAD_ALGORITHM:
        return relay_problem_fail(&call->problem, RELAY_BAD_SIGNATURE_ALGORITHM, "%s", why);
    case JOSE_BAD_KEY:
        return relay_problem_fail(&call->problem, RELAY_BAD_PUBLIC_KEY, "%s", why);
    case JOSE_BAD_FORM:
    case JOSE_BAD_SIGNATURE:
    case JOSE_NO_FAULT:
        break;
    }
    return relay_problem_fail(&call->problem, RELAY_MALFORMED, "%s", why);
}

static aw_result
malformed(struct relay_call *call, aw_result r)
{
    return refused(call, r, JOSE_NO_FAULT);
}

static aw_result
read_body(struct relay_call *call)
{
    const struct relay_request *request = call->request;
    enum jose_fault fault = JOSE_NO_FAULT;

    if (request->size > RELAY_BODY_MAX)
        return relay_problem_status(
            relay_problem_fail(&call->problem, RELAY_MALFORMED,
                "the request's body is longer than %d octets", RELAY_BODY_MAX),
            &call->problem, 413);
    AW_TRY(malformed(
        call, aw_json_parse(request->body, request->size, AW_JSON_TOLERANT, &call->body)));
    AW_TRY(malformed(call, jose_parts_of(call->body, &call->parts)));
    aw_result r = jose_jws_read(&call->parts, JOSE_REQUEST, &openssl, &fault, &call->jws);
    return refused(call, r, fault);
}

/* RFC 8555 6.4: octet for octet. */
static aw_result
check_url(struct relay_call *call)
{
    const struct relay_config *config = call->relay->config;
    size_t origin = strlen(config->url) - strlen(config->base_path);
    const char *url = call->jws->url;

    if (strncmp(url, config->url, origin) == 0 && strcmp(url + origin, call->request->path) == 0)
        return AW_OK;
    return relay_problem_fail(&call->problem, RELAY_UNAUTHORIZED,
        "the signed URL \"%.300s\" is not the one that was asked: %.*s%.300s", url, (int)origin,
        config->url, call->request->path);
}

/* RFC 8555 6.5. It is used up whatever comes of the request: the answer brings a new one. */
static aw_result
use_nonce(struct relay_call *call)
{
    if (relay_nonces_use(call->relay->nonces, call->jws->nonce))
        return AW_OK;
    return relay_problem_fail(&call->problem, RELAY_BAD_NONCE,
        "the nonce was not given out here, was used already or is too old: use the one of this "
        "answer");
}

/* RFC 8555 6.2: which of jwk and kid the header has to hold. */
static aw_result
check_kind(struct relay_call *call)
{
    bool by_key = call->jws->jwk != NULL;

    switch (call->match.route->authentication) {
    case RELAY_BY_EITHER:
        return AW_OK;
    case RELAY_BY_KEY:
        return by_key ? AW_OK
                      : relay_problem_fail(&call->problem, RELAY_MALFORMED,
                            "this request is signed with the key in its header (jwk), not with "
                            "kid");
    case RELAY_BY_ACCOUNT:
        return !by_key ? AW_OK
                       : relay_problem_fail(&call->problem, RELAY_MALFORMED,
                             "this request is signed by an account (kid), not with jwk");
    case RELAY_NO_SIGNATURE:
        break;
    }
    return aw_fail(AW_CODE_INTERNAL, "a POST whose route needs no signature");
}

/* The number in the account's URL; 0: it is none of ours. */
static int64_t
account_of(const struct relay_config *config, const char *kid)
{
    size_t base = strlen(config->url);
    struct relay_match match = {0};

    return strncmp(kid, config->url, base) == 0 &&
                   relay_path_matches(RELAY_ACCOUNT_PATTERN, kid + base, &match)
               ? match.numbers[0]
               : 0;
}

static aw_result
find_account(struct relay_call *call, int64_t id)
{
    aw_result r = id == 0 ? aw_fail(AW_CODE_NOT_FOUND, "no URL of an account here")
                          : relay_accounts_get(
                                call->relay->accounts, call->relay->signer, id, &call->account);

    if (r.code == AW_CODE_NOT_FOUND)
        return relay_problem_fail(&call->problem, RELAY_ACCOUNT_DOES_NOT_EXIST,
            "there is no account \"%.300s\" here: register anew", call->jws->kid);
    return r;
}

static aw_result
check_active(struct relay_call *call)
{
    if (call->account == NULL || call->account->active)
        return AW_OK;
    return relay_problem_fail(&call->problem, RELAY_UNAUTHORIZED,
        "the account was deactivated (RFC 8555 7.3.6): register anew");
}

static aw_result
verify_with(struct relay_call *call, const struct jose_jwk *key, enum jose_fault *fault)
{
    *fault = JOSE_NO_FAULT;
    return jose_jws_verify(call->jws, key, &openssl, fault);
}

/* The key that is kept may be an old one. */
static aw_result
verify_by_account(struct relay_call *call)
{
    struct relay *relay = call->relay;
    int64_t id = account_of(relay->config, call->jws->kid);
    enum jose_fault fault;

    AW_TRY(find_account(call, id));
    aw_result r = verify_with(call, call->account->jwk, &fault);
    if (fault != JOSE_NO_FAULT && relay_accounts_doubt(relay->accounts, id)) {
        relay_account_release(relay->accounts, &call->account);
        AW_TRY(find_account(call, id));
        r = verify_with(call, call->account->jwk, &fault);
    }
    AW_TRY(refused(call, r, fault));
    return check_active(call);
}

static aw_result
verify_signature(struct relay_call *call)
{
    enum jose_fault fault;

    if (call->jws->kid != NULL)
        return verify_by_account(call);
    aw_result r = verify_with(call, call->jws->jwk, &fault);
    return refused(call, r, fault);
}

aw_result
relay_verify(struct relay_call *call)
{
    AW_TRY(check_type(call));
    AW_TRY(read_body(call));
    AW_TRY(check_url(call));
    AW_TRY(use_nonce(call));
    AW_TRY(check_kind(call));
    AW_TRY(verify_signature(call));
    if (jose_jws_is_empty(call->jws))
        return AW_OK;
    return malformed(call, jose_jws_payload(call->jws, &call->payload));
}
