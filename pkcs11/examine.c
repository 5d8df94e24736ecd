#include <stdio.h>
#include <stdlib.h>

#include "common/io.h"
#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/keytype.h"
#include "pkcs11/login.h"
#include "pkcs11/object.h"

/* Objects that an examination looks at. */
enum { OBJECTS_MAX = 4096 };

/* Octets that an attempt to read a value has room for. */
enum { SECRET_ROOM = 4096 };

/* Classes a rule is about: private keys that sign, secrets, both, private keys that unwrap, secrets
 * that were made in the token. */
enum { PRIVATE = 1, SECRET = 2, BOTH = 3, WRAPPING = 4, ALL = 7, BORN = 8 };

/* Boolean attributes in the order shown, and which values a key of ours should not have. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    unsigned bad_if_true;
    unsigned bad_if_not_true;
} flags[] = {
    {CKA_TOKEN, 0, ALL},
    {CKA_PRIVATE, 0, ALL},
    {CKA_SENSITIVE, 0, ALL},
    {CKA_EXTRACTABLE, ALL, 0},
    {CKA_ALWAYS_SENSITIVE, 0, PRIVATE | WRAPPING | BORN}, /* an imported secret never is */
    {CKA_NEVER_EXTRACTABLE, 0, PRIVATE | WRAPPING | BORN},
    {CKA_LOCAL, 0, PRIVATE | WRAPPING},
    {CKA_MODIFIABLE, ALL, 0},
    {CKA_COPYABLE, ALL, 0},
    {CKA_SIGN, WRAPPING, BOTH},
    {CKA_SIGN_RECOVER, PRIVATE | WRAPPING, 0},
    {CKA_VERIFY, SECRET, 0},
    {CKA_ENCRYPT, SECRET, 0},
    {CKA_DECRYPT, ALL, 0},
    {CKA_WRAP, SECRET, 0},
    {CKA_UNWRAP, BOTH, WRAPPING},
    {CKA_DERIVE, ALL, 0},
    {CKA_DESTROYABLE, 0, 0},
    {CKA_ALWAYS_AUTHENTICATE, PRIVATE | WRAPPING, 0},
};

/* What acmeward needs of a token, or can use. */
static const struct {
    CK_MECHANISM_TYPE type;
    CK_FLAGS use;
    const char *name;
    bool required;
    const char *needed_for;
} wanted[] = {
    {CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, "CKM_EC_KEY_PAIR_GEN", true,
        "account keys (EC P-256, P-384)"},
    {CKM_ECDSA, CKF_SIGN, "CKM_ECDSA", true, "signatures ES256, ES384; log checkpoints"},
    {CKM_SHA256_HMAC, CKF_SIGN, "CKM_SHA256_HMAC", true, "EAB with HS256"},
    {CKM_SHA384_HMAC, CKF_SIGN, "CKM_SHA384_HMAC", false, "EAB with HS384"},
    {CKM_SHA512_HMAC, CKF_SIGN, "CKM_SHA512_HMAC", false, "EAB with HS512"},
    {CKM_GENERIC_SECRET_KEY_GEN, CKF_GENERATE, "CKM_GENERIC_SECRET_KEY_GEN", false,
        "the relay key, of which app-eabs are derived"},
    {CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, "CKM_RSA_PKCS_KEY_PAIR_GEN", false,
        "account keys (RSA)"},
    {CKM_RSA_PKCS, CKF_SIGN, "CKM_RSA_PKCS", false, "signatures RS256"},
    {CKM_RSA_PKCS_OAEP, CKF_UNWRAP, "CKM_RSA_PKCS_OAEP", false,
        "wrapped import of EAB keys (with SHA-1)"},
};

/* Objects. */

/* An imported secret was sensitive from its import on only; one that was made in the token always.
 */
static aw_result
secret_class(struct token_session *s, CK_OBJECT_HANDLE handle, unsigned *out)
{
    enum token_flag born;

    AW_TRY(token_flag_read(s, handle, CKA_LOCAL, &born));
    *out = born == TOKEN_FLAG_TRUE ? SECRET | BORN : SECRET;
    return AW_OK;
}

/* A private key either signs or unwraps; one that does both is a faulty one that signs. */
static aw_result
rule_class(struct token_session *s, CK_OBJECT_HANDLE handle, CK_OBJECT_CLASS class, unsigned *out)
{
    enum token_flag unwraps, signs;

    *out = class == CKO_PRIVATE_KEY ? PRIVATE : 0;
    if (class == CKO_SECRET_KEY)
        return secret_class(s, handle, out);
    if (*out != PRIVATE)
        return AW_OK;
    AW_TRY(token_flag_read(s, handle, CKA_UNWRAP, &unwraps));
    AW_TRY(token_flag_read(s, handle, CKA_SIGN, &signs));
    if (unwraps == TOKEN_FLAG_TRUE && signs != TOKEN_FLAG_TRUE)
        *out = WRAPPING;
    return AW_OK;
}

