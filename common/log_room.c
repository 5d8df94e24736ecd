#include "common/log_room.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/io.h"

int
aw_journal_probe(void)
{
    const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = AW_JOURNAL_SOCKET};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) != 0)
        aw_close(&fd);
    return fd;
}

bool
aw_has_room(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};

    return poll(&wait, 1, 0) != 0 || fd < 0;
}
