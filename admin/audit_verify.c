/* audit verify: chain, tree and checkpoints, from the files alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/audit_files.h"
#include "audit/stored.h"
#include "common/io.h"

/* What is verified together. */
struct verification {
    struct admin_audit_keys keys;
    struct admin_audit_note notes[ADMIN_AUDIT_FILES_MAX]; /* of --checkpoint */
    size_t note_count;
    char origin[AUDIT_NAME_MAX + 1]; /* of all checkpoints; empty: none seen */
    struct audit_stored stored;
    int64_t last_stored; /* records that the last stored one covers */
    struct audit_expected *expected;
    size_t expected_count;
};

static void
verification_free(struct verification *v)
{
    for (size_t i = 0; i < v->note_count; i++)
        admin_audit_note_free(&v->notes[i]);
    admin_audit_keys_free(&v->keys);
    free(v->expected);
}

static aw_result
check_origin(struct verification *v, const struct audit_checkpoint *checkpoint)
{
    if (v->origin[0] == '\0')
        memcpy(v->origin, checkpoint->origin, sizeof(v->origin));
    if (strcmp(v->origin, checkpoint->origin) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "found checkpoints of two logs: %s and %s", v->origin,
                       checkpoint->origin),
        "give the checkpoints of this log only");
}

static aw_result
check_stored(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    struct verification *v = context;
    struct audit_checkpoint again;

    AW_TRY(check_origin(v, checkpoint));
    v->last_stored = checkpoint->head.size;
    return admin_audit_note_check(note, &v->keys, &again);
}

/* The stored ones are read before the log: what they cover is in it by then. */
static aw_result
gather(struct verification *v, const char *folder, const char *const *files, size_t count)
{
    struct audit_expected *stored = NULL;
    size_t stored_count = 0;

    AW_TRY(audit_stored_read(folder, check_stored, v, &v->stored));
    AW_TRY(audit_stored_heads(folder, &stored, &stored_count));
    v->expected = realloc(stored, (stored_count + count + 1) * sizeof(*stored));
    if (v->expected == NULL) {
        free(stored);
        return aw_fail_memory();
    }
    v->expected_count = stored_count;
    for (size_t i = 0; i < count; i++) {
        struct admin_audit_note *note = &v->notes[v->note_count++];

        AW_TRY(admin_audit_note_read(files[i], &v->keys, note));
        AW_TRY(check_origin(v, &note->checkpoint));
        v->expected[v->expected_count++] =
            (struct audit_expected){.head = note->checkpoint.head, .source = files[i]};
    }
    return AW_OK;
}

static void
print_checkpoints(const struct verification *v, const char *const *files)
{
    const char *how = v->keys.count > 0 ? "signed" : "signatures not checked (no --public-key)";

    if (v->stored.count > 0)
        printf("%lld stored checkpoints of %s, the last of %lld records: the log continues all, "
               "%s\n",
            (long long)v->stored.count, v->origin, (long long)v->last_stored, how);
    for (size_t i = 0; i < v->note_count; i++)
        printf("checkpoint %s of %lld records: the log continues it, %s\n", files[i],
            (long long)v->notes[i].checkpoint.head.size, how);
}

static void
print_verdict(const struct audit_verdict *found)
{
    char first[32], last[32];

    aw_time_text(found->first_time, first);
    aw_time_text(found->last_time, last);
    printf("%lld records, from %s to %s: the chain is whole\nhead %s\n", (long long)found->records,
        first, last, found->head);
    if (found->torn > 0)
        printf("%zu octets behind the last record: one is being written, or the signer was cut "
               "off; its next start sets them aside\n",
            found->torn);
}

aw_result
admin_audit_verify(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(verification_free) struct verification v = {.note_count = 0};
    const char *given = NULL, *files[ADMIN_AUDIT_FILES_MAX], *keys[ADMIN_AUDIT_FILES_MAX];
    size_t file_count = 0, key_count = 0;
    const struct admin_option table[] = {
        {.name = "folder", .value = &given},
        {.name = "checkpoint",
            .list = files,
            .list_count = &file_count,
            .list_max = ADMIN_AUDIT_FILES_MAX},
        {.name = "public-key",
            .list = keys,
            .list_count = &key_count,
            .list_max = ADMIN_AUDIT_FILES_MAX},
    };
    struct audit_verdict found;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(admin_audit_folder(options, given, &folder));
    AW_TRY(admin_audit_keys_read(keys, key_count, &v.keys));
    AW_TRY(gather(&v, folder, files, file_count));
    AW_TRY(audit_verify_heads(folder, v.expected, v.expected_count, &found));
    print_verdict(&found);
    print_checkpoints(&v, files);
    return AW_OK;
}
