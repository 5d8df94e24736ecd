/* The wrapping key: an RSA pair of the token to which EAB keys are encrypted on the way to it. */
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "common/openssl.h"
#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/keytype.h"
#include "pkcs11/login.h"
#include "pkcs11/mac.h"
#include "pkcs11/public.h"
#include "pkcs11/template.h"
#include "pkcs11/unwrap.h"

enum { BITS = 8 * TOKEN_WRAPPED_SIZE };

/* Usages and freedoms that the halves do not get, the least important first (template.h). The
 * public half is used outside of the token, as PEM text. */
static const CK_ATTRIBUTE_TYPE denied_public[] = {CKA_COPYABLE, CKA_MODIFIABLE, CKA_DERIVE,
    CKA_VERIFY_RECOVER, CKA_VERIFY, CKA_WRAP, CKA_ENCRYPT};
static const CK_ATTRIBUTE_TYPE denied_private[] = {
    CKA_COPYABLE, CKA_MODIFIABLE, CKA_SIGN_RECOVER, CKA_DERIVE, CKA_SIGN, CKA_DECRYPT};

static const char trial_label[] = "acmeward: trial of a new wrapping key";
static const char trial_text[] = "\0acmeward: trial of a new wrapping key";

struct generation {
    const char *label;
    uint8_t id[TOKEN_NEW_ID_SIZE];
    CK_OBJECT_HANDLE public_object;
    CK_OBJECT_HANDLE private_object;
    struct token_key_report *report;
};

static void
public_template(struct token_template *t, const struct generation *g)
{
    static const CK_ULONG bits = BITS;
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};

    token_template_name(t, g->label, g->id);
    token_template_must_flag(t, CKA_PRIVATE, false);
    token_template_must(t, token_attribute(CKA_MODULUS_BITS, &bits, sizeof(bits)));
    token_template_must(t, token_attribute(CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)));
    token_template_deny(t, denied_public, AW_COUNT(denied_public));
}

/* What it unwraps is to be protected, whatever whoever unwraps asks for. */
static void
private_template(struct token_template *t, const struct generation *g, CK_ATTRIBUTE inner[2])
{
    static const CK_MECHANISM_TYPE oaep = CKM_RSA_PKCS_OAEP;

    inner[0] = token_attribute_bool(CKA_SENSITIVE, true);
    inner[1] = token_attribute_bool(CKA_EXTRACTABLE, false);
    token_template_name(t, g->label, g->id);
    token_template_must_flag(t, CKA_PRIVATE, true);
    token_template_must_flag(t, CKA_SENSITIVE, true);
    token_template_must_flag(t, CKA_EXTRACTABLE, false);
    token_template_must_flag(t, CKA_UNWRAP, true);
    token_template_may(t, token_attribute(CKA_UNWRAP_TEMPLATE, inner, 2 * sizeof(inner[0])));
    token_template_may(t, token_attribute(CKA_ALLOWED_MECHANISMS, &oaep, sizeof(oaep)));
    token_template_deny(t, denied_private, AW_COUNT(denied_private));
}

static aw_result
create_pair(struct token_session *s, const struct token_template *templates, void *context)
{
    struct generation *g = context;
    CK_MECHANISM mechanism = {.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN};
    struct token_template public = templates[0]; /* Cryptoki's parameters are not const */
    struct token_template private = templates[1];

    return TOKEN_CALL_ALONE(s, C_GenerateKeyPair, s->handle, &mechanism, public.attributes,
        public.count, private.attributes, private.count, &g->public_object, &g->private_object);
}

/* The trial: what a workstation and this token do with an EAB key, with one that is thrown away. */

static aw_result
encrypt(const token *t, EVP_PKEY *key, const uint8_t *value, size_t size,
    uint8_t out[TOKEN_WRAPPED_SIZE])
{
    AW_CLEANUP(aw_pkey_context_free)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(t->libctx, key, t->properties);
    size_t length = TOKEN_WRAPPED_SIZE;

    if (context == NULL || EVP_PKEY_encrypt_init(context) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_encrypt(context, out, &length, value, size) != 1 || length != TOKEN_WRAPPED_SIZE)
        return aw_fail_openssl("can't encrypt to the new wrapping key");
    return AW_OK;
}

