#include "signer/relay_service.h"

#include "signer/application.h"
#include "signer/service.h"

/* Who is no relay learns nothing here, not even what an account is called. */
static aw_result
refuse_peer(struct core *core, const struct peer *peer, char **reply)
{
    struct aw_json_writer w = {0};
    const struct audit_entry entry = {.kind = AUDIT_DECISION,
        .has_uid = true,
        .uid = peer->uid,
        .user = peer->user,
        .rule = "relay.peer"};

    ledger_count_refusal(core->ledger, &entry);
    aw_json_begin_object(&w);
    aw_json_pair(&w, "rule", entry.rule);
    aw_json_pair(
        &w, "message", "you are no relay: an administrator names one under relays: in signer.yaml");
    return service_finish_error(&w, SERVICE_RELAY, "PolicyRefused", reply);
}

aw_result
relay_service_answer(struct core *core, const struct peer *peer, const struct aw_varlink_call *call,
    const char *name, struct gate_answer *out)
{
    AW_CLEANUP(sign_request_free) struct sign_request request = {0};
    char base[AW_CONFIG_RELAY_URL_MAX + 1];
    enum relay_method method;
    const char *field = NULL;

    if (!core_relay_of(core, peer, base))
        return refuse_peer(core, peer, &out->reply);
    if (!relay_method_parse(name, &method))
        return service_not_found(call, SERVICE_RELAY, &out->reply);
    aw_result r = relay_request_parse(method, call->parameters, &request, &field);
    if (r.code == AW_CODE_MEMORY)
        return application_unavailable(SERVICE_RELAY, &out->reply);
    if (!aw_ok(r)) {
        core_count_garbage(core, peer);
        return application_invalid(SERVICE_RELAY, field, &out->reply);
    }
    if (!relay_method_asks(method))
        return application_authorize(core, peer, &request, out);
    out->light = false; /* a relay asks for many */
    return relay_query(core, base, method, &request, &out->reply);
}
