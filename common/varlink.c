#include "common/varlink.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "common/io.h"

enum {
    BUFFER_FIRST = 8 * 1024, /* octets of a stream's first buffer, doubled as needed: any call that
                                carries a key fits. Only this one is locked, so that long messages
                                can't use up the process's RLIMIT_MEMLOCK */
};

struct aw_varlink_stream {
    int in;
    int out;
    bool in_is_socket;
    bool out_is_socket;
    bool deaf; /* what comes in can't be told apart any more */
    bool mute; /* what went out was cut off, or would be taken for another answer */
    char *data;
    size_t capacity;
    size_t start;   /* of what was not yet handed out and wiped */
    size_t end;     /* of what was read */
    size_t scanned; /* there is no NUL before this */
    size_t given;   /* octets at `start` that the caller may still look at */
};

/* Buffer. */

static aw_result
map_buffer(size_t capacity, char **out)
{
    void *pages = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return aw_fail_memory();
    (void)madvise(pages, capacity, MADV_DONTDUMP);
    if (capacity <= BUFFER_FIRST)
        (void)mlock(pages, capacity);
    *out = pages;
    return AW_OK;
}

static void
unmap_buffer(char *data, size_t capacity, size_t used)
{
    OPENSSL_cleanse(data, used);
    munmap(data, capacity);
}

/* Makes room behind `end`: moves what is there to the front, or doubles the buffer. */
static aw_result
make_room(aw_varlink_stream *s)
{
    size_t size = s->end - s->start;
    char *target = s->data;
    size_t capacity = s->capacity;

    if (s->end < s->capacity)
        return AW_OK;
    if (s->start == 0) {
        capacity = 2 * s->capacity;
        AW_TRY(map_buffer(capacity, &target));
    }
    memmove(target, s->data + s->start, size);
    if (target != s->data) {
        unmap_buffer(s->data, s->capacity, s->end);
        s->data = target;
        s->capacity = capacity;
    } else {
        OPENSSL_cleanse(s->data + size, s->end - size);
    }
    s->scanned -= s->start;
    s->start = 0;
    s->end = size;
    return AW_OK;
}

static void
wipe_given(aw_varlink_stream *s)
{
    OPENSSL_cleanse(s->data + s->start, s->given);
    s->start += s->given;
    s->given = 0;
    if (s->start < s->end)
        return;
    s->start = 0;
    s->end = 0;
    s->scanned = 0;
}

/* Stream. */

static aw_result
is_socket(int fd, bool *out)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't use descriptor %d", fd);
    *out = S_ISSOCK(st.st_mode);
    return AW_OK;
}

aw_result
aw_varlink_stream_new_pair(int in, int out_fd, aw_varlink_stream **out)
{
    AW_CLEANUP(aw_free) aw_varlink_stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return aw_fail_memory();
    s->in = in;
    s->out = out_fd;
    AW_TRY(is_socket(in, &s->in_is_socket));
    AW_TRY(is_socket(out_fd, &s->out_is_socket));
    s->capacity = BUFFER_FIRST;
    AW_TRY(map_buffer(s->capacity, &s->data));
    *out = AW_MOVE(s);
    return AW_OK;
}

aw_result
aw_varlink_stream_new(int fd, aw_varlink_stream **out)
{
    return aw_varlink_stream_new_pair(fd, fd, out);
}

void
aw_varlink_stream_free(aw_varlink_stream **stream)
{
    if (stream == NULL || *stream == NULL)
        return;
    aw_varlink_stream *s = *stream;
    unmap_buffer(s->data, s->capacity, s->end);
    if (s->out != s->in)
        aw_close(&s->out);
    aw_close(&s->in);
    free(s);
    *stream = NULL;
}

int
aw_varlink_stream_fd(const aw_varlink_stream *stream)
{
    return stream->in;
}

static aw_result
check_usable(bool given_up)
{
    if (given_up)
        return aw_fail(AW_CODE_CLOSED, "the connection was given up after an earlier fault");
    return AW_OK;
}

/* Monotonic time in ms; -1 is never. */
static int64_t
deadline_after(int ms)
{
    return ms < 0 ? -1 : aw_now_ms() + ms;
}

