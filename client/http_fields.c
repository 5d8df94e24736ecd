#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/http_internal.h"
#include "common/io.h"
#include "common/log.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char base64url[] = ALNUM "-_";
/* RFC 6838 4.2, with the slash between type and subtype. */
static const char media_type[] = ALNUM "!#$&-^_.+/";

static const char white[] = " \t";

/* Longest Replay-Nonce that is kept: the signer takes no longer one. */
enum { NONCE_MAX = 512, RETRY_DIGITS_MAX = 9 };

/* The only field of that name: NULL when absent, a failure when it is there more than once. */
static aw_result
one_field(CURL *easy, const struct http_asked *asked, const char *name, const char **out)
{
    struct curl_header *field;

    *out = NULL;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &field) != CURLHE_OK)
        return AW_OK;
    if (field->amount > 1)
        return aw_hint(aw_fail(AW_CODE_SYNTAX, "%s %s: the answer has %zu %s fields, expected one",
                           asked->method, asked->url, field->amount, name),
            "the CA, or a proxy before it, is at fault");
    *out = field->value;
    return AW_OK;
}

static aw_result
copy_text(const char *text, size_t length, char **out)
{
    *out = strndup(text, length);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static aw_result
read_content_type(CURL *easy, const struct http_asked *asked, char **out)
{
    const char *value;

    AW_TRY(one_field(easy, asked, "Content-Type", &value));
    size_t length = value != NULL ? strspn(value, media_type) : 0;
    if (length == 0 || strchr("; \t", value[length]) == NULL)
        return AW_OK;
    char *type = strndup(value, length);
    if (type == NULL)
        return aw_fail_memory();
    for (char *c = type; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    *out = type;
    return AW_OK;
}

/* RFC 8555 6.5.1: a value that is not base64url is ignored. */
static aw_result
read_nonce(CURL *easy, char **out)
{
    struct curl_header *field;

    if (curl_easy_header(easy, "Replay-Nonce", 0, CURLH_HEADER, -1, &field) != CURLHE_OK)
        return AW_OK;
    size_t length = strspn(field->value, base64url);
    if (field->amount > 1 || length == 0 || length > NONCE_MAX || field->value[length] != '\0')
        return AW_OK;
    return copy_text(field->value, length, out);
}

/* RFC 9110 10.2.3: seconds or a date; what is neither is as good as absent. */
static aw_result
read_retry_after(CURL *easy, const struct http_asked *asked, int64_t *out)
{
    const char *value;

    *out = -1;
    AW_TRY(one_field(easy, asked, "Retry-After", &value));
    if (value == NULL || *value == '\0')
        return AW_OK;
    if (value[strspn(value, "0123456789")] == '\0') {
        *out = strlen(value) <= RETRY_DIGITS_MAX ? strtoll(value, NULL, 10) : INT32_MAX;
        return AW_OK;
    }
    time_t date = curl_getdate(value, NULL);
    if (date != -1)
        *out = date > time(NULL) ? (int64_t)(date - time(NULL)) : 0;
    return AW_OK;
}

static aw_result
read_date(CURL *easy, const struct http_asked *asked, int64_t *out)
{
    const char *value;

    AW_TRY(one_field(easy, asked, "Date", &value));
    time_t date = value == NULL ? -1 : curl_getdate(value, NULL);
    *out = date > 0 ? (int64_t)date : 0;
    return AW_OK;
}

static void
url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void
curl_text_free(char **text)
{
    curl_free(*text);
}

/*
 * RFC 3986 5. An absolute URL is kept byte for byte, for it will be signed; *out stays NULL for
 * what is no reference.
 */
static aw_result
resolve(const char *base, const char *reference, char **out)
{
    AW_CLEANUP(url_free) CURLU *url = NULL;
    AW_CLEANUP(curl_text_free) char *text = NULL;

    if (strncmp(reference, "https://", strlen("https://")) == 0)
        return copy_text(reference, strlen(reference), out);
    url = curl_url();
    if (url == NULL)
        return aw_fail_memory();
    if (curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return AW_OK;
    return copy_text(text, strlen(text), out);
}

static aw_result
read_location(CURL *easy, const struct http_asked *asked, char **out)
{
    const char *value;

    AW_TRY(one_field(easy, asked, "Location", &value));
    if (value == NULL)
        return AW_OK;
    if (strlen(value) > HTTP_URL_MAX)
        return aw_fail(AW_CODE_LIMIT, "%s %s: a Location of %zu characters, expected at most %d",
            asked->method, asked->url, strlen(value), HTTP_URL_MAX);
    return resolve(asked->url, value, out);
}

/* Link fields (RFC 8288 3): <URL>; name=value; name="value", <URL> ... */

/* Ends at the end of a parameter's value: a token, or a quoted string. */
static const char *
value_end(const char *value)
{
    if (*value != '"')
        return value + strcspn(value, ";, \t");
    const char *end = value + 1;
    while (*end != '\0' && *end != '"')
        end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
    return *end == '"' ? end + 1 : end;
}

/* Reads the parameters of one link, the first rel into *rel (NULL: none); returns their end. */
static const char *
link_parameters(const char *text, const char **rel, size_t *rel_length)
{
    *rel = NULL;
    for (text += strspn(text, white); *text == ';'; text += strspn(text, white)) {
        const char *name = text + 1 + strspn(text + 1, white);
        size_t length = strcspn(name, "=;, \t");
        text = name + length;
        if (*text != '=')
            continue;
        const char *value = text + 1;
        text = value_end(value);
        if (*rel != NULL || length != 3 || strncasecmp(name, "rel", 3) != 0)
            continue;
        bool quoted = *value == '"' && text > value + 1;
        *rel = quoted ? value + 1 : value;
        *rel_length = (size_t)(text - value) - (quoted ? 2 : 0);
    }
    return text;
}

static aw_result
keep_link(const char *base, const char *target, const char *rel, struct http_response *out)
{
    struct http_link *link = &out->links[out->link_count];

    if (strlen(target) > HTTP_URL_MAX)
        return AW_OK;
    AW_TRY(resolve(base, target, &link->url));
    if (link->url == NULL)
        return AW_OK;
    out->link_count++;
    return copy_text(rel, strlen(rel), &link->rel);
}

/* What does not read as a link ends the field. */
static aw_result
read_links_of(const char *base, const char *text, struct http_response *out)
{
    while (out->link_count < HTTP_LINKS_MAX) {
        AW_CLEANUP(aw_free) char *target = NULL;
        AW_CLEANUP(aw_free) char *rel_text = NULL;
        const char *rel;
        size_t rel_length = 0;

        text += strspn(text, " \t,");
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        if (end == NULL)
            return AW_OK;
        AW_TRY(copy_text(text + 1, (size_t)(end - text - 1), &target));
        text = link_parameters(end + 1, &rel, &rel_length);
        if (rel == NULL)
            continue;
        AW_TRY(copy_text(rel, rel_length, &rel_text));
        AW_TRY(keep_link(base, target, rel_text, out));
    }
    return AW_OK;
}

static aw_result
read_links(CURL *easy, const char *base, struct http_response *out)
{
    struct curl_header *field;

    for (size_t i = 0; i < HTTP_LINKS_MAX; i++) {
        if (curl_easy_header(easy, "Link", i, CURLH_HEADER, -1, &field) != CURLHE_OK)
            break;
        AW_TRY(read_links_of(base, field->value, out));
    }
    return AW_OK;
}

aw_result
http_fields_read(CURL *easy, const struct http_asked *asked, struct http_response *out)
{
    AW_TRY(read_content_type(easy, asked, &out->content_type));
    AW_TRY(read_location(easy, asked, &out->location));
    AW_TRY(read_nonce(easy, &out->nonce));
    AW_TRY(read_retry_after(easy, asked, &out->retry_after));
    AW_TRY(read_date(easy, asked, &out->date));
    return read_links(easy, asked->url, out);
}
