/* ca pin, list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/acme_call.h"
#include "admin/admin_cli.h"
#include "client/acme.h"

static void
print_directory(const struct aw_config_ca *ca, const struct acme_directory *directory)
{
    const struct {
        const char *name, *url;
    } rows[] = {
        {"newNonce", directory->new_nonce},
        {"newAccount", directory->new_account},
        {"newOrder", directory->new_order},
        {"revokeCert", directory->revoke_cert},
        {"keyChange", directory->key_change},
        {"renewalInfo", directory->renewal_info},
        {"terms of service", directory->terms_of_service},
    };

    printf("%s\n  directory         %s\n", ca->name, ca->directory);
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        printf("  %-17s %s\n", rows[i].name, rows[i].url == NULL ? "-" : rows[i].url);
    printf("  external account  %s\n",
        directory->external_account_required ? "required" : "not required");
}

static void
write_pin(struct aw_json_writer *w, const struct acme_directory *directory)
{
    aw_json_name(w, "pin");
    aw_json_begin_object(w);
    aw_json_pair(w, "newNonce", directory->new_nonce);
    aw_json_pair(w, "newAccount", directory->new_account);
    aw_json_pair(w, "newOrder", directory->new_order);
    aw_json_pair(w, "revokeCert", directory->revoke_cert);
    aw_json_pair(w, "keyChange", directory->key_change);
    aw_json_pair(w, "renewalInfo", directory->renewal_info);
    aw_json_pair(w, "termsOfService", directory->terms_of_service);
    aw_json_pair(w, "caaIdentities", directory->caa_identities);
    aw_json_pair_bool(w, "externalAccountRequired", directory->external_account_required);
    aw_json_end_object(w);
}

struct pin_options {
    const char *ca_file;
    bool replace;
    bool yes;
};

static aw_result
pin(const struct admin_options *options, const struct aw_config_ca *ca,
    const struct pin_options *asked)
{
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(http_close) http *h = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(admin_http_open(ca, asked->ca_file, &h));
    AW_TRY(acme_directory_fetch(h, ca->directory, &directory));
    print_directory(ca, &directory);
    AW_TRY(admin_confirm(asked->yes, "Pin these URLs?", "nothing was pinned"));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "ca", ca->name);
    write_pin(&w, &directory);
    aw_json_pair_bool(&w, "replace", asked->replace);
    aw_json_end_object(&w);
    AW_TRY(admin_call(options, "PinCa", &w, &reply));
    puts("pinned");
    return AW_OK;
}

aw_result
admin_ca_pin(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    struct pin_options asked = {0};
    const struct admin_option table[] = {
        {.name = "ca-file", .value = &asked.ca_file},
        {.name = "replace", .flag = &asked.replace},
        {.name = "yes", .flag = &asked.yes},
    };
    const char *name = NULL;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &name, 1));
    AW_TRY(admin_config(options, &config));
    const struct aw_config_ca *ca = aw_config_find_ca(config, name);
    if (ca == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no CA \"%s\"", name),
            "CAs are listed under cas in %s", config->file);
    return pin(options, ca, &asked);
}

static void
print_issuers(const cJSON *issuers)
{
    const cJSON *issuer = NULL;

    cJSON_ArrayForEach(issuer, issuers)
        printf("  issuer %s\n         sha256 %s, until %s\n", admin_text(issuer, "subject"),
            admin_text(issuer, "digest"), admin_time(issuer, "not_after"));
    if (cJSON_GetArraySize(issuers) == 0)
        puts("  no issuers: its certificates are not verified");
}

/* What signer.yaml and its presets say, where this user may read the file. */
static void
print_facts(const struct aw_config *config, const char *name)
{
    const struct aw_config_ca *ca = config == NULL ? NULL : aw_config_find_ca(config, name);

    if (ca == NULL)
        return;
    if (ca->preset >= 0)
        printf("  preset %s\n", aw_ca_preset_names[ca->preset]);
    printf("  EAB %s, key change %s, validation %s, scope %s\n", aw_ca_eab_names[ca->eab],
        aw_ca_key_change_names[ca->key_change], aw_ca_validation_names[ca->validation],
        aw_ca_scope_names[ca->scope]);
}

aw_result
admin_ca_list(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const cJSON *ca = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "ListCas", &reply));
    if (options->json)
        return admin_print_json(reply);
    aw_ignore(aw_config_load(options->config, &faults, &config), "an operator need not read it");
    cJSON_ArrayForEach(ca, aw_json_member(reply, "cas"))
    {
        const cJSON *pinned = aw_json_member(ca, "pin");

        printf("%s  %s\n", admin_text(ca, "name"), admin_text(ca, "directory"));
        print_facts(config, admin_text(ca, "name"));
        print_issuers(aw_json_member(ca, "issuers"));
        if (!cJSON_IsObject(pinned)) {
            printf("  not pinned: acmeward-admin ca pin %s\n", admin_text(ca, "name"));
            continue;
        }
        printf("  pinned %s\n  newOrder %s\n", admin_time(ca, "pinned_at"),
            admin_text(pinned, "newOrder"));
    }
    return AW_OK;
}
