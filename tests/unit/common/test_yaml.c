#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/yaml.h"
#include "tests/unit/common/mutate.h"

/* A struct with one field of each kind, and its table. */

struct limits {
    int64_t orders_per_day;
    char *note;
};

struct principal {
    char *user;
};

struct sample {
    char *owner;
    int64_t count;
    bool on;
    int64_t expires;
    int mode;
    struct aw_yaml_strings names;
    aw_yaml_node names_place;
    struct limits limits;
    struct aw_yaml_items principals;
    aw_yaml_node any;
};

static const char *const modes[] = {"strict", "lenient", NULL};

/* One row: the field's name, its kind, where it goes, and the rest by name. */
#define ROW(member, of, kind_, ...)                                                   \
    {                                                                                 \
        .name = #member, .kind = (kind_), .offset = offsetof(of, member), __VA_ARGS__ \
    }

static const struct aw_yaml_field limits_fields[] = {
    ROW(orders_per_day, struct limits, AW_YAML_INTEGER, .min = 1, .max = 1000000),
    ROW(note, struct limits, AW_YAML_STRING, .required = false),
    {.name = NULL},
};

static const struct aw_yaml_field sample_fields[] = {
    ROW(owner, struct sample, AW_YAML_STRING, .required = true),
    ROW(count, struct sample, AW_YAML_INTEGER, .min = -5, .max = INT64_MAX),
    ROW(on, struct sample, AW_YAML_BOOL, .required = false),
    ROW(expires, struct sample, AW_YAML_DATE, .required = false),
    ROW(mode, struct sample, AW_YAML_ENUM, .choices = modes),
    ROW(names, struct sample, AW_YAML_STRINGS, .min = 1, .max = 3,
        .place = offsetof(struct sample, names_place)),
    ROW(limits, struct sample, AW_YAML_MAPPING, .fields = limits_fields),
    ROW(principals, struct sample, AW_YAML_LIST, .min = 1),
    ROW(any, struct sample, AW_YAML_NODE, .required = false),
    {.name = NULL},
};

static const struct aw_yaml_field principal_fields[] = {
    ROW(user, struct principal, AW_YAML_STRING, .required = true),
    {.name = NULL},
};

static void
release_sample(struct sample *s)
{
    aw_yaml_release(sample_fields, s);
}

/* Reads text as a sample and its principals. */
static aw_result
read_sample(
    const char *text, size_t length, struct sample *out, struct aw_faults *faults, aw_yaml **yaml)
{
    AW_TRY(aw_yaml_parse("t.yaml", text, length, faults, yaml));
    aw_yaml_read_mapping(aw_yaml_root(*yaml), sample_fields, out, faults);
    for (size_t i = 0; i < out->principals.count; i++) {
        struct principal principal = {0};

        aw_yaml_read_mapping(out->principals.items[i], principal_fields, &principal, faults);
        aw_yaml_release(principal_fields, &principal);
    }
    return aw_faults_result(faults);
}

/* All faults, "line:column: message" with a newline between them. */
static char *
join_faults(const struct aw_faults *faults)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    for (size_t i = 0; i < faults->count; i++)
        fprintf(stream, "%s%u:%u: %s", i > 0 ? "\n" : "", faults->items[i].line,
            faults->items[i].column, faults->items[i].message);
    fclose(stream);
    return text;
}

/* Good input. */

