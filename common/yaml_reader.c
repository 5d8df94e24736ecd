#include "common/yaml.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PATH_MAX_SHOWN = 200,  /* octets of a field's path in a fault */
    VALUE_MAX_SHOWN = 60,  /* octets of a value in a fault */
    EXPECTED_MAX = 400,    /* octets of the "expected" part of a fault */
    KEY_MAX_COMPARED = 40, /* octets of a key that is still compared with the known ones */
    DIGITS_MAX = 18,       /* decimal digits that surely fit an int64_t */
};

/* Fault texts. */

/* What a person would call the node: a short value in quotes, or its kind. */
static void
describe(aw_yaml_node node, char *out, size_t capacity)
{
    const char *text;
    size_t length;

    if (!aw_yaml_scalar(node, &text, &length)) {
        snprintf(out, capacity, "%s", aw_yaml_kind_text(node));
        return;
    }
    if (length <= VALUE_MAX_SHOWN) {
        snprintf(out, capacity, "\"%s\"", text);
        return;
    }
    /* Cut between characters: a UTF-8 continuation octet is 10xxxxxx. */
    length = VALUE_MAX_SHOWN;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    snprintf(out, capacity, "\"%.*s...\"", (int)length, text);
}

/* "limits.orders_per_day: found "many", expected ..." */
static void
    AW_PRINTF(3, 4) expected(aw_yaml_node node, struct aw_faults *faults, const char *format, ...)
{
    char path[PATH_MAX_SHOWN] = "", found[VALUE_MAX_SHOWN + 8], wanted[EXPECTED_MAX];
    va_list ap;

    if (faults->count == AW_YAML_MAX_FAULTS) {
        faults->total++;
        return;
    }
    va_start(ap, format);
    vsnprintf(wanted, sizeof(wanted), format, ap);
    va_end(ap);
    describe(node, found, sizeof(found));
    aw_yaml_path(node, path, sizeof(path));
    aw_yaml_fault(node, faults, "%s%sfound %s, expected %s", path, path[0] == '\0' ? "" : ": ",
        found, wanted);
}

/* Scalars. */

static char *
copy_text(aw_yaml_node node, struct aw_faults *faults)
{
    const char *text;
    size_t length;

    if (!aw_yaml_scalar(node, &text, &length) || length == 0) {
        expected(node, faults, "text");
        return NULL;
    }
    char *copy = strdup(text);
    if (copy == NULL)
        aw_yaml_fault(node, faults, "out of memory");
    return copy;
}

static void
read_string(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    char **out = slot;
    char *text = copy_text(node, faults);

    (void)field;
    if (text == NULL)
        return;
    free(*out);
    *out = text;
}

/* Decimal without leading zeros (007 is octal to some readers), sign only as '-'. */
static bool
parse_integer(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t count = strspn(digits, "0123456789");

    if (count == 0 || count > DIGITS_MAX || digits[count] != '\0')
        return false;
    if (digits[0] == '0' && (count > 1 || digits != text))
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

static void
read_integer(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    const char *text;
    size_t length;
    int64_t value = 0;

    if (aw_yaml_shape(node) == AW_YAML_IS_PLAIN && aw_yaml_scalar(node, &text, &length) &&
        parse_integer(text, &value) && value >= field->min && value <= field->max)
        *(int64_t *)slot = value;
    else
        expected(node, faults, "an integer from %lld to %lld%s", (long long)field->min,
            (long long)field->max,
            aw_yaml_shape(node) == AW_YAML_IS_QUOTED ? " without quotes" : "");
}

static void
read_bool(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    const char *text;
    size_t length;
    bool plain = aw_yaml_shape(node) == AW_YAML_IS_PLAIN && aw_yaml_scalar(node, &text, &length);

    (void)field;
    if (plain && strcmp(text, "true") == 0)
        *(bool *)slot = true;
    else if (plain && strcmp(text, "false") == 0)
        *(bool *)slot = false;
    else
        expected(node, faults, "true or false");
}

static int
number_of(const char *digits, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < count; i++)
        value = value * 10 + (digits[i] - '0');
    return value;
}

