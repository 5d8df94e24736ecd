#include "signer/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/json.h"
#include "signer/request_fields.h"

enum { PATH_MAX_SIZE = 64 }; /* of what follows the base, with NUL */

/* What jose_ refuses has a tag each; what it fails in has none. */
static const char *
rule_of(enum jose_fault fault)
{
    switch (fault) {
    case JOSE_NO_FAULT:
        return NULL;
    case JOSE_BAD_FORM:
        return EVIDENCE_FORM;
    case JOSE_BAD_ALGORITHM:
        return EVIDENCE_ALGORITHM;
    case JOSE_BAD_KEY:
        return EVIDENCE_KEY;
    case JOSE_BAD_SIGNATURE:
        return EVIDENCE_SIGNATURE;
    }
    return EVIDENCE_FORM;
}

/* Refusals of readers that know no faults. */
static bool
is_refusal(aw_result r)
{
    return r.code == AW_CODE_SYNTAX || r.code == AW_CODE_LIMIT || r.code == AW_CODE_MISMATCH ||
           r.code == AW_CODE_UNSUPPORTED;
}

static aw_result
tag(aw_result r, const char *text, const char **rule)
{
    *rule = is_refusal(r) ? text : NULL;
    return r;
}

aw_result
evidence_open(const struct sign_evidence *evidence, const struct jose_openssl *openssl,
    const char **rule, struct jose_jws **out)
{
    const struct jose_parts parts = {evidence->header, evidence->payload, evidence->signature};
    enum jose_fault fault;

    aw_result r = jose_jws_read(&parts, JOSE_REQUEST, openssl, &fault, out);
    *rule = rule_of(fault);
    return r;
}

aw_result
evidence_verify(struct jose_jws *jws, const struct jose_jwk *key,
    const struct jose_openssl *openssl, const char **rule)
{
    enum jose_fault fault;

    aw_result r = jose_jws_verify(jws, key, openssl, &fault);
    *rule = rule_of(fault);
    return r;
}

/* What follows `base` in a URL, or NULL: byte for byte, and nothing is normalised. */
static const char *
below(const char *url, const char *base)
{
    size_t length = strlen(base);

    return length > 0 && strncmp(url, base, length) == 0 ? url + length : NULL;
}

int64_t
evidence_account_of(const char *kid, const char *base)
{
    static const char path[] = "/acme/account/";
    const char *rest = below(kid, base);
    char *end = NULL;

    if (rest == NULL || strncmp(rest, path, sizeof(path) - 1) != 0)
        return 0;
    rest += sizeof(path) - 1;
    size_t digits = strspn(rest, "0123456789");
    /* One spelling: no leading zero, and no more than an int64_t holds. */
    if (digits == 0 || digits > 18 || rest[digits] != '\0' || rest[0] == '0')
        return 0;
    return strtoll(rest, &end, 10);
}

bool
evidence_is_for(
    const struct jose_jws *jws, const char *base, enum sign_operation operation, int64_t number)
{
    static const struct {
        const char *path, *behind; /* around the number; behind NULL: there is none */
    } paths[SIGN_OPERATION_COUNT] = {
        [SIGN_NEW_ORDER] = {"/acme/new-order", NULL},
        [SIGN_FINALIZE] = {"/acme/order/", "/finalize"},
        [SIGN_REVOKE] = {"/acme/revoke-cert", NULL},
        [SIGN_INNER_ACCOUNT] = {"/acme/new-account", NULL},
        [SIGN_INNER_KEY_CHANGE] = {"/acme/key-change", NULL},
        [SIGN_INNER_DEACTIVATE] = {"/acme/account/", ""},
    };
    const char *rest = below(jws->url, base);
    char expected[PATH_MAX_SIZE];

    if (rest == NULL || paths[operation].path == NULL)
        return false;
    if (paths[operation].behind == NULL)
        return strcmp(rest, paths[operation].path) == 0;
    snprintf(expected, sizeof(expected), "%s%" PRId64 "%s", paths[operation].path, number,
        paths[operation].behind);
    return strcmp(rest, expected) == 0;
}

/* ACME's parameters of what the signer signs too; anything else in the payload says nothing. */
static const struct request_form forms[SIGN_OPERATION_COUNT] = {
    [SIGN_NEW_ORDER] = {.required = REQUEST_BIT(IDENTIFIERS),
        .optional = REQUEST_BIT(PROFILE) | REQUEST_BIT(NOT_BEFORE) | REQUEST_BIT(NOT_AFTER) |
                    REQUEST_BIT(REPLACES),
        .foreign = true},
    [SIGN_FINALIZE] = {.required = REQUEST_BIT(CSR), .foreign = true},
    [SIGN_REVOKE] = {.required = REQUEST_BIT(CERTIFICATE),
        .optional = REQUEST_BIT(REASON),
        .foreign = true},
};

aw_result
evidence_read(const struct jose_jws *jws, struct sign_request *out, const char **rule)
{
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
    const char *field = NULL;

    AW_TRY(tag(jose_jws_payload(jws, &payload), EVIDENCE_FORM, rule));
    aw_result r = request_read(&forms[out->operation], payload, out, &field);
    bool names = field != NULL && strcmp(field, "identifiers") == 0;
    return tag(r, names ? EVIDENCE_IDENTIFIERS : EVIDENCE_FORM, rule);
}

