/* Lines in the journal, with their fields, and the choice of where lines go. */
#define SD_JOURNAL_SUPPRESS_LOCATION /* file and line of this file would say nothing */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "common/io.h"
#include "common/log_internal.h"
#include "common/log_room.h"

enum { OWN_FIELDS = 3 }; /* MESSAGE, PRIORITY, SYSLOG_IDENTIFIER */

/* syslog's */
static const int priorities[] = {
    [AW_LOG_ERROR] = 3,
    [AW_LOG_WARNING] = 4,
    [AW_LOG_NOTICE] = 5,
    [AW_LOG_INFO] = 6,
    [AW_LOG_DEBUG] = 7,
};

/* systemd.exec(5), JOURNAL_STREAM: device and inode of the stream that stderr was connected to. */
static bool
stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(own, sizeof(own), "%llu:%llu", (unsigned long long)st.st_dev,
        (unsigned long long)st.st_ino);
    return strcmp(stream, own) == 0;
}

/* "KEY=value", escaped, allocated; NULL without memory. */
static char *
make_entry(const struct aw_log_field *field)
{
    const char *value = field->value != NULL ? field->value : "";
    size_t key_size = strlen(field->key);
    size_t capacity = key_size + 1 + 4 * strlen(value) + 1;
    char *entry = malloc(capacity);

    if (entry == NULL)
        return NULL;
    memcpy(entry, field->key, key_size);
    entry[key_size] = '=';
    aw_log_escape(value, strlen(value), entry + key_size + 1, capacity - key_size - 1);
    return entry;
}

/* False when the journal did not take it. `message` is escaped already. */
static bool
write_journal(
    enum aw_log_level level, const struct aw_log_field *fields, size_t count, const char *message)
{
    struct iovec entries[OWN_FIELDS + LOG_MAX_FIELDS] = {{NULL, 0}};
    char text[LOG_MESSAGE_SIZE + 16], priority[16], identifier[64];
    size_t made = 0;

    snprintf(text, sizeof(text), "MESSAGE=%s", message);
    snprintf(priority, sizeof(priority), "PRIORITY=%d", priorities[level]);
    snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%s", log_settings.program);
    entries[0] = (struct iovec){text, strlen(text)};
    entries[1] = (struct iovec){priority, strlen(priority)};
    entries[2] = (struct iovec){identifier, strlen(identifier)};
    for (char *entry; made < count && (entry = make_entry(&fields[made])) != NULL; made++)
        entries[OWN_FIELDS + made] = (struct iovec){entry, strlen(entry)};
    bool taken = made == count && sd_journal_sendv(entries, (int)(OWN_FIELDS + made)) == 0;
    while (made > 0)
        free(entries[OWN_FIELDS + --made].iov_base);
    return taken;
}

void
aw_log_open(const char *program, enum aw_log_level level)
{
    log_settings.program = program;
    log_settings.level = level;
    log_settings.journal = stderr_is_journal() ? write_journal : NULL;
}

void
aw_log_never_wait(void)
{
    log_settings.probe = log_settings.journal != NULL ? aw_journal_probe() : -1;
    log_settings.never_waits = true;
}
