#include "relay/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <systemd/sd-daemon.h>

#include "common/io.h"
#include "relay/address.h"

enum { BACKLOG = 1024 };

void
relay_sockets_close(struct relay_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++)
        aw_close(&sockets->fds[i]);
    sockets->count = 0;
}

static aw_result
listen_failed(const char *text)
{
    int number = errno;
    aw_result r = aw_fail_errno(AW_CODE_IO, "can't listen at %s", text);

    if (number == EADDRINUSE)
        return aw_hint(r, "is another server or relay running there?");
    if (number == EACCES || number == EPERM)
        return aw_hint(
            r, "ports below 1024 are passed by the service manager: acmeward-relay.socket");
    return aw_hint(r, "listen names numeric addresses of this host");
}

static aw_result
make_one(const char *text, int *out)
{
    struct relay_address address;
    int one = 1;

    if (!relay_address_parse(text, &address))
        return aw_fail(AW_CODE_CONFIG, "%s is no address to listen at", text);
    AW_CLEANUP(aw_close)
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (const struct sockaddr *)&address.storage, address.size) != 0 ||
        listen(fd, BACKLOG) != 0)
        return listen_failed(text);
    *out = fd;
    fd = -1;
    return AW_OK;
}

static aw_result
make_all(const struct relay_config *config, struct relay_sockets *out)
{
    if (config->listen.count == 0)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "%s: there is nothing to listen at", config->file),
            "name addresses in listen, or have the service manager pass sockets "
            "(acmeward-relay.socket)");
    for (size_t i = 0; i < config->listen.count; i++) {
        AW_TRY(make_one(config->listen.items[i].text, &out->fds[out->count]));
        out->count++;
    }
    return AW_OK;
}

static aw_result
check_passed(int fd, const char *name)
{
    if (strcmp(name, "relay") != 0)
        return aw_hint(
            aw_fail(AW_CODE_CONFIG, "the service manager passed a socket named \"%.64s\"", name),
            "the socket unit has FileDescriptorName=relay");
    if (sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) <= 0)
        return aw_hint(aw_fail(AW_CODE_CONFIG, "the service manager's socket does not listen at a "
                                               "TCP port"),
            "the socket unit has ListenStream= with a port");
    return AW_OK;
}

static aw_result
take_passed(char *const *names, int count, struct relay_sockets *out)
{
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;

        AW_TRY(check_passed(fd, names[i]));
        if (out->count == RELAY_SOCKETS_MAX)
            return aw_fail(AW_CODE_LIMIT, "more than %d sockets were passed", RELAY_SOCKETS_MAX);
        out->fds[out->count++] = fd;
    }
    return AW_OK;
}

aw_result
relay_sockets_open(const struct relay_config *config, struct relay_sockets *out)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);

    *out = (struct relay_sockets){0};
    if (count < 0)
        return aw_fail(AW_CODE_CONFIG, "the service manager's sockets: %s", strerror(-count));
    aw_result r = count > 0 ? take_passed(names, count, out) : make_all(config, out);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return r;
}
