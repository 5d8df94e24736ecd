/**
 * @file issuance.h
 * @brief One order from finalize to its certificate: what goes on while the client polls, and again
 * after a kill.
 */
#ifndef AW_RELAY_ISSUANCE_H
#define AW_RELAY_ISSUANCE_H

#include "relay/relay.h"

/** Limits. */
enum {
    ISSUANCE_SECONDS = 900, /**< one run may take; then it is gone on with later */
};

/** How a run ended. */
enum issuance_end {
    ISSUANCE_OVER,    /**< the order is valid or invalid, or was never to be gone on with */
    ISSUANCE_REFUSED, /**< the signer refused before anything was signed for finalize: the order is
                           ready again */
    ISSUANCE_UNRECORDED, /**< the order is valid, but the signer's inventory has not got the
                              certificate (recording.h) */
    ISSUANCE_LATER,      /**< signer or CA can't be reached, or are in trouble: again later */
};

/**
 * Goes on with an order that is processing.
 * @param first nothing was tried before: what the CA said when it was opened still holds, and a
 *              refusal leaves the order ready
 * @param[out] problem of ISSUANCE_REFUSED; release: relay_problem_free
 */
AW_MUST_USE aw_result relay_issuance_run(struct relay *relay, int64_t ticket, bool first,
    enum issuance_end *end, struct relay_problem *problem);

#endif
