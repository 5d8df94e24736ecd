#include "admin/account_use.h"

#include <stdio.h>
#include <string.h>

#include "audit/audit.h"
#include "audit/mark.h"
#include "audit/segments.h"

/* A walk over the records of one segment. */
struct walk {
    const char *account;
    int64_t last; /* its last record; INT64_MAX: of the present segment */
    struct admin_account_use *found;
};

/* What was signed has the digest of its signing input on record. */
static aw_result
look_at(const struct audit_record *record, void *context)
{
    const struct walk *walk = context;
    const struct audit_entry *entry = &record->entry;

    if (record->seq > walk->last)
        return (aw_result){AW_CODE_CLOSED};
    if (entry->input == NULL || entry->account == NULL ||
        strcmp(entry->account, walk->account) != 0 ||
        (entry->verdict != NULL && strcmp(entry->verdict, "refuse") == 0))
        return AW_OK;
    walk->found->seq = record->seq;
    walk->found->time = entry->time;
    snprintf(walk->found->operation, sizeof(walk->found->operation), "%s",
        entry->operation == NULL ? "" : entry->operation);
    snprintf(walk->found->application, sizeof(walk->found->application), "%s",
        entry->application == NULL ? "" : entry->application);
    return AW_OK;
}

static void
note_absent(const struct audit_absent *absent, void *context)
{
    struct admin_account_use *found = context;

    (void)absent;
    found->partial = true;
}

static aw_result
look_in(const char *folder, struct walk *walk, int64_t first)
{
    const struct audit_source source = {
        .folder = folder, .partial = true, .absent = note_absent, .context = walk->found};
    aw_result r = audit_read_source(&source, first, look_at, walk);

    return r.code == AW_CODE_CLOSED ? AW_OK : r;
}

aw_result
admin_account_use_find(const char *folder, const char *account, struct admin_account_use *out)
{
    struct walk walk = {.account = account, .last = INT64_MAX, .found = out};
    int64_t segment = 0;

    *out = (struct admin_account_use){.seq = 0};
    AW_TRY(audit_segments_last(folder, &segment));
    for (; segment > 0 && out->seq == 0; segment--) {
        struct audit_mark mark;

        /* Without a mark the segments before it are not told apart. */
        if (!aw_ok(audit_mark_load(folder, segment, &mark)))
            break;
        AW_TRY(look_in(folder, &walk, mark.tree.size + 1));
        walk.last = mark.tree.size;
    }
    return out->seq != 0 ? AW_OK : look_in(folder, &walk, 1);
}
