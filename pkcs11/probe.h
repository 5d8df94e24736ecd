/**
 * @file probe.h
 * @brief What a token really enforces, found out by trying it on throw-away keys.
 *
 * Flags are what a token says of a key. The probe makes keys exactly as the real ones are made, and
 * then does to them what somebody would who is logged in and wants the key: read it, wrap it out,
 * make it extractable again, copy it weaker, use it for something else. Everything made is
 * destroyed again, also what a probe left behind that was cut off.
 */
#ifndef AW_PKCS11_PROBE_H
#define AW_PKCS11_PROBE_H

#include "pkcs11/token.h"

/** What an attempt showed. */
enum token_probe_verdict {
    TOKEN_PROBE_ENFORCED,     /**< the token refused, or nothing came of it */
    TOKEN_PROBE_NOT_ENFORCED, /**< what must not be had was had */
    TOKEN_PROBE_NOT_OFFERED,  /**< the token has no such mechanism or function */
    TOKEN_PROBE_UNCLEAR,      /**< the attempt itself failed: nothing is proved */
};

/** One attempt on one key. */
struct token_probe_row {
    char key[40];     /**< "account key (EC P-256)" */
    char attempt[72]; /**< "read CKA_VALUE" */
    char answer[48];  /**< name of the CKR code that the token gave */
    enum token_probe_verdict verdict;
    bool required;     /**< must hold, or the token is not fit */
    char follows[512]; /**< for a person: "enforced", "NOT ENFORCED: ..." */
};

/** What token_probe_run found. Release: token_probe_free. */
struct token_probe {
    struct token_info info;
    struct token_probe_row *rows;
    size_t row_count;
    char left_behind[512]; /**< labels of keys that could not be destroyed; empty: none */
};

/**
 * Probes with an account key of each of the `count` types, an EAB key, and a key that is unwrapped
 * into the token. Nobody else may use the token meanwhile: it takes seconds, and whatever carries a
 * label of the probe ("acmeward-probe:...") is destroyed.
 * @return failures that keep it from being done at all (AW_CODE_TOKEN_..., AW_CODE_MEMORY)
 */
AW_MUST_USE aw_result token_probe_run(
    token *t, const enum token_key_type *types, size_t count, struct token_probe **out);

/** True when all that must hold holds, and nothing was left behind. */
bool token_probe_holds(const struct token_probe *probe);

/** "enforced", "not-enforced", "not-offered", "unclear". */
const char *token_probe_verdict_name(enum token_probe_verdict verdict);

/** Releases and nulls; NULL is allowed. */
void token_probe_free(struct token_probe **probe);

#endif
