#include "admin/report_grants.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

const char *
report_grant_list(enum report_list_kind list)
{
    static const char *const names[] = {
        [REPORT_GRANT_EXACT] = "exact",
        [REPORT_GRANT_SUBDOMAINS] = "subdomains_of",
        [REPORT_GRANT_WILDCARDS] = "wildcards_of",
        [REPORT_GRANT_ADDRESSES] = "addresses",
    };

    return names[list];
}

void
report_grants_free(struct report_grants *grants)
{
    free(grants->items);
    free(grants->users);
    *grants = (struct report_grants){.items = NULL};
}

static bool
add_grant(struct report_grants *grants, const struct report_grant *grant)
{
    if (!aw_ok(aw_array_grow(&grants->items, grants->count, &grants->room, sizeof(*grant))))
        return false;
    grants->items[grants->count++] = *grant;
    return true;
}

static bool
add_application(const struct policy_application *a, void *context)
{
    struct report_grants *grants = context;
    const struct {
        const char *const *items;
        size_t count;
    } lists[] = {
        [REPORT_GRANT_EXACT] = {a->exact, a->exact_count},
        [REPORT_GRANT_SUBDOMAINS] = {a->subdomains_of, a->subdomains_count},
        [REPORT_GRANT_WILDCARDS] = {a->wildcards_of, a->wildcards_count},
        [REPORT_GRANT_ADDRESSES] = {a->addresses, a->addresses_count},
    };

    grants->failed |= !aw_ok(aw_array_grow(
        &grants->users, grants->user_count, &grants->user_room, sizeof(*grants->users)));
    if (grants->failed)
        return false;
    grants->users[grants->user_count++] = (struct report_user){.application = a};
    for (size_t list = 0; list < AW_COUNT(lists); list++)
        for (size_t i = 0; i < lists[list].count && !grants->failed; i++)
            grants->failed =
                !add_grant(grants, &(struct report_grant){a, (enum report_list_kind)list,
                                       lists[list].items[i], 0, false});
    return !grants->failed;
}

static int
by_place(const void *left, const void *right)
{
    const struct report_grant *a = left, *b = right;
    int order = strcmp(a->application->name, b->application->name);

    if (order == 0)
        order = (a->list > b->list) - (a->list < b->list);
    return order == 0 ? strcmp(a->text, b->text) : order;
}

static int
by_name(const void *left, const void *right)
{
    const struct report_user *a = left, *b = right;

    return strcmp(a->application->name, b->application->name);
}

aw_result
report_grants_of(
    const policy_snapshot *snapshot, const char *application, struct report_grants *out)
{
    const struct policy_application *one =
        application == NULL ? NULL : policy_find(snapshot, application);

    if (application == NULL)
        policy_visit_all(snapshot, add_application, out);
    else if (one != NULL)
        add_application(one, out);
    if (out->failed)
        return aw_fail_memory();
    if (out->count > 0)
        qsort(out->items, out->count, sizeof(*out->items), by_place);
    if (out->user_count > 0)
        qsort(out->users, out->user_count, sizeof(*out->users), by_name);
    return AW_OK;
}

struct report_user *
report_grants_user(const struct report_grants *grants, const char *application)
{
    const struct policy_application named = {.name = application};
    const struct report_user wanted = {.application = &named};

    if (application == NULL || grants->user_count == 0)
        return NULL;
    return bsearch(&wanted, grants->users, grants->user_count, sizeof(wanted), by_name);
}

static struct report_grant *
find(const struct report_grants *grants, const struct policy_application *application,
    enum report_list_kind list, const char *text)
{
    const struct report_grant wanted = {application, list, text, 0, false};

    if (grants->count == 0)
        return NULL;
    return bsearch(&wanted, grants->items, grants->count, sizeof(wanted), by_place);
}

static bool
is_within(const struct policy_network *network, const struct aw_name *address)
{
    unsigned octets = network->prefix / 8, bits = network->prefix % 8;

    if (network->size != address->address_size ||
        memcmp(network->address, address->address, octets) != 0)
        return false;
    return bits == 0 || (network->address[octets] ^ address->address[octets]) >> (8 - bits) == 0;
}

/* The smallest network of the application that holds it. */
static struct report_grant *
find_network(const struct report_grants *grants, const struct policy_application *application,
    const struct aw_name *address)
{
    struct report_grant *best = NULL;
    unsigned prefix = 0;

    for (size_t i = 0; i < application->addresses_count; i++) {
        const char *text = application->addresses[i];
        struct policy_network network;

        if (!aw_ok(policy_network_parse(text, strlen(text), &network)) ||
            !is_within(&network, address) || (best != NULL && network.prefix < prefix))
            continue;
        best = find(grants, application, REPORT_GRANT_ADDRESSES, text);
        prefix = network.prefix;
    }
    return best;
}

static struct report_grant *
find_host(const struct report_grants *grants, const struct policy_application *application,
    const char *name)
{
    struct report_grant *grant = find(grants, application, REPORT_GRANT_EXACT, name);

    /* From the longest suffix to the shortest. */
    for (const char *dot = strchr(name, '.'); grant == NULL && dot != NULL;
         dot = strchr(dot + 1, '.'))
        grant = find(grants, application, REPORT_GRANT_SUBDOMAINS, dot + 1);
    return grant;
}

static struct report_grant *
find_name(const struct report_grants *grants, const char *application, const char *name)
{
    const struct report_user *user = report_grants_user(grants, application);
    struct aw_name address;

    if (user == NULL)
        return NULL;
    if (strncmp(name, "*.", 2) == 0)
        return find(grants, user->application, REPORT_GRANT_WILDCARDS, name + 2);
    if (aw_ok(aw_name_parse_address(name, strlen(name), &address)))
        return find_network(grants, user->application, &address);
    return find_host(grants, user->application, name);
}

void
report_grants_use(
    struct report_grants *grants, const char *application, const char *name, int64_t time)
{
    struct report_grant *grant = find_name(grants, application, name);

    if (grant != NULL && time > grant->last_used)
        grant->last_used = time;
}

void
report_grants_hold(struct report_grants *grants, const char *application, const char *name)
{
    struct report_grant *grant = find_name(grants, application, name);

    if (grant != NULL)
        grant->held = true;
}