static aw_result
read_flags(
    struct token_session *s, CK_OBJECT_HANDLE handle, unsigned class, struct token_object *out)
{
    for (size_t i = 0; i < AW_COUNT(flags); i++) {
        enum token_flag flag;
        char fault[64];
        const char *name = token_attribute_name(flags[i].type);
        AW_TRY(token_flag_read(s, handle, flags[i].type, &flag));
        if (flag == TOKEN_FLAG_TRUE)
            token_list_add(out->attributes, name);
        bool bad_true = flag == TOKEN_FLAG_TRUE && (flags[i].bad_if_true & class) != 0;
        bool bad_other = flag != TOKEN_FLAG_TRUE && (flags[i].bad_if_not_true & class) != 0;
        if (!bad_true && !bad_other)
            continue;
        snprintf(fault, sizeof(fault), "%s%s",
            bad_true ? "" : (flag == TOKEN_FLAG_FALSE ? "not " : "not known to be "), name);
        token_list_add(out->faults, fault);
    }
    return AW_OK;
}

/* Must fail. What came of it lives in secret memory for the moment that it takes to wipe it. */
static aw_result
try_value(struct token_session *s, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type,
    struct token_object *out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *room = NULL;
    CK_RV answer;

    AW_TRY(aw_secret_new(SECRET_ROOM, &room));
    CK_ATTRIBUTE attribute = {type, room->data, SECRET_ROOM};
    AW_TRY(token_attribute_ask(s, handle, &attribute, &answer));
    room->size = SECRET_ROOM; /* all of it is wiped */
    snprintf(out->value_answer, sizeof(out->value_answer), "%s", token_ckr_name(answer));
    if (answer != CKR_OK)
        return AW_OK;
    out->value_readable = true;
    token_list_add(out->faults, "its value can be read");
    return AW_OK;
}

static void
name_kind(CK_OBJECT_CLASS class, const char *detail, char *out, size_t size)
{
    static const struct {
        CK_OBJECT_CLASS class;
        const char *name;
    } names[] = {{CKO_PRIVATE_KEY, "private key"}, {CKO_PUBLIC_KEY, "public key"},
        {CKO_SECRET_KEY, "secret key"}, {CKO_CERTIFICATE, "certificate"}, {CKO_DATA, "data"}};
    const char *name = "object";

    for (size_t i = 0; i < AW_COUNT(names); i++)
        if (names[i].class == class)
            name = names[i].name;
    snprintf(out, size, detail[0] == '\0' ? "%s" : "%s (%s)", name, detail);
}

/* "EC P-256", "RSA", "generic"; empty where there is nothing to say. */
static aw_result
read_detail(
    struct token_session *s, CK_OBJECT_HANDLE handle, CK_KEY_TYPE *type, char *out, size_t size)
{
    uint8_t params[64];
    CK_ATTRIBUTE key_type = {CKA_KEY_TYPE, type, sizeof(*type)};
    CK_ATTRIBUTE curve = {CKA_EC_PARAMS, params, sizeof(params)};
    enum token_key_type known;
    CK_RV answer;

    out[0] = '\0';
    AW_TRY(token_attribute_ask(s, handle, &key_type, &answer));
    if (answer != CKR_OK)
        return AW_OK;
    snprintf(out, size,
        *type == CKK_EC               ? "EC"
        : *type == CKK_RSA            ? "RSA"
        : *type == CKK_GENERIC_SECRET ? "generic"
                                      : "other type");
    if (*type != CKK_EC)
        return AW_OK;
    AW_TRY(token_attribute_ask(s, handle, &curve, &answer));
    if (answer == CKR_OK && aw_ok(token_key_type_of_curve(params, curve.ulValueLen, &known)))
        snprintf(out, size, "%s", token_key_form(known)->text);
    return AW_OK;
}

static aw_result
read_names(struct token_session *s, CK_OBJECT_HANDLE handle, struct token_object *out)
{
    uint8_t id[256];
    CK_ATTRIBUTE label = {CKA_LABEL, out->label, TOKEN_LABEL_MAX};
    CK_ATTRIBUTE identity = {CKA_ID, id, sizeof(id)};
    CK_RV answer;

    AW_TRY(token_attribute_ask(s, handle, &label, &answer));
    out->label[answer == CKR_OK ? label.ulValueLen : 0] = '\0';
    AW_TRY(token_attribute_ask(s, handle, &identity, &answer));
    for (size_t i = 0; answer == CKR_OK && i < identity.ulValueLen && 2 * i + 2 < sizeof(out->id);
         i++)
        snprintf(out->id + 2 * i, 3, "%02x", id[i]);
    return AW_OK;
}

