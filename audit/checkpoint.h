/**
 * @file checkpoint.h
 * @brief Signed heads of the tree: C2SP tlog-checkpoint in the form of a C2SP signed-note.
 *
 * Origin, size and root, a line each, a blank line, then signature lines. What is signed is written
 * here from typed values and nowhere else; a note is read by a grammar narrower than C2SP's (no
 * extension lines, ASCII but for the dash), so that a body has one reading.
 */
#ifndef AW_AUDIT_CHECKPOINT_H
#define AW_AUDIT_CHECKPOINT_H

#include "audit/audit.h"
#include "audit/verifier.h"

/** Limits. */
enum {
    AUDIT_NOTE_MAX = 128 * 1024,    /**< octets of a note */
    AUDIT_NOTE_SIGNATURES_MAX = 64, /**< signature lines; C2SP asks for 16 at least */
};

/** What a checkpoint says. */
struct audit_checkpoint {
    char origin[AUDIT_NAME_MAX + 1]; /**< which log: audit_name_ok */
    struct audit_head head;
};

/** Writes what is signed: the three lines. Release with free(). */
AW_MUST_USE aw_result audit_checkpoint_body(const struct audit_checkpoint *checkpoint, char **out);

/**
 * Writes the note with the token's signature (r || s) over the body, by the key named like the
 * origin. The note is read back and its signature verified before it is handed out.
 */
AW_MUST_USE aw_result audit_checkpoint_seal(const struct audit_checkpoint *checkpoint,
    const audit_verifier *key, const uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE], char **note);

/** Reads a note's form; its signatures are not verified. AW_CODE_SYNTAX says what is wrong. */
AW_MUST_USE aw_result audit_checkpoint_parse(
    const char *note, size_t length, struct audit_checkpoint *out);

/** Keys that are trusted. */
struct audit_keys {
    const audit_verifier *const *items;
    size_t count;
};

/**
 * Reads a note and verifies that one of the keys signed it. A key without a name is taken for one
 * named like the note's origin. Signatures of other keys are left alone; one that names a trusted
 * key and does not verify is a refusal, whatever else is there.
 * @return AW_CODE_SYNTAX; AW_CODE_MISMATCH
 */
AW_MUST_USE aw_result audit_checkpoint_verify(
    const char *note, size_t length, const struct audit_keys *keys, struct audit_checkpoint *out);

#endif
