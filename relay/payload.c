#include "relay/payload.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/io.h"

aw_result
relay_payload_check(struct relay_call *call, aw_result r)
{
    char why[AW_ERROR_MESSAGE_SIZE];

    if (r.code != AW_CODE_SYNTAX && r.code != AW_CODE_LIMIT)
        return r;
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    return relay_problem_fail(&call->problem, RELAY_MALFORMED, "the payload: %s", why);
}

aw_result
relay_own_account(struct relay_call *call)
{
    if (call->match.numbers[0] == call->account->id)
        return AW_OK;
    return relay_problem_fail(
        &call->problem, RELAY_UNAUTHORIZED, "this is the URL of another account");
}

aw_result
relay_own_order(struct relay_call *call, struct stored_order *out)
{
    int64_t ticket = call->match.numbers[0];

    aw_result r = relay_store_order(call->relay->store, ticket, out);
    if (r.code == AW_CODE_NOT_FOUND)
        return relay_problem_status(
            relay_problem_fail(&call->problem, RELAY_MALFORMED,
                "there is no order %lld here: it is too old, or was made at another relay",
                (long long)ticket),
            &call->problem, 404);
    AW_TRY(r);
    if (out->account == call->account->id)
        return AW_OK;
    stored_order_free(out);
    return relay_problem_fail(
        &call->problem, RELAY_UNAUTHORIZED, "order %lld is another account's", (long long)ticket);
}

aw_result
relay_own_authorization(
    struct relay_call *call, struct stored_order *order, struct stored_authorization **out)
{
    int64_t number = call->match.numbers[1];

    AW_TRY(relay_own_order(call, order));
    if (number > (int64_t)order->authorization_count)
        return relay_problem_status(relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                        "order %lld has no authorization %lld",
                                        (long long)order->ticket, (long long)number),
            &call->problem, 404);
    *out = &order->authorizations[number - 1];
    return AW_OK;
}

aw_result
relay_read_identifier(struct relay_call *call, const cJSON *identifier, struct aw_name *out)
{
    const char *type, *value;
    char why[AW_ERROR_MESSAGE_SIZE];

    AW_TRY(relay_payload_check(call, aw_json_string(identifier, "type", 32, &type)));
    AW_TRY(relay_payload_check(call, aw_json_string(identifier, "value", 1024, &value)));
    aw_result r = strcmp(type, "dns") == 0 ? aw_name_parse(value, strlen(value), out)
                  : strcmp(type, "ip") == 0
                      ? aw_name_parse_address(value, strlen(value), out)
                      : relay_problem_fail(&call->problem, RELAY_UNSUPPORTED_IDENTIFIER,
                            "identifiers of the type \"%.32s\" are not "
                            "known here, dns and ip are",
                            type);
    if (r.code != AW_CODE_SYNTAX)
        return r;
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    return relay_problem_fail(&call->problem, RELAY_REJECTED_IDENTIFIER, "%s", why);
}

aw_result
relay_problem_text(const struct relay_problem *problem, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    relay_problem_write(&w, problem);
    return aw_json_writer_finish(&w, out);
}

int64_t
relay_now(void)
{
    return (int64_t)time(NULL);
}
