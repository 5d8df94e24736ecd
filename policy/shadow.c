/* Entries that never decide: what is above them in the same file covers them. */
#include <string.h>

#include "policy/overlap.h"

/* True when another application has such a claim, shared or not. */
static bool
others_claim(const policy_snapshot *snapshot, const struct entry *entry, enum claim_kind kind,
    const struct policy_index_key *key)
{
    uint16_t number = number_of(snapshot, entry->application);
    uint32_t claim = policy_index_find(&snapshot->index, kind, key);

    while (claim != CLAIM_NONE && snapshot->index.owners[claim] == number)
        claim = policy_index_next(&snapshot->index, claim);
    return claim != CLAIM_NONE;
}

static uint32_t
own_claim(const policy_snapshot *snapshot, const struct entry *entry, enum claim_kind kind,
    const struct policy_index_key *key)
{
    return policy_index_find_own(
        &snapshot->index, kind, key, number_of(snapshot, entry->application));
}

static void
warn_covered(struct draft *draft, const struct entry *entry, const char *list, uint32_t by)
{
    policy_warn_entry(draft, entry, "\"%s\" adds nothing: %s \"%s\" on line %u covers it",
        entry->text, list, draft->snapshot->index.texts[by], line_of(draft, by));
}

/*
 * The entry of subdomains_of that would decide in the place of the entry at level `from` - 1 of the
 * name, or CLAIM_NONE. If anybody else has a claim on the way to it, the entry makes a difference:
 * it wins a name from them, or keeps one from them.
 */
static uint32_t
covering_suffix(const policy_snapshot *snapshot, const struct entry *entry,
    const struct policy_index_suffixes *suffixes, unsigned from)
{
    for (unsigned i = from; i < suffixes->count; i++) {
        const struct policy_index_key *key = &suffixes->keys[i];

        if (others_claim(snapshot, entry, CLAIM_SUBDOMAINS, key))
            return CLAIM_NONE;
        uint32_t own = own_claim(snapshot, entry, CLAIM_SUBDOMAINS, key);
        if (own != CLAIM_NONE)
            return own;
    }
    return CLAIM_NONE;
}

/* An exact entry also keeps away others' exact ones, and the wildcards that would stand for it. */
static void
check_exact(struct draft *draft, const struct entry *entry)
{
    const policy_snapshot *snapshot = draft->snapshot;
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    if (others_claim(snapshot, entry, CLAIM_EXACT, &suffixes.keys[0]) ||
        others_claim(snapshot, entry, CLAIM_WILDCARDS, &suffixes.keys[1]))
        return;
    uint32_t by = covering_suffix(snapshot, entry, &suffixes, 1);
    if (by != CLAIM_NONE)
        warn_covered(draft, entry, "subdomains_of", by);
}

static void
check_subdomains(struct draft *draft, const struct entry *entry)
{
    const policy_snapshot *snapshot = draft->snapshot;
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    if (others_claim(snapshot, entry, CLAIM_SUBDOMAINS, &suffixes.keys[0]) ||
        others_claim(snapshot, entry, CLAIM_WILDCARDS, &suffixes.keys[0]))
        return;
    uint32_t by = covering_suffix(snapshot, entry, &suffixes, 1);
    if (by != CLAIM_NONE)
        warn_covered(draft, entry, "subdomains_of", by);
}

/* deny is nobody else's business. */
static void
check_deny(struct draft *draft, const struct entry *entry)
{
    const policy_snapshot *snapshot = draft->snapshot;
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    for (unsigned i = 1; i < suffixes.count; i++) {
        uint32_t by = own_claim(snapshot, entry, CLAIM_DENY, &suffixes.keys[i]);

        if (by == CLAIM_NONE)
            continue;
        warn_covered(draft, entry, "deny", by);
        return;
    }
}

static void
check_network(struct draft *draft, const struct entry *entry)
{
    const policy_snapshot *snapshot = draft->snapshot;
    struct policy_network network = policy_index_network_of(entry->text);
    char octets[INDEX_NETWORK_KEY_SIZE];

    for (int prefix = network.prefix; prefix >= 0;
         prefix = policy_next_prefix(snapshot, network.size, prefix)) {
        struct policy_network shorter = policy_network_shorten(&network, (unsigned)prefix);
        struct policy_index_key key = policy_index_network_key(&shorter, octets);
        uint32_t own = own_claim(snapshot, entry, CLAIM_ADDRESSES, &key);

        if (others_claim(snapshot, entry, CLAIM_ADDRESSES, &key))
            return;
        if (own == CLAIM_NONE || prefix == network.prefix)
            continue;
        warn_covered(draft, entry, "addresses", own);
        return;
    }
}

/* Nothing stands for a wildcard but its own entry. */
static void (*const checks[CLAIM_NAMES])(struct draft *, const struct entry *) = {
    [CLAIM_EXACT] = check_exact,
    [CLAIM_SUBDOMAINS] = check_subdomains,
    [CLAIM_WILDCARDS] = NULL,
    [CLAIM_DENY] = check_deny,
    [CLAIM_ADDRESSES] = check_network,
};

void
policy_warn_shadowed(struct draft *draft, const struct entry *entry)
{
    if (checks[entry->kind] != NULL)
        checks[entry->kind](draft, entry);
}
