/*
 * A report as one HTML page that needs nothing else: no script, no link, no image; a
 * Content-Security-Policy in it forbids them besides. Every text goes through write_text.
 */
#include <string.h>

#include "admin/report_page.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"referrer\" content=\"no-referrer\">\n<title>";

static const char style[] =
    "</title>\n<style>\n"
    ":root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}\n"
    "body{margin:2rem auto;max-width:90rem;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin:2rem 0 .3rem}\n"
    "p{margin:.2rem 0 .6rem;opacity:.8}\n"
    ".t{overflow-x:auto}table{border-collapse:collapse;width:100%}\n"
    "th,td{border:1px solid #8886;padding:.3rem .5rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}\n"
    "th{background:#8882;position:sticky;top:0}tbody tr:nth-child(even){background:#8881}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.w{white-space:nowrap}\n"
    "nav a{margin-right:1rem}@media print{nav{display:none}}\n"
    "</style>\n</head>\n<body>\n";

static void
write_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static void
write_element(FILE *out, const char *name, const char *text)
{
    fprintf(out, "<%s>", name);
    write_text(out, text);
    fprintf(out, "</%s>", name);
}

static const char *
class_of(enum report_kind kind)
{
    return kind == REPORT_NUMBER ? " class=\"n\"" : kind == REPORT_TIME ? " class=\"w\"" : "";
}

static void
write_cell(FILE *out, const struct report_column *column, const char *cell)
{
    char item[REPORT_SHOWN_SIZE];
    bool first = true;

    fprintf(out, "<td%s>", class_of(column->kind));
    for (const char *rest = cell; report_item(column, &rest, item); first = false) {
        fputs(first ? "" : "<br>", out);
        write_text(out, item);
    }
    fputs("</td>", out);
}

static void
write_rows(FILE *out, const struct report_section *section)
{
    fputs("<div class=\"t\"><table>\n<thead><tr>", out);
    for (size_t i = 0; i < section->column_count; i++) {
        fprintf(out, "<th scope=\"col\"%s>", class_of(section->columns[i].kind));
        write_text(out, section->columns[i].title);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t row = 0; row < report_rows(section); row++) {
        fputs("<tr>", out);
        for (size_t i = 0; i < section->column_count; i++)
            write_cell(out, &section->columns[i], section->cells[row * section->column_count + i]);
        fputs("</tr>\n", out);
    }
    fputs("</tbody>\n</table></div>\n", out);
}

static void
write_section(FILE *out, const struct report_section *section)
{
    fprintf(out, "<section id=\"%s\">\n", section->key);
    write_element(out, "h2", section->title);
    fputc('\n', out);
    if (section->about != NULL)
        write_element(out, "p", section->about);
    if (report_rows(section) == 0)
        write_element(out, "p", "None.");
    else
        write_rows(out, section);
    fputs("</section>\n", out);
}

void
report_write_html(const struct report_page *page, FILE *out)
{
    fputs(head, out);
    write_text(out, page->title);
    fputs(style, out);
    write_element(out, "h1", page->title);
    fputs("\n<nav>", out);
    for (size_t i = 0; i < page->section_count; i++) {
        fprintf(out, "<a href=\"#%s\">", page->sections[i].key);
        write_text(out, page->sections[i].title);
        fputs("</a>", out);
    }
    fputs("</nav>\n", out);
    for (size_t i = 0; i < page->section_count; i++)
        write_section(out, &page->sections[i]);
    fputs("</body>\n</html>\n", out);
}
