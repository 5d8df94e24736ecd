/* ca presets: the table, without signer or configuration. */
#include <stdio.h>

#include "admin/admin_cli.h"
#include "common/ca_preset.h"

static aw_result
print_json(void)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_name(&w, "presets");
    aw_json_begin_array(&w);
    for (size_t i = 0; aw_ca_preset_names[i] != NULL; i++) {
        const struct aw_ca_preset *preset = &aw_ca_presets[i];

        aw_json_begin_object(&w);
        aw_json_pair(&w, "preset", aw_ca_preset_names[i]);
        aw_json_pair(&w, "directory", preset->directory);
        aw_json_pair(&w, "eab", aw_ca_eab_names[preset->eab]);
        aw_json_pair(&w, "key_change", aw_ca_key_change_names[preset->key_change]);
        aw_json_pair(&w, "validation", aw_ca_validation_names[preset->validation]);
        aw_json_pair(&w, "scope", aw_ca_scope_names[preset->scope]);
        aw_json_pair(&w, "note", preset->note);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

aw_result
admin_ca_presets(const struct admin_options *options, int argc, char **argv)
{
    bool json = options->json;
    const struct admin_option table[] = {{.name = "json", .flag = &json}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (json)
        return print_json();
    for (size_t i = 0; aw_ca_preset_names[i] != NULL; i++) {
        const struct aw_ca_preset *preset = &aw_ca_presets[i];

        printf("%s  %s\n  EAB %s, key change %s, validation %s, scope %s\n", aw_ca_preset_names[i],
            preset->directory, aw_ca_eab_names[preset->eab],
            aw_ca_key_change_names[preset->key_change], aw_ca_validation_names[preset->validation],
            aw_ca_scope_names[preset->scope]);
        if (preset->note[0] != '\0')
            printf("  %s\n", preset->note);
    }
    return AW_OK;
}
