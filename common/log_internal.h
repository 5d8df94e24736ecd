/**
 * @file log_internal.h
 * @brief What log.c and log_journal.c share. Apart, so that a program that never opens a log does
 * without libsystemd, which brings six libraries to each start.
 */
#ifndef AW_COMMON_LOG_INTERNAL_H
#define AW_COMMON_LOG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/log.h"

enum {
    LOG_MESSAGE_SIZE = 1536, /**< of an escaped message; leaves room for the fields */
    LOG_MAX_FIELDS = 24,     /**< of a line; log.h says so */
};

/** Writes a line, `message` escaped already; false when it did not get there. */
typedef bool (*log_writer)(
    enum aw_log_level level, const struct aw_log_field *fields, size_t count, const char *message);

/** Set once, before threads start. */
struct log_settings {
    const char *program;
    enum aw_log_level level;
    log_writer journal; /**< NULL: stderr is not the journal */
    bool never_waits;   /**< lines are left out where there is no room */
    int probe;          /**< shows the journal's room; -1: none */
};

extern struct log_settings log_settings;

#endif
