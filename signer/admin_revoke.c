/*
 * Officers' revocation: of any certificate, with the key of the account that it was issued to. Two
 * methods: the certificate itself is fetched first where nobody has it (RFC 8555 7.4.2), and only
 * from a URL that an application named as its order's certificate. A freeze is no hindrance: it
 * stops applications, and to revoke is what often follows it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/jws.h"
#include "csr/csr.h"
#include "signer/admin.h"
#include "signer/request.h"
#include "signer/url.h"

enum { KEY_COMPROMISE = 1 };

/* A request of the account that is to be signed, and what of it goes on record. */
struct request {
    const char *url;
    const char *payload;
    struct audit_entry entry;
    char input[AW_DIGEST_HEX_SIZE];
};

static aw_result
check_account(const struct account *account)
{
    if (account->ca->pinned_at != 0 && account->state == ACCOUNT_REGISTERED)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND,
                       "account %s is not registered, so nothing was issued to it", account->name),
        "acmeward-admin account show %s", account->name);
}

static aw_result
record(struct admin_call *call, struct request *request)
{
    struct audit_entry *entry = &request->entry;

    entry->kind = AUDIT_ADMIN;
    entry->has_uid = true;
    entry->uid = call->peer->uid;
    entry->user = call->peer->user;
    entry->account = call->account;
    entry->verdict = "permit";
    entry->url = request->url;
    entry->input = request->input;
    entry->message = call->message[0] == '\0' ? NULL : call->message;
    call->recorded = true;
    return core_record(call->core, entry);
}

/* On record before the signature is made; a failure afterwards is recorded by the caller. */
static aw_result
sign(struct admin_call *call, struct account *account, const char *nonce, struct request *request)
{
    AW_CLEANUP(aw_jws_free) struct aw_jws jws = {0};
    AW_CLEANUP(aw_free) char *text = NULL;
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    token_key *key = NULL;
    size_t size = 0;

    AW_TRY(accounts_key(call->core->accounts, account, &key));
    AW_TRY(aw_jws_build(&(struct aw_jws_header){.algorithm = token_key_algorithm(key),
                            .kid = account->url,
                            .nonce = nonce,
                            .url = request->url},
        request->payload, &jws));
    aw_hex(jws.digest, sizeof(jws.digest), request->input);
    AW_TRY(record(call, request));
    AW_TRY(token_key_sign(key, jws.input, jws.input_size, signature, &size));
    AW_TRY(aw_jws_serialize(&jws, signature, size, &text));
    aw_json_pair(&call->reply, "url", request->url);
    aw_json_name(&call->reply, "jws");
    aw_json_write_raw(&call->reply, text);
    return AW_OK;
}

/* The work on an account that is registered; no change of accounts happens meanwhile. */
typedef aw_result (*work)(struct admin_call *call, struct account *account, const char *nonce);

static aw_result
on_account(struct admin_call *call, const char *name, const char *nonce, work do_it)
{
    struct account *account = accounts_find(call->core->accounts, name);

    if (account == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no account \"%s\"", name),
            "acmeward-admin account list shows them");
    snprintf(call->account, sizeof(call->account), "%s", name);
    AW_TRY(check_account(account));
    return do_it(call, account, nonce);
}

static aw_result
with_account(struct admin_call *call, work do_it)
{
    const char *name = NULL, *nonce = NULL;

    call->field = "account";
    AW_TRY(aw_json_string(call->parameters, "account", AW_CONFIG_LABEL_MAX, &name));
    AW_TRY(admin_read_nonce(call, &nonce));
    accounts_read(call->core->accounts);
    aw_result r = on_account(call, name, nonce, do_it);
    accounts_read_end(call->core->accounts);
    return r;
}

/* Fetching. */

static aw_result
fetch(struct admin_call *call, struct account *account, const char *nonce)
{
    AW_CLEANUP(aw_free) char *application = NULL;
    enum sign_url_kind kind = SIGN_URL_ORDER;
    const char *url = NULL;

    call->field = "url";
    AW_TRY(aw_json_string(call->parameters, "url", SIGN_URL_MAX, &url));
    call->field = NULL;
    AW_TRY(ledger_holder(call->core->ledger, account->name, url, &kind, &application));
    if (application == NULL || kind != SIGN_URL_CERTIFICATE)
        return aw_hint(
            aw_fail(AW_CODE_REFUSED,
                "no application named that URL as its certificate's on account %s", account->name),
            "with the certificate in a file: acmeward-admin revoke --certificate FILE");
    /* Named when the CA may have been pinned elsewhere. */
    if (!url_same_origin(url, account->ca->directory))
        return aw_fail(AW_CODE_REFUSED, "that URL is not on the pinned origin of the CA %s",
            account->ca->name);
    struct request request = {
        .url = url,
        .payload = "", /* RFC 8555 6.3 */
        .entry = {.operation = "fetch-certificate", .application = application},
    };
    return sign(call, account, nonce, &request);
}

