/* The sections of the report. */
#include <stdlib.h>
#include <string.h>

#include "admin/report.h"
#include "common/io.h"

enum { DAY = 24 * 3600, PRINCIPALS_MAX = 256 };

/* What is wanted: of whom. */
struct filling {
    const struct report_data *data;
    const char *owner; /* NULL: all */
    struct report_page *page;
};

static const struct report_column about_columns[] = {
    {"made_at", "made at", REPORT_TIME},
    {"since", "period from", REPORT_TIME},
    {"until", "period to", REPORT_TIME},
    {"owner", "for", REPORT_TEXT},
    {"application", "application", REPORT_TEXT},
    {"policy_digest", "policy", REPORT_TEXT},
    {"records", "records read", REPORT_NUMBER},
    {"records_from", "records from", REPORT_TIME},
    {"records_to", "records to", REPORT_TIME},
    {"records_absent", "NOT AT HAND", REPORT_NUMBER},
};

static const struct report_section about_section = {.key = "report",
    .title = "About this report",
    .columns = about_columns,
    .column_count = AW_COUNT(about_columns),
    .records = true};

static const struct report_column grant_columns[] = {
    {"application", "application", REPORT_TEXT},
    {"state", "state", REPORT_TEXT},
    {"owner", "owner", REPORT_TEXT},
    {"account", "account", REPORT_TEXT},
    {"principals", "who", REPORT_LIST},
    {"relay", "through a relay", REPORT_TEXT},
    {"operations", "operations", REPORT_LIST},
    {"exact", "exact", REPORT_LIST},
    {"subdomains_of", "subdomains_of", REPORT_LIST},
    {"wildcards_of", "wildcards_of", REPORT_LIST},
    {"addresses", "addresses", REPORT_LIST},
    {"deny", "deny", REPORT_LIST},
    {"keys", "keys", REPORT_LIST},
    {"profiles", "profiles", REPORT_LIST},
    {"orders_per_day", "orders a day", REPORT_NUMBER},
    {"orders", "orders signed", REPORT_NUMBER},
    {"last_used", "last order", REPORT_TIME},
    {"expires", "expires", REPORT_TIME},
    {"warn_until", "warn_until", REPORT_TIME},
    {"file", "file", REPORT_TEXT},
};

static const struct report_section grant_section = {.key = "grants",
    .title = "Who may issue what",
    .about = "By the policies as they are now; orders are those of the period.",
    .columns = grant_columns,
    .column_count = AW_COUNT(grant_columns),
    .records = true};

static const struct report_column certificate_columns[] = {
    {"not_after", "expires", REPORT_TIME},
    {"days", "days", REPORT_NUMBER},
    {"status", "status", REPORT_TEXT},
    {"application", "application", REPORT_TEXT},
    {"owner", "owner", REPORT_TEXT},
    {"names", "names", REPORT_LIST},
    {"issuer_checked", "issuer", REPORT_TEXT},
    {"serial", "serial", REPORT_TEXT},
    {"issuer", "issued by", REPORT_TEXT},
};

static const struct report_section certificate_section = {.key = "certificates",
    .title = "What expires when",
    .about = "Certificates that were handed back and are not over, and those that ran out in the "
             "period without one in their place.",
    .columns = certificate_columns,
    .column_count = AW_COUNT(certificate_columns)};

static const struct report_column refusal_columns[] = {
    {"rule", "rule", REPORT_TEXT},
    {"count", "times", REPORT_NUMBER},
    {"verdict", "verdict", REPORT_TEXT},
    {"application", "application", REPORT_TEXT},
    {"user", "user", REPORT_TEXT},
    {"operation", "operation", REPORT_TEXT},
    {"first", "first", REPORT_TIME},
    {"last", "last", REPORT_TIME},
    {"names", "names (last)", REPORT_LIST},
    {"why", "why", REPORT_TEXT},
};

static const struct report_section refusal_section = {.key = "refusals",
    .title = "What was refused",
    .about = "In the period, by rule and user; \"warn\" is what a roll-out let through for now.",
    .columns = refusal_columns,
    .column_count = AW_COUNT(refusal_columns),
    .records = true};

