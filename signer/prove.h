/**
 * @file prove.h
 * @brief The contract's step for what comes through a relay: from what a client signed to a request
 * of its application.
 *
 * The relay says which order of the CA's is meant and what nonce the CA gave; all else is taken
 * from the client's own JWS, which is verified here, in the core: a gate or relay that did it would
 * have to be believed.
 */
#ifndef AW_SIGNER_PROVE_H
#define AW_SIGNER_PROVE_H

#include "signer/work.h"

/**
 * Proves a relay's request, and makes it work->request: typed, as an application's own. Does
 * nothing for an application's own. Refuses what is not proven, and who is no relay;
 * work->proof.settled: there is nothing left to decide.
 */
AW_MUST_USE aw_result work_prove(struct work *work);

/** Decides what was proven, for the application that it is of. */
AW_MUST_USE aw_result work_decide_proven(struct work *work, const struct policy_request *asked);

/** Gives back what was used for nothing, and releases. */
void work_end_proof(struct work *work);

#endif
