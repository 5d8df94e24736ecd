#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "reference.h"

/* Reasons that may speak against one request. */
enum { REASONS_MAX = 8 + REFERENCE_NAMES_MAX };

static bool
is_below(const char *name, const char *above)
{
    size_t length = strlen(name), tail = strlen(above);

    return length > tail && name[length - tail - 1] == '.' &&
           strcmp(name + length - tail, above) == 0;
}

static bool
is_at_or_below(const char *name, const char *above)
{
    return strcmp(name, above) == 0 || is_below(name, above);
}

static bool
is_child(const char *name, const char *parent)
{
    const char *dot = strchr(name, '.');

    return dot != NULL && strcmp(dot + 1, parent) == 0;
}

static int
label_count(const char *name)
{
    int count = 1;

    for (; *name != '\0'; name++)
        count += *name == '.';
    return count;
}

static bool
in_ceiling(const struct rules *a, const char *base)
{
    for (int i = 0; i < 2; i++)
        if (world_ceilings[a->account][i] != NULL &&
            is_at_or_below(base, world_ceilings[a->account][i]))
            return true;
    return false;
}

static bool
is_denied(const struct rules *a, const char *base)
{
    for (int i = 0; i < a->counts[DENY]; i++)
        if (is_at_or_below(base, a->lists[DENY][i]))
            return true;
    return false;
}

static bool
is_foreign(const struct world *w, int a, int b)
{
    return a != b && !w->applications[a].shares[b];
}

/* How specific an application's claim on a host name is, in labels; 0: no claim. */
static int
claim_on_host(const struct rules *a, const char *host, bool with_wildcards)
{
    int best = has(a, EXACT, host) ? label_count(host) : 0;

    for (int i = 0; i < a->counts[SUBDOMAINS]; i++) {
        int labels = label_count(a->lists[SUBDOMAINS][i]);

        if (is_below(host, a->lists[SUBDOMAINS][i]) && labels > best)
            best = labels;
    }
    for (int i = 0; i < a->counts[WILDCARDS] && with_wildcards; i++) {
        int labels = label_count(a->lists[WILDCARDS][i]);

        if (is_child(host, a->lists[WILDCARDS][i]) && labels > best)
            best = labels;
    }
    return best;
}

static enum policy_rule
reference_host(const struct world *w, int a, const char *host)
{
    const struct rules *mine = &w->applications[a];
    int own = claim_on_host(mine, host, false);

    for (int b = 0; b < w->count; b++)
        if (is_foreign(w, a, b) && claim_on_host(&w->applications[b], host, true) > own)
            return POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER;
    if (has(mine, EXACT, host))
        return POLICY_RULE_NAMES_EXACT;
    return own > 0 ? POLICY_RULE_NAMES_SUBDOMAINS : POLICY_RULE_NAMES_NONE;
}

/* True when a foreign application lists `base` itself (or a name right below, or above) so. */
static bool
any_foreign(const struct world *w, int a, enum list list, const char *base,
    bool (*relation)(const char *, const char *))
{
    for (int b = 0; b < w->count; b++)
        for (int i = 0; is_foreign(w, a, b) && i < w->applications[b].counts[list]; i++)
            if (relation(w->applications[b].lists[list][i], base))
                return true;
    return false;
}

static bool
is_same(const char *listed, const char *base)
{
    return strcmp(listed, base) == 0;
}

static bool
is_above(const char *listed, const char *base)
{
    return is_below(base, listed);
}

static enum policy_rule
reference_wildcard(const struct world *w, int a, const char *base)
{
    const struct rules *mine = &w->applications[a];

    for (int i = 0; i < mine->counts[DENY]; i++)
        if (is_child(mine->lists[DENY][i], base))
            return POLICY_RULE_NAMES_WILDCARD_COVERS_DENIED;
    if (any_foreign(w, a, EXACT, base, is_child) || any_foreign(w, a, SUBDOMAINS, base, is_same))
        return POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER;
    if (has(mine, WILDCARDS, base))
        return POLICY_RULE_NAMES_WILDCARDS;
    if (any_foreign(w, a, WILDCARDS, base, is_same))
        return POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER;
    if (any_foreign(w, a, SUBDOMAINS, base, is_above))
        return POLICY_RULE_NAMES_WILDCARD_COVERS_OTHER;
    return POLICY_RULE_NAMES_NONE;
}

