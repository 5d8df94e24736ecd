#include <openssl/rand.h>

#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/keytype.h"
#include "pkcs11/template.h"

/* Usages and freedoms that a key does not get, the least important first (template.h). */
static const CK_ATTRIBUTE_TYPE denied_public[] = {
    CKA_COPYABLE, CKA_MODIFIABLE, CKA_DERIVE, CKA_VERIFY_RECOVER, CKA_WRAP, CKA_ENCRYPT};
static const CK_ATTRIBUTE_TYPE denied_private[] = {
    CKA_COPYABLE, CKA_MODIFIABLE, CKA_SIGN_RECOVER, CKA_DERIVE, CKA_UNWRAP, CKA_DECRYPT};

/* RFC 8017: 65537, what every CA accepts. */
static const uint8_t exponent[] = {0x01, 0x00, 0x01};

struct generation {
    token *t;
    const char *label;
    enum token_key_type type;
    uint8_t id[TOKEN_NEW_ID_SIZE];
    CK_ULONG bits;
    CK_OBJECT_HANDLE public_object;
    CK_OBJECT_HANDLE private_object;
    struct token_key_report *report;
    token_key *key;
};

static void
public_template(struct token_template *t, struct generation *g)
{
    const struct token_key_form *form = token_key_form(g->type);

    token_template_name(t, g->label, g->id);
    token_template_must_flag(t, CKA_PRIVATE, false);
    token_template_must_flag(t, CKA_VERIFY, true);
    if (form->curve != NULL) {
        token_template_must(t, token_attribute(CKA_EC_PARAMS, form->oid, form->oid_size));
    } else {
        g->bits = form->bits;
        token_template_must(t, token_attribute(CKA_MODULUS_BITS, &g->bits, sizeof(g->bits)));
        token_template_must(t, token_attribute(CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)));
    }
    token_template_deny(t, denied_public, AW_COUNT(denied_public));
}

static void
private_template(struct token_template *t, const struct generation *g)
{
    token_template_name(t, g->label, g->id);
    token_template_must_flag(t, CKA_PRIVATE, true);
    token_template_must_flag(t, CKA_SENSITIVE, true);
    token_template_must_flag(t, CKA_EXTRACTABLE, false);
    token_template_must_flag(t, CKA_SIGN, true);
    token_template_deny(t, denied_private, AW_COUNT(denied_private));
}

static aw_result
create_pair(struct token_session *s, const struct token_template *templates, void *context)
{
    struct generation *g = context;
    CK_MECHANISM mechanism = {.mechanism = token_key_form(g->type)->generate};
    struct token_template public = templates[0]; /* Cryptoki's parameters are not const */
    struct token_template private = templates[1];

    return TOKEN_CALL_ALONE(s, C_GenerateKeyPair, s->handle, &mechanism, public.attributes,
        public.count, private.attributes, private.count, &g->public_object, &g->private_object);
}

/* The private half takes a label. A public one without it was left by a process that was killed
 * while the token made or destroyed the pair; it is nobody's, and not in the way, for a key's
 * public half is found by the CKA_ID, which is random. */
static aw_result
refuse_taken_label(struct token_session *s, const char *label)
{
    const struct token_object_name private = {
        .class = CKO_PRIVATE_KEY, .label = label, .what = "private key"};

    return token_object_absent(s, &private);
}

static aw_result
prove(struct token_session *s, struct generation *g, const struct token_template *asked)
{
    AW_TRY(token_template_verify(s, g->private_object, asked, g->report));
    AW_TRY(token_template_born(s, g->private_object, g->report));
    AW_TRY(token_key_take(s, g->t, g->label, g->private_object, &g->key));
    if (g->key->public_key->type != g->type)
        return aw_fail(AW_CODE_TOKEN, "the token made a key of type %s instead of %s",
            token_key_type_name(g->key->public_key->type), token_key_type_name(g->type));
    return token_key_try(s, g->key);
}

static aw_result
create_and_prove(struct token_session *s, struct generation *g)
{
    struct token_ladder ladder = {.template_count = 2, .create = create_pair, .context = g};

    public_template(&ladder.templates[0], g);
    private_template(&ladder.templates[1], g);
    AW_TRY(token_ladder_create(s, &ladder, g->report));
    return aw_context(prove(s, g, &ladder.templates[1]), "the new key was destroyed again");
}

static aw_result
generate_run(struct token_session *s, void *context)
{
    struct generation *g = context;

    AW_TRY(refuse_taken_label(s, g->label));
    aw_result r = create_and_prove(s, g);
    if (!aw_ok(r)) {
        token_key_free(&g->key);
        token_objects_discard(s, g->id, sizeof(g->id));
    }
    return r;
}

aw_result
token_key_generate(token *t, const char *label, enum token_key_type type,
    struct token_key_report *report, token_key **out)
{
    struct generation g = {.t = t, .label = label, .type = type, .report = report};

    memset(report, 0, sizeof(*report));
    AW_TRY(token_label_check(label));
    if (RAND_bytes_ex(t->libctx, g.id, sizeof(g.id), 0) != 1)
        return aw_fail_openssl("no random octets for a key's ID");
    AW_TRY(aw_context(
        token_run_write(t, generate_run, &g), "can't generate account key \"%s\"", label));
    *out = g.key;
    return AW_OK;
}
