#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "pkcs11/internal.h"
#include "pkcs11/key.h"
#include "pkcs11/login.h"
#include "pkcs11/mac.h"

static const struct token_mac_form algorithms[] = {
    [TOKEN_HS256] = {"HS256", CKM_SHA256_HMAC, 32, 64, "SHA256"},
    [TOKEN_HS384] = {"HS384", CKM_SHA384_HMAC, 48, 128, "SHA384"},
    [TOKEN_HS512] = {"HS512", CKM_SHA512_HMAC, 64, 128, "SHA512"},
};

/* What tells one EAB key from another: a MAC over this. No JWS can begin with a NUL. */
static const char trial_text[] = "\0acmeward: is it this key";

/* Usages and freedoms that a MAC key does not get, the least important first (template.h). */
static const CK_ATTRIBUTE_TYPE denied[] = {CKA_COPYABLE, CKA_MODIFIABLE, CKA_VERIFY, CKA_DERIVE,
    CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP};

struct token_mac {
    token *t;
    char label[TOKEN_LABEL_MAX + 1];
    enum token_mac_algorithm algorithm;
    struct token_handle handle;
    uint8_t trial[TOKEN_MAC_MAX]; /* MAC over trial_text, to know the key again */
};

const char *
token_mac_algorithm_name(enum token_mac_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

bool
token_mac_algorithm_parse(const char *name, enum token_mac_algorithm *out)
{
    for (size_t i = 0; i < AW_COUNT(algorithms); i++) {
        if (strcmp(algorithms[i].name, name) != 0)
            continue;
        *out = (enum token_mac_algorithm)i;
        return true;
    }
    return false;
}

size_t
token_mac_size(enum token_mac_algorithm algorithm)
{
    return algorithms[algorithm].size;
}

size_t
token_mac_block(enum token_mac_algorithm algorithm)
{
    return algorithms[algorithm].block;
}

const struct token_mac_form *
token_mac_form(enum token_mac_algorithm algorithm)
{
    return &algorithms[algorithm];
}

/* One MAC in the making. */
struct maccing {
    token_mac *mac;
    const uint8_t *input;
    size_t input_size;
    uint8_t out[TOKEN_MAC_MAX];
    uint64_t generation; /* of the handle that was used */
};

static aw_result
compute(struct token_session *s, CK_OBJECT_HANDLE object, struct maccing *m)
{
    CK_MECHANISM mechanism = {.mechanism = algorithms[m->mac->algorithm].mechanism};
    CK_ATTRIBUTE input = token_attribute(0, m->input, m->input_size); /* sheds const */
    CK_ULONG size = sizeof(m->out);

    AW_TRY(TOKEN_CALL(s, C_SignInit, s->handle, &mechanism, object));
    AW_TRY(TOKEN_CALL(s, C_Sign, s->handle, input.pValue, input.ulValueLen, m->out, &size));
    if (size != algorithms[m->mac->algorithm].size)
        return aw_hint(aw_fail(AW_CODE_TOKEN, "the token gave a MAC of %lu octets instead of %zu",
                           size, algorithms[m->mac->algorithm].size),
            "the token is faulty; run \"acmeward-admin token doctor\"");
    return AW_OK;
}

static aw_result
compute_trial(
    struct token_session *s, token_mac *mac, CK_OBJECT_HANDLE object, uint8_t out[TOKEN_MAC_MAX])
{
    struct maccing m = {
        .mac = mac, .input = (const uint8_t *)trial_text, .input_size = sizeof(trial_text)};

    AW_TRY(compute(s, object, &m));
    memcpy(out, m.out, sizeof(m.out));
    return AW_OK;
}

aw_result
token_mac_try(struct token_session *s, CK_OBJECT_HANDLE object, enum token_mac_algorithm algorithm,
    const struct token_octets *input, uint8_t out[TOKEN_MAC_MAX])
{
    token_mac mac = {.t = s->owner, .algorithm = algorithm};
    struct maccing m = {.mac = &mac, .input = input->data, .input_size = input->size};

    AW_TRY(compute(s, object, &m));
    memcpy(out, m.out, sizeof(m.out));
    return AW_OK;
}

static struct token_object_name
secret_name(const char *label)
{
    return (struct token_object_name){
        .class = CKO_SECRET_KEY, .label = label, .what = "secret key"};
}

aw_result
token_mac_search(struct token_session *s, const char *label, CK_OBJECT_HANDLE *out)
{
    const struct token_object_name name = secret_name(label);
    CK_KEY_TYPE type = CKK_VENDOR_DEFINED;
    CK_ATTRIBUTE attribute = {CKA_KEY_TYPE, &type, sizeof(type)};

    AW_TRY(token_object_find_one(s, &name, out));
    AW_TRY(token_attribute_read(s, *out, &attribute));
    if (type != CKK_GENERIC_SECRET)
        return aw_hint(
            aw_fail(AW_CODE_MISMATCH,
                "the token's secret key \"%s\" is no generic secret (key type 0x%lx)", label, type),
            "another program made it, or the token tells wrongly: destroy it and import it anew");
    return AW_OK;
}

/* Import. */

struct import {
    token *t;
    const char *label;
    enum token_mac_algorithm algorithm;
    const aw_secret *given;  /* as the CA gave it */
    const aw_secret *stored; /* padded, if it was short */
    uint8_t id[TOKEN_NEW_ID_SIZE];
    CK_OBJECT_HANDLE object;
    struct token_key_report *report;
};

void
token_mac_template(struct token_template *t, const struct token_mac_name *name)
{
    static const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    static const CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    const CK_MECHANISM_TYPE *mechanism = &algorithms[name->algorithm].mechanism;

    token_template_must(t, token_attribute(CKA_CLASS, &class, sizeof(class)));
    token_template_must(t, token_attribute(CKA_KEY_TYPE, &type, sizeof(type)));
    token_template_name(t, name->label, name->id);
    token_template_must_flag(t, CKA_PRIVATE, true);
    token_template_must_flag(t, CKA_SENSITIVE, true);
    token_template_must_flag(t, CKA_EXTRACTABLE, false);
    token_template_must_flag(t, CKA_SIGN, true);
    token_template_may(t, token_attribute(CKA_ALLOWED_MECHANISMS, mechanism, sizeof(*mechanism)));
    token_template_deny(t, denied, AW_COUNT(denied));
}

static aw_result
create_secret(struct token_session *s, const struct token_template *templates, void *context)
{
    struct import *i = context;
    struct token_template template = templates[0];

    return TOKEN_CALL_ALONE(
        s, C_CreateObject, s->handle, template.attributes, template.count, &i->object);
}

/* The token's MAC must be the one that the CA will compute from the key as it was given. */
static aw_result
prove_mac(struct token_session *s, const struct import *i)
{
    token_mac mac = {.t = i->t, .algorithm = i->algorithm};
    uint8_t got[TOKEN_MAC_MAX];
    uint8_t expected[TOKEN_MAC_MAX];
    size_t size = 0;

    AW_TRY(aw_context(compute_trial(s, &mac, i->object, got), "trial MAC"));
    if (EVP_Q_mac(i->t->libctx, "HMAC", i->t->properties, algorithms[i->algorithm].digest, NULL,
            i->given->data, i->given->size, (const unsigned char *)trial_text, sizeof(trial_text),
            expected, sizeof(expected), &size) == NULL)
        return aw_fail_openssl("can't compute the trial MAC to compare");
    bool same = size == algorithms[i->algorithm].size && CRYPTO_memcmp(got, expected, size) == 0;
    return same ? AW_OK
                : aw_fail(
                      AW_CODE_TOKEN, "the token computes another MAC than OpenSSL with this key");
}

static aw_result
create_and_prove(struct token_session *s, struct import *i)
{
    struct token_ladder ladder = {.template_count = 1, .create = create_secret, .context = i};

    const struct token_mac_name name = {i->label, i->id, i->algorithm};

    token_mac_template(&ladder.templates[0], &name);
    token_template_must(
        &ladder.templates[0], token_attribute(CKA_VALUE, i->stored->data, i->stored->size));
    AW_TRY(token_ladder_create(s, &ladder, i->report));
    aw_result r = token_template_verify(s, i->object, &ladder.templates[0], i->report);
    if (aw_ok(r))
        r = prove_mac(s, i);
    return aw_context(r, "the imported key was destroyed again");
}

static aw_result
import_run(struct token_session *s, void *context)
{
    struct import *i = context;
    const struct token_object_name name = {
        .class = CKO_SECRET_KEY, .label = i->label, .what = "secret key"};

    AW_TRY(token_object_absent(s, &name));
    aw_result r = create_and_prove(s, i);
    if (!aw_ok(r))
        token_objects_discard(s, i->id, sizeof(i->id));
    return r;
}

static aw_result
check_length(const struct import *i, bool force)
{
    size_t least = algorithms[i->algorithm].size;

    if (i->given->size == 0 || i->given->size > TOKEN_MAC_KEY_MAX)
        return aw_fail(AW_CODE_LIMIT, "an HMAC key has 1 to %d octets, not %zu", TOKEN_MAC_KEY_MAX,
            i->given->size);
    if (i->given->size >= least || force)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_LIMIT, "the HMAC key has %zu bits; %s asks for at least %zu (RFC 7518 3.2)",
            i->given->size * 8, algorithms[i->algorithm].name, least * 8),
        "see that it was copied whole; if the CA really gave such a key, force the import: it is "
        "stored zero-padded to the hash's block, which gives the same MAC");
}

