/**
 * @file renewal_info.h
 * @brief Renewal information (RFC 9773) of certificates that were issued here: the CA's, passed on,
 * and kept for as long as the CA says.
 */
#ifndef AW_RELAY_RENEWAL_INFO_H
#define AW_RELAY_RENEWAL_INFO_H

#include "common/result.h"

/** Limits. */
enum {
    RENEWAL_KEPT = 4096, /**< answers that are kept; the oldest is dropped */
};

/** What is kept. Locks itself. */
struct relay_renewals;

/** Makes it empty. */
AW_MUST_USE aw_result relay_renewals_new(struct relay_renewals **out);

/** Releases and nulls; NULL is allowed. */
void relay_renewals_free(struct relay_renewals **slot);

#endif
