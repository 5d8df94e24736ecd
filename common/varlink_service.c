#include "common/varlink.h"

#include <stdio.h>
#include <string.h>

/* Calls. */

static aw_result
refuse_mode(const cJSON *message, const char *name)
{
    bool wanted = false;

    AW_TRY(aw_json_optional_bool(message, name, &wanted));
    if (wanted)
        return aw_fail(AW_CODE_UNSUPPORTED, "%s: found true; no method here offers it", name);
    return AW_OK;
}

static aw_result
read_call(struct aw_varlink_call *call)
{
    static const char *const members[] = {"method", "parameters", "more", "oneway", "upgrade"};
    const char *method;

    AW_TRY(aw_json_only(call->message, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(call->message, "method", AW_VARLINK_MAX_METHOD, &method));
    if (!aw_varlink_name_valid(method))
        return aw_fail(AW_CODE_SYNTAX,
            "method: found \"%s\", expected a full name such as \"org.varlink.service.GetInfo\"",
            method);
    snprintf(call->method, sizeof(call->method), "%s", method);
    AW_TRY(refuse_mode(call->message, "more"));
    AW_TRY(refuse_mode(call->message, "oneway"));
    AW_TRY(refuse_mode(call->message, "upgrade"));
    return aw_varlink_parameters(call->message, &call->parameters);
}

aw_result
aw_varlink_call_parse(const char *text, size_t length, struct aw_varlink_call *out)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_json_parse(text, length, AW_JSON_STRICT, &call.message));
    AW_TRY(read_call(&call));
    *out = call;
    call.message = NULL;
    return AW_OK;
}

void
aw_varlink_call_free(struct aw_varlink_call *call)
{
    aw_json_free(&call->message);
    memset(call, 0, sizeof(*call));
}

/* Replies. */

aw_result
aw_varlink_reply(const char *parameters, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_name(&w, "parameters");
    aw_json_write_raw(&w, parameters);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
aw_varlink_error(const char *name, const char *parameters, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "error", name);
    aw_json_name(&w, "parameters");
    aw_json_write_raw(&w, parameters == NULL ? "{}" : parameters);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
aw_varlink_error_about(const char *name, const char *member, const char *value, char **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "error", name);
    aw_json_name(&w, "parameters");
    aw_json_begin_object(&w);
    aw_json_pair(&w, member, value);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

/* What every service answers about itself. */

static const char service_name[] = "org.varlink.service";

static const char service_description[] =
    "# What every Varlink service tells about itself.\n"
    "interface org.varlink.service\n"
    "\n"
    "# Who made this service, and which interfaces it has.\n"
    "method GetInfo() -> (\n"
    "  vendor: string,\n"
    "  product: string,\n"
    "  version: string,\n"
    "  url: string,\n"
    "  interfaces: []string\n"
    ")\n"
    "\n"
    "# The description of one of these interfaces.\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "# There is no such interface.\n"
    "error InterfaceNotFound (interface: string)\n"
    "\n"
    "# The interface has no such method.\n"
    "error MethodNotFound (method: string)\n"
    "\n"
    "# The interface has the method, but this service does not offer it.\n"
    "error MethodNotImplemented (method: string)\n"
    "\n"
    "# A parameter is missing, unknown, of the wrong type or out of range.\n"
    "error InvalidParameter (parameter: string)\n";

/* The first member that is not `known` (NULL: none is), or NULL. */
static const char *
foreign_member(const cJSON *parameters, const char *known)
{
    for (const cJSON *m = parameters->child; m != NULL; m = m->next)
        if (known == NULL || strcmp(m->string, known) != 0)
            return m->string;
    return NULL;
}

static aw_result
invalid_parameter(const char *parameter, char **reply)
{
    return aw_varlink_error_about(
        "org.varlink.service.InvalidParameter", "parameter", parameter, reply);
}

static aw_result
get_info(const struct aw_varlink_service *service, const cJSON *parameters, char **reply)
{
    struct aw_json_writer w = {0};
    const char *foreign = foreign_member(parameters, NULL);

    if (foreign != NULL)
        return invalid_parameter(foreign, reply);
    aw_json_begin_object(&w);
    aw_json_name(&w, "parameters");
    aw_json_begin_object(&w);
    aw_json_pair(&w, "vendor", service->vendor);
    aw_json_pair(&w, "product", service->product);
    aw_json_pair(&w, "version", service->version);
    aw_json_pair(&w, "url", service->url);
    aw_json_name(&w, "interfaces");
    aw_json_begin_array(&w);
    aw_json_write_string(&w, service_name);
    for (size_t i = 0; i < service->interface_count; i++)
        aw_json_write_string(&w, service->interfaces[i].name);
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, reply);
}

static const char *
find_description(const struct aw_varlink_service *service, const char *interface)
{
    if (strcmp(interface, service_name) == 0)
        return service_description;
    for (size_t i = 0; i < service->interface_count; i++)
        if (strcmp(interface, service->interfaces[i].name) == 0)
            return service->interfaces[i].description;
    return NULL;
}

static aw_result
get_interface_description(
    const struct aw_varlink_service *service, const cJSON *parameters, char **reply)
{
    struct aw_json_writer w = {0};
    const cJSON *interface = aw_json_member(parameters, "interface");
    const char *foreign = foreign_member(parameters, "interface");

    if (foreign != NULL || !cJSON_IsString(interface))
        return invalid_parameter(foreign != NULL ? foreign : "interface", reply);
    const char *description = find_description(service, interface->valuestring);
    if (description == NULL)
        return aw_varlink_error_about(
            "org.varlink.service.InterfaceNotFound", "interface", interface->valuestring, reply);
    aw_json_begin_object(&w);
    aw_json_name(&w, "parameters");
    aw_json_begin_object(&w);
    aw_json_pair(&w, "description", description);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, reply);
}

aw_result
aw_varlink_service_call(const struct aw_varlink_service *service,
    const struct aw_varlink_call *call, bool *handled, char **reply)
{
    char interface[AW_VARLINK_MAX_METHOD + 1], method[AW_VARLINK_MAX_METHOD + 1];

    *reply = NULL;
    *handled =
        aw_varlink_split(call->method, interface, method) && strcmp(interface, service_name) == 0;
    if (!*handled)
        return AW_OK;
    if (strcmp(method, "GetInfo") == 0)
        return get_info(service, call->parameters, reply);
    if (strcmp(method, "GetInterfaceDescription") == 0)
        return get_interface_description(service, call->parameters, reply);
    return aw_varlink_error_about(
        "org.varlink.service.MethodNotFound", "method", call->method, reply);
}
