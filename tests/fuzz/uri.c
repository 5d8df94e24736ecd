/* The token's URI: what is accepted holds no PIN, names no object, and parses the same again. */
#include "pkcs11/uri.h"

#include <stdlib.h>
#include <string.h>

#include <p11-kit/uri.h>

#include "common/io.h"
#include "fuzz.h"

static const char module[] = "/usr/lib/softhsm/libsofthsm2.so";

static void
check_by_p11kit(const char *text)
{
    P11KitUri *uri = p11_kit_uri_new();
    CK_ULONG attributes = 0;

    FUZZ_CHECK(p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri) == P11_KIT_URI_OK);
    FUZZ_CHECK(p11_kit_uri_get_pin_value(uri) == NULL);
    p11_kit_uri_get_attributes(uri, &attributes);
    FUZZ_CHECK(attributes == 0 && !p11_kit_uri_any_unrecognized(uri));
    p11_kit_uri_free(uri);
}

static void
check_pin_source(const token_uri *uri)
{
    const char *path = "";
    aw_result r = token_uri_pin_source(uri, &path);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(path == NULL);
    } else {
        FUZZ_CHECK(path == NULL || path[0] == '/');
    }
}

/* What is refused for its PIN must not be quoted. */
static void
check_refused(const char *text, aw_result r)
{
    fuzz_check_refusal(r);
    if (strstr(text, "pin-value") != NULL && strlen(text) >= 20)
        FUZZ_CHECK(strstr(aw_error_last()->message, text) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    AW_CLEANUP(token_uri_free) token_uri *uri = NULL;
    aw_result r = token_uri_parse(text, module, &uri);

    FUZZ_CHECK(aw_ok(r) == (uri != NULL));
    if (uri == NULL) {
        check_refused(text, r);
        return 0;
    }
    FUZZ_CHECK(strstr(text, "pin-value") == NULL);
    check_by_p11kit(text);
    check_pin_source(uri);
    fuzz_accept();
    return 0;
}
