/* Orders, authorizations and challenges as clients see them (RFC 8555 7.1.3, 7.1.4, 8). */
#include "relay/order_object.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "relay/payload.h"

/* Seconds between two questions about an order under way. */
enum { POLL_SECONDS = 2, URL_SIZE = RELAY_URL_MAX + 128 };

static void
pair_time(struct aw_json_writer *w, const char *name, int64_t time)
{
    char text[32];

    aw_time_text(time, text);
    aw_json_pair(w, name, text);
}

static void
pair_optional(struct aw_json_writer *w, const char *name, const char *value)
{
    if (value != NULL)
        aw_json_pair(w, name, value);
}

static void
pair_raw(struct aw_json_writer *w, const char *name, const char *json)
{
    if (json == NULL)
        return;
    aw_json_name(w, name);
    aw_json_write_raw(w, json);
}

static void
write_authorizations(struct aw_json_writer *w, const char *base, const struct stored_order *order)
{
    char url[URL_SIZE];

    aw_json_name(w, "authorizations");
    aw_json_begin_array(w);
    for (size_t i = 0; i < order->authorization_count; i++) {
        snprintf(url, sizeof(url), "%s/acme/authz/%lld/%zu", base, (long long)order->ticket, i + 1);
        aw_json_write_string(w, url);
    }
    aw_json_end_array(w);
}

static void
write_order(struct aw_json_writer *w, const char *base, const struct stored_order *order)
{
    long long ticket = (long long)order->ticket;
    char url[URL_SIZE];

    aw_json_begin_object(w);
    aw_json_pair(w, "status", order_state_name(order->state));
    pair_time(w, "expires", order->expires);
    pair_raw(w, "identifiers", order->identifiers);
    pair_optional(w, "notBefore", order->not_before);
    pair_optional(w, "notAfter", order->not_after);
    pair_optional(w, "profile", order->profile);
    pair_optional(w, "replaces", order->replaces);
    pair_raw(w, "error", order->problem);
    write_authorizations(w, base, order);
    snprintf(url, sizeof(url), "%s/acme/order/%lld/finalize", base, ticket);
    aw_json_pair(w, "finalize", url);
    if (order->state == ORDER_VALID) {
        snprintf(url, sizeof(url), "%s/acme/certificate/%lld", base, ticket);
        aw_json_pair(w, "certificate", url);
    }
    aw_json_end_object(w);
}

aw_result
relay_respond_order(struct relay_call *call, int status, const struct stored_order *order)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *base = call->relay->config->url;

    write_order(&w, base, order);
    AW_TRY(relay_response_location(
        call->response, "%s/acme/order/%lld", base, (long long)order->ticket));
    if (order->state == ORDER_PROCESSING)
        call->response->retry_after = POLL_SECONDS;
    return relay_response_json(call->response, status, &w);
}

static const char *const challenge_types[] = {"http-01", "dns-01", "tls-alpn-01"};
enum { CHALLENGE_TYPE_COUNT = sizeof(challenge_types) / sizeof(challenge_types[0]) };

/* RFC 8555 8.4, RFC 8738 7: a wildcard is proved by DNS only, an address never. */
bool
relay_challenge_possible(const char *type, const struct aw_name *name)
{
    if (name->form == AW_NAME_WILDCARD)
        return strcmp(type, "dns-01") == 0;
    return name->form != AW_NAME_ADDRESS || strcmp(type, "dns-01") != 0;
}

/* RFC 8555 7.1.4 lists the one challenge that was validated. Where none had to be, all that could
 * have been are listed: nginx's module refuses an authorization, a valid one too, without one of
 * the type that it is set to. */
bool
relay_challenge_offered(const struct stored_authorization *a, const char *type)
{
    if (strcmp(a->type, CHALLENGE_TYPE_NONE) == 0)
        return relay_challenge_possible(type, &a->name);
    return strcmp(a->type, type) == 0;
}

/* One of a list in an authorization, or whole. */
static void
write_challenge(struct aw_json_writer *w, const char *base, const struct stored_order *order,
    size_t index, const char *type)
{
    const struct stored_authorization *a = &order->authorizations[index];
    char url[URL_SIZE];

    snprintf(url, sizeof(url), "%s/acme/challenge/%lld/%zu/%s", base, (long long)order->ticket,
        index + 1, type);
    aw_json_begin_object(w);
    aw_json_pair(w, "type", type);
    aw_json_pair(w, "url", url);
    aw_json_pair(w, "status", challenge_state_name(a->challenge));
    aw_json_pair(w, "token", a->token);
    if (a->validated > 0)
        pair_time(w, "validated", a->validated);
    pair_raw(w, "error", a->problem);
    aw_json_end_object(w);
}

/* An order with a certificate stays for as long as that; what was proved for it does not. */
static int64_t
authorization_end(const struct stored_order *order)
{
    int64_t most = order->opened + STORE_ORDER_SECONDS;

    return order->expires < most ? order->expires : most;
}

/* RFC 8555 7.1.6: what is past its time is not told as good any more. */
static const char *
status_of(const struct stored_order *order, const struct stored_authorization *a)
{
    bool expired = relay_now() >= authorization_end(order);

    if (expired && a->state == AUTHORIZATION_VALID)
        return "expired";
    if (expired && a->state == AUTHORIZATION_PENDING)
        return "invalid";
    return authorization_state_name(a->state);
}

aw_result
relay_respond_authorization(struct relay_call *call, const struct stored_order *order, size_t index)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const struct stored_authorization *a = &order->authorizations[index];
    bool wildcard = a->name.form == AW_NAME_WILDCARD;

    aw_json_begin_object(&w);
    aw_json_name(&w, "identifier");
    aw_json_begin_object(&w);
    aw_json_pair(&w, "type", aw_name_type(&a->name));
    aw_json_pair(&w, "value", a->name.text + (wildcard ? strlen("*.") : 0));
    aw_json_end_object(&w);
    aw_json_pair(&w, "status", status_of(order, a));
    pair_time(&w, "expires", authorization_end(order));
    if (wildcard)
        aw_json_pair_bool(&w, "wildcard", true);
    aw_json_name(&w, "challenges");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < CHALLENGE_TYPE_COUNT; i++)
        if (relay_challenge_offered(a, challenge_types[i]))
            write_challenge(&w, call->relay->config->url, order, index, challenge_types[i]);
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    if (a->challenge == CHALLENGE_PROCESSING)
        call->response->retry_after = POLL_SECONDS;
    return relay_response_json(call->response, 200, &w);
}

aw_result
relay_respond_challenge(struct relay_call *call, const struct stored_order *order, size_t index)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *base = call->relay->config->url;

    write_challenge(&w, base, order, index, call->match.word);
    AW_TRY(relay_response_link(
        call->response, "up", "%s/acme/authz/%lld/%zu", base, (long long)order->ticket, index + 1));
    if (order->authorizations[index].challenge == CHALLENGE_PROCESSING)
        call->response->retry_after = POLL_SECONDS;
    return relay_response_json(call->response, 200, &w);
}
