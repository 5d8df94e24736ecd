/**
 * @file evidence.h
 * @brief What a client signed and how it was seen: handed to the signer, and kept with an order
 * until its certificate is there.
 */
#ifndef AW_RELAY_EVIDENCE_H
#define AW_RELAY_EVIDENCE_H

#include "client/signer_link.h"
#include "relay/relay.h"

/** Of a call; borrows from it. Nothing was validated. */
struct signer_behalf relay_behalf(const struct relay_call *call);

/** As JSON text for the store. @param validated challenge type that was met; NULL: none */
AW_MUST_USE aw_result relay_evidence_write(
    const struct relay_call *call, const char *validated, char **out);

/** Evidence that was kept. Release: kept_evidence_free. */
struct kept_evidence {
    cJSON *json;
    struct signer_behalf behalf; /**< borrows from `json` */
    uint8_t *csr;                /**< DER, of a finalize */
    size_t csr_size;
};

/** Reads the text of a finalize's. */
AW_MUST_USE aw_result relay_evidence_read(const char *text, struct kept_evidence *out);

/** Releases and zeroes. */
void kept_evidence_free(struct kept_evidence *evidence);

#endif
