/* The sections of report p4. */
#include <string.h>

#include "admin/report_p4.h"
#include "common/hex.h"
#include "common/io.h"

/* A column whose cells are members of a JSON object. */
static void
put(struct report_page *page, const cJSON *object, const struct report_column *column)
{
    const cJSON *member = aw_json_member(object, column->key), *item = NULL;
    const char *items[256];
    size_t count = 0;

    switch (column->kind) {
    case REPORT_TEXT:
        report_text(page, cJSON_GetStringValue(member));
        break;
    case REPORT_LIST:
        cJSON_ArrayForEach(item, member) if (cJSON_IsString(item) && count < AW_COUNT(items))
            items[count++] = cJSON_GetStringValue(item);
        report_list(page, items, count);
        break;
    case REPORT_NUMBER:
    case REPORT_TIME:
        if (cJSON_IsNumber(member))
            report_number(page, admin_number(object, column->key));
        else
            report_text(page, NULL);
        break;
    case REPORT_BOOL:
        report_bool(page, cJSON_IsTrue(member));
        break;
    }
}

static void
put_all(struct report_page *page, const cJSON *object, const struct report_section *section)
{
    for (size_t i = 0; i < section->column_count; i++)
        put(page, object, &section->columns[i]);
}

static void
put_each(struct report_page *page, const cJSON *list, const struct report_section *section)
{
    const cJSON *item = NULL;

    report_begin(page, section);
    cJSON_ArrayForEach(item, list) put_all(page, item, section);
}

#define SECTION(name, columns_, title_, about_, records_)              \
    static const struct report_section name##_section = {.key = #name, \
        .title = (title_),                                             \
        .about = (about_),                                             \
        .columns = (columns_),                                         \
        .column_count = AW_COUNT(columns_),                            \
        .records = (records_)}

static const struct report_column report_columns[] = {
    {"made_at", "made at", REPORT_TIME},
    {"version", "signer", REPORT_TEXT},
    {"started_at", "up since", REPORT_TIME},
    {"policy_digest", "policy", REPORT_TEXT},
    {"configuration", "signer.yaml", REPORT_TEXT},
};
SECTION(report, report_columns, "About this report", NULL, true);

static const struct report_column token_columns[] = {
    {"label", "token", REPORT_TEXT},
    {"manufacturer", "manufacturer", REPORT_TEXT},
    {"model", "model", REPORT_TEXT},
    {"serial", "serial", REPORT_TEXT},
    {"slot", "slot", REPORT_NUMBER},
    {"pin_state", "PIN", REPORT_TEXT},
    {"pin_source", "PIN source", REPORT_TEXT},
    {"pin_faults", "PIN faults", REPORT_TEXT},
    {"write_protected", "write-protected", REPORT_BOOL},
};
SECTION(token, token_columns, "The token", "As it tells of itself.", true);

static const struct report_column key_columns[] = {
    {"label", "key", REPORT_TEXT},
    {"kind", "kind", REPORT_TEXT},
    {"id", "id", REPORT_TEXT},
    {"attributes", "attributes", REPORT_TEXT},
    {"faults", "FAULTS", REPORT_TEXT},
    {"value_readable", "can be read", REPORT_BOOL},
    {"value_answer", "when read", REPORT_TEXT},
    {"last_used", "last use", REPORT_TIME},
};
SECTION(keys, key_columns, "Keys in the token",
    "Attributes as the token reports them; reading each value was tried. The last use is that on "
    "the audit log.",
    true);

static const struct report_column probe_columns[] = {
    {"probed_at", "probed at", REPORT_TIME},
    {"token", "token", REPORT_TEXT},
    {"serial", "serial", REPORT_TEXT},
    {"same_token", "the token above", REPORT_BOOL},
    {"holds", "holds", REPORT_BOOL},
    {"left_behind", "left behind", REPORT_TEXT},
    {"version", "by version", REPORT_TEXT},
};
SECTION(probe, probe_columns, "The last probe",
    "acmeward-signer --probe-token, on throw-away keys made like the real ones.", true);

static const struct report_column attempt_columns[] = {
    {"key", "key", REPORT_TEXT},
    {"attempt", "tried", REPORT_TEXT},
    {"answer", "the token answered", REPORT_TEXT},
    {"verdict", "verdict", REPORT_TEXT},
    {"required", "must hold", REPORT_BOOL},
    {"follows", "what follows", REPORT_TEXT},
};
SECTION(attempts, attempt_columns, "What the probe tried", NULL, false);

static const struct report_column account_columns[] = {
    {"name", "account", REPORT_TEXT},
    {"ca", "CA", REPORT_TEXT},
    {"state", "state", REPORT_TEXT},
    {"key_type", "key", REPORT_TEXT},
    {"thumbprint", "thumbprint", REPORT_TEXT},
    {"url", "URL", REPORT_TEXT},
    {"registered_at", "registered", REPORT_TIME},
    {"key_change", "key change", REPORT_TEXT},
    {"applications", "applications", REPORT_LIST},
};
SECTION(accounts, account_columns, "Accounts", "Each signs with a key of its own.", true);

