#include "signer/url.h"

#include <string.h>

#include "common/log.h"
#include "common/names.h"
#include "signer/request.h"

static const char scheme[] = "https://";

/* RFC 3986 2.3, and what else a query may hold. */
#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
#define QUERY UNRESERVED "/=&:+,@?"

/* Longest port: 65535. */
enum { PORT_DIGITS_MAX = 5, PORT_HTTPS = 443 };

static aw_result
refuse(const char *url, const char *reason)
{
    char shown[256];

    aw_log_escape(url, strlen(url), shown, sizeof(shown));
    return aw_hint(aw_fail(AW_CODE_SYNTAX, "URL \"%s\": %s", shown, reason),
        "URLs are taken as the CA wrote them: https, lower-case host, plain path");
}

/* The authority ends where the path begins. */
static aw_result
split(const char *url, const char **authority, const char **path)
{
    size_t length = strnlen(url, SIGN_URL_MAX + 1);

    *authority = *path = url;
    if (length > SIGN_URL_MAX)
        return aw_fail(AW_CODE_SYNTAX, "a URL of more than %d characters", (int)SIGN_URL_MAX);
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return refuse(url, "it does not begin with https://");
    *authority = url + sizeof(scheme) - 1;
    *path = *authority + strcspn(*authority, "/?#\\");
    if (**path != '/')
        return refuse(url, "no path after the host");
    return AW_OK;
}

static aw_result
check_port(const char *url, const char *port, size_t length)
{
    unsigned value = 0;

    if (length == 0 || length > PORT_DIGITS_MAX || port[0] == '0' ||
        strspn(port, "0123456789") < length)
        return refuse(url, "the port is not a number from 1 to 65535 without leading zeros");
    for (size_t i = 0; i < length; i++)
        value = value * 10 + (unsigned)(port[i] - '0');
    if (value > 65535)
        return refuse(url, "the port is over 65535");
    if (value == PORT_HTTPS)
        return refuse(url, "the port 443 is https's own and is left out");
    return AW_OK;
}

/* A host name may have a single label: a CA inside an enterprise, or on loopback. */
static aw_result
check_host(const char *url, const char *host, size_t length)
{
    struct aw_name name;

    for (size_t i = 0; i < length; i++)
        if ((uint8_t)host[i] >= 0x80)
            return refuse(url, "characters beyond ASCII in the host");
    if (aw_ok(aw_name_parse_address(host, length, &name)))
        return name.address_size == 4 ? AW_OK : refuse(url, "an IPv6 address without brackets");
    if (!aw_ok(aw_name_parse_file(host, length, &name)) || name.form != AW_NAME_HOST)
        return refuse(url, "the host is not a host name or an address in canonical form");
    if (memcmp(name.text, host, length) != 0)
        return refuse(url, "upper case in the host");
    return AW_OK;
}

/* RFC 3986 3.2.2: "[" IPv6 address "]" */
static aw_result
check_ipv6(const char *url, const char *bracket, size_t length)
{
    struct aw_name name;

    if (!aw_ok(aw_name_parse_address(bracket + 1, length - 2, &name)) || name.address_size != 16)
        return refuse(url, "what is in brackets is not an IPv6 address in canonical form");
    return AW_OK;
}

static aw_result
check_authority(const char *url, const char *authority, size_t length)
{
    const char *end = authority + length;
    const char *bracket = authority[0] == '[' ? memchr(authority, ']', length) : NULL;
    const char *from = bracket != NULL ? bracket : authority;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    const char *host_end = colon != NULL ? colon : end;

    if (memchr(authority, '@', length) != NULL)
        return refuse(url, "a user name before the host");
    if (bracket != NULL && host_end != bracket + 1)
        return refuse(url, "something other than a port after the address");
    if (bracket != NULL)
        AW_TRY(check_ipv6(url, authority, (size_t)(host_end - authority)));
    else
        AW_TRY(check_host(url, authority, (size_t)(host_end - authority)));
    return colon != NULL ? check_port(url, colon + 1, (size_t)(end - colon - 1)) : AW_OK;
}

static const char *
character_fault(char c)
{
    switch (c) {
    case '?':
        return "a query";
    case '#':
        return "a fragment";
    case '%':
        return "percent-encoding";
    case '\\':
        return "a backslash";
    case ';':
        return "a semicolon";
    default:
        return "a character that is not a letter, a digit, \"-\", \".\", \"_\", \"~\" or \"/\"";
    }
}

/* `length` characters of segments, each after its "/". The last may be empty, if not the only. */
static aw_result
check_path(const char *url, const char *path, size_t length)
{
    const char *end = path + length;

    if (length == 1)
        return refuse(url, "no path but \"/\"");
    while (path < end) {
        const char *segment = path + 1;
        size_t size = strspn(segment, UNRESERVED);
        path = segment + size;
        if (path < end && *path != '/')
            return refuse(url, character_fault(*path));
        if (size == 0 && path < end)
            return refuse(url, "\"//\" in the path");
        if ((size == 1 && segment[0] == '.') || (size == 2 && memcmp(segment, "..", 2) == 0))
            return refuse(url, "\".\" or \"..\" as a part of the path");
    }
    return AW_OK;
}

aw_result
url_check_form(const char *url)
{
    const char *authority, *path;

    AW_TRY(split(url, &authority, &path));
    AW_TRY(check_authority(url, authority, (size_t)(path - authority)));
    return check_path(url, path, strlen(path));
}

aw_result
url_check_pin(const char *url)
{
    const char *authority, *path;

    AW_TRY(split(url, &authority, &path));
    AW_TRY(check_authority(url, authority, (size_t)(path - authority)));
    size_t length = strcspn(path, "?");
    AW_TRY(check_path(url, path, length));
    if (path[length] == '\0')
        return AW_OK;
    const char *query = path + length + 1;
    if (*query == '\0' || query[strspn(query, QUERY)] != '\0')
        return refuse(url, "an empty query, or one with characters beyond letters, digits and "
                           "-._~/=&:+,@?");
    return AW_OK;
}

bool
url_same_origin(const char *a, const char *b)
{
    const char *authority_a, *path_a, *authority_b, *path_b;

    if (!aw_ok(split(a, &authority_a, &path_a)) || !aw_ok(split(b, &authority_b, &path_b)))
        return false;
    size_t length = (size_t)(path_a - authority_a);
    return length == (size_t)(path_b - authority_b) &&
           memcmp(authority_a, authority_b, length) == 0;
}
