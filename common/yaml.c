#include "common/yaml.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "common/io.h"
#include "common/log.h"

enum {
    FAULT_TEXT_MAX = 1000, /* octets of a fault's message, before and after escaping */
    PATH_SEGMENT_MAX = 64, /* octets of one key in a path */
};

struct aw_yaml {
    char *name;
    yaml_document_t *document;
};

/* Faults. */

void
aw_faults_add(struct aw_faults *faults, const char *file, unsigned line, unsigned column,
    const char *format, ...)
{
    char text[FAULT_TEXT_MAX], escaped[FAULT_TEXT_MAX];
    va_list ap;

    faults->total++;
    if (faults->items == NULL)
        faults->items = calloc(AW_YAML_MAX_FAULTS, sizeof(*faults->items));
    if (faults->items == NULL || faults->count == AW_YAML_MAX_FAULTS)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    aw_log_escape(text, strlen(text), escaped, sizeof(escaped));
    struct aw_fault fault = {strdup(file), line, column, strdup(escaped)};
    if (fault.file == NULL || fault.message == NULL) {
        free(fault.file);
        free(fault.message);
        return;
    }
    faults->items[faults->count++] = fault;
}

static void
fault_text(const struct aw_fault *fault, char *out, size_t capacity)
{
    char file[FAULT_TEXT_MAX];

    aw_log_escape(fault->file, strlen(fault->file), file, sizeof(file));
    if (fault->line == 0)
        snprintf(out, capacity, "%s: %s", file, fault->message);
    else
        snprintf(out, capacity, "%s:%u:%u: %s", file, fault->line, fault->column, fault->message);
}

void
aw_faults_print(const struct aw_faults *faults, FILE *stream)
{
    char text[2 * FAULT_TEXT_MAX + 32];

    for (size_t i = 0; i < faults->count; i++) {
        fault_text(&faults->items[i], text, sizeof(text));
        fprintf(stream, "%s\n", text);
    }
    if (faults->total > faults->count)
        fprintf(stream, "... and %zu more faults\n", faults->total - faults->count);
}

/* The result of the faults that were added since `before`. */
static aw_result
result_since(const struct aw_faults *faults, const struct aw_faults *before)
{
    char text[2 * FAULT_TEXT_MAX + 32];
    size_t found = faults->total - before->total;

    if (found == 0)
        return AW_OK;
    if (faults->count == before->count)
        return aw_fail(AW_CODE_CONFIG, "%zu faults in configuration files", found);
    fault_text(&faults->items[before->count], text, sizeof(text));
    if (found == 1)
        return aw_fail(AW_CODE_CONFIG, "%s", text);
    return aw_fail(AW_CODE_CONFIG, "%.950s (and %zu more)", text, found - 1);
}

aw_result
aw_faults_result(const struct aw_faults *faults)
{
    return result_since(faults, &(struct aw_faults){0});
}

void
aw_faults_free(struct aw_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        free(faults->items[i].file);
        free(faults->items[i].message);
    }
    free(faults->items);
    memset(faults, 0, sizeof(*faults));
}

/* Survey: libyaml's document tree shows neither aliases nor tags nor depth, its events do. */

struct survey {
    const char *name;
    struct aw_faults *faults;
    unsigned depth;
    unsigned documents;
    bool done;
};

static void AW_PRINTF(3, 4)
    survey_fault(struct survey *s, const yaml_event_t *event, const char *format, ...)
{
    char text[FAULT_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    aw_faults_add(s->faults, s->name, (unsigned)event->start_mark.line + 1,
        (unsigned)event->start_mark.column + 1, "%s", text);
}

static void
survey_properties(
    struct survey *s, const yaml_event_t *event, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        survey_fault(s, event,
            "found the anchor \"&%.64s\", expected the value itself: anchors "
            "and aliases are not allowed",
            (const char *)anchor);
    if (tag != NULL)
        survey_fault(s, event,
            "found the tag \"%.64s\", expected the value alone: tags are not "
            "allowed",
            (const char *)tag);
}

/* C0, DEL and C1 (U+0080 to U+009F, C2 80 to C2 9F in UTF-8); libyaml has checked the encoding. */
static bool
is_control(const unsigned char *at, const unsigned char *end)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return true;
    return at[0] == 0xc2 && at + 1 < end && at[1] < 0xa0;
}

