/* Warnings about a policy that is valid: what can never be issued, and who lists the same. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/overlap.h"

void
policy_warn_entry(struct draft *draft, const struct entry *entry, const char *format, ...)
{
    char message[700];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    aw_faults_add(draft->warnings, entry->application->shown.file, draft->places[entry->claim].line,
        draft->places[entry->claim].column, "%s", message);
}

/* What a refusal of the entry's own name comes from. */
static void
warn_refused(struct draft *draft, const struct entry *entry, const struct finding *found)
{
    const policy_snapshot *snapshot = draft->snapshot;
    const char *lead = entry->kind == CLAIM_WILDCARDS ? "*." : "",
               *rule = policy_rule_tag(found->rule);

    if (found->claim == CLAIM_NONE)
        policy_warn_entry(draft, entry,
            "\"%s%s\" is always refused (%s): it is outside of the ceiling of account %s", lead,
            entry->text, rule, entry->application->shown.account);
    else if (found->foreign)
        policy_warn_entry(draft, entry, "\"%s%s\" is always refused (%s): %s lists \"%s\" (%s:%u)",
            lead, entry->text, rule, owner_of(snapshot, found->claim)->shown.name,
            snapshot->index.texts[found->claim],
            policy_base_name(owner_of(snapshot, found->claim)->shown.file),
            line_of(draft, found->claim));
    else
        policy_warn_entry(draft, entry, "\"%s%s\" is always refused (%s): see \"%s\" on line %u",
            lead, entry->text, rule, snapshot->index.texts[found->claim],
            line_of(draft, found->claim));
}

/* exact and wildcards_of: each is one identifier, which can be asked for. */
static void
check_identifier(struct draft *draft, const struct entry *entry)
{
    bool wildcard = entry->kind == CLAIM_WILDCARDS;
    struct aw_name name = {.form = wildcard ? AW_NAME_WILDCARD : AW_NAME_HOST};
    int length = snprintf(name.text, sizeof(name.text), "%s%s", wildcard ? "*." : "", entry->text);

    /* A wildcard of the longest name does not fit: nobody can ask for it either. */
    if (length >= (int)sizeof(name.text))
        return;
    name.length = (uint8_t)length;
    struct finding found = policy_decide_name(draft->snapshot, entry->application, &name);
    if (!found.allowed)
        warn_refused(draft, entry, &found);
}

/* True when a name of the ceiling is below the entry, or a network of it inside: a part of what the
 * entry covers can be issued. Only asked about entries outside of the ceiling, which are few. */
static bool
is_around(const struct draft *draft, const struct entry *entry, uint32_t ceiling)
{
    const struct policy_index *index = &draft->snapshot->index;
    const char *text = index->texts[ceiling];
    size_t length = strlen(text), wanted = strlen(entry->text);

    if (index->owners[ceiling] != entry->application->account)
        return false;
    if (entry->kind != CLAIM_ADDRESSES)
        return policy_index_kind(index, ceiling) == CLAIM_CEILING && length > wanted &&
               text[length - wanted - 1] == '.' && strcmp(text + length - wanted, entry->text) == 0;
    if (policy_index_kind(index, ceiling) != CLAIM_CEILING_NETWORK)
        return false;
    struct policy_network inner = policy_index_network_of(text);
    struct policy_network outer = policy_index_network_of(entry->text);
    if (inner.size != outer.size || inner.prefix <= outer.prefix)
        return false;
    struct policy_network shorter = policy_network_shorten(&inner, outer.prefix);
    return memcmp(shorter.address, outer.address, sizeof(outer.address)) == 0;
}

static bool
is_around_any(const struct draft *draft, const struct entry *entry)
{
    /* More are not shown anyway. */
    if (draft->warnings->count == AW_YAML_MAX_FAULTS)
        return true;
    for (uint32_t i = 0; i < draft->account_claims; i++)
        if (is_around(draft, entry, i))
            return true;
    return false;
}