static void
reads_every_kind(void **state)
{
    static const char text[] = "owner: \"team@dept.example.edu\"\n"
                               "count: -5\n"
                               "on: true\n"
                               "expires: 2027-06-30\n"
                               "mode: lenient\n"
                               "names:\n"
                               "  - a.example.edu\n"
                               "  - b.example.edu\n"
                               "limits: {orders_per_day: 50, note: '#1'}\n"
                               "principals:\n"
                               "  - user: alice\n"
                               "  - user: \"null\"\n"
                               "any: [1, {x: 2}]\n";
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(release_sample) struct sample s = {0};
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    char path[64];

    (void)state;
    aw_result r = read_sample(text, sizeof(text) - 1, &s, &faults, &yaml);
    if (!aw_ok(r))
        fail_msg("%s", aw_error_last()->message);
    assert_string_equal(aw_yaml_name(yaml), "t.yaml");
    assert_string_equal(s.owner, "team@dept.example.edu");
    assert_int_equal(s.count, -5);
    assert_true(s.on);
    assert_int_equal(s.expires, 1814313600);
    assert_int_equal(s.mode, 1);
    assert_int_equal(s.names.count, 2);
    assert_string_equal(s.names.items[1].text, "b.example.edu");
    assert_int_equal(s.names.items[1].node.line, 8);
    assert_int_equal(s.names.items[1].node.column, 5);
    assert_int_equal(s.names_place.line, 7);
    assert_int_equal(s.limits.orders_per_day, 50);
    assert_string_equal(s.limits.note, "#1");
    assert_int_equal(s.principals.count, 2);
    assert_int_equal(aw_yaml_size(s.any), 2);
    aw_yaml_node key, value;
    assert_true(aw_yaml_pair(aw_yaml_item(s.any, 1), 0, &key, &value));
    aw_yaml_path(value, path, sizeof(path));
    assert_string_equal(path, "any[1].x");
    assert_int_equal(value.line, 13);
    assert_int_equal(value.column, 14);
    assert_int_equal(aw_yaml_item(s.any, 2).index, 0);
}

static void
keeps_defaults(void **state)
{
    static const char text[] = "owner: x\nmode: other\ncount: many\n";
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(release_sample) struct sample s = {.count = 7, .mode = 1, .on = true};
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;

    (void)state;
    assert_false(aw_ok(read_sample(text, sizeof(text) - 1, &s, &faults, &yaml)));
    assert_int_equal(s.count, 7);
    assert_int_equal(s.mode, 1);
    assert_true(s.on);
    assert_null(s.names.items);
    assert_int_equal(s.names_place.index, 0);
}

static void
release_leaves_nothing(void **state)
{
    static const char text[] = "owner: x\nnames: [a]\nlimits: {note: n}\nany: 1\n";
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    static const struct sample zero;
    struct sample s = zero;

    (void)state;
    assert_true(aw_ok(read_sample(text, sizeof(text) - 1, &s, &faults, &yaml)));
    assert_non_null(s.limits.note);
    release_sample(&s);
    assert_null(s.owner);
    assert_null(s.limits.note);
    assert_null(s.names.items);
    assert_int_equal(s.any.index, 0);
    assert_int_equal(s.names_place.index, 0);
}

/* Faults: the whole list of them, in order. */

#define KNOWN "owner, count, on, expires, mode, names, limits, principals, any"

