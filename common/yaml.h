/**
 * @file yaml.h
 * @brief Configuration files: libyaml's document tree read by tables, every fault with its place.
 *
 * One document per file, at most AW_YAML_MAX_SIZE octets, UTF-8, no aliases or anchors, no tags, no
 * merge keys, no control characters in scalars (so no lines broken inside a value); unknown and
 * duplicate keys are refused. A reader does not stop at the first fault: it collects them all, so
 * that a person mends a file in one go.
 */
#ifndef AW_COMMON_YAML_H
#define AW_COMMON_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/json.h"
#include "common/result.h"

/** Limits. */
enum {
    AW_YAML_MAX_SIZE = 4 * 1024 * 1024, /**< octets of a file */
    AW_YAML_MAX_DEPTH = 16,             /**< nested lists and mappings */
    AW_YAML_MAX_FIELDS = 64,            /**< rows of a reader's table */
    AW_YAML_MAX_FAULTS = 100,           /**< faults kept; more are only counted */
};

/** One fault of a file. */
struct aw_fault {
    char *file;
    unsigned line;   /**< from 1; 0 when the fault has no place in the file */
    unsigned column; /**< from 1; 0 likewise */
    char *message;   /**< field, what was found, what is expected; safe for a terminal */
};

/** All faults found, in the order found. Zero-initialise; release: aw_faults_free. */
struct aw_faults {
    struct aw_fault *items;
    size_t count; /**< faults kept */
    size_t total; /**< faults found */
};

/**
 * Adds a fault; a failed allocation still counts in `total`. Foreign text in the message is escaped
 * here (aw_log_escape), so callers pass it as it is.
 */
void aw_faults_add(struct aw_faults *faults, const char *file, unsigned line, unsigned column,
    const char *format, ...) AW_PRINTF(5, 6);

/** Writes one "file:line:column: message" line each. */
void aw_faults_print(const struct aw_faults *faults, FILE *stream);

/** Writes them as the member `name`: an array of objects with file, line, column and message. */
void aw_faults_write(struct aw_json_writer *w, const char *name, const struct aw_faults *faults);

/**
 * AW_OK without faults; else AW_CODE_CONFIG with the first fault's text and how many more there
 * are.
 */
AW_MUST_USE aw_result aw_faults_result(const struct aw_faults *faults);

/** Releases the faults and zeroes the struct. */
void aw_faults_free(struct aw_faults *faults);

/** A parsed file. */
typedef struct aw_yaml aw_yaml;

/** A node of it; valid as long as the file. */
typedef struct aw_yaml_node {
    const aw_yaml *yaml;
    int index;       /**< libyaml's node number; 0 is "no node" */
    unsigned line;   /**< from 1 */
    unsigned column; /**< from 1 */
} aw_yaml_node;

/**
 * Reads and parses a file. A file that cannot be read or parsed is a fault too: *out is NULL then
 * and AW_CODE_CONFIG is returned. Release: aw_yaml_free.
 */
AW_MUST_USE aw_result aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out);

/** Parses text; `name` stands for the file in faults. */
AW_MUST_USE aw_result aw_yaml_parse(
    const char *name, const char *text, size_t length, struct aw_faults *faults, aw_yaml **out);

/** Releases and nulls; NULL is allowed. */
void aw_yaml_free(aw_yaml **yaml);

/** The root node (index 0, at line 1 and column 1, for an empty document). */
aw_yaml_node aw_yaml_root(const aw_yaml *yaml);

/** The file's name as given. */
const char *aw_yaml_name(const aw_yaml *yaml);

/** What a node is. */
enum aw_yaml_shape {
    AW_YAML_IS_NOTHING, /**< no node, or an empty plain scalar, ~ or null */
    AW_YAML_IS_PLAIN,   /**< a scalar without quotes */
    AW_YAML_IS_QUOTED,  /**< a scalar in quotes, or a block scalar */
    AW_YAML_IS_LIST,
    AW_YAML_IS_MAPPING,
};

/** Shape of a node. */
enum aw_yaml_shape aw_yaml_shape(aw_yaml_node node);