/* An entry that the ceiling cuts. */
static void
warn_outside(struct draft *draft, const struct entry *entry)
{
    const char *account = entry->application->shown.account;

    if (is_around_any(draft, entry))
        policy_warn_entry(draft, entry, "\"%s\" reaches outside of the ceiling of account %s",
            entry->text, account);
    else
        policy_warn_entry(draft, entry,
            "all %s \"%s\" is always refused (account.ceiling): it is outside of the ceiling of "
            "account %s",
            entry->kind == CLAIM_ADDRESSES ? "in" : "below", entry->text, account);
}

static bool
is_inside(const struct draft *draft, const struct entry *entry)
{
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    return policy_claim_above(draft->snapshot, CLAIM_CEILING, &suffixes,
               entry->application->account) != CLAIM_NONE;
}

static void
check_suffix(struct draft *draft, const struct entry *entry)
{
    const struct application *application = entry->application;
    struct policy_index_suffixes suffixes;

    if (!is_inside(draft, entry))
        warn_outside(draft, entry);
    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    uint32_t denied = policy_claim_above(
        draft->snapshot, CLAIM_DENY, &suffixes, number_of(draft->snapshot, application));
    if (denied != CLAIM_NONE)
        policy_warn_entry(draft, entry,
            "all below \"%s\" is always refused (names.deny): see \"%s\" on line %u", entry->text,
            draft->snapshot->index.texts[denied], line_of(draft, denied));
}

/* What is outside of the ceiling is refused before deny is asked. */
static void
check_deny(struct draft *draft, const struct entry *entry)
{
    if (!is_inside(draft, entry) && !is_around_any(draft, entry))
        policy_warn_entry(draft, entry,
            "\"%s\" denies nothing: it is outside of the ceiling of account %s", entry->text,
            entry->application->shown.account);
}

static void
check_network(struct draft *draft, const struct entry *entry)
{
    struct policy_network network = policy_index_network_of(entry->text);

    if (policy_ceiling_of_network(draft->snapshot, entry->application, &network) == CLAIM_NONE)
        warn_outside(draft, entry);
}

/* The chain's first application stands for all that list the same. */
static void
check_same(struct draft *draft, const struct entry *entry)
{
    const policy_snapshot *snapshot = draft->snapshot;
    struct policy_index_key key = policy_index_key_of_claim(&snapshot->index, entry->claim);
    const struct application *first =
        owner_of(snapshot, policy_index_find(&snapshot->index, entry->kind, &key));

    if (first == entry->application || policy_shares_with(snapshot, first, entry->application) ||
        policy_shares_with(snapshot, entry->application, first))
        return;
    policy_warn_entry(draft, entry,
        "\"%s\" is listed by %s too (%s): both may have it; name one in shares_with of the other "
        "if that is meant",
        entry->text, first->shown.name, policy_base_name(first->shown.file));
}

/* What is checked of an entry of each list. */
static void (*const checks[CLAIM_NAMES])(struct draft *, const struct entry *) = {
    [CLAIM_EXACT] = check_identifier,
    [CLAIM_SUBDOMAINS] = check_suffix,
    [CLAIM_WILDCARDS] = check_identifier,
    [CLAIM_DENY] = check_deny,
    [CLAIM_ADDRESSES] = check_network,
};

static void
warn_list(struct draft *draft, const struct application *application, enum claim_kind kind,
    uint32_t first)
{
    for (uint32_t i = first; i < first + application->list_count[kind]; i++) {
        struct entry entry = {application, i, kind, draft->snapshot->index.texts[i]};

        checks[kind](draft, &entry);
        if (kind != CLAIM_DENY)
            check_same(draft, &entry);
        policy_warn_shadowed(draft, &entry);
    }
}

void
policy_warn_overlaps(struct draft *draft)
{
    for (size_t i = 0; i < draft->snapshot->application_count; i++) {
        const struct application *application = &draft->snapshot->applications[i];
        uint32_t first = application->first;

        for (unsigned kind = 0; kind < CLAIM_NAMES; kind++) {
            warn_list(draft, application, (enum claim_kind)kind, first);
            first += application->list_count[kind];
        }
        policy_warn_relay(draft, application);
    }
}