static const struct {
    const char *name;
    const char *text;
    size_t length; /* 0: strlen */
    const char *faults;
} fault_rows[] = {
    {"empty file", "", 0, "1:1: found nothing, expected a mapping"},
    {"only a comment", "# nothing\n", 0, "1:1: found nothing, expected a mapping"},
    {"root is a list", "- a\n", 0, "1:1: found a list, expected a mapping"},
    {"root is a value", "a\n", 0, "1:1: found \"a\", expected a mapping"},
    {"missing required key", "on: true\n", 0,
        "1:1: owner: found nothing, expected this key: it is required"},
    {"missing in a list's mapping", "owner: x\nprincipals:\n  - user: a\n  - {}\n", 0,
        "4:5: principals[1].user: found nothing, expected this key: it is required"},
    {"unknown key, near", "owner: x\nexpiress: 2027-06-30\n", 0,
        "2:1: unknown key \"expiress\"; did you mean \"expires\"?"},
    {"unknown key, near, nested", "owner: x\nlimits:\n  order_per_day: 5\n", 0,
        "3:3: unknown key \"order_per_day\"; did you mean \"orders_per_day\"?"},
    {"unknown key, case", "Owner: x\nowner: x\n", 0,
        "1:1: unknown key \"Owner\"; did you mean \"owner\"?"},
    {"unknown key, far", "owner: x\nzzzzzz: 1\n", 0,
        "2:1: unknown key \"zzzzzz\"; known here: " KNOWN},
    {"unknown key that is a list", "owner: x\n? [a]\n: b\n", 0,
        "2:3: found a list as a key, expected text"},
    {"merge key", "owner: x\n<<: {on: true}\n", 0,
        "2:1: found a merge key (<<): write the keys out"},
    {"duplicate key", "owner: x\non: true\nowner: y\n", 0,
        "3:1: duplicate key \"owner\"; the first one is on line 1"},
    {"duplicate key, quoted", "owner: x\n\"owner\": y\n", 0,
        "2:1: duplicate key \"owner\"; the first one is on line 1"},
    {"string is a list", "owner: [x]\n", 0, "1:8: owner: found a list, expected text"},
    {"string is empty", "owner: \"\"\n", 0, "1:8: owner: found \"\", expected text"},
    {"string is nothing", "owner:\non: true\n", 0, "1:7: owner: found nothing, expected text"},
    {"string is null", "owner: ~\n", 0, "1:8: owner: found nothing, expected text"},
    {"integer is a word", "owner: x\nlimits:\n  orders_per_day: many\n", 0,
        "3:19: limits.orders_per_day: found \"many\", expected an integer from 1 to 1000000"},
    {"integer below", "owner: x\nlimits: {orders_per_day: 0}\n", 0,
        "2:26: limits.orders_per_day: found \"0\", expected an integer from 1 to 1000000"},
    {"integer above", "owner: x\nlimits: {orders_per_day: 1000001}\n", 0,
        "2:26: limits.orders_per_day: found \"1000001\", expected an integer from 1 to 1000000"},
    {"integer too long", "owner: x\ncount: 9223372036854775808\n", 0,
        "2:8: count: found \"9223372036854775808\", expected an integer from -5 to "
        "9223372036854775807"},
    {"integer octal", "owner: x\nlimits: {orders_per_day: 007}\n", 0,
        "2:26: limits.orders_per_day: found \"007\", expected an integer from 1 to 1000000"},
    {"integer with exponent", "owner: x\nlimits: {orders_per_day: 1e3}\n", 0,
        "2:26: limits.orders_per_day: found \"1e3\", expected an integer from 1 to 1000000"},
    {"integer minus zero", "owner: x\ncount: -0\n", 0,
        "2:8: count: found \"-0\", expected an integer from -5 to 9223372036854775807"},
    {"integer quoted", "owner: x\nlimits: {orders_per_day: \"5\"}\n", 0,
        "2:26: limits.orders_per_day: found \"5\", expected an integer from 1 to 1000000 without "
        "quotes"},
    {"bool yes", "owner: x\non: yes\n", 0, "2:5: on: found \"yes\", expected true or false"},
    {"bool quoted", "owner: x\non: 'true'\n", 0, "2:5: on: found \"true\", expected true or false"},
    {"date that is none", "owner: x\nexpires: 2027-06-31\n", 0,
        "2:10: expires: found \"2027-06-31\", expected a date as YYYY-MM-DD"},
    {"date in another order", "owner: x\nexpires: 30.06.2027\n", 0,
        "2:10: expires: found \"30.06.2027\", expected a date as YYYY-MM-DD"},
    {"date with month 0", "owner: x\nexpires: 2027-00-10\n", 0,
        "2:10: expires: found \"2027-00-10\", expected a date as YYYY-MM-DD"},
    {"choice unknown", "owner: x\nmode: Strict\n", 0,
        "2:7: mode: found \"Strict\", expected one of strict, lenient"},
    {"choice is a mapping", "owner: x\nmode: {}\n", 0,
        "2:7: mode: found a mapping, expected one of strict, lenient"},
    {"scalar for a list", "owner: x\nnames: a\n", 0,
        "2:8: names: found \"a\", expected a list of 1 to 3"},
    {"list empty", "owner: x\nnames: []\n", 0, "2:8: names: found a list of 0, expected 1 to 3"},
    {"list too long", "owner: x\nnames: [a, b, c, d]\n", 0,
        "2:8: names: found a list of 4, expected 1 to 3"},
    {"list with bad items", "owner: x\nnames: [a, [b], ~]\n", 0,
        "2:12: names[1]: found a list, expected text\n"
        "2:17: names[2]: found nothing, expected text"},
    {"list of values for one of mappings", "owner: x\nprincipals: [a]\n", 0,
        "2:14: principals[0]: found \"a\", expected a mapping"},
    {"list of mappings empty", "owner: x\nprincipals: []\n", 0,
        "2:13: principals: found a list of 0, expected at least 1"},
    {"mapping is a list", "owner: x\nlimits: []\n", 0,
        "2:9: limits: found a list, expected a mapping"},
    {"several faults, in order", "on: 1\nowne: x\ncount: x1\n", 0,
        "1:5: on: found \"1\", expected true or false\n"
        "2:1: unknown key \"owne\"; did you mean \"owner\"?\n"
        "3:8: count: found \"x1\", expected an integer from -5 to 9223372036854775807\n"
        "1:1: owner: found nothing, expected this key: it is required"},
    {"long value is cut between characters",
        "owner: x\nmode: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00e9\u00e9\n",
        0,
        "2:7: mode: found \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\", "
        "expected one of strict, lenient"},
    {"columns count characters", "owner: x\nlimits: {note: \u00e9\u00e9, x: 1}\n", 0,
        "2:20: unknown key \"x\"; known here: orders_per_day, note"},
    {"anchor", "owner: &a x\n", 0,
        "1:8: found the anchor \"&a\", expected the value itself: anchors and aliases are not "
        "allowed"},
    {"anchor on a list", "owner: x\nnames: &n [a]\n", 0,
        "2:8: found the anchor \"&n\", expected the value itself: anchors and aliases are not "
        "allowed"},
    {"alias", "owner: &a x\nnames: [*a]\n", 0,
        "1:8: found the anchor \"&a\", expected the value itself: anchors and aliases are not "
        "allowed\n"
        "2:9: found the alias \"*a\", expected a value: anchors and aliases are not allowed"},
    {"alias of nothing", "owner: *a\n", 0,
        "1:8: found the alias \"*a\", expected a value: anchors and aliases are not allowed"},
    {"tag", "owner: !!str x\n", 0,
        "1:8: found the tag \"tag:yaml.org,2002:str\", expected the value alone: tags are not "
        "allowed"},
    {"tag on the root", "!x\nowner: x\n", 0,
        "1:1: found the tag \"!x\", expected the value alone: tags are not allowed"},
    {"tag that says nothing", "owner: ! x\n", 0,
        "1:8: found the tag \"!\", expected the value alone: tags are not allowed"},
    {"tag directive", "%TAG !e! tag:example.edu,2026:\n---\nowner: x\n", 0,
        "1:1: found a %TAG directive: tags are not allowed"},
    {"two documents", "owner: x\n---\nowner: y\n", 0,
        "2:1: found a second document, expected one only"},
    {"two documents, the second empty", "owner: x\n---\n", 0,
        "2:1: found a second document, expected one only"},
    {"depth 17", "owner: [[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]\n", 0,
        "1:23: found lists and mappings nested deeper than 16"},
    {"syntax", "owner: x\n  names: [a\n", 0,
        "2:8: not YAML: mapping values are not allowed in this context"},
    {"syntax, with where it began", "owner: x\nnames: [a\n", 0,
        "3:1: not YAML: did not find expected ',' or ']' (while parsing a flow sequence that began "
        "on line 2)"},
    {"tab as indentation", "limits:\n\torders_per_day: 5\n", 0,
        "2:1: not YAML: found character that cannot start any token (while scanning for the next "
        "token that began on line 2)"},
    {"byte order mark", "\xEF\xBB\xBFowner: x\n", 0,
        "1:1: found a byte order mark: save the file as UTF-8 without one"},
    {"UTF-16", "\xFF\xFEo\0w\0", 6,
        "1:1: invalid leading UTF-8 octet (0xFF), expected printable "
        "UTF-8"},
    {"invalid UTF-8", "owner: x\nmode: \xC3(\n", 0,
        "2:8: invalid trailing UTF-8 octet (0x28), expected printable UTF-8"},
    {"overlong UTF-8", "owner: \xC0\x80\n", 0,
        "1:8: invalid length of a UTF-8 sequence, expected UTF-8"},
    {"raw NUL", "owner: a\0b\n", 11,
        "1:9: control characters are not allowed (0x00), expected printable UTF-8"},
    {"raw ESC", "owner: \x1b[2J\n", 0,
        "1:8: control characters are not allowed (0x1B), expected printable UTF-8"},
    {"escaped NUL", "owner: \"a\\0b\"\n", 0,
        "1:8: found a value with the control character U+0000, expected printable text on one "
        "line"},
    {"attack 100: escaped ESC", "owner: x\nnames: [\"a\\e[2J\"]\n", 0,
        "2:9: found a value with the control character U+001B, expected printable text on one "
        "line"},
    {"escaped C1", "owner: \"a\\x9b\"\n", 0,
        "1:8: found a value with the control character U+009B, expected printable text on one "
        "line"},
    {"control character in a key", "\"ow\\nner\": x\n", 0,
        "1:1: found a value with the control character U+000A, expected printable text on one "
        "line"},
    {"block text of two lines", "owner: |\n  a\n  b\n", 0,
        "1:8: found a value with the control character U+000A, expected printable text on one "
        "line"},
    {"attack 100: bidirectional control is escaped", "owner: x\n\"zz\\u202ezzzz\": 1\n", 0,
        "2:1: unknown key \"zz\\xe2\\x80\\xaezzzz\"; known here: " KNOWN},
};

