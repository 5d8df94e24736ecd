#include "audit/chain.h"

#include <string.h>

#include "audit/damage.h"
#include "audit/record.h"

aw_result
audit_chain_begin(struct audit_chain *chain, int fd, const char *path)
{
    *chain = (struct audit_chain){.path = path, .head = AUDIT_HEX_ZERO};
    AW_TRY(audit_lines_begin(&chain->lines, fd));
    return audit_hasher_new(&chain->hasher);
}

void
audit_chain_segment(struct audit_chain *chain, int fd, const char *path)
{
    chain->path = path;
    audit_lines_turn(&chain->lines, fd);
}

void
audit_chain_jump(struct audit_chain *chain, const struct audit_mark *mark)
{
    chain->seq = mark->tree.size;
    chain->time = mark->time;
    chain->tree = mark->tree;
    memcpy(chain->head, mark->head, sizeof(chain->head));
}

void
audit_chain_end(struct audit_chain *chain)
{
    audit_lines_end(&chain->lines);
    audit_hasher_free(&chain->hasher);
    audit_record_free(&chain->record);
}

/* What the line says is not a record: that is damage, whatever the parser called it. */
static aw_result
not_a_record(const struct audit_chain *chain)
{
    struct aw_error error;

    aw_error_save(&error);
    if (error.code == AW_CODE_MEMORY)
        return aw_error_restore(&error);
    return aw_fail(AW_CODE_CORRUPT, "line %lld (expected record %lld) is changed: %.700s",
        (long long)chain->lines.number, (long long)chain->seq + 1, error.message);
}

static aw_result
check_link(struct audit_chain *chain)
{
    const struct audit_record *record = &chain->record;

    if (record->seq != chain->seq + 1)
        return audit_damage_sequence(&chain->lines, record, chain->seq + 1);
    if (strcmp(record->previous, chain->head) != 0)
        return audit_damage_digest(&chain->lines, record, chain->head);
    if (record->entry.time < chain->time)
        return aw_fail(AW_CODE_CORRUPT,
            "line %lld (record %lld) is changed: its time is before "
            "that of the record before it",
            (long long)chain->lines.number, (long long)record->seq);
    return AW_OK;
}

static aw_result
next_record(struct audit_chain *chain, bool *more)
{
    const char *line;
    size_t length;

    AW_TRY(audit_lines_next(&chain->lines, &line, &length));
    *more = line != NULL;
    if (line == NULL)
        return AW_OK;
    audit_record_free(&chain->record);
    if (!aw_ok(audit_record_read(line, length, &chain->record)))
        return not_a_record(chain);
    AW_TRY(audit_hasher_line(chain->hasher, line, length, chain->record.digest));
    AW_TRY(check_link(chain));
    AW_TRY(audit_tree_leaf(chain->hasher, line, length, &chain->leaf));
    AW_TRY(audit_tree_note(&chain->tree, chain->hasher, &chain->leaf, &chain->completed));
    chain->line = line;
    chain->line_length = length;
    chain->seq = chain->record.seq;
    chain->time = chain->record.entry.time;
    memcpy(chain->head, chain->record.digest, sizeof(chain->head));
    return AW_OK;
}

aw_result
audit_chain_next(struct audit_chain *chain, bool *more)
{
    aw_result r = aw_context(next_record(chain, more), "%s", chain->path);

    if (r.code != AW_CODE_CORRUPT)
        return r;
    return aw_hint(r, "keep the file as it is, find out who wrote to it, and compare it with the "
                      "exported copies; a signer does not start with a damaged log. After a "
                      "downgrade: a newer version wrote it, and is needed to read it");
}
