#define SD_JOURNAL_SUPPRESS_LOCATION /* file and line of this file would say nothing */

#include "signer/forward_send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "common/io.h"
#include "common/log_room.h"

/* RFC 5424 6.2.1. */
enum {
    FACILITY_AUTHPRIV = 10,
    SEVERITY_ERROR = 3,
    SEVERITY_WARNING = 4,
    SEVERITY_NOTICE = 5,
    SEVERITY_INFO = 6,
    VALUE_MAX = 512, /* octets of a value of structured data; the whole is in the message */
};

void
forward_target_close(struct forward_target *target)
{
    aw_close(&target->fd);
}

/* PRINTUSASCII, 1 to 255 (RFC 5424 6.2.4). */
static void
find_host(char out[256])
{
    if (gethostname(out, 256) != 0)
        out[0] = '\0';
    out[255] = '\0';
    for (const char *at = out; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            out[0] = '\0';
    if (out[0] == '\0')
        memcpy(out, "-", 2);
}

aw_result
forward_target_open(enum aw_config_forward to, const char *socket_path, struct forward_target *out)
{
    *out = (struct forward_target){.to = to, .fd = -1, .address = {.sun_family = AF_UNIX}};
    find_host(out->host);
    if (to == AW_FORWARD_JOURNAL) {
        out->fd = aw_journal_probe();
        if (aw_has_room(out->fd)) /* makes libsystemd's socket, while one can be made */
            sd_journal_send("MESSAGE=audit records are forwarded to the journal", "PRIORITY=6",
                "SYSLOG_IDENTIFIER=acmeward-signer", NULL);
    }
    if (to != AW_FORWARD_SYSLOG)
        return AW_OK;
    if (strlen(socket_path) >= sizeof(out->address.sun_path))
        return aw_fail(AW_CODE_LIMIT, "the path %s is too long for a socket", socket_path);
    memcpy(out->address.sun_path, socket_path, strlen(socket_path) + 1);
    out->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return aw_fail_errno(AW_CODE_IO, "cannot make a socket for syslog");
    return AW_OK;
}

static int
severity_of(const struct audit_entry *entry)
{
    if (entry->kind == AUDIT_ALARM || entry->kind == AUDIT_OUTCOME)
        return SEVERITY_ERROR;
    if (entry->verdict == NULL || strcmp(entry->verdict, "permit") == 0)
        return SEVERITY_INFO;
    return strcmp(entry->verdict, "warn") == 0 ? SEVERITY_WARNING : SEVERITY_NOTICE;
}

/* What is told apart from the line, for those who filter. */
struct shown {
    const char *name, *value;
};

enum { SHOWN = 6 };

static void
choose_shown(const struct audit_record *record, const char *seq, struct shown out[SHOWN])
{
    const struct audit_entry *entry = &record->entry;
    const struct shown all[SHOWN] = {{"seq", seq}, {"kind", audit_kind_name(entry->kind)},
        {"verdict", entry->verdict}, {"rule", entry->rule}, {"operation", entry->operation},
        {"application", entry->application}};

    memcpy(out, all, sizeof(all));
}

/* Syslog. */

/* PARAM-VALUE: quotation mark, backslash and closing bracket are escaped (RFC 5424 6.3.3). */
static size_t
write_value(const char *value, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < VALUE_MAX && value[i] != '\0'; i++) {
        if (strchr("\"\\]", value[i]) != NULL)
            out[used++] = '\\';
        out[used++] = value[i];
    }
    out[used] = '\0';
    return used;
}

/* 32473 is the number for examples (RFC 5612): this project has none of its own. */
static void
write_header(const struct forward_target *target, const struct audit_record *record, FILE *out)
{
    struct shown shown[SHOWN];
    char time[32], seq[24], value[2 * VALUE_MAX + 1];

    aw_time_text(record->entry.time, time);
    snprintf(seq, sizeof(seq), "%lld", (long long)record->seq);
    choose_shown(record, seq, shown);
    fprintf(out, "<%d>1 %s %s acmeward-signer %ld audit [acmeward@32473",
        FACILITY_AUTHPRIV * 8 + severity_of(&record->entry), time, target->host, (long)getpid());
    for (size_t i = 0; i < SHOWN; i++) {
        if (shown[i].value == NULL)
            continue;
        write_value(shown[i].value, value);
        fprintf(out, " %s=\"%s\"", shown[i].name, value);
    }
    fputs("] ", out);
}

static aw_result
make_header(const struct forward_target *target, const struct audit_record *record, char **text,
    size_t *size)
{
    FILE *out = open_memstream(text, size);

    if (out == NULL)
        return aw_fail_memory();
    write_header(target, record, out);
    return fclose(out) == 0 && *text != NULL ? AW_OK : aw_fail_memory();
}

