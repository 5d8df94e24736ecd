#include "audit/audit.h"
#include "audit/walk.h"

aw_result
audit_read_source(const struct audit_source *source, int64_t from, audit_visit visit, void *context)
{
    AW_CLEANUP(audit_walk_end) struct audit_walk walk = {.source = NULL};
    bool more;

    AW_TRY(audit_walk_begin(&walk, source, NULL));
    AW_TRY(audit_walk_skip(&walk, walk.segments.count, from));
    for (;;) {
        AW_TRY(audit_walk_next(&walk, &more));
        if (!more)
            return AW_OK;
        if (walk.chain.seq >= from)
            AW_TRY(visit(&walk.chain.record, context));
    }
}

aw_result
audit_read(const char *folder, int64_t from, audit_visit visit, void *context)
{
    return audit_read_source(&(struct audit_source){.folder = folder}, from, visit, context);
}
