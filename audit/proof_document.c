#include "audit/proof_document.h"

#include <stdlib.h>
#include <string.h>

#include "audit/base64.h"
#include "common/io.h"

/* Largest integer of JSON that every reader takes exactly. */
#define SEQ_MAX ((INT64_C(1) << 53) - 1)

void
audit_proof_document_free(struct audit_proof_document *document)
{
    free(document->record);
    free(document->from);
    free(document->checkpoint);
    *document = (struct audit_proof_document){.seq = 0};
}

/* Writing. */

static aw_result
write_proof(struct aw_json_writer *w, const struct audit_proof *proof)
{
    aw_json_name(w, "proof");
    aw_json_begin_array(w);
    for (size_t i = 0; i < proof->count; i++) {
        AW_CLEANUP(aw_free) char *text = NULL;

        AW_TRY(audit_base64_encode(proof->hashes[i].bytes, sizeof(proof->hashes[i].bytes), &text));
        aw_json_write_string(w, text);
    }
    aw_json_end_array(w);
    return AW_OK;
}

aw_result
audit_proof_document_write(const struct audit_proof_document *document, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {.failed = false};

    aw_json_begin_object(&w);
    if (document->seq != 0) {
        aw_json_pair_integer(&w, "seq", document->seq);
        aw_json_pair(&w, "record", document->record);
    } else {
        aw_json_pair(&w, "from", document->from);
    }
    AW_TRY(write_proof(&w, &document->proof));
    aw_json_pair(&w, "checkpoint", document->checkpoint);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

/* Reading. */

static aw_result
copy_string(const cJSON *json, const char *name, size_t max, char **out)
{
    const char *text = NULL;

    AW_TRY(aw_json_string(json, name, max, &text));
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
read_proof(const cJSON *json, struct audit_proof *out)
{
    const cJSON *array = NULL;
    const cJSON *item = NULL;

    AW_TRY(aw_json_array(json, "proof", 0, AUDIT_PROOF_MAX, &array));
    cJSON_ArrayForEach(item, array)
        AW_TRY(audit_hash_read(item, "proof", &out->hashes[out->count++]));
    return AW_OK;
}

static aw_result
read_members(const cJSON *json, struct audit_proof_document *out)
{
    static const char *const inclusion[] = {"seq", "record", "proof", "checkpoint"};
    static const char *const consistency[] = {"from", "proof", "checkpoint"};

    if (aw_json_member(json, "from") == NULL) {
        AW_TRY(aw_json_only(json, inclusion, AW_COUNT(inclusion)));
        AW_TRY(aw_json_integer(json, "seq", 1, SEQ_MAX, &out->seq));
        AW_TRY(copy_string(json, "record", AUDIT_RECORD_MAX - 1, &out->record));
    } else {
        AW_TRY(aw_json_only(json, consistency, AW_COUNT(consistency)));
        AW_TRY(copy_string(json, "from", AUDIT_NOTE_MAX, &out->from));
    }
    AW_TRY(read_proof(json, &out->proof));
    return copy_string(json, "checkpoint", AUDIT_NOTE_MAX, &out->checkpoint);
}

aw_result
audit_proof_document_parse(const char *text, size_t length, struct audit_proof_document *out)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    AW_CLEANUP(audit_proof_document_free) struct audit_proof_document document = {.seq = 0};

    *out = (struct audit_proof_document){.seq = 0};
    AW_TRY(aw_json_parse(text, length, AW_JSON_STRICT, &json));
    AW_TRY(read_members(json, &document));
    *out = document;
    document = (struct audit_proof_document){.seq = 0};
    return AW_OK;
}

/* Verifying. */

/* The line itself says which record it is; the tree says that it stands there. */
static aw_result
verify_record(const struct audit_proof_document *document, const struct audit_head *head)
{
    AW_CLEANUP(audit_record_free) struct audit_record record = {.json = NULL};
    size_t length = strlen(document->record);

    if (strchr(document->record, '\n') != NULL)
        return aw_fail(AW_CODE_SYNTAX, "record: expected one line without its newline");
    AW_TRY(aw_context(audit_record_parse(document->record, length, &record), "record"));
    if (record.seq != document->seq)
        return aw_fail(AW_CODE_MISMATCH, "seq is %lld, the record says %lld",
            (long long)document->seq, (long long)record.seq);
    return audit_proof_inclusion(&document->proof, document->seq, document->record, length, head);
}

aw_result
audit_proof_document_verify(const struct audit_proof_document *document,
    const struct audit_keys *keys, struct audit_checkpoint *checkpoint)
{
    struct audit_checkpoint found, from;

    AW_TRY(
        audit_checkpoint_verify(document->checkpoint, strlen(document->checkpoint), keys, &found));
    if (document->from == NULL) {
        AW_TRY(verify_record(document, &found.head));
    } else {
        AW_TRY(aw_context(
            audit_checkpoint_verify(document->from, strlen(document->from), keys, &from), "from"));
        if (strcmp(from.origin, found.origin) != 0)
            return aw_fail(AW_CODE_MISMATCH, "the checkpoints are of two logs: %s and %s",
                from.origin, found.origin);
        AW_TRY(audit_proof_consistency(&document->proof, &from.head, &found.head));
    }
    *checkpoint = found;
    return AW_OK;
}