static const struct report_column unused_columns[] = {
    {"application", "application", REPORT_TEXT},
    {"owner", "owner", REPORT_TEXT},
    {"list", "list", REPORT_TEXT},
    {"entry", "entry", REPORT_TEXT},
    {"last_used", "last order", REPORT_TIME},
};

static const struct report_section unused_section = {.key = "unused",
    .title = "What is not used",
    .about = "Neither ordered in the period nor in a certificate that is not over: it could go "
             "from the policy.",
    .columns = unused_columns,
    .column_count = AW_COUNT(unused_columns)};

void
report_data_free(struct report_data *data)
{
    report_log_free(&data->log);
    report_grants_free(&data->grants);
    admin_policy_free(&data->policy);
}

static bool
concerns(const struct filling *f, const struct policy_application *a)
{
    return f->owner == NULL || (a != NULL && strcmp(a->owner, f->owner) == 0);
}

static const struct policy_application *
application_of(const struct filling *f, const char *name)
{
    const struct report_user *user = report_grants_user(&f->data->grants, name);

    return user == NULL ? NULL : user->application;
}

static void
fill_about(const struct filling *f)
{
    const struct report_data *data = f->data;
    const struct report_log *log = &data->log;

    report_begin(f->page, &about_section);
    report_time(f->page, data->period.now);
    report_time(f->page, data->period.since);
    report_time(f->page, data->period.until);
    report_text(f->page, f->owner);
    report_text(f->page, data->period.application);
    report_text(f->page, policy_digest(data->policy.snapshot));
    report_number(f->page, log->records);
    report_time(f->page, log->first_time);
    report_time(f->page, log->last_time);
    if (log->absent == 0)
        report_text(f->page, NULL);
    else
        report_number(f->page, log->absent);
}

/* Grants. */

static void
put_state(struct report_page *page, const struct policy_application *a, int64_t now)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    if (a->expires != 0 && a->expires <= now)
        report_text(page, "EXPIRED: everything is refused");
    else if (!a->inert)
        report_text(page, a->warn_until > now ? "in roll-out" : "in force");
    else if (aw_ok(aw_format(&text, "INERT: there is no %s", a->missing)))
        report_text(page, text);
    else
        page->failed = true;
}

/* One a line in the application. */
static void
put_principals(struct report_page *page, const char *principals)
{
    size_t length = strlen(principals);
    AW_CLEANUP(aw_free)
    char *text =
        strndup(principals, length > 0 && principals[length - 1] == '\n' ? length - 1 : length);

    page->failed |= text == NULL;
    report_text(page, text);
}

static void
put_relay(struct report_page *page, const struct policy_relay *relay)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    page->failed |= !aw_ok(policy_relay_text(relay, &text));
    report_text(page, text);
}

static void
put_rights(struct report_page *page, const struct policy_application *a)
{
    const char *operations[2];
    size_t count = 0;

    if (a->can_order)
        operations[count++] = policy_operation_name(POLICY_ORDER);
    if (a->can_revoke)
        operations[count++] = policy_operation_name(POLICY_REVOKE);
    report_list(page, operations, count);
}

static void
put_keys(struct report_page *page, const struct policy_application *a)
{
    const char *keys[POLICY_KEY_COUNT];
    size_t count = 0;

    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if ((a->keys >> i & 1) != 0)
            keys[count++] = policy_key_name((enum policy_key)i);
    report_list(page, keys, count);
}

static void
fill_grant(const struct filling *f, const struct report_user *user)
{
    const struct policy_application *a = user->application;
    struct report_page *page = f->page;

    report_text(page, a->name);
    put_state(page, a, f->data->period.now);
    report_text(page, a->owner);
    report_text(page, a->account);
    put_principals(page, a->principals);
    put_relay(page, &a->relay);
    put_rights(page, a);
    report_list(page, a->exact, a->exact_count);
    report_list(page, a->subdomains_of, a->subdomains_count);
    report_list(page, a->wildcards_of, a->wildcards_count);
    report_list(page, a->addresses, a->addresses_count);
    report_list(page, a->deny, a->deny_count);
    put_keys(page, a);
    report_list(page, a->profiles, a->profiles_count);
    report_number(page, a->orders_per_day);
    report_number(page, user->orders);
    report_time(page, user->last_used);
    report_time(page, a->expires);
    report_time(page, a->warn_until);
    report_text(page, a->file);
}

