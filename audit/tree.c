#include "audit/tree.h"

#include <string.h>

#include "audit/base64.h"
#include "common/io.h"
#include "common/json.h"

bool
audit_hash_equal(const struct audit_hash *a, const struct audit_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* RFC 6962 2.1: different prefixes, so that no node can pass for a leaf. */

aw_result
audit_tree_leaf(audit_hasher *hasher, const char *line, size_t length, struct audit_hash *out)
{
    const struct audit_part parts[] = {{"\x00", 1}, {line, length}, {"\n", 1}};

    return audit_hasher_parts(hasher, parts, AW_COUNT(parts), out->bytes);
}

aw_result
audit_tree_node(audit_hasher *hasher, const struct audit_hash *left, const struct audit_hash *right,
    struct audit_hash *out)
{
    const struct audit_part parts[] = {
        {"\x01", 1}, {left->bytes, sizeof(left->bytes)}, {right->bytes, sizeof(right->bytes)}};

    return audit_hasher_parts(hasher, parts, AW_COUNT(parts), out->bytes);
}

/* Like adding one to a binary number: subtrees of equal size become one of twice the size. */
aw_result
audit_tree_note(struct audit_tree *tree, audit_hasher *hasher, const struct audit_hash *leaf,
    struct audit_completed *completed)
{
    struct audit_hash carry = *leaf;
    unsigned level = 0;

    completed->count = 0;
    while ((tree->size >> level & 1) != 0) {
        AW_TRY(audit_tree_node(hasher, &tree->peaks[level], &carry, &carry));
        if (++level >= AUDIT_TREE_NOTED)
            completed->roots[completed->count++] = carry;
    }
    tree->peaks[level] = carry;
    tree->size++;
    return AW_OK;
}

aw_result
audit_tree_add(struct audit_tree *tree, audit_hasher *hasher, const struct audit_hash *leaf)
{
    struct audit_completed unused;

    return audit_tree_note(tree, hasher, leaf, &unused);
}

aw_result
audit_tree_root(const struct audit_tree *tree, audit_hasher *hasher, struct audit_hash *out)
{
    bool begun = false;

    if (tree->size == 0)
        return audit_hasher_parts(hasher, NULL, 0, out->bytes);
    for (unsigned level = 0; level < AUDIT_TREE_LEVELS; level++) {
        if ((tree->size >> level & 1) == 0)
            continue;
        if (begun)
            AW_TRY(audit_tree_node(hasher, &tree->peaks[level], out, out));
        else
            *out = tree->peaks[level];
        begun = true;
    }
    return AW_OK;
}

aw_result
audit_hash_read(const cJSON *item, const char *name, struct audit_hash *out)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    const char *text = cJSON_GetStringValue(item);
    size_t size = 0;

    aw_result r = text == NULL ? AW_OK : audit_base64_decode(text, strlen(text), &bytes, &size);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r) || size != sizeof(out->bytes))
        return aw_fail(AW_CODE_SYNTAX, "%s: expected base64 of 32 octets in each element", name);
    memcpy(out->bytes, bytes, sizeof(out->bytes));
    return AW_OK;
}
