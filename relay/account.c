/* Accounts (RFC 8555 7.3): new ones, their contacts, their end, their keys. The signer knows whose
 * they are; the relay keeps what a client told about itself. */
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "relay/handlers.h"
#include "relay/payload.h"

enum { CONTACTS_MAX = 10, CONTACT_MAX = 320, ORDERS_PER_PAGE = 100 };

/* What a payload says about contacts; text NULL: nothing. */
struct told {
    char *contact;
};

static void
told_free(struct told *told)
{
    aw_free(&told->contact);
}

/* RFC 8555 7.3: a mailto: URL of one address and no more. */
static aw_result
check_contact(struct relay_call *call, const cJSON *contact)
{
    static const char scheme[] = "mailto:";
    const char *text = cJSON_GetStringValue(contact);
    char shown[128];

    if (text == NULL)
        return relay_problem_fail(
            &call->problem, RELAY_MALFORMED, "contact: expected an array of URLs");
    aw_log_escape(text, strlen(text), shown, sizeof(shown));
    if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
        return relay_problem_fail(&call->problem, RELAY_UNSUPPORTED_CONTACT,
            "contact \"%s\": expected mailto:USER@HOST", shown);
    const char *at = strchr(text, '@');
    if (at == NULL || at == text + sizeof(scheme) - 1 || at[1] == '\0' ||
        strlen(text) > CONTACT_MAX || strpbrk(text, ",?% \t\r\n") != NULL)
        return relay_problem_fail(&call->problem, RELAY_INVALID_CONTACT,
            "contact \"%s\": expected one address, mailto:USER@HOST", shown);
    return AW_OK;
}

static aw_result
read_contact(struct relay_call *call, struct told *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const cJSON *list = aw_json_member(call->payload, "contact"), *contact;

    if (list == NULL || cJSON_IsNull(list))
        return AW_OK;
    AW_TRY(
        relay_payload_check(call, aw_json_array(call->payload, "contact", 0, CONTACTS_MAX, &list)));
    aw_json_begin_array(&w);
    cJSON_ArrayForEach(contact, list)
    {
        AW_TRY(check_contact(call, contact));
        aw_json_write_string(&w, cJSON_GetStringValue(contact));
    }
    aw_json_end_array(&w);
    return aw_json_writer_finish(&w, &out->contact);
}

/* The account object (RFC 8555 7.1.2). */
static aw_result
respond_account(struct relay_call *call, int64_t id, bool active, int status)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(stored_account_free) struct stored_account stored = {0};
    AW_CLEANUP(aw_free) char *orders = NULL;
    const char *base = call->relay->config->url;

    aw_result r = relay_store_account(call->relay->store, id, &stored);
    if (r.code != AW_CODE_NOT_FOUND)
        AW_TRY(r);
    AW_TRY(aw_format(&orders, "%s/acme/account/%lld/orders", base, (long long)id));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", active ? "valid" : "deactivated");
    aw_json_name(&w, "contact");
    aw_json_write_raw(&w, stored.contact != NULL ? stored.contact : "[]");
    aw_json_pair(&w, "orders", orders);
    aw_json_end_object(&w);
    AW_TRY(relay_response_location(call->response, "%s/acme/account/%lld", base, (long long)id));
    return relay_response_json(call->response, status, &w);
}

/* Calls a method whose parameters are the evidence and how the client was seen. */
static aw_result
call_with_evidence(struct relay_call *call, const char *method, cJSON **reply)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *parameters = NULL;

    aw_json_begin_object(&w);
    relay_write_evidence(&w, call, NULL);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &parameters));
    return relay_call_signer(call, method, parameters, reply);
}

/* 0: no account has that key. */
static aw_result
find_by_key(struct relay_call *call, const struct jose_jwk *key, int64_t *out)
{
    AW_CLEANUP(aw_free) char *parameters = NULL;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    char thumbprint[JOSE_THUMBPRINT_TEXT];

    *out = 0;
    jose_thumbprint_text(key->thumbprint, thumbprint);
    AW_TRY(aw_format(&parameters, "{\"thumbprint\":\"%s\"}", thumbprint));
    AW_TRY(relay_call_signer(call, "FindAccount", parameters, &reply));
    return aw_json_optional_integer(reply, "account", 1, INT64_C(1) << 52, out);
}

/* New accounts. */

/* RFC 8555 7.3.1. */
static aw_result
respond_existing(struct relay_call *call, int64_t id)
{
    struct relay *relay = call->relay;

    AW_TRY(relay_accounts_get(relay->accounts, relay->signer, id, &call->account));
    if (!call->account->active)
        return relay_problem_fail(&call->problem, RELAY_UNAUTHORIZED,
            "the account of this key was deactivated (RFC 8555 7.3.6): register with a new key");
    return respond_account(call, id, true, 200);
}

/* RFC 8555 7.3: terms that are in the directory must be agreed to. */
static aw_result
check_terms(struct relay_call *call)
{
    bool agreed = false;

    AW_TRY(relay_payload_check(
        call, aw_json_optional_bool(call->payload, "termsOfServiceAgreed", &agreed)));
    if (agreed || call->relay->config->terms_of_service == NULL)
        return AW_OK;
    return relay_problem_fail(&call->problem, RELAY_MALFORMED,
        "the terms of service must be agreed to (termsOfServiceAgreed): %s",
        call->relay->config->terms_of_service);
}

