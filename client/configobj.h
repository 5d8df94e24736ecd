/**
 * @file configobj.h
 * @brief Reads what certbot writes to renewal/NAME.conf: ConfigObj's INI.
 *
 * Sections in sections by the number of brackets, values in either quotes or in none, lists by
 * commas, comments behind "#". Values over several lines (three quotes) are refused: certbot writes
 * none. Nothing is interpreted beyond that; see import_certbot.c.
 */
#ifndef AW_CLIENT_CONFIGOBJ_H
#define AW_CLIENT_CONFIGOBJ_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

/** Limits. */
enum { CONFIGOBJ_LINE_MAX = 16 * 1024, CONFIGOBJ_VALUES_MAX = 200, CONFIGOBJ_DEPTH_MAX = 4 };

/** One line "key = value". Strings live during the call. */
struct configobj_entry {
    const char *section; /**< the innermost one; "" before the first */
    size_t depth;        /**< 0 before the first section, 1 in [a], 2 in [[b]] */
    const char *key;
    const char *const *values; /**< of a list, or the one */
    size_t value_count;        /**< 0: an empty value */
    unsigned line;
};

/** Called for each; a failure ends the reading. */
typedef aw_result (*configobj_visit)(const struct configobj_entry *entry, void *context);

/** Reads a text; AW_CODE_SYNTAX names the line. */
AW_MUST_USE aw_result configobj_read(const char *text, configobj_visit visit, void *context);

#endif
