/* Configuration files: every node has its place and path; a table reads any tree or says why not.
 */
#include "common/yaml.h"

#include <string.h>

#include "fuzz.h"

/* One row of each kind. */
struct sample {
    char *string;
    int64_t integer;
    bool boolean;
    int64_t date;
    int choice;
    struct aw_yaml_strings strings;
    struct {
        char *inner;
    } mapping;
    struct aw_yaml_items list;
    aw_yaml_node node;
    aw_yaml_node place;
};

static const char *const choices[] = {"one", "two", NULL};

static const struct aw_yaml_field inner_fields[] = {
    {.name = "inner", .kind = AW_YAML_STRING, .offset = offsetof(struct sample, mapping.inner)},
    {.name = NULL},
};

#define AT(member) .offset = offsetof(struct sample, member)
static const struct aw_yaml_field fields[] = {
    {.name = "string", .kind = AW_YAML_STRING, AT(string), .place = offsetof(struct sample, place)},
    {.name = "integer", .kind = AW_YAML_INTEGER, AT(integer), .min = -10, .max = 10000},
    {.name = "boolean", .kind = AW_YAML_BOOL, AT(boolean)},
    {.name = "date", .kind = AW_YAML_DATE, AT(date)},
    {.name = "choice", .kind = AW_YAML_ENUM, AT(choice), .choices = choices},
    {.name = "strings", .kind = AW_YAML_STRINGS, AT(strings), .min = 1, .max = 5},
    {.name = "mapping", .kind = AW_YAML_MAPPING, .fields = inner_fields},
    {.name = "list", .kind = AW_YAML_LIST, AT(list)},
    {.name = "node", .kind = AW_YAML_NODE, AT(node)},
    {.name = NULL},
};
#undef AT

static void
check_node(aw_yaml_node node, unsigned depth)
{
    char path[256];
    const char *text;
    size_t length;

    FUZZ_CHECK(depth <= AW_YAML_MAX_DEPTH && node.line >= 1 && node.column >= 1);
    aw_yaml_path(node, path, sizeof(path));
    FUZZ_CHECK(strlen(path) < sizeof(path));
    if (aw_yaml_scalar(node, &text, &length)) {
        FUZZ_CHECK(strlen(text) == length);
        fuzz_check_plain(text);
    }
    FUZZ_CHECK(aw_yaml_kind_text(node) != NULL);
}

static void
check_tree(aw_yaml_node node, unsigned depth)
{
    aw_yaml_node key, value;
    bool container =
        aw_yaml_shape(node) == AW_YAML_IS_LIST || aw_yaml_shape(node) == AW_YAML_IS_MAPPING;

    check_node(node, depth + container);
    for (size_t i = 0; i < aw_yaml_size(node); i++) {
        if (aw_yaml_shape(node) == AW_YAML_IS_LIST) {
            check_tree(aw_yaml_item(node, i), depth + container);
            continue;
        }
        FUZZ_CHECK(aw_yaml_pair(node, i, &key, &value));
        check_node(key, depth + container);
        check_tree(value, depth + container);
    }
    FUZZ_CHECK(aw_yaml_item(node, aw_yaml_size(node)).index == 0);
    FUZZ_CHECK(!aw_yaml_pair(node, aw_yaml_size(node), &key, &value));
}

/* True when it reads without faults. */
static bool
check_table(aw_yaml_node root)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    struct sample sample = {.integer = 7};

    aw_yaml_read_mapping(root, fields, &sample, &faults);
    fuzz_check_faults(&faults);
    FUZZ_CHECK(sample.integer >= -10 && sample.integer <= 10000);
    FUZZ_CHECK(sample.choice == 0 || sample.choice == 1);
    FUZZ_CHECK(sample.string == NULL || (*sample.string != '\0' && sample.place.line >= 1));
    fuzz_check_plain(sample.string);
    fuzz_check_plain(sample.mapping.inner);
    if (faults.total == 0 && sample.strings.items != NULL)
        FUZZ_CHECK(sample.strings.count >= 1 && sample.strings.count <= 5);
    aw_yaml_release(fields, &sample);
    return faults.total == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    aw_result r = aw_yaml_parse("input.yaml", (const char *)data, size, &faults, &yaml);

    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (yaml != NULL) && aw_ok(r) == (faults.total == 0));
    if (yaml == NULL) {
        FUZZ_CHECK(r.code == AW_CODE_CONFIG);
        return 0;
    }
    FUZZ_CHECK(strcmp(aw_yaml_name(yaml), "input.yaml") == 0);
    check_tree(aw_yaml_root(yaml), 0);
    if (check_table(aw_yaml_root(yaml)))
        fuzz_accept();
    return 0;
}