static void
fill_grants(const struct filling *f)
{
    const struct report_grants *grants = &f->data->grants;

    report_begin(f->page, &grant_section);
    for (size_t i = 0; i < grants->user_count; i++)
        if (concerns(f, grants->users[i].application))
            fill_grant(f, &grants->users[i]);
}

/* Certificates. */

static const char *
status_of(const struct report_certificate *c, int64_t now)
{
    if (c->revoked)
        return "revoked";
    if (c->not_after <= now)
        return "EXPIRED";
    return c->replaced ? "replaced" : "current";
}

static void
fill_certificate(
    const struct filling *f, const struct report_certificate *c, const struct policy_application *a)
{
    int64_t left = c->not_after - f->data->period.now;

    report_time(f->page, c->not_after);
    report_number(f->page, left >= 0 ? left / DAY : -((DAY - 1 - left) / DAY));
    report_text(f->page, status_of(c, f->data->period.now));
    report_text(f->page, c->application);
    report_text(f->page, a == NULL ? NULL : a->owner);
    report_text(f->page, c->names);
    report_text(f->page, !c->has_verified ? "not checked"
                         : c->verified    ? "verified"
                                          : "NOT VERIFIED");
    report_text(f->page, c->serial);
    report_text(f->page, c->issuer);
}

static void
fill_certificates(const struct filling *f)
{
    const struct report_log *log = &f->data->log;
    int64_t now = f->data->period.now;

    report_begin(f->page, &certificate_section);
    for (size_t i = 0; i < log->certificate_count; i++) {
        const struct report_certificate *c = &log->certificates[i];
        const struct policy_application *a = application_of(f, c->application);

        if (concerns(f, a) && (c->not_after > now || !(c->replaced || c->revoked)))
            fill_certificate(f, c, a);
    }
}

/* Clients of relays. */

static const struct report_column client_columns[] = {
    {"account", "account", REPORT_NUMBER},
    {"application", "application", REPORT_TEXT},
    {"owner", "owner", REPORT_TEXT},
    {"thumbprint", "key (RFC 7638)", REPORT_TEXT},
    {"kid", "made with", REPORT_TEXT},
    {"created", "made", REPORT_TIME},
    {"last_used", "last use", REPORT_TIME},
};

static const struct report_section client_section = {.key = "clients",
    .title = "Clients of relays",
    .about = "Whose key can have its application's names signed, through a relay; those that are "
             "deactivated are left out.",
    .columns = client_columns,
    .column_count = AW_COUNT(client_columns),
    .records = true};

static void
fill_clients(const struct filling *f)
{
    const struct report_clients *clients = &f->data->log.clients;

    report_begin(f->page, &client_section);
    for (size_t i = 0; i < clients->client_count; i++) {
        const struct report_client *client = &clients->clients[i];
        const struct policy_application *a = application_of(f, client->application);
        AW_CLEANUP(aw_free) char *thumbprint = NULL;

        if (client->ended != 0 || !concerns(f, a))
            continue;
        f->page->failed |= !aw_ok(report_client_thumbprint(client, &thumbprint));
        report_number(f->page, client->id);
        report_text(f->page, client->application);
        report_text(f->page, a == NULL ? NULL : a->owner);
        report_text(f->page, thumbprint);
        report_text(f->page, client->kid);
        report_time(f->page, client->created);
        report_time(f->page, client->last_used);
    }
}

static const struct report_column app_eab_columns[] = {
    {"kid", "kid", REPORT_TEXT},
    {"application", "application", REPORT_TEXT},
    {"state", "state", REPORT_TEXT},
    {"made_by", "made by", REPORT_TEXT},
    {"created", "made", REPORT_TIME},
    {"expires", "expires", REPORT_TIME},
    {"once", "once", REPORT_BOOL},
    {"accounts", "accounts", REPORT_NUMBER},
};

