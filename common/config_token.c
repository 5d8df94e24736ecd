/* The sections "token" and "sandbox" of signer.yaml. */
#include <stddef.h>
#include <stdlib.h>

#include "common/config_parts.h"

const char *const aw_config_network_names[] = {"none", "unix", "inet", NULL};

#define TOKEN(member) (offsetof(struct aw_config, token.member) - offsetof(struct aw_config, token))

const struct aw_yaml_field aw_config_token_fields[] = {
    {.name = "module", .kind = AW_YAML_STRING, .offset = TOKEN(module), .required = true},
    {.name = "uri", .kind = AW_YAML_STRING, .offset = TOKEN(uri), .required = true},
    {.name = "pin_source", .kind = AW_YAML_STRING, .offset = TOKEN(pin_source)},
    {.name = "sessions", .kind = AW_YAML_INTEGER, .offset = TOKEN(sessions), .min = 1, .max = 64},
    {.name = "timeout_ms",
        .kind = AW_YAML_INTEGER,
        .offset = TOKEN(timeout_ms),
        .min = 100,
        .max = 600000},
    {.name = "paths", .kind = AW_YAML_STRINGS, .offset = TOKEN(paths)},
    {.name = "devices", .kind = AW_YAML_STRINGS, .offset = TOKEN(devices)},
    {.name = "network",
        .kind = AW_YAML_ENUM,
        .offset = TOKEN(network),
        .choices = aw_config_network_names},
    {.name = NULL},
};

const struct aw_yaml_field aw_config_sandbox_fields[] = {
    {.name = "seccomp",
        .kind = AW_YAML_BOOL,
        .offset = offsetof(struct aw_config_sandbox, seccomp)},
    {.name = "landlock",
        .kind = AW_YAML_BOOL,
        .offset = offsetof(struct aw_config_sandbox, landlock)},
    {.name = NULL},
};

static void
check_list(const char *field, const struct aw_yaml_strings *list, struct aw_faults *faults)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].text[0] != '/')
            aw_yaml_fault(list->items[i].node, faults,
                "%s: found \"%.200s\", expected an absolute path", field, list->items[i].text);
}

void
aw_config_check_token(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    aw_yaml_node token = aw_config_place(root, "token");

    aw_config_check_absolute(token, "token.module", "module", config->token.module, faults);
    aw_config_check_absolute(
        token, "token.pin_source", "pin_source", config->token.pin_source, faults);
    check_list("token.paths", &config->token.paths, faults);
    check_list("token.devices", &config->token.devices, faults);
}
