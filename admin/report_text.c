/* A report for a terminal or a mail: tables whose cells have a line an item; rows that are too wide
 * for that are paragraphs. */
#include <string.h>

#include "admin/report_page.h"

enum { COLUMNS_MAX = 24, GAP = 2, TITLE_WIDTH = 15 };

/* Columns that a terminal shows, near enough: characters, not octets. */
static int
width_of(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void
pad(FILE *out, int count)
{
    fprintf(out, "%*s", count > 0 ? count : 0, "");
}

static int
widest(const struct report_section *section, size_t column)
{
    char item[REPORT_SHOWN_SIZE];
    int width = width_of(section->columns[column].title);

    for (size_t i = column; i < section->cell_count; i += section->column_count)
        for (const char *rest = section->cells[i];
             report_item(&section->columns[column], &rest, item);)
            width = width_of(item) > width ? width_of(item) : width;
    return width;
}

/* One line of a row; false when no cell has anything left for it. */
static bool
write_line(FILE *out, const struct report_section *section, const char *rest[], const int widths[])
{
    char item[REPORT_SHOWN_SIZE];
    int owed = 0;
    bool any = false;

    for (size_t i = 0; i < section->column_count; i++)
        any |= rest[i] != NULL;
    for (size_t i = 0; any && i < section->column_count; i++) {
        if (!report_item(&section->columns[i], &rest[i], item)) {
            owed += widths[i] + GAP;
            continue;
        }
        int space = widths[i] - width_of(item);
        bool right = section->columns[i].kind == REPORT_NUMBER;
        pad(out, owed + (right ? space : 0));
        fputs(item, out);
        owed = (right ? 0 : space) + GAP;
    }
    if (any)
        fputc('\n', out);
    return any;
}

static void
write_table(FILE *out, const struct report_section *section)
{
    int widths[COLUMNS_MAX] = {0};
    const char *rest[COLUMNS_MAX] = {NULL};
    int owed = 0;

    for (size_t i = 0; i < section->column_count; i++) {
        widths[i] = widest(section, i);
        pad(out, owed);
        fputs(section->columns[i].title, out);
        owed = widths[i] - width_of(section->columns[i].title) + GAP;
    }
    fputc('\n', out);
    for (size_t row = 0; row < report_rows(section); row++) {
        for (size_t i = 0; i < section->column_count; i++)
            rest[i] = section->cells[row * section->column_count + i];
        while (write_line(out, section, rest, widths))
            ;
    }
}

static void
write_paragraph(FILE *out, const struct report_section *section, char *const *cells)
{
    char item[REPORT_SHOWN_SIZE];

    for (size_t i = 0; i < section->column_count; i++) {
        const char *rest = cells[i];
        bool first = true;

        if (rest == NULL)
            continue;
        if (i > 0)
            fprintf(out, "  %-*s ", TITLE_WIDTH, section->columns[i].title);
        for (; report_item(&section->columns[i], &rest, item); first = false)
            fprintf(out, "%s%s", first ? "" : ", ", item);
        fputc('\n', out);
    }
}

static void
write_section(FILE *out, const struct report_section *section)
{
    fprintf(out, "\n%s\n", section->title);
    for (int i = width_of(section->title); i > 0; i--)
        fputc('-', out);
    fputc('\n', out);
    if (section->about != NULL)
        fprintf(out, "%s\n", section->about);
    if (report_rows(section) == 0)
        fputs("none\n", out);
    else if (!section->records && section->column_count <= COLUMNS_MAX)
        write_table(out, section);
    else
        for (size_t row = 0; row < report_rows(section); row++)
            write_paragraph(out, section, section->cells + row * section->column_count);
}

void
report_write_text(const struct report_page *page, FILE *out)
{
    fprintf(out, "%s\n", page->title);
    for (size_t i = 0; i < page->section_count; i++)
        write_section(out, &page->sections[i]);
}