static bool
parse_date(const char *text, size_t length, int64_t *out)
{
    if (length != 10)
        return false;
    for (size_t i = 0; i < length; i++)
        if (i == 4 || i == 7 ? text[i] != '-' : !isdigit((unsigned char)text[i]))
            return false;
    struct tm day = {.tm_year = number_of(text, 4) - 1900,
        .tm_mon = number_of(text + 5, 2) - 1,
        .tm_mday = number_of(text + 8, 2)};
    struct tm normal = day;
    time_t seconds = timegm(&normal);
    /* timegm carries the 31st of June over to July: then the day does not exist. */
    if (normal.tm_mon != day.tm_mon || normal.tm_mday != day.tm_mday)
        return false;
    *out = seconds;
    return true;
}

static void
read_date(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    const char *text;
    size_t length;

    (void)field;
    if (!aw_yaml_scalar(node, &text, &length) || !parse_date(text, length, slot))
        expected(node, faults, "a date as YYYY-MM-DD");
}

/* Appends `name` to a list of names for a person, "a, b, c". */
static void
list_name(char *list, size_t capacity, const char *name)
{
    size_t used = strlen(list);

    snprintf(list + used, capacity - used, "%s%s", used > 0 ? ", " : "", name);
}

static void
read_enum(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    const char *text;
    size_t length;
    char names[EXPECTED_MAX - 32] = "";
    bool scalar = aw_yaml_scalar(node, &text, &length);

    for (int i = 0; field->choices[i] != NULL; i++) {
        list_name(names, sizeof(names), field->choices[i]);
        if (!scalar || strcmp(text, field->choices[i]) != 0)
            continue;
        *(int *)slot = i;
        return;
    }
    expected(node, faults, "one of %s", names);
}

/* Lists. */

static void
expected_list(aw_yaml_node node, const struct aw_yaml_field *field, struct aw_faults *faults)
{
    if (field->max > 0)
        expected(
            node, faults, "a list of %lld to %lld", (long long)field->min, (long long)field->max);
    else if (field->min > 0)
        expected(node, faults, "a list of at least %lld", (long long)field->min);
    else
        expected(node, faults, "a list");
}

/* True for a list whose length is within the field's bounds. */
static bool
check_list(aw_yaml_node node, const struct aw_yaml_field *field, struct aw_faults *faults)
{
    char path[PATH_MAX_SHOWN];
    int64_t size = (int64_t)aw_yaml_size(node);

    if (aw_yaml_shape(node) != AW_YAML_IS_LIST) {
        expected_list(node, field, faults);
        return false;
    }
    if (size >= field->min && (field->max == 0 || size <= field->max))
        return true;
    aw_yaml_path(node, path, sizeof(path));
    if (field->max > 0)
        aw_yaml_fault(node, faults, "%s: found a list of %lld, expected %lld to %lld", path,
            (long long)size, (long long)field->min, (long long)field->max);
    else
        aw_yaml_fault(node, faults, "%s: found a list of %lld, expected at least %lld", path,
            (long long)size, (long long)field->min);
    return false;
}

static void *
new_items(aw_yaml_node node, size_t item_size, struct aw_faults *faults)
{
    size_t size = aw_yaml_size(node);
    void *items = calloc(size > 0 ? size : 1, item_size);

    if (items == NULL)
        aw_yaml_fault(node, faults, "out of memory");
    return items;
}

static void
release_strings(struct aw_yaml_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i].text);
    free(strings->items);
    *strings = (struct aw_yaml_strings){0};
}

static void
read_strings(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    struct aw_yaml_strings *out = slot;
    struct aw_yaml_strings strings = {0};

    if (!check_list(node, field, faults))
        return;
    strings.items = new_items(node, sizeof(*strings.items), faults);
    if (strings.items == NULL)
        return;
    for (size_t i = 0; i < aw_yaml_size(node); i++) {
        aw_yaml_node item = aw_yaml_item(node, i);
        char *text = copy_text(item, faults);

        if (text != NULL)
            strings.items[strings.count++] = (struct aw_yaml_string){text, item};
    }
    release_strings(out);
    *out = strings;
}

