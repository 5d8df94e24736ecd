/* Keys in the token: found, judged by their attributes, made. */
#include <string.h>

#include <openssl/rand.h>

#include "common/io.h"
#include "hostkey/internal.h"

enum { TEMPLATE_MAX = 12, ID_SIZE = 16 };

/* Found. */

static aw_result
search(host_key *k, CK_OBJECT_HANDLE found[2], CK_ULONG *count)
{
    CK_ULONG size = 0;
    CK_ATTRIBUTE *wanted = p11_kit_uri_get_attributes(k->uri, &size);
    CK_RV rv = k->module->C_FindObjectsInit(k->session, wanted, size);

    if (rv != CKR_OK)
        return host_key_fail(AW_CODE_TOKEN, rv, "looking for the key");
    rv = k->module->C_FindObjects(k->session, found, 2, count);
    k->module->C_FindObjectsFinal(k->session);
    return rv == CKR_OK ? AW_OK : host_key_fail(AW_CODE_TOKEN, rv, "looking for the key");
}

aw_result
host_key_find(host_key *k)
{
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;

    AW_TRY(search(k, found, &count));
    if (count == 0)
        return aw_fail(AW_CODE_TOKEN_KEY_MISSING, "the token has no key %s", k->text);
    if (count > 1)
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the token has several private keys %s", k->text),
            "id= tells them apart");
    k->object = found[0];
    k->found = true;
    return AW_OK;
}

/* Judged. What a token can't say speaks against the key. */

static bool
has(const host_key *k, CK_ATTRIBUTE_TYPE type, bool wanted)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};

    return k->module->C_GetAttributeValue(k->session, k->object, &attribute, 1) == CKR_OK &&
           attribute.ulValueLen == sizeof(value) && (value == CK_TRUE) == wanted;
}

const char *
host_key_exposure(const host_key *k)
{
    if (!has(k, CKA_LOCAL, true))
        return "it was not made in the token: whoever made it may have a copy";
    if (!has(k, CKA_SENSITIVE, true) || !has(k, CKA_EXTRACTABLE, false))
        return "it may leave the token";
    if (!has(k, CKA_ALWAYS_SENSITIVE, true) || !has(k, CKA_NEVER_EXTRACTABLE, true))
        return "it could leave the token before";
    return NULL;
}

/* Made. */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
static CK_BYTE f4[] = {0x01, 0x00, 0x01};

/* The types of chain_key_types: a curve (RFC 5480 2.1.1.1, DER), or a number of bits. */
static struct form {
    const char *type;
    CK_BYTE *curve;
    CK_ULONG curve_size;
    CK_ULONG bits;
} forms[] = {
    {"ec-p256", p256, sizeof(p256), 0},
    {"ec-p384", p384, sizeof(p384), 0},
    {"rsa-2048", NULL, 0, 2048},
    {"rsa-3072", NULL, 0, 3072},
    {"rsa-4096", NULL, 0, 4096},
};

struct template
{
    CK_ATTRIBUTE rows[TEMPLATE_MAX];
    CK_ULONG count;
};

static void
add(struct template *t, CK_ATTRIBUTE_TYPE type, void *value, CK_ULONG size)
{
    if (t->count < TEMPLATE_MAX)
        t->rows[t->count++] = (CK_ATTRIBUTE){type, value, size};
}

static void
add_bool(struct template *t, CK_ATTRIBUTE_TYPE type, bool value)
{
    add(t, type, value ? &yes : &no, sizeof(yes));
}

/* The id is what joins the two halves; a URI without one leaves it to us. */
static aw_result
add_names(host_key *k, struct template *public, struct template *private, CK_BYTE id[ID_SIZE])
{
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(k->uri, CKA_LABEL);
    const CK_ATTRIBUTE *asked = p11_kit_uri_get_attribute(k->uri, CKA_ID);
    CK_ATTRIBUTE chosen = {CKA_ID, id, ID_SIZE};

    if (asked != NULL)
        chosen = *asked;
    else if (RAND_bytes(id, ID_SIZE) != 1)
        return aw_fail_openssl("can't choose an id for the key");
    add(public, CKA_ID, chosen.pValue, chosen.ulValueLen);
    add(private, CKA_ID, chosen.pValue, chosen.ulValueLen);
    if (label != NULL) {
        add(public, CKA_LABEL, label->pValue, label->ulValueLen);
        add(private, CKA_LABEL, label->pValue, label->ulValueLen);
    }
    return AW_OK;
}

static void
add_kind(struct form *form, struct template *public)
{
    if (form->curve != NULL) {
        add(public, CKA_EC_PARAMS, form->curve, form->curve_size);
        return;
    }
    add(public, CKA_MODULUS_BITS, &form->bits, sizeof(form->bits));
    add(public, CKA_PUBLIC_EXPONENT, f4, sizeof(f4));
}

static void
add_uses(struct template *public, struct template *private)
{
    add_bool(public, CKA_TOKEN, true);
    add_bool(public, CKA_VERIFY, true);
    add_bool(public, CKA_ENCRYPT, false);
    add_bool(public, CKA_WRAP, false);
    add_bool(private, CKA_TOKEN, true);
    add_bool(private, CKA_PRIVATE, true);
    add_bool(private, CKA_SENSITIVE, true);
    add_bool(private, CKA_EXTRACTABLE, false);
    add_bool(private, CKA_SIGN, true);
    add_bool(private, CKA_DECRYPT, false);
    add_bool(private, CKA_UNWRAP, false);
}

static aw_result
generate(host_key *k, struct form *form)
{
    struct template public = {.count = 0}, private = {.count = 0};
    CK_MECHANISM mechanism = {
        form->curve != NULL ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE half = 0, key = 0;
    CK_SESSION_HANDLE session = 0;
    CK_BYTE id[ID_SIZE];

    add_uses(&public, &private);
    add_kind(form, &public);
    AW_TRY(add_names(k, &public, &private, id));
    CK_RV rv = k->module->C_OpenSession(
        k->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return host_key_fail(AW_CODE_TOKEN, rv, "opening a session that may write");
    rv = k->module->C_GenerateKeyPair(
        session, &mechanism, public.rows, public.count, private.rows, private.count, &half, &key);
    if (rv != CKR_OK) {
        k->module->C_CloseSession(session);
        return host_key_fail(rv == CKR_MECHANISM_INVALID ? AW_CODE_UNSUPPORTED : AW_CODE_TOKEN, rv,
            "the token can't make the key");
    }
    k->object = key;
    k->found = true;
    /* A token that takes the template and does something else has made nothing of use. */
    const char *exposure = host_key_exposure(k);
    if (exposure != NULL) {
        k->module->C_DestroyObject(session, key);
        k->module->C_DestroyObject(session, half);
        k->found = false;
    }
    k->module->C_CloseSession(session);
    return exposure == NULL
               ? AW_OK
               : aw_fail(AW_CODE_UNSUPPORTED,
                     "the token made a key as it was not asked to (%s); it was removed", exposure);
}

aw_result
host_key_make(host_key *k, const char *type)
{
    for (size_t i = 0; i < AW_COUNT(forms); i++)
        if (strcmp(forms[i].type, type) == 0)
            return generate(k, &forms[i]);
    return aw_fail(AW_CODE_USAGE, "\"%s\" is not a key type", type);
}