static void
names_every_fault(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(fault_rows); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        AW_CLEANUP(release_sample) struct sample s = {0};
        AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
        size_t length = fault_rows[i].length;
        aw_result r = read_sample(fault_rows[i].text,
            length > 0 ? length : strlen(fault_rows[i].text), &s, &faults, &yaml);
        AW_CLEANUP(aw_free) char *found = join_faults(&faults);

        if (r.code == AW_CODE_CONFIG && strcmp(found, fault_rows[i].faults) == 0)
            continue;
        failed++;
        print_error("%s: found (%s)\n%s\nexpected\n%s\n", fault_rows[i].name, aw_code_tag(r.code),
            found, fault_rows[i].faults);
    }
    assert_int_equal(failed, 0);
}

/* Limits, printing, files. */

static void
counts_what_it_does_not_keep(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *printed = NULL;
    size_t size;

    (void)state;
    for (unsigned i = 0; i < AW_YAML_MAX_FAULTS + 7; i++)
        aw_faults_add(&faults, "f", i + 1, 1, "fault %u", i);
    assert_int_equal(faults.count, AW_YAML_MAX_FAULTS);
    assert_int_equal(faults.total, AW_YAML_MAX_FAULTS + 7);
    assert_int_equal(aw_faults_result(&faults).code, AW_CODE_CONFIG);
    assert_string_equal(aw_error_last()->message, "f:1:1: fault 0 (and 106 more)");
    FILE *stream = open_memstream(&printed, &size);
    aw_faults_print(&faults, stream);
    fclose(stream);
    assert_non_null(strstr(printed, "\nf:100:1: fault 99\n... and 7 more faults\n"));
}

