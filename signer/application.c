#include "signer/application.h"

#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/relay_service.h"
#include "signer/service.h"

aw_result
application_unavailable(const char *interface, char **reply)
{
    struct aw_json_writer w = {0};
    const struct aw_error *error = aw_error_last();

    aw_json_begin_object(&w);
    aw_json_pair(&w, "tag", aw_code_tag(error->code));
    aw_json_pair(&w, "message", error->message);
    if (error->code == AW_CODE_BUSY)
        aw_json_pair_integer(&w, "retry_after", 1);
    return service_finish_error(&w, interface, "Unavailable", reply);
}

aw_result
application_invalid(const char *interface, const char *field, char **reply)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "field", field);
    aw_json_pair(&w, "message", aw_error_last()->message);
    return service_finish_error(&w, interface, "InvalidRequest", reply);
}

static aw_result
answer_garbage(struct core *core, const struct peer *peer, char **reply)
{
    core_count_garbage(core, peer);
    return application_invalid(SERVICE_SIGNER, NULL, reply);
}

static aw_result
answer_failure(char **reply)
{
    return application_unavailable(SERVICE_SIGNER, reply);
}

static void
write_order(
    struct aw_json_writer *w, const struct sign_request *request, const struct sign_reply *said)
{
    bool relayed = request->relayed.is;
    const struct aw_name *names = relayed ? said->names : request->names;
    size_t count = relayed ? said->name_count : request->name_count;

    aw_json_pair_integer(w, "order", said->order);
    aw_json_name(w, "names");
    aw_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        aw_json_write_string(w, names[i].text);
    aw_json_end_array(w);
}

static void
write_done(
    struct aw_json_writer *w, const struct sign_request *request, const struct sign_reply *said)
{
    bool order = request->operation == SIGN_NEW_ORDER;

    if (said->jws == NULL)
        return;
    if (order || (request->relayed.is && request->operation == SIGN_REVOKE))
        aw_json_pair(w, "application", said->application);
    if (order)
        write_order(w, request, said);
    aw_json_pair(w, "url", said->url);
    aw_json_name(w, "jws");
    aw_json_write_raw(w, said->jws);
    if (said->warning != NULL)
        aw_json_pair(w, "warning", said->warning);
}

/* An account with a relay: what was asked is there. */
static void
write_account(
    struct aw_json_writer *w, const struct sign_request *request, const struct sign_reply *said)
{
    switch (request->operation) {
    case SIGN_INNER_ACCOUNT:
        aw_json_pair_integer(w, "account", said->inner);
        aw_json_pair(w, "application", said->application);
        aw_json_pair_bool(w, "created", said->created);
        return;
    case SIGN_INNER_KEY_CHANGE:
    case SIGN_INNER_DEACTIVATE:
        aw_json_pair_integer(w, "account", said->inner);
        return;
    case SIGN_NEW_ORDER:
    case SIGN_CLAIM:
    case SIGN_FINALIZE:
    case SIGN_POST_AS_GET:
    case SIGN_ANSWER_CHALLENGE:
    case SIGN_REVOKE:
    case SIGN_RECORD_CERTIFICATE:
    case SIGN_CHECK:
    case SIGN_WHOAMI:
    case SIGN_OPERATION_COUNT:
        return;
    }
}

static void
write_optional(struct aw_json_writer *w, const char *name, const char *value)
{
    if (value != NULL)
        aw_json_pair(w, name, value);
}

static void
write_refusal(struct aw_json_writer *w, const struct sign_reply *said)
{
    const char *rule_name = said->outcome == SIGN_OUTCOME_NOT_READY ? "what" : "rule";

    aw_json_pair(w, rule_name, said->rule);
    if (said->outcome != SIGN_OUTCOME_NOT_READY)
        write_optional(w, "application", said->application);
    if (said->outcome == SIGN_OUTCOME_POLICY_REFUSED) {
        write_optional(w, "name", said->name);
        write_optional(w, "allowed", said->allowed);
        write_optional(w, "owner", said->owner);
    }
    if (said->retry_after > 0)
        aw_json_pair_integer(w, "retry_after", said->retry_after);
    if (said->outcome == SIGN_OUTCOME_EVIDENCE_REFUSED && said->holder != 0)
        aw_json_pair_integer(w, "account", said->holder);
    aw_json_pair(w, "message", said->message);
}

