#include "client/certificates_table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/renew.h"
#include "common/io.h"

enum { DAY = 24 * 3600, COLUMNS = 5, CELL_SIZE = 64 };

/* One line: name, expiry, key, renewal, why; then its names. */
struct certificates_row {
    char *cells[COLUMNS];
    char *names;               /* with ", " between */
    enum output_colour colour; /* of the expiry */
};

static const char *const headings[COLUMNS] = {"NAME", "EXPIRES", "KEY", "RENEWAL", "WHY"};

void
certificates_plan_free(struct certificates_plan *plan)
{
    free(plan->why);
    *plan = (struct certificates_plan){.at = 0};
}

static bool
has_settings(const char *root, const char *name)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    return aw_ok(renewal_config_path(root, name, &path)) && access(path, F_OK) == 0;
}

/* As renew decides (renew_due.c): in the CA's window where it told one, else at a third. */
static aw_result
plan_age(const char *root, const struct store_entry *entry, struct certificates_plan *out)
{
    int64_t end = entry->not_after, life = end - entry->not_before;
    struct renew_state state;
    bool found = false;

    out->at = end - life / RENEW_PART;
    AW_TRY(renew_state_read(root, entry->name, &state, &found));
    out->window = found && state.version == (int64_t)entry->version && state.window_end != 0;
    if (out->window)
        out->at = state.chosen < end - life / RENEW_LAST_PART ? state.chosen
                                                              : end - life / RENEW_LAST_PART;
    return AW_OK;
}

static const char *
why_then(const struct certificates_plan *plan)
{
    if (plan->failing)
        return "it has expired";
    if (plan->window)
        return plan->attention ? "due: the CA's time has come"
                               : "then is the time that the CA names (ARI)";
    return plan->attention ? "due: less than a third of its lifetime is left"
                           : "then a third of its lifetime is left";
}

/* What went wrong before waits, and is known by the set of names. */
static aw_result
read_failure(const char *root, const struct store_entry *entry, struct renew_failure *out)
{
    AW_CLEANUP(aw_free) struct aw_name *names = calloc(entry->name_count + 1, sizeof(*names));
    AW_CLEANUP(aw_free) char *key = NULL;

    if (names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < entry->name_count; i++) {
        const char *text = entry->names[i];

        if (!aw_ok(aw_name_parse_address(text, strlen(text), &names[i])))
            AW_TRY(aw_name_parse(text, strlen(text), &names[i]));
    }
    if (!aw_names_sort(names, entry->name_count))
        return AW_OK;
    AW_TRY(renew_failure_key(names, entry->name_count, &key));
    return renew_failure_read(root, key, out);
}

static aw_result
plan_with_settings(const char *root, const struct store_entry *entry, struct certificates_plan *out)
{
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    char date[32];

    aw_result r = read_failure(root, entry, &failure);
    if (!aw_ok(r) || failure.count == 0)
        return aw_format(&out->why, "%s", why_then(out));
    out->attention = true;
    aw_time_text(failure.next, date);
    return aw_format(&out->why, "FAILED %lld time%s, again from %s: %s", (long long)failure.count,
        failure.count == 1 ? "" : "s", date, failure.error == NULL ? "" : failure.error);
}

aw_result
certificates_plan_of(
    const char *root, const struct store_entry *entry, int64_t now, struct certificates_plan *out)
{
    *out = (struct certificates_plan){.at = 0, .attention = true, .failing = true};
    if (entry->serial == NULL || entry->fault != NULL)
        return aw_format(&out->why, "FAULT: %s", entry->fault == NULL ? "" : entry->fault);
    AW_TRY(plan_age(root, entry, out));
    out->failing = entry->not_after <= now;
    out->attention = out->at <= now;
    if (has_settings(root, entry->name))
        return plan_with_settings(root, entry, out);
    out->at = 0;
    return aw_format(&out->why, "%s%s no settings to be renewed by",
        out->failing     ? "it has expired, and"
        : out->attention ? "due, and"
                         : "it",
        " has");
}