static bool
transmit(const struct forward_target *target, struct iovec *parts, size_t count)
{
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;

    do
        sent = sendmsg(target->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static aw_result
not_taken(const struct forward_target *target)
{
    if (errno == EAGAIN || errno == ENOBUFS)
        return aw_fail(AW_CODE_BUSY, "%s takes no more at present", target->address.sun_path);
    return aw_hint(
        aw_fail_errno(AW_CODE_UNAVAILABLE, "%s takes no records", target->address.sun_path),
        "is syslog running, does it listen on that socket (forward_socket under audit), and may "
        "the signer's user write to it?");
}

static aw_result
attach(struct forward_target *target)
{
    if (connect(target->fd, (const struct sockaddr *)&target->address, sizeof(target->address)) !=
        0)
        return not_taken(target);
    target->connected = true;
    return AW_OK;
}

/* A record that is too long for the receiver is named: it stands in the log. */
static aw_result
send_syslog(struct forward_target *target, const struct audit_followed *followed)
{
    static char too_long[] = "the record is too long to be forwarded: see the audit log";
    AW_CLEANUP(aw_free) char *header = NULL;
    size_t size = 0;

    AW_TRY(make_header(target, followed->record, &header, &size));
    struct iovec parts[] = {{header, size}, {(char *)(uintptr_t)followed->line, followed->length}};
    for (int attempt = 0;; attempt++) {
        if (!target->connected)
            AW_TRY(attach(target));
        if (transmit(target, parts, AW_COUNT(parts)))
            return AW_OK;
        if (errno == EMSGSIZE && parts[1].iov_base != too_long)
            parts[1] = (struct iovec){too_long, sizeof(too_long) - 1};
        else if (errno == EAGAIN || errno == ENOBUFS || attempt > 1)
            return not_taken(target);
        else
            target->connected = false; /* the receiver was started anew */
    }
}

/* The journal. */

/* libsystemd calls a missing socket a success, which would lose the record, and waits for one that
 * is full, which would hold the end of the signer. */
static aw_result
check_journal(const struct forward_target *target)
{
    if (access(AW_JOURNAL_SOCKET, W_OK) != 0)
        return aw_fail_errno(
            AW_CODE_UNAVAILABLE, "the journal takes no records at " AW_JOURNAL_SOCKET);
    return aw_has_room(target->fd)
               ? AW_OK
               : aw_fail(AW_CODE_BUSY, AW_JOURNAL_SOCKET " takes no more at present");
}

static aw_result
send_fields(struct iovec *fields, size_t count)
{
    int number = sd_journal_sendv(fields, (int)count);

    if (number >= 0)
        return AW_OK;
    errno = -number;
    return aw_fail_errno(AW_CODE_UNAVAILABLE, "the journal takes no records");
}

static void free_fields(struct iovec (*fields)[SHOWN + 4])
{
    for (size_t i = 0; i < AW_COUNT(*fields); i++)
        free((*fields)[i].iov_base);
}

static aw_result
add_field(struct iovec *fields, size_t *count, const char *name, const char *value)
{
    char *text = NULL;

    AW_TRY(aw_format(&text, "%s=%s", name, value));
    for (char *at = text; *at != '='; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    fields[(*count)++] = (struct iovec){text, strlen(text)};
    return AW_OK;
}

static aw_result
send_journal(const struct forward_target *target, const struct audit_followed *followed)
{
    AW_CLEANUP(free_fields) struct iovec fields[SHOWN + 4] = {{NULL, 0}};
    AW_CLEANUP(aw_free) char *line = strndup(followed->line, followed->length);
    struct shown shown[SHOWN];
    char seq[24], priority[4], name[32];
    size_t count = 0;

    if (line == NULL)
        return aw_fail_memory();
    AW_TRY(check_journal(target));
    snprintf(seq, sizeof(seq), "%lld", (long long)followed->record->seq);
    snprintf(priority, sizeof(priority), "%d", severity_of(&followed->record->entry));
    choose_shown(followed->record, seq, shown);
    AW_TRY(add_field(fields, &count, "MESSAGE", line));
    AW_TRY(add_field(fields, &count, "PRIORITY", priority));
    AW_TRY(add_field(fields, &count, "SYSLOG_FACILITY", "10"));
    AW_TRY(add_field(fields, &count, "SYSLOG_IDENTIFIER", "acmeward-audit"));
    for (size_t i = 0; i < SHOWN; i++) {
        if (shown[i].value == NULL)
            continue;
        snprintf(name, sizeof(name), "ACMEWARD_%s", shown[i].name);
        AW_TRY(add_field(fields, &count, name, shown[i].value));
    }
    return send_fields(fields, count);
}

aw_result
forward_send(struct forward_target *target, const struct audit_followed *followed)
{
    return target->to == AW_FORWARD_SYSLOG ? send_syslog(target, followed)
                                           : send_journal(target, followed);
}
