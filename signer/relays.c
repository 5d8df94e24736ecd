#include "signer/relays.h"

#include <stdlib.h>
#include <string.h>

static const char *
name_of(const struct aw_config_principal *who)
{
    return who->user != NULL ? who->user : who->group;
}

/* A user has names, and may have two. */
static bool
is_there(const struct relays *relays, const struct relay_entry *new)
{
    for (size_t i = 0; i < relays->count; i++)
        if (relays->items[i].is_group == new->is_group && relays->items[i].id == new->id)
            return true;
    return false;
}

static aw_result
resolve(const struct aw_config *config, bool groups, const struct policy_resolver *resolver,
    struct aw_faults *warnings, struct relays *out)
{
    for (size_t i = 0; i < config->relay_count; i++) {
        const struct aw_config_relay *relay = &config->relays[i];
        struct relay_entry *entry = &out->items[out->count];
        const char *what = groups ? "group" : "user";
        bool found = false;

        if ((relay->who.user == NULL) != groups)
            continue;
        entry->is_group = groups;
        memcpy(entry->url, relay->url, strlen(relay->url) + 1);
        AW_TRY(aw_context(peer_look_up(&relay->who, resolver, &found, &entry->id), "relays"));
        if (!found)
            aw_faults_add(warnings, config->file, relay->place.line, relay->place.column,
                "relays: the %s \"%.64s\" does not exist or is nobody, and is no relay", what,
                name_of(&relay->who));
        else if (is_there(out, entry))
            aw_faults_add(warnings, config->file, relay->place.line, relay->place.column,
                "relays: the %s \"%.64s\" is a relay already under another name; this one is left "
                "out",
                what, name_of(&relay->who));
        else
            out->count++;
    }
    return AW_OK;
}

aw_result
relays_resolve(const struct aw_config *config, const struct policy_resolver *resolver,
    struct aw_faults *warnings, struct relays *out)
{
    *out = (struct relays){.items = calloc(config->relay_count + 1, sizeof(*out->items))};
    if (out->items == NULL)
        return aw_fail_memory();
    AW_TRY(resolve(config, false, resolver, warnings, out));
    return resolve(config, true, resolver, warnings, out);
}

void
relays_free(struct relays *relays)
{
    free(relays->items);
    *relays = (struct relays){0};
}

const struct relay_entry *
relays_find(const struct relays *relays, const struct peer *peer)
{
    for (size_t i = 0; i < relays->count; i++)
        if (peer_matches(peer, relays->items[i].is_group, relays->items[i].id))
            return &relays->items[i];
    return NULL;
}

void
relays_grounds_of(const struct relays *relays, const struct peer *peer, struct grounds *out)
{
    const struct relay_entry *entry = relays_find(relays, peer);

    if (entry != NULL) /* no room: the peer has other grounds, and comes in by those */
        (void)grounds_add(out, entry->is_group ? &entry->id : NULL, NULL);
}
