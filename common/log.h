/**
 * @file log.h
 * @brief Structured logging: to the journal when the service manager gave us one, else to stderr.
 *
 * A line is a message and KEY=value fields. Control characters, ESC and invalid UTF-8 are escaped
 * (\xNN), so nothing that came from outside can forge a line or drive a terminal. Secrets are never
 * passed here: there is no format for them.
 */
#ifndef AW_COMMON_LOG_H
#define AW_COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Levels, as syslog's. */
enum aw_log_level { AW_LOG_ERROR, AW_LOG_WARNING, AW_LOG_NOTICE, AW_LOG_INFO, AW_LOG_DEBUG };

/** One field; `value` may hold anything. */
struct aw_log_field {
    const char *key; /**< upper-case ASCII, as the journal wants it */
    const char *value;
};

/**
 * Chooses where lines go, once, before threads start: the journal when JOURNAL_STREAM names our
 * stderr, else stderr. Do not change the root folder afterwards: libsystemd is silent when the
 * journal's socket is not there.
 * @param program shown in each line
 * @param level the least important level that is written
 */
void aw_log_open(const char *program, enum aw_log_level level);

/**
 * Writes a line with at most 24 fields (more are left out). On stderr the message is cut at 1535
 * octets, a value at 511, the line at PIPE_BUF; the journal gets whole values. Thread-safe, keeps
 * errno.
 */
void aw_log_fields(enum aw_log_level level, const struct aw_log_field *fields, size_t count,
    const char *format, ...) AW_PRINTF(4, 5);

/** Writes a line without fields. */
#define aw_log(level, ...) aw_log_fields(level, NULL, 0, __VA_ARGS__)

/**
 * For daemons, once in each process, before its threads and its sandbox: from now on a line is left
 * out and counted where the reader of the log (a pipe, the journal) is slow or stopped and has no
 * room. Without this each line waits for its reader.
 */
void aw_log_never_wait(void);

/** How many lines of this process were left out; the next one that is written says so too. */
uint64_t aw_log_lost(void);

/** Writes this thread's last failure: context, message, hint, code. */
void aw_log_failure(enum aw_log_level level, const char *context);

/**
 * Escapes text for a line or a terminal: printable UTF-8 stays; control characters (C0, DEL, C1),
 * bidirectional controls, backslash and invalid octets become \xNN. Cuts to fit.
 */
void aw_log_escape(const char *text, size_t length, char *out, size_t capacity);

#endif
