/* A proof in JSON: what is read is written the same; what it says of itself is never believed. */
#include "audit/proof_document.h"

#include <string.h>

#include "common/io.h"
#include "fuzz.h"

static void
check_written(const struct audit_proof_document *document)
{
    AW_CLEANUP(audit_proof_document_free) struct audit_proof_document again = {.seq = 0};
    AW_CLEANUP(aw_free) char *text = NULL;

    FUZZ_CHECK(aw_ok(audit_proof_document_write(document, &text)));
    if (strlen(text) > AW_JSON_MAX_SIZE) /* escapes are longer here */
        return;
    FUZZ_CHECK(aw_ok(audit_proof_document_parse(text, strlen(text), &again)));
    FUZZ_CHECK(again.seq == document->seq && again.proof.count == document->proof.count);
    FUZZ_CHECK(fuzz_same_text(again.record, document->record));
    FUZZ_CHECK(fuzz_same_text(again.from, document->from));
    FUZZ_CHECK(fuzz_same_text(again.checkpoint, document->checkpoint));
    FUZZ_CHECK(memcmp(again.proof.hashes, document->proof.hashes,
                   again.proof.count * sizeof(again.proof.hashes[0])) == 0);
}

/* Any numbers: no root of these hashes is known, so nothing is proved; and it ends. */
static void
check_refused(const struct audit_proof_document *document)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 1000, INT64_MAX - 1, INT64_MAX};
    const struct audit_keys none = {.count = 0};
    struct audit_checkpoint unused;

    FUZZ_CHECK(!aw_ok(audit_proof_document_verify(document, &none, &unused)));
    for (size_t i = 0; i < AW_COUNT(sizes); i++) {
        const struct audit_head head = {.size = sizes[i], .root.bytes = {0x5a}};
        const struct audit_head old = {.size = sizes[i] / 3 + 1, .root.bytes = {0xa5}};

        FUZZ_CHECK(audit_proof_inclusion(&document->proof, document->seq, "line", 4, &head).code ==
                   AW_CODE_MISMATCH);
        FUZZ_CHECK(audit_proof_consistency(&document->proof, &old, &head).code == AW_CODE_MISMATCH);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(audit_proof_document_free) struct audit_proof_document document = {.seq = 0};
    aw_result r = audit_proof_document_parse((const char *)data, size, &document);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(document.record == NULL && document.from == NULL && document.checkpoint == NULL);
        return 0;
    }
    FUZZ_CHECK((document.seq != 0) == (document.from == NULL));
    FUZZ_CHECK((document.record != NULL) == (document.from == NULL));
    FUZZ_CHECK(document.checkpoint != NULL && document.proof.count <= AUDIT_PROOF_MAX);
    check_written(&document);
    check_refused(&document);
    fuzz_accept();
    return 0;
}
