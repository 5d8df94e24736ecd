/* audit prove, verify-proof: from the files alone, for somebody who has not the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/audit_files.h"
#include "audit/proof_document.h"
#include "audit/stored.h"
#include "common/io.h"

static aw_result
keep_note(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    struct admin_audit_note *last = context;

    admin_audit_note_free(last);
    last->text = strdup(note);
    last->checkpoint = *checkpoint;
    return last->text == NULL ? aw_fail_memory() : AW_OK;
}

/* The checkpoint of that file, or the last one stored beside the log. */
static aw_result
choose_note(const char *folder, const char *file, struct admin_audit_note *out)
{
    const struct admin_audit_keys none = {.count = 0};
    struct audit_stored stored;

    if (file != NULL)
        return admin_audit_note_read(file, &none, out);
    AW_TRY(audit_stored_read(folder, keep_note, out, &stored));
    if (out->text != NULL)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "no checkpoint is stored beside the log"),
        "make one (acmeward-admin audit checkpoint), or give one with --checkpoint");
}

static aw_result
parse_seq(const char *text, int64_t *out)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > INT64_MAX >> 10)
        return aw_fail(AW_CODE_USAGE, "found \"%s\", expected the number of a record", text);
    *out = value;
    return AW_OK;
}

static aw_result
prove_record(const struct admin_audit_log *log, int64_t seq, const struct admin_audit_note *note,
    struct audit_proof_document *out)
{
    const struct audit_head *head = &note->checkpoint.head;

    if (seq > head->size)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "the checkpoint covers %lld records, not %lld",
                           (long long)head->size, (long long)seq),
            "make a newer one: acmeward-admin audit checkpoint");
    out->seq = seq;
    aw_result r = audit_prove_record(&log->source, seq, head, &out->proof, &out->record);
    return r.code != AW_CODE_MISMATCH ? r
                                      : aw_hint(r, "the log does not continue this checkpoint; "
                                                   "acmeward-admin audit verify says more");
}

static aw_result
prove_from(const struct admin_audit_log *log, const char *file, const struct admin_audit_note *note,
    struct audit_proof_document *out)
{
    AW_CLEANUP(admin_audit_note_free) struct admin_audit_note from = {.text = NULL};
    const struct admin_audit_keys none = {.count = 0};

    AW_TRY(admin_audit_note_read(file, &none, &from));
    const struct audit_head *old = &from.checkpoint.head, *head = &note->checkpoint.head;
    if (old->size > head->size)
        return aw_hint(aw_fail(AW_CODE_USAGE, "--from: %s covers %lld records, the checkpoint %lld",
                           file, (long long)old->size, (long long)head->size),
            "give the older one with --from, the newer one with --checkpoint");
    aw_result r = audit_prove_heads(&log->source, old, head, &out->proof);
    if (r.code == AW_CODE_MISMATCH)
        return aw_hint(r,
            "the log does not continue these checkpoints; acmeward-admin audit verify "
            "says more");
    AW_TRY(r);
    out->from = AW_MOVE(from.text);
    return AW_OK;
}

aw_result
admin_audit_prove(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(admin_audit_note_free) struct admin_audit_note note = {.text = NULL};
    AW_CLEANUP(audit_proof_document_free) struct audit_proof_document document = {.seq = 0};
    const char *file = NULL, *from = NULL, *word = NULL;
    const struct admin_option table[] = {ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "checkpoint", .value = &file}, {.name = "from", .value = &from}};
    size_t count = 0;
    int64_t seq = 0;

    AW_TRY(admin_parse_words(argc, argv, table, AW_COUNT(table),
        &(struct admin_words){.items = &word, .count = &count, .max = 1}));
    if ((word == NULL) == (from == NULL))
        return aw_fail(AW_CODE_USAGE, "expected the number of a record, or --from CHECKPOINT");
    if (word != NULL)
        AW_TRY(parse_seq(word, &seq));
    AW_TRY(admin_audit_log_find(options, &log));
    AW_TRY(choose_note(log.folder, file, &note));
    AW_TRY(word != NULL ? prove_record(&log, seq, &note, &document)
                        : prove_from(&log, from, &note, &document));
    document.checkpoint = AW_MOVE(note.text);
    AW_TRY(audit_proof_document_write(&document, &text));
    puts(text);
    return AW_OK;
}

static aw_result
print_proved(const struct audit_proof_document *document, const struct audit_checkpoint *checkpoint,
    bool json)
{
    struct aw_json_writer w = {0};

    if (!json && document->seq != 0) {
        printf("record %lld is in the log %s, by its checkpoint of %lld records\n%s\n",
            (long long)document->seq, checkpoint->origin, (long long)checkpoint->head.size,
            document->record);
    } else if (!json) {
        printf("the checkpoint of %lld records of %s continues the older one\n",
            (long long)checkpoint->head.size, checkpoint->origin);
    } else {
        aw_json_begin_object(&w);
        aw_json_pair(&w, "origin", checkpoint->origin);
        aw_json_pair_integer(&w, "size", checkpoint->head.size);
        if (document->seq != 0) {
            aw_json_pair_integer(&w, "seq", document->seq);
            aw_json_pair(&w, "record", document->record);
        }
        aw_json_end_object(&w);
        return admin_print_writer(&w);
    }
    return AW_OK;
}

aw_result
admin_audit_verify_proof(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(audit_proof_document_free) struct audit_proof_document document = {.seq = 0};
    AW_CLEANUP(admin_audit_keys_free) struct admin_audit_keys keys = {.count = 0};
    const audit_verifier *trusted[ADMIN_AUDIT_FILES_MAX];
    const char *files[ADMIN_AUDIT_FILES_MAX], *file = NULL;
    struct audit_checkpoint checkpoint;
    size_t count = 0, size = 0;
    bool json = options->json;
    const struct admin_option table[] = {{.name = "public-key",
                                             .list = files,
                                             .list_count = &count,
                                             .list_max = ADMIN_AUDIT_FILES_MAX},
        {.name = "json", .flag = &json}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &file, 1));
    if (count == 0)
        return aw_fail(AW_CODE_USAGE, "--public-key: expected the audit key to verify with");
    AW_TRY(admin_audit_keys_read(files, count, &keys));
    for (size_t i = 0; i < count; i++)
        trusted[i] = keys.items[i];
    AW_TRY(aw_file_read(file, AW_JSON_MAX_SIZE, &text, &size));
    AW_TRY(aw_context(audit_proof_document_parse(text, size, &document), "%s", file));
    AW_TRY(aw_context(audit_proof_document_verify(&document,
                          &(struct audit_keys){.items = trusted, .count = count}, &checkpoint),
        "%s", file));
    return print_proved(&document, &checkpoint, json);
}
