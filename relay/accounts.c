#include "relay/accounts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"

/* Octets of texts in a reply of the signer. */
enum { TEXT_MAX = 4096, PROFILES_MAX = 64 };

/* A place of the table; an account has one place only, so a newcomer takes it over. */
struct kept {
    int64_t id;                    /* 0: free */
    struct relay_account *account; /* NULL: the signer knows no such account */
    int64_t until_ms;
};

struct relay_accounts {
    pthread_mutex_t lock;
    struct kept places[RELAY_ACCOUNTS_KEPT];
};

aw_result
relay_accounts_new(struct relay_accounts **out)
{
    struct relay_accounts *accounts = calloc(1, sizeof(*accounts));

    if (accounts == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&accounts->lock, NULL);
    *out = accounts;
    return AW_OK;
}

static void
account_free(struct relay_account **slot)
{
    struct relay_account *account = *slot;

    if (account == NULL)
        return;
    for (size_t i = 0; i < account->profile_count; i++)
        free(account->profiles[i]);
    free(account->profiles);
    free(account->application);
    free(account->owner);
    free(account->validation);
    free(account->account_url);
    free(account->thumbprint);
    jose_jwk_free(&account->jwk);
    aw_json_free(&account->ca);
    free(account);
    *slot = NULL;
}

/* Under the lock. */
static void
let_go(struct relay_account **slot)
{
    if (*slot != NULL && --(*slot)->holders == 0)
        account_free(slot);
    *slot = NULL;
}

void
relay_account_release(struct relay_accounts *accounts, struct relay_account **slot)
{
    if (*slot == NULL)
        return;
    pthread_mutex_lock(&accounts->lock);
    let_go(slot);
    pthread_mutex_unlock(&accounts->lock);
}