static const struct report_column signer_columns[] = {
    {"application", "application", REPORT_TEXT},
    {"account", "account", REPORT_TEXT},
    {"owner", "owner", REPORT_TEXT},
    {"principals", "who", REPORT_TEXT},
    {"relay", "through a relay", REPORT_TEXT},
    {"exact", "exact", REPORT_LIST},
    {"subdomains_of", "subdomains_of", REPORT_LIST},
    {"wildcards_of", "wildcards_of", REPORT_LIST},
    {"addresses", "addresses", REPORT_LIST},
    {"deny", "deny", REPORT_LIST},
};
SECTION(signers, signer_columns, "Who can have what signed",
    "Nobody else can, and nothing else; nothing outside of the account's ceiling.", true);

static const struct report_column administrator_columns[] = {
    {"role", "role", REPORT_TEXT},
    {"kind", "kind", REPORT_TEXT},
    {"name", "name", REPORT_TEXT},
};
SECTION(administrators, administrator_columns, "Administrators",
    "An operator watches and stops; an officer also changes keys and accounts.", false);

static const struct report_column relay_columns[] = {
    {"kind", "kind", REPORT_TEXT},
    {"name", "name", REPORT_TEXT},
    {"url", "URL", REPORT_TEXT},
};
SECTION(relays, relay_columns, "Relays",
    "Who hands in what ACME clients signed for that URL; acmeward-admin report tells the clients.",
    false);

static const struct report_column log_columns[] = {
    {"records", "records", REPORT_NUMBER},
    {"state", "state", REPORT_TEXT},
    {"root", "root of the tree", REPORT_TEXT},
    {"head", "digest of the head", REPORT_TEXT},
    {"first_time", "from", REPORT_TIME},
    {"last_time", "to", REPORT_TIME},
    {"segments", "closed segments", REPORT_NUMBER},
    {"absent", "not at hand", REPORT_NUMBER},
    {"origin", "origin", REPORT_TEXT},
    {"checkpoints", "checkpoints", REPORT_NUMBER},
    {"checkpoint_size", "last covers", REPORT_NUMBER},
    {"checkpoint_root", "its root", REPORT_TEXT},
    {"checkpoint_at", "made at", REPORT_TIME},
    {"forward", "forwarded to", REPORT_TEXT},
};
SECTION(log, log_columns, "The audit log",
    "Verified from its first record for this report, with all stored checkpoints.", true);

static const struct report_column sandbox_columns[] = {
    {"seccomp", "system calls", REPORT_BOOL},
    {"landlock", "Landlock", REPORT_NUMBER},
    {"network", "sockets", REPORT_TEXT},
    {"paths", "paths", REPORT_LIST},
    {"devices", "devices", REPORT_LIST},
};
SECTION(sandbox, sandbox_columns, "The sandbox",
    "In force in the process that holds the token: system calls limited, version of Landlock, "
    "what is open to the token's module.",
    false);

static const struct report_column freeze_columns[] = {
    {"application", "application", REPORT_TEXT},
    {"since", "since", REPORT_TIME},
    {"reason", "reason", REPORT_TEXT},
};
SECTION(freezes, freeze_columns, "Freezes", "For whom signing is stopped now.", false);

static void
fill_report(const struct p4 *p4, struct report_page *page)
{
    report_begin(page, &report_section);
    report_time(page, p4->now);
    put(page, p4->status, &report_columns[1]);
    put(page, p4->status, &report_columns[2]);
    put(page, p4->status, &report_columns[3]);
    report_text(page, p4->policy.config->file);
}

static void
fill_keys(const struct p4 *p4, struct report_page *page)
{
    const cJSON *object = NULL;

    report_begin(page, &keys_section);
    cJSON_ArrayForEach(object, aw_json_member(p4->token, "objects"))
    {
        const char *label = cJSON_GetStringValue(aw_json_member(object, "label"));

        for (size_t i = 0; i + 1 < AW_COUNT(key_columns); i++)
            put(page, object, &key_columns[i]);
        report_time(page, label == NULL ? 0 : p4_last_use(p4, label));
    }
}

static void
fill_probe(const struct p4 *p4, struct report_page *page)
{
    const char *now =
        cJSON_GetStringValue(aw_json_member(aw_json_member(p4->token, "token"), "serial"));
    const char *then = cJSON_GetStringValue(aw_json_member(p4->probe, "serial"));

    report_begin(page, &probe_section);
    for (size_t i = 0; p4->probe != NULL && i < AW_COUNT(probe_columns); i++) {
        if (strcmp(probe_columns[i].key, "same_token") == 0)
            report_bool(page, now != NULL && then != NULL && strcmp(now, then) == 0);
        else
            put(page, p4->probe, &probe_columns[i]);
    }
    put_each(page, aw_json_member(p4->probe, "rows"), &attempts_section);
}

