#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "answers.h"

#include <stdio.h>
#include <string.h>

#include "common/result.h"

struct answers table;

static void
take(char out[TEXT_MAX], const char *text)
{
    assert_non_null(text);
    assert_in_range(strlen(text), 1, TEXT_MAX - 1);
    memcpy(out, text, strlen(text) + 1);
}

/* "ok/token", "pin+" */
static void
take_cell(struct cell *out, char *text)
{
    char *slash = strchr(text, '/');
    char *plus = strchr(text, '+');

    out->latched = plus != NULL;
    if (plus != NULL)
        *plus = '\0';
    if (slash != NULL)
        *slash = '\0';
    take(out->once, text);
    take(out->always, slash == NULL ? text : slash + 1);
}

static struct group *
group_of(const char *name)
{
    for (unsigned i = 0; i < table.group_count; i++)
        if (strcmp(table.groups[i].name, name) == 0)
            return &table.groups[i];
    assert_in_range(table.group_count, 0, GROUPS_MAX - 1);
    take(table.groups[table.group_count].name, name);
    return &table.groups[table.group_count++];
}

static void
take_group(char **words, unsigned count)
{
    struct group *group = group_of(words[0]);

    for (unsigned i = 1; i < count; i++) {
        assert_in_range(group->count, 0, CODES_MAX - 1);
        take(group->codes[group->count++], words[i]);
    }
}

static void
take_row(char **words, unsigned count)
{
    assert_in_range(table.row_count, 0, ROWS_MAX - 1);
    struct row *row = &table.rows[table.row_count++];

    if (count != 2 + table.group_count)
        fail_msg("row %s %s has %u words", words[0], words[1], count);
    take(row->function, words[0]);
    take(row->operation, words[1]);
    for (unsigned i = 0; i < table.group_count; i++)
        take_cell(&row->cells[i], words[2 + i]);
}

static void
take_exception(char **words, unsigned count)
{
    assert_in_range(table.exception_count, 0, ROWS_MAX - 1);
    struct exception *e = &table.exceptions[table.exception_count++];

    assert_int_equal(count, 4);
    take(e->function, words[0]);
    take(e->operation, words[1]);
    take(e->code, words[2]);
    take_cell(&e->cell, words[3]);
}

static void
take_probe(char **words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_in_range(table.probe_count, 0, NAMES_MAX - 1);
        take(table.probe[table.probe_count++], words[i]);
    }
}

static void
take_line(char *line)
{
    static const struct {
        const char *name;
        void (*take)(char **words, unsigned count);
    } kinds[] = {{"group", take_group}, {"except", take_exception}, {"probe", take_probe}};
    char *words[CODES_MAX] = {NULL};
    char *rest = NULL;
    unsigned count = 0;

    line[strcspn(line, "#")] = '\0';
    for (char *word = strtok_r(line, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        assert_in_range(count, 0, CODES_MAX - 1);
        words[count++] = word;
    }
    for (size_t i = 0; count > 1 && i < AW_COUNT(kinds); i++) {
        if (strcmp(words[0], kinds[i].name) != 0)
            continue;
        kinds[i].take(words + 1, count - 1);
        return;
    }
    if (count > 0)
        take_row(words, count);
}

int
answers_read(void **state)
{
    char line[512];
    FILE *file = fopen(PROJECT_SOURCE_DIR "/tests/faults/answers.txt", "re");

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        take_line(line);
    fclose(file);
    return 0;
}
