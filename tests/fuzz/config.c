/* signer.yaml: what is accepted fits together, and makes accounts that a policy can have. */
#include "common/config.h"

#include <string.h>

#include "fuzz.h"
#include "policy/accounts.h"

static struct {
    const char *text;
    size_t length;
} file;

/* In place of reading the file (linked with --wrap). */
aw_result __wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out);

aw_result
__wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out)
{
    return aw_yaml_parse(path, file.text, file.length, faults, out);
}

static void
check_path(const char *path)
{
    FUZZ_CHECK(path == NULL || path[0] == '/');
    fuzz_check_plain(path);
}

static void
check_role(const struct aw_config_role *role)
{
    for (size_t i = 0; i < role->count; i++)
        FUZZ_CHECK((role->items[i].user == NULL) != (role->items[i].group == NULL));
}

static void
check_account(const struct aw_config *config, const struct aw_config_account *account)
{
    FUZZ_CHECK(aw_config_label_ok(account->name));
    FUZZ_CHECK(aw_config_find_account(config, account->name) == account);
    FUZZ_CHECK(aw_config_find_ca(config, account->ca) != NULL);
    FUZZ_CHECK(account->key >= 0 && account->key < 5 && account->orders_per_day >= 0);
    FUZZ_CHECK(account->ceiling_count + account->network_count >= 1);
    for (size_t i = 0; i < account->ceiling_count; i++) {
        fuzz_check_name(&account->ceiling[i]);
        FUZZ_CHECK(account->ceiling[i].form == AW_NAME_HOST);
    }
}

static void
check_config(const struct aw_config *config)
{
    FUZZ_CHECK(config->token.module != NULL && config->token.uri != NULL);
    FUZZ_CHECK(config->token.sessions >= 1 && config->token.timeout_ms >= 100);
    check_path(config->token.module);
    check_path(config->token.pin_source);
    check_path(config->paths.state);
    check_path(config->paths.policies);
    check_path(config->paths.application_socket);
    check_path(config->paths.admin_socket);
    FUZZ_CHECK(config->ca_count >= 1 && config->account_count >= 1 && config->officers.count >= 1);
    for (size_t i = 0; i < config->ca_count; i++) {
        FUZZ_CHECK(aw_config_label_ok(config->cas[i].name));
        FUZZ_CHECK(aw_config_find_ca(config, config->cas[i].name) == &config->cas[i]);
        FUZZ_CHECK(strncmp(config->cas[i].directory, "https://", 8) == 0);
    }
    for (size_t i = 0; i < config->account_count; i++)
        check_account(config, &config->accounts[i]);
    check_role(&config->officers);
    check_role(&config->operators);
}

static void
check_accounts(const struct aw_config *config)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(policy_accounts_free) struct policy_accounts accounts = {0};
    aw_result r = policy_accounts_of(config, &faults, &accounts);

    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (faults.total == 0));
    if (!aw_ok(r))
        return;
    FUZZ_CHECK(accounts.count == config->account_count);
    for (size_t i = 0; i < accounts.count; i++)
        FUZZ_CHECK(accounts.items[i].network_count == config->accounts[i].network_count);
}

/* What has all that a signer needs has all that policies need. */
static void
check_alone(const struct aw_config *whole)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    aw_result r = aw_config_load_accounts("/signer.yaml", &faults, &config);

    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (config != NULL) && aw_ok(r) == (faults.total == 0));
    FUZZ_CHECK(whole == NULL || (config != NULL && config->account_count == whole->account_count));
    if (config != NULL)
        check_accounts(config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;

    file.text = (const char *)data;
    file.length = size;
    aw_result r = aw_config_load("/signer.yaml", &faults, &config);
    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (config != NULL) && aw_ok(r) == (faults.total == 0));
    check_alone(config);
    if (config == NULL) {
        FUZZ_CHECK(r.code == AW_CODE_CONFIG);
        return 0;
    }
    check_config(config);
    check_accounts(config);
    fuzz_accept();
    return 0;
}
