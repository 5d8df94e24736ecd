/* Takes acmeward-gate's place for applications, beside the real signer: a gate that was taken over,
 * and has not even confined itself. What it is refused is printed, and read by
 * test_hostile_gate.py.
 *
 * The file "paths" beside it has, a line each, what it tries to open. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/json.h"
#include "signer/channel.h"
#include "signer/keeper.h"

static void
tell(const char *what, long answer)
{
    dprintf(STDERR_FILENO, "hostile: %s: %s\n", what, answer < 0 ? "refused" : "DONE");
}

static const char *
beside(const char *name)
{
    static char path[PATH_MAX + 16];
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX);

    if (size <= 0)
        exit(1);
    path[size] = '\0';
    memcpy(strrchr(path, '/') + 1, name, strlen(name) + 1);
    return path;
}

/* The keeper's parent. */
static pid_t
core(void)
{
    char path[64], line[256] = "";

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)getppid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0 || strrchr(line, ')') == NULL)
        exit(1);
    close(fd);
    return (pid_t)strtol(strrchr(line, ')') + 4, NULL, 10);
}

static void
try_files(void)
{
    char path[PATH_MAX];
    FILE *list = fopen(beside("paths"), "re");

    while (list != NULL && fgets(path, sizeof(path), list) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        tell(path, open(path, O_RDONLY | O_CLOEXEC));
    }
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)core());
    tell("the core's memory", open(path, O_RDONLY | O_CLOEXEC));
}

static void
try_others(void)
{
    tell("an internet socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    tell("a Unix socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    tell("signals of a descriptor to the core", fcntl(KEEPER_LISTEN_FD, F_SETOWN, core()));
}

static int
introduce(int connection)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        channel_pass(KEEPER_CORE_FD, connection, ends[1]).code != AW_CODE_OK)
        exit(1);
    close(ends[1]);
    return ends[0];
}

static void
ask(int channel, const char *method)
{
    AW_CLEANUP(channel_message_free) struct channel_message message = {.data = NULL};
    AW_CLEANUP(aw_json_free) cJSON *parameters = cJSON_CreateObject();
    struct aw_varlink_call call = {.parameters = parameters};

    snprintf(call.method, sizeof(call.method), "%s", method);
    if (aw_ok(channel_encode(&call, &message)))
        aw_ignore(channel_send(channel, &message), "the core may have ended it");
}

/* A user who is connected is asked for what administrators may, and for what he may, after he has
 * gone; then comes what no gate sends. */
int
main(int argc, char **argv)
{
    char octet;

    if (argc < 2 || strcmp(argv[1], "applications") != 0) {
        execv(beside("administrators"), argv);
        return 1;
    }
    try_files();
    try_others();
    if (!aw_ok(channel_open(KEEPER_CORE_FD)))
        return 1;
    struct pollfd wait = {.fd = KEEPER_LISTEN_FD, .events = POLLIN};
    poll(&wait, 1, -1);
    int fd = accept4(KEEPER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
    int channel = introduce(fd);
    ask(channel, "org.acmeward.Admin.Reload");
    ask(channel, "org.acmeward.Admin.Status");
    while (read(fd, &octet, 1) > 0) /* until the user has gone */
        continue;
    ask(channel, "org.acmeward.Signer.WhoAmI");
    introduce(channel);
    poll(NULL, 0, 60 * 1000);
    return 0;
}