/* RFC 2104 section 2: a key shorter than the block is padded with zeros to it, so this is the same.
 */
static aw_result
pad_to_block(const aw_secret *given, size_t block, aw_secret **out)
{
    static const uint8_t zeros[128];
    AW_CLEANUP(aw_secret_free) aw_secret *padded = NULL;

    AW_TRY(aw_secret_new(block, &padded));
    AW_TRY(aw_secret_append(padded, given->data, given->size));
    AW_TRY(aw_secret_append(padded, zeros, block - given->size));
    *out = AW_MOVE(padded);
    return AW_OK;
}

aw_result
token_mac_import(token *t, const char *label, enum token_mac_algorithm algorithm,
    const aw_secret *value, bool force, struct token_key_report *report)
{
    AW_CLEANUP(aw_secret_free) aw_secret *padded = NULL;
    struct import i = {.t = t,
        .label = label,
        .algorithm = algorithm,
        .given = value,
        .stored = value,
        .report = report};

    memset(report, 0, sizeof(*report));
    AW_TRY(token_label_check(label));
    AW_TRY(check_length(&i, force));
    if (value->size < algorithms[algorithm].size) {
        AW_TRY(pad_to_block(value, algorithms[algorithm].block, &padded));
        i.stored = padded;
        report->padded = true;
    }
    if (RAND_bytes_ex(t->libctx, i.id, sizeof(i.id), 0) != 1)
        return aw_fail_openssl("no random octets for a key's ID");
    return aw_context(token_run_write(t, import_run, &i), "can't import HMAC key \"%s\"", label);
}

