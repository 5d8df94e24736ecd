/* The parts that orders, authorizations, challenges and directories are made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/acme_internal.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"

static const char *const status_names[] = {
    [ACME_PENDING] = "pending",
    [ACME_READY] = "ready",
    [ACME_PROCESSING] = "processing",
    [ACME_VALID] = "valid",
    [ACME_INVALID] = "invalid",
    [ACME_DEACTIVATED] = "deactivated",
    [ACME_EXPIRED] = "expired",
    [ACME_REVOKED] = "revoked",
};

/* Octets of a status, and of an identifier's type or value, that are looked at. */
enum { WORD_MAX = 255, EXPECTED_MAX = 128 };

const char *
acme_status_name(enum acme_status status)
{
    return status_names[status];
}

aw_result
acme_object_parse(const char *text, size_t size, cJSON **out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    AW_TRY(aw_json_parse(text, size, AW_JSON_TOLERANT, &object));
    if (!cJSON_IsObject(object))
        return aw_fail(AW_CODE_SYNTAX, "found a value that is no object");
    *out = AW_MOVE(object);
    return AW_OK;
}

static void
list_allowed(unsigned allowed, char out[EXPECTED_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < AW_COUNT(status_names); i++)
        if ((allowed & ACME_STATUS_BIT(i)) != 0)
            used += (size_t)snprintf(
                out + used, EXPECTED_MAX - used, "%s%s", used == 0 ? "" : ", ", status_names[i]);
}

/* RFC 8555 7.1.6. To wait on a state that we do not know could be to wait for ever. */
aw_result
acme_read_status(const cJSON *object, unsigned allowed, enum acme_status *out)
{
    char shown[64], expected[EXPECTED_MAX];
    const char *text;

    AW_TRY(aw_json_string(object, "status", WORD_MAX, &text));
    for (size_t i = 0; i < AW_COUNT(status_names); i++) {
        if (strcmp(text, status_names[i]) == 0 && (allowed & ACME_STATUS_BIT(i)) != 0) {
            *out = (enum acme_status)i;
            return AW_OK;
        }
    }
    aw_log_escape(text, strlen(text), shown, sizeof(shown));
    list_allowed(allowed, expected);
    return aw_fail(AW_CODE_SYNTAX, "status: found \"%s\", expected one of %s", shown, expected);
}

aw_result
acme_read_identifier(const cJSON *identifier, struct aw_name *out)
{
    const char *type, *value;
    char shown[64];

    AW_TRY(aw_json_string(identifier, "type", WORD_MAX, &type));
    AW_TRY(aw_json_string(identifier, "value", WORD_MAX, &value));
    if (strcmp(type, "dns") == 0)
        return aw_name_parse(value, strlen(value), out);
    if (strcmp(type, "ip") == 0)
        return aw_name_parse_address(value, strlen(value), out);
    aw_log_escape(type, strlen(type), shown, sizeof(shown));
    return aw_fail(AW_CODE_SYNTAX, "identifier: found the type \"%s\", expected dns or ip", shown);
}

aw_result
acme_read_optional_url(const cJSON *object, const char *name, char **out)
{
    const char *url;

    AW_TRY(aw_json_optional_string(object, name, HTTP_URL_MAX, &url));
    if (url == NULL)
        return AW_OK;
    AW_TRY(aw_context(http_url_check(url), "%s", name));
    *out = strdup(url);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

aw_result
acme_read_url(const cJSON *object, const char *name, char **out)
{
    const char *url;

    AW_TRY(aw_json_string(object, name, HTTP_URL_MAX, &url));
    return acme_read_optional_url(object, name, out);
}

/* An escape is four characters at most for each octet. */
aw_result
acme_text(const char *text, size_t max, char **out)
{
    size_t length = strnlen(text, max);

    *out = malloc(length * 4 + 1);
    if (*out == NULL)
        return aw_fail_memory();
    aw_log_escape(text, length, *out, length * 4 + 1);
    return AW_OK;
}

/* "https://host:port" of a URL in plain form. */
static size_t
origin_length(const char *url)
{
    const char *authority = url + strlen("https://");

    return strlen("https://") + strcspn(authority, "/?#");
}

/*
 * Byte for byte, as the signer compares: another spelling of one origin is another origin. A user
 * name before the host is part of what is compared, so it can't be there.
 */
aw_result
acme_url_check(const char *pinned, const char *url, const char *what)
{
    AW_TRY(aw_context(http_url_check(pinned), "the pinned URL"));
    AW_TRY(aw_context(http_url_check(url), "the CA's %s URL", what));
    size_t length = origin_length(pinned);
    if (length == origin_length(url) && memcmp(pinned, url, length) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "the CA's %s URL %s is not on the pinned origin %.*s",
                       what, url, (int)length, pinned),
        "if the CA has moved, an administrator pins its new directory; else do not trust it");
}

aw_result
acme_expect_type(const struct http_response *response, const char *type, const char *what)
{
    const char *found = response->content_type;

    if (found != NULL && strcmp(found, type) == 0)
        return AW_OK;
    return aw_hint(aw_fail_cause(AW_CODE_SYNTAX, AW_CAUSE_HTTP, (unsigned long)response->status,
                       "%s: the answer's media type is %s, expected %s (HTTP %ld)", what,
                       found != NULL ? found : "not told", type, response->status),
        "is this really the ACME server, or a proxy or a login page before it?");
}
