#include "signer/accounts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"

/* Locks in the order in which they are taken. */
struct accounts {
    pthread_mutex_t change_lock; /* one change or reload at a time */
    pthread_rwlock_t lock;       /* written for the moment of a swap only */
    pthread_mutex_t key_lock;    /* guards `key` of the accounts; never held over a token call */
    token *token;
    char *state; /* the state folder */
    struct ca *cas;
    size_t ca_count;
    struct account *items; /* sorted by name */
    size_t count;
};

void
ca_draft_free(struct ca *draft)
{
    for (size_t i = 0; draft->eabs != NULL && i < draft->eab_count; i++) {
        free(draft->eabs[i].kid);
        free(draft->eabs[i].label);
    }
    free(draft->eabs);
    ca_pin_free(&draft->pin);
    memset(draft, 0, sizeof(*draft));
}

static void
ca_free(struct ca *ca)
{
    free(ca->name);
    free(ca->directory);
    ca_draft_free(ca);
}

void
account_draft_free(struct account *draft)
{
    token_key_free(&draft->key);
    free(draft->thumbprint);
    free(draft->url);
    free(draft->orders);
    free(draft->attempted_kid);
    free(draft->contact);
    free(draft->former_url);
    free(draft->former_thumbprint);
    free(draft->next.thumbprint);
    free(draft->old.thumbprint);
    memset(draft, 0, sizeof(*draft));
}

