/* acmeward whoami: what this user may ask the signer for. */
#include <time.h>

#include "client/certonly.h"
#include "client/command.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

static aw_result
tell_list(struct output *out, const cJSON *object, const char *member, const char *label)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(whoami_list_text(object, member, &text));
    if (text[0] != '\0')
        output_line(out, "  %-13s %s", label, text);
    return AW_OK;
}

static aw_result
tell_text(struct output *out, const char *label, const char *text)
{
    AW_CLEANUP(aw_free) char *safe = output_safe(text == NULL ? "-" : text);

    if (safe == NULL)
        return aw_fail_memory();
    output_line(out, "  %-13s %s", label, safe);
    return AW_OK;
}

static void
tell_date(struct output *out, const char *label, int64_t when)
{
    int64_t left = when - (int64_t)time(NULL);
    char date[32];

    if (when == 0)
        return;
    aw_time_text(when, date);
    if (left < 0)
        output_line(out, "  %-13s %s, which has passed", label, date);
    else
        output_line(out, "  %-13s %s, in %lld days", label, date, (long long)(left / DAY));
}

static aw_result
tell_names(struct output *out, const struct whoami_application *application)
{
    const cJSON *names = aw_json_member(application->json, "names");

    AW_TRY(tell_list(out, names, "exact", "names"));
    AW_TRY(tell_list(out, names, "subdomains_of", "all below"));
    AW_TRY(tell_list(out, names, "wildcards_of", "wildcards of"));
    AW_TRY(tell_list(out, names, "addresses", "addresses"));
    return tell_list(out, names, "deny", "never");
}

static aw_result
tell_application(struct output *out, const struct whoami_application *a)
{
    AW_TRY(tell_text(out, "application", a->name));
    AW_TRY(tell_text(out, "owner", a->owner));
    AW_TRY(tell_text(out, "account", a->account));
    AW_TRY(tell_text(out, "CA", a->ca));
    AW_TRY(tell_text(out, "directory", a->directory));
    AW_TRY(tell_text(out, "state", a->state));
    AW_TRY(tell_names(out, a));
    AW_TRY(tell_list(out, a->json, "operations", "operations"));
    AW_TRY(tell_list(out, a->json, "keys", "key types"));
    AW_TRY(tell_list(out, a->json, "profiles", "profiles"));
    output_line(out, "  %-13s %lld of %lld today; at most %lld names a certificate", "orders",
        (long long)a->orders_today, (long long)a->orders_per_day,
        (long long)a->names_per_certificate);
    if (whoami_has(a, "operations", "revoke"))
        output_line(out, "  %-13s %lld of %lld today", "revocations",
            (long long)a->revocations_today, (long long)a->revocations_per_day);
    tell_date(out, "expires", a->expires);
    tell_date(out, "warns until", a->warn_until);
    return AW_OK;
}

static aw_result
tell(struct output *out, const struct whoami *whoami, const char *wanted)
{
    const struct whoami_application *one = NULL;
    AW_CLEANUP(aw_free) char *user = output_safe(whoami->user);

    if (wanted != NULL || whoami->count == 0)
        AW_TRY(whoami_find(whoami, wanted, &one));
    output_line(out, "user %s, uid %lld%s", user == NULL ? "" : user, (long long)whoami->uid,
        whoami->frozen ? "; signing was stopped by an administrator" : "");
    for (size_t i = 0; i < whoami->count; i++) {
        if (one != NULL && one != &whoami->applications[i])
            continue;
        output_line(out, "%s", "");
        AW_TRY(tell_application(out, &whoami->applications[i]));
    }
    return AW_OK;
}

/* The reply as it came, to the letter: scripts that know the interface know this. */
static aw_result
tell_json(struct output *out, const cJSON *reply)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    whoami_write(&w, reply);
    return output_json(out, &w);
}

static aw_result
run(const struct client_config *config, struct output *out, signer_link *link)
{
    AW_CLEANUP(whoami_free) struct whoami whoami = {0};

    AW_TRY(whoami_ask(link, &whoami));
    if (out->json)
        return tell_json(out, whoami.reply);
    return tell(out, &whoami, config->application);
}

aw_result
cmd_whoami(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;

    AW_TRY(certonly_config(options, out, &config));
    const struct signer_place place = client_config_signer(config);
    AW_TRY(signer_link_open(&place, &link));
    aw_result r = run(config, out, link);
    if (!aw_ok(r))
        output_keep_refusal(out, signer_link_refusal(link));
    return r;
}
