/*
 * HMAC keys that are born in the token. Nobody knows their value, so there is nothing to compare a
 * MAC with: what can be seen is that it is a function of the key and of what goes in.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/mac.h"

struct generation {
    const char *label;
    enum token_mac_algorithm algorithm;
    CK_ULONG size; /* octets of the key: as many as a MAC has (RFC 7518 3.2) */
    uint8_t id[TOKEN_NEW_ID_SIZE];
    CK_OBJECT_HANDLE object;
    struct token_key_report *report;
};

static aw_result
create_secret(struct token_session *s, const struct token_template *templates, void *context)
{
    struct generation *g = context;
    CK_MECHANISM mechanism = {.mechanism = CKM_GENERIC_SECRET_KEY_GEN};
    struct token_template template = templates[0]; /* Cryptoki's parameters are not const */

    return TOKEN_CALL_ALONE(
        s, C_GenerateKey, s->handle, &mechanism, template.attributes, template.count, &g->object);
}

/* A token may know better how long a key is to be; where it does not tell, that is not known. */
static aw_result
check_length(struct token_session *s, const struct generation *g)
{
    CK_ULONG length = 0;
    CK_ATTRIBUTE attribute = {CKA_VALUE_LEN, &length, sizeof(length)};
    CK_RV answer;

    AW_TRY(token_attribute_ask(s, g->object, &attribute, &answer));
    if (answer != CKR_OK || length == g->size)
        return AW_OK;
    return aw_fail(
        AW_CODE_TOKEN, "the token made a key of %lu octets instead of %lu", length, g->size);
}

/* The same text twice, and another one. */
static aw_result
try_macs(struct token_session *s, const struct generation *g)
{
    static const char *const texts[] = {
        "\0acmeward: trial 1", "\0acmeward: trial 1", "\0acmeward: trial 2"};
    uint8_t macs[AW_COUNT(texts)][TOKEN_MAC_MAX];
    size_t size = token_mac_size(g->algorithm);

    for (size_t i = 0; i < AW_COUNT(texts); i++) {
        const struct token_octets input = {
            (const uint8_t *)texts[i], sizeof("\0acmeward: trial 1")};

        AW_TRY(aw_context(token_mac_try(s, g->object, g->algorithm, &input, macs[i]), "trial MAC"));
    }
    if (CRYPTO_memcmp(macs[0], macs[1], size) != 0)
        return aw_fail(AW_CODE_TOKEN, "the token computes two MACs of one text with this key");
    if (CRYPTO_memcmp(macs[0], macs[2], size) == 0)
        return aw_fail(AW_CODE_TOKEN, "the token computes one MAC of two texts with this key");
    return AW_OK;
}

static aw_result
create_and_prove(struct token_session *s, struct generation *g)
{
    struct token_ladder ladder = {.template_count = 1, .create = create_secret, .context = g};
    const struct token_mac_name name = {g->label, g->id, g->algorithm};
    struct token_template *template = &ladder.templates[0];

    token_mac_template(template, &name);
    token_template_must(template, token_attribute(CKA_VALUE_LEN, &g->size, sizeof(g->size)));
    AW_TRY(token_ladder_create(s, &ladder, g->report));
    aw_result r = token_template_verify(s, g->object, template, g->report);
    if (aw_ok(r))
        r = token_template_born(s, g->object, g->report);
    if (aw_ok(r))
        r = check_length(s, g);
    if (aw_ok(r))
        r = try_macs(s, g);
    return aw_context(r, "the new key was destroyed again");
}

static aw_result
generate_run(struct token_session *s, void *context)
{
    struct generation *g = context;
    const struct token_object_name name = {
        .class = CKO_SECRET_KEY, .label = g->label, .what = "secret key"};

    AW_TRY(token_object_absent(s, &name));
    aw_result r = create_and_prove(s, g);
    if (!aw_ok(r))
        token_objects_discard(s, g->id, sizeof(g->id));
    if (!aw_ok(r) && token_ckr_class(s->answer) == TOKEN_CKR_UNSUPPORTED)
        return aw_hint(r, "this token makes no HMAC keys (CKM_GENERIC_SECRET_KEY_GEN)");
    return r;
}

aw_result
token_mac_generate(token *t, const char *label, enum token_mac_algorithm algorithm,
    struct token_key_report *report)
{
    struct generation g = {.label = label,
        .algorithm = algorithm,
        .size = token_mac_size(algorithm),
        .report = report};

    memset(report, 0, sizeof(*report));
    AW_TRY(token_label_check(label));
    if (RAND_bytes_ex(t->libctx, g.id, sizeof(g.id), 0) != 1)
        return aw_fail_openssl("no random octets for a key's ID");
    return aw_context(
        token_run_write(t, generate_run, &g), "can't generate HMAC key \"%s\"", label);
}
