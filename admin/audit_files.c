#include "admin/audit_files.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

aw_result
admin_audit_folder(const struct admin_options *options, const char *given, char **out)
{
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;

    if (given != NULL) {
        *out = strdup(given);
        return *out == NULL ? aw_fail_memory() : AW_OK;
    }
    AW_TRY(admin_config(options, &config));
    return aw_path_join(config->paths.state, "audit", out);
}

aw_result
admin_audit_log_find(const struct admin_options *options, struct admin_audit_log *log)
{
    AW_TRY(admin_audit_folder(options, log->given, &log->folder));
    log->source = (struct audit_source){
        .folder = log->folder,
        .archives = log->archives,
        .archive_count = log->archive_count,
        .partial = log->partial,
    };
    return AW_OK;
}

void
admin_audit_tell_absent(const struct audit_absent *absent, void *context)
{
    (void)context;
    fprintf(stderr, "segment %lld is not here: records %lld to %lld are left out\n",
        (long long)absent->segment, (long long)absent->first, (long long)absent->last);
}

void
admin_audit_log_free(struct admin_audit_log *log)
{
    aw_free(&log->folder);
}

static aw_result
read_key(const char *file, audit_verifier **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    AW_TRY(aw_file_read(file, AUDIT_VERIFIER_MAX, &text, &size));
    return aw_context(audit_verifier_parse(text, size, out), "%s", file);
}

aw_result
admin_audit_keys_read(const char *const *files, size_t count, struct admin_audit_keys *out)
{
    for (size_t i = 0; i < count; i++) {
        AW_TRY(read_key(files[i], &out->items[i]));
        out->count++;
    }
    return AW_OK;
}

void
admin_audit_keys_free(struct admin_audit_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        audit_verifier_free(&keys->items[i]);
    keys->count = 0;
}

aw_result
admin_audit_note_check(
    const char *text, const struct admin_audit_keys *keys, struct audit_checkpoint *out)
{
    const audit_verifier *items[ADMIN_AUDIT_FILES_MAX];
    const struct audit_keys trusted = {items, keys->count};

    if (keys->count == 0)
        return audit_checkpoint_parse(text, strlen(text), out);
    for (size_t i = 0; i < keys->count; i++)
        items[i] = keys->items[i];
    return audit_checkpoint_verify(text, strlen(text), &trusted, out);
}

aw_result
admin_audit_note_read(
    const char *file, const struct admin_audit_keys *keys, struct admin_audit_note *out)
{
    size_t size = 0;

    AW_TRY(aw_file_read(file, AUDIT_NOTE_MAX, &out->text, &size));
    if (strlen(out->text) != size)
        return aw_fail(AW_CODE_SYNTAX, "%s: found a NUL, expected a checkpoint", file);
    aw_result r = aw_context(admin_audit_note_check(out->text, keys, &out->checkpoint), "%s", file);
    return r.code != AW_CODE_SYNTAX
               ? r
               : aw_hint(r,
                     "give one checkpoint, octet for octet as it was exported: no CR, no line "
                     "more or less");
}

void
admin_audit_note_free(struct admin_audit_note *note)
{
    free(note->text);
    note->text = NULL;
}