/* What the trial of a process that was killed, or of a token that failed then, left behind. */
static aw_result
sweep_trials(struct token_session *s)
{
    const CK_ATTRIBUTE template[] = {token_attribute_bool(CKA_TOKEN, true),
        token_attribute(CKA_LABEL, trial_label, strlen(trial_label))};
    CK_OBJECT_HANDLE left[4];
    size_t count = AW_COUNT(left);

    AW_TRY(token_objects_find(s, template, AW_COUNT(template), left, &count));
    for (size_t i = 0; i < count; i++)
        AW_TRY(TOKEN_CALL_ALONE(s, C_DestroyObject, s->handle, left[i]));
    return AW_OK;
}

static aw_result
unwrap_trial(struct token_session *s, const struct generation *g, EVP_PKEY *key)
{
    const token *t = s->owner;
    const struct token_mac_form *form = token_mac_form(TOKEN_HS256);
    uint8_t value[64], check[TOKEN_MAC_MAX], wrapped[TOKEN_WRAPPED_SIZE];
    struct token_key_report report = {.padded = false};
    CK_OBJECT_HANDLE object;
    size_t size = 0;

    if (RAND_bytes_ex(t->libctx, value, form->block, 0) != 1 ||
        EVP_Q_mac(t->libctx, "HMAC", t->properties, form->digest, NULL, value, form->block,
            (const unsigned char *)trial_text, sizeof(trial_text), check, sizeof(check),
            &size) == NULL)
        return aw_fail_openssl("can't make a key for a trial");
    AW_TRY(encrypt(t, key, value, form->block, wrapped));
    AW_TRY(sweep_trials(s));
    const struct token_wrapped trial = {.label = trial_label,
        .algorithm = TOKEN_HS256,
        .wrapped = {wrapped, sizeof(wrapped)},
        .check_text = {(const uint8_t *)trial_text, sizeof(trial_text)},
        .check = {check, size}};
    AW_TRY(token_unwrap_and_prove(s, g->private_object, &trial, &report, &object));
    return TOKEN_CALL_ALONE(s, C_DestroyObject, s->handle, object);
}

static aw_result
prove(struct token_session *s, const struct generation *g, const struct token_template *asked)
{
    AW_CLEANUP(token_public_free) struct token_public *public = NULL;

    AW_TRY(token_template_verify(s, g->private_object, asked, g->report));
    AW_TRY(token_public_read(s, g->private_object, g->id, sizeof(g->id), &public));
    if (public->type != TOKEN_KEY_RSA_3072)
        return aw_fail(AW_CODE_TOKEN, "the token made a key of type %s instead of rsa-3072",
            token_key_type_name(public->type));
    return aw_hint(aw_context(unwrap_trial(s, g, public->key), "trial"),
        "this token does not unwrap keys with RSA-OAEP as it must: import EAB keys in clear, "
        "without --wrapped");
}

static aw_result
create_and_prove(struct token_session *s, struct generation *g)
{
    struct token_ladder ladder = {.template_count = 2, .create = create_pair, .context = g};
    CK_ATTRIBUTE inner[2];

    public_template(&ladder.templates[0], g);
    private_template(&ladder.templates[1], g, inner);
    AW_TRY(token_ladder_create(s, &ladder, g->report));
    return aw_context(prove(s, g, &ladder.templates[1]), "the new key was destroyed again");
}

static aw_result
generate_run(struct token_session *s, void *context)
{
    struct generation *g = context;
    const struct token_object_name name = {
        .class = CKO_PRIVATE_KEY, .label = g->label, .what = "wrapping key"};

    AW_TRY(token_object_absent(s, &name));
    aw_result r = create_and_prove(s, g);
    if (!aw_ok(r))
        token_objects_discard(s, g->id, sizeof(g->id));
    return r;
}

