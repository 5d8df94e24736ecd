#include "audit/audit.h"
#include "audit/chain.h"
#include "audit/file.h"

aw_result
audit_read(const char *folder, int64_t from, audit_visit visit, void *context)
{
    AW_CLEANUP(audit_file_close) struct audit_file file = {.fd = -1};
    AW_CLEANUP(audit_chain_end) struct audit_chain chain = {0};
    bool more;

    AW_TRY(audit_file_open_read(folder, &file));
    AW_TRY(audit_chain_begin(&chain, file.fd, file.path));
    for (;;) {
        AW_TRY(audit_chain_next(&chain, &more));
        if (!more)
            return AW_OK;
        if (chain.seq >= from)
            AW_TRY(visit(&chain.record, context));
    }
}
