#include "common/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

/* Set once, before threads start. */
static int manager = -1;

void
notify_open(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");

    if (path == NULL || path[0] == '\0')
        return;
    size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || size >= sizeof(address.sun_path)) {
        aw_log(AW_LOG_WARNING, "NOTIFY_SOCKET is no path and no abstract socket: not used");
        return;
    }
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address,
                       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) != 0) {
        aw_log(AW_LOG_WARNING, "the service manager does not listen at %s", path);
        aw_close(&fd);
    }
    manager = fd;
}

void
notify_send(const char *state)
{
    if (manager >= 0 && send(manager, state, strlen(state), MSG_NOSIGNAL) < 0)
        aw_log(AW_LOG_WARNING, "the service manager could not be told %s", state);
}
