/* doctor: what does not hold, by the evidence that report p4 collects, and what stops signing now.
 */
#include <stdio.h>
#include <string.h>

#include "admin/doctor.h"

static void
note(struct report_page *page, bool wrong, const char *about, const char *finding)
{
    if (!wrong)
        return;
    report_text(page, about);
    report_text(page, finding);
}

/* As it is, where admin_text() keeps a text for a few calls only. */
static const char *
text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));

    return text == NULL ? "" : text;
}

/* By its label (signer/accounts.h): "acmeward-account:NAME", or ":NUMBER" behind it after a change.
 */
static bool
is_key_of(const char *label, const char *account)
{
    static const char begin[] = "acmeward-account:";
    size_t length = strlen(account);

    if (strncmp(label, begin, strlen(begin)) != 0)
        return false;
    label += strlen(begin);
    return strncmp(label, account, length) == 0 && (label[length] == '\0' || label[length] == ':');
}

/* A key that nobody needed yet is missed by nobody: after the token was replaced, say. */
static bool
has_key(const struct p4 *p4, const char *account)
{
    const cJSON *object = NULL;

    cJSON_ArrayForEach(object, aw_json_member(p4->token, "objects"))
    {
        if (strncmp(text_of(object, "kind"), "private", strlen("private")) == 0 &&
            is_key_of(text_of(object, "label"), account))
            return true;
    }
    return false;
}

static void
find_account(const struct p4 *p4, const cJSON *account, struct report_page *page)
{
    const char *name = text_of(account, "name");
    const char *state = text_of(account, "state");

    note(page, strcmp(state, "registered") != 0, name,
        "the account is not registered: its applications can't order");
    note(page, strcmp(state, "registered") == 0 && !has_key(p4, name), name,
        "the token does not have the account's key (docs/operations.md, When an HSM is lost)");
}

/* Of the moment, so no part of the evidence. */
static void
find_stopped(const struct p4 *p4, struct report_page *page)
{
    const cJSON *item = NULL;
    const cJSON *s = p4->status;

    note(page, admin_true(s, "frozen"), "all applications",
        "signing is frozen (acmeward-admin unfreeze)");
    cJSON_ArrayForEach(item, aw_json_member(s, "frozen_applications"))
        note(page, true, cJSON_GetStringValue(aw_json_member(item, "application")),
            "signing is frozen (acmeward-admin unfreeze --application)");
    cJSON_ArrayForEach(item, aw_json_member(s, "inert_applications"))
        note(page, true, cJSON_GetStringValue(aw_json_member(item, "application")),
            "a user or group of its policy does not exist: everything is refused");
    note(page, admin_number(s, "audit_free") <= admin_number(s, "audit_reserve"), "audit log",
        "little room is left: refusals are only counted");
    note(page, admin_number(s, "clock_ahead") != 0, "clock",
        "is off from the time of the records (docs/operations.md)");
    cJSON_ArrayForEach(item, aw_json_member(p4->accounts, "accounts")) find_account(p4, item, page);
}

aw_result
admin_doctor(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "acmeward: is all well?"};
    AW_CLEANUP(p4_free) struct p4 p4 = {.status = NULL};
    bool json = options->json;
    const struct admin_option table[] = {
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "json", .flag = &json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(p4_collect(options, &log, &p4));
    p4_fill_findings(&p4, &page);
    find_stopped(&p4, &page);
    AW_TRY(doctor_find_relays(options, &p4, &page));
    AW_TRY(report_render(&page, json ? REPORT_FORMAT_JSON : REPORT_FORMAT_TEXT, stdout));
    size_t count = report_rows(&page.sections[0]);
    if (count == 0)
        return AW_OK;
    admin_note_told(json);
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "%zu finding%s", count, count == 1 ? "" : "s"),
        "token doctor, status, audit verify and policy check tell more of each");
}
