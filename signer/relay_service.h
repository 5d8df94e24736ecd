/**
 * @file relay_service.h
 * @brief org.acmeward.Relay, on the applications' socket, for whom signer.yaml names as a relay.
 */
#ifndef AW_SIGNER_RELAY_SERVICE_H
#define AW_SIGNER_RELAY_SERVICE_H

#include "common/varlink.h"
#include "signer/connections.h"
#include "signer/core.h"
#include "signer/relay_request.h"

/** Answers a call of the interface; `method` is the method's own name. */
AW_MUST_USE aw_result relay_service_answer(struct core *core, const struct peer *peer,
    const struct aw_varlink_call *call, const char *method, struct gate_answer *out);

/** Answers what only asks; `base`: the relay's URL. */
AW_MUST_USE aw_result relay_query(struct core *core, const char *base, enum relay_method method,
    const struct sign_request *request, char **reply);

#endif