static bool
put_signer(const struct policy_application *a, void *context)
{
    struct report_page *page = context;
    AW_CLEANUP(aw_free) char *who = strdup(a->principals);
    AW_CLEANUP(aw_free) char *relay = NULL;

    for (char *at = who; at != NULL && *at != '\0'; at++)
        if (*at == '\n')
            *at = at[1] == '\0' ? '\0' : ';';
    page->failed |= who == NULL || !aw_ok(policy_relay_text(&a->relay, &relay));
    report_text(page, a->name);
    report_text(page, a->account);
    report_text(page, a->owner);
    report_text(page, who);
    report_text(page, relay);
    report_list(page, a->exact, a->exact_count);
    report_list(page, a->subdomains_of, a->subdomains_count);
    report_list(page, a->wildcards_of, a->wildcards_count);
    report_list(page, a->addresses, a->addresses_count);
    report_list(page, a->deny, a->deny_count);
    return true;
}

static void
put_relays(struct report_page *page, const struct aw_config *config)
{
    for (size_t i = 0; i < config->relay_count; i++) {
        const struct aw_config_principal *who = &config->relays[i].who;

        report_text(page, who->user != NULL ? "user" : "group");
        report_text(page, who->user != NULL ? who->user : who->group);
        report_text(page, config->relays[i].url);
    }
}

static void
put_role(struct report_page *page, const char *name, const struct aw_config_role *role)
{
    for (size_t i = 0; i < role->count; i++) {
        report_text(page, name);
        report_text(page, role->items[i].user != NULL ? "user" : "group");
        report_text(page, role->items[i].user != NULL ? role->items[i].user : role->items[i].group);
    }
}

static void
put_hash(struct report_page *page, const struct audit_hash *hash, bool known)
{
    char text[AW_DIGEST_HEX_SIZE];

    aw_hex(hash->bytes, sizeof(hash->bytes), text);
    report_text(page, known ? text : NULL);
}

static void
put_number_if(struct report_page *page, bool known, int64_t number)
{
    if (known)
        report_number(page, number);
    else
        report_text(page, NULL);
}

static void
fill_log(const struct p4 *p4, struct report_page *page)
{
    const struct audit_verdict *v = &p4->verdict;
    bool whole = p4->damage[0] == '\0', marked = p4->checkpoints > 0;

    report_begin(page, &log_section);
    report_number(page, whole ? v->records : admin_number(p4->status, "audit_appended"));
    report_text(page, whole ? "whole" : p4->damage);
    put_hash(page, &v->root, whole);
    report_text(page, whole ? v->head : NULL);
    report_time(page, v->first_time);
    report_time(page, v->last_time);
    put_number_if(page, whole, v->segments);
    put_number_if(page, whole, v->absent);
    report_text(page, marked ? p4->checkpoint.origin : NULL);
    report_number(page, p4->checkpoints);
    put_number_if(page, marked, p4->checkpoint.head.size);
    put_hash(page, &p4->checkpoint.head.root, marked);
    report_time(page, admin_number(p4->status, "checkpoint_at"));
    report_text(page, cJSON_GetStringValue(aw_json_member(p4->status, "forward")));
}

static void
fill_freezes(const struct p4 *p4, struct report_page *page)
{
    put_each(page, aw_json_member(p4->status, "frozen_applications"), &freezes_section);
    if (!admin_true(p4->status, "frozen"))
        return;
    report_text(page, "all of them");
    report_time(page, admin_number(p4->status, "frozen_since"));
    report_text(page, cJSON_GetStringValue(aw_json_member(p4->status, "frozen_reason")));
}

void
p4_fill(const struct p4 *p4, struct report_page *page)
{
    page->title = "acmeward: evidence for a security review";
    fill_report(p4, page);
    p4_fill_findings(p4, page);
    report_begin(page, &token_section);
    put_all(page, aw_json_member(p4->token, "token"), &token_section);
    fill_keys(p4, page);
    fill_probe(p4, page);
    put_each(page, aw_json_member(p4->accounts, "accounts"), &accounts_section);
    report_begin(page, &signers_section);
    policy_visit_all(p4->policy.snapshot, put_signer, page);
    report_begin(page, &administrators_section);
    put_role(page, "officer", &p4->policy.config->officers);
    put_role(page, "operator", &p4->policy.config->operators);
    report_begin(page, &relays_section);
    put_relays(page, p4->policy.config);
    fill_log(p4, page);
    report_begin(page, &sandbox_section);
    put_all(page, aw_json_member(p4->status, "sandbox"), &sandbox_section);
    fill_freezes(p4, page);
}
