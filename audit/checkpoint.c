#include "audit/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "audit/base64.h"
#include "common/io.h"

/* What a signature line begins with: an em dash (U+2014) and a space. */
#define DASH "\xe2\x80\x94 "

/* Longest decimal of an int64_t. */
enum { SIZE_DIGITS_MAX = 19 };

aw_result
audit_checkpoint_body(const struct audit_checkpoint *checkpoint, char **out)
{
    AW_CLEANUP(aw_free) char *root = NULL;

    if (!audit_name_ok(checkpoint->origin) || checkpoint->head.size < 0)
        return aw_fail(AW_CODE_INTERNAL, "no checkpoint has this origin or size");
    AW_TRY(audit_base64_encode(
        checkpoint->head.root.bytes, sizeof(checkpoint->head.root.bytes), &root));
    return aw_format(
        out, "%s\n%lld\n%s\n", checkpoint->origin, (long long)checkpoint->head.size, root);
}

/* Reading. */

/* A note that is read line by line. */
struct reader {
    const char *at, *end;
    const char *line; /* the present one, without its newline */
    size_t length;
    int number; /* of the line, from 1 */
};

static aw_result
next_line(struct reader *reader)
{
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

    reader->number++;
    if (newline == NULL)
        return aw_fail(
            AW_CODE_SYNTAX, "checkpoint: line %d is missing or has no end", reader->number);
    reader->line = reader->at;
    reader->length = (size_t)(newline - reader->at);
    reader->at = newline + 1;
    return AW_OK;
}

static aw_result
wrong(const struct reader *reader, const char *expected)
{
    return aw_fail(AW_CODE_SYNTAX, "checkpoint: line %d: expected %s", reader->number, expected);
}

static aw_result
copy_name(const struct reader *reader, const char *from, size_t length, char *out)
{
    if (length > AUDIT_NAME_MAX || memchr(from, '\0', length) != NULL)
        return wrong(reader, "a name");
    memcpy(out, from, length);
    out[length] = '\0';
    return audit_name_ok(out) ? AW_OK
                              : wrong(reader, "1 to 128 printable characters, no space or plus");
}

static aw_result
read_size(struct reader *reader, int64_t *out)
{
    static const char expected[] = "a number of records, decimal, without leading zeros";
    int64_t value = 0;

    AW_TRY(next_line(reader));
    if (reader->length == 0 || reader->length > SIZE_DIGITS_MAX ||
        (reader->line[0] == '0' && reader->length > 1))
        return wrong(reader, expected);
    for (size_t i = 0; i < reader->length; i++) {
        int digit = reader->line[i] - '0';

        if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10)
            return wrong(reader, expected);
        value = value * 10 + digit;
    }
    *out = value;
    return AW_OK;
}

static aw_result
read_root(struct reader *reader, struct audit_hash *out)
{
    AW_CLEANUP(aw_free) uint8_t *bytes = NULL;
    size_t size = 0;

    AW_TRY(next_line(reader));
    aw_result r = audit_base64_decode(reader->line, reader->length, &bytes, &size);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r) || size != sizeof(out->bytes))
        return wrong(reader, "base64 of 32 octets");
    memcpy(out->bytes, bytes, sizeof(out->bytes));
    return AW_OK;
}

static aw_result
read_body(struct reader *reader, struct audit_checkpoint *out)
{
    AW_TRY(next_line(reader));
    AW_TRY(copy_name(reader, reader->line, reader->length, out->origin));
    AW_TRY(read_size(reader, &out->head.size));
    AW_TRY(read_root(reader, &out->head.root));
    AW_TRY(next_line(reader));
    return reader->length == 0 ? AW_OK : wrong(reader, "an empty line; extensions are not known");
}

/* One signature line. */
struct signature {
    char name[AUDIT_NAME_MAX + 1];
    uint8_t *bytes; /* key ID, then the signature */
    size_t size;
};

static void
signature_free(struct signature *signature)
{
    free(signature->bytes);
}

static aw_result
read_signature(struct reader *reader, struct signature *out)
{
    const size_t dash = sizeof(DASH) - 1;

    AW_TRY(next_line(reader));
    const char *space = reader->length <= dash || memcmp(reader->line, DASH, dash) != 0
                            ? NULL
                            : memchr(reader->line + dash, ' ', reader->length - dash);
    if (space == NULL)
        return wrong(reader, "a signature: dash, key name, base64");
    const char *name = reader->line + dash;
    AW_TRY(copy_name(reader, name, (size_t)(space - name), out->name));
    const char *text = space + 1;
    aw_result r = audit_base64_decode(
        text, reader->length - (size_t)(text - reader->line), &out->bytes, &out->size);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r) || out->size <= AUDIT_KEY_ID_SIZE)
        return wrong(reader, "base64 of key ID and signature");
    return AW_OK;
}

/* Verification. */

