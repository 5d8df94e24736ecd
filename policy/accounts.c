#include "policy/accounts.h"

#include <stdlib.h>

aw_result
policy_accounts(const struct aw_config *config, struct policy_account **out)
{
    struct policy_account *list = calloc(config->account_count + 1, sizeof(*list));

    if (list == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < config->account_count; i++)
        list[i] = (struct policy_account){.name = config->accounts[i].name,
            .ceiling = config->accounts[i].ceiling,
            .ceiling_count = config->accounts[i].ceiling_count,
            .orders_per_day = config->accounts[i].orders_per_day};
    *out = list;
    return AW_OK;
}
