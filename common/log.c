#include "common/log.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/lock.h"
#include "common/log_internal.h"
#include "common/log_room.h"
#include "common/utf8.h"

enum {
    LINE_SIZE = PIPE_BUF, /* what one write(2) puts on a pipe in one piece */
    VALUE_SIZE = 512,     /* of an escaped value on stderr */
};

static const char *const levels[] = {
    [AW_LOG_ERROR] = "error",
    [AW_LOG_WARNING] = "warning",
    [AW_LOG_NOTICE] = "notice",
    [AW_LOG_INFO] = "info",
    [AW_LOG_DEBUG] = "debug",
};

struct log_settings log_settings = {"acmeward", AW_LOG_INFO, NULL, false, -1};

static struct {
    pthread_mutex_t lock; /* one line at a time, so that none takes the room of another */
    uint64_t lost, told;
} unread = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
is_shown(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '\\')
        return false;
    /* Bidirectional controls reorder what a person reads; U+2028 and U+2029 end a line. */
    return c != 0x61c && c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069);
}

void
aw_log_escape(const char *text, size_t length, char *out, size_t capacity)
{
    size_t used = 0;

    if (capacity == 0)
        return;
    for (size_t at = 0; at < length;) {
        uint32_t c = 0;
        size_t size = aw_utf8_decode(text + at, length - at, &c);
        bool shown = size > 0 && is_shown(c);
        size = size > 0 ? size : 1;
        if (capacity - used <= (shown ? size : 4 * size))
            break;
        if (shown)
            memcpy(out + used, text + at, size);
        for (size_t i = 0; !shown && i < size; i++)
            snprintf(out + used + 4 * i, 5, "\\x%02x", (uint8_t)text[at + i]);
        used += shown ? size : 4 * size;
        at += size;
    }
    out[used] = '\0';
}

/* A line that is being put together; what does not fit is cut. */
struct line {
    char text[LINE_SIZE];
    size_t used; /* at most LINE_SIZE - 1: the newline always fits */
};

static void
append(struct line *line, const char *text)
{
    size_t size = strlen(text);

    if (size > LINE_SIZE - 1 - line->used)
        size = LINE_SIZE - 1 - line->used;
    memcpy(line->text + line->used, text, size);
    line->used += size;
}

/* In quotes unless it is plain, so that a value cannot pass for the next field. */
static void
append_value(struct line *line, const char *value)
{
    char escaped[VALUE_SIZE];
    bool plain = value[0] != '\0' && strpbrk(value, " \"=") == NULL;

    aw_log_escape(value, strlen(value), escaped, sizeof(escaped));
    append(line, plain ? "" : "\"");
    for (const char *rest = escaped; *rest != '\0';) {
        char part[VALUE_SIZE];
        size_t run = strcspn(rest, "\"");
        snprintf(part, sizeof(part), "%.*s", (int)run, rest);
        append(line, part);
        rest += run;
        if (*rest == '"') {
            append(line, "\\x22");
            rest++;
        }
    }
    append(line, plain ? "" : "\"");
}

static void
write_stderr(
    enum aw_log_level level, const struct aw_log_field *fields, size_t count, const char *message)
{
    struct line line = {.used = 0};

    append(&line, log_settings.program);
    append(&line, ": ");
    append(&line, levels[level]);
    append(&line, ": ");
    append(&line, message);
    for (size_t i = 0; i < count; i++) {
        append(&line, " ");
        append(&line, fields[i].key);
        append(&line, "=");
        append_value(&line, fields[i].value != NULL ? fields[i].value : "");
    }
    line.text[line.used++] = '\n';
    if (log_settings.never_waits && !aw_has_room(STDERR_FILENO)) {
        unread.lost++;
        return;
    }
    /* Nobody is left to tell when stderr fails. */
    while (write(STDERR_FILENO, line.text, line.used) < 0 && errno == EINTR)
        ;
}

/* `message` is escaped already. */
static void
write_line(
    enum aw_log_level level, const struct aw_log_field *fields, size_t count, const char *message)
{
    if (log_settings.never_waits && log_settings.journal != NULL &&
        !aw_has_room(log_settings.probe))
        unread.lost++;
    else if (log_settings.journal == NULL || !log_settings.journal(level, fields, count, message))
        write_stderr(level, fields, count, message);
}

/* Once there is room again, and before the line that has it. */
static void
tell_lost(void)
{
    char message[160];
    uint64_t lost = unread.lost;

    if (lost == unread.told)
        return;
    snprintf(message, sizeof(message),
        "%llu lines were left out here: whoever reads this log is slow, or had stopped",
        (unsigned long long)(lost - unread.told));
    write_line(AW_LOG_WARNING, NULL, 0, message);
    if (unread.lost == lost)
        unread.told = lost;
    else
        unread.lost = lost; /* that was no line of anybody's */
}

uint64_t
aw_log_lost(void)
{
    AW_HOLD(&unread.lock);
    return unread.lost;
}

void
aw_log_fields(enum aw_log_level level, const struct aw_log_field *fields, size_t count,
    const char *format, ...)
{
    char raw[LOG_MESSAGE_SIZE], message[LOG_MESSAGE_SIZE];
    int saved = errno;
    va_list ap;

    if (level > log_settings.level)
        return;
    va_start(ap, format);
    vsnprintf(raw, sizeof(raw), format, ap);
    va_end(ap);
    if (count > LOG_MAX_FIELDS)
        count = LOG_MAX_FIELDS;
    aw_log_escape(raw, strlen(raw), message, sizeof(message));
    pthread_mutex_lock(&unread.lock);
    tell_lost();
    write_line(level, fields, count, message);
    pthread_mutex_unlock(&unread.lock);
    errno = saved;
}

void
aw_log_failure(enum aw_log_level level, const char *context)
{
    const struct aw_error *error = aw_error_last();
    const struct aw_log_field fields[] = {
        {"CODE", aw_code_tag(error->code)},
        {"HINT", error->hint},
    };

    aw_log_fields(level, fields, error->hint[0] != '\0' ? 2 : 1, "%s: %s", context, error->message);
}