static const struct report_section app_eab_section = {.key = "app_eabs",
    .title = "Credentials for clients of relays",
    .about = "With which accounts may be made, or were.",
    .columns = app_eab_columns,
    .column_count = AW_COUNT(app_eab_columns),
    .records = true};

static void
fill_app_eabs(const struct filling *f)
{
    const struct report_clients *clients = &f->data->log.clients;

    report_begin(f->page, &app_eab_section);
    for (size_t i = 0; i < clients->app_eab_count; i++) {
        const struct report_app_eab *app_eab = &clients->app_eabs[i];

        if (!concerns(f, application_of(f, app_eab->application)))
            continue;
        report_text(f->page, app_eab->kid);
        report_text(f->page, app_eab->application);
        report_text(f->page, report_app_eab_state(app_eab, f->data->period.now));
        report_text(f->page, app_eab->made_by);
        report_time(f->page, app_eab->created);
        report_time(f->page, app_eab->expires);
        report_bool(f->page, app_eab->once);
        report_number(f->page, app_eab->accounts);
    }
}

/* Refusals. */

static void
fill_refusals(const struct filling *f)
{
    const struct report_log *log = &f->data->log;

    report_begin(f->page, &refusal_section);
    for (size_t i = 0; i < log->refusal_count; i++) {
        const struct report_refusal *r = &log->refusals[i];

        if (!concerns(f, application_of(f, r->application)))
            continue;
        report_text(f->page, r->rule == NULL ? "no rule" : r->rule);
        report_number(f->page, r->count);
        report_text(f->page, r->verdict);
        report_text(f->page, r->application);
        report_text(f->page, r->user);
        report_text(f->page, r->operation);
        report_time(f->page, r->first);
        report_time(f->page, r->last);
        report_text(f->page, r->names);
        report_text(f->page, r->message);
    }
}

/* What is not used. */

static bool
is_used(const struct report_grant *grant, int64_t since)
{
    return grant->held || grant->last_used >= since;
}

static void
put_unused(const struct filling *f, const struct policy_application *a, const char *list,
    const char *entry, int64_t last_used)
{
    report_text(f->page, a->name);
    report_text(f->page, a->owner);
    report_text(f->page, list);
    report_text(f->page, entry);
    report_time(f->page, last_used);
}

/* An application that is not used at all has one row, not one for each of its entries. */
static void
fill_unused_of(const struct filling *f, const struct report_user *user,
    const struct report_grant *grants, size_t count)
{
    int64_t since = f->data->period.since;
    bool used = user->last_used >= since;

    for (size_t i = 0; i < count; i++)
        used = used || is_used(&grants[i], since);
    if (!used)
        put_unused(f, user->application, "all of it", NULL, user->last_used);
    for (size_t i = 0; used && i < count; i++)
        if (!is_used(&grants[i], since))
            put_unused(f, user->application, report_grant_list(grants[i].list), grants[i].text,
                grants[i].last_used);
}

static void
fill_unused(const struct filling *f)
{
    const struct report_grants *grants = &f->data->grants;
    size_t begin = 0;

    report_begin(f->page, &unused_section);
    for (size_t i = 0; i < grants->user_count; i++) {
        const struct report_user *user = &grants->users[i];
        size_t end = begin;

        while (end < grants->count && grants->items[end].application == user->application)
            end++;
        if (concerns(f, user->application))
            fill_unused_of(f, user, grants->items + begin, end - begin);
        begin = end;
    }
}

void
report_fill(const struct report_data *data, const char *owner, struct report_page *page)
{
    const struct filling filling = {data, owner, page};
    static const struct {
        const char *key;
        void (*fill)(const struct filling *filling);
    } sections[] = {
        {"grants", fill_grants},
        {"clients", fill_clients},
        {"app_eabs", fill_app_eabs},
        {"certificates", fill_certificates},
        {"refusals", fill_refusals},
        {"unused", fill_unused},
    };

    page->title = "acmeward: who may issue what";
    fill_about(&filling);
    for (size_t i = 0; i < AW_COUNT(sections); i++)
        if (data->section == NULL || strcmp(sections[i].key, data->section) == 0)
            sections[i].fill(&filling);
}
