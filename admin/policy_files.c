#include "admin/policy_files.h"

#include <stdio.h>

#include "policy/system.h"

void
admin_policy_free(struct admin_policy *policy)
{
    policy_release(&policy->snapshot);
    policy_accounts_free(&policy->accounts);
    aw_config_free(&policy->config);
}

static void
print_warnings(const struct aw_faults *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        fprintf(stderr, "%s:%u:%u: warning: %s\n", warnings->items[i].file, warnings->items[i].line,
            warnings->items[i].column, warnings->items[i].message);
    if (warnings->total > warnings->count)
        fprintf(stderr, "and %zu more warnings\n", warnings->total - warnings->count);
}

static aw_result
load_config(const char *path, struct aw_faults *faults, struct admin_policy *out)
{
    AW_TRY(aw_config_load(path, faults, &out->config));
    return policy_accounts_of(out->config, faults, &out->accounts);
}

aw_result
admin_policy_load(const struct admin_options *options, struct admin_policy *out)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    aw_result r = load_config(options->config, &faults, out);

    if (aw_ok(r))
        r = policy_load(&(struct policy_source){out->config->paths.policies, out->accounts.items,
                            out->accounts.count, &policy_system_resolver},
            &faults, &warnings, &out->snapshot);
    aw_faults_print(&faults, stderr);
    print_warnings(&warnings);
    return r;
}

aw_result
admin_policy_load_copy(const char *config, const char *folder, bool warn, struct admin_policy *out)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    aw_result r = load_config(config, &faults, out);

    if (aw_ok(r))
        r = policy_load_working_copy(
            &(struct policy_source){folder == NULL ? out->config->paths.policies : folder,
                out->accounts.items, out->accounts.count, &policy_anybody_resolver},
            &faults, &warnings, &out->snapshot);
    aw_faults_print(&faults, stderr);
    if (warn)
        print_warnings(&warnings);
    return r;
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
