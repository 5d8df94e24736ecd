#include "audit/follow.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "audit/walk.h"
#include "common/io.h"

struct audit_follow {
    char *folder;
    struct audit_source source;
    struct audit_walk walk;
    bool open;    /* there is a walk */
    bool turned;  /* its last file is no longer the log's: a closed segment by now */
    bool waiting; /* the present record is behind the limit */
    int64_t seq;  /* the last record that was given out */
};

static void
close_walk(audit_follow *follow)
{
    audit_walk_end(&follow->walk);
    follow->open = follow->turned = follow->waiting = false;
}

void
audit_follow_free(audit_follow **follow)
{
    if (*follow == NULL)
        return;
    close_walk(*follow);
    free((*follow)->folder);
    free(*follow);
    *follow = NULL;
}

aw_result
audit_follow_new(const char *folder, int64_t seq, audit_follow **out)
{
    AW_CLEANUP(audit_follow_free) audit_follow *follow = calloc(1, sizeof(*follow));

    *out = NULL;
    if (follow == NULL)
        return aw_fail_memory();
    AW_TRY(aw_format(&follow->folder, "%s", folder));
    follow->source = (struct audit_source){.folder = follow->folder};
    follow->seq = seq;
    *out = AW_MOVE(follow);
    return AW_OK;
}

static aw_result
open_walk(audit_follow *follow)
{
    close_walk(follow);
    aw_result r = audit_walk_begin(&follow->walk, &follow->source, NULL);
    if (aw_ok(r))
        r = audit_walk_skip(&follow->walk, follow->walk.segments.count, follow->seq + 1);
    follow->open = aw_ok(r);
    if (!aw_ok(r))
        audit_walk_end(&follow->walk);
    return r;
}

/* True when a rotation took the file away; all that was written to it is in it then. */
static bool
has_turned(const audit_follow *follow)
{
    const struct audit_file *file = &follow->walk.current;
    struct stat st;

    return stat(file->path, &st) == 0 && (st.st_dev != file->device || st.st_ino != file->inode);
}

/* To the next record behind the last one given; false at the present end. */
static aw_result
step(audit_follow *follow, bool *found)
{
    for (;;) {
        if (!follow->open)
            AW_TRY(open_walk(follow));
        AW_TRY(audit_walk_next(&follow->walk, found));
        if (*found && follow->walk.chain.seq > follow->seq)
            return AW_OK;
        if (*found)
            continue;
        if (follow->turned)
            close_walk(follow); /* read to its end after it was closed */
        else if (!(follow->turned = has_turned(follow)))
            return AW_OK;
    }
}

aw_result
audit_follow_next(audit_follow *follow, int64_t limit, struct audit_followed *out)
{
    const struct audit_chain *chain = &follow->walk.chain;

    *out = (struct audit_followed){.record = NULL};
    if (!follow->waiting) {
        bool found = false;
        aw_result r = step(follow, &found);
        if (!aw_ok(r)) {
            close_walk(follow);
            return r;
        }
        follow->waiting = found;
    }
    if (!follow->waiting || chain->seq > limit)
        return AW_OK;
    follow->waiting = false;
    follow->seq = chain->seq;
    *out = (struct audit_followed){&chain->record, chain->line, chain->line_length};
    return AW_OK;
}