static aw_result
examine_object(struct token_session *s, CK_OBJECT_HANDLE handle, struct token_object *out)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_KEY_TYPE type = CKK_VENDOR_DEFINED;
    CK_ATTRIBUTE attribute = {CKA_CLASS, &class, sizeof(class)};
    unsigned rules = 0;
    char detail[20];

    AW_TRY(token_attribute_read(s, handle, &attribute));
    AW_TRY(read_names(s, handle, out));
    AW_TRY(read_detail(s, handle, &type, detail, sizeof(detail)));
    name_kind(class, detail, out->kind, sizeof(out->kind));
    AW_TRY(rule_class(s, handle, class, &rules));
    AW_TRY(read_flags(s, handle, rules, out));
    if (rules == 0)
        return AW_OK;
    return try_value(s, handle,
        class == CKO_PRIVATE_KEY && type == CKK_RSA ? CKA_PRIVATE_EXPONENT : CKA_VALUE, out);
}

static aw_result
examine_objects(struct token_session *s, struct token_examination *e)
{
    AW_CLEANUP(aw_free) CK_OBJECT_HANDLE *handles = calloc(OBJECTS_MAX, sizeof(*handles));
    CK_ATTRIBUTE on_token = token_attribute_bool(CKA_TOKEN, true);
    size_t count = OBJECTS_MAX;

    if (handles == NULL)
        return aw_fail_memory();
    AW_TRY(token_objects_find(s, &on_token, 1, handles, &count));
    free(e->objects); /* of an attempt that was cut off */
    e->object_count = 0;
    e->objects = calloc(count + 1, sizeof(*e->objects));
    if (e->objects == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < count; i++) {
        AW_TRY(examine_object(s, handles[i], &e->objects[i]));
        e->object_count = i + 1;
    }
    return AW_OK;
}

/* Mechanisms. */

static aw_result
examine_mechanism(struct token_session *s, size_t i, struct token_mechanism *out)
{
    CK_MECHANISM_INFO info = {0};

    snprintf(out->name, sizeof(out->name), "%s", wanted[i].name);
    snprintf(out->needed_for, sizeof(out->needed_for), "%s", wanted[i].needed_for);
    out->required = wanted[i].required;
    aw_result r = TOKEN_CALL(s, C_GetMechanismInfo, s->owner->slot, wanted[i].type, &info);
    if (!aw_ok(r) && token_ckr_class(s->answer) != TOKEN_CKR_UNSUPPORTED)
        return r;
    token_session_forgive(s);
    out->present = aw_ok(r) && (info.flags & wanted[i].use) != 0;
    return AW_OK;
}

static aw_result
examine_run(struct token_session *s, void *context)
{
    struct token_examination *e = context;

    for (size_t i = 0; i < AW_COUNT(wanted); i++)
        AW_TRY(examine_mechanism(s, i, &e->mechanisms[i]));
    return examine_objects(s, e);
}

static void
examine_pin(const token *t, struct token_examination *e)
{
    snprintf(
        e->pin_source, sizeof(e->pin_source), "%s", t->pin_source == NULL ? "none" : t->pin_source);
    if (t->pin_source != NULL && !aw_ok(token_pin_check(t->pin_source)))
        snprintf(e->pin_faults, sizeof(e->pin_faults), "%.500s", aw_error_last()->message);
}

aw_result
token_examine(token *t, struct token_examination **out)
{
    AW_CLEANUP(token_examination_free) struct token_examination *e = calloc(1, sizeof(*e));
    const struct token_work work = {.run = examine_run, .context = e};

    if (e == NULL)
        return aw_fail_memory();
    e->mechanisms = calloc(AW_COUNT(wanted), sizeof(*e->mechanisms));
    if (e->mechanisms == NULL)
        return aw_fail_memory();
    e->mechanism_count = AW_COUNT(wanted);
    AW_TRY(token_info_get(t, &e->info));
    AW_TRY(token_login(t)); /* private objects hide from the logged-out */
    AW_TRY(token_run(t, &work));
    examine_pin(t, e);
    *out = AW_MOVE(e);
    return AW_OK;
}

void
token_examination_free(struct token_examination **examination)
{
    if (examination == NULL || *examination == NULL)
        return;
    free((*examination)->objects);
    free((*examination)->mechanisms);
    free(*examination);
    *examination = NULL;
}
