/* A report for programs: a member a section, an object a row; an empty cell is null, or an empty
 * array. Strings are as they were found: whoever shows them escapes them. */
#include <stdlib.h>
#include <string.h>

#include "admin/report_page.h"
#include "common/io.h"
#include "common/json.h"

static aw_result
write_list(struct aw_json_writer *w, const char *cell)
{
    aw_json_begin_array(w);
    for (const char *at = cell; at != NULL;) {
        size_t length = strcspn(at, "\n");
        AW_CLEANUP(aw_free) char *item = strndup(at, length);

        if (item == NULL)
            return aw_fail_memory();
        aw_json_write_string(w, item);
        at = at[length] == '\0' ? NULL : at + length + 1;
    }
    aw_json_end_array(w);
    return AW_OK;
}

static aw_result
write_cell(struct aw_json_writer *w, const struct report_column *column, const char *cell)
{
    aw_json_name(w, column->key);
    switch (column->kind) {
    case REPORT_LIST:
        return write_list(w, cell);
    case REPORT_NUMBER:
    case REPORT_TIME:
        if (cell == NULL)
            aw_json_write_string(w, NULL);
        else
            aw_json_write_integer(w, strtoll(cell, NULL, 10));
        break;
    case REPORT_BOOL:
        if (cell == NULL)
            aw_json_write_string(w, NULL);
        else
            aw_json_write_bool(w, strcmp(cell, "yes") == 0);
        break;
    case REPORT_TEXT:
        aw_json_write_string(w, cell);
        break;
    }
    return AW_OK;
}

static aw_result
write_section(struct aw_json_writer *w, const struct report_section *section)
{
    aw_json_name(w, section->key);
    aw_json_begin_array(w);
    for (size_t row = 0; row < report_rows(section); row++) {
        aw_json_begin_object(w);
        for (size_t i = 0; i < section->column_count; i++)
            AW_TRY(write_cell(
                w, &section->columns[i], section->cells[row * section->column_count + i]));
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
    return AW_OK;
}

aw_result
report_write_json(const struct report_page *page, FILE *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    aw_json_begin_object(&w);
    aw_json_pair(&w, "title", page->title);
    for (size_t i = 0; i < page->section_count; i++)
        AW_TRY(write_section(&w, &page->sections[i]));
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    fprintf(out, "%s\n", text);
    return AW_OK;
}