/* Milliseconds left, as poll() wants them. */
static int
left_until(int64_t deadline)
{
    int64_t left = deadline < 0 ? -1 : deadline - aw_now_ms();

    if (deadline < 0)
        return -1;
    if (left < 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static aw_result
wait_for(int fd, short events, int64_t deadline, const char *what)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left_until(deadline));

        if (n > 0)
            return AW_OK;
        if (n < 0 && errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't wait for the peer");
        if (n == 0 && left_until(deadline) == 0)
            return aw_fail(AW_CODE_TIMEOUT, "%s in time", what);
    }
}

/* Receiving. */

static aw_result
end_of_stream(aw_varlink_stream *s)
{
    size_t size = s->end - s->start;

    s->deaf = true;
    if (size == 0)
        return aw_fail(AW_CODE_CLOSED, "the peer closed the connection");
    return aw_fail(
        AW_CODE_SYNTAX, "the stream ended inside a message, after %zu octets without a NUL", size);
}

/* One read; what a poll() announced may be gone again, which is no failure. */
static aw_result
read_more(aw_varlink_stream *s)
{
    ssize_t n;

    AW_TRY(make_room(s));
    if (s->in_is_socket)
        n = recv(s->in, s->data + s->end, s->capacity - s->end, MSG_DONTWAIT);
    else
        n = read(s->in, s->data + s->end, s->capacity - s->end);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return end_of_stream(s);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return AW_OK;
    if (n < 0)
        return aw_fail_errno(AW_CODE_IO, "can't read from the peer");
    s->end += (size_t)n;
    return AW_OK;
}

/* Looks for a NUL in what is new; *found and s->given tell of a whole message. */
static aw_result
find_message(aw_varlink_stream *s, bool *found)
{
    char *from = s->data + s->scanned;
    char *nul = memchr(from, '\0', s->end - s->scanned);
    size_t length = (nul == NULL ? s->end : (size_t)(nul - s->data)) - s->start;

    *found = nul != NULL;
    s->scanned = s->start + length + (nul != NULL);
    if (length > AW_VARLINK_MAX_MESSAGE) {
        s->deaf = true;
        return aw_fail(AW_CODE_LIMIT, "found a message of over %d octets", AW_VARLINK_MAX_MESSAGE);
    }
    if (nul != NULL)
        s->given = length + 1;
    return AW_OK;
}

aw_result
aw_varlink_receive(
    aw_varlink_stream *stream, int idle_ms, int total_ms, const char **text, size_t *length)
{
    bool found, begun;
    int64_t deadline;

    wipe_given(stream);
    AW_TRY(check_usable(stream->deaf));
    begun = stream->end > stream->start;
    deadline = deadline_after(begun ? total_ms : idle_ms);
    AW_TRY(find_message(stream, &found));
    while (!found) {
        AW_TRY(wait_for(stream->in, POLLIN, deadline,
            begun ? "the message was not complete" : "no message came"));
        AW_TRY(read_more(stream));
        AW_TRY(find_message(stream, &found));
        if (begun || stream->end == stream->start)
            continue;
        begun = true;
        deadline = deadline_after(total_ms);
    }
    *text = stream->data + stream->start;
    *length = stream->given - 1;
    return AW_OK;
}

/* Sending. */