static void
read_list(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    struct aw_yaml_items *out = slot;
    struct aw_yaml_items list = {0};

    if (!check_list(node, field, faults))
        return;
    list.items = new_items(node, sizeof(*list.items), faults);
    if (list.items == NULL)
        return;
    for (size_t i = 0; i < aw_yaml_size(node); i++) {
        aw_yaml_node item = aw_yaml_item(node, i);

        if (aw_yaml_shape(item) == AW_YAML_IS_MAPPING)
            list.items[list.count++] = item;
        else
            expected(item, faults, "a mapping");
    }
    free(out->items);
    *out = list;
}

/* Mappings. */

static void
read_nested(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    aw_yaml_read_mapping(node, field->fields, slot, faults);
}

static void
read_node(
    aw_yaml_node node, const struct aw_yaml_field *field, void *slot, struct aw_faults *faults)
{
    (void)field;
    (void)faults;
    *(aw_yaml_node *)slot = node;
}

static void (*const readers[])(
    aw_yaml_node, const struct aw_yaml_field *, void *, struct aw_faults *) = {
    [AW_YAML_STRING] = read_string,
    [AW_YAML_INTEGER] = read_integer,
    [AW_YAML_BOOL] = read_bool,
    [AW_YAML_DATE] = read_date,
    [AW_YAML_ENUM] = read_enum,
    [AW_YAML_STRINGS] = read_strings,
    [AW_YAML_MAPPING] = read_nested,
    [AW_YAML_LIST] = read_list,
    [AW_YAML_NODE] = read_node,
};

static size_t
field_count(const struct aw_yaml_field *fields)
{
    size_t count = 0;

    while (fields[count].name != NULL)
        count++;
    return count;
}

static size_t
smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return c < least ? c : least;
}

/* Levenshtein distance, one row at a time. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[KEY_MAX_COMPARED + 1];
    size_t width = strlen(b);

    if (strlen(a) > KEY_MAX_COMPARED || width > KEY_MAX_COMPARED)
        return SIZE_MAX;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t substituted = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = smallest(row[j] + 1, row[j + 1] + 1, substituted);
        }
    }
    return row[width];
}

/* The known key that a person most likely meant, or NULL. */
static const char *
nearest(const struct aw_yaml_field *fields, const char *key)
{
    const char *best = NULL;
    size_t least = strlen(key) / 3 + 2;

    for (; fields->name != NULL; fields++) {
        size_t d = distance(key, fields->name);

        if (d >= least)
            continue;
        least = d;
        best = fields->name;
    }
    return best;
}

static void
unknown_key(aw_yaml_node key, const struct aw_yaml_field *fields, struct aw_faults *faults)
{
    const char *text = "";
    size_t length;
    char found[VALUE_MAX_SHOWN + 8], names[EXPECTED_MAX] = "";

    if (faults->count == AW_YAML_MAX_FAULTS) {
        faults->total++;
        return;
    }
    if (!aw_yaml_scalar(key, &text, &length)) {
        aw_yaml_fault(key, faults, "found %s as a key, expected text", aw_yaml_kind_text(key));
        return;
    }
    describe(key, found, sizeof(found));
    const char *near = nearest(fields, text);
    if (strcmp(text, "<<") == 0) {
        aw_yaml_fault(key, faults, "found a merge key (<<): write the keys out");
    } else if (near != NULL) {
        aw_yaml_fault(key, faults, "unknown key %s; did you mean \"%s\"?", found, near);
    } else {
        for (; fields->name != NULL; fields++)
            list_name(names, sizeof(names), fields->name);
        aw_yaml_fault(key, faults, "unknown key %s; known here: %s", found, names);
    }
}

