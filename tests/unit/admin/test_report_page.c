/* The forms of a report: what is in a cell stays text in each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/report_page.h"
#include "common/io.h"
#include "common/json.h"

static const struct report_column columns[] = {
    {"who", "who", REPORT_TEXT},
    {"names", "names", REPORT_LIST},
    {"count", "times", REPORT_NUMBER},
    {"at", "at", REPORT_TIME},
    {"well", "well", REPORT_BOOL},
};

static const struct report_section section = {.key = "rows",
    .title = "Rows & more",
    .about = "What is here.",
    .columns = columns,
    .column_count = AW_COUNT(columns)};

static void
fill_row(struct report_page *page, const char *who, const char *const *names, size_t count)
{
    report_text(page, who);
    report_list(page, names, count);
    report_number(page, -3);
    report_time(page, 1795773600);
    report_bool(page, true);
}

static char *
render(const struct report_page *page, enum report_format format)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    assert_non_null(file);
    assert_true(aw_ok(report_render(page, format, file)));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(strlen(text), size);
    return text;
}

/* One row of that text and those names. */
static char *
render_row(enum report_format format, const char *who, const char *const *names, size_t count)
{
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "A <page>"};

    report_begin(&page, &section);
    fill_row(&page, who, names, count);
    return render(&page, format);
}

static void
csv_cells_that_begin_a_formula_are_text(void **state)
{
    static const struct {
        const char *name, *text, *cell;
    } rows[] = {
        {"equals", "=1+1", "\"'=1+1\""},
        {"plus", "+1", "\"'+1\""},
        {"minus", "-2+3", "\"'-2+3\""},
        {"at", "@SUM(A1)", "\"'@SUM(A1)\""},
        {"spaces before it", "  =1", "\"'  =1\""},
        {"full-width equals",
            "\xef\xbc\x9d"
            "1",
            "\"'\xef\xbc\x9d"
            "1\""},
        {"a command", "=cmd|'/c calc'!A0", "\"'=cmd|'/c calc'!A0\""},
        {"a tab before it", "\t=1", "\"\\x09=1\""},
        {"quotes", "a\",\"b", "\"a\"\",\"\"b\""},
        {"lines", "a\r\n=b", "\"a\\x0d\\x0a=b\""},
        {"harmless", "app-team@dept.example.edu", "\"app-team@dept.example.edu\""},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *text = render_row(REPORT_FORMAT_CSV, rows[i].text, NULL, 0);
        AW_CLEANUP(aw_free) char *wanted = NULL;

        assert_true(aw_ok(aw_format(&wanted,
            "\"section\",\"who\",\"names\",\"count\",\"at\",\"well\"\r\n"
            "\"rows\",%s,\"\",\"-3\",\"2026-11-27T10:00:00Z\",\"yes\"\r\n",
            rows[i].cell)));
        if (strcmp(text, wanted) != 0)
            fail_msg("%s: %s", rows[i].name, text);
    }
}

static void
csv_items_that_begin_a_formula_are_text(void **state)
{
    static const char *const names[] = {"a.example.edu", "=1", "*.b.example.edu"};
    AW_CLEANUP(aw_free) char *text = render_row(REPORT_FORMAT_CSV, "x", names, AW_COUNT(names));

    (void)state;
    assert_non_null(strstr(text, ",\"a.example.edu; '=1; *.b.example.edu\","));
}