/* What the signer has to judge is checked by it; here only what it does not know. */
static aw_result
make_account(struct relay_call *call, const struct told *told)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    bool created = false;
    int64_t id = 0;

    AW_TRY(check_terms(call));
    if (!cJSON_IsObject(aw_json_member(call->payload, "externalAccountBinding")))
        return relay_problem_fail(&call->problem, RELAY_EXTERNAL_ACCOUNT_REQUIRED,
            "an EAB credential is needed here (externalAccountBinding): acmeward-admin app-eab "
            "create makes one for an application");
    AW_TRY(call_with_evidence(call, "NewAccount", &reply));
    AW_TRY(aw_json_integer(reply, "account", 1, INT64_C(1) << 52, &id));
    AW_TRY(aw_json_optional_bool(reply, "created", &created));
    relay_accounts_forget(call->relay->accounts, id);
    if (created)
        AW_TRY(relay_store_account_put(
            call->relay->store, id, told->contact != NULL ? told->contact : "[]", relay_now()));
    return respond_account(call, id, true, created ? 201 : 200);
}

aw_result
relay_post_new_account(struct relay_call *call)
{
    AW_CLEANUP(told_free) struct told told = {0};
    bool existing_only = false;
    int64_t id = 0;

    AW_TRY(relay_require_payload(call));
    AW_TRY(relay_payload_check(
        call, aw_json_optional_bool(call->payload, "onlyReturnExisting", &existing_only)));
    AW_TRY(read_contact(call, &told));
    AW_TRY(find_by_key(call, call->jws->jwk, &id));
    if (id != 0)
        return respond_existing(call, id);
    if (existing_only)
        return relay_problem_fail(&call->problem, RELAY_ACCOUNT_DOES_NOT_EXIST,
            "no account here has this key, and onlyReturnExisting was asked");
    return make_account(call, &told);
}

/* One account. */

static aw_result
deactivate(struct relay_call *call)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(call_with_evidence(call, "DeactivateAccount", &reply));
    relay_accounts_forget(call->relay->accounts, call->account->id);
    return respond_account(call, call->account->id, false, 200);
}

/* RFC 8555 7.3.2, 7.3.6; members that say nothing to us are left out of account. */
static aw_result
update(struct relay_call *call)
{
    AW_CLEANUP(told_free) struct told told = {0};
    const char *status;

    AW_TRY(
        relay_payload_check(call, aw_json_optional_string(call->payload, "status", 32, &status)));
    if (status != NULL && strcmp(status, "deactivated") == 0)
        return deactivate(call);
    if (status != NULL && strcmp(status, "valid") != 0)
        return relay_problem_fail(&call->problem, RELAY_MALFORMED,
            "an account's status can be set to \"deactivated\" only");
    AW_TRY(read_contact(call, &told));
    if (told.contact != NULL)
        AW_TRY(relay_store_account_put(
            call->relay->store, call->account->id, told.contact, relay_now()));
    return respond_account(call, call->account->id, true, 200);
}

aw_result
relay_post_account(struct relay_call *call)
{
    AW_TRY(relay_own_account(call));
    return call->payload != NULL ? update(call)
                                 : respond_account(call, call->account->id, true, 200);
}

/* RFC 8555 7.1.2.1. The page is a number of the path: a query would be no part of it. */
aw_result
relay_post_account_orders(struct relay_call *call)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *base = call->relay->config->url;
    int64_t tickets[ORDERS_PER_PAGE];
    size_t count = ORDERS_PER_PAGE;
    long long id = (long long)call->account->id;

    AW_TRY(relay_own_account(call));
    AW_TRY(relay_require_empty(call));
    AW_TRY(relay_store_orders_of(
        call->relay->store, call->account->id, call->match.numbers[1], tickets, &count));
    aw_json_begin_object(&w);
    aw_json_name(&w, "orders");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        char url[RELAY_URL_MAX + 64];
        snprintf(url, sizeof(url), "%s/acme/order/%lld", base, (long long)tickets[i]);
        aw_json_write_string(&w, url);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    if (count == ORDERS_PER_PAGE)
        AW_TRY(relay_response_link(call->response, "next", "%s/acme/account/%lld/orders/%lld", base,
            id, (long long)tickets[count - 1]));
    return relay_response_json(call->response, 200, &w);
}

/* RFC 8555 7.3.5: the payload is a JWS of the new key. A key that has an account is told where. */
static aw_result
check_new_key(struct relay_call *call)
{
    static const struct jose_openssl openssl = {0};
    AW_CLEANUP(jose_jws_free) struct jose_jws *inner = NULL;
    enum jose_fault fault = JOSE_NO_FAULT;
    int64_t id = 0;

    aw_result r = jose_jws_read_json(call->payload, JOSE_NEW_KEY, &openssl, &fault, &inner);
    if (fault == JOSE_BAD_KEY)
        return relay_problem_fail(
            &call->problem, RELAY_BAD_PUBLIC_KEY, "the new key is not one that is accepted here");
    AW_TRY(relay_payload_check(call, r));
    AW_TRY(find_by_key(call, inner->jwk, &id));
    if (id == 0)
        return AW_OK;
    AW_TRY(relay_response_location(
        call->response, "%s/acme/account/%lld", call->relay->config->url, (long long)id));
    return relay_problem_status(
        relay_problem_fail(&call->problem, RELAY_MALFORMED, "the new key has an account already"),
        &call->problem, 409);
}

aw_result
relay_post_key_change(struct relay_call *call)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(relay_require_payload(call));
    AW_TRY(check_new_key(call));
    AW_TRY(call_with_evidence(call, "ChangeKey", &reply));
    relay_accounts_forget(call->relay->accounts, call->account->id);
    return respond_account(call, call->account->id, true, 200);
}
