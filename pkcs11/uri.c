#include "pkcs11/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/uri.h>

struct token_uri {
    P11KitUri *parsed;
    char *text;
};

/* Bytes of the list of tokens in a message. */
enum { LIST_SIZE = 640 };

static aw_result
refuse_content(const token_uri *uri, const char *module)
{
    CK_ULONG attributes = 0;
    const char *path = p11_kit_uri_get_module_path(uri->parsed);

    if (p11_kit_uri_any_unrecognized(uri->parsed))
        return aw_hint(
            aw_fail(AW_CODE_CONFIG, "the token URI has an attribute that RFC 7512 does not know"),
            "a token is named by token=, serial=, model=, manufacturer= or slot-id=");
    p11_kit_uri_get_attributes(uri->parsed, &attributes);
    if (attributes > 0)
        return aw_hint(
            aw_fail(AW_CODE_CONFIG, "the token URI names an object (object=, id= or type=)"),
            "leave those out: keys are named by their labels elsewhere");
    if (path != NULL && strcmp(path, module) != 0)
        return aw_hint(
            aw_fail(AW_CODE_CONFIG,
                "the token URI's module-path is %s, but the configured module is %s", path, module),
            "leave module-path out of the URI");
    return AW_OK;
}

static aw_result
parse_into(token_uri *uri, const char *text, const char *module)
{
    uri->parsed = p11_kit_uri_new();
    if (uri->parsed == NULL)
        return aw_fail_memory();
    /* Looked for in the text too, so that the URI is never quoted when it holds a PIN. */
    int rv = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri->parsed);
    if (p11_kit_uri_get_pin_value(uri->parsed) != NULL || strstr(text, "pin-value") != NULL)
        return aw_hint(
            aw_fail(AW_CODE_CONFIG,
                "the token URI has a pin-value: a PIN does not belong in a configuration file"),
            "put the PIN into a file of mode 0400 and name it with pin-source (or pin_source:); "
            "and "
            "change the PIN, since it has been in a file that others may read");
    if (rv != P11_KIT_URI_OK)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "the token URI \"%s\" is not valid: %s", text,
                           p11_kit_uri_message(rv)),
            "a token URI looks like pkcs11:token=NAME;serial=NUMBER (RFC 7512)");
    AW_TRY(refuse_content(uri, module));
    uri->text = strdup(text);
    return uri->text == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
token_uri_parse(const char *text, const char *module, token_uri **out)
{
    AW_CLEANUP(token_uri_free) token_uri *uri = calloc(1, sizeof(*uri));

    if (uri == NULL)
        return aw_fail_memory();
    if (text == NULL)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "there is no token URI"),
            "a token URI looks like pkcs11:token=NAME;serial=NUMBER (RFC 7512)");
    AW_TRY(parse_into(uri, text, module));
    *out = AW_MOVE(uri);
    return AW_OK;
}

void
token_uri_free(token_uri **uri)
{
    if (uri == NULL || *uri == NULL)
        return;
    p11_kit_uri_free((*uri)->parsed);
    free((*uri)->text);
    free(*uri);
    *uri = NULL;
}

aw_result
token_uri_pin_source(const token_uri *uri, const char **out)
{
    const char *source = p11_kit_uri_get_pin_source(uri->parsed);
    const char *path = source;

    *out = NULL;
    if (source == NULL)
        return AW_OK;
    if (strncmp(path, "file:", 5) == 0) {
        path += 5;
        if (strncmp(path, "//", 2) == 0) /* file:///path; a host is not allowed */
            path += 2;
    }
    if (path[0] != '/')
        return aw_hint(aw_fail(AW_CODE_CONFIG,
                           "pin-source \"%s\" is neither an absolute path nor a file: URI", source),
            "for example pin-source=file:/etc/acmeward/pin");
    *out = path;
    return AW_OK;
}

static bool
matches(const token_uri *uri, const struct token_module *module, unsigned index, CK_SLOT_ID *id)
{
    CK_TOKEN_INFO token;
    CK_SLOT_INFO slot;
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri->parsed);

    return token_module_token(module, index, &token, &slot, id) &&
           p11_kit_uri_match_module_info(uri->parsed, &module->info) != 0 &&
           p11_kit_uri_match_slot_info(uri->parsed, &slot) != 0 &&
           p11_kit_uri_match_token_info(uri->parsed, &token) != 0 &&
           (wanted == (CK_SLOT_ID)-1 || wanted == *id);
}

/* Length of a blank-padded text. */
static int
trimmed(const unsigned char *text, size_t size)
{
    while (size > 0 && text[size - 1] == ' ')
        size--;
    return (int)size;
}

static void
list_tokens(const struct token_module *module, char list[LIST_SIZE])
{
    size_t used = 0;

    snprintf(list, LIST_SIZE, "none");
    for (unsigned i = 0; i < module->slot_count && used < LIST_SIZE; i++) {
        CK_TOKEN_INFO token;
        CK_SLOT_INFO slot;
        CK_SLOT_ID id;
        if (!token_module_token(module, i, &token, &slot, &id))
            continue;
        used +=
            (size_t)snprintf(list + used, LIST_SIZE - used, "%s\"%.*s\" (serial %.*s, slot %lu)",
                used == 0 ? "" : ", ", trimmed(token.label, sizeof(token.label)),
                (const char *)token.label, trimmed(token.serialNumber, sizeof(token.serialNumber)),
                (const char *)token.serialNumber, id);
    }
}

aw_result
token_uri_select(const token_uri *uri, const struct token_module *module, CK_SLOT_ID *out)
{
    char list[LIST_SIZE];
    unsigned found = 0;

    for (unsigned i = 0; i < module->slot_count; i++) {
        CK_SLOT_ID id;
        if (!matches(uri, module, i, &id))
            continue;
        *out = id;
        found++;
    }
    if (found == 1)
        return AW_OK;
    list_tokens(module, list);
    if (found == 0)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN_ABSENT, "no token matches %s; tokens here: %s", uri->text, list),
            "correct the URI, or plug in or create the token, and see that this user may read it");
    return aw_hint(aw_fail(AW_CODE_CONFIG, "%u tokens match %s: %s", found, uri->text, list),
        "add serial=NUMBER to the URI, so that it names one token");
}
