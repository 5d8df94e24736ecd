#include "signer/accounts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"

struct accounts {
    pthread_rwlock_t lock;
    pthread_mutex_t key_lock; /* guards `key` of accounts that readers look up */
    token *token;
    char *state; /* the state folder */
    struct ca *cas;
    size_t ca_count;
    struct account *items; /* sorted by name */
    size_t count;
};

static void
ca_free(struct ca *ca)
{
    for (size_t i = 0; i < ca->eab_count; i++) {
        free(ca->eabs[i].kid);
        free(ca->eabs[i].label);
    }
    free(ca->eabs);
    ca_pin_free(&ca->pin);
    free(ca->name);
    free(ca->directory);
}

static void
account_free(struct account *account)
{
    token_key_free(&account->key);
    free(account->name);
    free(account->ceiling);
    free(account->thumbprint);
    free(account->url);
    free(account->orders);
    free(account->attempted_kid);
}

static void
clear_table(accounts *table)
{
    for (size_t i = 0; i < table->ca_count; i++)
        ca_free(&table->cas[i]);
    for (size_t i = 0; i < table->count; i++)
        account_free(&table->items[i]);
    free(table->cas);
    free(table->items);
}

void
accounts_free(accounts **table)
{
    if (table == NULL || *table == NULL)
        return;
    clear_table(*table);
    free((*table)->state);
    pthread_rwlock_destroy(&(*table)->lock);
    pthread_mutex_destroy(&(*table)->key_lock);
    free(*table);
    *table = NULL;
}

void
accounts_read(accounts *table)
{
    pthread_rwlock_rdlock(&table->lock);
}

void
accounts_write(accounts *table)
{
    pthread_rwlock_wrlock(&table->lock);
}

void
accounts_unlock(accounts *table)
{
    pthread_rwlock_unlock(&table->lock);
}

static int
compare_accounts(const void *a, const void *b)
{
    return strcmp(((const struct account *)a)->name, ((const struct account *)b)->name);
}

struct ca *
accounts_find_ca(accounts *table, const char *name)
{
    for (size_t i = 0; i < table->ca_count; i++)
        if (strcmp(table->cas[i].name, name) == 0)
            return &table->cas[i];
    return NULL;
}

struct account *
accounts_find(accounts *table, const char *name)
{
    struct account wanted = {.name = NULL};
    AW_CLEANUP(aw_free) char *copy = strdup(name);

    if (copy == NULL || table->count == 0)
        return NULL;
    wanted.name = copy;
    return bsearch(&wanted, table->items, table->count, sizeof(*table->items), compare_accounts);
}

struct account *
accounts_all(accounts *table, size_t *count)
{
    *count = table->count;
    return table->items;
}

struct ca *
accounts_cas(accounts *table, size_t *count)
{
    *count = table->ca_count;
    return table->cas;
}

static aw_result
load_cas(accounts *table, const struct aw_config *config)
{
    table->cas = calloc(config->ca_count + 1, sizeof(*table->cas));
    if (table->cas == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < config->ca_count; i++) {
        struct ca *ca = &table->cas[table->ca_count++];

        ca->name = strdup(config->cas[i].name);
        ca->directory = strdup(config->cas[i].directory);
        if (ca->name == NULL || ca->directory == NULL)
            return aw_fail_memory();
        AW_TRY(ca_file_read(table->state, ca));
    }
    return AW_OK;
}

static aw_result
load_account(accounts *table, const struct aw_config_account *from, struct account *account)
{
    account->name = strdup(from->name);
    account->ceiling = calloc(from->ceiling_count + 1, sizeof(*account->ceiling));
    if (account->name == NULL || account->ceiling == NULL)
        return aw_fail_memory();
    memcpy(account->ceiling, from->ceiling, from->ceiling_count * sizeof(*account->ceiling));
    account->ceiling_count = from->ceiling_count;
    account->orders_per_day = from->orders_per_day;
    account->ca = accounts_find_ca(table, from->ca);
    if (!token_key_type_parse(aw_config_key_names[from->key], &account->key_type))
        return aw_fail(AW_CODE_INTERNAL, "key type %d has no counterpart in the token", from->key);
    return account_file_read(table->state, account);
}

