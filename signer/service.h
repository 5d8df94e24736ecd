/**
 * @file service.h
 * @brief What the signer's two Varlink services have in common: descriptions and error replies.
 */
#ifndef AW_SIGNER_SERVICE_H
#define AW_SIGNER_SERVICE_H

#include "common/json.h"
#include "common/varlink.h"

/** Interfaces. */
#define SERVICE_SIGNER "org.acmeward.Signer"
#define SERVICE_RELAY "org.acmeward.Relay"
#define SERVICE_ADMIN "org.acmeward.Admin"

/** Texts of the .varlink files, built in. */
extern const char service_signer_description[];
extern const char service_relay_description[];
extern const char service_admin_description[];

/** What each socket says of itself (org.varlink.service.GetInfo). */
extern const struct aw_varlink_service service_signer;
extern const struct aw_varlink_service service_admin;

/** Ends the writer's object and makes it a reply; `error` NULL is success. Allocated. */
AW_MUST_USE aw_result service_finish(
    struct aw_json_writer *parameters, const char *error, char **reply);

/** Likewise with the error of that name of an interface; NULL is success. */
AW_MUST_USE aw_result service_finish_error(
    struct aw_json_writer *parameters, const char *interface, const char *error, char **reply);

/** org.varlink.service.InterfaceNotFound or MethodNotFound for a call that is not ours. */
AW_MUST_USE aw_result service_not_found(
    const struct aw_varlink_call *call, const char *interface, char **reply);

/** Which of a service's interfaces a call is of, and the method's own name. */
struct service_method {
    const char *interface, *name;
};

/**
 * Answers what every socket answers (org.varlink.service), and calls of unknown interfaces.
 * @param[out] method of the call, when it was not `handled`
 */
AW_MUST_USE aw_result service_answer(const struct aw_varlink_service *service,
    const struct aw_varlink_call *call, bool *handled, struct service_method *method, char **reply);

#endif
