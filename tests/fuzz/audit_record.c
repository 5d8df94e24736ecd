/* One line of the audit log: what is read, is written the same, digest included. */
#include "audit/record.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "common/io.h"
#include "fuzz.h"

static void
check_digest(const char *line, size_t length, const struct audit_record *record)
{
    AW_CLEANUP(aw_free) char *whole = malloc(length + 1);
    uint8_t digest[AW_DIGEST_SIZE];
    char hex[AW_DIGEST_HEX_SIZE];

    memcpy(whole, line, length);
    whole[length] = '\n';
    FUZZ_CHECK(EVP_Q_digest(NULL, "SHA256", NULL, whole, length + 1, digest, NULL) == 1);
    aw_hex(digest, sizeof(digest), hex);
    FUZZ_CHECK(strcmp(hex, record->digest) == 0);
}

/* Escapes may make a line too long; nothing else is in the way. */
static void
check_written(const struct audit_record *record)
{
    AW_CLEANUP(audit_record_free) struct audit_record again = {0};
    AW_CLEANUP(aw_free) char *line = NULL;
    AW_CLEANUP(aw_free) char *line_again = NULL;
    size_t length = 0, length_again = 0;
    aw_result r = audit_record_write(record, &line, &length);

    if (r.code == AW_CODE_LIMIT)
        return;
    FUZZ_CHECK(aw_ok(r));
    FUZZ_CHECK(memchr(line, '\n', length) == NULL);
    FUZZ_CHECK(aw_ok(audit_record_parse(line, length, &again)));
    FUZZ_CHECK(again.seq == record->seq && again.entry.time == record->entry.time);
    FUZZ_CHECK(again.entry.name_count == record->entry.name_count);
    FUZZ_CHECK(aw_ok(audit_record_write(&again, &line_again, &length_again)));
    FUZZ_CHECK(length == length_again && memcmp(line, line_again, length) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(audit_record_free) struct audit_record record = {0};
    const char *line = (const char *)data;
    aw_result r = audit_record_parse(line, size, &record);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(record.json == NULL && record.names_storage == NULL);
        return 0;
    }
    FUZZ_CHECK(record.seq >= 1 && record.entry.time >= 0);
    FUZZ_CHECK(strlen(record.previous) == 2 * AW_DIGEST_SIZE);
    check_digest(line, line[size - 1] == '\n' ? size - 1 : size, &record);
    check_written(&record);
    fuzz_accept();
    return 0;
}