static void
prints_nothing_that_drives_a_terminal(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *printed = NULL;
    size_t size;

    (void)state;
    aw_faults_add(&faults, "a\x1b[2J", 0, 0, "found \"%s\"", "x\ny\x1b");
    FILE *stream = open_memstream(&printed, &size);
    aw_faults_print(&faults, stream);
    fclose(stream);
    assert_string_equal(printed, "a\\x1b[2J: found \"x\\x0ay\\x1b\"\n");
    assert_int_equal(aw_faults_result(&faults).code, AW_CODE_CONFIG);
    assert_null(strchr(aw_error_last()->message, '\x1b'));
}

static void
refuses_a_file_that_is_too_long(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *text = malloc(AW_YAML_MAX_SIZE + 1);
    aw_yaml *yaml = NULL;

    (void)state;
    memset(text, '#', AW_YAML_MAX_SIZE + 1);
    aw_result r = aw_yaml_parse("f", text, AW_YAML_MAX_SIZE + 1, &faults, &yaml);
    assert_int_equal(r.code, AW_CODE_CONFIG);
    assert_string_equal(
        aw_error_last()->message, "f: found 4194305 octets, expected at most 4194304");
    assert_null(yaml);
}

/* Flow brackets without end: the depth limit must stop the parser, not the stack. */
static void
survives_a_million_brackets(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *text = malloc(1000000);
    aw_yaml *yaml = NULL;

    (void)state;
    memset(text, '[', 1000000);
    assert_int_equal(aw_yaml_parse("f", text, 1000000, &faults, &yaml).code, AW_CODE_CONFIG);
    assert_null(yaml);
}

