/**
 * @file proof_document.h
 * @brief A proof as a JSON document that holds all that is needed but the public key: what is
 * proved, the proof, the checkpoints.
 */
#ifndef AW_AUDIT_PROOF_DOCUMENT_H
#define AW_AUDIT_PROOF_DOCUMENT_H

#include "audit/checkpoint.h"
#include "audit/proof.h"

/** What is proved, by which members are there. Release: audit_proof_document_free. */
struct audit_proof_document {
    int64_t seq;  /**< inclusion: of that record; 0: consistency */
    char *record; /**< inclusion: its line without the newline */
    char *from;   /**< consistency: the older checkpoint */
    struct audit_proof proof;
    char *checkpoint; /**< the note that it is proved against */
};

/** Releases and zeroes. */
void audit_proof_document_free(struct audit_proof_document *document);

/** Writes it as one line of JSON; release with free(). */
AW_MUST_USE aw_result audit_proof_document_write(
    const struct audit_proof_document *document, char **out);

/** Reads it strictly; nothing is verified. AW_CODE_SYNTAX, AW_CODE_LIMIT. */
AW_MUST_USE aw_result audit_proof_document_parse(
    const char *text, size_t length, struct audit_proof_document *out);

/**
 * Verifies all of it: the signatures on the checkpoints, that they are of one log, the proof.
 * @param[out] checkpoint what it was proved against
 * @return AW_CODE_MISMATCH, AW_CODE_SYNTAX
 */
AW_MUST_USE aw_result audit_proof_document_verify(const struct audit_proof_document *document,
    const struct audit_keys *keys, struct audit_checkpoint *checkpoint);

#endif
