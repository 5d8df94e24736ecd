/**
 * @file doctor.h
 * @brief What doctor looks at besides the evidence of report p4.
 */
#ifndef AW_ADMIN_DOCTOR_H
#define AW_ADMIN_DOCTOR_H

#include "admin/report_p4.h"

/**
 * Adds what stands against clients of the relays of signer.yaml: users, relay key, policies,
 * app-eabs. Asks the signer only where there are relays.
 */
AW_MUST_USE aw_result doctor_find_relays(
    const struct admin_options *options, const struct p4 *p4, struct report_page *page);

#endif
