#include "admin/audit_succession.h"

#include <stdlib.h>
#include <string.h>

/* The key that a record names; NULL: none. */
static aw_result
read_next(const struct audit_record *record, audit_verifier **out)
{
    const struct audit_entry *entry = &record->entry;

    if (entry->kind != AUDIT_ADMIN || entry->operation == NULL || entry->message == NULL ||
        strcmp(entry->operation, AUDIT_KEY_NEXT) != 0)
        return AW_OK;
    return aw_context(audit_verifier_parse(entry->message, strlen(entry->message), out),
        "record %lld names no key", (long long)record->seq);
}

static aw_result
learn_of(const struct audit_record *record, void *context)
{
    struct admin_audit_succession *s = context;
    AW_CLEANUP(audit_verifier_free) audit_verifier *next = NULL;

    if (record->seq > s->covered)
        return (aw_result){AW_CODE_CLOSED};
    if (record->seq <= s->read)
        return AW_OK;
    AW_TRY(read_next(record, &next));
    if (next == NULL)
        return AW_OK;
    if (s->keys->count == ADMIN_AUDIT_FILES_MAX)
        return aw_fail(AW_CODE_LIMIT, "there are more than %d audit keys", ADMIN_AUDIT_FILES_MAX);
    s->learned[s->learned_count].seq = record->seq;
    s->learned[s->learned_count++].key = next;
    s->keys->items[s->keys->count++] = AW_MOVE(next);
    return AW_OK;
}

/* The records are held against the checkpoints when the log is verified, which must succeed too. */
static aw_result
learn(struct admin_audit_succession *s)
{
    struct audit_source source = *s->source;

    source.absent = NULL;
    source.partial = true; /* a key that is named in an archived segment is simply not known */
    aw_result r = audit_read_source(&source, s->read + 1, learn_of, s);
    if (!aw_ok(r) && r.code != AW_CODE_CLOSED)
        return r;
    s->read = s->covered;
    return AW_OK;
}

aw_result
admin_audit_succession_check(
    struct admin_audit_succession *s, const char *note, struct audit_checkpoint *out)
{
    aw_result r = admin_audit_note_check(note, s->keys, out);

    if (r.code == AW_CODE_MISMATCH && s->covered > s->read) {
        AW_TRY(learn(s));
        r = admin_audit_note_check(note, s->keys, out);
    }
    if (aw_ok(r) && out->head.size > s->covered)
        s->covered = out->head.size;
    return r;
}

static bool
is_vouched(const struct admin_audit_succession *s, size_t learned,
    const struct admin_audit_held *held, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (held[i].compared && held[i].size >= s->learned[learned].seq &&
            held[i].learned <= learned)
            return true;
    return false;
}

aw_result
admin_audit_succession_end(
    const struct admin_audit_succession *s, const struct admin_audit_held *held, size_t count)
{
    for (size_t i = 0; i < s->learned_count; i++)
        if (!is_vouched(s, i, held, count))
            return aw_hint(
                aw_fail(AW_CODE_MISMATCH,
                    "record %lld names the next audit key, but the log could not be held against a "
                    "checkpoint of the key before it",
                    (long long)s->learned[i].seq),
                "bring the archived segments (--archive), or give the new key with --public-key if "
                "you have it from somewhere else");
    return AW_OK;
}
