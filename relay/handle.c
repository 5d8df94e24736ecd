/* From a request to its response: route, verify, handle; what fails becomes a problem document. */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/log.h"
#include "relay/relay.h"
#include "relay/verify.h"

/* The path below the base URL; NULL: it is not below. */
static const char *
below_base(const struct relay *relay, const char *path)
{
    const char *base = relay->config->base_path;
    size_t length = strlen(base);

    return strncmp(path, base, length) == 0 && path[length] == '/' ? path + length : NULL;
}

static void
find_route(
    const struct relay *relay, const struct relay_request *request, struct relay_match *match)
{
    const char *path = below_base(relay, request->path);

    memset(match, 0, sizeof(*match));
    if (path != NULL)
        relay_route_find(request->method, path, match);
}

enum relay_place
relay_place_of(const struct relay *relay, const struct relay_request *request)
{
    struct relay_match match;

    find_route(relay, request, &match);
    if (match.route == NULL)
        return RELAY_ON_LOOP;
    return match.route->place == RELAY_ON_LOOP && relay_nonces_ready(relay->nonces)
               ? RELAY_ON_LOOP
               : RELAY_ON_WORKER;
}

static aw_result
no_route(struct relay_call *call)
{
    bool known = call->match.known;

    call->response->allow = call->match.allow;
    return relay_problem_status(relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                    known ? "the resource can't be asked with this method: %s goes"
                                          : "there is no such resource here%s",
                                    known ? call->match.allow : ""),
        &call->problem, known ? 405 : 404);
}

static aw_result
answer(struct relay_call *call)
{
    find_route(call->relay, call->request, &call->match);
    if (call->match.route == NULL)
        return no_route(call);
    if (call->match.route->method == RELAY_POST)
        AW_TRY(relay_verify(call));
    AW_TRY(call->match.route->handler(call));
    return call->response->status != 0
               ? AW_OK
               : aw_fail(AW_CODE_INTERNAL, "the handler of %s gave no answer",
                     call->match.route->pattern);
}

void
relay_log_failed(const struct relay_call *call)
{
    const struct aw_error *error = aw_error_last();
    const struct aw_log_field fields[] = {
        {"METHOD", relay_method_name(call->request->method)},
        {"URL_PATH", call->request->path},
        {"CLIENT", call->request->address},
        {"CODE", aw_code_tag(error->code)},
    };

    aw_log_fields(AW_LOG_WARNING, fields, AW_COUNT(fields), "%s %s failed: %s",
        relay_method_name(call->request->method), call->request->path, error->message);
}

/* Without memory for a document the status alone tells it. */
static void
respond_problem(struct relay_call *call)
{
    struct aw_error error;

    aw_error_save(&error);
    if (call->problem.status == 0) {
        relay_log_failed(call);
        relay_problem_map(&error, &call->refusal, &call->problem);
    }
    if (call->problem.type == RELAY_BAD_NONCE && call->jws != NULL && call->jws->verified)
        relay_nonces_drop(call->relay->nonces); /* good here, and refused by the signer */
    if (!aw_ok(relay_problem_respond(&call->problem, call->response)))
        relay_response_empty(call->response, call->problem.status);
}

/* RFC 8555 6.5, 7.2: every answer to a POST and every new-nonce brings one. The directory does not,
 * for whoever asks for it asks for a nonce next. */
static bool
wants_nonce(const struct relay_call *call)
{
    return call->request->method == RELAY_POST ||
           (call->match.route != NULL &&
               strcmp(call->match.route->pattern, RELAY_NONCE_PATTERN) == 0);
}

static void
put_nonce(struct relay_call *call)
{
    bool verified = call->jws != NULL && call->jws->verified && call->account != NULL;
    struct relay_signer *signer = call->request->on_loop ? NULL : call->relay->signer;

    aw_result r = relay_nonces_give(call->relay->nonces, signer,
        verified ? RELAY_NONCE_SIGNED : RELAY_NONCE_ASKED, call->response->nonce);
    if (aw_ok(r) || call->request->method == RELAY_POST)
        return; /* what was done is done; the client asks for a nonce then */
    struct aw_error error;
    aw_error_save(&error);
    relay_problem_map(&error, &call->refusal, &call->problem);
    aw_ignore(aw_error_restore(&error), "told by the answer");
    respond_problem(call);
}

void
relay_handle(
    struct relay *relay, const struct relay_request *request, struct relay_response *response)
{
    struct relay_call call = {
        .relay = relay, .request = request, .response = response, .refusal = {.retry_after = -1}};

    if (!aw_ok(answer(&call)))
        respond_problem(&call);
    if (wants_nonce(&call))
        put_nonce(&call);
    relay_verify_free(&call);
    relay_problem_free(&call.problem);
    signer_refusal_free(&call.refusal);
}

aw_result
relay_call_signer(
    struct relay_call *call, const char *method, const char *parameters, cJSON **reply)
{
    signer_refusal_free(&call->refusal);
    return relay_signer_call(call->relay->signer, method, parameters, &call->refusal, reply);
}

void
relay_write_evidence(struct aw_json_writer *w, const struct relay_call *call, const char *validated)
{
    const struct relay_request *request = call->request;

    aw_json_name(w, "evidence");
    aw_json_begin_object(w);
    aw_json_pair(w, "protected", call->parts.header);
    aw_json_pair(w, "payload", call->parts.payload);
    aw_json_pair(w, "signature", call->parts.signature);
    aw_json_end_object(w);
    aw_json_name(w, "seen");
    aw_json_begin_object(w);
    aw_json_pair(w, "address", request->address[0] != '\0' ? request->address : NULL);
    aw_json_pair(w, "client_certificate",
        request->client_certificate[0] != '\0' ? request->client_certificate : NULL);
    aw_json_pair(w, "validated", validated);
    aw_json_end_object(w);
}

aw_result
relay_require_empty(struct relay_call *call)
{
    return call->payload == NULL
               ? AW_OK
               : relay_problem_fail(&call->problem, RELAY_MALFORMED,
                     "this resource is read with an empty payload (POST-as-GET, RFC 8555 6.3)");
}

aw_result
relay_require_payload(struct relay_call *call)
{
    return call->payload != NULL ? AW_OK
                                 : relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                       "the request's payload is empty, expected a JSON object");
}
