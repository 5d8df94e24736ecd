/* doctor: relays, the key that their clients' app-eabs are derived of, and app-eabs. The relay's
 * own certificate acmeward-relay --check-config looks at, where it runs. */
#include <stdio.h>
#include <string.h>

#include "admin/doctor.h"
#include "policy/system.h"

enum { DAY = 24 * 3600, WARN_DAYS = 14, TEXT_SIZE = 400 };

static void
find(struct report_page *page, const char *about, const char *finding)
{
    report_text(page, about);
    report_text(page, finding);
}

/* The application that is asked for; NULL: any that may be used through a relay. */
struct search {
    const char *name;
    bool found;
};

static bool
look(const struct policy_application *application, void *context)
{
    struct search *search = context;

    search->found = search->found ||
                    (application->relay.allowed &&
                        (search->name == NULL || strcmp(application->name, search->name) == 0));
    return !search->found;
}

static bool
is_relayed(const struct p4 *p4, const char *name)
{
    struct search search = {.name = name};

    policy_visit_all(p4->policy.snapshot, look, &search);
    return search.found;
}

static aw_result
find_users(const struct p4 *p4, struct report_page *page)
{
    const struct aw_config *config = p4->policy.config;

    for (size_t i = 0; i < config->relay_count; i++) {
        const struct aw_config_principal *who = &config->relays[i].who;
        bool found = false;
        uid_t uid;
        gid_t gid;

        if (who->user != NULL)
            AW_TRY(policy_system_resolver.user(who->user, &found, &uid, NULL));
        else
            AW_TRY(policy_system_resolver.group(who->group, &found, &gid, NULL));
        if (!found)
            find(page, config->relays[i].url,
                "its user or group does not exist here: nothing that it hands in is taken");
    }
    return AW_OK;
}

static void
find_app_eab(const struct p4 *p4, const cJSON *item, struct report_page *page)
{
    const char *application = admin_text(item, "application");
    int64_t expires = admin_number(item, "expires");
    char about[TEXT_SIZE], finding[TEXT_SIZE];

    if (strcmp(admin_text(item, "state"), "usable") != 0)
        return;
    snprintf(about, sizeof(about), "app-eab %s", admin_text(item, "kid"));
    if (!is_relayed(p4, application)) {
        snprintf(finding, sizeof(finding),
            "%s may not be used through a relay (any more): acmeward-admin app-eab revoke",
            application);
        find(page, about, finding);
    } else if (expires != 0 && expires - p4->now < (int64_t)WARN_DAYS * DAY) {
        snprintf(finding, sizeof(finding),
            "of %s, expires in %lld days: %lld accounts were made with it, none is from then on",
            application, (long long)((expires - p4->now) / DAY), admin_number(item, "used"));
        find(page, about, finding);
    }
}

static aw_result
find_app_eabs(const struct admin_options *options, const struct p4 *p4, struct report_page *page)
{
    int64_t after = 0;
    bool more = true;

    while (more) {
        AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
        struct aw_json_writer w = {0};
        const cJSON *item = NULL;

        aw_json_begin_object(&w);
        aw_json_pair_integer(&w, "after", after);
        aw_json_end_object(&w);
        AW_TRY(admin_call(options, "ListAppEabs", &w, &reply));
        more =
            admin_true(reply, "more") && cJSON_GetArraySize(aw_json_member(reply, "app_eabs")) > 0;
        cJSON_ArrayForEach(item, aw_json_member(reply, "app_eabs"))
        {
            after = admin_number(item, "record");
            find_app_eab(p4, item, page);
        }
    }
    return AW_OK;
}

aw_result
doctor_find_relays(
    const struct admin_options *options, const struct p4 *p4, struct report_page *page)
{
    AW_CLEANUP(aw_json_free) cJSON *key = NULL;

    if (p4->policy.config->relay_count == 0) {
        if (is_relayed(p4, NULL))
            find(page, "relays",
                "policies have the section relay, and signer.yaml no relays: nobody gets in so");
        return AW_OK;
    }
    AW_TRY(find_users(p4, page));
    if (!is_relayed(p4, NULL))
        find(page, "relays", "no policy has the section relay: whatever they hand in is refused");
    AW_TRY(admin_call_plain(options, "GetRelayKey", &key));
    if (!admin_true(key, "present"))
        find(page, "relay key",
            "there is none, so no client gets an account (acmeward-admin relay-key create)");
    return find_app_eabs(options, p4, page);
}
