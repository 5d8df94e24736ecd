/**
 * @file http_internal.h
 * @brief What the files of http share: the fields of an answer, and libcurl's failures.
 */
#ifndef AW_CLIENT_HTTP_INTERNAL_H
#define AW_CLIENT_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "client/http.h"

/** What was asked, for messages. */
struct http_asked {
    const char *method;
    const char *url;
};

/** Takes the fields that ACME uses from the answer to a transfer that has ended. */
AW_MUST_USE aw_result http_fields_read(
    CURL *easy, const struct http_asked *asked, struct http_response *out);

/** Fails with a CURLcode, libcurl's own words (may be empty) and a hint by code. */
AW_MUST_USE aw_result http_fail(const struct http_asked *asked, CURLcode code, const char *words);

#endif
