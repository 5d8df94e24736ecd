#include "signer/sockets.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/io.h"
#include "signer/gate.h"

/* Everybody may connect; the gates drop at accept whom no policy or no role names. */
enum { SOCKET_MODE = 0666 };

/* The gates of a signer that was killed may need a moment until they are gone too. */
enum { LEAVING_MS = 1000, LOOK_MS = 10 };

/* A socket that nobody listens on refuses connections; anything else is somebody's. */
static bool
is_dead(const struct sockaddr_un *address)
{
    AW_CLEANUP(aw_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
           errno == ECONNREFUSED;
}

static aw_result
refuse_live_socket(const struct sockaddr_un *address)
{
    int64_t deadline = aw_now_ms() + LEAVING_MS;

    while (!is_dead(address)) {
        if (aw_now_ms() > deadline)
            return aw_hint(
                aw_fail(AW_CODE_EXISTS, "another process has the socket %s", address->sun_path),
                "is another signer running? Stop it, or name another path in paths");
        poll(NULL, 0, LOOK_MS);
    }
    return AW_OK;
}

static aw_result
remove_stale_socket(const struct sockaddr_un *address)
{
    const char *path = address->sun_path;
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "%s", path);
    if (!S_ISSOCK(status.st_mode))
        return aw_hint(aw_fail(AW_CODE_EXISTS, "%s is there and is not a socket", path),
            "remove it, or name another path in paths");
    AW_TRY(refuse_live_socket(address));
    if (unlink(path) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't remove the stale socket %s", path);
    return AW_OK;
}

static aw_result
check_folder(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = strdup(path);

    if (folder == NULL)
        return aw_fail_memory();
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return aw_fail(AW_CODE_CONFIG, "the socket's path %s is not absolute", path);
    slash[slash == folder ? 1 : 0] = '\0';
    AW_TRY(aw_path_check(folder, geteuid(), 0022));
    return aw_path_check_place(folder, geteuid());
}

static aw_result
address_of(const char *path, struct sockaddr_un *out)
{
    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(out->sun_path))
        return aw_fail(AW_CODE_LIMIT, "%s is longer than the %zu octets of a socket's path", path,
            sizeof(out->sun_path) - 1);
    memcpy(out->sun_path, path, strlen(path) + 1);
    return AW_OK;
}

static aw_result
make(const char *path, mode_t mode, int *fd)
{
    AW_CLEANUP(aw_close) int made = -1;
    struct sockaddr_un address;

    AW_TRY(address_of(path, &address));
    AW_TRY(check_folder(path));
    AW_TRY(remove_stale_socket(&address));
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make a socket");
    /* bind takes the mode from here, so there is no moment in which it is wider. */
    if (fchmod(made, mode) != 0 ||
        bind(made, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(path, mode) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make the socket %s", path);
    *fd = made;
    made = -1;
    return AW_OK;
}

static aw_result
listen_at(int fd, const char *path)
{
    return listen(fd, GATE_BACKLOG) == 0 ? AW_OK
                                         : aw_fail_errno(AW_CODE_IO, "can't listen at %s", path);
}

aw_result
sockets_listen(const char *path, mode_t mode, int *fd)
{
    AW_TRY(make(path, mode, fd));
    return listen_at(*fd, path);
}

aw_result
sockets_check_passed(int fd, const char *path)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int listening = 0, type = 0;
    socklen_t int_size = sizeof(int);

    memset(&address, 0, sizeof(address));
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_size) != 0)
        return aw_fail_errno(AW_CODE_IO, "descriptor %d from the service manager", fd);
    if (address.sun_family != AF_UNIX || type != SOCK_STREAM || listening == 0 ||
        strncmp(address.sun_path, path, sizeof(address.sun_path)) != 0)
        return aw_hint(aw_fail(AW_CODE_CONFIG,
                           "the service manager's socket is not a stream listening at %s", path),
            "make ListenStream= of the socket unit and paths in signer.yaml the same");
    return check_folder(path);
}

/* What the service manager passed. */
struct passed {
    char **names;
    int count;
};

static void
passed_free(struct passed *passed)
{
    for (int i = 0; i < passed->count; i++)
        free(passed->names[i]);
    free(passed->names);
}

/* The first of that name; the others are looked for with `after`. */
static int
find(const struct passed *passed, const char *name, int after)
{
    for (int i = after; i < passed->count; i++)
        if (strcmp(passed->names[i], name) == 0)
            return i;
    return -1;
}

static aw_result
check_names(const struct passed *passed)
{
    for (int i = 0; i < passed->count; i++) {
        const char *name = passed->names[i];
        bool known = strcmp(name, "application") == 0 || strcmp(name, "admin") == 0;

        if (!known || find(passed, name, i + 1) >= 0)
            return aw_hint(
                aw_fail(AW_CODE_CONFIG, "the service manager passed %s socket named \"%.64s\"",
                    known ? "more than one" : "a", name),
                "the socket units' FileDescriptorName= is application for one and admin for the "
                "other");
    }
    return AW_OK;
}

static aw_result
open_one(const struct passed *passed, const char *name, const char *path, int *fd, char **made)
{
    int index = find(passed, name, 0);

    if (index >= 0) {
        *fd = SD_LISTEN_FDS_START + index;
        return sockets_check_passed(*fd, path);
    }
    *made = strdup(path);
    if (*made == NULL)
        return aw_fail_memory();
    aw_result r = make(path, SOCKET_MODE, fd);
    if (!aw_ok(r))
        aw_free(made); /* what is there is not ours */
    return r;
}

aw_result
sockets_open(const struct aw_config *config, struct sockets *out)
{
    AW_CLEANUP(passed_free) struct passed passed = {0};

    *out = (struct sockets){.application = -1, .admin = -1};
    int count = sd_listen_fds_with_names(1, &passed.names);
    if (count < 0)
        return aw_fail(AW_CODE_CONFIG, "the service manager's sockets: %s", strerror(-count));
    passed.count = count;
    AW_TRY(check_names(&passed));
    AW_TRY(open_one(&passed, "application", config->paths.application_socket, &out->application,
        &out->made[0]));
    return open_one(&passed, "admin", config->paths.admin_socket, &out->admin, &out->made[1]);
}

aw_result
sockets_begin(const struct sockets *sockets)
{
    if (sockets->made[0] != NULL)
        AW_TRY(listen_at(sockets->application, sockets->made[0]));
    return sockets->made[1] == NULL ? AW_OK : listen_at(sockets->admin, sockets->made[1]);
}

void
sockets_end(struct sockets *sockets)
{
    for (size_t i = 0; i < AW_COUNT(sockets->made); i++) {
        if (sockets->made[i] != NULL)
            unlink(sockets->made[i]);
        aw_free(&sockets->made[i]);
    }
    aw_close(&sockets->application);
    aw_close(&sockets->admin);
}
