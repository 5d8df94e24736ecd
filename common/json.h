/**
 * @file json.h
 * @brief Strict JSON: a lexical pre-scan before cJSON, typed access after it, and a writer.
 *
 * The pre-scan refuses, each with its own message and byte offset: duplicate member names (after
 * unescaping, case-sensitive), NUL (raw or \u0000), invalid UTF-8 and lone surrogates, raw control
 * characters, numbers that are not exact integers of at most 2^53-1 in magnitude, a BOM, bytes
 * after the value, depth over the limit, more members than the limit. cJSON parses what is left.
 *
 * Readers take members by exact name (never cJSON_GetObjectItem, which ignores case), then
 * aw_json_only() refuses what no reader named. Text is written with the writer, not with cJSON's
 * printer, which rounds numbers to 15 digits.
 */
#ifndef AW_COMMON_JSON_H
#define AW_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "common/result.h"

/** Limits of a document. */
enum {
    AW_JSON_MAX_SIZE = 256 * 1024, /**< octets of a document */
    AW_JSON_MAX_DEPTH = 8,         /**< nested objects and arrays */
    AW_JSON_MAX_NODES = 20000,     /**< values in all */
};

/** How a document is read. Both refuse all that the pre-scan refuses, but for numbers. */
enum aw_json_mode {
    AW_JSON_STRICT,   /**< what a client or file of ours says */
    AW_JSON_TOLERANT, /**< what a CA says: any RFC 8259 number is allowed, depth up to 16 */
};

/**
 * Parses a document of `length` octets (no terminating NUL needed). Release: aw_json_free.
 * @return AW_CODE_SYNTAX with the byte offset, AW_CODE_LIMIT, AW_CODE_MEMORY
 */
AW_MUST_USE aw_result aw_json_parse(
    const char *text, size_t length, enum aw_json_mode mode, cJSON **out);

/** Releases and nulls; wipes every string of the tree first (it may carry a secret). */
void aw_json_free(cJSON **json);

/** The member called exactly `name`, or NULL. `object` may be any value or NULL. */
const cJSON *aw_json_member(const cJSON *object, const char *name);

/** Reads a required string of at most `max` octets; *out points into the document. */
AW_MUST_USE aw_result aw_json_string(
    const cJSON *object, const char *name, size_t max, const char **out);

/** Reads an optional string: *out is NULL when the member is absent or null. */
AW_MUST_USE aw_result aw_json_optional_string(
    const cJSON *object, const char *name, size_t max, const char **out);

/** Reads a required integer from `min` to `max` (within +-2^53-1). */
AW_MUST_USE aw_result aw_json_integer(
    const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *out);

/** Reads an optional integer: *out keeps its value when the member is absent or null. */
AW_MUST_USE aw_result aw_json_optional_integer(
    const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *out);

/** Reads an optional boolean: *out keeps its value when the member is absent or null. */
AW_MUST_USE aw_result aw_json_optional_bool(const cJSON *object, const char *name, bool *out);

/** Reads a required array of `min` to `max` elements. */
AW_MUST_USE aw_result aw_json_array(
    const cJSON *object, const char *name, size_t min, size_t max, const cJSON **out);

/** Reads a required object. */
AW_MUST_USE aw_result aw_json_object(const cJSON *object, const char *name, const cJSON **out);

/**
 * Refuses an object that has a member not among the `count` names (AW_CODE_SYNTAX,
 * "unknown member \"x\""), and a value that is no object.
 */
AW_MUST_USE aw_result aw_json_only(const cJSON *object, const char *const *names, size_t count);

/**
 * Writer: appends to a growing buffer. No tree, no allocation per value; a failed allocation is
 * remembered and reported by aw_json_writer_finish, so calls in between need no checks. Buffers
 * that were outgrown are wiped; begin with a zeroed struct. Output is compact, members in the order
 * written, non-ASCII UTF-8 as it is, control characters as \u00XX (DEL and C1 too). The caller
 * keeps the grammar (objects closed, names before values).
 */
struct aw_json_writer {
    char *text;
    size_t length;
    size_t capacity;
    bool failed;
    bool comma; /**< the next value or name needs a comma before it */
};

/**
 * @name Values
 * One value each, or its beginning and end; the comma before it is put by itself.
 * @{
 */
void aw_json_begin_object(struct aw_json_writer *w);
void aw_json_end_object(struct aw_json_writer *w);
void aw_json_begin_array(struct aw_json_writer *w);
void aw_json_end_array(struct aw_json_writer *w);
/** Writes a member's name; one value call must follow. */
void aw_json_name(struct aw_json_writer *w, const char *name);
/** Writes a string value; NULL is written as null. Invalid UTF-8 octets are written as U+FFFD. */
void aw_json_write_string(struct aw_json_writer *w, const char *value);
void aw_json_write_integer(struct aw_json_writer *w, int64_t value);
void aw_json_write_bool(struct aw_json_writer *w, bool value);
/** Writes text that is JSON already. */
void aw_json_write_raw(struct aw_json_writer *w, const char *json);
/** Name and string in one call. */
void aw_json_pair(struct aw_json_writer *w, const char *name, const char *value);
/** Name and an array in one call: `array` was begun apart, is ended here, and is finished. */
void aw_json_pair_array(struct aw_json_writer *w, const char *name, struct aw_json_writer *array);
/** Name and integer in one call. */
void aw_json_pair_integer(struct aw_json_writer *w, const char *name, int64_t value);
/** Name and boolean in one call. */
void aw_json_pair_bool(struct aw_json_writer *w, const char *name, bool value);
/** What a command that failed tells with --json (docs/client.md): the whole object and in it
 * "error" with tag, exit, message and hint, both left open for more members. */
void aw_json_begin_failure(struct aw_json_writer *w, const struct aw_error *error);
/** @} */

/** Hands over the NUL-terminated text (release with free()) and resets the writer. */
AW_MUST_USE aw_result aw_json_writer_finish(struct aw_json_writer *w, char **out);

/** Wipes and releases what was written, for the way out of a failure; fits AW_CLEANUP. */
void aw_json_writer_free(struct aw_json_writer *w);

#endif
