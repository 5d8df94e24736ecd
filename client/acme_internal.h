/**
 * @file acme_internal.h
 * @brief What the files of acme share: readers of the parts of a CA's objects.
 */
#ifndef AW_CLIENT_ACME_INTERNAL_H
#define AW_CLIENT_ACME_INTERNAL_H

#include <cjson/cJSON.h>

#include "client/acme.h"

/** A set of states. */
#define ACME_STATUS_BIT(status) (1u << (status))

/** Parses the text of an object in tolerant mode. */
AW_MUST_USE aw_result acme_object_parse(const char *text, size_t size, cJSON **out);

/** Reads the required member "status", which must be among the states of `allowed`. */
AW_MUST_USE aw_result acme_read_status(
    const cJSON *object, unsigned allowed, enum acme_status *out);

/** Reads an identifier (RFC 8555 9.7.7): types dns and ip. */
AW_MUST_USE aw_result acme_read_identifier(const cJSON *identifier, struct aw_name *out);

/** Reads a required URL: https, printable ASCII. Allocated. */
AW_MUST_USE aw_result acme_read_url(const cJSON *object, const char *name, char **out);

/** Like acme_read_url; *out is NULL when the member is absent or null. */
AW_MUST_USE aw_result acme_read_optional_url(const cJSON *object, const char *name, char **out);

/** Escaped for a terminal, cut to `max` octets of the original. Allocated. */
AW_MUST_USE aw_result acme_text(const char *text, size_t max, char **out);

/** Reads the problem in the member "error", if there is one. */
AW_MUST_USE aw_result acme_problem_read_member(const cJSON *object, struct acme_problem *out);

#endif
