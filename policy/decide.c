/*
 * The decision. Pure, without allocation, one look into the index per suffix and question.
 *
 * The more specific claim holds a name: a name listed in exact is its lister's, then the longest
 * subdomains_of wins, and a wildcard's lister holds the names one label below it as one who lists
 * subdomains_of there. Between claims that are equally specific nobody is refused (the loader warns
 * of them), but a wildcard gives way, since it would stand for names of somebody else.
 */
#include "policy/decide.h"

#include <string.h>

/* Claims. */

bool
policy_shares_with(const policy_snapshot *snapshot, const struct application *application,
    const struct application *other)
{
    if (application->list_count[CLAIM_SHARES] == 0)
        return false;
    struct policy_index_key key = policy_index_key_of(other->shown.name);
    return policy_index_find_own(&snapshot->index, CLAIM_SHARES, &key,
               number_of(snapshot, application)) != CLAIM_NONE;
}

/* The first claim of an application that is neither this one nor shared with it. The walk ends
 * after at most as many steps as this one has entries in shares_with, and two. */
static uint32_t
find_foreign(const policy_snapshot *snapshot, const struct application *application,
    enum claim_kind kind, const struct policy_index_key *key)
{
    uint32_t claim = policy_index_find(&snapshot->index, kind, key);

    for (; claim != CLAIM_NONE; claim = policy_index_next(&snapshot->index, claim)) {
        const struct application *owner = owner_of(snapshot, claim);

        if (owner != application && !policy_shares_with(snapshot, application, owner))
            break;
    }
    return claim;
}

uint32_t
policy_claim_above(const policy_snapshot *snapshot, enum claim_kind kind,
    const struct policy_index_suffixes *suffixes, uint16_t owner)
{
    for (unsigned i = 0; i < suffixes->count; i++) {
        uint32_t claim = policy_index_find_own(&snapshot->index, kind, &suffixes->keys[i], owner);

        if (claim != CLAIM_NONE)
            return claim;
    }
    return CLAIM_NONE;
}

/* One question to the index: has this application, or has another, such a claim? */
struct probe {
    enum claim_kind kind;
    bool foreign;
    bool allowed; /* the verdict when there is one */
    enum policy_rule rule;
};

