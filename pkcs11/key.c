#include "pkcs11/key.h"

#include <stdlib.h>

#include "pkcs11/internal.h"
#include "pkcs11/keytype.h"
#include "pkcs11/login.h"

aw_result
token_label_check(const char *label)
{
    size_t length = label == NULL ? 0 : strlen(label);

    if (length == 0 || length > TOKEN_LABEL_MAX)
        return aw_fail(
            AW_CODE_CONFIG, "a key's label has 1 to %d octets, not %zu", TOKEN_LABEL_MAX, length);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)label[i] < 0x20 || label[i] == 0x7f)
            return aw_fail(AW_CODE_CONFIG, "a key's label must not hold control characters");
    return AW_OK;
}

static struct token_object_name
private_name(const char *label)
{
    return (struct token_object_name){
        .class = CKO_PRIVATE_KEY, .label = label, .what = "private key"};
}

static aw_result
find_private(struct token_session *s, const char *label, CK_OBJECT_HANDLE *out)
{
    const struct token_object_name name = private_name(label);

    return token_object_find_one(s, &name, out);
}

static aw_result
new_key(token *t, const char *label, token_key **out)
{
    token_key *key = calloc(1, sizeof(*key));

    if (key == NULL)
        return aw_fail_memory();
    key->t = t;
    memcpy(key->label, label, strlen(label));
    pthread_mutex_init(&key->verifiers_lock, NULL);
    *out = key;
    return token_handle_init(&key->handle);
}

static aw_result
read_id(struct token_session *s, CK_OBJECT_HANDLE object, uint8_t id[TOKEN_ID_MAX], size_t *size)
{
    CK_ATTRIBUTE attribute = {CKA_ID, id, TOKEN_ID_MAX};

    AW_TRY(token_attribute_read(s, object, &attribute));
    *size = attribute.ulValueLen;
    return AW_OK;
}

aw_result
token_key_take(
    struct token_session *s, token *t, const char *label, CK_OBJECT_HANDLE object, token_key **out)
{
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    AW_TRY(new_key(t, label, &key));
    AW_TRY(read_id(s, object, key->id, &key->id_size));
    AW_TRY(token_public_read(s, object, key->id, key->id_size, &key->public_key));
    key->handle.value = object;
    *out = AW_MOVE(key);
    return AW_OK;
}

/* Finding. */

struct find_request {
    token *t;
    const char *label;
    token_key *key;
};

static aw_result
find_run(struct token_session *s, void *context)
{
    struct find_request *request = context;
    CK_OBJECT_HANDLE object;

    AW_TRY(find_private(s, request->label, &object));
    return token_key_take(s, request->t, request->label, object, &request->key);
}

aw_result
token_key_find(token *t, const char *label, token_key **out)
{
    struct find_request request = {.t = t, .label = label};
    const struct token_work work = {.run = find_run, .context = &request};

    AW_TRY(token_label_check(label));
    AW_TRY(token_login(t)); /* private objects hide from the logged-out */
    AW_TRY(aw_context(token_run(t, &work), "account key \"%s\"", label));
    *out = request.key;
    return AW_OK;
}

void
token_key_free(token_key **key)
{
    if (key == NULL || *key == NULL)
        return;
    for (unsigned i = 0; i < (*key)->verifier_count; i++)
        EVP_PKEY_CTX_free((*key)->verifiers[i]);
    token_public_free(&(*key)->public_key);
    token_handle_destroy(&(*key)->handle);
    pthread_mutex_destroy(&(*key)->verifiers_lock);
    free(*key);
    *key = NULL;
}

/* Destroying. */

static aw_result
destroy_run(struct token_session *s, void *context)
{
    token_key *key = context;
    CK_OBJECT_HANDLE object;
    const struct token_object_name private = private_name(key->label);
    const struct token_object_name public = {.class = CKO_PUBLIC_KEY,
        .label = key->label,
        .id = key->id,
        .id_size = key->id_size,
        .what = "public key"};

    AW_TRY(token_object_find_one(s, &private, &object));
    AW_TRY(token_object_destroy(s, &private, object));
    aw_result r = token_object_find_one(s, &public, &object);
    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return AW_OK;
    AW_TRY(r);
    return token_object_destroy(s, &public, object);
}

aw_result
token_key_destroy(token_key *key)
{
    return aw_context(
        token_run_write(key->t, destroy_run, key), "can't destroy account key \"%s\"", key->label);
}

/* What a key says of itself. */

enum token_key_type
token_key_kind(const token_key *key)
{
    return key->public_key->type;
}

const char *
token_key_algorithm(const token_key *key)
{
    return token_key_form(key->public_key->type)->algorithm;
}

const char *
token_key_jwk(const token_key *key)
{
    return key->public_key->jwk;
}

const char *
token_key_thumbprint(const token_key *key)
{
    return key->public_key->thumbprint;
}

void
token_key_spki(const token_key *key, const uint8_t **der, size_t *size)
{
    *der = key->public_key->spki;
    *size = key->public_key->spki_size;
}
