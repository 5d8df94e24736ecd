/**
 * @file index.h
 * @brief The claims of all applications, found by what they say: one open-addressing hash table.
 *
 * A claim is a kind, a text and an owner ("dept_myapp1 lists www.example.edu in exact"). Claims of
 * the same kind and text form a chain; the table finds the chain's head. A name is looked up once
 * per suffix, so the cost follows its labels, not the number of claims. Long chains (a suffix that
 * thousands of applications share) have a second table, by owner.
 */
#ifndef AW_POLICY_INDEX_H
#define AW_POLICY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "policy/arena.h"
#include "policy/policy.h"

/** What a claim says. Its owner is an application, for ACCOUNT and CEILING an account. */
enum claim_kind {
    CLAIM_EXACT, /**< the first nine are an application's lists, in this order */
    CLAIM_SUBDOMAINS,
    CLAIM_WILDCARDS,
    CLAIM_DENY,
    CLAIM_ADDRESSES, /**< text of a network, its key in front (policy_index_put_network) */
    CLAIM_PROFILES,
    CLAIM_SHARES,         /**< text: the other application's name */
    CLAIM_RELAY_NETWORKS, /**< as CLAIM_ADDRESSES */
    CLAIM_RELAY_CERTIFICATES,
    CLAIM_EXACT_CHILD, /**< text: an exact name; found by the name one label above it */
    CLAIM_DENY_CHILD,  /**< the same of a denied name */
    CLAIM_APPLICATION, /**< text: an application's name */
    CLAIM_ACCOUNT,     /**< text: an account's name */
    CLAIM_CEILING,
    CLAIM_CEILING_NETWORK,
};

enum {
    CLAIM_LISTS = CLAIM_RELAY_CERTIFICATES + 1, /**< kinds that are lists of an application */
    CLAIM_NAMES = CLAIM_ADDRESSES + 1,          /**< kinds that count as names */
};

/** True for what is said of accounts: these claims are the first of an index. */
static inline bool
claim_is_of_account(enum claim_kind kind)
{
    return kind == CLAIM_ACCOUNT || kind == CLAIM_CEILING || kind == CLAIM_CEILING_NETWORK;
}

/** No claim. */
#define CLAIM_NONE UINT32_MAX

_Static_assert(POLICY_APPLICATIONS_MAX <= UINT16_MAX && POLICY_ACCOUNTS_MAX <= UINT16_MAX,
    "owners are numbers of 16 bits");

/** Limits: what the slots' bits hold. */
enum {
    INDEX_CLAIMS_MAX = (1 << 22) - 2,
    INDEX_NETWORK_KEY_SIZE = 18, /**< octets: size, prefix, 16 of address */
};

/** Zero-initialise; release: policy_index_free. Claims are numbers; what they are is in arrays. */
struct policy_index {
    const char **texts; /**< of each claim; texts live in an arena */
    uint32_t *links;    /**< kind, the chain's next claim, and whether the chain is crowded */
    uint16_t *owners;   /**< numbers of applications or accounts */
    size_t count;
    size_t capacity;
    uint32_t *slots;
    size_t slot_count;
    size_t chains; /**< slots in use */
    uint32_t *crowded;
    size_t crowded_count; /**< 0: no crowded chain */
};

/** What a claim says. */
enum claim_kind policy_index_kind(const struct policy_index *index, uint32_t claim);

/** The next claim of the chain, or CLAIM_NONE. */
uint32_t policy_index_next(const struct policy_index *index, uint32_t claim);

/** What is looked for. */
struct policy_index_key {
    const char *bytes;
    size_t length;
    uint64_t hash; /**< FNV-1a of the bytes */
};

/** Names have at most this many labels (RFC 1035: 255 octets on the wire). */
enum { INDEX_LABELS_MAX = 128 };

/** The keys of a host name's suffixes: the whole name first, the last label last. */
struct policy_index_suffixes {
    unsigned count;
    struct policy_index_key keys[INDEX_LABELS_MAX];
};

/** Adds a claim with no owner yet; not found until it is linked. AW_CODE_LIMIT, AW_CODE_MEMORY. */
AW_MUST_USE aw_result policy_index_add(
    struct policy_index *index, enum claim_kind kind, const char *text);

/** Makes an empty table. */
AW_MUST_USE aw_result policy_index_open(struct policy_index *index);

/**
 * Puts a claim in front of its chain. A chain is in ascending order of owners if claims are linked
 * in descending order.
 * @param[out] head the chain's head so far, or CLAIM_NONE
 */
AW_MUST_USE aw_result policy_index_link(
    struct policy_index *index, uint32_t claim, uint16_t owner, uint32_t *head);

/** Makes the second table and gives back what is not needed, when all is linked. */
AW_MUST_USE aw_result policy_index_close(struct policy_index *index);

/** Head of the chain of that kind and key, or CLAIM_NONE. */
uint32_t policy_index_find(
    const struct policy_index *index, enum claim_kind kind, const struct policy_index_key *key);

/** The claim of that kind, key and owner, or CLAIM_NONE. */
uint32_t policy_index_find_own(const struct policy_index *index, enum claim_kind kind,
    const struct policy_index_key *key, uint16_t owner);

/** Key of a text. */
struct policy_index_key policy_index_key_of(const char *text);

/** Keys of all suffixes of a host name, in one pass. */
void policy_index_suffixes_of(const char *name, size_t length, struct policy_index_suffixes *out);

/** Writes the key's octets of a network into `octets`. */
struct policy_index_key
policy_index_network_key(const struct policy_network *network, char octets[INDEX_NETWORK_KEY_SIZE]);

/** Key of what a claim says. */
struct policy_index_key policy_index_key_of_claim(const struct policy_index *index, uint32_t claim);

/** Puts a network into the arena: its text, with its key in front of it; NULL: no memory. */
const char *
policy_index_put_network(struct policy_arena *arena, const struct policy_network *network);

/** The network of a text that policy_index_put_network made. */
struct policy_network policy_index_network_of(const char *text);

/** Releases the tables, not the texts. */
void policy_index_free(struct policy_index *index);

#endif
