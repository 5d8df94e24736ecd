/* audit show: read from the files, without signer or token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/audit_files.h"
#include "audit/audit.h"
#include "common/io.h"
#include "common/log.h"

enum { LAST_MAX = 1000000 };

/* What is shown, and how much of it has gone by. */
struct view {
    bool json;
    const char *application, *name, *verdict, *kind;
    int64_t since, until;
    int64_t seen, matching, skip;
    int64_t most; /* records that were there when they were counted */
    bool known;   /* the application is named by some record */
    struct aw_name canonical;
};

static bool
same_or_any(const char *wanted, const char *found)
{
    return wanted == NULL || (found != NULL && strcmp(wanted, found) == 0);
}

static bool
matches(const struct view *view, const struct audit_entry *entry)
{
    return same_or_any(view->application, entry->application) &&
           same_or_any(view->verdict, entry->verdict) &&
           same_or_any(view->kind, audit_kind_name(entry->kind)) && entry->time >= view->since &&
           entry->time <= view->until &&
           (view->name == NULL || audit_entry_has_name(entry, view->name));
}

static void
print_escaped(const char *before, const char *text)
{
    char line[2048];

    if (text == NULL)
        return;
    aw_log_escape(text, strlen(text), line, sizeof(line));
    printf("%s%s", before, line);
}

static void
print_record(const struct audit_record *record)
{
    const struct audit_entry *entry = &record->entry;
    char when[32];

    aw_time_text(entry->time, when);
    printf("%6lld  %s  %-11s", (long long)record->seq, when, audit_kind_name(entry->kind));
    print_escaped(" ", entry->verdict);
    print_escaped("  ", entry->operation);
    print_escaped("  ", entry->application);
    print_escaped("  user ", entry->user);
    print_escaped("  rule ", entry->rule);
    for (size_t i = 0; i < entry->name_count; i++)
        print_escaped(i == 0 ? "  " : ",", entry->names[i]);
    if (entry->order != 0)
        printf("  order %lld", (long long)entry->order);
    print_escaped("  ", entry->url_kind);
    if (entry->kind == AUDIT_CLAIM || entry->name_count == 0)
        print_escaped("  ", entry->url);
    print_escaped("  account ", entry->account);
    if (entry->count != 0)
        printf("  %lld times", (long long)entry->count);
    print_escaped("\n        ", entry->message);
    putchar('\n');
}

static aw_result
show_record(const struct audit_record *record, void *context)
{
    struct view *view = context;

    if (view->seen == view->most)
        return (aw_result){AW_CODE_CLOSED}; /* the signer goes on meanwhile */
    view->seen++;
    if (!matches(view, &record->entry) || view->matching++ < view->skip)
        return AW_OK;
    if (view->json)
        return admin_print_json(record->json);
    print_record(record);
    return AW_OK;
}

static aw_result
count_record(const struct audit_record *record, void *context)
{
    struct view *view = context;

    view->seen++;
    view->known |= same_or_any(view->application, record->entry.application);
    if (matches(view, &record->entry))
        view->matching++;
    return AW_OK;
}

static aw_result
parse_last(const char *text, long *out)
{
    char *end = NULL;

    *out = 0;
    if (text == NULL)
        return AW_OK;
    *out = strtol(text, &end, 10);
    if (end == text || *end != '\0' || *out < 1 || *out > LAST_MAX)
        return aw_fail(
            AW_CODE_USAGE, "--last: found \"%s\", expected a number from 1 to %d", text, LAST_MAX);
    return AW_OK;
}

static aw_result
check_verdict(const char *verdict)
{
    if (verdict == NULL || strcmp(verdict, "permit") == 0 || strcmp(verdict, "refuse") == 0 ||
        strcmp(verdict, "warn") == 0)
        return AW_OK;
    return aw_fail(
        AW_CODE_USAGE, "--verdict: found \"%s\", expected permit, refuse or warn", verdict);
}

static aw_result
check_name(struct view *view)
{
    if (view->name == NULL)
        return AW_OK;
    AW_TRY(admin_parse_name("name", view->name, &view->canonical));
    view->name = view->canonical.text;
    return AW_OK;
}

static aw_result
check_application(const char *application)
{
    if (application == NULL || aw_config_label_ok(application))
        return AW_OK;
    return aw_fail(
        AW_CODE_USAGE, "--application: found \"%s\", no application has such a name", application);
}

static aw_result
check_kind(const char *kind)
{
    static const char *const kinds[] = {
#define KIND_TEXT(name, text) text,
        AUDIT_KINDS(KIND_TEXT)
#undef KIND_TEXT
    };

    for (size_t i = 0; i < AW_COUNT(kinds); i++)
        if (kind == NULL || strcmp(kind, kinds[i]) == 0)
            return AW_OK;
    return aw_hint(aw_fail(AW_CODE_USAGE, "--kind: \"%s\" is no kind of record", kind),
        "kinds are decision, claim, certificate, alarm ...: docs/audit-format.md");
}

static aw_result
show(const struct admin_audit_log *log, const struct view *asked, long last)
{
    struct audit_source counting = log->source;
    struct view counted = *asked;
    struct view view = *asked;

    counted.known = asked->application == NULL;
    counting.absent = admin_audit_tell_absent; /* before the records: they begin with a later one */
    AW_TRY(audit_read_source(&counting, 1, count_record, &counted));
    if (!counted.known)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "--application: none of the %lld records is of \"%s\"",
                (long long)counted.seen, view.application),
            "acmeward-admin policy show lists the applications; this one is misspelt, or never "
            "asked for anything");
    if (last > 0 && counted.matching > last)
        view.skip = counted.matching - last;
    view.most = counted.seen;
    aw_result r = audit_read_source(&log->source, 1, show_record, &view);
    if (!aw_ok(r) && r.code != AW_CODE_CLOSED)
        return r;
    if (!view.json)
        printf(
            "%lld of %lld records\n", (long long)(view.matching - view.skip), (long long)view.seen);
    return AW_OK;
}

aw_result
admin_audit_show(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    struct view view = {.json = options->json};
    const char *since = NULL, *until = NULL, *last = NULL;
    const struct admin_option table[] = {
        {.name = "application", .value = &view.application},
        {.name = "name", .value = &view.name},
        {.name = "verdict", .value = &view.verdict},
        {.name = "kind", .value = &view.kind},
        {.name = "since", .value = &since},
        {.name = "until", .value = &until},
        {.name = "last", .value = &last},
        {.name = "json", .flag = &view.json},
        ADMIN_AUDIT_LOG_OPTIONS(log),
    };
    long count = 0;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(check_verdict(view.verdict));
    AW_TRY(check_kind(view.kind));
    AW_TRY(check_application(view.application));
    AW_TRY(check_name(&view));
    AW_TRY(admin_parse_time("since", since, INT64_MIN, &view.since));
    AW_TRY(admin_parse_time("until", until, INT64_MAX, &view.until));
    if (view.since > view.until)
        return aw_fail(AW_CODE_USAGE, "--since is after --until");
    AW_TRY(parse_last(last, &count));
    AW_TRY(admin_audit_log_find(options, &log));
    return show(&log, &view, count);
}