static aw_result
reply_of(const struct sign_request *request, const struct sign_reply *said, char **reply)
{
    static const char *const errors[] = {
        [SIGN_OUTCOME_DONE] = NULL,
        [SIGN_OUTCOME_POLICY_REFUSED] = "PolicyRefused",
        [SIGN_OUTCOME_LEDGER_REFUSED] = "LedgerRefused",
        [SIGN_OUTCOME_CSR_REFUSED] = "CsrRefused",
        [SIGN_OUTCOME_NOT_READY] = "NotReady",
        [SIGN_OUTCOME_FROZEN] = "Frozen",
        [SIGN_OUTCOME_EVIDENCE_REFUSED] = "EvidenceRefused",
    };
    const char *interface = request->relayed.is ? SERVICE_RELAY : SERVICE_SIGNER;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    if (said->outcome == SIGN_OUTCOME_DONE) {
        write_done(&w, request, said);
        write_account(&w, request, said);
    } else if (said->outcome == SIGN_OUTCOME_FROZEN) {
        aw_json_pair_integer(&w, "since", said->since);
        aw_json_pair(&w, "message", said->message);
    } else {
        write_refusal(&w, said);
    }
    return service_finish_error(&w, interface, errors[said->outcome], reply);
}

aw_result
application_authorize(struct core *core, const struct peer *peer,
    const struct sign_request *request, struct gate_answer *out)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply said = {.outcome = SIGN_OUTCOME_DONE};
    aw_result r = authorize(core, peer, request, &said);

    out->light = !aw_ok(r) || said.outcome == SIGN_OUTCOME_NOT_READY || said.known;
    if (!aw_ok(r)) {
        teller_failure(&core->teller, AW_LOG_ERROR, sign_operation_name(request->operation));
        return application_unavailable(
            request->relayed.is ? SERVICE_RELAY : SERVICE_SIGNER, &out->reply);
    }
    out->leave = said.leave;
    said.leave = (struct leave){.of = NULL};
    return reply_of(request, &said, &out->reply);
}

static aw_result
answer_method(struct core *core, const struct peer *peer, const struct aw_varlink_call *call,
    const char *method, struct gate_answer *out)
{
    AW_CLEANUP(sign_request_free) struct sign_request request = {0};
    enum sign_operation operation;
    const char *field = NULL;

    if (!sign_operation_parse(method, &operation))
        return service_not_found(call, SERVICE_SIGNER, &out->reply);
    aw_result r = sign_request_parse(operation, call->parameters, &request, &field);
    if (r.code == AW_CODE_MEMORY)
        return application_unavailable(SERVICE_SIGNER, &out->reply);
    if (!aw_ok(r)) {
        core_count_garbage(core, peer);
        return application_invalid(SERVICE_SIGNER, field, &out->reply);
    }
    if (operation == SIGN_WHOAMI)
        return application_whoami(core, peer, &out->reply);
    if (operation == SIGN_CHECK)
        return application_check(core, peer, &request, &out->reply);
    return application_authorize(core, peer, &request, out);
}

static aw_result
answer(struct core *core, const struct peer *peer, const struct aw_varlink_call *call,
    struct gate_answer *out)
{
    struct service_method method = {NULL, NULL};
    bool handled = false;

    out->light = true;
    AW_TRY(service_answer(&service_signer, call, &handled, &method, &out->reply));
    if (handled)
        return AW_OK;
    if (strcmp(method.interface, SERVICE_RELAY) == 0)
        return relay_service_answer(core, peer, call, method.name, out);
    return answer_method(core, peer, call, method.name, out);
}

static bool
add_ground(const struct policy_ground *ground, void *context)
{
    return grounds_add(
        context, ground->by_group ? &ground->group : NULL, ground->application->name);
}

static void
grounds(struct core *core, const struct peer *peer, struct grounds *out)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    const struct policy_subject subject = peer_subject(peer);

    core_relay_grounds_of(core, peer, out);
    policy_visit_grounds(snapshot, &subject, add_ground, out);
}

/* Refusals beyond what is recorded. */
static bool
is_paced(struct core *core, const struct peer *peer)
{
    return ledger_is_over(core->ledger, peer->uid);
}

const struct gate_service application_service = {
    .name = "applications",
    .grounds = grounds,
    .is_paced = is_paced,
    .answer = answer,
    .answer_garbage = answer_garbage,
    .answer_failure = answer_failure,
    .limits = GATE_LIMITS(GATE_CALLS_PER_UID),
};