/** Items of a list or pairs of a mapping; 0 for anything else. */
size_t aw_yaml_size(aw_yaml_node node);

/** Item `index` of a list; index 0 ("no node") when there is none. */
aw_yaml_node aw_yaml_item(aw_yaml_node list, size_t index);

/** Pair `index` of a mapping, in the file's order; false when there is none. */
bool aw_yaml_pair(aw_yaml_node mapping, size_t index, aw_yaml_node *key, aw_yaml_node *value);

/** Where a node stands in the tree, "principals[1].user" (from 0); empty for the root. Cuts to fit.
 */
void aw_yaml_path(aw_yaml_node node, char *out, size_t capacity);

/** Adds a fault at a node's place; the message names the field (aw_yaml_path helps). */
void
aw_yaml_fault(aw_yaml_node node, struct aw_faults *faults, const char *format, ...) AW_PRINTF(3, 4);

/** What a field of a mapping is read as. */
enum aw_yaml_kind {
    AW_YAML_STRING,  /**< `char *`, allocated, non-empty, no control characters */
    AW_YAML_INTEGER, /**< `int64_t`, decimal, from min to max */
    AW_YAML_BOOL,    /**< `bool`: true or false, nothing else */
    AW_YAML_DATE,    /**< `int64_t`: YYYY-MM-DD as Unix time of that day's 00:00 UTC */
    AW_YAML_ENUM,    /**< `int`: index in `choices` */
    AW_YAML_STRINGS, /**< `struct aw_yaml_strings`: a list of scalars, each with its place */
    AW_YAML_MAPPING, /**< a nested struct read with `fields` at `offset` */
    AW_YAML_LIST,    /**< `struct aw_yaml_items`: a list of mappings, each with its place; the
                          caller reads each with aw_yaml_read_mapping */
    AW_YAML_NODE,    /**< `aw_yaml_node`: any node; the caller reads it */
};

/** One scalar of a list. */
struct aw_yaml_string {
    char *text;
    aw_yaml_node node;
};

/** A list of scalars. */
struct aw_yaml_strings {
    struct aw_yaml_string *items;
    size_t count;
};

/** A list of mapping nodes. */
struct aw_yaml_items {
    aw_yaml_node *items;
    size_t count;
};

/** One row of a reader's table; end a table with a row whose name is NULL. */
struct aw_yaml_field {
    const char *name;
    enum aw_yaml_kind kind;
    size_t offset; /**< offsetof() in the struct that is filled */
    bool required;
    int64_t min, max; /**< AW_YAML_INTEGER: bounds; STRINGS and LIST: count, max 0 is no bound */
    const char *const *choices;         /**< AW_YAML_ENUM: names, ended by NULL */
    const struct aw_yaml_field *fields; /**< AW_YAML_MAPPING: its table */
    size_t place; /**< offset of an `aw_yaml_node` that receives the value's place; 0: none */
};

/**
 * Fills `out` (zeroed or holding defaults) from a mapping node by a table. Every fault is added to
 * `faults`: unknown key (with the nearest known one), duplicate key, wrong type, missing required
 * key, value out of bounds. Fields with faults keep their defaults; a list with a bad item keeps
 * the good ones, so that their meaning can be checked too. A default of an AW_YAML_STRING is NULL
 * or allocated.
 */
void aw_yaml_read_mapping(
    aw_yaml_node node, const struct aw_yaml_field *fields, void *out, struct aw_faults *faults);

/** Releases what aw_yaml_read_mapping allocated in `out`, nested structs included, and zeroes it.
 */
void aw_yaml_release(const struct aw_yaml_field *fields, void *out);

/** Kind of a node for error texts: "a mapping", "a list", "a value", "nothing". */
const char *aw_yaml_kind_text(aw_yaml_node node);

/**
 * True for a scalar that is not "nothing"; *text (into the document, NUL-terminated, no control
 * characters) and its length are given.
 */
bool aw_yaml_scalar(aw_yaml_node node, const char **text, size_t *length);

#endif
