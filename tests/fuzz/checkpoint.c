/* What is read of checkpoints: a key file, a note, the notes that are stored beside a log. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/checkpoint.h"
#include "audit/stored.h"
#include "common/io.h"
#include "fuzz.h"

/* A key is read again from each form that it is written in. */
static bool
check_key(const char *text, size_t size)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *key = NULL, *again = NULL;
    AW_CLEANUP(aw_free) char *written = NULL;
    aw_result r = audit_verifier_parse(text, size, &key);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(r.code == AW_CODE_SYNTAX && key == NULL);
        return false;
    }
    const char *name = audit_verifier_name(key);
    fuzz_check_plain(name);
    FUZZ_CHECK(aw_ok(
        name == NULL ? audit_verifier_pem(key, &written) : audit_verifier_line(key, &written)));
    FUZZ_CHECK(name == NULL || strncmp(text, written, strlen(written)) == 0);
    FUZZ_CHECK(aw_ok(audit_verifier_parse(written, strlen(written), &again)));
    FUZZ_CHECK(fuzz_same_text(name, audit_verifier_name(again)));
    FUZZ_CHECK(memcmp(audit_verifier_id(key), audit_verifier_id(again), AUDIT_KEY_ID_SIZE) == 0);
    return true;
}

/* The body has one reading: written anew it is the same octets. Without a key nothing verifies. */
static bool
check_note(const char *text, size_t size)
{
    const struct audit_keys none = {.count = 0};
    struct audit_checkpoint checkpoint, other;
    AW_CLEANUP(aw_free) char *body = NULL;
    aw_result r = audit_checkpoint_parse(text, size, &checkpoint);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(r.code == AW_CODE_SYNTAX);
        return false;
    }
    fuzz_check_plain(checkpoint.origin);
    FUZZ_CHECK(audit_name_ok(checkpoint.origin) && checkpoint.head.size >= 0);
    FUZZ_CHECK(aw_ok(audit_checkpoint_body(&checkpoint, &body)));
    FUZZ_CHECK(strlen(body) < size && memcmp(body, text, strlen(body)) == 0);
    FUZZ_CHECK(audit_checkpoint_verify(text, size, &none, &other).code == AW_CODE_MISMATCH);
    return true;
}

static aw_result
visit(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    int64_t *last = context;

    FUZZ_CHECK(check_note(note, strlen(note)) && checkpoint->head.size >= *last);
    *last = checkpoint->head.size;
    return AW_OK;
}

/* What is found takes up the whole file, and a note can be appended. */
static bool
check_stored(const char *text, size_t size)
{
    static const char note[] = "last.example\n9223372036854775807\n"
                               "f+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n"
                               "\xe2\x80\x94 last.example AAAAAQID\n";
    AW_CLEANUP(aw_free) char *path = NULL;
    struct audit_stored found, after;
    int64_t last = 0;

    FUZZ_CHECK(aw_ok(aw_path_join(fuzz_folder(), AUDIT_STORED_NAME, &path)));
    FUZZ_CHECK(aw_ok(aw_file_replace(path, text, size, 0640)));
    aw_result r = audit_stored_read(fuzz_folder(), visit, &last, &found);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(r.code == AW_CODE_CORRUPT);
        return false;
    }
    FUZZ_CHECK((size_t)found.size + found.torn == size);
    int64_t count = found.count;
    FUZZ_CHECK(aw_ok(audit_stored_append(fuzz_folder(), note, &found)));
    FUZZ_CHECK(aw_ok(audit_stored_read(fuzz_folder(), NULL, NULL, &after)));
    FUZZ_CHECK(after.count == count + 1 && after.torn == 0 && after.size == found.size);
    return count > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    bool key = check_key(text, size);
    bool note = check_note(text, size);
    bool stored = check_stored(text, size);

    if (key || note || stored)
        fuzz_accept();
    return 0;
}
