#include "admin/account_key.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

aw_result
admin_key_look_up_by(struct admin_ca *ca, acme_signer sign, void *context, char **url)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};

    *url = NULL;
    aw_result r =
        acme_post(ca->session, sign, context, true, "asking for the account of a key", &answer);
    if (r.code == AW_CODE_CA_REFUSED &&
        strcmp(acme_session_problem(ca->session), "accountDoesNotExist") == 0)
        return AW_OK;
    AW_TRY(r);
    if (answer.location == NULL)
        return aw_fail(AW_CODE_CA_UNAVAILABLE,
            "the CA answered onlyReturnExisting without a Location (RFC 8555 7.3.1)");
    *url = strdup(answer.location);
    return *url == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
admin_key_look_up(struct admin_ca *ca, const struct admin_options *options, const char *account,
    const char *key, char **url)
{
    struct admin_request request = {
        .options = options, .method = "LookUpAccount", .account = account, .key = key};

    return admin_key_look_up_by(ca, admin_sign_request, &request, url);
}

aw_result
admin_key_prove_taken(struct admin_ca *ca, const struct admin_options *options, const char *account)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    struct admin_request request = {
        .options = options, .method = "QueryAccount", .account = account, .key = "present"};

    return aw_hint(acme_post(ca->session, admin_sign_request, &request, true,
                       "a request with the new key", &answer),
        "the old key was not destroyed; run the command again");
}

/* What a CA says of a key that is not the account's: RFC 8555 6.2, 6.7; Boulder and Pebble say
 * malformed. */
static bool
is_about_the_key(const char *problem)
{
    static const char *const types[] = {
        "unauthorized", "malformed", "accountDoesNotExist", "badPublicKey"};

    for (size_t i = 0; i < AW_COUNT(types); i++)
        if (strcmp(types[i], problem) == 0)
            return true;
    return false;
}

aw_result
admin_key_prove_refused_by(struct admin_ca *ca, acme_signer sign, void *context, const char *which)
{
    AW_CLEANUP(http_response_free) struct http_response answer = {.status = 0};
    AW_CLEANUP(aw_free) char *what = NULL;

    AW_TRY(aw_format(&what, "a request with the %s key", which));
    aw_result r = acme_post(ca->session, sign, context, true, what, &answer);
    if (r.code == AW_CODE_CA_REFUSED && is_about_the_key(acme_session_problem(ca->session)))
        return AW_OK;
    if (aw_ok(r))
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the CA still takes the %s key", which),
            "it was not destroyed: whoever has it has the account; ask the CA, then run the "
            "command "
            "again");
    return aw_hint(aw_context(r, "not proven that the CA refuses the %s key", which),
        "it was not destroyed; run the command again");
}

aw_result
admin_key_prove_refused(
    struct admin_ca *ca, const struct admin_options *options, const char *account)
{
    struct admin_request request = {
        .options = options, .method = "QueryAccount", .account = account, .key = "old"};

    return admin_key_prove_refused_by(ca, admin_sign_request, &request, "old");
}
