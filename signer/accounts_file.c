#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "signer/accounts.h"
#include "signer/request.h"

/* State files are ours, but read as strictly as anything else: a damaged one stops the start. */
enum { STATE_FILE_MAX = 128 * 1024, STATE_MODE = 0640 };

static const char *const state_names[] = {
    "no-key", "unregistered", "attempted", "registered", "deactivated"};

const char *
account_state_name(enum account_state state)
{
    return state_names[state];
}

/* The texts of a pin, by their names in a directory (RFC 8555 7.1.1). */
enum { PIN_URLS = 8 };

struct pin_url {
    const char *name;
    char **slot;
};

static void
urls_of(struct ca_pin *pin, struct pin_url out[PIN_URLS])
{
    const struct pin_url urls[PIN_URLS] = {
        {"newNonce", &pin->new_nonce},
        {"newAccount", &pin->new_account},
        {"newOrder", &pin->new_order},
        {"revokeCert", &pin->revoke_cert},
        {"keyChange", &pin->key_change},
        {"renewalInfo", &pin->renewal_info},
        {"termsOfService", &pin->terms_of_service},
        {"caaIdentities", &pin->caa_identities},
    };

    memcpy(out, urls, sizeof(urls));
}

void
ca_pin_free(struct ca_pin *pin)
{
    struct pin_url urls[PIN_URLS];

    urls_of(pin, urls);
    for (size_t i = 0; i < PIN_URLS; i++)
        free(*urls[i].slot);
    memset(pin, 0, sizeof(*pin));
}

aw_result
ca_pin_copy(const struct ca_pin *from, struct ca_pin *to)
{
    struct ca_pin source = *from;
    struct pin_url old[PIN_URLS], new[PIN_URLS];

    urls_of(&source, old);
    urls_of(to, new);
    to->external_account_required = from->external_account_required;
    for (size_t i = 0; i < PIN_URLS; i++)
        if (*old[i].slot != NULL && (*new[i].slot = strdup(*old[i].slot)) == NULL)
            return aw_fail_memory();
    return AW_OK;
}

static aw_result
copy_string(const cJSON *object, const char *name, size_t max, char **out)
{
    const char *text = NULL;

    AW_TRY(aw_json_optional_string(object, name, max, &text));
    free(*out);
    *out = NULL;
    if (text != NULL && (*out = strdup(text)) == NULL)
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
state_path(const char *state, const char *folder, const char *name, char **out)
{
    return aw_format(out, "%s/%s/%s.json", state, folder, name);
}

/* *out stays NULL when there is no such file. */
static aw_result
load(const char *path, cJSON **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    aw_result r = aw_file_read(path, STATE_FILE_MAX, &text, &size);

    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    return aw_context(aw_json_parse(text, size, AW_JSON_STRICT, out), "%s", path);
}

/* What we don't know we would not write again, and it may change what the rest means. */
static aw_result
only(const cJSON *json, const char *const *members, size_t count)
{
    return aw_hint(aw_json_only(json, members, count),
        "was it changed by hand, or written by a newer acmeward? restore it, or install that one");
}

/* A pin that lacks a URL is none: what is signed for comes from it. */
static aw_result
read_pin(const cJSON *json, struct ca_pin *pin)
{
    const char *members[PIN_URLS + 1] = {"externalAccountRequired"};
    struct pin_url urls[PIN_URLS];

    urls_of(pin, urls);
    for (size_t i = 0; i < PIN_URLS; i++)
        members[i + 1] = urls[i].name;
    AW_TRY(only(json, members, AW_COUNT(members)));
    for (size_t i = 0; i < PIN_URLS; i++)
        AW_TRY(copy_string(json, urls[i].name, SIGN_URL_MAX, urls[i].slot));
    if (pin->new_nonce == NULL || pin->new_account == NULL || pin->new_order == NULL)
        return aw_fail(AW_CODE_CORRUPT, "\"pin\" is not whole");
    return aw_json_optional_bool(json, "externalAccountRequired", &pin->external_account_required);
}

static aw_result
read_eab(const cJSON *json, struct ca_eab *eab)
{
    static const char *const members[] = {"kid", "algorithm", "label"};
    const char *algorithm = NULL;

    AW_TRY(only(json, members, AW_COUNT(members)));
    AW_TRY(copy_string(json, "kid", ACCOUNTS_KID_MAX, &eab->kid));
    AW_TRY(copy_string(json, "label", TOKEN_LABEL_MAX, &eab->label));
    AW_TRY(aw_json_string(json, "algorithm", 16, &algorithm));
    if (eab->kid == NULL || eab->label == NULL ||
        !token_mac_algorithm_parse(algorithm, &eab->algorithm))
        return aw_fail(AW_CODE_CORRUPT, "an entry of \"eabs\" is not whole");
    return AW_OK;
}

static aw_result
read_eabs(const cJSON *json, struct ca *ca)
{
    static const char *const members[] = {"directory", "pinned_at", "pin", "eabs"};
    const cJSON *list = NULL, *item = NULL;

    AW_TRY(only(json, members, AW_COUNT(members)));
    AW_TRY(aw_json_array(json, "eabs", 0, ACCOUNTS_EABS_MAX, &list));
    ca->eabs = calloc(ACCOUNTS_EABS_MAX, sizeof(*ca->eabs));
    if (ca->eabs == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(item, list) AW_TRY(read_eab(item, &ca->eabs[ca->eab_count++]));
    return AW_OK;
}

aw_result
ca_file_read(const char *state, struct ca *ca)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *directory = NULL;

    AW_TRY(state_path(state, "cas", ca->name, &path));
    AW_TRY(load(path, &json));
    if (json == NULL)
        return AW_OK;
    AW_TRY(aw_context(read_eabs(json, ca), "%s", path));
    AW_TRY(aw_context(aw_json_string(json, "directory", SIGN_URL_MAX, &directory), "%s", path));
    if (strcmp(directory, ca->directory) != 0)
        return AW_OK; /* the configuration names another directory: it must be pinned anew */
    AW_TRY(
        aw_context(aw_json_optional_integer(json, "pinned_at", 0, INT64_MAX >> 11, &ca->pinned_at),
            "%s", path));
    if (ca->pinned_at == 0)
        return AW_OK;
    return aw_context(read_pin(aw_json_member(json, "pin"), &ca->pin), "%s", path);
}

void
ca_pin_write(struct aw_json_writer *w, const struct ca_pin *pin)
{
    struct ca_pin source = *pin;
    struct pin_url urls[PIN_URLS];

    urls_of(&source, urls);
    aw_json_begin_object(w);
    for (size_t i = 0; i < PIN_URLS; i++)
        aw_json_pair(w, urls[i].name, *urls[i].slot);
    aw_json_pair_bool(w, "externalAccountRequired", pin->external_account_required);
    aw_json_end_object(w);
}

static aw_result
store(const char *state, const char *folder, const char *name, struct aw_json_writer *w)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_json_writer_finish(w, &text));
    AW_TRY(aw_format(&path, "%s/%s", state, folder));
    AW_TRY(aw_folder_make(path, 0750));
    aw_free(&path);
    AW_TRY(state_path(state, folder, name, &path));
    return aw_hint(aw_file_replace(path, text, strlen(text), STATE_MODE),
        "make space or mend the disk, then try again");
}