static size_t
find_field(const struct aw_yaml_field *fields, aw_yaml_node key)
{
    const char *text;
    size_t length, i = 0;

    if (!aw_yaml_scalar(key, &text, &length))
        return field_count(fields);
    while (fields[i].name != NULL && strcmp(fields[i].name, text) != 0)
        i++;
    return i;
}

static void
read_field(
    aw_yaml_node value, const struct aw_yaml_field *field, void *out, struct aw_faults *faults)
{
    char *base = out;

    if (field->place != 0)
        memcpy(base + field->place, &value, sizeof(value));
    readers[field->kind](value, field, base + field->offset, faults);
}

static void
missing_key(aw_yaml_node mapping, const struct aw_yaml_field *field, struct aw_faults *faults)
{
    char path[PATH_MAX_SHOWN];

    aw_yaml_path(mapping, path, sizeof(path));
    aw_yaml_fault(mapping, faults, "%s%s%s: found nothing, expected this key: it is required", path,
        path[0] == '\0' ? "" : ".", field->name);
}

void
aw_yaml_read_mapping(
    aw_yaml_node node, const struct aw_yaml_field *fields, void *out, struct aw_faults *faults)
{
    unsigned seen[AW_YAML_MAX_FIELDS] = {0}; /* line of each field; 0: not there */
    size_t count = field_count(fields);
    aw_yaml_node key, value;

    if (aw_yaml_shape(node) != AW_YAML_IS_MAPPING || count > AW_COUNT(seen)) {
        expected(node, faults, "a mapping");
        return;
    }
    for (size_t i = 0; aw_yaml_pair(node, i, &key, &value); i++) {
        size_t f = find_field(fields, key);

        if (f == count)
            unknown_key(key, fields, faults);
        else if (seen[f] != 0)
            aw_yaml_fault(key, faults, "duplicate key \"%s\"; the first one is on line %u",
                fields[f].name, seen[f]);
        else
            read_field(value, &fields[f], out, faults);
        if (f < count && seen[f] == 0)
            seen[f] = key.line;
    }
    for (size_t f = 0; f < count; f++)
        if (fields[f].required && seen[f] == 0)
            missing_key(node, &fields[f], faults);
}

static void
release_field(const struct aw_yaml_field *field, void *slot)
{
    switch (field->kind) {
    case AW_YAML_STRING:
        free(*(char **)slot);
        *(char **)slot = NULL;
        break;
    case AW_YAML_STRINGS:
        release_strings(slot);
        break;
    case AW_YAML_LIST:
        free(((struct aw_yaml_items *)slot)->items);
        *(struct aw_yaml_items *)slot = (struct aw_yaml_items){0};
        break;
    case AW_YAML_MAPPING:
        aw_yaml_release(field->fields, slot);
        break;
    case AW_YAML_INTEGER:
    case AW_YAML_DATE:
        *(int64_t *)slot = 0;
        break;
    case AW_YAML_BOOL:
        *(bool *)slot = false;
        break;
    case AW_YAML_ENUM:
        *(int *)slot = 0;
        break;
    case AW_YAML_NODE:
        *(aw_yaml_node *)slot = (aw_yaml_node){0};
        break;
    }
}

void
aw_yaml_release(const struct aw_yaml_field *fields, void *out)
{
    char *base = out;

    for (; fields->name != NULL; fields++) {
        release_field(fields, base + fields->offset);
        if (fields->place != 0)
            memset(base + fields->place, 0, sizeof(aw_yaml_node));
    }
}

void
aw_faults_write(struct aw_json_writer *w, const char *name, const struct aw_faults *faults)
{
    aw_json_name(w, name);
    aw_json_begin_array(w);
    for (size_t i = 0; i < faults->count; i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "file", faults->items[i].file);
        aw_json_pair_integer(w, "line", faults->items[i].line);
        aw_json_pair_integer(w, "column", faults->items[i].column);
        aw_json_pair(w, "message", faults->items[i].message);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}
