/*
 * HMAC keys that come into the token wrapped. What the token made of one is not believed: flags and
 * length are read back and a MAC is compared, since tokens are known that ignore the template.
 */
#include "pkcs11/unwrap.h"

#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/mac.h"

struct unwrapping {
    const struct token_wrapped *wrapped;
    CK_OBJECT_HANDLE wrapper;
    uint8_t id[TOKEN_NEW_ID_SIZE];
    CK_OBJECT_HANDLE object;        /* CK_INVALID_HANDLE: none was made */
    struct token_template accepted; /* what the token took of the template */
    struct token_key_report *report;
};

/* PKCS#11 v2.40, 2.1.8. SHA-1: what every token with OAEP has (docs/decisions.md). */
static aw_result
unwrap(struct token_session *s, const struct token_template *templates, void *context)
{
    struct unwrapping *u = context;
    CK_RSA_PKCS_OAEP_PARAMS oaep = {
        .hashAlg = CKM_SHA_1, .mgf = CKG_MGF1_SHA1, .source = CKZ_DATA_SPECIFIED};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep)};
    struct token_template template = templates[0];
    CK_ATTRIBUTE in = token_attribute(0, u->wrapped->wrapped.data, u->wrapped->wrapped.size);
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;

    AW_TRY(TOKEN_CALL_ALONE(s, C_UnwrapKey, s->handle, &mechanism, u->wrapper, in.pValue,
        in.ulValueLen, template.attributes, template.count, &object));
    u->object = object;
    u->accepted = templates[0];
    return AW_OK;
}

/* What the token took it must keep to. What it does not tell is reported (token_template_verify).
 */
static aw_result
compare_flag(struct token_session *s, const struct unwrapping *u, const CK_ATTRIBUTE *asked)
{
    enum token_flag flag;
    CK_BBOOL wanted;

    memcpy(&wanted, asked->pValue, sizeof(wanted));
    AW_TRY(token_flag_read(s, u->object, asked->type, &flag));
    if (flag == TOKEN_FLAG_UNKNOWN || (flag == TOKEN_FLAG_TRUE) == (wanted != CK_FALSE))
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_TOKEN,
                       "the token ignores the template of a key that it unwraps: %s was to be %s",
                       token_attribute_name(asked->type), wanted == CK_FALSE ? "false" : "true"),
        "such a token can't take keys wrapped: import the key in clear on the HSM host "
        "(acmeward-admin eab import without --wrapped), and see acmeward-signer --probe-token");
}

static aw_result
compare_flags(struct token_session *s, const struct unwrapping *u, const struct token_template *t)
{
    AW_TRY(token_template_verify(s, u->object, t, u->report));
    for (unsigned i = 0; i < u->accepted.count; i++)
        if (u->accepted.attributes[i].ulValueLen == sizeof(CK_BBOOL))
            AW_TRY(compare_flag(s, u, &u->accepted.attributes[i]));
    return AW_OK;
}

/* By its length and its name it is what was asked for, where the token tells the length. */
static aw_result
compare_shape(struct token_session *s, const struct unwrapping *u)
{
    size_t block = token_mac_form(u->wrapped->algorithm)->block;
    CK_ULONG length = 0;
    CK_ATTRIBUTE attribute = {CKA_VALUE_LEN, &length, sizeof(length)};
    CK_OBJECT_HANDLE named = CK_INVALID_HANDLE;
    CK_RV answer;

    AW_TRY(token_attribute_ask(s, u->object, &attribute, &answer));
    if (answer == CKR_OK && length != 0 && length != block) /* SoftHSM tells 0 */
        return aw_hint(
            aw_fail(AW_CODE_TOKEN, "the token unwrapped %lu octets instead of %zu", length, block),
            "the token is faulty, or the file was not made by acmeward-admin eab wrap");
    AW_TRY(token_mac_search(s, u->wrapped->label, &named));
    return AW_OK;
}

