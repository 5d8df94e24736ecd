#include "signer/passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

union control {
    char octets[CMSG_SPACE(PASSING_MAX * sizeof(int))];
    struct cmsghdr align;
};

ssize_t
passing_send(int socket, char octet, const int *fds, size_t count)
{
    union control control = {.octets = {0}};
    struct iovec part = {&octet, 1};
    struct msghdr what = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        what.msg_control = control.octets;
        what.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *passed = CMSG_FIRSTHDR(&what);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(passed), fds, count * sizeof(int));
    }
    do
        sent = sendmsg(socket, &what, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* Whatever came is ours to close, wanted or not. */
static void
take_descriptors(struct msghdr *what, struct passing *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(what); c != NULL; c = CMSG_NXTHDR(what, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < here; i++) {
            int fd = -1;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (out->count < PASSING_MAX)
                out->fds[out->count++] = fd;
            else
                close(fd);
        }
    }
}

ssize_t
passing_take(int socket, char *octets, size_t size, struct passing *out)
{
    union control control;
    struct iovec part = {octets, size};
    struct msghdr what = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.octets,
        .msg_controllen = sizeof(control.octets)};
    ssize_t got;

    *out = (struct passing){.fds = {-1, -1}};
    do
        got = recvmsg(socket, &what, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return got;
    take_descriptors(&what, out);
    out->truncated = (what.msg_flags & MSG_CTRUNC) != 0;
    return got;
}

static bool
is_stream(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

static bool
is_accepted_at(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address), int_size = sizeof(int);
    int listening = 1;

    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) == 0 &&
           address.sun_family == AF_UNIX && listening == 0 &&
           strncmp(address.sun_path, path, sizeof(address.sun_path)) == 0;
}

aw_result
passing_check(int connection, int channel, const char *path, const char *name)
{
    if (is_stream(connection) && is_accepted_at(connection, path) && is_stream(channel))
        return AW_OK;
    return aw_fail(
        AW_CODE_MISMATCH, "the gate for %s passed what is no connection to its socket", name);
}
