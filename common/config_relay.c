/* The section "relays" of signer.yaml: who may hand in what inner clients signed, and for which
 * URLs they signed it. The form of the URLs is the signer's to check (signer/files.c). */
#include <stdlib.h>
#include <string.h>

#include "common/config_parts.h"

#define FIELD(member) offsetof(struct aw_config_relay, member)

static const struct aw_yaml_field relay_fields[] = {
    {.name = "user", .kind = AW_YAML_STRING, .offset = FIELD(who.user)},
    {.name = "group", .kind = AW_YAML_STRING, .offset = FIELD(who.group)},
    {.name = "url",
        .kind = AW_YAML_STRING,
        .offset = FIELD(url),
        .required = true,
        .place = FIELD(place)},
    {.name = NULL},
};

static void
check_url(const struct aw_config_relay *relay, struct aw_faults *faults)
{
    const char *url = relay->url;

    if (url == NULL)
        return;
    if (strncmp(url, "https://", 8) != 0)
        aw_yaml_fault(relay->place, faults,
            "url: found \"%.200s\", expected an https:// URL (RFC 8555 6.1)", url);
    else if (strlen(url) > AW_CONFIG_RELAY_URL_MAX)
        aw_yaml_fault(relay->place, faults, "url: found %zu octets, expected at most %d",
            strlen(url), AW_CONFIG_RELAY_URL_MAX);
    else if (url[strlen(url) - 1] == '/')
        aw_yaml_fault(relay->place, faults,
            "url: found \"%.200s\", expected no slash at the end: \"/directory\" is put after it",
            url);
}

static bool
same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* One user, one URL: which one a connection of his stands for must not depend on anything else. */
static void
check_once(
    const struct aw_config *config, size_t count, aw_yaml_node node, struct aw_faults *faults)
{
    const struct aw_config_principal *new = &config->relays[count].who;

    for (size_t i = 0; i < count; i++)
        if (same(config->relays[i].who.user, new->user) ||
            same(config->relays[i].who.group, new->group))
            aw_yaml_fault(node, faults, "the %s \"%.64s\" is a relay twice",
                new->user != NULL ? "user" : "group", new->user != NULL ? new->user : new->group);
}

void
aw_config_read_relays(
    const struct aw_yaml_items *items, struct aw_config *config, struct aw_faults *faults)
{
    for (size_t i = 0; i < items->count; i++) {
        struct aw_config_relay *relay = &config->relays[i];

        aw_yaml_read_mapping(items->items[i], relay_fields, relay, faults);
        if ((relay->who.user == NULL) == (relay->who.group == NULL))
            aw_yaml_fault(items->items[i], faults, "a relay is exactly one of user and group");
        check_url(relay, faults);
        check_once(config, i, items->items[i], faults);
    }
}

static bool
is_named(const struct aw_config_role *role, const struct aw_config_principal *who)
{
    for (size_t i = 0; i < role->count; i++)
        if (same(role->items[i].user, who->user) || same(role->items[i].group, who->group))
            return true;
    return false;
}

void
aw_config_warn_relays(const struct aw_config *config, struct aw_faults *warnings)
{
    for (size_t i = 0; i < config->relay_count; i++) {
        const struct aw_config_relay *relay = &config->relays[i];
        const struct aw_config_principal *who = &relay->who;

        if (is_named(&config->officers, who) || is_named(&config->operators, who))
            aw_faults_add(warnings, config->file, relay->place.line, relay->place.column,
                "relays: the %s \"%.64s\" is an administrator too: who takes over a relay, which "
                "faces the network, would be one; give the relay a user of its own",
                who->user != NULL ? "user" : "group", who->user != NULL ? who->user : who->group);
    }
}

void
aw_config_free_relays(struct aw_config *config)
{
    for (size_t i = 0; config->relays != NULL && i < config->relay_count; i++)
        aw_yaml_release(relay_fields, &config->relays[i]);
    free(config->relays);
}