/* Asked in this order at the name itself, the name above it, and all above that. */
static const struct probe at_host[] = {
    {CLAIM_EXACT, false, true, POLICY_RULE_NAMES_EXACT},
    {CLAIM_EXACT, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
};
static const struct probe at_parent[] = {
    {CLAIM_SUBDOMAINS, false, true, POLICY_RULE_NAMES_SUBDOMAINS},
    {CLAIM_SUBDOMAINS, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
    {CLAIM_WILDCARDS, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
};
static const struct probe at_ancestor[] = {
    {CLAIM_SUBDOMAINS, false, true, POLICY_RULE_NAMES_SUBDOMAINS},
    {CLAIM_SUBDOMAINS, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
};

/* Asked at the name behind a wildcard's asterisk, and at those above it. */
static const struct probe at_base[] = {
    {CLAIM_DENY_CHILD, false, false, POLICY_RULE_NAMES_WILDCARD_COVERS_DENIED},
    {CLAIM_EXACT_CHILD, true, false, POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER},
    {CLAIM_SUBDOMAINS, true, false, POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER},
    {CLAIM_WILDCARDS, false, true, POLICY_RULE_NAMES_WILDCARDS},
    {CLAIM_WILDCARDS, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
};
static const struct probe above_base[] = {
    {CLAIM_SUBDOMAINS, true, false, POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER},
};

/* Asked at each network that an address is in, the smallest first. */
static const struct probe at_network[] = {
    {CLAIM_ADDRESSES, false, true, POLICY_RULE_NAMES_ADDRESSES},
    {CLAIM_ADDRESSES, true, false, POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER},
};

/* Questions for the levels of a name: the first, the second, all further ones. */
struct level {
    const struct probe *probes;
    size_t count;
};

#define LEVEL(probes)            \
    {                            \
        probes, AW_COUNT(probes) \
    }
static const struct level host_levels[3] = {LEVEL(at_host), LEVEL(at_parent), LEVEL(at_ancestor)};
static const struct level base_levels[3] = {LEVEL(at_base), LEVEL(above_base), LEVEL(above_base)};
/* A name below that nobody lists: its own level is left out. */
static const struct level any_below[3] = {
    LEVEL(at_ancestor), LEVEL(at_ancestor), LEVEL(at_ancestor)};
static const struct level one_below[3] = {LEVEL(at_parent), LEVEL(at_ancestor), LEVEL(at_ancestor)};
static const struct level network_level = LEVEL(at_network);
#undef LEVEL

/* True when a question of this level decided. */
static bool
ask(const policy_snapshot *snapshot, const struct application *application,
    const struct level *level, const struct policy_index_key *key, struct finding *out)
{
    for (size_t i = 0; i < level->count; i++) {
        const struct probe *probe = &level->probes[i];
        uint32_t claim = probe->foreign ? find_foreign(snapshot, application, probe->kind, key)
                                        : policy_index_find_own(&snapshot->index, probe->kind, key,
                                              number_of(snapshot, application));

        if (claim == CLAIM_NONE)
            continue;
        *out = (struct finding){probe->allowed, probe->rule, claim, probe->foreign};
        return true;
    }
    return false;
}

static struct finding
refusal(enum policy_rule rule, uint32_t claim)
{
    return (struct finding){.rule = rule, .claim = claim};
}

/* Host names and wildcards. */

static struct finding
decide_host(const policy_snapshot *snapshot, const struct application *application,
    const struct policy_index_suffixes *suffixes, const struct level levels[3])
{
    struct finding found;
    uint16_t number = number_of(snapshot, application);

    if (policy_claim_above(snapshot, CLAIM_CEILING, suffixes, application->account) == CLAIM_NONE)
        return refusal(POLICY_RULE_ACCOUNT_CEILING, CLAIM_NONE);
    uint32_t denied = policy_claim_above(snapshot, CLAIM_DENY, suffixes, number);
    if (denied != CLAIM_NONE)
        return refusal(POLICY_RULE_NAMES_DENY, denied);
    for (unsigned i = 0; i < suffixes->count; i++)
        if (ask(snapshot, application, &levels[i < 2 ? i : 2], &suffixes->keys[i], &found))
            return found;
    return refusal(POLICY_RULE_NAMES_NONE, CLAIM_NONE);
}

struct finding
policy_decide_below(const policy_snapshot *snapshot, const struct application *application,
    const char *name, enum below below)
{
    struct policy_index_suffixes suffixes;

    policy_index_suffixes_of(name, strlen(name), &suffixes);
    return decide_host(
        snapshot, application, &suffixes, below == BELOW_ANY ? any_below : one_below);
}

/* Addresses (RFC 8738). */

struct policy_network
policy_network_shorten(const struct policy_network *network, unsigned prefix)
{
    struct policy_network shorter = *network;

    for (unsigned bit = prefix; bit < network->prefix; bit++)
        shorter.address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    shorter.prefix = (uint8_t)prefix;
    return shorter;
}

int
policy_next_prefix(const policy_snapshot *snapshot, unsigned size, int prefix)
{
    do
        prefix--;
    while (prefix >= 0 && !snapshot->prefixes[prefix_row(size)][prefix]);
    return prefix;
}

uint32_t
policy_ceiling_of_network(const policy_snapshot *snapshot, const struct application *application,
    const struct policy_network *network)
{
    char octets[INDEX_NETWORK_KEY_SIZE];

    for (int prefix = policy_next_prefix(snapshot, network->size, network->prefix + 1); prefix >= 0;
         prefix = policy_next_prefix(snapshot, network->size, prefix)) {
        struct policy_network shorter = policy_network_shorten(network, (unsigned)prefix);
        struct policy_index_key key = policy_index_network_key(&shorter, octets);
        uint32_t claim = policy_index_find_own(
            &snapshot->index, CLAIM_CEILING_NETWORK, &key, application->account);

        if (claim != CLAIM_NONE)
            return claim;
    }
    return CLAIM_NONE;
}

struct finding
policy_decide_network(const policy_snapshot *snapshot, const struct application *application,
    const struct policy_network *address)
{
    char octets[INDEX_NETWORK_KEY_SIZE];
    struct finding found;

    if (policy_ceiling_of_network(snapshot, application, address) == CLAIM_NONE)
        return refusal(POLICY_RULE_ACCOUNT_CEILING, CLAIM_NONE);
    for (int prefix = policy_next_prefix(snapshot, address->size, address->prefix + 1); prefix >= 0;
         prefix = policy_next_prefix(snapshot, address->size, prefix)) {
        struct policy_network shorter = policy_network_shorten(address, (unsigned)prefix);
        struct policy_index_key key = policy_index_network_key(&shorter, octets);

        if (ask(snapshot, application, &network_level, &key, &found))
            return found;
    }
    return refusal(POLICY_RULE_NAMES_NONE, CLAIM_NONE);
}

struct finding
policy_decide_name(const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name)
{
    struct policy_index_suffixes suffixes;
    struct policy_network address = {
        .size = name->address_size, .prefix = (uint8_t)(name->address_size * 8)};

    switch (name->form) {
    case AW_NAME_HOST:
        policy_index_suffixes_of(name->text, name->length, &suffixes);
        return decide_host(snapshot, application, &suffixes, host_levels);
    case AW_NAME_WILDCARD:
        policy_index_suffixes_of(name->text + 2, name->length - 2u, &suffixes);
        return decide_host(snapshot, application, &suffixes, base_levels);
    case AW_NAME_ADDRESS:
        memcpy(address.address, name->address, sizeof(address.address));
        return policy_decide_network(snapshot, application, &address);
    }
    return refusal(POLICY_RULE_NAMES_NONE, CLAIM_NONE);
}

/* Requests. */

struct question {
    const struct application *application;
    const struct policy_request *request;
    int64_t now;
};

static bool
is_live(const struct question *q)
{
    return !q->application->shown.inert;
}

static bool
is_unexpired(const struct question *q)
{
    return q->application->shown.expires == 0 || q->now < q->application->shown.expires;
}

static bool
has_operation(const struct question *q)
{
    switch (q->request->operation) {
    case POLICY_ORDER:
        return q->application->shown.can_order;
    case POLICY_REVOKE:
        return q->application->shown.can_revoke;
    }
    return false;
}

static bool
fits_a_request(const struct question *q)
{
    return q->request->name_count <= POLICY_REQUEST_NAMES_MAX;
}

static bool
fits_a_certificate(const struct question *q)
{
    return q->request->name_count <= (size_t)q->application->shown.names_per_certificate;
}

static bool
has_profile(const struct question *q)
{
    const struct policy_application *shown = &q->application->shown;
    size_t i = 0;

    if (q->request->profile == NULL)
        return true;
    while (i < shown->profiles_count && strcmp(shown->profiles[i], q->request->profile) != 0)
        i++;
    return i < shown->profiles_count;
}

static bool
asks_no_validity(const struct question *q)
{
    return !q->request->has_validity;
}

static bool
has_key(const struct question *q)
{
    if (!q->request->has_key)
        return true;
    return q->request->key < POLICY_KEY_COUNT &&
           (q->application->shown.keys >> q->request->key & 1) != 0;
}

/* What a request must pass before its names are looked at, in this order. */
static const struct {
    bool (*passes)(const struct question *);
    enum policy_rule rule;
    bool demotable; /* warn_until lets it through */
} gates[POLICY_GATES] = {
    {is_live, POLICY_RULE_APPLICATION_INERT, false},
    {is_unexpired, POLICY_RULE_APPLICATION_EXPIRED, false},
    {has_operation, POLICY_RULE_OPERATION, false},
    {fits_a_request, POLICY_RULE_LIMIT_NAMES, false},
    {fits_a_certificate, POLICY_RULE_LIMIT_NAMES, true},
    {has_profile, POLICY_RULE_PROFILE, true},
    {asks_no_validity, POLICY_RULE_VALIDITY, false},
    {has_key, POLICY_RULE_KEYS, true},
};

void
policy_ask_gates(const struct application *application, const struct policy_request *request,
    int64_t now, struct gate_answer out[POLICY_GATES])
{
    struct question q = {application, request, now};

    for (size_t i = 0; i < AW_COUNT(gates); i++)
        out[i] = (struct gate_answer){gates[i].rule, gates[i].passes(&q), gates[i].demotable};
}

/* Takes a refusal into the verdict; true when it stands. One that warn_until demotes is only noted,
 * the first of them by name, and what comes after it is still looked at. */
static bool
refuse(const struct question *q, const struct policy_verdict *refused, bool demotable,
    struct policy_verdict *out)
{
    bool stands = !demotable || q->now >= q->application->shown.warn_until;

    if (!stands && out->warned)
        return false;
    *out = *refused;
    out->warned = !stands;
    return stands;
}

static bool
pass_gates(const struct question *q, struct policy_verdict *out)
{
    struct policy_verdict refused = {.application = &q->application->shown};

    for (size_t i = 0; i < AW_COUNT(gates); i++) {
        refused.rule = gates[i].rule;
        if (!gates[i].passes(q) && refuse(q, &refused, gates[i].demotable, out))
            return false;
    }
    return true;
}

static struct policy_verdict
verdict_on(const policy_snapshot *snapshot, const struct question *q, const struct aw_name *name)
{
    struct finding found = policy_decide_name(snapshot, q->application, name);
    struct policy_verdict verdict = {.allowed = found.allowed,
        .rule = found.rule,
        .application = &q->application->shown,
        .name = found.allowed ? NULL : name};

    if (found.claim != CLAIM_NONE)
        verdict.matched = snapshot->index.texts[found.claim];
    if (found.foreign)
        verdict.other = owner_of(snapshot, found.claim)->shown.name;
    return verdict;
}

static void
decide_names(const policy_snapshot *snapshot, const struct question *q, struct policy_verdict *out)
{
    for (size_t i = 0; i < q->request->name_count; i++) {
        struct policy_verdict verdict = verdict_on(snapshot, q, &q->request->names[i]);

        if (!verdict.allowed && refuse(q, &verdict, verdict.rule == POLICY_RULE_NAMES_NONE, out))
            return;
        if (verdict.allowed && !out->warned)
            *out = verdict;
    }
    out->allowed = true;
}

const struct application *
policy_inside(const policy_snapshot *snapshot, const struct policy_application *shown)
{
    uintptr_t at = (uintptr_t)shown, first = (uintptr_t)snapshot->applications;
    size_t size = sizeof(*snapshot->applications);

    if (shown == NULL || at < first || at >= first + snapshot->application_count * size ||
        (at - first) % size != 0)
        return NULL;
    return &snapshot->applications[(at - first) / size];
}

void
policy_decide_application(const policy_snapshot *snapshot,
    const struct policy_application *application, const struct policy_request *request, int64_t now,
    struct policy_verdict *out)
{
    struct question q = {policy_inside(snapshot, application), request, now};

    *out = (struct policy_verdict){.rule = POLICY_RULE_APPLICATION_UNKNOWN};
    if (q.application == NULL)
        return;
    *out = (struct policy_verdict){.rule = POLICY_RULE_OPERATIONS_ONLY, .application = application};
    if (pass_gates(&q, out))
        decide_names(snapshot, &q, out);
}

void
policy_decide(const policy_snapshot *snapshot, const struct policy_subject *subject,
    const struct policy_request *request, int64_t now, struct policy_verdict *out)
{
    *out = (struct policy_verdict){0};
    const struct application *application =
        policy_choose(snapshot, subject, request->application, &out->rule);
    if (application != NULL)
        policy_decide_application(snapshot, &application->shown, request, now, out);
}
