#include "admin/report_clients.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64url.h"
#include "common/io.h"

enum { THUMBPRINT_SIZE = 32 };

void
report_clients_free(struct report_clients *clients)
{
    for (size_t i = 0; i < clients->app_eab_count; i++) {
        free(clients->app_eabs[i].kid);
        free(clients->app_eabs[i].application);
        free(clients->app_eabs[i].made_by);
    }
    for (size_t i = 0; i < clients->client_count; i++) {
        free(clients->clients[i].application);
        free(clients->clients[i].kid);
        free(clients->clients[i].jwk);
    }
    free(clients->app_eabs);
    free(clients->clients);
    *clients = (struct report_clients){.app_eabs = NULL};
}

static aw_result
keep(const char *text, char **out)
{
    *out = strdup(text == NULL ? "" : text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static bool
is(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

/* App-EABs. */

static struct report_app_eab *
find_app_eab(struct report_clients *clients, const char *kid)
{
    for (size_t i = clients->app_eab_count; i > 0; i--)
        if (is(kid, clients->app_eabs[i - 1].kid))
            return &clients->app_eabs[i - 1];
    return NULL;
}

static aw_result
take_create(struct report_clients *clients, const struct audit_record *record)
{
    const struct audit_entry *entry = &record->entry;

    AW_TRY(aw_array_grow(&clients->app_eabs, clients->app_eab_count, &clients->app_eab_room,
        sizeof(*clients->app_eabs)));
    struct report_app_eab *added = &clients->app_eabs[clients->app_eab_count++];
    *added = (struct report_app_eab){
        .created = entry->time, .expires = entry->not_after, .once = entry->count == 1};
    AW_TRY(keep(entry->kid, &added->kid));
    AW_TRY(keep(entry->application, &added->application));
    return keep(entry->user, &added->made_by);
}

static aw_result
take_revoke(struct report_clients *clients, const struct audit_record *record)
{
    struct report_app_eab *found = find_app_eab(clients, record->entry.kid);

    if (found != NULL && found->revoked == 0)
        found->revoked = record->entry.time;
    return AW_OK;
}

/* With the relay key all that was derived of it ends. */
static aw_result
take_destroy(struct report_clients *clients, const struct audit_record *record)
{
    for (size_t i = 0; i < clients->app_eab_count; i++)
        if (clients->app_eabs[i].revoked == 0)
            clients->app_eabs[i].revoked = record->entry.time;
    return AW_OK;
}

const char *
report_app_eab_state(const struct report_app_eab *app_eab, int64_t now)
{
    if (app_eab->revoked != 0)
        return "revoked";
    if (app_eab->expires != 0 && app_eab->expires <= now)
        return "expired";
    return app_eab->once && app_eab->accounts > 0 ? "used" : "usable";
}

/* Accounts. */

static int
by_id(const void *key, const void *item)
{
    int64_t id = *(const int64_t *)key, other = ((const struct report_client *)item)->id;

    return (id > other) - (id < other);
}

/* They stand in the order of their records, which are their numbers. */
static struct report_client *
find_client(struct report_clients *clients, int64_t id)
{
    if (clients->client_count == 0)
        return NULL;
    return bsearch(&id, clients->clients, clients->client_count, sizeof(*clients->clients), by_id);
}

static aw_result
take_account(struct report_clients *clients, const struct audit_record *record)
{
    const struct audit_entry *entry = &record->entry;
    struct report_app_eab *app_eab = find_app_eab(clients, entry->kid);

    AW_TRY(aw_array_grow(&clients->clients, clients->client_count, &clients->client_room,
        sizeof(*clients->clients)));
    struct report_client *added = &clients->clients[clients->client_count++];
    *added = (struct report_client){.id = record->seq, .created = entry->time};
    if (app_eab != NULL)
        app_eab->accounts++;
    AW_TRY(keep(entry->application, &added->application));
    AW_TRY(keep(entry->kid, &added->kid));
    return keep(entry->jwk, &added->jwk);
}

static aw_result
take_use(struct report_clients *clients, const struct audit_record *record)
{
    const struct audit_entry *entry = &record->entry;
    struct report_client *client = find_client(clients, entry->account_id);

    if (client == NULL)
        return AW_OK;
    if (is(entry->operation, "inner-deactivate"))
        client->ended = entry->time;
    else if (entry->kind == AUDIT_DECISION)
        client->last_used = entry->time;
    if (!is(entry->operation, "inner-key-change"))
        return AW_OK;
    free(client->jwk);
    return keep(entry->jwk, &client->jwk);
}

aw_result
report_client_thumbprint(const struct report_client *client, char **out)
{
    uint8_t digest[THUMBPRINT_SIZE];

    if (EVP_Q_digest(NULL, "SHA256", NULL, client->jwk, strlen(client->jwk), digest, NULL) != 1)
        return aw_fail_openssl("SHA-256");
    return aw_b64url_encode_new(digest, sizeof(digest), out);
}

aw_result
report_clients_take(struct report_clients *clients, const struct audit_record *record)
{
    static const struct {
        enum audit_kind kind;
        const char *operation;
        aw_result (*take)(struct report_clients *clients, const struct audit_record *record);
    } effects[] = {
        {AUDIT_ADMIN, "app-eab-create", take_create},
        {AUDIT_ADMIN, "app-eab-revoke", take_revoke},
        {AUDIT_ADMIN, "relay-key-destroy", take_destroy},
        {AUDIT_DECISION, "inner-account", take_account},
    };
    const struct audit_entry *entry = &record->entry;

    for (size_t i = 0; i < AW_COUNT(effects); i++)
        if (effects[i].kind == entry->kind && is(entry->operation, effects[i].operation))
            return effects[i].take(clients, record);
    return entry->account_id == 0 ? AW_OK : take_use(clients, record);
}