void
certificates_table_free(struct certificates_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        for (size_t j = 0; j < COLUMNS; j++)
            free(table->rows[i].cells[j]);
        free(table->rows[i].names);
    }
    free(table->rows);
    *table = (struct certificates_table){.rows = NULL};
}

static aw_result
join_names(const struct store_entry *entry, char **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < entry->name_count; i++)
        fprintf(file, "%s%s", i == 0 ? "" : ", ", entry->names[i]);
    if (fclose(file) != 0 || text == NULL)
        return aw_fail_memory();
    *out = output_safe(text);
    return AW_OK;
}

static void
expiry_text(const struct store_entry *entry, int64_t now, char out[CELL_SIZE])
{
    int64_t left = entry->not_after - now;

    if (entry->serial == NULL)
        snprintf(out, CELL_SIZE, "unknown");
    else if (left <= 0)
        snprintf(out, CELL_SIZE, "EXPIRED");
    else if (left < 2 * DAY)
        snprintf(out, CELL_SIZE, "%lld hours", (long long)(left / 3600));
    else
        snprintf(out, CELL_SIZE, "%lld days", (long long)(left / DAY));
}

static void
renewal_text(const struct certificates_plan *plan, int64_t now, char out[CELL_SIZE])
{
    char time[32];

    aw_time_text(plan->at, time);
    if (plan->at == 0)
        snprintf(out, CELL_SIZE, "-");
    else if (plan->at <= now)
        snprintf(out, CELL_SIZE, "now");
    else
        snprintf(out, CELL_SIZE, "%.10s", time);
}

static aw_result
fill_row(struct certificates_row *row, const struct store_entry *entry,
    const struct certificates_plan *plan, int64_t now)
{
    char expires[CELL_SIZE], renewal[CELL_SIZE], key[CELL_SIZE];

    expiry_text(entry, now, expires);
    renewal_text(plan, now, renewal);
    snprintf(key, sizeof(key), "%s%s", entry->key_type == NULL ? "-" : entry->key_type,
        entry->key_uri == NULL ? "" : " (token)");
    const char *const texts[COLUMNS] = {entry->name, expires, key, renewal, plan->why};
    for (size_t i = 0; i < COLUMNS; i++)
        row->cells[i] = output_safe(texts[i]);
    row->colour = plan->failing ? OUTPUT_RED : plan->attention ? OUTPUT_YELLOW : OUTPUT_GREEN;
    return join_names(entry, &row->names);
}

aw_result
certificates_table_add(struct certificates_table *table, const struct store_entry *entry,
    const struct certificates_plan *plan, int64_t now)
{
    AW_TRY(aw_array_grow(&table->rows, table->count, &table->room, sizeof(*table->rows)));
    struct certificates_row *row = &table->rows[table->count++];
    *row = (struct certificates_row){.names = NULL};
    return fill_row(row, entry, plan, now);
}

static void
print_row(struct output *out, const char *const *cells, const int widths[COLUMNS],
    enum output_colour colour)
{
    output_line(out, "%-*s  %s%-*s%s  %-*s  %-*s  %s", widths[0], cells[0],
        output_colour(out, out->results, colour), widths[1], cells[1],
        output_colour(out, out->results, OUTPUT_PLAIN), widths[2], cells[2], widths[3], cells[3],
        cells[4]);
}

void
certificates_table_print(const struct certificates_table *table, struct output *out)
{
    int widths[COLUMNS] = {0};

    for (size_t j = 0; j < COLUMNS; j++) {
        widths[j] = (int)strlen(headings[j]);
        for (size_t i = 0; i < table->count; i++)
            if ((int)strlen(table->rows[i].cells[j]) > widths[j])
                widths[j] = (int)strlen(table->rows[i].cells[j]);
    }
    print_row(out, headings, widths, OUTPUT_PLAIN);
    for (size_t i = 0; i < table->count; i++) {
        print_row(out, (const char *const *)table->rows[i].cells, widths, table->rows[i].colour);
        output_line(out, "    %s", table->rows[i].names);
    }
}