aw_result
token_wrapping_generate(token *t, const char *label, struct token_key_report *report)
{
    struct generation g = {.label = label, .report = report};

    memset(report, 0, sizeof(*report));
    AW_TRY(token_label_check(label));
    if (RAND_bytes_ex(t->libctx, g.id, sizeof(g.id), 0) != 1)
        return aw_fail_openssl("no random octets for a key's ID");
    return aw_context(
        token_run_write(t, generate_run, &g), "can't generate wrapping key \"%s\"", label);
}

/* Reading. */

struct reading {
    const char *label;
    struct token_wrapping *out;
};

static struct token_object_name
private_name(const char *label)
{
    return (struct token_object_name){
        .class = CKO_PRIVATE_KEY, .label = label, .what = "wrapping key"};
}

static aw_result
find_pair(struct token_session *s, const char *label, CK_OBJECT_HANDLE *object, CK_ATTRIBUTE *id)
{
    const struct token_object_name name = private_name(label);

    AW_TRY(token_object_find_one(s, &name, object));
    return token_attribute_read(s, *object, id);
}

static aw_result
read_run(struct token_session *s, void *context)
{
    const struct reading *reading = context;
    AW_CLEANUP(token_public_free) struct token_public *public = NULL;
    struct token_wrapping *out = reading->out;
    uint8_t octets[TOKEN_ID_MAX];
    CK_ATTRIBUTE id = {CKA_ID, octets, sizeof(octets)};
    CK_OBJECT_HANDLE object;

    AW_TRY(find_pair(s, reading->label, &object, &id));
    AW_TRY(token_public_read(s, object, octets, id.ulValueLen, &public));
    if (public->type != TOKEN_KEY_RSA_3072)
        return aw_fail(
            AW_CODE_MISMATCH, "it is of type %s, not rsa-3072", token_key_type_name(public->type));
    token_wrapping_free(out); /* of an attempt that was cut off */
    if (EVP_Digest(public->spki, public->spki_size, out->digest, NULL, s->owner->sha256, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    out->spki = OPENSSL_memdup(public->spki, public->spki_size);
    out->spki_size = public->spki_size;
    return out->spki == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
token_wrapping_read(token *t, const char *label, struct token_wrapping *out)
{
    struct reading reading = {label, out};
    const struct token_work work = {.run = read_run, .context = &reading};

    *out = (struct token_wrapping){.spki = NULL};
    AW_TRY(token_login(t)); /* private objects hide from the logged-out */
    aw_result r = token_run(t, &work);
    if (!aw_ok(r))
        token_wrapping_free(out);
    return aw_context(r, "wrapping key \"%s\"", label);
}

void
token_wrapping_free(struct token_wrapping *wrapping)
{
    OPENSSL_free(wrapping->spki);
    wrapping->spki = NULL;
    wrapping->spki_size = 0;
}

/* Destroying. */

static aw_result
destroy_run(struct token_session *s, void *context)
{
    uint8_t octets[TOKEN_ID_MAX];
    CK_ATTRIBUTE id = {CKA_ID, octets, sizeof(octets)};
    const struct token_object_name private = private_name(context);
    CK_OBJECT_HANDLE object;

    AW_TRY(find_pair(s, context, &object, &id));
    const struct token_object_name name = {
        .class = CKO_PUBLIC_KEY, .id = octets, .id_size = id.ulValueLen, .what = "public key"};
    AW_TRY(token_object_destroy(s, &private, object));
    aw_result r = id.ulValueLen == 0 ? aw_fail(AW_CODE_TOKEN_KEY_MISSING, "no ID")
                                     : token_object_find_one(s, &name, &object);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    return token_object_destroy(s, &name, object);
}

aw_result
token_wrapping_destroy(token *t, const char *label)
{
    char copy[TOKEN_LABEL_MAX + 1] = "";

    AW_TRY(token_label_check(label));
    memcpy(copy, label, strlen(label));
    return aw_context(
        token_run_write(t, destroy_run, copy), "can't destroy wrapping key \"%s\"", label);
}
