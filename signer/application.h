/**
 * @file application.h
 * @brief The applications' socket: org.acmeward.Signer on top of authorize.
 */
#ifndef AW_SIGNER_APPLICATION_H
#define AW_SIGNER_APPLICATION_H

#include "signer/authorize.h"
#include "signer/connections.h"

/** The service of the applications' gate: admits whom a policy names. */
extern const struct gate_service application_service;

/** Answers WhoAmI: the peer's applications with names, limits, account and pinned URLs. */
AW_MUST_USE aw_result application_whoami(struct core *core, const struct peer *peer, char **reply);

/** Answers Check: the verdict for each name, without signing, recording or counting. */
AW_MUST_USE aw_result application_check(
    struct core *core, const struct peer *peer, const struct sign_request *request, char **reply);

/** This thread's last failure as the reply InvalidRequest. `field` may be NULL. Allocated. */
AW_MUST_USE aw_result application_invalid(const char *interface, const char *field, char **reply);

/** This thread's last failure as the reply Unavailable (never a refusal). Allocated. */
AW_MUST_USE aw_result application_unavailable(const char *interface, char **reply);

/** Authorizes a parsed request and replies. */
AW_MUST_USE aw_result application_authorize(struct core *core, const struct peer *peer,
    const struct sign_request *request, struct gate_answer *out);

/** Writes a CA's pinned URLs (Directory of the interfaces) as that member; null until it is pinned.
 */
void application_write_directory(struct aw_json_writer *w, const char *name, const struct ca *ca);

#endif