/* A pipe has no MSG_NOSIGNAL: SIGPIPE is blocked in this thread and, if it came, taken away. */
static ssize_t
write_without_sigpipe(int fd, const char *text, size_t size)
{
    static const struct timespec at_once = {0};
    sigset_t pipe_only, before, pending;

    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    sigpending(&pending);
    ssize_t n = write(fd, text, size);
    int kept = errno;
    if (n < 0 && kept == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_only, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = kept;
    return n;
}

/* One write that does not block: EAGAIN when there is no room. */
static ssize_t
write_some(const aw_varlink_stream *s, const char *text, size_t size)
{
    struct pollfd p = {.fd = s->out, .events = POLLOUT};

    if (s->out_is_socket)
        return send(s->out, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (poll(&p, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    /* pipe(7): a pipe that poll() calls writable takes PIPE_BUF octets without blocking. */
    return write_without_sigpipe(s->out, text, size < PIPE_BUF ? size : PIPE_BUF);
}

static aw_result
write_failed(void)
{
    if (errno == EPIPE || errno == ECONNRESET)
        return aw_fail_errno(AW_CODE_CLOSED, "the peer closed the connection");
    return aw_fail_errno(AW_CODE_IO, "can't write to the peer");
}

static aw_result
write_all(const aw_varlink_stream *s, const char *text, size_t size, int64_t deadline)
{
    while (size > 0) {
        ssize_t n = write_some(s, text, size);

        if (n >= 0) {
            text += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            AW_TRY(wait_for(s->out, POLLOUT, deadline, "the peer did not take the message"));
        } else if (errno != EINTR) {
            return write_failed();
        }
    }
    return AW_OK;
}

aw_result
aw_varlink_send(aw_varlink_stream *stream, const char *text, int timeout_ms)
{
    size_t length = strlen(text);

    AW_TRY(check_usable(stream->mute));
    if (length > AW_VARLINK_MAX_MESSAGE)
        return aw_fail(AW_CODE_LIMIT, "a message of %zu octets can't be sent, expected at most %d",
            length, AW_VARLINK_MAX_MESSAGE);
    aw_result r = write_all(stream, text, length + 1, deadline_after(timeout_ms));
    stream->mute = !aw_ok(r);
    return r;
}

/* A late answer would be taken for that of the next message. */
static void
give_up(aw_varlink_stream *s)
{
    s->deaf = s->mute = true;
}

aw_result
aw_varlink_exchange(aw_varlink_stream *stream, const char *message, int timeout_ms,
    const char **text, size_t *length)
{
    int64_t deadline = deadline_after(timeout_ms);

    AW_TRY(check_usable(stream->deaf || stream->mute));
    wipe_given(stream);
    if (stream->end > stream->start) {
        give_up(stream);
        return aw_fail(AW_CODE_SYNTAX, "found an answer to no call, expected none");
    }
    aw_result r = aw_varlink_send(stream, message, timeout_ms);
    /* Who is turned away is told so before its call is read. */
    if (aw_ok(r) || r.code == AW_CODE_CLOSED)
        r = aw_varlink_receive(stream, left_until(deadline), left_until(deadline), text, length);
    if (!aw_ok(r) && r.code != AW_CODE_LIMIT)
        give_up(stream);
    return r;
}

/* Names and parameters. */

static bool
is_element(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '-')
            return false;
    return length > 0 && text[0] != '-' && text[length - 1] != '-';
}

bool
aw_varlink_name_valid(const char *full)
{
    const char *last = strrchr(full, '.');
    size_t elements = 0;

    if (last == NULL || strlen(full) > AW_VARLINK_MAX_METHOD || !isalpha((unsigned char)full[0]) ||
        !isupper((unsigned char)last[1]) || strchr(last, '-') != NULL)
        return false;
    for (const char *at = full;; at++) {
        size_t length = strcspn(at, ".");

        if (!is_element(at, length))
            return false;
        elements++;
        at += length;
        if (*at == '\0')
            return elements >= 3;
    }
}

bool
aw_varlink_split(const char *full, char interface[AW_VARLINK_MAX_METHOD + 1],
    char method[AW_VARLINK_MAX_METHOD + 1])
{
    const char *dot = strrchr(full, '.');

    if (dot == NULL || strlen(full) > AW_VARLINK_MAX_METHOD)
        return false;
    memcpy(interface, full, (size_t)(dot - full));
    interface[dot - full] = '\0';
    memcpy(method, dot + 1, strlen(dot + 1) + 1);
    return true;
}

aw_result
aw_varlink_parameters(cJSON *message, const cJSON **out)
{
    const cJSON *parameters = aw_json_member(message, "parameters");

    if (parameters == NULL)
        parameters = cJSON_AddObjectToObject(message, "parameters");
    if (parameters == NULL)
        return aw_fail_memory();
    if (!cJSON_IsObject(parameters))
        return aw_fail(AW_CODE_SYNTAX, "parameters: expected an object");
    *out = parameters;
    return AW_OK;
}
