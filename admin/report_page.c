#include "admin/report_page.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"
#include "common/log.h"

aw_result
report_format_of(const char *name, enum report_format *out)
{
    static const char *const names[] = {
#define FORMAT_NAME(name, text) text,
        REPORT_FORMATS(FORMAT_NAME)
#undef FORMAT_NAME
    };

    for (size_t i = 0; i < AW_COUNT(names); i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        *out = (enum report_format)i;
        return AW_OK;
    }
    return aw_fail(AW_CODE_USAGE, "--format: found \"%s\", expected text, csv, json or html", name);
}

void
report_begin(struct report_page *page, const struct report_section *section)
{
    if (page->section_count == REPORT_SECTIONS_MAX) {
        page->failed = true;
        return;
    }
    struct report_section *added = &page->sections[page->section_count++];
    *added = *section;
    added->cells = NULL;
    added->cell_count = added->cell_room = 0;
}

/* Takes the text over. */
static void
add_cell(struct report_page *page, char *text)
{
    struct report_section *section =
        page->section_count == 0 ? NULL : &page->sections[page->section_count - 1];

    if (section != NULL && section->cell_count == section->cell_room) {
        size_t room = section->cell_room == 0 ? 64 : 2 * section->cell_room;
        char **cells = reallocarray(section->cells, room, sizeof(*cells));

        page->failed |= cells == NULL;
        if (cells != NULL) {
            section->cells = cells;
            section->cell_room = room;
        }
    }
    if (section == NULL || section->cell_count == section->cell_room) {
        page->failed = true;
        free(text);
        return;
    }
    section->cells[section->cell_count++] = text;
}

void
report_text(struct report_page *page, const char *text)
{
    char *copy = text == NULL || text[0] == '\0' ? NULL : strdup(text);

    page->failed |= copy == NULL && text != NULL && text[0] != '\0';
    add_cell(page, copy);
}

/* Items are told apart by line breaks, so none may be in one. */
static void
append_item(char **at, const char *item, bool first)
{
    if (!first)
        *(*at)++ = '\n';
    for (; *item != '\0'; item++)
        *(*at)++ = *item == '\n' ? ' ' : *item;
}

void
report_list(struct report_page *page, const char *const *items, size_t count)
{
    size_t size = 1;

    for (size_t i = 0; i < count; i++)
        size += strlen(items[i]) + 1;
    char *text = count == 0 ? NULL : malloc(size);
    char *at = text;
    page->failed |= count > 0 && text == NULL;
    for (size_t i = 0; text != NULL && i < count; i++)
        append_item(&at, items[i], i == 0);
    if (text != NULL)
        *at = '\0';
    add_cell(page, text);
}

void
report_number(struct report_page *page, int64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    report_text(page, text);
}

void
report_time(struct report_page *page, int64_t time)
{
    if (time == 0)
        report_text(page, NULL);
    else
        report_number(page, time);
}

void
report_bool(struct report_page *page, bool value)
{
    report_text(page, value ? "yes" : "no");
}

size_t
report_rows(const struct report_section *section)
{
    return section->cell_count / section->column_count;
}

bool
report_item(const struct report_column *column, const char **rest, char out[REPORT_SHOWN_SIZE])
{
    const char *text = *rest;

    if (text == NULL)
        return false;
    if (column->kind == REPORT_TIME) {
        aw_time_text(strtoll(text, NULL, 10), out);
        *rest = NULL;
        return true;
    }
    size_t length = column->kind == REPORT_LIST ? strcspn(text, "\n") : strlen(text);
    aw_log_escape(text, length, out, REPORT_SHOWN_SIZE);
    *rest = text[length] == '\0' ? NULL : text + length + 1;
    return true;
}

static aw_result
check_page(const struct report_page *page)
{
    if (page->failed)
        return aw_fail_memory();
    for (size_t i = 0; i < page->section_count; i++)
        if (page->sections[i].cell_count % page->sections[i].column_count != 0)
            return aw_fail(
                AW_CODE_INTERNAL, "a row of section %s is not whole", page->sections[i].key);
    return AW_OK;
}

aw_result
report_render(const struct report_page *page, enum report_format format, FILE *out)
{
    AW_TRY(check_page(page));
    switch (format) {
    case REPORT_FORMAT_TEXT:
        report_write_text(page, out);
        break;
    case REPORT_FORMAT_CSV:
        report_write_csv(page, out);
        break;
    case REPORT_FORMAT_JSON:
        AW_TRY(report_write_json(page, out));
        break;
    case REPORT_FORMAT_HTML:
        report_write_html(page, out);
        break;
    }
    return fflush(out) == 0 && !ferror(out) ? AW_OK
                                            : aw_fail_errno(AW_CODE_IO, "can't write the report");
}

void
report_page_free(struct report_page *page)
{
    for (size_t i = 0; i < page->section_count; i++) {
        struct report_section *section = &page->sections[i];

        for (size_t j = 0; j < section->cell_count; j++)
            free(section->cells[j]);
        free(section->cells);
    }
    *page = (struct report_page){.title = NULL};
}