static void
html_cells_are_no_markup(void **state)
{
    static const struct {
        const char *name, *text, *cell;
    } rows[] = {
        {"script", "<script>alert(1)</script>", "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>"},
        {"attribute", "\" onload='x'", "<td>&quot; onload=&#39;x&#39;</td>"},
        {"entity", "&lt;b&gt;", "<td>&amp;lt;b&amp;gt;</td>"},
        {"comment", "--><!--", "<td>--&gt;&lt;!--</td>"},
        {"octets that are no UTF-8", "\xff<", "<td>\\xff&lt;</td>"},
        {"terminal", "\x1b[2J", "<td>\\x1b[2J</td>"},
        {"right to left",
            "a\xe2\x80\xae"
            "b",
            "<td>a\\xe2\\x80\\xaeb</td>"},
        {"letters",
            "b\xc3\xbc"
            "cher",
            "<td>b\xc3\xbc"
            "cher</td>"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *text = render_row(REPORT_FORMAT_HTML, rows[i].text, NULL, 0);

        if (strstr(text, rows[i].cell) == NULL)
            fail_msg("%s: %s", rows[i].name, text);
        assert_null(strstr(text, "<script"));
    }
}

static void
html_page_needs_nothing_else(void **state)
{
    static const char *const never[] = {
        "<script", "<link", "<img", "src=", "http:", "https:", "@import", "url(", "<page>"};
    static const char *const names[] = {"a.example.edu", "b.example.edu"};
    AW_CLEANUP(aw_free) char *text = render_row(REPORT_FORMAT_HTML, "x", names, AW_COUNT(names));

    (void)state;
    for (size_t i = 0; i < AW_COUNT(never); i++)
        if (strstr(text, never[i]) != NULL)
            fail_msg("%s: %s", never[i], text);
    assert_non_null(strstr(text, "default-src 'none'"));
    assert_non_null(strstr(text, "<title>A &lt;page&gt;</title>"));
    assert_non_null(strstr(text, "<h2>Rows &amp; more</h2>"));
    assert_non_null(strstr(text, "a.example.edu<br>b.example.edu"));
}

static void
json_keeps_types_and_octets(void **state)
{
    static const char *const names[] = {"a\nb", "c"};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "t"};
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    (void)state;
    report_begin(&page, &section);
    fill_row(&page, "<\"\x1b>", names, AW_COUNT(names));
    for (size_t i = 0; i < AW_COUNT(columns); i++)
        report_text(&page, NULL);
    AW_CLEANUP(aw_free) char *text = render(&page, REPORT_FORMAT_JSON);
    assert_string_equal(text,
        "{\"title\":\"t\",\"rows\":[{\"who\":\"<\\\"\\u001b>\",\"names\":[\"a b\",\"c\"],"
        "\"count\":-3,\"at\":1795773600,\"well\":true},"
        "{\"who\":null,\"names\":[],\"count\":null,\"at\":null,\"well\":null}]}\n");
    assert_true(aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json)));
}

static void
text_has_a_line_an_item(void **state)
{
    static const char *const names[] = {"a.example.edu", "b"};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "t"};

    (void)state;
    report_begin(&page, &section);
    fill_row(&page, "\x1b[2Jb\xc3\xbc", names, AW_COUNT(names));
    report_begin(&page, &section);
    AW_CLEANUP(aw_free) char *text = render(&page, REPORT_FORMAT_TEXT);
    assert_string_equal(text, "t\n\nRows & more\n-----------\nWhat is here.\n"
                              "who        names          times  at                    well\n"
                              "\\x1b[2Jb\xc3\xbc  a.example.edu     -3  2026-11-27T10:00:00Z  yes\n"
                              "           b\n"
                              "\nRows & more\n-----------\nWhat is here.\nnone\n");
}

static void
text_of_wide_rows_is_paragraphs(void **state)
{
    static const char *const names[] = {"a", "b"};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "t"};
    struct report_section wide = section;

    (void)state;
    wide.records = true;
    report_begin(&page, &wide);
    fill_row(&page, "x", names, AW_COUNT(names));
    AW_CLEANUP(aw_free) char *text = render(&page, REPORT_FORMAT_TEXT);
    assert_non_null(strstr(text, "\nx\n  names           a, b\n  times           -3\n"));
}

static void
a_row_that_is_not_whole_is_a_fault(void **state)
{
    AW_CLEANUP(report_page_free) struct report_page page = {.title = "t"};

    (void)state;
    report_begin(&page, &section);
    report_text(&page, "alone");
    assert_int_equal(report_render(&page, REPORT_FORMAT_TEXT, stdout).code, AW_CODE_INTERNAL);
}

static void
format_names(void **state)
{
    enum report_format format = REPORT_FORMAT_TEXT;

    (void)state;
    assert_true(aw_ok(report_format_of("html", &format)));
    assert_int_equal(format, REPORT_FORMAT_HTML);
    assert_int_equal(report_format_of("pdf", &format).code, AW_CODE_USAGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_cells_that_begin_a_formula_are_text),
        cmocka_unit_test(csv_items_that_begin_a_formula_are_text),
        cmocka_unit_test(html_cells_are_no_markup),
        cmocka_unit_test(html_page_needs_nothing_else),
        cmocka_unit_test(json_keeps_types_and_octets),
        cmocka_unit_test(text_has_a_line_an_item),
        cmocka_unit_test(text_of_wide_rows_is_paragraphs),
        cmocka_unit_test(a_row_that_is_not_whole_is_a_fault),
        cmocka_unit_test(format_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
