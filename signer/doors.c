#include "signer/doors.h"

#include <poll.h>

#include "common/log.h"
#include "signer/admin.h"
#include "signer/application.h"
#include "signer/core.h"

static const char *const names[] = KEEPER_GATE_NAMES;

static aw_result
door_next(void *context, int stop_fd, int *out)
{
    const struct door *door = context;

    return keeper_next(door->keeper, door->gate, stop_fd, out);
}

static void
door_kill(void *context)
{
    const struct door *door = context;

    keeper_kill_gate(door->keeper, door->gate);
}

/* Nothing reloads before the doors are open, so the configuration can't change here; the paths
 * never do. */
static aw_result
open_door(struct core *core, struct door *door, int *listen_fd)
{
    bool applications = door->gate == KEEPER_APPLICATIONS;
    struct connections_of of = {.core = core,
        .service = applications ? &application_service : &admin_service,
        .source = {.next = door_next, .kill = door_kill, .context = door},
        .path = applications ? core->config->paths.application_socket
                             : core->config->paths.admin_socket};

    AW_TRY(keeper_open_gate(door->keeper, door->gate, listen_fd));
    return connections_start(&of, &door->connections);
}

aw_result
doors_open(struct core *core, keeper *k, struct doors *doors)
{
    AW_TRY(sockets_begin(&doors->sockets));
    aw_log(AW_LOG_NOTICE, "applications at %s, administrators at %s",
        core->config->paths.application_socket, core->config->paths.admin_socket);
    int *const fds[] = {&doors->sockets.application, &doors->sockets.admin};
    for (int i = 0; i < KEEPER_GATES; i++)
        doors->items[i] = (struct door){.keeper = k, .gate = (enum keeper_gate)i};
    for (int i = KEEPER_GATES; i-- > 0;)
        AW_TRY(open_door(core, &doors->items[i], fds[i]));
    return AW_OK;
}

size_t
doors_awaited(const struct doors *doors, struct pollfd out[KEEPER_GATES])
{
    size_t count = 0;

    for (int i = 0; i < KEEPER_GATES; i++) {
        struct pollfd look = {
            .fd = connections_open_fd(doors->items[i].connections), .events = POLLIN};

        if (poll(&look, 1, 0) <= 0)
            out[count++] = look;
    }
    return count;
}

aw_result
doors_check(const struct doors *doors)
{
    for (int i = 0; i < KEEPER_GATES; i++)
        if (connections_away_ms(doors->items[i].connections) > DOORS_AWAY_MS)
            return aw_hint(aw_fail(AW_CODE_INTERNAL,
                               "the gate for %s has not accepted connections for %d seconds",
                               names[i], DOORS_AWAY_MS / 1000),
                "what it said is in the log before this; is acmeward-gate installed beside "
                "acmeward-signer, and of the same version?");
    return AW_OK;
}

void
doors_close(struct doors *doors)
{
    sockets_end(&doors->sockets);
    for (int i = 0; i < KEEPER_GATES; i++) {
        if (doors->items[i].keeper != NULL)
            keeper_retire_gate(doors->items[i].keeper, doors->items[i].gate);
        connections_stop(&doors->items[i].connections);
    }
}