void
relay_accounts_free(struct relay_accounts **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    for (size_t i = 0; i < RELAY_ACCOUNTS_KEPT; i++)
        let_go(&(*slot)->places[i].account);
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

static struct kept *
place_of(struct relay_accounts *accounts, int64_t id)
{
    return &accounts->places[(uint64_t)id % RELAY_ACCOUNTS_KEPT];
}

void
relay_accounts_forget(struct relay_accounts *accounts, int64_t id)
{
    struct kept *place = place_of(accounts, id);

    pthread_mutex_lock(&accounts->lock);
    if (place->id == id) {
        let_go(&place->account);
        *place = (struct kept){0};
    }
    pthread_mutex_unlock(&accounts->lock);
}

bool
relay_accounts_doubt(struct relay_accounts *accounts, int64_t id)
{
    struct kept *place = place_of(accounts, id);

    pthread_mutex_lock(&accounts->lock);
    bool stale = place->id == id && place->account != NULL &&
                 aw_now_ms() > place->until_ms - RELAY_ACCOUNT_MS + RELAY_ACCOUNT_FRESH_MS;
    if (stale) {
        let_go(&place->account);
        *place = (struct kept){0};
    }
    pthread_mutex_unlock(&accounts->lock);
    return stale;
}

/* True when it is known whether there is one. */
static bool
look_up(struct relay_accounts *accounts, int64_t id, struct relay_account **out)
{
    const struct kept *place = place_of(accounts, id);

    pthread_mutex_lock(&accounts->lock);
    bool known = place->id == id && aw_now_ms() < place->until_ms;
    *out = known ? place->account : NULL;
    if (*out != NULL)
        (*out)->holders++;
    pthread_mutex_unlock(&accounts->lock);
    return known;
}

/* The table holds the account too from now on; NULL: there is none. */
static void
keep(struct relay_accounts *accounts, int64_t id, struct relay_account *account)
{
    struct kept *place = place_of(accounts, id);

    pthread_mutex_lock(&accounts->lock);
    let_go(&place->account);
    *place = (struct kept){.id = id,
        .account = account,
        .until_ms = aw_now_ms() + (account != NULL ? RELAY_ACCOUNT_MS : RELAY_ACCOUNT_ABSENT_MS)};
    if (account != NULL)
        account->holders++;
    pthread_mutex_unlock(&accounts->lock);
}

/* Reading a reply. */

static aw_result
copy_text(const cJSON *reply, const char *name, char **out)
{
    const char *text;

    AW_TRY(aw_json_string(reply, name, TEXT_MAX, &text));
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static aw_result
copy_optional(const cJSON *reply, const char *name, char **out)
{
    const char *text;

    AW_TRY(aw_json_optional_string(reply, name, TEXT_MAX, &text));
    if (text == NULL)
        return AW_OK;
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static aw_result
read_profiles(const cJSON *reply, struct relay_account *account)
{
    const cJSON *list, *item;

    AW_TRY(aw_json_array(reply, "profiles", 0, PROFILES_MAX, &list));
    account->profiles = calloc(PROFILES_MAX, sizeof(account->profiles[0]));
    if (account->profiles == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_GetStringValue(item);

        if (text == NULL)
            return aw_fail(AW_CODE_SYNTAX, "profiles: expected strings");
        account->profiles[account->profile_count] = strdup(text);
        if (account->profiles[account->profile_count] == NULL)
            return aw_fail_memory();
        account->profile_count++;
    }
    return AW_OK;
}

static aw_result
read_key(const cJSON *reply, struct relay_account *account)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    enum jose_fault fault;

    AW_TRY(copy_text(reply, "jwk", &text));
    return jose_jwk_parse_text(text, &(struct jose_openssl){0}, &fault, &account->jwk);
}

static aw_result
read_account(const cJSON *reply, struct relay_account *account)
{
    const cJSON *ca = aw_json_member(reply, "ca");

    AW_TRY(copy_text(reply, "application", &account->application));
    AW_TRY(copy_text(reply, "owner", &account->owner));
    AW_TRY(copy_text(reply, "validation", &account->validation));
    AW_TRY(aw_json_optional_bool(reply, "active", &account->active));
    AW_TRY(copy_optional(reply, "account_url", &account->account_url));
    AW_TRY(copy_optional(reply, "thumbprint", &account->thumbprint));
    AW_TRY(read_profiles(reply, account));
    AW_TRY(read_key(reply, account));
    if (cJSON_IsObject(ca)) {
        account->ca = cJSON_Duplicate(ca, true);
        if (account->ca == NULL)
            return aw_fail_memory();
    }
    return AW_OK;
}

/* Tag of org.acmeward.Relay for an account that is not there. */
static bool
is_unknown(const struct signer_refusal *refusal)
{
    return refusal->error != NULL && strcmp(refusal->error, "EvidenceRefused") == 0 &&
           refusal->rule != NULL && strcmp(refusal->rule, "evidence.account") == 0;
}

static aw_result
ask(struct relay_signer *signer, int64_t id, bool *unknown, cJSON **reply)
{
    AW_CLEANUP(signer_refusal_free) struct signer_refusal refusal = {0};
    AW_CLEANUP(aw_free) char *parameters = NULL;

    AW_TRY(aw_format(&parameters, "{\"account\":%lld}", (long long)id));
    aw_result r = relay_signer_call(signer, "GetAccount", parameters, &refusal, reply);
    *unknown = !aw_ok(r) && is_unknown(&refusal);
    return r;
}

static aw_result
fetch(struct relay_accounts *accounts, struct relay_signer *signer, int64_t id,
    struct relay_account **out)
{
    AW_CLEANUP(account_free) struct relay_account *account = calloc(1, sizeof(*account));
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    bool unknown = false;

    if (account == NULL)
        return aw_fail_memory();
    aw_result r = ask(signer, id, &unknown, &reply);
    if (unknown) {
        keep(accounts, id, NULL);
        return aw_fail(AW_CODE_NOT_FOUND, "there is no account %lld", (long long)id);
    }
    AW_TRY(r);
    AW_TRY(aw_context(read_account(reply, account), "the signer's reply"));
    account->id = id;
    account->holders = 1;
    keep(accounts, id, account);
    *out = AW_MOVE(account);
    return AW_OK;
}

aw_result
relay_accounts_get(struct relay_accounts *accounts, struct relay_signer *signer, int64_t id,
    struct relay_account **out)
{
    *out = NULL;
    if (!look_up(accounts, id, out))
        return fetch(accounts, signer, id, out);
    return *out != NULL ? AW_OK
                        : aw_fail(AW_CODE_NOT_FOUND, "there is no account %lld", (long long)id);
}
