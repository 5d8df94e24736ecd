#include "client/configobj.h"

#include <stdlib.h>
#include <string.h>

/* Where the reading is; texts are cut to pieces in `line`. */
struct reader {
    char line[CONFIGOBJ_LINE_MAX];
    char section[CONFIGOBJ_LINE_MAX];
    const char *values[CONFIGOBJ_VALUES_MAX];
    struct configobj_entry entry;
    configobj_visit visit;
    void *context;
};

static const char blanks[] = " \t\r";

static aw_result
refuse(const struct reader *r, const char *what)
{
    return aw_fail(AW_CODE_SYNTAX, "line %u: %s", r->entry.line, what);
}

static void
cut_blanks(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && strchr(blanks, text[length - 1]) != NULL)
        text[--length] = '\0';
}

/* Behind a value: nothing, a comment, or a comma and more. *next is NULL at the end. */
static aw_result
take_separator(const struct reader *r, char *text, char **next)
{
    text += strspn(text, blanks);
    *next = NULL;
    if (*text == '\0' || *text == '#')
        return AW_OK;
    if (*text != ',')
        return refuse(r, "there is more behind a value in quotes");
    text++;
    text += strspn(text, blanks);
    *next = *text == '\0' || *text == '#' ? NULL : text;
    return AW_OK;
}

static aw_result
take_quoted(const struct reader *r, char *text, char **next)
{
    char *end = strchr(text + 1, text[0]);

    if (end == NULL || end[1] == text[0])
        return refuse(r, "a quote is not closed, or a value goes over several lines");
    *end = '\0';
    return take_separator(r, end + 1, next);
}

static aw_result
take_plain(const struct reader *r, char *text, char **next)
{
    char *end = text + strcspn(text, ",#");
    bool list = *end == ',';

    *next = NULL;
    *end = '\0';
    cut_blanks(text);
    if (list) {
        end++;
        end += strspn(end, blanks);
        *next = *end == '\0' || *end == '#' ? NULL : end;
    }
    return text[0] == '\0' && list ? refuse(r, "an item of a list is empty") : AW_OK;
}

static aw_result
take_values(struct reader *r, char *text)
{
    r->entry.value_count = 0;
    for (char *next = NULL; text != NULL; text = next) {
        bool quoted = *text == '"' || *text == '\'';

        if (r->entry.value_count == CONFIGOBJ_VALUES_MAX)
            return refuse(r, "too many items in a list");
        AW_TRY(quoted ? take_quoted(r, text, &next) : take_plain(r, text, &next));
        if (quoted || *text != '\0')
            r->values[r->entry.value_count++] = text + (quoted ? 1 : 0);
    }
    return AW_OK;
}

static aw_result
take_section(struct reader *r, char *text)
{
    size_t depth = strspn(text, "[");
    char *end = strchr(text, ']');

    if (end == NULL || depth > CONFIGOBJ_DEPTH_MAX || strspn(end, "]") != depth)
        return refuse(r, "a section's brackets do not match");
    *end = '\0';
    text += depth + strspn(text + depth, blanks);
    cut_blanks(text);
    memcpy(r->section, text, strlen(text) + 1);
    r->entry.depth = depth;
    return AW_OK;
}

static aw_result
take_line(struct reader *r)
{
    char *text = r->line + strspn(r->line, blanks);
    char *equal = strchr(text, '=');

    if (*text == '\0' || *text == '#')
        return AW_OK;
    if (*text == '[')
        return take_section(r, text);
    if (equal == NULL || equal == text)
        return refuse(r, "expected KEY = VALUE");
    *equal = '\0';
    cut_blanks(text);
    r->entry.key = text;
    AW_TRY(take_values(r, equal + 1 + strspn(equal + 1, blanks)));
    return r->visit(&r->entry, r->context);
}

static void
free_reader(struct reader **reader)
{
    free(*reader);
}

aw_result
configobj_read(const char *text, configobj_visit visit, void *context)
{
    AW_CLEANUP(free_reader) struct reader *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return aw_fail_memory();
    r->visit = visit;
    r->context = context;
    r->entry.section = r->section;
    r->entry.values = r->values;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        r->entry.line++;
        if (length >= sizeof(r->line))
            return refuse(r, "it is too long");
        memcpy(r->line, text, length);
        r->line[length] = '\0';
        AW_TRY(take_line(r));
        text += length + (text[length] == '\n');
    }
    return AW_OK;
}
