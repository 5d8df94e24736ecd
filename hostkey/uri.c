/* What a URI of a key may say. The parser is p11-kit's. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/io.h"
#include "hostkey/internal.h"

#define EXAMPLE "pkcs11:token=web;object=www?pin-source=file:/etc/acmeward/web.pin"

bool
host_key_is_uri(const char *text)
{
    return strncasecmp(text, "pkcs11:", strlen("pkcs11:")) == 0;
}

static bool
names_token(P11KitUri *uri)
{
    const CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(uri);

    return info->label[0] != '\0' || info->serialNumber[0] != '\0';
}

static bool
names_object(P11KitUri *uri)
{
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(uri, CKA_LABEL);
    const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(uri, CKA_ID);

    return (label != NULL && label->ulValueLen > 0) || (id != NULL && id->ulValueLen > 0);
}

static bool
is_private(P11KitUri *uri)
{
    const CK_ATTRIBUTE *class = p11_kit_uri_get_attribute(uri, CKA_CLASS);
    CK_OBJECT_CLASS value = CKO_PRIVATE_KEY;

    if (class != NULL && class->ulValueLen == sizeof(value))
        memcpy(&value, class->pValue, sizeof(value));
    return value == CKO_PRIVATE_KEY;
}

static bool
is_path(const char *source)
{
    return source == NULL || source[0] == '/' || strncmp(source, "file:/", strlen("file:/")) == 0;
}

static aw_result
check_content(P11KitUri *uri)
{
    if (p11_kit_uri_get_module_path(uri) != NULL || p11_kit_uri_get_module_name(uri) != NULL)
        return aw_hint(aw_fail(AW_CODE_USAGE, "the key's URI names a PKCS#11 module"),
            "a module is code that is loaded: name it by pkcs11_module in client.yaml, or in "
            "p11-kit's configuration, and leave module-path and module-name out");
    if (p11_kit_uri_any_unrecognized(uri))
        return aw_fail(AW_CODE_USAGE, "the key's URI has an attribute that RFC 7512 does not know");
    if (!names_token(uri))
        return aw_hint(aw_fail(AW_CODE_USAGE, "the key's URI names no token"),
            "token= or serial= does; pkcs11-tool --list-slots shows what there is");
    if (!names_object(uri))
        return aw_hint(aw_fail(AW_CODE_USAGE, "the key's URI names no object"),
            "object= names the key: one that is in the token, or that is to be made");
    if (!is_private(uri))
        return aw_fail(AW_CODE_USAGE, "the key's URI names something else than a private key");
    if (!is_path(p11_kit_uri_get_pin_source(uri)))
        return aw_hint(aw_fail(AW_CODE_USAGE, "pin-source of the key's URI is no file"),
            "pin-source=file:/etc/acmeward/web.pin; commands are not run");
    return AW_OK;
}

static void
free_uri(P11KitUri **uri)
{
    p11_kit_uri_free(*uri);
}

aw_result
host_key_uri_parse(const char *text, P11KitUri **out)
{
    AW_CLEANUP(free_uri) P11KitUri *uri = p11_kit_uri_new();

    if (uri == NULL)
        return aw_fail_memory();
    /* Looked for in the text too, so that a URI is never quoted when it holds a PIN. */
    int rv = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    if (p11_kit_uri_get_pin_value(uri) != NULL || strcasestr(text, "pin-value") != NULL)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "the key's URI has a pin-value: other users can read arguments "
                                   "and settings"),
            "put the PIN into a file of mode 0600, name it with pin-source=file:/PATH, and change "
            "the PIN");
    if (strlen(text) > HOST_KEY_URI_MAX)
        return aw_fail(
            AW_CODE_USAGE, "the key's URI is longer than %d characters", HOST_KEY_URI_MAX);
    if (rv != P11_KIT_URI_OK)
        return aw_hint(aw_fail(AW_CODE_USAGE, "\"%.200s\" is no PKCS#11 URI: %s", text,
                           p11_kit_uri_message(rv)),
            "it looks like " EXAMPLE " (RFC 7512)");
    AW_TRY(check_content(uri));
    *out = AW_MOVE(uri);
    return AW_OK;
}

/* Other objects have the label too: a reader without type= could get the public key. */
static aw_result
set_type(P11KitUri *uri)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attribute = {CKA_CLASS, &class, sizeof(class)};

    return p11_kit_uri_set_attribute(uri, &attribute) == P11_KIT_URI_OK ? AW_OK : aw_fail_memory();
}

aw_result
host_key_uri_check(const char *text, char **out)
{
    AW_CLEANUP(free_uri) P11KitUri *uri = NULL;

    AW_TRY(host_key_uri_parse(text, &uri));
    AW_TRY(set_type(uri));
    return p11_kit_uri_format(uri, P11_KIT_URI_FOR_ANY, out) == P11_KIT_URI_OK ? AW_OK
                                                                               : aw_fail_memory();
}