/* Prefix of the smallest network of a list that an address is in; 0: none. */
static unsigned
smallest_network(const struct rules *a, unsigned last_octet)
{
    unsigned best = 0;

    for (int i = 0; i < a->counts[ADDRESSES]; i++) {
        unsigned host, bits = 32;

        assert_true(sscanf(a->lists[ADDRESSES][i], "192.0.2.%u/%u", &host, &bits) >= 1);
        if (last_octet >> (32 - bits) == host >> (32 - bits) && bits > best)
            best = bits;
    }
    return best;
}

static enum policy_rule
reference_address(const struct world *w, int a, unsigned last_octet)
{
    const struct rules *mine = &w->applications[a];
    unsigned own = smallest_network(mine, last_octet);

    if (last_octet >= world_octets[mine->account])
        return POLICY_RULE_ACCOUNT_CEILING;
    for (int b = 0; b < w->count; b++)
        if (is_foreign(w, a, b) && smallest_network(&w->applications[b], last_octet) > own)
            return POLICY_RULE_NAMES_SUBDOMAIN_OF_OTHER;
    return own > 0 ? POLICY_RULE_NAMES_ADDRESSES : POLICY_RULE_NAMES_NONE;
}

static enum policy_rule
reference_name(const struct world *w, int a, const struct aw_name *name)
{
    const char *base = name->form == AW_NAME_WILDCARD ? name->text + 2 : name->text;

    if (name->form == AW_NAME_ADDRESS)
        return reference_address(w, a, name->address[3]);
    if (!in_ceiling(&w->applications[a], base))
        return POLICY_RULE_ACCOUNT_CEILING;
    if (is_denied(&w->applications[a], base))
        return POLICY_RULE_NAMES_DENY;
    return name->form == AW_NAME_WILDCARD ? reference_wildcard(w, a, base)
                                          : reference_host(w, a, base);
}

static bool
permits(enum policy_rule rule)
{
    return rule == POLICY_RULE_NAMES_EXACT || rule == POLICY_RULE_NAMES_SUBDOMAINS ||
           rule == POLICY_RULE_NAMES_WILDCARDS || rule == POLICY_RULE_NAMES_ADDRESSES;
}

static bool
is_soft(enum policy_rule rule)
{
    return rule == POLICY_RULE_NAMES_NONE || rule == POLICY_RULE_LIMIT_NAMES ||
           rule == POLICY_RULE_PROFILE || rule == POLICY_RULE_KEYS;
}

/* Every rule that speaks against the request, in their order; then the last name's permit. */
static int
reference_rules(const struct world *w, int a, const struct policy_request *q, int64_t now,
    enum policy_rule out[REASONS_MAX])
{
    const struct rules *mine = &w->applications[a];
    enum policy_rule last = POLICY_RULE_OPERATIONS_ONLY;
    int count = 0;

    if (mine->ghost)
        out[count++] = POLICY_RULE_APPLICATION_INERT;
    if (mine->expires && now >= LAST_DAY)
        out[count++] = POLICY_RULE_APPLICATION_EXPIRED;
    if (q->operation == POLICY_ORDER ? !mine->order : !mine->revoke)
        out[count++] = POLICY_RULE_OPERATION;
    if ((int)q->name_count > mine->most_names)
        out[count++] = POLICY_RULE_LIMIT_NAMES;
    if (q->profile != NULL && !(mine->profile && strcmp(q->profile, "classic") == 0))
        out[count++] = POLICY_RULE_PROFILE;
    if (q->has_validity)
        out[count++] = POLICY_RULE_VALIDITY;
    if (q->has_key && !mine->keys[q->key])
        out[count++] = POLICY_RULE_KEYS;
    for (size_t i = 0; i < q->name_count; i++) {
        last = reference_name(w, a, &q->names[i]);
        if (!permits(last))
            out[count++] = last;
    }
    out[count++] = last;
    return count;
}

struct expectation
reference(const struct world *w, int a, const struct policy_request *q, int64_t now)
{
    enum policy_rule rules[REASONS_MAX];
    int count = reference_rules(w, a, q, now, rules) - 1;
    bool soft = w->applications[a].warns && now < LAST_DAY;

    for (int i = 0; i < count; i++)
        if (!soft || !is_soft(rules[i]))
            return (struct expectation){false, false, rules[i]};
    if (count > 0)
        return (struct expectation){true, true, rules[0]};
    return (struct expectation){true, false, rules[count]};
}