static aw_result
compare_value(struct token_session *s, const struct unwrapping *u)
{
    const struct token_wrapped *w = u->wrapped;
    uint8_t mac[TOKEN_MAC_MAX];
    size_t size = token_mac_form(w->algorithm)->size;

    AW_TRY(aw_context(token_mac_try(s, u->object, w->algorithm, &w->check_text, mac), "trial MAC"));
    if (w->check.size == size && CRYPTO_memcmp(mac, w->check.data, size) == 0)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_MISMATCH, "what was unwrapped is not the key that was wrapped for this CA, "
                                  "kid and algorithm"),
        "the file was changed or damaged, or the token unwrapped something else: compare the "
        "file's SHA-256 with what eab wrap printed, and wrap the key anew");
}

/*
 * The token may have ignored the ID, so the handle goes first; the session may have failed, so
 * there is a new one. What can't be destroyed is told: it is a key of unknown protection.
 */
static aw_result
discard(struct token_session *s, const struct unwrapping *u, aw_result failure)
{
    struct aw_error error;
    bool gone = u->object == CK_INVALID_HANDLE;

    aw_error_save(&error);
    if (!gone && aw_ok(token_session_open(s, CKF_RW_SESSION)))
        gone = aw_ok(TOKEN_CALL_ALONE(s, C_DestroyObject, s->handle, u->object));
    token_objects_discard(s, u->id, sizeof(u->id));
    failure = aw_error_restore(&error);
    if (gone)
        return failure;
    char why[300];
    snprintf(why, sizeof(why), "%.299s", error.message);
    return aw_hint(aw_fail(failure.code, "%s; and the key could not be destroyed again", why),
        "acmeward-admin token doctor shows whether \"%s\" is left in the token; then destroy it "
        "with your token's tools, and do not use it",
        u->wrapped->label);
}

static aw_result
unwrap_and_compare(struct token_session *s, struct unwrapping *u)
{
    struct token_ladder ladder = {.template_count = 1, .create = unwrap, .context = u};
    const struct token_mac_name name = {u->wrapped->label, u->id, u->wrapped->algorithm};

    token_mac_template(&ladder.templates[0], &name);
    AW_TRY(token_ladder_create(s, &ladder, u->report));
    AW_TRY(compare_flags(s, u, &ladder.templates[0]));
    AW_TRY(compare_shape(s, u));
    return compare_value(s, u);
}

aw_result
token_unwrap_and_prove(struct token_session *s, CK_OBJECT_HANDLE wrapper,
    const struct token_wrapped *wrapped, struct token_key_report *report, CK_OBJECT_HANDLE *out)
{
    struct unwrapping u = {
        .wrapped = wrapped, .wrapper = wrapper, .object = CK_INVALID_HANDLE, .report = report};
    const struct token_object_name name = {
        .class = CKO_SECRET_KEY, .label = wrapped->label, .what = "secret key"};

    AW_TRY(token_object_absent(s, &name));
    if (RAND_bytes_ex(s->owner->libctx, u.id, sizeof(u.id), 0) != 1)
        return aw_fail_openssl("no random octets for a key's ID");
    aw_result r = unwrap_and_compare(s, &u);
    if (!aw_ok(r))
        return discard(s, &u, r);
    *out = u.object;
    return AW_OK;
}

/* The whole of it. */

struct request {
    const char *wrapping;
    const struct token_wrapped *wrapped;
    struct token_key_report *report;
};

static aw_result
request_run(struct token_session *s, void *context)
{
    const struct request *request = context;
    const struct token_object_name name = {
        .class = CKO_PRIVATE_KEY, .label = request->wrapping, .what = "wrapping key"};
    CK_OBJECT_HANDLE wrapper, object;

    AW_TRY(token_object_find_one(s, &name, &wrapper));
    return token_unwrap_and_prove(s, wrapper, request->wrapped, request->report, &object);
}

aw_result
token_mac_unwrap(token *t, const char *wrapping, const struct token_wrapped *wrapped,
    struct token_key_report *report)
{
    struct request request = {wrapping, wrapped, report};

    memset(report, 0, sizeof(*report));
    AW_TRY(token_label_check(wrapped->label));
    if (wrapped->wrapped.size != TOKEN_WRAPPED_SIZE)
        return aw_fail(AW_CODE_SYNTAX, "a wrapped key has %d octets, not %zu", TOKEN_WRAPPED_SIZE,
            wrapped->wrapped.size);
    return aw_context(
        token_run_write(t, request_run, &request), "can't unwrap HMAC key \"%s\"", wrapped->label);
}
