/* Channels: how messages and descriptors are sent and taken. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/channel.h"
#include "signer/passing.h"

/* What stands before each body. */
struct header {
    uint32_t kind;
    uint32_t size;
};

enum { PASSED = PASSING_MAX }; /* descriptors of an arrival */

static aw_result
closed(void)
{
    return aw_fail(AW_CODE_CLOSED, "the other end of the channel is closed");
}

static bool
is_closed(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/* Takes `sent` octets off the front. */
static void
advance(struct msghdr *what, size_t sent)
{
    for (; what->msg_iovlen > 0 && sent >= what->msg_iov->iov_len; what->msg_iovlen--)
        sent -= (what->msg_iov++)->iov_len;
    if (what->msg_iovlen > 0) {
        what->msg_iov->iov_base = (char *)what->msg_iov->iov_base + sent;
        what->msg_iov->iov_len -= sent;
    }
}

aw_result
channel_send(int fd, const struct channel_message *message)
{
    struct header header = {message->kind, (uint32_t)message->size};
    struct iovec parts[] = {{&header, sizeof(header)}, {message->data, message->size}};
    struct msghdr what = {.msg_iov = parts, .msg_iovlen = AW_COUNT(parts)};

    while (what.msg_iovlen > 0) {
        ssize_t sent = sendmsg(fd, &what, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return is_closed(errno) ? closed() : aw_fail_errno(AW_CODE_IO, "can't tell the core");
        advance(&what, (size_t)sent);
    }
    return AW_OK;
}

aw_result
channel_admit(int fd)
{
    return send(fd, "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? AW_OK : closed();
}

aw_result
channel_await(int fd)
{
    char octet = 0;
    ssize_t got;

    do
        got = recv(fd, &octet, 1, 0);
    while (got < 0 && errno == EINTR);
    return got == 1 ? AW_OK : closed();
}

static aw_result
late(void)
{
    return aw_fail(AW_CODE_MISMATCH, "a gate began a message and did not end it");
}

/* All of `size`. A gate that ends, killed or not, leaves half of what it was sending: that is no
 * sign of malice, and the next gate must not be taken for it. */
static aw_result
receive_all(int fd, void *out, size_t size, int64_t deadline)
{
    for (size_t got = 0; got < size;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t part = recv(fd, (char *)out + got, size - got, MSG_DONTWAIT);

        if (part > 0) {
            got += (size_t)part;
            continue;
        }
        if (part == 0 || is_closed(errno))
            return closed();
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return aw_fail_errno(AW_CODE_MISMATCH, "a gate's channel can't be read");
        int64_t left = deadline - aw_now_ms();
        if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR))
            return late();
    }
    return AW_OK;
}

static aw_result
wait_for_message(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    while (poll(&wait, 1, -1) < 0)
        if (errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't wait for a gate");
    return AW_OK;
}

static aw_result
receive_body(int fd, const struct header *header, int64_t deadline, struct channel_message *out)
{
    if ((header->kind != CHANNEL_CALL && header->kind != CHANNEL_GARBAGE) ||
        header->size > CHANNEL_BODY_MAX)
        return aw_fail(AW_CODE_MISMATCH, "a gate began what is no message");
    out->kind = (enum channel_kind)header->kind;
    out->size = header->size;
    out->data = malloc(out->size + 1);
    if (out->data == NULL)
        return aw_fail_memory();
    out->data[out->size] = '\0';
    return receive_all(fd, out->data, out->size, deadline);
}

aw_result
channel_receive(int fd, int message_ms, struct channel_message *out)
{
    struct header header = {0, 0};

    *out = (struct channel_message){.data = NULL};
    AW_TRY(wait_for_message(fd));
    int64_t deadline = aw_now_ms() + message_ms;
    AW_TRY(receive_all(fd, &header, sizeof(header), deadline));
    aw_result r = receive_body(fd, &header, deadline, out);
    if (!aw_ok(r))
        channel_message_free(out);
    return r;
}

/* Arrivals. */

/* What one is called; the first word of a gate has another. */
enum { OPEN = 'o', CONNECTION = 'c' };

static aw_result
cant_reach(void)
{
    return is_closed(errno) ? closed() : aw_fail_errno(AW_CODE_IO, "can't reach the core");
}

aw_result
channel_open(int socket)
{
    return passing_send(socket, OPEN, NULL, 0) >= 0 ? AW_OK : cant_reach();
}

aw_result
channel_take_open(int socket)
{
    char octets[2];
    struct passing passed;
    ssize_t size = passing_take(socket, octets, sizeof(octets), &passed);

    if (size == 1 && octets[0] == OPEN && passed.count == 0 && !passed.truncated)
        return AW_OK;
    for (size_t i = 0; i < passed.count; i++)
        aw_close(&passed.fds[i]);
    if (size == 0 || (size < 0 && is_closed(errno)))
        return closed();
    return aw_fail(AW_CODE_MISMATCH, "a gate's first word is not that it accepts");
}

aw_result
channel_pass(int socket, int connection, int channel)
{
    const int fds[PASSED] = {connection, channel};

    return passing_send(socket, CONNECTION, fds, PASSED) >= 0 ? AW_OK : cant_reach();
}

aw_result
channel_take(int socket, int *connection, int *channel)
{
    char octets[2];
    struct passing passed;
    ssize_t size = passing_take(socket, octets, sizeof(octets), &passed);

    int error = errno;
    *connection = passed.fds[0];
    *channel = passed.fds[1];
    if (size == 1 && octets[0] == CONNECTION && passed.count == PASSED && !passed.truncated)
        return AW_OK;
    aw_close(connection);
    aw_close(channel);
    errno = error;
    if (size == 0 || (size < 0 && is_closed(errno)))
        return closed();
    if (size < 0)
        return aw_fail_errno(AW_CODE_IO, "can't take a connection from a gate");
    if (size == 1 && octets[0] == CONNECTION && passed.count < PASSED && passed.truncated)
        return aw_fail(AW_CODE_BUSY, "no descriptors are left for a connection");
    return aw_fail(AW_CODE_MISMATCH, "a gate passed something else than a connection");
}
