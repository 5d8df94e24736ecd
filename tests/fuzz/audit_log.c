/*
 * A whole audit log: as it is, and with the chain's digests mended, so that the walk goes deep.
 * Verifying, reading and opening for writing agree; what they accept can be continued.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "audit/file.h"
#include "common/io.h"
#include "fuzz.h"
#include "log_file.h"

static aw_result
count(const struct audit_record *record, void *context)
{
    int64_t *records = context;

    FUZZ_CHECK(record->seq == ++*records);
    return AW_OK;
}

/* The writer keeps what it cuts, beside the log. */
static void
remove_torn(void)
{
    AW_CLEANUP(aw_free) char *pattern = NULL;
    glob_t found = {0};

    FUZZ_CHECK(aw_ok(aw_format(&pattern, "%s/" AUDIT_FILE_NAME ".torn-*", fuzz_folder())));
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            FUZZ_CHECK(unlink(found.gl_pathv[i]) == 0);
        globfree(&found);
    }
}

/* The writer takes what was verified, cuts the torn tail, and continues. */
static void
check_continued(const struct audit_verdict *before)
{
    struct audit_entry entry = {.kind = AUDIT_START, .time = before->last_time};
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    struct audit_verdict after;
    size_t repaired = 0;
    int64_t seq = 0;

    FUZZ_CHECK(aw_ok(audit_log_open(fuzz_folder(), &log, &repaired)));
    FUZZ_CHECK(repaired == before->torn);
    if (repaired > 0)
        remove_torn();
    FUZZ_CHECK(aw_ok(audit_log_append(log, &entry, &seq)) && aw_ok(audit_log_wait(log, seq)));
    FUZZ_CHECK(seq == before->records + 1);
    FUZZ_CHECK(aw_ok(audit_verify(fuzz_folder(), &after)));
    FUZZ_CHECK(after.records == seq && after.torn == 0);
    FUZZ_CHECK(after.first_time <= after.last_time && after.last_time >= before->last_time);
}

/* A damaged log is not written to. */
static void
check_damaged(const void *bytes, size_t size)
{
    AW_CLEANUP(aw_free) char *path = log_file_path();
    AW_CLEANUP(aw_free) char *text = NULL;
    audit_log *log = NULL;
    size_t repaired = 0, length = 0;

    FUZZ_CHECK(audit_log_open(fuzz_folder(), &log, &repaired).code == AW_CODE_CORRUPT);
    FUZZ_CHECK(log == NULL);
    FUZZ_CHECK(aw_ok(aw_file_read(path, SIZE_MAX / 2, &text, &length)));
    FUZZ_CHECK(length == size && memcmp(text, bytes, size) == 0);
}

static bool
check(const void *bytes, size_t size)
{
    struct audit_verdict verdict;
    int64_t records = 0;

    log_file_write(bytes, size);
    aw_result r = audit_verify(fuzz_folder(), &verdict);
    if (!aw_ok(r))
        fuzz_check_refusal(r);
    aw_result reading = audit_read(fuzz_folder(), 1, count, &records);
    FUZZ_CHECK(r.code == reading.code);
    if (!aw_ok(r)) {
        FUZZ_CHECK(r.code == AW_CODE_CORRUPT);
        check_damaged(bytes, size);
        return false;
    }
    FUZZ_CHECK(records == verdict.records);
    check_continued(&verdict);
    return records > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    bool as_it_is = check(text, size);

    bool changed = log_file_mend(text, size);
    FUZZ_CHECK(!as_it_is || !changed);
    if (check(text, size) || as_it_is)
        fuzz_accept();
    return 0;
}
