/**
 * @file tree.h
 * @brief The Merkle tree over the records (RFC 6962 2.1, RFC 9162 2.1): its root, kept up to date.
 *
 * Leaf i (from 0) is the line of record i + 1, newline included. Of the tree only the roots of the
 * complete subtrees on its left are kept, one for each bit of the size: O(log n) octets, and two
 * digests for a record on average.
 */
#ifndef AW_AUDIT_TREE_H
#define AW_AUDIT_TREE_H

#include "audit/hasher.h"
#include "common/json.h"

/** Levels of a tree: sizes are below 2^63. */
enum { AUDIT_TREE_LEVELS = 63 };

/** True when both are the same. */
bool audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b);

/** A growing tree; zeroed it is the empty one. May be copied. */
struct audit_tree {
    int64_t size; /**< leaves so far */
    /** Bit k of `size` set: root of the complete subtree of 2^k leaves. */
    struct audit_hash peaks[AUDIT_TREE_LEVELS];
};

/** Hash of the leaf for a line of `length` octets, its newline not counted: SHA-256(0x00 || line).
 */
AW_MUST_USE aw_result audit_tree_leaf(
    audit_hasher *hasher, const char *line, size_t length, struct audit_hash *out);

/** Hash of a node: SHA-256(0x01 || left || right). */
AW_MUST_USE aw_result audit_tree_node(audit_hasher *hasher, const struct audit_hash *left,
    const struct audit_hash *right, struct audit_hash *out);

/** Roots of subtrees from level AUDIT_TREE_NOTED up that one leaf completed, from the lowest up. */
enum { AUDIT_TREE_NOTED = 8 };
struct audit_completed {
    unsigned count;
    struct audit_hash roots[AUDIT_TREE_LEVELS - AUDIT_TREE_NOTED];
};

/** Like audit_tree_add, and says which larger subtrees the leaf completed. */
AW_MUST_USE aw_result audit_tree_note(struct audit_tree *tree, audit_hasher *hasher,
    const struct audit_hash *leaf, struct audit_completed *completed);

/** Adds a leaf's hash. After a failure the tree is as it was. */
AW_MUST_USE aw_result audit_tree_add(
    struct audit_tree *tree, audit_hasher *hasher, const struct audit_hash *leaf);

/** The root; of the empty tree the SHA-256 of nothing. */
AW_MUST_USE aw_result audit_tree_root(
    const struct audit_tree *tree, audit_hasher *hasher, struct audit_hash *out);

/** The hash that is an element of a document's array `name`, in base64; AW_CODE_SYNTAX. */
AW_MUST_USE aw_result audit_hash_read(const cJSON *item, const char *name, struct audit_hash *out);

#endif
