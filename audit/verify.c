#include <string.h>

#include "audit/audit.h"
#include "audit/heads.h"
#include "audit/walk.h"

/* Notes the first mark that is not what the walk makes of the records. */
static aw_result
compare_mark(const struct audit_walk *walk, const struct audit_mark *made, void *context)
{
    int64_t *wrong = context;
    struct audit_mark kept;
    aw_result r = audit_segments_mark(&walk->segments, made->segment, &kept);

    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    if (!aw_ok(r) && r.code != AW_CODE_CORRUPT)
        return r;
    if (*wrong == 0 && !(aw_ok(r) && audit_mark_equal(made, &kept)))
        *wrong = made->segment;
    return AW_OK;
}

/* A signer would have gone on from a state that the log never had. */
static aw_result
check_marks(int64_t wrong)
{
    if (wrong == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_CORRUPT,
                       "the records are whole, but the mark of segment %lld is not what they say: "
                       "it was changed",
                       (long long)wrong),
        "remove that mark: with the segment in its folder the signer makes it anew at its start");
}

static aw_result
walk_all(struct audit_walk *walk, struct audit_heads *heads, struct audit_verdict *verdict)
{
    int64_t read = 0;
    bool more;

    for (;; read++) {
        AW_TRY(audit_heads_check(heads, &walk->chain));
        AW_TRY(audit_walk_next(walk, &more));
        if (!more)
            break;
        if (read == 0)
            verdict->first_time = walk->chain.time;
    }
    AW_TRY(audit_heads_check(heads, &walk->chain)); /* the last segment may have been empty */
    verdict->absent = walk->chain.seq - read;
    return audit_heads_end(heads, &walk->chain);
}

aw_result
audit_verify_source(const struct audit_source *source, const struct audit_expected *expected,
    size_t count, struct audit_verdict *out)
{
    AW_CLEANUP(audit_walk_end) struct audit_walk walk = {.source = NULL};
    AW_CLEANUP(audit_heads_free) struct audit_heads heads = {.items = NULL};
    struct audit_verdict verdict = {0};
    int64_t wrong = 0;

    AW_TRY(audit_heads_take(&heads, expected, count));
    AW_TRY(audit_walk_begin(&walk, source, NULL));
    walk.closed = compare_mark;
    walk.context = &wrong;
    AW_TRY(walk_all(&walk, &heads, &verdict));
    AW_TRY(check_marks(wrong));
    verdict.records = walk.chain.seq;
    verdict.last_time = walk.chain.time;
    verdict.segments = walk.segments.count;
    verdict.unchecked = heads.skipped;
    verdict.torn = audit_lines_torn(&walk.chain.lines);
    AW_TRY(audit_tree_root(&walk.chain.tree, walk.chain.hasher, &verdict.root));
    memcpy(verdict.head, walk.chain.head, sizeof(verdict.head));
    *out = verdict;
    return AW_OK;
}

aw_result
audit_verify_heads(const char *folder, const struct audit_expected *expected, size_t count,
    struct audit_verdict *out)
{
    return audit_verify_source(&(struct audit_source){.folder = folder}, expected, count, out);
}

aw_result
audit_verify(const char *folder, struct audit_verdict *out)
{
    return audit_verify_heads(folder, NULL, 0, out);
}
