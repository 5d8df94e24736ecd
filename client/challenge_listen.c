/* Ports for servers of our own. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "client/challenge.h"
#include "client/interrupt.h"
#include "common/io.h"

enum { LISTEN_QUEUE = 64, TURN_STEP_MS = 50 };

static aw_result
listen_failed(const char *address, unsigned port, const char *option)
{
    int number = errno;
    aw_result r = aw_fail_errno(AW_CODE_IO, "can't listen at port %u of %s", port,
        address == NULL ? "any address" : address);

    if (number == EADDRINUSE)
        return aw_hint(r, "another server has the port: use --webroot with its folder, or stop it");
    if (number == EACCES || number == EPERM)
        return aw_hint(r,
            "ports below 1024 are for root or CAP_NET_BIND_SERVICE: use --webroot, "
            "or --%s-port behind a redirection",
            option);
    return aw_hint(r, "--%s-address is a numeric address of this host", option);
}

static int
listen_at(const struct addrinfo *at)
{
    int one = 1, zero = 0;
    AW_CLEANUP(aw_close)
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0)
        return -1;
    if (at->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0)
        return -1;
    if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, LISTEN_QUEUE) != 0)
        return -1;
    int taken = fd;
    fd = -1;
    return taken;
}

static void
free_addresses(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(*list);
}

/* Any address is one IPv6 socket that takes IPv4 too; where there is no IPv6, an IPv4 socket. */
aw_result
challenge_listen(const char *address, unsigned port, const char *option, int *out)
{
    AW_CLEANUP(free_addresses) struct addrinfo *list = NULL;
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    char service[16];

    snprintf(service, sizeof(service), "%u", port);
    int error = getaddrinfo(address, service, &hints, &list);
    if (error != 0)
        return aw_fail(AW_CODE_USAGE, "\"%s\" is no numeric address: %s",
            address == NULL ? "" : address, gai_strerror(error));
    *out = -1;
    errno = 0;
    for (int v6 = 1; v6 >= 0 && *out < 0; v6--)
        for (const struct addrinfo *at = list; at != NULL && *out < 0; at = at->ai_next)
            if ((at->ai_family == AF_INET6) == (v6 == 1) && errno != EADDRINUSE && errno != EACCES)
                *out = listen_at(at);
    return *out < 0 ? listen_failed(address, port, option) : AW_OK;
}

aw_result
challenge_listen_port(int fd, unsigned *out)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    char service[16] = "";

    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0 ||
        getnameinfo((struct sockaddr *)&bound, size, NULL, 0, service, sizeof(service),
            NI_NUMERICSERV) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't tell the port that is listened at");
    *out = (unsigned)strtoul(service, NULL, 10);
    return AW_OK;
}

aw_result
challenge_port_turn(const char *root, unsigned port, int *out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    int64_t end_ms = aw_now_ms() + (int64_t)CHALLENGE_TURN_SECONDS * 1000;

    AW_TRY(aw_format(&path, "%s/archive/.port-%u.lock", root, port));
    AW_CLEANUP(aw_close)
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) { /* certonly --csr, where nothing was ever stored */
        *out = -1;
        return AW_OK;
    }
    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't lock %s", path);
        if (aw_now_ms() > end_ms)
            return aw_hint(aw_fail(AW_CODE_BUSY, "other runs of acmeward have port %u for %d s",
                               port, CHALLENGE_TURN_SECONDS),
                "try again when they are done");
        AW_TRY(interrupt_wait(TURN_STEP_MS));
    }
    *out = fd;
    fd = -1;
    return AW_OK;
}
