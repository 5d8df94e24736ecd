/* The mark of a closed segment: what is read, is written the same and read again as the same. */
#include "audit/mark.h"

#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/io.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *written = NULL;
    struct audit_mark mark, again;
    aw_result r = audit_mark_parse((const char *)data, size, &mark);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return 0;
    }
    FUZZ_CHECK(mark.segment >= 1 && mark.segment <= AUDIT_SEGMENTS_MAX);
    FUZZ_CHECK(mark.first >= 1 && mark.tree.size >= mark.first && mark.octets >= 1);
    FUZZ_CHECK(strlen(mark.head) == AW_DIGEST_HEX_SIZE - 1);
    FUZZ_CHECK(aw_ok(audit_mark_write(&mark, &written)));
    FUZZ_CHECK(aw_ok(audit_mark_parse(written, strlen(written), &again)));
    FUZZ_CHECK(audit_mark_equal(&mark, &again));
    fuzz_accept();
    return 0;
}
