#include "admin/policy_files.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "csr/issuers.h"
#include "policy/system.h"

void
admin_policy_free(struct admin_policy *policy)
{
    policy_release(&policy->snapshot);
    policy_accounts_free(&policy->accounts);
    aw_config_free(&policy->config);
    aw_faults_free(&policy->faults);
    aw_faults_free(&policy->warnings);
}

void
admin_policy_warn(const struct admin_policy *policy)
{
    const struct aw_faults *warnings = &policy->warnings;

    for (size_t i = 0; i < warnings->count; i++)
        fprintf(stderr, "%s:%u:%u: warning: %s\n", warnings->items[i].file, warnings->items[i].line,
            warnings->items[i].column, warnings->items[i].message);
    if (warnings->total > warnings->count)
        fprintf(stderr, "and %zu more warnings\n", warnings->total - warnings->count);
}

aw_result
admin_policy_trouble(aw_result r)
{
    struct aw_error error;

    if (aw_ok(r) || aw_code_exit(r.code) == aw_code_exit(AW_CODE_CONFIG))
        return r;
    aw_error_save(&error);
    error.code = AW_CODE_CONFIG;
    return aw_error_restore(&error);
}

aw_result
admin_policy_faults(aw_result r, const struct aw_faults *faults)
{
    struct aw_error error;

    if (aw_ok(r) || faults->total == 0)
        return r;
    aw_error_save(&error);
    aw_faults_print(faults, stderr);
    if (error.code == AW_CODE_CONFIG)
        snprintf(error.message, sizeof(error.message), "%zu fault%s, see above", faults->total,
            faults->total == 1 ? "" : "s");
    return aw_error_restore(&error);
}

static aw_result
load_config(const char *path, bool copy, struct admin_policy *out)
{
    aw_result r = copy ? aw_config_load_accounts(path, &out->faults, &out->config)
                       : aw_config_load(path, &out->faults, &out->config);

    if (!aw_ok(r) && access(path, R_OK) != 0)
        r = aw_hint(r, "policies are read with the accounts of a signer.yaml: name it by --config");
    AW_TRY(admin_unreadable(r, path));
    aw_config_warn(out->config, &out->warnings);
    return policy_accounts_of(out->config, &out->faults, &out->accounts);
}

/* They are no part of a policy, but the signer would not start with faults in them. */
static aw_result
check_issuers(struct admin_policy *out)
{
    AW_CLEANUP(issuers_set_free) struct issuers_set set = {0};

    return issuers_set_load(out->config, &out->faults, &out->warnings, &set);
}

static aw_result
load_as_signer(const char *config, struct admin_policy *out)
{
    AW_TRY(load_config(config, false, out));
    AW_TRY(check_issuers(out));
    AW_TRY(policy_load(&(struct policy_source){out->config->paths.policies, out->accounts.items,
                           out->accounts.count, &policy_system_resolver},
        &out->faults, &out->warnings, &out->snapshot));
    policy_warn_no_relay(out->snapshot, out->config, &out->warnings);
    return aw_faults_result(&out->faults);
}

static aw_result
load_copy(const char *config, const char *folder, struct admin_policy *out)
{
    AW_TRY(load_config(config, true, out));
    return policy_load_working_copy(
        &(struct policy_source){folder == NULL ? out->config->paths.policies : folder,
            out->accounts.items, out->accounts.count, &policy_anybody_resolver},
        &out->faults, &out->warnings, &out->snapshot);
}

aw_result
admin_policy_load(const struct admin_options *options, const char *folder, struct admin_policy *out)
{
    aw_result r = folder == NULL ? load_as_signer(options->config, out)
                                 : load_copy(options->config, folder, out);

    return admin_policy_trouble(admin_policy_faults(r, &out->faults));
}

aw_result
admin_policy_load_copy(const char *config, const char *folder, struct admin_policy *out)
{
    return admin_policy_trouble(admin_policy_faults(load_copy(config, folder, out), &out->faults));
}

aw_result
admin_policy_accounts(const char *config, bool copy, struct admin_policy *out)
{
    return admin_policy_trouble(admin_policy_faults(load_config(config, copy, out), &out->faults));
}

aw_result
admin_policy_load_addition(
    const char *folder, const char *path, const char *text, struct admin_policy *out)
{
    const struct policy_source source = {
        folder == NULL ? out->config->paths.policies : folder,
        out->accounts.items,
        out->accounts.count,
        folder == NULL ? &policy_system_resolver : &policy_anybody_resolver,
    };
    const struct policy_addition addition = {path, text, strlen(text), folder != NULL};
    aw_result r =
        policy_load_addition(&source, &addition, &out->faults, &out->warnings, &out->snapshot);

    return admin_policy_trouble(admin_policy_faults(r, &out->faults));
}

aw_result
admin_policy_find(
    const struct admin_policy *policy, const char *name, const struct policy_application **out)
{
    *out = policy_find(policy->snapshot, name);
    if (*out == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no application \"%s\"", name),
            "policy show lists them all");
    return AW_OK;
}
