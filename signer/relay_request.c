#include "signer/relay_request.h"

#include <string.h>

#include "signer/request_fields.h"

/* The methods' parameters, as org.acmeward.Relay.varlink has them. Names, CSR, certificate to be
 * revoked, reason: these come from the evidence alone. */
#define BIT(id) REQUEST_BIT(id)
static const struct request_form forms[RELAY_METHOD_COUNT] = {
    [RELAY_GET_NONCES] = {.required = BIT(COUNT)},
    [RELAY_FIND_ACCOUNT] = {.required = BIT(THUMBPRINT)},
    [RELAY_GET_ACCOUNT] = {.required = BIT(ACCOUNT)},
    [RELAY_NEW_ACCOUNT] = {.required = BIT(EVIDENCE) | BIT(SEEN)},
    [RELAY_CHANGE_KEY] = {.required = BIT(EVIDENCE) | BIT(SEEN)},
    [RELAY_DEACTIVATE_ACCOUNT] = {.required = BIT(EVIDENCE) | BIT(SEEN)},
    [RELAY_NEW_ORDER] = {.required = BIT(EVIDENCE) | BIT(SEEN) | BIT(NONCE),
        .optional = BIT(AGAIN)},
    [RELAY_CLAIM_URLS] = {.required = BIT(ORDER) | BIT(URLS)},
    [RELAY_FINALIZE] = {.required = BIT(EVIDENCE) | BIT(SEEN) | BIT(NONCE) | BIT(ORDER) | BIT(URL)},
    [RELAY_POST_AS_GET] = {.required = BIT(NONCE) | BIT(ORDER) | BIT(URL)},
    [RELAY_ANSWER_CHALLENGE] = {.required = BIT(NONCE) | BIT(ORDER) | BIT(URL)},
    [RELAY_REVOKE] = {.required = BIT(EVIDENCE) | BIT(SEEN) | BIT(NONCE) | BIT(REPEATED)},
    [RELAY_RECORD_CERTIFICATE] = {.required = BIT(ORDER) | BIT(CERTIFICATE) | BIT(CHAIN)},
};

static const struct {
    const char *name;
    enum sign_operation operation;
} methods[RELAY_METHOD_COUNT] = {
#define METHOD_ROW(name, method, operation) {method, operation},
    RELAY_METHODS(METHOD_ROW)
#undef METHOD_ROW
};

bool
relay_method_parse(const char *name, enum relay_method *out)
{
    for (unsigned i = 0; i < RELAY_METHOD_COUNT; i++)
        if (strcmp(methods[i].name, name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

bool
relay_method_asks(enum relay_method method)
{
    return methods[method].operation == SIGN_WHOAMI;
}

aw_result
relay_request_parse(
    enum relay_method method, const cJSON *parameters, struct sign_request *out, const char **field)
{
    *out = (struct sign_request){.operation = methods[method].operation};
    AW_TRY(request_read(&forms[method], parameters, out, field));
    out->relayed.is = true;
    if (method == RELAY_NEW_ORDER)
        out->order = out->relayed.again;
    return AW_OK;
}
