/* certificates: the inventory, read from the audit log without signer or token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/audit_files.h"
#include "admin/revocations.h"
#include "audit/audit.h"
#include "common/io.h"
#include "common/log.h"

enum { DAY = 24 * 3600, DAYS_MAX = 100000 };

/* What is shown. Of a record that has gone by nothing is kept, however long the log is:
 * revocations, which come after their certificates, are read before. */
struct inventory {
    bool json;
    bool revoked; /* those alone */
    struct revocations revocations;
    const char *application, *name;
    int64_t from, until; /* ends of validity */
    int64_t shown, seen;
    struct aw_name canonical;
};

static void
inventory_end(struct inventory *inventory)
{
    revocations_free(&inventory->revocations);
}

static bool
is_refused(const struct audit_entry *entry)
{
    return entry->verdict == NULL || strcmp(entry->verdict, "refuse") == 0;
}

static bool
is_wanted(const struct inventory *inventory, const struct audit_entry *entry)
{
    return (inventory->application == NULL ||
               (entry->application != NULL &&
                   strcmp(entry->application, inventory->application) == 0)) &&
           (inventory->name == NULL || audit_entry_has_name(entry, inventory->name)) &&
           (!inventory->revoked ||
               revocations_find(&inventory->revocations, entry->certificate) != 0) &&
           entry->not_after >= inventory->from && entry->not_after <= inventory->until;
}

static void
pair_if(struct aw_json_writer *w, const char *name, const char *text)
{
    if (text != NULL)
        aw_json_pair(w, name, text);
}

static aw_result
print_object(const struct audit_record *record, int64_t revoked)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};
    const struct audit_entry *entry = &record->entry;

    aw_json_begin_object(&w);
    aw_json_pair_integer(&w, "seq", record->seq);
    pair_if(&w, "application", entry->application);
    pair_if(&w, "account", entry->account);
    pair_if(&w, "serial", entry->serial);
    aw_json_name(&w, "names");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < entry->name_count; i++)
        aw_json_write_string(&w, entry->names[i]);
    aw_json_end_array(&w);
    pair_if(&w, "issuer", entry->issuer);
    aw_json_pair_integer(&w, "not_after", entry->not_after);
    pair_if(&w, "key", entry->key);
    pair_if(&w, "certificate", entry->certificate);
    if (entry->has_verified)
        aw_json_pair_bool(&w, "verified", entry->verified);
    aw_json_pair_bool(&w, "revoked", revoked != 0);
    if (revoked != 0)
        aw_json_pair_integer(&w, "revoked_at", revoked);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    puts(text);
    return AW_OK;
}

static void
print_escaped(const char *before, const char *text)
{
    char line[2048];

    aw_log_escape(text == NULL ? "-" : text, text == NULL ? 1 : strlen(text), line, sizeof(line));
    printf("%s%s", before, line);
}

static void
print_lines(const struct audit_record *record, int64_t revoked)
{
    const struct audit_entry *entry = &record->entry;
    char until[32], when[32];

    aw_time_text(entry->not_after, until);
    print_escaped("", entry->application);
    print_escaped("  ", entry->serial);
    aw_time_text(revoked, when);
    printf("  until %s  %s%s%s\n        ", until,
        !entry->has_verified ? "not checked: no issuers were pinned"
        : entry->verified    ? "verified"
                             : "NOT VERIFIED",
        revoked == 0 ? "" : "  REVOKED ", revoked == 0 ? "" : when);
    for (size_t i = 0; i < entry->name_count; i++)
        print_escaped(i == 0 ? "" : " ", entry->names[i]);
    print_escaped("\n        issuer ", entry->issuer);
    putchar('\n');
}

static aw_result
visit(const struct audit_record *record, void *context)
{
    struct inventory *inventory = context;

    if (record->entry.kind != AUDIT_CERTIFICATE || is_refused(&record->entry))
        return AW_OK;
    inventory->seen++;
    if (!is_wanted(inventory, &record->entry))
        return AW_OK;
    inventory->shown++;
    int64_t revoked = revocations_find(&inventory->revocations, record->entry.certificate);
    if (inventory->json)
        return print_object(record, revoked);
    print_lines(record, revoked);
    return AW_OK;
}

static aw_result
check_name(struct inventory *inventory)
{
    if (inventory->name == NULL)
        return AW_OK;
    AW_TRY(admin_parse_name("name", inventory->name, &inventory->canonical));
    inventory->name = inventory->canonical.text;
    return AW_OK;
}

static aw_result
parse_days(const char *text, struct inventory *inventory)
{
    char *end = NULL;

    inventory->from = INT64_MIN;
    inventory->until = INT64_MAX;
    if (text == NULL)
        return AW_OK;
    long days = strtol(text, &end, 10);
    if (end == text || *end != '\0' || days < 0 || days > DAYS_MAX)
        return aw_fail(AW_CODE_USAGE,
            "--expiring: found \"%s\", expected a number of days, 0 to %d", text, DAYS_MAX);
    inventory->from = (int64_t)time(NULL);
    inventory->until = inventory->from + (int64_t)days * DAY;
    return AW_OK;
}

aw_result
admin_certificates(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(inventory_end) struct inventory inventory = {.json = options->json};
    const char *expiring = NULL;
    const struct admin_option table[] = {
        {.name = "application", .value = &inventory.application},
        {.name = "name", .value = &inventory.name},
        {.name = "expiring", .value = &expiring},
        {.name = "revoked", .flag = &inventory.revoked},
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "json", .flag = &inventory.json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(check_name(&inventory));
    AW_TRY(parse_days(expiring, &inventory));
    AW_TRY(admin_audit_log_find(options, &log));
    AW_TRY(revocations_read(&log.source, &inventory.revocations));
    log.source.absent = admin_audit_tell_absent;
    AW_TRY(audit_read_source(&log.source, 1, visit, &inventory));
    if (!inventory.json)
        printf(
            "%lld of %lld certificates\n", (long long)inventory.shown, (long long)inventory.seen);
    return AW_OK;
}
