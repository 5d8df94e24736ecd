/* The entry that a refused name came closest to. */
#include "policy/nearest.h"

#include <string.h>

static size_t
labels_of(const char *text)
{
    size_t labels = 1;

    for (; *text != '\0'; text++)
        labels += *text == '.';
    return labels;
}

/* Labels that two names have in common, from the right. */
static size_t
common_labels(const char *a, const char *b)
{
    size_t i = strlen(a), j = strlen(b), labels = 0;

    while (i > 0 && j > 0 && a[i - 1] == b[j - 1]) {
        i--;
        j--;
        labels += a[i] == '.';
    }
    if ((i == 0 || a[i - 1] == '.') && (j == 0 || b[j - 1] == '.'))
        labels++;
    return labels;
}

/* The best so far: more in common wins, then the shorter entry. */
struct best {
    const char *list;
    const char *text;
    size_t common;
    size_t labels;
};

static void
look_nearer(
    struct best *best, const char *list, const char *const *items, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        size_t common = common_labels(items[i], name), labels = labels_of(items[i]);

        if (common < best->common || (common == best->common && labels >= best->labels))
            continue;
        *best = (struct best){list, items[i], common, labels};
    }
}

/* The entry that is the name. */
static bool
find_same(
    struct nearest *out, const char *list, const char *const *items, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i], name) != 0)
            continue;
        *out = (struct nearest){list, items[i], true};
        return true;
    }
    return false;
}

/* The longest entry that the name is below. */
static void
find_above(struct nearest *out, const struct policy_application *a, const char *name)
{
    size_t length = strlen(name), longest = 0;

    for (size_t i = 0; i < a->subdomains_count; i++) {
        size_t size = strlen(a->subdomains_of[i]);

        if (size <= longest || length <= size + 1 || name[length - size - 1] != '.' ||
            strcmp(name + length - size, a->subdomains_of[i]) != 0)
            continue;
        *out = (struct nearest){"subdomains_of", a->subdomains_of[i], true};
        longest = size;
    }
}

static struct nearest
near_name(const struct policy_application *a, const struct aw_name *name)
{
    bool wildcard = name->form == AW_NAME_WILDCARD;
    const char *text = wildcard ? name->text + 2 : name->text;
    struct nearest found = {0};
    /* One label in common is a top-level domain: no help. */
    struct best best = {.common = 1};

    if (wildcard)
        find_same(&found, "wildcards_of", a->wildcards_of, a->wildcards_count, text);
    else if (!find_same(&found, "exact", a->exact, a->exact_count, text))
        find_above(&found, a, text);
    if (found.covers)
        return found;
    look_nearer(&best, "subdomains_of", a->subdomains_of, a->subdomains_count, text);
    look_nearer(&best, "wildcards_of", a->wildcards_of, a->wildcards_count, text);
    look_nearer(&best, "exact", a->exact, a->exact_count, text);
    return (struct nearest){best.list, best.text, false};
}

/* Addresses: bits in common, from the left. */

static unsigned
common_bits(const struct policy_network *network, const struct aw_name *name)
{
    unsigned bits = 0;

    if (network->size != name->address_size)
        return 0;
    while (bits < network->prefix &&
           ((network->address[bits / 8] ^ name->address[bits / 8]) >> (7 - bits % 8) & 1) == 0)
        bits++;
    return bits;
}

static struct nearest
near_address(const struct policy_application *a, const struct aw_name *name)
{
    struct nearest found = {0};
    unsigned most = 0;

    for (size_t i = 0; i < a->addresses_count; i++) {
        struct policy_network network = policy_index_network_of(a->addresses[i]);
        unsigned bits = common_bits(&network, name);
        bool covers = bits == network.prefix;

        /* Half of an address in common is the least that may be of help. */
        if (bits <= most || (bits < name->address_size * 4u && !covers) || covers < found.covers)
            continue;
        found = (struct nearest){"addresses", a->addresses[i], covers};
        most = bits;
    }
    return found;
}

struct nearest
policy_nearest(const struct policy_application *application, const struct aw_name *name)
{
    return name->form == AW_NAME_ADDRESS ? near_address(application, name)
                                         : near_name(application, name);
}

const char *
policy_nearest_ceiling(const policy_snapshot *snapshot, const struct application *application,
    const struct aw_name *name)
{
    const struct policy_index *index = &snapshot->index;
    const char *text = name->form == AW_NAME_WILDCARD ? name->text + 2 : name->text;
    struct best best = {.common = 1};

    if (name->form == AW_NAME_ADDRESS) {
        struct policy_network network = {
            .size = name->address_size, .prefix = (uint8_t)(name->address_size * 8)};
        memcpy(network.address, name->address, sizeof(network.address));
        uint32_t claim = policy_ceiling_of_network(snapshot, application, &network);
        return claim == CLAIM_NONE ? NULL : index->texts[claim];
    }
    for (uint32_t i = 0; i < index->count && claim_is_of_account(policy_index_kind(index, i)); i++)
        if (policy_index_kind(index, i) == CLAIM_CEILING &&
            index->owners[i] == application->account)
            look_nearer(&best, "ceiling", &index->texts[i], 1, text);
    return best.text;
}
