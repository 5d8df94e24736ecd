/*
 * Adoption: an account that another client made is changed over to the token's key (RFC
 * 8555 7.3.5). The new key signs here, inside of a request that the old one signs where it is,
 * outside of the token. After that the state is "attempted": the CA is asked for the account of the
 * token's key, and RegisterAccount or ForgetAttempt follow as after a newAccount.
 */
#include <stdio.h>
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "signer/admin_account.h"
#include "signer/jws.h"
#include "signer/request.h"

/* Octets of a number of a public key: RSA-16384. */
enum { NUMBER_MAX = 2048 };

static aw_result
read_number(const cJSON *jwk, const char *name, size_t width, const char **out)
{
    uint8_t octets[NUMBER_MAX];
    size_t size = 0;

    AW_TRY(aw_json_string(jwk, name, AW_B64URL_LENGTH(NUMBER_MAX), out));
    AW_TRY(aw_context(
        aw_b64url_decode(*out, strlen(*out), octets, sizeof(octets), &size), "%s", name));
    if (size == 0 || (width != 0 && size != width))
        return aw_fail(AW_CODE_SYNTAX, "%s: found %zu octets", name, size);
    return AW_OK;
}

/* A public key and nothing else, written anew in the order of RFC 7638 3.2. */
static aw_result
read_ec(const cJSON *jwk, char **out)
{
    static const char *const members[] = {"kty", "crv", "x", "y"};
    const char *curve = NULL, *x = NULL, *y = NULL;
    size_t width = 0;

    AW_TRY(aw_json_only(jwk, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(jwk, "crv", 8, &curve));
    width = strcmp(curve, "P-256") == 0 ? 32 : strcmp(curve, "P-384") == 0 ? 48 : 0;
    if (width == 0)
        return aw_fail(AW_CODE_SYNTAX, "crv: expected P-256 or P-384");
    AW_TRY(read_number(jwk, "x", width, &x));
    AW_TRY(read_number(jwk, "y", width, &y));
    return aw_format(out, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", curve, x, y);
}

static aw_result
read_rsa(const cJSON *jwk, char **out)
{
    static const char *const members[] = {"kty", "e", "n"};
    const char *e = NULL, *n = NULL;

    AW_TRY(aw_json_only(jwk, members, AW_COUNT(members)));
    AW_TRY(read_number(jwk, "e", 0, &e));
    AW_TRY(read_number(jwk, "n", 0, &n));
    return aw_format(out, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", e, n);
}

static aw_result
read_old_key(struct admin_call *call, char **out)
{
    const cJSON *jwk = NULL;
    const char *type = NULL;

    call->field = "old_key";
    AW_TRY(aw_json_object(call->parameters, "old_key", &jwk));
    AW_TRY(aw_json_string(jwk, "kty", 8, &type));
    if (strcmp(type, "EC") != 0 && strcmp(type, "RSA") != 0)
        return aw_fail(AW_CODE_SYNTAX, "kty: expected EC or RSA");
    AW_TRY(strcmp(type, "EC") == 0 ? read_ec(jwk, out) : read_rsa(jwk, out));
    call->field = NULL;
    return AW_OK;
}

static aw_result
check_adoptable(const struct account *account)
{
    if (account->ca->pinned_at == 0)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "the CA %s is not pinned", account->ca->name),
            "acmeward-admin ca pin %s", account->ca->name);
    if (account->state == ACCOUNT_UNREGISTERED || account->state == ACCOUNT_ATTEMPTED)
        return AW_OK;
    if (account->state == ACCOUNT_NO_KEY)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "account %s has no key yet", account->name),
            "acmeward-admin account create %s", account->name);
    return aw_hint(aw_fail(AW_CODE_EXISTS, "account %s is %s already: %s", account->name,
                       account_state_name(account->state), account->url),
        "adopt under another name of signer.yaml");
}

static aw_result
build(const struct account *account, const char *old_jwk, const char *url, token_key *key,
    struct aw_jws *jws)
{
    AW_CLEANUP(aw_free) char *payload = NULL;

    if (strcmp(old_jwk, token_key_jwk(key)) == 0)
        return aw_fail(AW_CODE_EXISTS, "the old key is the one in the token");
    AW_TRY(jws_payload_key_change(url, old_jwk, &payload));
    return aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(key),
                            .jwk = token_key_jwk(key),
                            .url = account->ca->pin.key_change,
                            .inner = true},
        payload, jws);
}

static aw_result
adopt(struct admin_call *call, struct account *account, struct account *draft)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {.input = NULL};
    AW_CLEANUP(aw_free) char *old_jwk = NULL, *text = NULL;
    const char *url = NULL;
    token_key *key = NULL;

    AW_TRY(read_old_key(call, &old_jwk));
    AW_TRY(check_adoptable(account));
    AW_TRY(admin_check_resource(account, "keyChange", account->ca->pin.key_change));
    call->field = "url";
    AW_TRY(aw_json_string(call->parameters, "url", SIGN_URL_MAX, &url));
    AW_TRY(admin_check_account_url(account, "url", url));
    call->field = NULL;
    AW_TRY(accounts_key(call->core->accounts, account, &key));
    AW_TRY(build(account, old_jwk, url, key, &jws));
    aw_hex(jws.digest, sizeof(jws.digest), call->input);
    snprintf(call->message, sizeof(call->message), "%.480s", url);
    AW_TRY(admin_record(call, "account-adopt", true));
    AW_TRY(admin_sign_jws(key, &jws, &text));
    draft->state = ACCOUNT_ATTEMPTED;
    draft->attempted_at = core_now();
    AW_TRY(accounts_commit(call->core->accounts, account, draft));
    admin_write_jws(call, account->ca->pin.key_change, text);
    return AW_OK;
}

aw_result
admin_adopt_account(struct admin_call *call)
{
    static const char *const members[] = {"account", "url", "old_key"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return admin_with_account(call, adopt);
}
