/* Warnings about a policy that is valid: what can never be issued, and who lists the same. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/draft.h"

/* One entry of an application's list. */
struct entry {
    const struct application *application;
    uint32_t claim;
    enum claim_kind kind;
    const char *text;
};

static void
    AW_PRINTF(3, 4) warn(struct draft *draft, const struct entry *entry, const char *format, ...)
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
    const char *by = found->claim == CLAIM_NONE ? entry->application->shown.account
                                                : snapshot->index.texts[found->claim];

    if (found->foreign)
        warn(draft, entry, "\"%s%s\" is always refused (%s): %s lists \"%s\"",
            entry->kind == CLAIM_WILDCARDS ? "*." : "", entry->text, policy_rule_tag(found->rule),
            owner_of(snapshot, found->claim)->shown.name, by);
    else
        warn(draft, entry, "\"%s%s\" is always refused (%s): see \"%s\"",
            entry->kind == CLAIM_WILDCARDS ? "*." : "", entry->text, policy_rule_tag(found->rule),
            by);
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

static void
check_suffix(struct draft *draft, const struct entry *entry)
{
    const struct application *application = entry->application;
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(entry->text, strlen(entry->text), &suffixes);
    if (policy_claim_above(draft->snapshot, CLAIM_CEILING, &suffixes, application->account) ==
        CLAIM_NONE)
        warn(draft, entry, "\"%s\" reaches outside of the ceiling of account %s", entry->text,
            application->shown.account);
    uint32_t denied = policy_claim_above(
        draft->snapshot, CLAIM_DENY, &suffixes, number_of(draft->snapshot, application));
    if (denied != CLAIM_NONE)
        warn(draft, entry, "all below \"%s\" is always refused (names.deny): see \"%s\"",
            entry->text, draft->snapshot->index.texts[denied]);
}

static void
check_network(struct draft *draft, const struct entry *entry)
{
    struct policy_network network = policy_index_network_of(entry->text);

    if (policy_ceiling_of_network(draft->snapshot, entry->application, &network) == CLAIM_NONE)
        warn(draft, entry, "\"%s\" reaches outside of the ceiling of account %s", entry->text,
            entry->application->shown.account);
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
    warn(draft, entry,
        "\"%s\" is listed by %s too (%s): both may have it; name one in shares_with of the other "
        "if that is meant",
        entry->text, first->shown.name, policy_base_name(first->shown.file));
}

/* What is checked of an entry of each list; nothing can be wrong about deny. */
static void (*const checks[CLAIM_NAMES])(struct draft *, const struct entry *) = {
    [CLAIM_EXACT] = check_identifier,
    [CLAIM_SUBDOMAINS] = check_suffix,
    [CLAIM_WILDCARDS] = check_identifier,
    [CLAIM_DENY] = NULL,
    [CLAIM_ADDRESSES] = check_network,
};

static void
warn_list(struct draft *draft, const struct application *application, enum claim_kind kind,
    uint32_t first)
{
    for (uint32_t i = first; i < first + application->list_count[kind]; i++) {
        struct entry entry = {application, i, kind, draft->snapshot->index.texts[i]};

        checks[kind](draft, &entry);
        check_same(draft, &entry);
    }
}

void
policy_warn_overlaps(struct draft *draft)
{
    for (size_t i = 0; i < draft->snapshot->application_count; i++) {
        const struct application *application = &draft->snapshot->applications[i];
        uint32_t first = application->first;

        for (unsigned kind = 0; kind < CLAIM_NAMES; kind++) {
            if (checks[kind] != NULL)
                warn_list(draft, application, (enum claim_kind)kind, first);
            first += application->list_count[kind];
        }
    }
}
