#include "client/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"

enum { CHUNK = 16 * 1024 }; /* octets copied at once */

/*
 * Writes block. One who sends without reading what comes back stops only itself: the signer ends a
 * connection that does not move.
 */
struct joint {
    int in;
    int out;
    int socket;
    bool in_ended;
    bool socket_ended;
    bool sent;     /* something was passed on to the signer */
    bool answered; /* something came back */
};

/* One read; 0 at the end. */
static aw_result
read_some(int fd, const char *whose, uint8_t *buffer, size_t *size)
{
    ssize_t n;

    do
        n = read(fd, buffer, CHUNK);
    while (n < 0 && errno == EINTR);
    *size = n > 0 ? (size_t)n : 0;
    /* A reset: the peer closed with something of ours unread. */
    if (n < 0 && errno != ECONNRESET)
        return aw_fail_errno(AW_CODE_IO, "can't read from the %s", whose);
    return AW_OK;
}

static aw_result
pass_on_input(struct joint *j)
{
    uint8_t buffer[CHUNK];
    size_t size;

    AW_TRY(read_some(j->in, "client", buffer, &size));
    j->in_ended = size == 0;
    if (j->in_ended) {
        shutdown(j->socket, SHUT_WR);
        return AW_OK;
    }
    j->sent = true;
    /* When the signer is gone, its end says so: what it said before that comes first. */
    j->in_ended = !aw_ok(aw_fd_write(j->socket, buffer, size));
    return AW_OK;
}

static aw_result
pass_on_answer(struct joint *j)
{
    uint8_t buffer[CHUNK];
    size_t size;

    AW_TRY(read_some(j->socket, "signer", buffer, &size));
    j->socket_ended = size == 0;
    if (j->socket_ended)
        return AW_OK;
    j->answered = true;
    return aw_context(aw_fd_write(j->out, buffer, size), "the client");
}

static aw_result
step(struct joint *j)
{
    struct pollfd fds[] = {
        {.fd = j->in_ended ? -1 : j->in, .events = POLLIN},
        {.fd = j->socket, .events = POLLIN},
    };

    if (poll(fds, AW_COUNT(fds), -1) < 0)
        return errno == EINTR ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't wait for the signer");
    if (fds[0].revents != 0)
        AW_TRY(pass_on_input(j));
    return fds[1].revents != 0 ? pass_on_answer(j) : AW_OK;
}

static aw_result
fail_turned_away(void)
{
    return aw_hint(aw_fail(AW_CODE_UNAVAILABLE, "the signer closed the connection at once"),
        "it turns users away whom no policy names: is the login account, uid %u, among the "
        "principals of an application? Else try again, it may have been restarted",
        (unsigned)geteuid());
}

aw_result
connect_streams(int in, int out, int socket)
{
    struct joint j = {.in = in, .out = out, .socket = socket};

    while (!j.socket_ended)
        AW_TRY(step(&j));
    /* Also one that was turned away before it said anything, with its input still open. */
    return j.answered || (j.in_ended && !j.sent) ? AW_OK : fail_turned_away();
}
