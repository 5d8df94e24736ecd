/* New orders (RFC 8555 7.4): what the client signed goes to the signer, what that signs to the CA.
 * The client has an answer when the order is durable here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "client/issue.h"
#include "common/b64url.h"
#include "common/io.h"
#include "relay/evidence.h"
#include "relay/handlers.h"
#include "relay/order_object.h"
#include "relay/payload.h"
#include "relay/upstream.h"

enum { TIME_MAX = 64, REPLACES_MAX = 256, TOKEN_OCTETS = 32 };

/* An order in the making. */
struct opening {
    struct relay_call *call;
    struct stored_order order;
    struct aw_name *names; /* sorted, for the CA */
    size_t name_count;
};

static void
opening_free(struct opening *o)
{
    stored_order_free(&o->order);
    free(o->names);
}

/* What is asked. */

static void
write_identifier(struct aw_json_writer *w, const struct aw_name *name)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "type", aw_name_type(name));
    aw_json_pair(w, "value", name->text);
    aw_json_end_object(w);
}

/* Names as the client has them in order; the CA's are sorted. */
static aw_result
read_names(struct opening *o, const cJSON *identifiers)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const cJSON *identifier;

    aw_json_begin_array(&w);
    cJSON_ArrayForEach(identifier, identifiers)
    {
        struct aw_name *name = &o->names[o->name_count];
        AW_TRY(relay_read_identifier(o->call, identifier, name));
        o->order.authorizations[o->name_count++].name = *name;
        write_identifier(&w, name);
    }
    aw_json_end_array(&w);
    AW_TRY(aw_json_writer_finish(&w, &o->order.identifiers));
    o->order.authorization_count = o->name_count;
    if (aw_names_sort(o->names, o->name_count))
        return AW_OK;
    return relay_problem_fail(
        &o->call->problem, RELAY_MALFORMED, "the payload: an identifier stands there twice");
}

static aw_result
read_identifiers(struct opening *o)
{
    const cJSON *identifiers;

    AW_TRY(relay_payload_check(
        o->call, aw_json_array(o->call->payload, "identifiers", 1, ACME_NAMES_MAX, &identifiers)));
    size_t count = (size_t)cJSON_GetArraySize(identifiers);
    o->names = calloc(count, sizeof(*o->names));
    o->order.authorizations = calloc(count, sizeof(*o->order.authorizations));
    if (o->names == NULL || o->order.authorizations == NULL)
        return aw_fail_memory();
    return read_names(o, identifiers);
}

static aw_result
read_optional(struct opening *o, const char *name, size_t max, char **out)
{
    const char *text;

    AW_TRY(
        relay_payload_check(o->call, aw_json_optional_string(o->call->payload, name, max, &text)));
    return text == NULL ? AW_OK : aw_format(out, "%s", text);
}

static aw_result
read_payload(struct opening *o)
{
    AW_TRY(relay_require_payload(o->call));
    AW_TRY(read_identifiers(o));
    AW_TRY(read_optional(o, "notBefore", TIME_MAX, &o->order.not_before));
    AW_TRY(read_optional(o, "notAfter", TIME_MAX, &o->order.not_after));
    AW_TRY(read_optional(o, "profile", ACME_PROFILE_MAX, &o->order.profile));
    return read_optional(o, "replaces", REPLACES_MAX, &o->order.replaces);
}

/* Authorizations. */

/* Born valid. */
static void
set_valid(struct stored_authorization *a, int64_t now)
{
    a->state = AUTHORIZATION_VALID;
    a->challenge = CHALLENGE_VALID;
    a->validated = now;
    snprintf(a->type, sizeof(a->type), "%s", CHALLENGE_TYPE_NONE);
}

static aw_result
set_pending(struct opening *o, struct stored_authorization *a)
{
    const char *type = o->call->account->validation;

    if (!relay_challenge_possible(type, &a->name))
        return relay_problem_fail(&o->call->problem, RELAY_REJECTED_IDENTIFIER,
            "the policy of %s asks for a proof by %s, which %s can't have",
            o->call->account->application, type, a->name.text);
    a->state = AUTHORIZATION_PENDING;
    a->challenge = CHALLENGE_PENDING;
    snprintf(a->type, sizeof(a->type), "%s", type);
    return AW_OK;
}

