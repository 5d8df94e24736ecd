#include "policy/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MIN = 64 };

const char *
policy_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static aw_result
grow_places(struct draft *draft)
{
    size_t capacity = draft->place_capacity == 0 ? PLACES_MIN : 2 * draft->place_capacity;
    struct place *places = realloc(draft->places, capacity * sizeof(*places));

    if (places == NULL)
        return aw_fail_memory();
    draft->places = places;
    draft->place_capacity = capacity;
    return AW_OK;
}

aw_result
policy_draft_claim(struct draft *draft, enum claim_kind kind, const char *text, aw_yaml_node node)
{
    struct policy_index *index = &draft->snapshot->index;

    if (index->count == draft->place_capacity)
        AW_TRY(grow_places(draft));
    draft->places[index->count] = (struct place){node.line, node.column};
    return policy_index_add(index, kind, text);
}

void
policy_draft_release(struct draft *draft)
{
    policy_release(&draft->snapshot);
    free(draft->places);
    free(draft->applications);
    *draft = (struct draft){0};
}

/* Accounts. */

static void
    AW_PRINTF(3, 4) account_fault(struct draft *draft, const char *name, const char *format, ...)
{
    char message[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    aw_faults_add(draft->faults, "accounts", 0, 0, "%s: %s", name, message);
}

static aw_result
link_new(
    struct draft *draft, enum claim_kind kind, const char *text, uint16_t owner, uint32_t *head)
{
    struct policy_index *index = &draft->snapshot->index;

    AW_TRY(policy_draft_claim(draft, kind, text, (aw_yaml_node){0}));
    return policy_index_link(index, (uint32_t)index->count - 1, owner, head);
}

static aw_result
add_network(struct draft *draft, const struct policy_network *network, uint16_t owner)
{
    policy_snapshot *snapshot = draft->snapshot;
    uint32_t head;

    snapshot->prefixes[prefix_row(network->size)][network->prefix] = true;
    return link_new(draft, CLAIM_CEILING_NETWORK,
        policy_index_put_network(&snapshot->arena, network), owner, &head);
}

static aw_result
add_ceiling(struct draft *draft, const struct policy_account *account, const struct aw_name *name,
    uint16_t owner)
{
    struct policy_network network = {
        .size = name->address_size, .prefix = (uint8_t)(name->address_size * 8)};
    uint32_t head;

    switch (name->form) {
    case AW_NAME_HOST:
        return link_new(draft, CLAIM_CEILING,
            policy_arena_put(&draft->snapshot->arena, name->text, name->length), owner, &head);
    case AW_NAME_ADDRESS:
        memcpy(network.address, name->address, sizeof(network.address));
        return add_network(draft, &network, owner);
    case AW_NAME_WILDCARD:
        account_fault(draft, account->name,
            "ceiling: found \"%s\", expected a domain (it covers itself and all below it)",
            name->text);
    }
    return AW_OK;
}

static aw_result
add_account(struct draft *draft, const struct policy_account *account, uint16_t owner)
{
    policy_snapshot *snapshot = draft->snapshot;
    struct account *copy = &snapshot->accounts[owner];
    uint32_t head;

    copy->name = policy_arena_put(&snapshot->arena, account->name, strlen(account->name));
    copy->orders_per_day = account->orders_per_day;
    AW_TRY(link_new(draft, CLAIM_ACCOUNT, copy->name, owner, &head));
    if (head != CLAIM_NONE)
        account_fault(draft, account->name, "two accounts have this name");
    for (size_t i = 0; i < account->ceiling_count; i++)
        AW_TRY(add_ceiling(draft, account, &account->ceiling[i], owner));
    for (size_t i = 0; i < account->network_count; i++)
        AW_TRY(add_network(draft, &account->networks[i], owner));
    return AW_OK;
}

aw_result
policy_draft_accounts(struct draft *draft, const struct policy_account *accounts, size_t count)
{
    policy_snapshot *snapshot = draft->snapshot;

    if (count > POLICY_ACCOUNTS_MAX)
        return aw_fail(
            AW_CODE_LIMIT, "found %zu accounts, expected at most %d", count, POLICY_ACCOUNTS_MAX);
    snapshot->accounts = calloc(count + 1, sizeof(*snapshot->accounts));
    if (snapshot->accounts == NULL)
        return aw_fail_memory();
    snapshot->account_count = count;
    for (size_t i = 0; i < count; i++)
        AW_TRY(add_account(draft, &accounts[i], (uint16_t)i));
    draft->account_claims = (uint32_t)snapshot->index.count;
    return AW_OK;
}
