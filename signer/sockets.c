#include "signer/sockets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/io.h"
#include "signer/gate.h"

/* Everybody may connect; the gates drop at accept whom no policy or no role names. */
enum { SOCKET_MODE = 0666 };

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
        return gate_check_passed(*fd, path);
    }
    *made = strdup(path);
    if (*made == NULL)
        return aw_fail_memory();
    aw_result r = gate_listen(path, SOCKET_MODE, fd);
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