static void
survey_scalar(struct survey *s, const yaml_event_t *event)
{
    const unsigned char *text = event->data.scalar.value;
    const unsigned char *end = text + event->data.scalar.length;

    survey_properties(s, event, event->data.scalar.anchor, event->data.scalar.tag);
    for (const unsigned char *at = text; at < end; at++) {
        if (!is_control(at, end))
            continue;
        survey_fault(s, event,
            "found a value with the control character U+%04X, expected "
            "printable text on one line",
            at[0] == 0xc2 ? at[1] : at[0]);
        return;
    }
}

static void
survey_deeper(struct survey *s, const yaml_event_t *event)
{
    if (++s->depth <= AW_YAML_MAX_DEPTH)
        return;
    survey_fault(s, event, "found lists and mappings nested deeper than %d", AW_YAML_MAX_DEPTH);
    s->done = true;
}

static void
survey_document(struct survey *s, const yaml_event_t *event)
{
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        survey_fault(s, event, "found a %%TAG directive: tags are not allowed");
    if (++s->documents == 1)
        return;
    survey_fault(s, event, "found a second document, expected one only");
    s->done = true;
}

static void
survey_event(struct survey *s, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        survey_document(s, event);
        break;
    case YAML_ALIAS_EVENT:
        survey_fault(s, event,
            "found the alias \"*%.64s\", expected a value: anchors and aliases "
            "are not allowed",
            (const char *)event->data.alias.anchor);
        break;
    case YAML_SCALAR_EVENT:
        survey_scalar(s, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        survey_properties(
            s, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        survey_deeper(s, event);
        break;
    case YAML_MAPPING_START_EVENT:
        survey_properties(
            s, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        survey_deeper(s, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        s->depth--;
        break;
    case YAML_STREAM_END_EVENT:
        s->done = true;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
}

/* Place of an octet; libyaml's reader gives only an offset. */
static void
place_of_offset(const char *text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            (*column)++;
        }
    }
}

static void
reader_fault(const yaml_parser_t *parser, const char *name, const char *text, size_t length,
    struct aw_faults *faults)
{
    unsigned line, column;
    size_t offset = parser->problem_offset;

    place_of_offset(text, offset < length ? offset : length, &line, &column);
    if (parser->problem_value >= 0)
        aw_faults_add(faults, name, line, column, "%s (0x%02X), expected printable UTF-8",
            parser->problem, (unsigned)parser->problem_value);
    else
        aw_faults_add(faults, name, line, column, "%s, expected UTF-8", parser->problem);
}

static void
syntax_fault(const yaml_parser_t *parser, const char *name, struct aw_faults *faults)
{
    unsigned line = (unsigned)parser->problem_mark.line + 1;
    unsigned column = (unsigned)parser->problem_mark.column + 1;

    if (parser->context == NULL)
        aw_faults_add(faults, name, line, column, "not YAML: %s", parser->problem);
    else
        aw_faults_add(faults, name, line, column, "not YAML: %s (%s that began on line %zu)",
            parser->problem, parser->context, parser->context_mark.line + 1);
}

static void
survey(const char *name, const char *text, size_t length, struct aw_faults *faults)
{
    AW_CLEANUP(yaml_parser_delete) yaml_parser_t parser;
    struct survey s = {.name = name, .faults = faults};

    if (yaml_parser_initialize(&parser) == 0) {
        aw_faults_add(faults, name, 0, 0, "out of memory");
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    while (!s.done) {
        AW_CLEANUP(yaml_event_delete) yaml_event_t event;

        if (yaml_parser_parse(&parser, &event) != 0) {
            survey_event(&s, &event);
            continue;
        }
        if (parser.error == YAML_READER_ERROR)
            reader_fault(&parser, name, text, length, faults);
        else if (parser.error == YAML_MEMORY_ERROR)
            aw_faults_add(faults, name, 0, 0, "out of memory");
        else
            syntax_fault(&parser, name, faults);
        return;
    }
}

/* The document. */

static yaml_document_t *
load_document(const char *text, size_t length)
{
    AW_CLEANUP(aw_free) yaml_document_t *document = calloc(1, sizeof(*document));
    AW_CLEANUP(yaml_parser_delete) yaml_parser_t parser;

    if (yaml_parser_initialize(&parser) == 0 || document == NULL)
        return NULL;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    return yaml_parser_load(&parser, document) == 0 ? NULL : AW_MOVE(document);
}

static aw_yaml *
new_yaml(const char *name, const char *text, size_t length)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = calloc(1, sizeof(*yaml));

    if (yaml == NULL)
        return NULL;
    yaml->name = strdup(name);
    yaml->document = load_document(text, length);
    return yaml->name == NULL || yaml->document == NULL ? NULL : AW_MOVE(yaml);
}

static bool
starts_with_bom(const char *text, size_t length)
{
    return length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
}

aw_result
aw_yaml_parse(
    const char *name, const char *text, size_t length, struct aw_faults *faults, aw_yaml **out)
{
    struct aw_faults before = *faults;

    *out = NULL;
    if (length > AW_YAML_MAX_SIZE)
        aw_faults_add(
            faults, name, 0, 0, "found %zu octets, expected at most %d", length, AW_YAML_MAX_SIZE);
    else if (starts_with_bom(text, length))
        aw_faults_add(
            faults, name, 1, 1, "found a byte order mark: save the file as UTF-8 without one");
    else
        survey(name, text, length, faults);
    AW_TRY(result_since(faults, &before));
    *out = new_yaml(name, text, length);
    if (*out == NULL)
        aw_faults_add(faults, name, 0, 0, "out of memory");
    return result_since(faults, &before);
}

aw_result
aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_faults before = *faults;
    size_t length = 0;

    *out = NULL;
    if (aw_ok(aw_file_read(path, AW_YAML_MAX_SIZE, &text, &length)))
        return aw_yaml_parse(path, text, length, faults, out);
    aw_faults_add(faults, path, 0, 0, "%s", aw_error_last()->message);
    return result_since(faults, &before);
}

void
aw_yaml_free(aw_yaml **yaml)
{
    if (yaml == NULL || *yaml == NULL)
        return;
    if ((*yaml)->document != NULL)
        yaml_document_delete((*yaml)->document);
    free((*yaml)->document);
    free((*yaml)->name);
    free(*yaml);
    *yaml = NULL;
}

const char *
aw_yaml_name(const aw_yaml *yaml)
{
    return yaml->name;
}

/* Nodes. */

static const yaml_node_t *
libyaml_node(aw_yaml_node node)
{
    return node.yaml == NULL ? NULL : yaml_document_get_node(node.yaml->document, node.index);
}

static aw_yaml_node
node_at(const aw_yaml *yaml, int index)
{
    const yaml_node_t *n = yaml_document_get_node(yaml->document, index);

    if (n == NULL)
        return (aw_yaml_node){.yaml = yaml, .line = 1, .column = 1};
    return (aw_yaml_node){.yaml = yaml,
        .index = index,
        .line = (unsigned)n->start_mark.line + 1,
        .column = (unsigned)n->start_mark.column + 1};
}

aw_yaml_node
aw_yaml_root(const aw_yaml *yaml)
{
    return node_at(yaml, 1);
}

/* YAML 1.2 section 10.2: the plain forms of null. */
static bool
is_null(const yaml_node_t *n)
{
    static const char *const forms[] = {"", "~", "null", "Null", "NULL"};

    for (size_t i = 0; i < AW_COUNT(forms); i++)
        if (strcmp((const char *)n->data.scalar.value, forms[i]) == 0)
            return true;
    return false;
}

enum aw_yaml_shape
aw_yaml_shape(aw_yaml_node node)
{
    const yaml_node_t *n = libyaml_node(node);

    if (n == NULL)
        return AW_YAML_IS_NOTHING;
    switch (n->type) {
    case YAML_SCALAR_NODE:
        if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
            return AW_YAML_IS_QUOTED;
        return is_null(n) ? AW_YAML_IS_NOTHING : AW_YAML_IS_PLAIN;
    case YAML_SEQUENCE_NODE:
        return AW_YAML_IS_LIST;
    case YAML_MAPPING_NODE:
        return AW_YAML_IS_MAPPING;
    case YAML_NO_NODE:
        break;
    }
    return AW_YAML_IS_NOTHING;
}

const char *
aw_yaml_kind_text(aw_yaml_node node)
{
    switch (aw_yaml_shape(node)) {
    case AW_YAML_IS_PLAIN:
    case AW_YAML_IS_QUOTED:
        return "a value";
    case AW_YAML_IS_LIST:
        return "a list";
    case AW_YAML_IS_MAPPING:
        return "a mapping";
    case AW_YAML_IS_NOTHING:
        break;
    }
    return "nothing";
}

bool
aw_yaml_scalar(aw_yaml_node node, const char **text, size_t *length)
{
    const yaml_node_t *n = libyaml_node(node);

    if (n == NULL || n->type != YAML_SCALAR_NODE || aw_yaml_shape(node) == AW_YAML_IS_NOTHING)
        return false;
    *text = (const char *)n->data.scalar.value;
    *length = n->data.scalar.length;
    return true;
}

size_t
aw_yaml_size(aw_yaml_node node)
{
    const yaml_node_t *n = libyaml_node(node);

    if (n != NULL && n->type == YAML_SEQUENCE_NODE)
        return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (n != NULL && n->type == YAML_MAPPING_NODE)
        return (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
    return 0;
}

aw_yaml_node
aw_yaml_item(aw_yaml_node list, size_t index)
{
    const yaml_node_t *n = libyaml_node(list);

    if (n == NULL || n->type != YAML_SEQUENCE_NODE || index >= aw_yaml_size(list))
        return (aw_yaml_node){.yaml = list.yaml, .line = list.line, .column = list.column};
    return node_at(list.yaml, n->data.sequence.items.start[index]);
}

bool
aw_yaml_pair(aw_yaml_node mapping, size_t index, aw_yaml_node *key, aw_yaml_node *value)
{
    const yaml_node_t *n = libyaml_node(mapping);

    if (n == NULL || n->type != YAML_MAPPING_NODE || index >= aw_yaml_size(mapping))
        return false;
    const yaml_node_pair_t *pair = &n->data.mapping.pairs.start[index];
    *key = node_at(mapping.yaml, pair->key);
    *value = node_at(mapping.yaml, pair->value);
    return true;
}

/* Paths. */

/* Writes how `parent` calls the node ("[2]" or a key's text); false when it is not its parent. */
static bool
segment_in(aw_yaml_node parent, int index, char segment[PATH_SEGMENT_MAX])
{
    const yaml_node_t *n = libyaml_node(parent);
    size_t size = aw_yaml_size(parent);

    for (size_t i = 0; i < size && n->type == YAML_SEQUENCE_NODE; i++) {
        if (n->data.sequence.items.start[i] != index)
            continue;
        snprintf(segment, PATH_SEGMENT_MAX, "[%zu]", i);
        return true;
    }
    for (size_t i = 0; i < size && n->type == YAML_MAPPING_NODE; i++) {
        const yaml_node_pair_t *pair = &n->data.mapping.pairs.start[i];
        const char *text = "?";
        size_t length;

        if (pair->value != index && pair->key != index)
            continue;
        if (!aw_yaml_scalar(node_at(parent.yaml, pair->key), &text, &length))
            text = "?";
        snprintf(segment, PATH_SEGMENT_MAX, "%.60s", text);
        return true;
    }
    return false;
}

/* libyaml numbers a parent before its children, so it is searched for downwards. */
static int
find_parent(const aw_yaml *yaml, int index, char segment[PATH_SEGMENT_MAX])
{
    for (int candidate = index - 1; candidate > 0; candidate--)
        if (segment_in(node_at(yaml, candidate), index, segment))
            return candidate;
    return 0;
}

void
aw_yaml_path(aw_yaml_node node, char *out, size_t capacity)
{
    char segments[AW_YAML_MAX_DEPTH + 1][PATH_SEGMENT_MAX];
    size_t count = 0, used = 0;
    int index = node.index;

    out[0] = '\0';
    while (index > 1 && count < AW_COUNT(segments))
        index = find_parent(node.yaml, index, segments[count++]);
    while (count > 0 && used < capacity) {
        const char *segment = segments[--count];
        const char *dot = used > 0 && segment[0] != '[' ? "." : "";

        used += (size_t)snprintf(out + used, capacity - used, "%s%s", dot, segment);
    }
}

void
aw_yaml_fault(aw_yaml_node node, struct aw_faults *faults, const char *format, ...)
{
    char text[FAULT_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    aw_faults_add(faults, node.yaml->name, node.line, node.column, "%s", text);
}
