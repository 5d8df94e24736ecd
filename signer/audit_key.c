#include "signer/audit_key.h"

#include <string.h>

#include <openssl/evp.h>

#include "audit/checkpoint.h"
#include "common/hex.h"
#include "common/io.h"

enum { PLACES = 2 };

void
audit_key_free(struct audit_key *key)
{
    token_key_free(&key->key);
    audit_verifier_free(&key->verifier);
    key->place = 0;
}

static aw_result
label_of(const char *name, unsigned place, char **out)
{
    return aw_format(out, "acmeward-audit:%s%s", name, place == 0 ? "" : ":2");
}

/* The key goes into `out`, if it can be an audit key. */
static aw_result
take(const struct audit_key_of *of, const char *label, token_key **key, struct audit_key *out)
{
    const uint8_t *der = NULL;
    size_t size = 0;

    if (token_key_kind(*key) != TOKEN_KEY_EC_P256)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "the token's key \"%s\" is of type %s, not ec-p256",
                           label, token_key_type_name(token_key_kind(*key))),
            "name another key under audit in signer.yaml");
    token_key_spki(*key, &der, &size);
    aw_result r = audit_verifier_of_spki(of->origin, der, size, &out->verifier);
    if (r.code == AW_CODE_SYNTAX) /* not of what the caller gave */
        return aw_fail(
            AW_CODE_CRYPTO, "the public half of the key \"%s\" could not be read", label);
    AW_TRY(r);
    out->key = AW_MOVE(*key);
    return AW_OK;
}

static aw_result
find_at(const struct audit_key_of *of, unsigned place, struct audit_key *out)
{
    AW_CLEANUP(aw_free) char *label = NULL;
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    AW_TRY(label_of(of->name, place, &label));
    AW_TRY(token_key_find(of->token, label, &key));
    out->place = place;
    return take(of, label, &key, out);
}

/* Without memory nobody knows, and a guess would sign with a rest. */
static aw_result
signed_note(const struct audit_key *key, const char *note, bool *out)
{
    const audit_verifier *const items[] = {key->verifier};
    const struct audit_keys keys = {items, 1};
    struct audit_checkpoint checkpoint;

    *out = false;
    if (note == NULL)
        return AW_OK;
    aw_result r = audit_checkpoint_verify(note, strlen(note), &keys, &checkpoint);
    *out = aw_ok(r);
    return r.code == AW_CODE_MEMORY ? r : AW_OK;
}

/* What is at each place. */
struct found {
    struct audit_key at[PLACES];
};

static void
free_found(struct found *found)
{
    for (unsigned i = 0; i < PLACES; i++)
        audit_key_free(&found->at[i]);
}

aw_result
audit_key_find(const struct audit_key_of *of, const char *note, struct audit_key *out)
{
    AW_CLEANUP(free_found) struct found found = {{{.key = NULL}}};
    aw_result r[PLACES];

    for (unsigned i = 0; i < PLACES; i++) {
        r[i] = find_at(of, i, &found.at[i]);
        if (!aw_ok(r[i]) && r[i].code != AW_CODE_TOKEN_KEY_MISSING)
            return r[i];
    }
    bool by_second = !aw_ok(r[0]);
    if (!by_second && aw_ok(r[1]))
        AW_TRY(signed_note(&found.at[1], note, &by_second));
    unsigned used = by_second ? 1 : 0;
    if (!aw_ok(r[used]))
        return r[used];
    *out = found.at[used];
    found.at[used] = (struct audit_key){.key = NULL};
    return AW_OK;
}

/* A rest of a rotation that was cut off, or of a restored token, is never used. */
static aw_result
destroy_rest(const struct audit_key_of *of, const char *label)
{
    AW_CLEANUP(token_key_free) token_key *rest = NULL;
    aw_result r = token_key_find(of->token, label, &rest);

    return r.code == AW_CODE_TOKEN_KEY_MISSING ? AW_OK : aw_ok(r) ? token_key_destroy(rest) : r;
}

aw_result
audit_key_make(const struct audit_key_of *of, unsigned place, bool replace,
    struct token_key_report *report, struct audit_key *out)
{
    AW_CLEANUP(aw_free) char *label = NULL;
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    AW_TRY(label_of(of->name, place, &label));
    if (replace)
        AW_TRY(destroy_rest(of, label));
    AW_TRY(token_key_generate(of->token, label, TOKEN_KEY_EC_P256, report, &key));
    out->place = place;
    return take(of, label, &key, out);
}

aw_result
audit_key_digest(const struct audit_key *key, char out[AW_DIGEST_HEX_SIZE])
{
    unsigned char digest[32];
    const uint8_t *der = NULL;
    size_t size = 0;

    token_key_spki(key->key, &der, &size);
    if (EVP_Digest(der, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_memory();
    aw_hex(digest, sizeof(digest), out);
    return AW_OK;
}
