/**
 * @file json_scan.h
 * @brief The lexical pre-scan of JSON text; aw_json_parse calls it before cJSON.
 *
 * What it lets through, cJSON parses, and reads the same way. Nothing is owned.
 */
#ifndef AW_COMMON_JSON_SCAN_H
#define AW_COMMON_JSON_SCAN_H

#include "common/json.h"

/** The largest integer that a double, and so every reader of JSON, holds exactly (RFC 8259 6). */
#define AW_JSON_EXACT_MAX INT64_C(9007199254740991)

/**
 * Checks a whole document (see json.h for what is refused), whatever its size.
 * @return AW_CODE_SYNTAX with the byte offset, AW_CODE_LIMIT, AW_CODE_MEMORY
 */
AW_MUST_USE aw_result aw_json_scan(const char *text, size_t length, enum aw_json_mode mode);

#endif
