#include "signer/service.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "common/secret.h"

#define SERVICE(interfaces_)                                                             \
    {                                                                                    \
        .vendor = "acmeward", .product = "acmeward-signer", .version = ACMEWARD_VERSION, \
        .url = "https://varlink.org", .interfaces = (interfaces_),                       \
        .interface_count = AW_COUNT(interfaces_)                                         \
    }

static const struct aw_varlink_interface of_applications[] = {
    {.name = SERVICE_SIGNER, .description = service_signer_description},
    {.name = SERVICE_RELAY, .description = service_relay_description},
};
static const struct aw_varlink_interface of_administrators[] = {
    {.name = SERVICE_ADMIN, .description = service_admin_description},
};

const struct aw_varlink_service service_signer = SERVICE(of_applications);
const struct aw_varlink_service service_admin = SERVICE(of_administrators);

aw_result
service_finish(struct aw_json_writer *parameters, const char *error, char **reply)
{
    AW_CLEANUP(aw_secret_text_free) char *text = NULL; /* a reply may hold an app-eab's key */

    aw_json_end_object(parameters);
    AW_TRY(aw_json_writer_finish(parameters, &text));
    return error == NULL ? aw_varlink_reply(text, reply) : aw_varlink_error(error, text, reply);
}

aw_result
service_finish_error(
    struct aw_json_writer *parameters, const char *interface, const char *error, char **reply)
{
    char name[128];

    if (error == NULL)
        return service_finish(parameters, NULL, reply);
    snprintf(name, sizeof(name), "%s.%s", interface, error);
    return service_finish(parameters, name, reply);
}

aw_result
service_not_found(const struct aw_varlink_call *call, const char *interface, char **reply)
{
    struct aw_json_writer w = {0};
    bool known = strncmp(call->method, interface, strlen(interface)) == 0 &&
                 call->method[strlen(interface)] == '.';
    char asked[AW_VARLINK_MAX_METHOD + 1], method[AW_VARLINK_MAX_METHOD + 1];

    if (!aw_varlink_split(call->method, asked, method))
        asked[0] = method[0] = '\0';
    aw_json_begin_object(&w);
    if (known)
        aw_json_pair(&w, "method", method);
    else
        aw_json_pair(&w, "interface", asked);
    return service_finish(&w,
        known ? "org.varlink.service.MethodNotFound" : "org.varlink.service.InterfaceNotFound",
        reply);
}

aw_result
service_answer(const struct aw_varlink_service *service, const struct aw_varlink_call *call,
    bool *handled, struct service_method *method, char **reply)
{
    AW_TRY(aw_varlink_service_call(service, call, handled, reply));
    if (*handled)
        return AW_OK;
    for (size_t i = 0; i < service->interface_count; i++) {
        const char *interface = service->interfaces[i].name;
        size_t length = strlen(interface);

        if (strncmp(call->method, interface, length) == 0 && call->method[length] == '.') {
            *method = (struct service_method){interface, call->method + length + 1};
            return AW_OK;
        }
    }
    *handled = true;
    return service_not_found(call, service->interfaces[0].name, reply);
}