/* Finding. */

static aw_result
find_run(struct token_session *s, void *context)
{
    token_mac *mac = context;

    AW_TRY(token_mac_search(s, mac->label, &mac->handle.value));
    return compute_trial(s, mac, mac->handle.value, mac->trial);
}

aw_result
token_mac_find(token *t, const char *label, enum token_mac_algorithm algorithm, token_mac **out)
{
    AW_CLEANUP(token_mac_free) token_mac *mac = calloc(1, sizeof(*mac));

    if (mac == NULL)
        return aw_fail_memory();
    AW_TRY(token_handle_init(&mac->handle));
    mac->t = t;
    mac->algorithm = algorithm;
    AW_TRY(token_label_check(label));
    memcpy(mac->label, label, strlen(label));
    const struct token_work work = {.run = find_run, .context = mac};
    AW_TRY(token_login(t)); /* private objects hide from the logged-out */
    AW_TRY(aw_context(token_run(t, &work), "HMAC key \"%s\"", label));
    *out = AW_MOVE(mac);
    return AW_OK;
}

void
token_mac_free(token_mac **mac)
{
    if (mac == NULL || *mac == NULL)
        return;
    token_handle_destroy(&(*mac)->handle);
    free(*mac);
    *mac = NULL;
}

static aw_result
destroy_run(struct token_session *s, void *context)
{
    token_mac *mac = context;
    const struct token_object_name name = secret_name(mac->label);
    CK_OBJECT_HANDLE object;

    AW_TRY(token_mac_search(s, mac->label, &object));
    return token_object_destroy(s, &name, object);
}

aw_result
token_mac_destroy(token_mac *mac)
{
    return aw_context(
        token_run_write(mac->t, destroy_run, mac), "can't destroy HMAC key \"%s\"", mac->label);
}

/* Use. */

static aw_result
mac_run(struct token_session *s, void *context)
{
    struct maccing *m = context;

    return compute(s, token_handle_get(&m->mac->handle, &m->generation), m);
}

static aw_result
search_same(void *context, struct token_session *s, CK_OBJECT_HANDLE *out)
{
    token_mac *mac = context;
    uint8_t trial[TOKEN_MAC_MAX];

    AW_TRY(token_mac_search(s, mac->label, out));
    AW_TRY(compute_trial(s, mac, *out, trial));
    if (CRYPTO_memcmp(trial, mac->trial, algorithms[mac->algorithm].size) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "the token's key is another one now"),
        "somebody replaced the key while the signer ran; find out who, then restart the signer");
}

static aw_result
find_again(struct token_session *s, void *context)
{
    struct maccing *m = context;

    return token_handle_renew(&m->mac->handle, m->generation, search_same, m->mac, s);
}

aw_result
token_mac_compute(token_mac *mac, const void *input, size_t size, uint8_t *out, size_t *out_size)
{
    struct maccing m = {.mac = mac, .input = input, .input_size = size};
    const struct token_work work = {.run = mac_run, .find = find_again, .context = &m};

    *out_size = 0;
    aw_result r = aw_context(token_run(mac->t, &work), "HMAC key \"%s\"", mac->label);
    if (aw_ok(r)) {
        memcpy(out, m.out, algorithms[mac->algorithm].size);
        *out_size = algorithms[mac->algorithm].size;
    }
    OPENSSL_cleanse(m.out, sizeof(m.out)); /* it may be a key itself */
    return r;
}
