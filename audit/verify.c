#include <string.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "audit/heads.h"

static aw_result
walk(struct audit_chain *chain, struct audit_heads *heads, int64_t *first_time)
{
    bool more;

    for (;;) {
        AW_TRY(audit_heads_check(heads, chain));
        AW_TRY(audit_chain_next(chain, &more));
        if (!more)
            return audit_heads_end(heads, chain);
        if (chain->seq == 1)
            *first_time = chain->time;
    }
}

aw_result
audit_verify_heads(const char *folder, const struct audit_expected *expected, size_t count,
    struct audit_verdict *out)
{
    AW_CLEANUP(audit_file_close) struct audit_file file = {.fd = -1};
    AW_CLEANUP(audit_chain_end) struct audit_chain chain = {0};
    AW_CLEANUP(audit_heads_free) struct audit_heads heads = {.items = NULL};
    struct audit_verdict verdict = {0};

    AW_TRY(audit_heads_take(&heads, expected, count));
    AW_TRY(audit_file_open_read(folder, &file));
    AW_TRY(audit_chain_begin(&chain, file.fd, file.path));
    AW_TRY(walk(&chain, &heads, &verdict.first_time));
    verdict.records = chain.seq;
    verdict.last_time = chain.time;
    verdict.torn = audit_lines_torn(&chain.lines);
    AW_TRY(audit_tree_root(&chain.tree, chain.hasher, &verdict.root));
    memcpy(verdict.head, chain.head, sizeof(verdict.head));
    *out = verdict;
    return AW_OK;
}

aw_result
audit_verify(const char *folder, struct audit_verdict *out)
{
    return audit_verify_heads(folder, NULL, 0, out);
}
