/**
 * @file report_page.h
 * @brief A report as sections of rows, and its four forms: text, CSV, JSON, HTML.
 *
 * What is filled in may come from anybody: cells are escaped for each form, and nothing in one can
 * become markup, a formula of a spreadsheet, or a terminal's command. A page owns its cells; what
 * describes columns is the caller's. Want of memory is remembered and told by report_render.
 */
#ifndef AW_ADMIN_REPORT_PAGE_H
#define AW_ADMIN_REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/result.h"

/** Limits. */
enum { REPORT_SECTIONS_MAX = 16 };

/** What a column's cells are. */
enum report_kind {
    REPORT_TEXT,
    REPORT_LIST, /**< several texts, one a line; in JSON an array */
    REPORT_NUMBER,
    REPORT_TIME, /**< Unix seconds; for people as UTC */
    REPORT_BOOL,
};

/** A column. */
struct report_column {
    const char *key;   /**< member in JSON, heading in CSV: stable */
    const char *title; /**< for people */
    enum report_kind kind;
};

/** Rows of one kind. */
struct report_section {
    const char *key;
    const char *title;
    const char *about; /**< a sentence; NULL: none */
    const struct report_column *columns;
    size_t column_count;
    bool records; /**< too wide for a table on a terminal: a row is a paragraph there */
    char **cells; /**< row by row; NULL: nothing. Owned by the page */
    size_t cell_count, cell_room;
};

/** The whole. Zero-initialise but for the title; release: report_page_free. */
struct report_page {
    const char *title;
    struct report_section sections[REPORT_SECTIONS_MAX];
    size_t section_count;
    bool failed;
};

/** Forms, as --format has them. */
#define REPORT_FORMATS(X) \
    X(TEXT, "text")       \
    X(CSV, "csv")         \
    X(JSON, "json")       \
    X(HTML, "html")

/** Forms. */
enum report_format {
#define REPORT_FORMAT_ENUM(name, text) REPORT_FORMAT_##name,
    REPORT_FORMATS(REPORT_FORMAT_ENUM)
#undef REPORT_FORMAT_ENUM
};

/** The form of that name; AW_CODE_USAGE. */
AW_MUST_USE aw_result report_format_of(const char *name, enum report_format *out);

/** Begins a section: cells that follow are its. Its cells of `section` are not looked at. */
void report_begin(struct report_page *page, const struct report_section *section);

/**
 * @name Cells
 * Each adds the next cell of the section that was begun last. Want of memory is told by
 * report_render.
 * @{
 */
void report_text(struct report_page *page, const char *text); /**< NULL: an empty cell */
void report_list(struct report_page *page, const char *const *items, size_t count);
void report_number(struct report_page *page, int64_t number);
void report_time(struct report_page *page, int64_t time); /**< Unix seconds; 0: never */
void report_bool(struct report_page *page, bool value);
/** @} */

/** Rows of a section. */
size_t report_rows(const struct report_section *section);

/** Writes it in that form; AW_CODE_MEMORY, or AW_CODE_INTERNAL for a row that is not whole. */
AW_MUST_USE aw_result report_render(
    const struct report_page *page, enum report_format format, FILE *out);

/** Releases the cells and zeroes. */
void report_page_free(struct report_page *page);

/**
 * @name Forms
 * One a file, called by report_render, which looks at the stream's errors.
 * @{
 */
void report_write_text(const struct report_page *page, FILE *out);
void report_write_csv(const struct report_page *page, FILE *out);
void report_write_html(const struct report_page *page, FILE *out);
AW_MUST_USE aw_result report_write_json(const struct report_page *page, FILE *out);
/** @} */

/** Octets of a cell's text that a form for people shows, with the NUL; longer ones are cut. */
enum { REPORT_SHOWN_SIZE = 4096 };

/**
 * The next item of a cell as people read it, control characters and invalid octets escaped; a cell
 * that is no list has one. @param[in,out] rest begins as the cell, NULL behind its last item
 * @return false when there is none left
 */
bool
report_item(const struct report_column *column, const char **rest, char out[REPORT_SHOWN_SIZE]);

#endif
