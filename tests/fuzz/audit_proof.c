/* A proof in JSON: what is read is written the same; what it says of itself is never believed. */
#include "audit/evidence.h"

#include <string.h>

#include "common/io.h"
#include "fuzz.h"

static void
check_written(const struct audit_evidence *evidence)
{
    AW_CLEANUP(audit_evidence_free) struct audit_evidence again = {.seq = 0};
    AW_CLEANUP(aw_free) char *text = NULL;

    FUZZ_CHECK(aw_ok(audit_evidence_write(evidence, &text)));
    if (strlen(text) > AW_JSON_MAX_SIZE) /* escapes are longer here */
        return;
    FUZZ_CHECK(aw_ok(audit_evidence_parse(text, strlen(text), &again)));
    FUZZ_CHECK(again.seq == evidence->seq && again.proof.count == evidence->proof.count);
    FUZZ_CHECK(fuzz_same_text(again.record, evidence->record));
    FUZZ_CHECK(fuzz_same_text(again.from, evidence->from));
    FUZZ_CHECK(fuzz_same_text(again.checkpoint, evidence->checkpoint));
    FUZZ_CHECK(memcmp(again.proof.hashes, evidence->proof.hashes,
                   again.proof.count * sizeof(again.proof.hashes[0])) == 0);
}

/* Any numbers: no root of these hashes is known, so nothing is proved; and it ends. */
static void
check_refused(const struct audit_evidence *evidence)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 7, 8, 1000, INT64_MAX - 1, INT64_MAX};
    const struct audit_keys none = {.count = 0};
    struct audit_checkpoint unused;

    FUZZ_CHECK(!aw_ok(audit_evidence_verify(evidence, &none, &unused)));
    for (size_t i = 0; i < AW_COUNT(sizes); i++) {
        const struct audit_head head = {.size = sizes[i], .root.bytes = {0x5a}};
        const struct audit_head old = {.size = sizes[i] / 3 + 1, .root.bytes = {0xa5}};

        FUZZ_CHECK(audit_proof_inclusion(&evidence->proof, evidence->seq, "line", 4, &head).code ==
                   AW_CODE_MISMATCH);
        FUZZ_CHECK(audit_proof_consistency(&evidence->proof, &old, &head).code == AW_CODE_MISMATCH);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(audit_evidence_free) struct audit_evidence evidence = {.seq = 0};
    aw_result r = audit_evidence_parse((const char *)data, size, &evidence);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(evidence.record == NULL && evidence.from == NULL && evidence.checkpoint == NULL);
        return 0;
    }
    FUZZ_CHECK((evidence.seq != 0) == (evidence.from == NULL));
    FUZZ_CHECK((evidence.record != NULL) == (evidence.from == NULL));
    FUZZ_CHECK(evidence.checkpoint != NULL && evidence.proof.count <= AUDIT_PROOF_MAX);
    check_written(&evidence);
    check_refused(&evidence);
    fuzz_accept();
    return 0;
}
