#include "policy/accounts.h"

#include <stdlib.h>
#include <string.h>

/* The place of an entry of the ceiling, which `text` points into. */
static aw_yaml_node
place_of(const struct aw_config_account *account, const char *text)
{
    for (size_t i = 0; i < account->ceiling_texts.count; i++)
        if (account->ceiling_texts.items[i].text == text)
            return account->ceiling_texts.items[i].node;
    return account->place;
}

static void
read_networks(const char *file, const struct aw_config_account *from,
    struct policy_account *account, struct policy_network *networks, struct aw_faults *faults)
{
    account->networks = networks;
    for (size_t i = 0; i < from->network_count; i++) {
        const char *text = from->networks[i];
        aw_yaml_node place = place_of(from, text);

        if (aw_ok(policy_network_parse(text, strlen(text), &networks[account->network_count])))
            account->network_count++;
        else
            aw_faults_add(
                faults, file, place.line, place.column, "ceiling: %s", aw_error_last()->message);
    }
}

aw_result
policy_accounts_of(
    const struct aw_config *config, struct aw_faults *faults, struct policy_accounts *out)
{
    size_t networks = 0;

    for (size_t i = 0; i < config->account_count; i++)
        networks += config->accounts[i].network_count;
    out->items = calloc(config->account_count + 1, sizeof(*out->items));
    out->networks = calloc(networks + 1, sizeof(*out->networks));
    if (out->items == NULL || out->networks == NULL) {
        policy_accounts_free(out);
        return aw_fail_memory();
    }
    out->count = config->account_count;
    networks = 0;
    for (size_t i = 0; i < config->account_count; i++) {
        const struct aw_config_account *from = &config->accounts[i];

        out->items[i] = (struct policy_account){.name = from->name,
            .ceiling = from->ceiling,
            .ceiling_count = from->ceiling_count,
            .orders_per_day = from->orders_per_day};
        read_networks(config->file, from, &out->items[i], &out->networks[networks], faults);
        networks += out->items[i].network_count;
    }
    return aw_faults_result(faults);
}

void
policy_accounts_free(struct policy_accounts *accounts)
{
    free(accounts->items);
    free(accounts->networks);
    memset(accounts, 0, sizeof(*accounts));
}

static bool
warn_relayed(const struct policy_application *application, void *context)
{
    if (application->relay.allowed)
        aw_faults_add(context, application->file, 0, 0,
            "relay: %s may be used through a relay, and signer.yaml has none: add it under relays",
            application->name);
    return true;
}

void
policy_warn_no_relay(
    const policy_snapshot *snapshot, const struct aw_config *config, struct aw_faults *warnings)
{
    if (config->relay_count == 0)
        policy_visit_all(snapshot, warn_relayed, warnings);
}
