#include "policy/index.h"

#include <stdlib.h>
#include <string.h>

enum {
    CROWD = 8, /* claims of a chain that are still walked */
    /* A slot is the claim's number plus one, and bits of its hash that spare most comparisons. */
    SLOT_TAG_BITS = 10,
    SLOT_TAG_MASK = (1 << SLOT_TAG_BITS) - 1,
    CAPACITY_MIN = 64,
    SLOTS_MIN = 16,
    /* A link is the next claim (all bits set: none), the kind, and the mark of a crowded chain. */
    LINK_KIND_SHIFT = 22,
    LINK_NEXT_MASK = (1 << LINK_KIND_SHIFT) - 1,
    LINK_KIND_MASK = 0xf,
    LINK_CROWDED = 1 << 26,
};

/* FNV-1a from the last octet to the first: one pass over a name gives all its suffixes' hashes.
 * Keys come from administrators; a request can choose what is looked up, not what is in a table. */
#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

static uint64_t
hash_octet(uint64_t hash, char octet)
{
    return (hash ^ (uint8_t)octet) * FNV_PRIME;
}

static uint64_t
hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = FNV_OFFSET;

    while (length > 0)
        hash = hash_octet(hash, bytes[--length]);
    return hash;
}

static uint64_t
mix(uint64_t hash, uint64_t salt)
{
    hash = (hash ^ (salt + 1) * 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
    hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
    return hash ^ hash >> 32;
}

/* Keys. */

struct policy_index_key
policy_index_key_of(const char *text)
{
    size_t length = strlen(text);

    return (struct policy_index_key){text, length, hash_bytes(text, length)};
}

void
policy_index_suffixes_of(const char *name, size_t length, struct policy_index_suffixes *out)
{
    uint64_t hashes[INDEX_LABELS_MAX];
    const char *starts[INDEX_LABELS_MAX];
    uint64_t hash = FNV_OFFSET;
    unsigned count = 0;

    for (size_t i = length; i > 0 && count < INDEX_LABELS_MAX; i--) {
        hash = hash_octet(hash, name[i - 1]);
        if (i > 1 && name[i - 2] != '.')
            continue;
        hashes[count] = hash;
        starts[count++] = name + i - 1;
    }
    out->count = count;
    for (unsigned i = 0; i < count; i++) {
        const char *start = starts[count - 1 - i];

        out->keys[i] = (struct policy_index_key){
            start, (size_t)(name + length - start), hashes[count - 1 - i]};
    }
}

struct policy_index_key
policy_index_network_key(const struct policy_network *network, char octets[INDEX_NETWORK_KEY_SIZE])
{
    octets[0] = (char)network->size;
    octets[1] = (char)network->prefix;
    memcpy(octets + 2, network->address, sizeof(network->address));
    return (struct policy_index_key){
        octets, INDEX_NETWORK_KEY_SIZE, hash_bytes(octets, INDEX_NETWORK_KEY_SIZE)};
}

const char *
policy_index_put_network(struct policy_arena *arena, const struct policy_network *network)
{
    char record[INDEX_NETWORK_KEY_SIZE + POLICY_NETWORK_TEXT_SIZE];
    char *text = record + INDEX_NETWORK_KEY_SIZE;

    policy_index_network_key(network, record);
    policy_network_text(network, text);
    const char *put = policy_arena_put(arena, record, INDEX_NETWORK_KEY_SIZE + strlen(text));
    return put == NULL ? NULL : put + INDEX_NETWORK_KEY_SIZE;
}

struct policy_network
policy_index_network_of(const char *text)
{
    const char *octets = text - INDEX_NETWORK_KEY_SIZE;
    struct policy_network network = {.size = (uint8_t)octets[0], .prefix = (uint8_t)octets[1]};

    memcpy(network.address, octets + 2, sizeof(network.address));
    return network;
}

/* Links. */

enum claim_kind
policy_index_kind(const struct policy_index *index, uint32_t claim)
{
    return (enum claim_kind)(index->links[claim] >> LINK_KIND_SHIFT & LINK_KIND_MASK);
}

uint32_t
policy_index_next(const struct policy_index *index, uint32_t claim)
{
    uint32_t next = index->links[claim] & LINK_NEXT_MASK;

    return next == LINK_NEXT_MASK ? CLAIM_NONE : next;
}

static void
set_next(struct policy_index *index, uint32_t claim, uint32_t next)
{
    index->links[claim] =
        (index->links[claim] & ~(uint32_t)LINK_NEXT_MASK) | (next & LINK_NEXT_MASK);
}

static bool
is_crowded(const struct policy_index *index, uint32_t claim)
{
    return (index->links[claim] & LINK_CROWDED) != 0;
}

/* How the text of a claim is found. */
enum key_form { KEY_TEXT, KEY_PARENT, KEY_NETWORK };

static const enum key_form key_forms[] = {
    [CLAIM_EXACT] = KEY_TEXT,
    [CLAIM_SUBDOMAINS] = KEY_TEXT,
    [CLAIM_WILDCARDS] = KEY_TEXT,
    [CLAIM_DENY] = KEY_TEXT,
    [CLAIM_ADDRESSES] = KEY_NETWORK,
    [CLAIM_PROFILES] = KEY_TEXT,
    [CLAIM_SHARES] = KEY_TEXT,
    [CLAIM_RELAY_NETWORKS] = KEY_NETWORK,
    [CLAIM_RELAY_CERTIFICATES] = KEY_TEXT,
    [CLAIM_EXACT_CHILD] = KEY_PARENT,
    [CLAIM_DENY_CHILD] = KEY_PARENT,
    [CLAIM_APPLICATION] = KEY_TEXT,
    [CLAIM_ACCOUNT] = KEY_TEXT,
    [CLAIM_CEILING] = KEY_TEXT,
    [CLAIM_CEILING_NETWORK] = KEY_NETWORK,
};

static const char *
key_start(const struct policy_index *index, uint32_t claim)
{
    const char *text = index->texts[claim];
    enum key_form form = key_forms[policy_index_kind(index, claim)];

    if (form == KEY_PARENT)
        return strchr(text, '.') + 1;
    return form == KEY_NETWORK ? text - INDEX_NETWORK_KEY_SIZE : text;
}

struct policy_index_key
policy_index_key_of_claim(const struct policy_index *index, uint32_t claim)
{
    const char *start = key_start(index, claim);
    bool network = key_forms[policy_index_kind(index, claim)] == KEY_NETWORK;
    size_t length = network ? INDEX_NETWORK_KEY_SIZE : strlen(start);

    return (struct policy_index_key){start, length, hash_bytes(start, length)};
}

static bool
claim_is(const struct policy_index *index, uint32_t claim, enum claim_kind kind,
    const struct policy_index_key *key)
{
    if (policy_index_kind(index, claim) != kind)
        return false;
    const char *start = key_start(index, claim);
    if (key_forms[kind] == KEY_NETWORK)
        return memcmp(start, key->bytes, INDEX_NETWORK_KEY_SIZE) == 0;
    return strncmp(start, key->bytes, key->length) == 0 && start[key->length] == '\0';
}

/* Claims. */

static aw_result
resize(struct policy_index *index, size_t capacity)
{
    const char **texts = realloc(index->texts, capacity * sizeof(*texts));

    if (texts == NULL)
        return aw_fail_memory();
    index->texts = texts;
    uint32_t *links = realloc(index->links, capacity * sizeof(*links));
    if (links == NULL)
        return aw_fail_memory();
    index->links = links;
    uint16_t *owners = realloc(index->owners, capacity * sizeof(*owners));
    if (owners == NULL)
        return aw_fail_memory();
    index->owners = owners;
    index->capacity = capacity;
    return AW_OK;
}

static aw_result
grow(struct policy_index *index)
{
    size_t capacity = index->capacity == 0 ? CAPACITY_MIN : 2 * index->capacity;

    return resize(index, capacity);
}

aw_result
policy_index_add(struct policy_index *index, enum claim_kind kind, const char *text)
{
    if (text == NULL)
        return aw_fail_memory();
    if (index->count == INDEX_CLAIMS_MAX)
        return aw_fail(AW_CODE_LIMIT, "the policies have more than %d entries", INDEX_CLAIMS_MAX);
    if (index->count == index->capacity)
        AW_TRY(grow(index));
    index->texts[index->count] = text;
    index->links[index->count] = (uint32_t)kind << LINK_KIND_SHIFT | LINK_NEXT_MASK;
    index->owners[index->count] = 0;
    index->count++;
    return AW_OK;
}

/* A third of the slots stays empty. */
static size_t
slots_for(size_t count)
{
    return count * 3 / 2 + SLOTS_MIN;
}

/* Where a hash begins to look: its low half as a fraction of the table. */
static size_t
home_of(uint64_t hash, size_t count)
{
    return (hash & UINT32_MAX) * count >> 32;
}

static size_t
after(size_t at, size_t count)
{
    return at + 1 == count ? 0 : at + 1;
}

static uint32_t
make_slot(uint32_t claim, uint64_t hash)
{
    return (claim + 1) << SLOT_TAG_BITS | (uint32_t)(hash >> (64 - SLOT_TAG_BITS));
}

static uint32_t
claim_in(uint32_t slot)
{
    return (slot >> SLOT_TAG_BITS) - 1;
}

static bool
tag_matches(uint32_t slot, uint64_t hash)
{
    return (slot & SLOT_TAG_MASK) == hash >> (64 - SLOT_TAG_BITS);
}

/* The slot that holds the chain, or the empty one where it would be. */
static size_t
probe(const struct policy_index *index, enum claim_kind kind, const struct policy_index_key *key,
    uint64_t hash)
{
    size_t at = home_of(hash, index->slot_count);

    while (index->slots[at] != 0) {
        if (tag_matches(index->slots[at], hash) &&
            claim_is(index, claim_in(index->slots[at]), kind, key))
            break;
        at = after(at, index->slot_count);
    }
    return at;
}

static uint64_t
hash_of_claim(const struct policy_index *index, uint32_t claim)
{
    return mix(policy_index_key_of_claim(index, claim).hash, policy_index_kind(index, claim));
}

/* Moves all chains to a table of `count` slots. */
static aw_result
rebuild_slots(struct policy_index *index, size_t count)
{
    uint32_t *slots = calloc(count, sizeof(*slots));

    if (slots == NULL)
        return aw_fail_memory();
    for (size_t old = 0; old < index->slot_count; old++) {
        if (index->slots[old] == 0)
            continue;
        size_t at = home_of(hash_of_claim(index, claim_in(index->slots[old])), count);

        while (slots[at] != 0)
            at = after(at, count);
        slots[at] = index->slots[old];
    }
    free(index->slots);
    index->slots = slots;
    index->slot_count = count;
    return AW_OK;
}

aw_result
policy_index_open(struct policy_index *index)
{
    return rebuild_slots(index, SLOTS_MIN);
}

aw_result
policy_index_link(struct policy_index *index, uint32_t claim, uint16_t owner, uint32_t *head)
{
    enum claim_kind kind = policy_index_kind(index, claim);
    struct policy_index_key key = policy_index_key_of_claim(index, claim);
    uint64_t hash = mix(key.hash, kind);

    if (index->chains * 4 >= index->slot_count * 3)
        AW_TRY(rebuild_slots(index, 2 * index->slot_count));
    size_t at = probe(index, kind, &key, hash);
    *head = index->slots[at] == 0 ? CLAIM_NONE : claim_in(index->slots[at]);
    index->chains += *head == CLAIM_NONE;
    index->owners[claim] = owner;
    set_next(index, claim, *head);
    index->slots[at] = make_slot(claim, hash);
    return AW_OK;
}

uint32_t
policy_index_find(
    const struct policy_index *index, enum claim_kind kind, const struct policy_index_key *key)
{
    size_t at = probe(index, kind, key, mix(key->hash, kind));

    return index->slots[at] == 0 ? CLAIM_NONE : claim_in(index->slots[at]);
}

/* The second table: crowded chains by owner. */

static size_t
chain_length(const struct policy_index *index, uint32_t head)
{
    size_t length = 0;

    for (uint32_t i = head; i != CLAIM_NONE; i = policy_index_next(index, i))
        length++;
    return length;
}

static uint64_t
crowded_hash(uint64_t hash, enum claim_kind kind, uint16_t owner)
{
    return mix(mix(hash, kind), owner);
}

static void
link_crowded(struct policy_index *index, uint32_t head)
{
    uint64_t key_hash = policy_index_key_of_claim(index, head).hash;

    for (uint32_t i = head; i != CLAIM_NONE; i = policy_index_next(index, i)) {
        uint64_t hash = crowded_hash(key_hash, policy_index_kind(index, i), index->owners[i]);
        size_t at = home_of(hash, index->crowded_count);

        while (index->crowded[at] != 0)
            at = after(at, index->crowded_count);
        index->crowded[at] = make_slot(i, hash);
    }
}

static uint32_t
find_crowded(const struct policy_index *index, enum claim_kind kind,
    const struct policy_index_key *key, uint16_t owner)
{
    uint64_t hash = crowded_hash(key->hash, kind, owner);
    size_t at = home_of(hash, index->crowded_count);

    for (; index->crowded[at] != 0; at = after(at, index->crowded_count)) {
        uint32_t claim = claim_in(index->crowded[at]);

        if (tag_matches(index->crowded[at], hash) && index->owners[claim] == owner &&
            claim_is(index, claim, kind, key))
            return claim;
    }
    return CLAIM_NONE;
}

/* Marks the chains that are too long to walk; the number of their claims. */
static size_t
mark_crowded(struct policy_index *index)
{
    size_t members = 0;

    for (size_t at = 0; at < index->slot_count; at++) {
        if (index->slots[at] == 0)
            continue;
        uint32_t head = claim_in(index->slots[at]);
        size_t length = chain_length(index, head);

        if (length <= CROWD)
            continue;
        index->links[head] |= LINK_CROWDED;
        members += length;
    }
    return members;
}

aw_result
policy_index_close(struct policy_index *index)
{
    /* An allocation of nothing may be NULL. */
    AW_TRY(resize(index, index->count + 1));
    AW_TRY(rebuild_slots(index, slots_for(index->chains)));
    size_t members = mark_crowded(index);
    if (members == 0)
        return AW_OK;
    index->crowded_count = slots_for(members);
    index->crowded = calloc(index->crowded_count, sizeof(*index->crowded));
    if (index->crowded == NULL)
        return aw_fail_memory();
    for (size_t at = 0; at < index->slot_count; at++)
        if (index->slots[at] != 0 && is_crowded(index, claim_in(index->slots[at])))
            link_crowded(index, claim_in(index->slots[at]));
    return AW_OK;
}

uint32_t
policy_index_find_own(const struct policy_index *index, enum claim_kind kind,
    const struct policy_index_key *key, uint16_t owner)
{
    uint32_t claim = policy_index_find(index, kind, key);

    if (claim == CLAIM_NONE)
        return CLAIM_NONE;
    if (is_crowded(index, claim))
        return find_crowded(index, kind, key, owner);
    while (claim != CLAIM_NONE && index->owners[claim] != owner)
        claim = policy_index_next(index, claim);
    return claim;
}

void
policy_index_free(struct policy_index *index)
{
    free(index->texts);
    free(index->links);
    free(index->owners);
    free(index->slots);
    free(index->crowded);
    *index = (struct policy_index){0};
}
