/* acmeward certificates: what is stored, what is wrong with it, when it is renewed; a table of all,
 * or one in full. */
#include <string.h>
#include <time.h>

#include "client/certificates_table.h"
#include "client/certonly.h"
#include "client/command.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

/* Carried through store_list. */
struct listing {
    struct output *out;
    struct aw_json_writer writer;
    const char *root;
    const char *wanted; /* NULL: all */
    struct certificates_table table;
    int64_t now;
    size_t count;
};

static void
write_entry(struct aw_json_writer *w, const struct store_entry *entry,
    const struct certificates_plan *plan, int64_t now)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "name", entry->name);
    aw_json_pair_integer(w, "version", entry->version);
    aw_json_name(w, "names");
    aw_json_begin_array(w);
    for (size_t i = 0; i < entry->name_count; i++)
        aw_json_write_string(w, entry->names[i]);
    aw_json_end_array(w);
    aw_json_pair(w, "serial", entry->serial);
    aw_json_pair(w, "issuer", entry->issuer);
    aw_json_pair(w, "key_type", entry->key_type);
    aw_json_pair(w, "key_uri", entry->key_uri);
    if (entry->serial != NULL) {
        aw_json_pair_integer(w, "not_before", entry->not_before);
        aw_json_pair_integer(w, "not_after", entry->not_after);
        aw_json_pair_integer(w, "days", (entry->not_after - now) / DAY);
    }
    if (plan->at != 0)
        aw_json_pair_integer(w, "renew_at", plan->at);
    aw_json_pair(w, "renew_why", plan->why);
    certonly_write_files(w, entry->live);
    aw_json_pair(w, "fault", entry->fault);
    aw_json_end_object(w);
}

static void
tell_expiry(struct output *out, const struct store_entry *entry)
{
    int64_t left = entry->not_after - (int64_t)time(NULL);
    char date[32];

    aw_time_text(entry->not_after, date);
    if (left < 0)
        output_line(out, "  expired     %s", date);
    else
        output_line(out, "  expires     %s, in %lld days", date, (long long)(left / DAY));
}

static void
tell_names(struct output *out, const struct store_entry *entry)
{
    for (size_t i = 0; i < entry->name_count; i++)
        output_line(out, "  %s%s", i == 0 ? "names       " : "            ", entry->names[i]);
}

static aw_result
tell_entry(
    struct output *out, const struct store_entry *entry, const struct certificates_plan *plan)
{
    AW_CLEANUP(aw_free) char *fault = entry->fault == NULL ? NULL : output_safe(entry->fault);
    AW_CLEANUP(aw_free) char *issuer = entry->issuer == NULL ? NULL : output_safe(entry->issuer);

    output_line(out, "%s", entry->name);
    tell_names(out, entry);
    if (entry->serial != NULL) {
        tell_expiry(out, entry);
        output_line(out, "  serial      %s", entry->serial);
        output_line(out, "  issuer      %s", issuer == NULL ? "" : issuer);
        output_line(out, "  key         %s%s%s", entry->key_type,
            entry->key_uri == NULL ? "" : " in the token, ",
            entry->key_uri == NULL ? "" : entry->key_uri);
    }
    AW_CLEANUP(aw_free) char *why = output_safe(plan->why);
    char date[32];
    aw_time_text(plan->at, date);
    output_line(
        out, "  renewal     %s%s%s", plan->at == 0 ? "" : date, plan->at == 0 ? "" : ", ", why);
    output_line(out, "  files       %s (version %u)", entry->live, entry->version);
    if (fault != NULL)
        output_line(out, "  FAULT       %s", fault);
    return AW_OK;
}

static aw_result
visit(const struct store_entry *entry, void *context)
{
    AW_CLEANUP(certificates_plan_free) struct certificates_plan plan = {.at = 0};
    struct listing *listing = context;

    if (listing->wanted != NULL && strcmp(listing->wanted, entry->name) != 0)
        return AW_OK;
    listing->count++;
    AW_TRY(certificates_plan_of(listing->root, entry, listing->now, &plan));
    write_entry(&listing->writer, entry, &plan, listing->now);
    if (listing->wanted != NULL)
        return tell_entry(listing->out, entry, &plan);
    return certificates_table_add(&listing->table, entry, &plan, listing->now);
}

static aw_result
list(struct listing *listing)
{
    struct aw_json_writer *w = &listing->writer;

    aw_json_begin_object(w);
    aw_json_pair(w, "root", listing->root);
    aw_json_name(w, "certificates");
    aw_json_begin_array(w);
    AW_TRY(store_list(listing->root, visit, listing));
    aw_json_end_array(w);
    aw_json_end_object(w);
    if (listing->count == 0 && listing->wanted != NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "there is no certificate %.*s in %s", STORE_NAME_MAX,
            listing->wanted, listing->root);
    if (listing->count == 0)
        output_line(listing->out, "no certificates in %s", listing->root);
    else if (listing->wanted == NULL)
        certificates_table_print(&listing->table, listing->out);
    return output_json(listing->out, w);
}

aw_result
cmd_certificates(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    struct listing listing = {.out = out, .wanted = options->cert_name, .now = (int64_t)time(NULL)};

    if (options->cert_name != NULL)
        AW_TRY(store_name_check(options->cert_name));
    AW_TRY(certonly_config(options, out, &config));
    listing.root = config->certificates;
    aw_result r = list(&listing);
    aw_json_writer_free(&listing.writer);
    certificates_table_free(&listing.table);
    return r;
}
