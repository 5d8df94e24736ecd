/*
 * A report as CSV (RFC 4180): sections one after another, an empty line between; the first column
 * is the section's key. A spreadsheet takes a cell that begins with = + - @, quoted or not, for a
 * formula: an apostrophe before it makes it text.
 */
#include <stdbool.h>
#include <string.h>

#include "admin/report_page.h"

/* The full-width forms too, which some spreadsheets take for the same (OWASP, CSV injection). */
static bool
begins_formula(const char *text)
{
    static const char *const wide[] = {
        "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0"};

    text += strspn(text, " ");
    for (size_t i = 0; i < AW_COUNT(wide); i++)
        if (strncmp(text, wide[i], strlen(wide[i])) == 0)
            return true;
    return text[0] != '\0' && strchr("=+-@", text[0]) != NULL;
}

static void
write_octets(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
}

static void
write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    write_octets(out, text);
    fputc('"', out);
}

static void
write_cell(FILE *out, const struct report_column *column, const char *cell)
{
    char item[REPORT_SHOWN_SIZE];
    bool first = true;

    fputs(",\"", out);
    for (const char *rest = cell; report_item(column, &rest, item); first = false) {
        /* Numbers are ours. An item behind the first is not at the cell's begin, but where somebody
         * splits cells at semicolons it is. */
        bool formula = column->kind != REPORT_NUMBER && begins_formula(item);
        fprintf(out, "%s%s", first ? "" : "; ", formula ? "'" : "");
        write_octets(out, item);
    }
    fputc('"', out);
}

static void
write_section(FILE *out, const struct report_section *section)
{
    fputs("\"section\"", out);
    for (size_t i = 0; i < section->column_count; i++) {
        fputc(',', out);
        write_quoted(out, section->columns[i].key);
    }
    for (size_t row = 0; row < report_rows(section); row++) {
        fputs("\r\n", out);
        write_quoted(out, section->key);
        for (size_t i = 0; i < section->column_count; i++)
            write_cell(out, &section->columns[i], section->cells[row * section->column_count + i]);
    }
    fputs("\r\n", out);
}

void
report_write_csv(const struct report_page *page, FILE *out)
{
    for (size_t i = 0; i < page->section_count; i++) {
        if (i > 0)
            fputs("\r\n", out);
        write_section(out, &page->sections[i]);
    }
}