aw_result
ca_file_write(const char *state, const struct ca *ca)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "directory", ca->directory);
    aw_json_pair_integer(&w, "pinned_at", ca->pinned_at);
    aw_json_name(&w, "pin");
    ca_pin_write(&w, &ca->pin);
    aw_json_name(&w, "eabs");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < ca->eab_count; i++) {
        aw_json_begin_object(&w);
        aw_json_pair(&w, "kid", ca->eabs[i].kid);
        aw_json_pair(&w, "algorithm", token_mac_algorithm_name(ca->eabs[i].algorithm));
        aw_json_pair(&w, "label", ca->eabs[i].label);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return store(state, "cas", ca->name, &w);
}

static aw_result
read_state(const cJSON *json, enum account_state *out)
{
    const char *text = NULL;

    AW_TRY(aw_json_string(json, "state", 32, &text));
    for (size_t i = 0; i < AW_COUNT(state_names); i++)
        if (strcmp(text, state_names[i]) == 0) {
            *out = (enum account_state)i;
            return AW_OK;
        }
    return aw_fail(AW_CODE_CORRUPT, "state \"%.32s\" is not known", text);
}

static aw_result
read_key_digest(const cJSON *json, struct account *account)
{
    const char *text = NULL;
    size_t size = 0;

    AW_TRY(aw_json_optional_string(json, "key", 64, &text));
    if (text == NULL)
        return AW_OK;
    AW_TRY(aw_b64url_decode(
        text, strlen(text), account->key_digest, sizeof(account->key_digest), &size));
    account->has_key_digest = size == sizeof(account->key_digest);
    return account->has_key_digest ? AW_OK
                                   : aw_fail(AW_CODE_CORRUPT, "\"key\" is not a SHA-256 digest");
}

/* A key beside the present one; absent: there is none. */
static aw_result
read_other_key(const cJSON *json, const char *name, struct account_key *out)
{
    static const char *const members[] = {"number", "thumbprint"};
    const cJSON *object = NULL;

    if (aw_json_member(json, name) == NULL)
        return AW_OK;
    AW_TRY(aw_json_object(json, name, &object));
    AW_TRY(only(object, members, AW_COUNT(members)));
    AW_TRY(aw_json_integer(object, "number", 0, ACCOUNTS_KEYS_MAX, &out->number));
    AW_TRY(copy_string(object, "thumbprint", 64, &out->thumbprint));
    return out->thumbprint != NULL ? AW_OK : aw_fail(AW_CODE_CORRUPT, "\"%s\" is not whole", name);
}

