#include <string.h>

#include "audit/audit.h"
#include "audit/chain.h"
#include "audit/file.h"

aw_result
audit_verify(const char *folder, struct audit_verdict *out)
{
    AW_CLEANUP(audit_file_close) struct audit_file file = {.fd = -1};
    AW_CLEANUP(audit_chain_end) struct audit_chain chain = {0};
    struct audit_verdict verdict = {0};
    bool more;

    AW_TRY(audit_file_open_read(folder, &file));
    AW_TRY(audit_chain_begin(&chain, file.fd, file.path));
    for (;;) {
        AW_TRY(audit_chain_next(&chain, &more));
        if (!more)
            break;
        if (chain.seq == 1)
            verdict.first_time = chain.time;
    }
    verdict.records = chain.seq;
    verdict.last_time = chain.time;
    verdict.torn = audit_lines_torn(&chain.lines);
    AW_TRY(audit_tree_root(&chain.tree, chain.hasher, &verdict.root));
    memcpy(verdict.head, chain.head, sizeof(verdict.head));
    *out = verdict;
    return AW_OK;
}