static aw_result
make_token(char out[STORE_TOKEN_SIZE])
{
    uint8_t octets[TOKEN_OCTETS];

    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return aw_fail_openssl("can't make a token");
    aw_b64url_encode(octets, sizeof(octets), out);
    return AW_OK;
}

static aw_result
make_authorizations(struct opening *o)
{
    bool none = strcmp(o->call->account->validation, "none") == 0;

    o->order.state = none ? ORDER_READY : ORDER_PENDING;
    for (size_t i = 0; i < o->order.authorization_count; i++) {
        struct stored_authorization *a = &o->order.authorizations[i];
        AW_TRY(make_token(a->token));
        if (none)
            set_valid(a, o->order.opened);
        else
            AW_TRY(set_pending(o, a));
    }
    return AW_OK;
}

/* At the CA. */

/* RFC 8555 7.1.3, as far as it is told in a form that is known; never later than our own limit. */
static int64_t
expiry_of(const char *document, int64_t limit)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    struct tm parts = {0};

    if (!aw_ok(aw_json_parse(document, strlen(document), AW_JSON_TOLERANT, &object)))
        return limit;
    const char *text = cJSON_GetStringValue(aw_json_member(object, "expires"));
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;
    if (rest == NULL || text[strlen(text) - 1] != 'Z')
        return limit;
    int64_t told = (int64_t)timegm(&parts);
    return told < limit ? told : limit;
}

/* Durable before the CA's URLs are claimed, and long before the client hears of it. */
static aw_result
keep(void *context, const struct issue_order *opened)
{
    struct opening *o = context;
    struct stored_order *order = &o->order;

    order->ticket = opened->ticket;
    AW_TRY(aw_format(&order->application, "%s", opened->application));
    AW_TRY(aw_format(&order->url, "%s", opened->url));
    AW_TRY(aw_format(&order->new_order, "%s", opened->new_order));
    AW_TRY(aw_format(&order->document, "%s", opened->document));
    order->expires = expiry_of(opened->document, order->opened + STORE_ORDER_SECONDS);
    AW_TRY(relay_store_order_add(o->call->relay->store, order));
    return AW_OK;
}

static aw_result
order_upstream(struct opening *o, struct upstream_talk *talk)
{
    AW_CLEANUP(issue_result_free) struct issue_result result = {0};
    struct relay_call *call = o->call;
    const struct signer_behalf behalf = relay_behalf(call);
    const struct issue_request request = {.thumbprint = call->account->thumbprint,
        .profile = o->order.profile,
        .names = o->names,
        .name_count = o->name_count,
        .seconds = UPSTREAM_ANSWER_SECONDS};
    const struct issue_callbacks callbacks = {.opened = keep, .context = o};

    signer_link_set_behalf(talk->link, &behalf);
    aw_result r = issue_open(talk->session, talk->link, &request, &callbacks, &result);
    if (!aw_ok(r) && call->problem.status == 0) {
        if (r.code != AW_CODE_REFUSED)
            relay_log_failed(call);
        AW_TRY(relay_upstream_problem(talk, r, &call->refusal, &call->problem));
    }
    signer_link_set_behalf(talk->link, NULL);
    return r;
}

aw_result
relay_post_new_order(struct relay_call *call)
{
    AW_CLEANUP(opening_free) struct opening o = {.call = call};
    AW_CLEANUP(relay_upstream_end) struct upstream_talk talk = {0};
    struct relay *relay = call->relay;

    o.order.opened = relay_now();
    o.order.account = call->account->id;
    AW_TRY(read_payload(&o));
    AW_TRY(make_authorizations(&o));
    AW_TRY(relay_upstream_begin(relay, call->account, UPSTREAM_ANSWER, &talk));
    AW_TRY(order_upstream(&o, &talk));
    return relay_respond_order(call, 201, &o.order);
}

/* POST-as-GET of an order (RFC 8555 7.4). */
aw_result
relay_post_order(struct relay_call *call)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    AW_TRY(relay_require_empty(call));
    AW_TRY(relay_own_order(call, &order));
    return relay_respond_order(call, 200, &order);
}