static aw_result
read_keys(const cJSON *json, struct account *account)
{
    AW_TRY(
        aw_json_optional_integer(json, "key_number", 0, ACCOUNTS_KEYS_MAX, &account->key_number));
    AW_TRY(read_other_key(json, "next", &account->next));
    AW_TRY(read_other_key(json, "old", &account->old));
    return aw_json_optional_integer(
        json, "change_attempted_at", 0, INT64_MAX >> 11, &account->change_attempted_at);
}

static aw_result
read_account(const cJSON *json, struct account *account)
{
    static const char *const members[] = {"ca", "state", "thumbprint", "key", "key_number", "next",
        "old", "change_attempted_at", "url", "orders", "contact", "former_url", "former_thumbprint",
        "former_at", "attempted_kid", "attempted_at", "registered_at"};

    AW_TRY(only(json, members, AW_COUNT(members)));
    AW_TRY(read_state(json, &account->state));
    AW_TRY(read_key_digest(json, account));
    AW_TRY(read_keys(json, account));
    AW_TRY(copy_string(json, "thumbprint", 64, &account->thumbprint));
    AW_TRY(copy_string(json, "url", SIGN_URL_MAX, &account->url));
    AW_TRY(copy_string(json, "orders", SIGN_URL_MAX, &account->orders));
    AW_TRY(copy_string(json, "attempted_kid", ACCOUNTS_KID_MAX, &account->attempted_kid));
    AW_TRY(copy_string(json, "contact", ACCOUNTS_CONTACT_MAX, &account->contact));
    AW_TRY(copy_string(json, "former_url", SIGN_URL_MAX, &account->former_url));
    AW_TRY(copy_string(json, "former_thumbprint", 64, &account->former_thumbprint));
    AW_TRY(aw_json_optional_integer(json, "former_at", 0, INT64_MAX >> 11, &account->former_at));
    AW_TRY(
        aw_json_optional_integer(json, "attempted_at", 0, INT64_MAX >> 11, &account->attempted_at));
    AW_TRY(aw_json_optional_integer(
        json, "registered_at", 0, INT64_MAX >> 11, &account->registered_at));
    if (account->state != ACCOUNT_NO_KEY &&
        (account->thumbprint == NULL || !account->has_key_digest))
        return aw_fail(AW_CODE_CORRUPT, "an account with a key, but not what its public key is");
    if (account->state >= ACCOUNT_REGISTERED && account->url == NULL)
        return aw_fail(AW_CODE_CORRUPT, "a registered account without its URL");
    return AW_OK;
}

aw_result
account_file_read(const char *state, struct account *account)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *ca = NULL;

    AW_TRY(state_path(state, "accounts", account->name, &path));
    AW_TRY(load(path, &json));
    if (json == NULL)
        return AW_OK;
    AW_TRY(aw_context(aw_json_string(json, "ca", AW_CONFIG_LABEL_MAX, &ca), "%s", path));
    if (strcmp(ca, account->ca->name) != 0)
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "account %s was made for the CA %s, but the configuration says %s",
                           account->name, ca, account->ca->name),
            "give an account for another CA another name");
    return aw_context(read_account(json, account), "%s", path);
}

static void
write_key_digest(struct aw_json_writer *w, const struct account *account)
{
    char text[AW_B64URL_LENGTH(sizeof(account->key_digest)) + 1];

    if (!account->has_key_digest)
        return;
    aw_b64url_encode(account->key_digest, sizeof(account->key_digest), text);
    aw_json_pair(w, "key", text);
}

static void
write_other_key(struct aw_json_writer *w, const char *name, const struct account_key *key)
{
    if (key->thumbprint == NULL)
        return;
    aw_json_name(w, name);
    aw_json_begin_object(w);
    aw_json_pair_integer(w, "number", key->number);
    aw_json_pair(w, "thumbprint", key->thumbprint);
    aw_json_end_object(w);
}

aw_result
account_file_write(const char *state, const struct account *account)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "ca", account->ca->name);
    aw_json_pair(&w, "state", account_state_name(account->state));
    aw_json_pair(&w, "thumbprint", account->thumbprint);
    write_key_digest(&w, account);
    aw_json_pair_integer(&w, "key_number", account->key_number);
    write_other_key(&w, "next", &account->next);
    write_other_key(&w, "old", &account->old);
    aw_json_pair_integer(&w, "change_attempted_at", account->change_attempted_at);
    aw_json_pair(&w, "url", account->url);
    aw_json_pair(&w, "orders", account->orders);
    aw_json_pair(&w, "contact", account->contact);
    aw_json_pair(&w, "former_url", account->former_url);
    aw_json_pair(&w, "former_thumbprint", account->former_thumbprint);
    aw_json_pair_integer(&w, "former_at", account->former_at);
    aw_json_pair(&w, "attempted_kid", account->attempted_kid);
    aw_json_pair_integer(&w, "attempted_at", account->attempted_at);
    aw_json_pair_integer(&w, "registered_at", account->registered_at);
    aw_json_end_object(&w);
    return store(state, "accounts", account->name, &w);
}