static void
loads_files(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    char folder[] = "/tmp/aw-yaml-XXXXXX";
    AW_CLEANUP(aw_free) char *path = NULL;
    aw_yaml *yaml = NULL;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(aw_ok(aw_path_join(folder, "f.yaml", &path)));
    aw_result absent = aw_yaml_load(path, &faults, &yaml);
    assert_true(aw_ok(aw_file_replace(path, "a: 1\n", 5, 0600)));
    struct aw_faults before = faults;
    aw_result present = aw_yaml_load(path, &faults, &yaml);
    enum aw_yaml_shape shape =
        yaml == NULL ? AW_YAML_IS_NOTHING : aw_yaml_shape(aw_yaml_root(yaml));
    aw_yaml_free(&yaml);
    aw_result is_folder = aw_yaml_load(folder, &faults, &yaml);
    unlink(path);
    rmdir(folder);
    assert_int_equal(absent.code, AW_CODE_CONFIG);
    assert_int_equal(before.total, 1);
    assert_int_equal(before.items[0].line, 0);
    assert_true(aw_ok(present));
    assert_int_equal(shape, AW_YAML_IS_MAPPING);
    assert_int_equal(is_folder.code, AW_CODE_CONFIG);
    assert_int_equal(faults.total, 2);
}

/* The result speaks of this file, even when faults of an earlier one are in the list. */
static void
tells_files_apart(void **state)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_yaml_free) aw_yaml *good = NULL;
    aw_yaml *bad = NULL;

    (void)state;
    aw_faults_add(&faults, "first", 1, 1, "earlier");
    assert_true(aw_ok(aw_yaml_parse("second", "a: 1", 4, &faults, &good)));
    assert_int_equal(aw_yaml_parse("third", "a: *b", 5, &faults, &bad).code, AW_CODE_CONFIG);
    assert_non_null(strstr(aw_error_last()->message, "third:1:4: "));
}

/* Mutations: bounded, from a fixed seed. */

static const char *const words[] = {"[", "]", "{", "}", ": ", ", ", "- ", "&a ", "*a", "!x ", "|\n",
    ">", "'", "\"", "%TAG ! x\n", "---\n", "...\n", "? ", "<<: ", "~", "\n", "  ", "\t", "\\e",
    "\\0", "\xC3\xA9", "owner", "limits", "names:"};

static bool
is_clean(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void
survives_mutations(void **state)
{
    static const char base[] = "owner: team@x\ncount: 4\non: true\nexpires: 2027-06-30\n"
                               "mode: strict\nnames: [a, \"b\\x41\"]\nlimits:\n"
                               "  orders_per_day: 50\nprincipals:\n  - user: &a alice\n"
                               "any: {k: *a}\n";
    struct mutator m = {.state = 0x5eed1, .words = words, .word_count = AW_COUNT(words)};
    unsigned good = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        AW_CLEANUP(release_sample) struct sample s = {0};
        AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
        char text[sizeof(base) + 64];
        size_t length = sizeof(base) - 1;

        /* Every second round begins without anchor and alias, so that readers are reached. */
        memcpy(text, base, length);
        if (round % 2 == 0) {
            memset(strstr(text, "&a"), ' ', 2);
            memset(strstr(text, "*a"), 'b', 2);
        }
        for (unsigned i = 0; i < 1 + round % 4; i++)
            mutate_once(&m, text, &length, sizeof(text));
        aw_result r = read_sample(text, length, &s, &faults, &yaml);
        good += aw_ok(r);
        if (aw_ok(r) != (faults.total == 0))
            fail_msg("round %u: result and faults disagree", round);
        if (aw_ok(r) && (s.owner == NULL || !is_clean(s.owner) || s.owner[0] == '\0'))
            fail_msg("round %u: accepted a bad owner", round);
        for (size_t i = 0; i < faults.count; i++)
            if (!is_clean(faults.items[i].message))
                fail_msg("round %u: a fault has control characters", round);
    }
    assert_in_range(good, 100, 19000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(keeps_defaults),
        cmocka_unit_test(release_leaves_nothing),
        cmocka_unit_test(names_every_fault),
        cmocka_unit_test(counts_what_it_does_not_keep),
        cmocka_unit_test(prints_nothing_that_drives_a_terminal),
        cmocka_unit_test(refuses_a_file_that_is_too_long),
        cmocka_unit_test(survives_a_million_brackets),
        cmocka_unit_test(loads_files),
        cmocka_unit_test(tells_files_apart),
        cmocka_unit_test(survives_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
