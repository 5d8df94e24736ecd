/**
 * @file url.h
 * @brief Which URLs the account key may sign for: a narrow form, then the pinned origin.
 *
 * URLs are taken byte for byte, never normalised: what is not in the narrow form is refused, so
 * that no two spellings of one URL can both pass.
 */
#ifndef AW_SIGNER_URL_H
#define AW_SIGNER_URL_H

#include <stdbool.h>

#include "common/result.h"

/**
 * Checks the form: "https://", a lower-case host name or address, optionally ":port" (1 to 65535,
 * no leading zero, not 443), then a path that starts with "/" of unreserved characters, "/", and
 * "%" never; refused: userinfo, query, fragment, "//", "/./", "/../", ";", backslash, anything
 * else. IPv4 only as dotted decimal, IPv6 in brackets in canonical text. At most SIGN_URL_MAX
 * characters. A path of "/" alone is refused.
 */
AW_MUST_USE aw_result url_check_form(const char *url);

/** Like url_check_form for a directory's resource URL, which may carry a query (pins only). */
AW_MUST_USE aw_result url_check_pin(const char *url);

/** True when both have the same scheme, host and port (both in the checked form). */
bool url_same_origin(const char *a, const char *b);

#endif
