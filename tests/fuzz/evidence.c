/*
 * What ACME clients sign: the first line is a protected header, the rest a payload, both as JSON.
 * They are read in every form and, as if the signature were good, as every request. What is read
 * has the forms that its readers promise.
 */
#include "signer/evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "fuzz.h"
#include "signer/url.h"

#define BASE "https://relay.example.edu:14443"

static const struct jose_openssl plain;

static char *
encode(const void *bytes, size_t size)
{
    char *text = NULL;

    FUZZ_CHECK(aw_ok(aw_b64url_encode_new(bytes, size, &text)));
    return text;
}

static void
check_header(const struct jose_jws *jws, enum jose_form form)
{
    FUZZ_CHECK((jws->kid == NULL) != (jws->jwk == NULL));
    FUZZ_CHECK((jws->nonce != NULL) == (form == JOSE_REQUEST));
    FUZZ_CHECK((jws->algorithm >= JOSE_HS256) == (form == JOSE_BINDING));
    FUZZ_CHECK(form != JOSE_BINDING || jws->kid != NULL);
    FUZZ_CHECK(form != JOSE_NEW_KEY || jws->jwk != NULL);
    FUZZ_CHECK(*jws->url != '\0' && strlen(jws->url) <= JOSE_URL_MAX);
    FUZZ_CHECK(jws->kid == NULL || (*jws->kid != '\0' && strlen(jws->kid) <= JOSE_KID_MAX));
    FUZZ_CHECK(
        jws->nonce == NULL || strspn(jws->nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                                 "qrstuvwxyz0123456789-_") == strlen(jws->nonce));
}

/* A key's canonical text is its own canonical text. */
static void
check_key(const struct jose_jwk *jwk)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *again = NULL;
    enum jose_fault fault;

    if (jwk == NULL)
        return;
    FUZZ_CHECK(strlen(jwk->text) <= JOSE_JWK_MAX);
    FUZZ_CHECK(aw_ok(jose_jwk_parse_text(jwk->text, &plain, &fault, &again)));
    FUZZ_CHECK(strcmp(again->text, jwk->text) == 0);
    FUZZ_CHECK(memcmp(again->thumbprint, jwk->thumbprint, sizeof(jwk->thumbprint)) == 0);
}

/* An account has one kid. */
static void
check_kid(const struct jose_jws *jws)
{
    int64_t account = jws->kid == NULL ? 0 : evidence_account_of(jws->kid, BASE);
    char text[128];

    if (account == 0)
        return;
    snprintf(text, sizeof(text), BASE "/acme/account/%" PRId64, account);
    FUZZ_CHECK(strcmp(text, jws->kid) == 0);
}

static void
check_refusal(aw_result r, const char *rule)
{
    FUZZ_CHECK(rule != NULL && strncmp(rule, "evidence.", 9) == 0);
    fuzz_check_refusal(r);
}

static bool
read_as(const struct jose_jws *jws, enum sign_operation operation)
{
    AW_CLEANUP(sign_request_free) struct sign_request request = {.operation = operation};
    const char *rule = NULL;
    aw_result r = evidence_read(jws, &request, &rule);

    if (!aw_ok(r)) {
        check_refusal(r, rule);
        return false;
    }
    fuzz_check_names(request.names, request.name_count);
    FUZZ_CHECK(request.operation == operation && !request.relayed.is && request.url == NULL);
    FUZZ_CHECK((operation == SIGN_NEW_ORDER) == (request.name_count > 0));
    FUZZ_CHECK((operation == SIGN_FINALIZE) == (request.csr.size > 0));
    FUZZ_CHECK((operation == SIGN_REVOKE) == (request.certificate.size > 0));
    return true;
}

static bool
read_account(const struct jose_jws *jws)
{
    AW_CLEANUP(evidence_account_free) struct evidence_account account = {0};
    const char *rule = NULL;
    aw_result r = evidence_read_account(jws, &plain, &account, &rule);

    if (!aw_ok(r))
        check_refusal(r, rule);
    FUZZ_CHECK(account.binding == NULL || !account.binding->verified);
    return aw_ok(r) && account.binding != NULL;
}

static bool
read_others(const struct jose_jws *jws)
{
    AW_CLEANUP(jose_jwk_free) struct jose_jwk *key = NULL;
    const char *rule = NULL;
    aw_result r =
        jws->jwk == NULL ? AW_OK : evidence_read_key_change(jws, jws->jwk, &plain, &key, &rule);

    if (!aw_ok(r))
        check_refusal(r, rule);
    FUZZ_CHECK(key == NULL);
    r = evidence_check_end(jws, &rule);
    if (!aw_ok(r))
        check_refusal(r, rule);
    return aw_ok(r);
}

static bool
check_form(const struct jose_parts *parts, enum jose_form form)
{
    AW_CLEANUP(jose_jws_free) struct jose_jws *jws = NULL;
    enum jose_fault fault;
    bool read = false;
    aw_result r = jose_jws_read(parts, form, &plain, &fault, &jws);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(jws == NULL && fault != JOSE_NO_FAULT);
        return false;
    }
    check_header(jws, form);
    check_key(jws->jwk);
    check_kid(jws);
    FUZZ_CHECK(!jws->verified);
    jws->verified = true;
    for (unsigned i = 0; i < SIGN_OPERATION_COUNT; i++)
        if (i == SIGN_NEW_ORDER || i == SIGN_FINALIZE || i == SIGN_REVOKE)
            read |= read_as(jws, (enum sign_operation)i);
    read |= read_account(jws);
    read |= read_others(jws);
    return read;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t length = end == NULL ? size : (size_t)(end - data);
    AW_CLEANUP(aw_free) char *header = encode(data, length);
    AW_CLEANUP(aw_free)
    char *payload = end == NULL ? encode("", 0) : encode(end + 1, size - length - 1);
    const struct jose_parts parts = {header, payload, "AA"};
    bool read = false;

    for (unsigned form = JOSE_REQUEST; form <= JOSE_NEW_KEY; form++)
        read |= check_form(&parts, (enum jose_form)form);
    if (read)
        fuzz_accept();
    return 0;
}
