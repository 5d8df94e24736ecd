/* The section "cas" of signer.yaml: what a CA's entry says itself goes before its preset. */
#include <string.h>

#include "common/config_parts.h"

#define FIELD(type, member) offsetof(struct type, member)

enum { NOT_SAID = -1 };

static const struct aw_yaml_field ca_fields[] = {
    {.name = "name",
        .kind = AW_YAML_STRING,
        .offset = FIELD(aw_config_ca, name),
        .required = true,
        .place = FIELD(aw_config_ca, place)},
    {.name = "preset",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_ca, preset),
        .choices = aw_ca_preset_names},
    {.name = "directory", .kind = AW_YAML_STRING, .offset = FIELD(aw_config_ca, directory)},
    {.name = "ca_file", .kind = AW_YAML_STRING, .offset = FIELD(aw_config_ca, ca_file)},
    {.name = "issuers", .kind = AW_YAML_STRING, .offset = FIELD(aw_config_ca, issuers)},
    {.name = "eab",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_ca, eab),
        .choices = aw_ca_eab_names},
    {.name = "key_change",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_ca, key_change),
        .choices = aw_ca_key_change_names},
    {.name = "validation",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_ca, validation),
        .choices = aw_ca_validation_names},
    {.name = "scope",
        .kind = AW_YAML_ENUM,
        .offset = FIELD(aw_config_ca, scope),
        .choices = aw_ca_scope_names},
    {.name = NULL},
};

static void
set_unsaid(int *value, int otherwise)
{
    if (*value == NOT_SAID)
        *value = otherwise;
}

/* A directory that is in the table is known, named or not. */
static aw_result
apply_preset(aw_yaml_node node, struct aw_config_ca *ca, struct aw_faults *faults)
{
    static const struct aw_ca_preset nothing = {.directory = NULL};

    if (ca->preset == NOT_SAID && ca->directory != NULL)
        ca->preset = aw_ca_preset_of(ca->directory);
    const struct aw_ca_preset *preset =
        ca->preset == NOT_SAID ? &nothing : &aw_ca_presets[ca->preset];
    if (ca->directory == NULL && preset->directory != NULL)
        AW_TRY(aw_config_default(&ca->directory, preset->directory));
    if (ca->directory == NULL)
        aw_yaml_fault(node, faults,
            "directory is missing: give its URL, or name a preset (acmeward-admin ca presets)");
    set_unsaid(&ca->eab, (int)preset->eab);
    set_unsaid(&ca->key_change, (int)preset->key_change);
    set_unsaid(&ca->validation, (int)preset->validation);
    set_unsaid(&ca->scope, (int)preset->scope);
    return AW_OK;
}

static aw_result
read_ca(aw_yaml_node node, struct aw_config_ca *ca, struct aw_faults *faults)
{
    ca->preset = ca->eab = ca->key_change = ca->validation = ca->scope = NOT_SAID;
    aw_yaml_read_mapping(node, ca_fields, ca, faults);
    aw_config_check_label("name of a CA", ca->name, ca->place, faults);
    AW_TRY(apply_preset(node, ca, faults));
    if (ca->directory != NULL && strncmp(ca->directory, "https://", 8) != 0)
        aw_yaml_fault(aw_config_place(node, "directory"), faults,
            "directory: found \"%.200s\", expected an https:// URL (RFC 8555 6.1)", ca->directory);
    aw_config_check_absolute(node, "ca_file", "ca_file", ca->ca_file, faults);
    aw_config_check_absolute(node, "issuers", "issuers", ca->issuers, faults);
    return AW_OK;
}

aw_result
aw_config_read_cas(
    const struct aw_yaml_items *items, struct aw_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < items->count; i++) {
        struct aw_config_ca *ca = &config->cas[i];

        AW_TRY(read_ca(items->items[i], ca, faults));
        for (size_t j = 0; j < i && ca->name != NULL; j++)
            if (config->cas[j].name != NULL && strcmp(config->cas[j].name, ca->name) == 0)
                aw_yaml_fault(ca->place, faults, "CA \"%.64s\" is there twice", ca->name);
    }
    return AW_OK;
}

void
aw_config_free_ca(struct aw_config_ca *ca)
{
    aw_yaml_release(ca_fields, ca);
}

void
aw_config_warn(const struct aw_config *config, struct aw_faults *warnings)
{
    for (size_t i = 0; i < config->ca_count; i++) {
        const struct aw_config_ca *ca = &config->cas[i];

        if (ca->scope == (int)AW_CA_SCOPE_NONE)
            aw_faults_add(warnings, config->file, ca->place.line, ca->place.column,
                "CA \"%.64s\" can't limit an account to domains: to the CA its accounts may order "
                "for all that the organization has, and the ceiling here is the only limit; use "
                "an endpoint that can be scoped to domains, if there is one",
                ca->name);
    }
    aw_config_warn_relays(config, warnings);
}