/* RFC 8555 7.3.4: signed for the same URL as the request around it. */
static aw_result
read_binding(const struct jose_jws *jws, const cJSON *json, const struct jose_openssl *openssl,
    struct jose_jws **out)
{
    enum jose_fault fault;

    AW_TRY(aw_context(jose_jws_read_json(json, JOSE_BINDING, openssl, &fault, out),
        "the external account binding"));
    if (strcmp((*out)->url, jws->url) != 0)
        return aw_fail(AW_CODE_MISMATCH,
            "the external account binding is for another URL than the request (RFC 8555 7.3.4)");
    return AW_OK;
}

aw_result
evidence_read_account(const struct jose_jws *jws, const struct jose_openssl *openssl,
    struct evidence_account *out, const char **rule)
{
    AW_CLEANUP(evidence_account_free) struct evidence_account account = {0};
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;

    *out = (struct evidence_account){0};
    AW_TRY(tag(jose_jws_payload(jws, &payload), EVIDENCE_FORM, rule));
    AW_TRY(tag(aw_json_optional_bool(payload, "onlyReturnExisting", &account.only_existing),
        EVIDENCE_FORM, rule));
    const cJSON *binding = aw_json_member(payload, "externalAccountBinding");
    if (binding != NULL && !cJSON_IsNull(binding))
        AW_TRY(tag(read_binding(jws, binding, openssl, &account.binding), EVIDENCE_BINDING, rule));
    *out = account;
    account = (struct evidence_account){0};
    return AW_OK;
}

void
evidence_account_free(struct evidence_account *account)
{
    jose_jws_free(&account->binding);
    *account = (struct evidence_account){0};
}

static aw_result
read_same_key(const cJSON *json, const struct jose_jwk *key, const struct jose_openssl *openssl,
    const char *what)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *found = NULL;
    enum jose_fault fault;

    AW_TRY(aw_context(jose_jwk_parse(json, openssl, &fault, &found), "%s", what));
    if (strcmp(found->text, key->text) != 0)
        return aw_fail(AW_CODE_MISMATCH, "%s is another key than the account's", what);
    return AW_OK;
}

aw_result
evidence_check_binding(const struct jose_jws *binding, const struct jose_jwk *key,
    const struct jose_openssl *openssl, const char **rule)
{
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;

    AW_TRY(tag(jose_jws_payload(binding, &payload), EVIDENCE_BINDING, rule));
    return tag(read_same_key(payload, key, openssl, "the external account binding's payload"),
        EVIDENCE_BINDING, rule);
}

/* The new key signs which account it takes over, and from which key. */
static aw_result
check_key_change(const struct jose_jws *jws, const struct jose_jws *inner,
    const struct jose_jwk *old, const struct jose_openssl *openssl)
{
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
    const char *account;

    if (strcmp(inner->url, jws->url) != 0)
        return aw_fail(AW_CODE_MISMATCH, "the inner JWS is for another URL than the outer one");
    AW_TRY(jose_jws_payload(inner, &payload));
    AW_TRY(aw_json_string(payload, "account", JOSE_KID_MAX, &account));
    if (jws->kid == NULL || strcmp(account, jws->kid) != 0)
        return aw_fail(AW_CODE_MISMATCH, "the inner JWS is about another account");
    AW_TRY(read_same_key(aw_json_member(payload, "oldKey"), old, openssl, "\"oldKey\""));
    if (strcmp(inner->jwk->text, old->text) == 0)
        return aw_fail(AW_CODE_MISMATCH, "the new key is the old one");
    return AW_OK;
}

aw_result
evidence_read_key_change(const struct jose_jws *jws, const struct jose_jwk *old,
    const struct jose_openssl *openssl, struct jose_jwk **out, const char **rule)
{
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
    AW_CLEANUP(jose_jws_free) struct jose_jws *inner = NULL;
    enum jose_fault fault;

    AW_TRY(tag(jose_jws_payload(jws, &payload), EVIDENCE_FORM, rule));
    aw_result r = jose_jws_read_json(payload, JOSE_NEW_KEY, openssl, &fault, &inner);
    *rule = rule_of(fault);
    AW_TRY(r);
    AW_TRY(evidence_verify(inner, inner->jwk, openssl, rule));
    AW_TRY(tag(check_key_change(jws, inner, old, openssl), EVIDENCE_FORM, rule));
    *out = AW_MOVE(inner->jwk);
    return AW_OK;
}

aw_result
evidence_check_end(const struct jose_jws *jws, const char **rule)
{
    AW_CLEANUP(aw_json_free) cJSON *payload = NULL;
    static const char *const members[] = {"status"};
    const char *status = "";

    AW_TRY(tag(jose_jws_payload(jws, &payload), EVIDENCE_FORM, rule));
    AW_TRY(tag(aw_json_only(payload, members, AW_COUNT(members)), EVIDENCE_FORM, rule));
    AW_TRY(tag(aw_json_string(payload, "status", SIGN_TEXT_MAX, &status), EVIDENCE_FORM, rule));
    if (strcmp(status, "deactivated") == 0)
        return AW_OK;
    return tag(aw_fail(AW_CODE_SYNTAX, "an account can be deactivated, nothing else"),
        EVIDENCE_FORM, rule);
}
