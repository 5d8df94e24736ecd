/*
 * Two URLs, one a line. What passes the signer's form reads the same to libcurl, unchanged by
 * normalising, and both sides agree on what one origin is.
 */
#include "signer/url.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "client/acme.h"
#include "common/io.h"
#include "fuzz.h"
#include "signer/request.h"

static void
free_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

/* A part of a URL as libcurl reads it, "" for none; release with curl_free(). */
static char *
part(CURLU *url, CURLUPart what)
{
    char *text = NULL;

    if (curl_url_get(url, what, &text, 0) != CURLUE_OK)
        FUZZ_CHECK(text == NULL);
    return text;
}

static void
check_no_part(CURLU *url, CURLUPart what)
{
    char *text = part(url, what);

    FUZZ_CHECK(text == NULL);
}

static void
check_by_curl(const char *text, bool pin)
{
    AW_CLEANUP(free_url) CURLU *url = curl_url();

    FUZZ_CHECK(url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK);
    check_no_part(url, CURLUPART_USER);
    check_no_part(url, CURLUPART_PASSWORD);
    check_no_part(url, CURLUPART_FRAGMENT);
    if (!pin)
        check_no_part(url, CURLUPART_QUERY);
    char *whole = part(url, CURLUPART_URL);
    FUZZ_CHECK(whole != NULL && strcmp(whole, text) == 0);
    curl_free(whole);
}

static bool
check_one(const char *text)
{
    aw_result form = url_check_form(text), pin = url_check_pin(text);

    if (!aw_ok(pin))
        fuzz_check_refusal(pin);
    FUZZ_CHECK(!aw_ok(form) || aw_ok(pin));
    if (!aw_ok(pin))
        return false;
    FUZZ_CHECK(strlen(text) <= SIGN_URL_MAX && aw_ok(http_url_check(text)));
    FUZZ_CHECK(aw_ok(form) || strchr(text, '?') != NULL);
    check_by_curl(text, !aw_ok(form));
    FUZZ_CHECK(url_same_origin(text, text));
    FUZZ_CHECK(aw_ok(acme_url_check(text, text, "own")));
    return aw_ok(form);
}

static bool
same_part(CURLU *a, CURLU *b, CURLUPart what)
{
    char *of_a = part(a, what), *of_b = part(b, what);
    bool same = fuzz_same_text(of_a, of_b);

    curl_free(of_a);
    curl_free(of_b);
    return same;
}

static bool
same_by_curl(const char *a, const char *b)
{
    AW_CLEANUP(free_url) CURLU *url_a = curl_url();
    AW_CLEANUP(free_url) CURLU *url_b = curl_url();

    FUZZ_CHECK(curl_url_set(url_a, CURLUPART_URL, a, 0) == CURLUE_OK);
    FUZZ_CHECK(curl_url_set(url_b, CURLUPART_URL, b, 0) == CURLUE_OK);
    return same_part(url_a, url_b, CURLUPART_HOST) && same_part(url_a, url_b, CURLUPART_PORT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *first = fuzz_text(data, size);
    char *second = strchr(first, '\n');

    if (second != NULL)
        *second++ = '\0';
    bool good = check_one(first);
    if (good)
        fuzz_accept();
    if (!good || second == NULL || !check_one(second))
        return 0;
    bool same = same_by_curl(first, second);
    FUZZ_CHECK(url_same_origin(first, second) == same);
    FUZZ_CHECK(aw_ok(acme_url_check(first, second, "other")) == same);
    return 0;
}