aw_result
admin_fetch_certificate(struct admin_call *call)
{
    static const char *const members[] = {"account", "nonce", "url"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return with_account(call, fetch);
}

/* Revoking. */

struct revocation {
    uint8_t *der;
    size_t size;
    struct certificate *certificate;
    int64_t reason; /* -1: none */
};

static void
revocation_free(struct revocation *revocation)
{
    free(revocation->der);
    certificate_free(&revocation->certificate);
}

static aw_result
read_certificate(struct admin_call *call, struct revocation *out)
{
    const char *text = NULL;
    char rule[CSR_RULE_SIZE] = "";

    call->field = "certificate";
    AW_TRY(aw_json_string(
        call->parameters, "certificate", AW_B64URL_LENGTH(CSR_CERTIFICATE_MAX), &text));
    out->der = malloc(CSR_CERTIFICATE_MAX);
    if (out->der == NULL)
        return aw_fail_memory();
    AW_TRY(aw_b64url_decode(text, strlen(text), out->der, CSR_CERTIFICATE_MAX, &out->size));
    return certificate_parse(out->der, out->size, rule, &out->certificate);
}

/* RFC 5280 5.3.1: 7 is not used, 8 and 10 are not a subscriber's. */
static aw_result
read_reason(struct admin_call *call, struct revocation *out)
{
    call->field = "reason";
    AW_TRY(aw_json_optional_integer(call->parameters, "reason", 0, 9, &out->reason));
    if (out->reason >= 6 && out->reason <= 8)
        return aw_fail(AW_CODE_SYNTAX, "reason: found %d, expected 0 to 5 or 9 (RFC 5280 5.3.1)",
            (int)out->reason);
    call->field = NULL;
    return AW_OK;
}

/* What the record has besides: whose key it is. */
struct texts {
    const char *names[CSR_NAMES_MAX];
    char key[AW_DIGEST_HEX_SIZE];
    char digest[AW_DIGEST_HEX_SIZE];
};

static void
fill(const struct revocation *asked, struct texts *texts, struct audit_entry *entry)
{
    const struct certificate *certificate = asked->certificate;
    size_t count =
        certificate->name_count < CSR_NAMES_MAX ? certificate->name_count : CSR_NAMES_MAX;

    for (size_t i = 0; i < count; i++)
        texts->names[i] = certificate->names[i].text;
    aw_hex(certificate->key_digest, AW_DIGEST_SIZE, texts->key);
    aw_hex(certificate->digest, AW_DIGEST_SIZE, texts->digest);
    entry->operation = "revoke";
    entry->names = texts->names;
    entry->name_count = count;
    entry->key = texts->key;
    entry->certificate = texts->digest;
    entry->serial = certificate->serial;
    entry->not_after = certificate->not_after;
    entry->issuer = certificate->issuer;
    /* The ledger remembers the key by this rule (ledger_keys.c): it is refused from now on. */
    if (asked->reason == KEY_COMPROMISE)
        entry->rule = LEDGER_RULE_COMPROMISED;
}

static aw_result
revoke_read(struct admin_call *call, struct account *account, const char *nonce,
    const struct revocation *asked)
{
    AW_CLEANUP(aw_free) char *application = NULL;
    AW_CLEANUP(aw_free) char *payload = NULL;
    struct request request = {.url = account->ca->pin.revoke_cert};
    struct texts texts;

    AW_TRY(admin_check_resource(account, "revokeCert", request.url));
    fill(asked, &texts, &request.entry);
    AW_TRY(ledger_key_owner(call->core->ledger, texts.key, &application));
    AW_TRY(aw_jws_payload_revoke(asked->der, asked->size, (int)asked->reason, &payload));
    request.payload = payload;
    request.entry.application = application;
    if (asked->reason >= 0)
        snprintf(call->message, sizeof(call->message), "reason %d", (int)asked->reason);
    return sign(call, account, nonce, &request);
}

static aw_result
revoke(struct admin_call *call, struct account *account, const char *nonce)
{
    AW_CLEANUP(revocation_free) struct revocation asked = {.reason = -1};

    AW_TRY(read_certificate(call, &asked));
    AW_TRY(read_reason(call, &asked));
    return revoke_read(call, account, nonce, &asked);
}

aw_result
admin_revoke_certificate(struct admin_call *call)
{
    static const char *const members[] = {"account", "nonce", "certificate", "reason"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    return with_account(call, revoke);
}
