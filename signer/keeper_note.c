/* Notes between keeper and core: an octet, perhaps a descriptor. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "signer/keeper_child.h"

union control {
    char octets[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

bool
keeper_note_send(int socket, char what, int fd)
{
    union control control = {.octets = {0}};
    struct iovec part = {&what, 1};
    struct msghdr note = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (fd >= 0) {
        note.msg_control = control.octets;
        note.msg_controllen = sizeof(control.octets);
        struct cmsghdr *passed = CMSG_FIRSTHDR(&note);
        passed->cmsg_level = SOL_SOCKET;
        passed->cmsg_type = SCM_RIGHTS;
        passed->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(passed), &fd, sizeof(fd));
    }
    do
        sent = sendmsg(socket, &note, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1;
}

bool
keeper_note_take(int socket, char *what, int *fd)
{
    union control control;
    struct iovec part = {what, 1};
    struct msghdr note = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.octets,
        .msg_controllen = sizeof(control.octets)};
    ssize_t size;

    *fd = -1;
    do
        size = recvmsg(socket, &note, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size != 1)
        return false;
    const struct cmsghdr *passed = CMSG_FIRSTHDR(&note);
    if (passed != NULL && passed->cmsg_level == SOL_SOCKET && passed->cmsg_type == SCM_RIGHTS &&
        passed->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(passed), sizeof(*fd));
    return true;
}