static void
account_free(struct account *account)
{
    free(account->name);
    free(account->ceiling);
    account_draft_free(account);
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
    pthread_mutex_destroy(&(*table)->change_lock);
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
accounts_read_end(accounts *table)
{
    pthread_rwlock_unlock(&table->lock);
}

void
accounts_change(accounts *table)
{
    pthread_mutex_lock(&table->change_lock);
}

void
accounts_change_end(accounts *table)
{
    pthread_mutex_unlock(&table->change_lock);
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

static int
compare_name(const void *name, const void *account)
{
    return strcmp(name, ((const struct account *)account)->name);
}

struct account *
accounts_find(accounts *table, const char *name)
{
    if (table->count == 0)
        return NULL;
    return bsearch(name, table->items, table->count, sizeof(*table->items), compare_name);
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

/* A waiting writer goes first: a swap must not starve under load. */
static void
init_locks(accounts *table)
{
    pthread_rwlockattr_t attributes;

    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&table->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&table->key_lock, NULL);
    pthread_mutex_init(&table->change_lock, NULL);
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

static void
swap_tables(accounts *a, accounts *b)
{
    accounts old = *a;

    a->cas = b->cas;
    a->ca_count = b->ca_count;
    a->items = b->items;
    a->count = b->count;
    b->cas = old.cas;
    b->ca_count = old.ca_count;
    b->items = old.items;
    b->count = old.count;
}

aw_result
accounts_reload(accounts *table, const struct aw_config *config)
{
    accounts fresh = {.state = table->state, .token = table->token};

    accounts_change(table);
    aw_result r = load_table(&fresh, config);
    if (aw_ok(r)) {
        pthread_rwlock_wrlock(&table->lock);
        carry_keys(table, &fresh);
        swap_tables(table, &fresh);
        pthread_rwlock_unlock(&table->lock);
    }
    clear_table(&fresh); /* after the swap: what nobody uses any more */
    accounts_change_end(table);
    return r;
}

static aw_result
find_key(accounts *table, const struct account *account, const struct account_key *which,
    token_key **out)
{
    AW_CLEANUP(aw_free) char *label = NULL;
    AW_CLEANUP(token_key_free) token_key *key = NULL;

    AW_TRY(accounts_key_label(account->name, which->number, &label));
    AW_TRY(aw_context(token_key_find(table->token, label, &key), "account %s", account->name));
    if (which->thumbprint != NULL && strcmp(which->thumbprint, token_key_thumbprint(key)) != 0)
        return aw_hint(aw_fail(AW_CODE_MISMATCH,
                           "the token's key \"%s\" is not the one that account %s was made with",
                           label, account->name),
            "its thumbprint is %s, expected %s; restore the token or make a new account",
            token_key_thumbprint(key), which->thumbprint);
    *out = AW_MOVE(key);
    return AW_OK;
}

token_key *
accounts_known_key(accounts *table, const struct account *account)
{
    pthread_mutex_lock(&table->key_lock);
    token_key *key = account->key;
    pthread_mutex_unlock(&table->key_lock);
    return key;
}

/* The search can be slow, and for a key that is missing it is made again and again: it holds up
 * nobody else. Of several that find the key at once, the first gives it to the account. */
aw_result
accounts_key(accounts *table, struct account *account, token_key **out)
{
    AW_CLEANUP(token_key_free) token_key *found = NULL;

    *out = accounts_known_key(table, account);
    if (*out != NULL)
        return AW_OK;
    const struct account_key present = {account->key_number, account->thumbprint};
    AW_TRY(find_key(table, account, &present, &found));
    pthread_mutex_lock(&table->key_lock);
    if (account->key == NULL)
        account->key = AW_MOVE(found);
    *out = account->key;
    pthread_mutex_unlock(&table->key_lock);
    return AW_OK;
}

aw_result
accounts_other_key(accounts *table, const struct account *account, const struct account_key *which,
    token_key **out)
{
    if (which->thumbprint == NULL)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "account %s has no other key: no key change is under way",
                account->name),
            "acmeward-admin account rotate %s begins one", account->name);
    return find_key(table, account, which, out);
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

/* Drafts. */

static aw_result
copy_text(char **slot, const char *text)
{
    *slot = text == NULL ? NULL : strdup(text);
    return text != NULL && *slot == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
account_draft(accounts *table, const struct account *account, struct account *draft)
{
    pthread_mutex_lock(&table->key_lock);
    *draft = *account;
    pthread_mutex_unlock(&table->key_lock);
    draft->key = NULL;
    draft->thumbprint = draft->url = draft->orders = draft->attempted_kid = NULL;
    draft->next.thumbprint = draft->old.thumbprint = NULL;
    draft->contact = draft->former_url = draft->former_thumbprint = NULL;
    AW_TRY(copy_text(&draft->contact, account->contact));
    AW_TRY(copy_text(&draft->former_url, account->former_url));
    AW_TRY(copy_text(&draft->former_thumbprint, account->former_thumbprint));
    AW_TRY(copy_text(&draft->next.thumbprint, account->next.thumbprint));
    AW_TRY(copy_text(&draft->old.thumbprint, account->old.thumbprint));
    AW_TRY(copy_text(&draft->thumbprint, account->thumbprint));
    AW_TRY(copy_text(&draft->url, account->url));
    AW_TRY(copy_text(&draft->orders, account->orders));
    return copy_text(&draft->attempted_kid, account->attempted_kid);
}

static aw_result
copy_eabs(const struct ca *ca, struct ca *draft)
{
    draft->eabs = calloc(ACCOUNTS_EABS_MAX, sizeof(*draft->eabs));
    if (draft->eabs == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < ca->eab_count; i++) {
        struct ca_eab *eab = &draft->eabs[draft->eab_count++];

        eab->algorithm = ca->eabs[i].algorithm;
        AW_TRY(copy_text(&eab->kid, ca->eabs[i].kid));
        AW_TRY(copy_text(&eab->label, ca->eabs[i].label));
    }
    return AW_OK;
}

aw_result
ca_draft(const struct ca *ca, struct ca *draft)
{
    *draft = (struct ca){.name = ca->name, .directory = ca->directory, .pinned_at = ca->pinned_at};
    AW_TRY(copy_eabs(ca, draft));
    return ca_pin_copy(&ca->pin, &draft->pin);
}

aw_result
accounts_commit(accounts *table, struct account *account, struct account *draft)
{
    AW_TRY(account_file_write(table->state, draft));
    pthread_rwlock_wrlock(&table->lock);
    struct account old = *account;
    /* A request may have looked it up meanwhile; a draft without a key has given it up. */
    if (draft->key == NULL && draft->thumbprint != NULL)
        draft->key = AW_MOVE(old.key);
    *account = *draft;
    *draft = old;
    pthread_rwlock_unlock(&table->lock);
    return AW_OK;
}

aw_result
accounts_commit_ca(accounts *table, struct ca *ca, struct ca *draft)
{
    AW_TRY(ca_file_write(table->state, draft));
    pthread_rwlock_wrlock(&table->lock);
    struct ca old = *ca;
    *ca = *draft;
    *draft = old;
    pthread_rwlock_unlock(&table->lock);
    return AW_OK;
}

aw_result
accounts_key_label(const char *account, int64_t number, char **out)
{
    if (number == 0)
        return aw_format(out, "acmeward-account:%s", account);
    return aw_format(out, "acmeward-account:%s:%lld", account, (long long)number);
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