static bool
is_by(const struct signature *signature, const audit_verifier *key, const char *origin)
{
    const char *name = audit_verifier_name(key);

    return strcmp(signature->name, name == NULL ? origin : name) == 0 &&
           memcmp(signature->bytes, audit_verifier_id(key), AUDIT_KEY_ID_SIZE) == 0;
}

static aw_result
check_signature(const struct signature *signature, const char *body, size_t body_length,
    const audit_verifier *key)
{
    return aw_hint(
        aw_context(audit_verifier_check(key, body, body_length,
                       signature->bytes + AUDIT_KEY_ID_SIZE, signature->size - AUDIT_KEY_ID_SIZE),
            "checkpoint: line by %s", signature->name),
        "the checkpoint was changed, or was never signed by the audit key");
}

/* What is done with a note's lines. */
struct reading {
    struct reader reader;
    const struct audit_keys *keys;
    struct audit_checkpoint checkpoint;
    const char *body;
    size_t body_length;
    size_t signatures;
    size_t verified;
};

static aw_result
take_signature(struct reading *reading)
{
    AW_CLEANUP(signature_free) struct signature signature = {.size = 0};

    if (++reading->signatures > AUDIT_NOTE_SIGNATURES_MAX)
        return aw_fail(
            AW_CODE_SYNTAX, "checkpoint: more than %d signatures", AUDIT_NOTE_SIGNATURES_MAX);
    AW_TRY(read_signature(&reading->reader, &signature));
    for (size_t i = 0; i < reading->keys->count; i++) {
        const audit_verifier *key = reading->keys->items[i];

        if (!is_by(&signature, key, reading->checkpoint.origin))
            continue;
        AW_TRY(check_signature(&signature, reading->body, reading->body_length, key));
        reading->verified++;
    }
    return AW_OK;
}

static aw_result
read_note(const char *note, size_t length, struct reading *reading)
{
    struct reader *reader = &reading->reader;

    if (length > AUDIT_NOTE_MAX)
        return aw_fail(AW_CODE_SYNTAX, "checkpoint: more than %d octets", AUDIT_NOTE_MAX);
    *reader = (struct reader){.at = note, .end = note + length};
    reading->body = note;
    AW_TRY(read_body(reader, &reading->checkpoint));
    reading->body_length = (size_t)(reader->line - note); /* not the blank line */
    do
        AW_TRY(take_signature(reading));
    while (reader->at != reader->end);
    return AW_OK;
}

aw_result
audit_checkpoint_parse(const char *note, size_t length, struct audit_checkpoint *out)
{
    const struct audit_keys none = {.count = 0};
    struct reading reading = {.keys = &none};

    AW_TRY(read_note(note, length, &reading));
    *out = reading.checkpoint;
    return AW_OK;
}

aw_result
audit_checkpoint_verify(
    const char *note, size_t length, const struct audit_keys *keys, struct audit_checkpoint *out)
{
    struct reading reading = {.keys = keys};

    AW_TRY(read_note(note, length, &reading));
    if (reading.verified == 0)
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "the checkpoint of %lld records is not signed by a key that was given",
                           (long long)reading.checkpoint.head.size),
            "give the key of that time: audit keys may have been rotated");
    *out = reading.checkpoint;
    return AW_OK;
}

/* Writing. */

static aw_result
write_note(const struct audit_checkpoint *checkpoint, const audit_verifier *key,
    const uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE], char **out)
{
    AW_CLEANUP(aw_free) char *body = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    uint8_t bytes[AUDIT_KEY_ID_SIZE + 2 * AUDIT_RAW_SIGNATURE_SIZE];
    size_t size = 0;

    AW_TRY(audit_checkpoint_body(checkpoint, &body));
    AW_TRY(audit_signature_der(raw, &der, &size));
    if (size > sizeof(bytes) - AUDIT_KEY_ID_SIZE)
        return aw_fail(AW_CODE_INTERNAL, "a signature of %zu octets", size);
    memcpy(bytes, audit_verifier_id(key), AUDIT_KEY_ID_SIZE);
    memcpy(bytes + AUDIT_KEY_ID_SIZE, der, size);
    AW_TRY(audit_base64_encode(bytes, AUDIT_KEY_ID_SIZE + size, &text));
    return aw_format(out, "%s\n" DASH "%s %s\n", body, checkpoint->origin, text);
}

aw_result
audit_checkpoint_seal(const struct audit_checkpoint *checkpoint, const audit_verifier *key,
    const uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE], char **note)
{
    const audit_verifier *const trusted[] = {key};
    const struct audit_keys keys = {.items = trusted, .count = 1};
    AW_CLEANUP(aw_free) char *text = NULL;
    struct audit_checkpoint read;

    *note = NULL;
    AW_TRY(write_note(checkpoint, key, raw, &text));
    AW_TRY(audit_checkpoint_verify(text, strlen(text), &keys, &read));
    *note = AW_MOVE(text);
    return AW_OK;
}
