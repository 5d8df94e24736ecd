/* Header fields of a CA's answer, one "Name: value" a line. What is taken from them is usable. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/http_internal.h"
#include "common/io.h"
#include "fuzz.h"

enum { FIELDS_MAX = 64, NONCE_MAX = 512 };

/* What libcurl holds of an answer: names and values without white space around them. */
static struct curl_header fields[FIELDS_MAX];
static size_t field_count;

/* In place of libcurl's table (linked with --wrap). */
CURLHcode __wrap_curl_easy_header(CURL *easy, const char *name, size_t index, unsigned origin,
    int request, struct curl_header **out);

CURLHcode
__wrap_curl_easy_header(CURL *easy, const char *name, size_t index, unsigned origin, int request,
    struct curl_header **out)
{
    size_t amount = 0;

    FUZZ_CHECK(easy == NULL && origin == CURLH_HEADER && request == -1);
    for (size_t i = 0; i < field_count; i++) {
        if (strcasecmp(fields[i].name, name) != 0)
            continue;
        if (amount++ == index)
            *out = &fields[i];
    }
    if (amount == 0)
        return CURLHE_MISSING;
    if (index >= amount)
        return CURLHE_BADINDEX;
    (*out)->amount = amount;
    (*out)->index = index;
    return CURLHE_OK;
}

static char *
trim(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text + strspn(text, " \t");
}

static void
split(char *text)
{
    char *line;

    field_count = 0;
    while ((line = strsep(&text, "\n")) != NULL && field_count < FIELDS_MAX) {
        char *colon = strchr(line, ':');
        if (colon == NULL || colon == line)
            continue;
        *colon = '\0';
        fields[field_count++] = (struct curl_header){.name = line, .value = trim(colon + 1)};
    }
}

static void
check_response(const struct http_response *response)
{
    static const char base64url[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (const char *c = response->content_type; c != NULL && *c != '\0'; c++)
        FUZZ_CHECK(*c > ' ' && *c < 0x7f && *c != ';' && !(*c >= 'A' && *c <= 'Z'));
    if (response->nonce != NULL) {
        size_t length = strspn(response->nonce, base64url);
        FUZZ_CHECK(length > 0 && length <= NONCE_MAX && response->nonce[length] == '\0');
    }
    FUZZ_CHECK(response->retry_after >= -1);
    FUZZ_CHECK(response->location == NULL || strstr(response->location, ":") != NULL);
    FUZZ_CHECK(response->link_count <= HTTP_LINKS_MAX);
    for (size_t i = 0; i < response->link_count; i++) {
        FUZZ_CHECK(response->links[i].url != NULL && response->links[i].rel != NULL);
        FUZZ_CHECK(strstr(response->links[i].url, ":") != NULL);
    }
}

static bool
has_field(const struct http_response *response)
{
    return response->content_type != NULL || response->nonce != NULL ||
           response->location != NULL || response->retry_after >= 0 || response->link_count > 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_asked asked = {"POST", "https://ca.example.edu/acme/new-order"};
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    AW_CLEANUP(http_response_free) struct http_response response = {0};

    split(text);
    aw_result r = http_fields_read(NULL, &asked, &response);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return 0;
    }
    check_response(&response);
    if (has_field(&response))
        fuzz_accept();
    return 0;
}