static aw_result
load_table(accounts *table, const struct aw_config *config)
{
    AW_TRY(load_cas(table, config));
    table->items = calloc(config->account_count + 1, sizeof(*table->items));
    if (table->items == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < config->account_count; i++) {
        table->count++;
        AW_TRY(load_account(table, &config->accounts[i], &table->items[i]));
    }
    qsort(table->items, table->count, sizeof(*table->items), compare_accounts);
    return AW_OK;
}

/* A waiting writer goes first: an administrator's change must not starve under load. */
static void
init_locks(accounts *table)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&table->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&table->key_lock, NULL);
}

aw_result
accounts_open(const struct aw_config *config, token *t, accounts **out)
{
    AW_CLEANUP(accounts_free) accounts *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return aw_fail_memory();
    init_locks(table);
    table->token = t;
    table->state = strdup(config->paths.state);
    if (table->state == NULL)
        return aw_fail_memory();
    AW_TRY(load_table(table, config));
    *out = AW_MOVE(table);
    return AW_OK;
}

/* Keys that were looked up already stay, where the account's key is still the same one. */
static void
carry_keys(accounts *from, accounts *to)
{
    for (size_t i = 0; i < to->count; i++) {
        struct account *old = accounts_find(from, to->items[i].name);

        if (old != NULL && old->thumbprint != NULL && to->items[i].thumbprint != NULL &&
            strcmp(old->thumbprint, to->items[i].thumbprint) == 0)
            to->items[i].key = AW_MOVE(old->key);
    }
}

aw_result
accounts_reload(accounts *table, const struct aw_config *config)
{
    accounts fresh = {.state = table->state, .token = table->token};

    accounts_write(table);
    aw_result r = load_table(&fresh, config);
    if (!aw_ok(r)) {
        clear_table(&fresh);
        accounts_unlock(table);
        return r;
    }
    carry_keys(table, &fresh);
    clear_table(table);
    table->cas = fresh.cas;
    table->ca_count = fresh.ca_count;
    table->items = fresh.items;
    table->count = fresh.count;
    accounts_unlock(table);
    return AW_OK;
}

static aw_result
find_key(accounts *table, struct account *account)
{
    AW_CLEANUP(aw_free) char *label = NULL;
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    AW_TRY(accounts_key_label(account->name, &label));
    AW_TRY(aw_context(token_key_find(table->token, label, &key), "account %s", account->name));
    if (account->thumbprint != NULL && strcmp(account->thumbprint, token_key_thumbprint(key)) != 0)
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "the token's key \"%s\" is not the one that account %s was made with",
                           label, account->name),
            "its thumbprint is %s, expected %s; restore the token or make a new account",
            token_key_thumbprint(key), account->thumbprint);
    account->key = AW_MOVE(key);
    return AW_OK;
}

aw_result
accounts_key(accounts *table, struct account *account, token_key **out)
{
    aw_result r = AW_OK;

    pthread_mutex_lock(&table->key_lock);
    if (account->key == NULL)
        r = find_key(table, account);
    *out = account->key;
    pthread_mutex_unlock(&table->key_lock);
    return r;
}

bool
accounts_holds_key(accounts *table, const uint8_t digest[32])
{
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].has_key_digest &&
            memcmp(table->items[i].key_digest, digest, sizeof(table->items[i].key_digest)) == 0)
            return true;
    return false;
}

aw_result
accounts_save(accounts *table, const struct account *account)
{
    return account_file_write(table->state, account);
}

aw_result
accounts_save_ca(accounts *table, const struct ca *ca)
{
    return ca_file_write(table->state, ca);
}

aw_result
accounts_key_label(const char *account, char **out)
{
    return aw_format(out, "acmeward-account:%s", account);
}

/* A key identifier may be longer than a label: then its digest stands for it. */
aw_result
accounts_eab_label(const char *ca, const char *kid, char **out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char text[AW_B64URL_LENGTH(EVP_MAX_MD_SIZE) + 1];
    unsigned size = 0;

    AW_TRY(aw_format(out, "acmeward-eab:%s:%s", ca, kid));
    if (strlen(*out) <= TOKEN_LABEL_MAX)
        return AW_OK;
    aw_free(out);
    if (EVP_Digest(kid, strlen(kid), digest, &size, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("can't hash an EAB key identifier");
    aw_b64url_encode(digest, size, text);
    return aw_format(out, "acmeward-eab:%s:sha256:%s", ca, text);
}
