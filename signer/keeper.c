#include "signer/keeper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/child.h"
#include "signer/keeper_child.h"

static const char *const names[] = KEEPER_GATE_NAMES;

struct keeper {
    pid_t child;
    int fds[KEEPER_GATES]; /* one conversation for each gate */
};

aw_result
keeper_start(const struct aw_config_sandbox *use, keeper **out)
{
    AW_CLEANUP(keeper_stop) keeper *k = calloc(1, sizeof(*k));
    struct keeper_begin begin = {.use = *use};
    int *theirs = begin.fds;
    const struct child child = {.name = "acmeward-keeper",
        .keep = theirs,
        .keep_count = KEEPER_GATES,
        .run = keeper_child_run,
        .context = &begin};

    if (k == NULL)
        return aw_fail_memory();
    for (int i = 0; i < KEEPER_GATES; i++)
        k->fds[i] = theirs[i] = -1;
    aw_result r = AW_OK;
    for (int i = 0; i < KEEPER_GATES && aw_ok(r); i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            r = aw_fail_errno(AW_CODE_IO, "can't make a socket to the keeper");
        else {
            k->fds[i] = ends[0];
            theirs[i] = ends[1];
        }
    }
    if (aw_ok(r))
        r = child_start(&child, &k->child);
    for (int i = 0; i < KEEPER_GATES; i++)
        aw_close(&theirs[i]);
    AW_TRY(r);
    *out = AW_MOVE(k);
    return AW_OK;
}

static aw_result
order(const keeper *k, enum keeper_gate gate, enum keeper_order what, int fd)
{
    if (keeper_note_send(k->fds[gate], (char)what, fd))
        return AW_OK;
    return aw_fail_errno(AW_CODE_IO, "the keeper of the gate for %s does not listen", names[gate]);
}

aw_result
keeper_open_gate(keeper *k, enum keeper_gate gate, int *listen_fd)
{
    aw_result r = order(k, gate, KEEPER_OPEN, *listen_fd);

    aw_close(listen_fd);
    return r;
}

void
keeper_kill_gate(keeper *k, enum keeper_gate gate)
{
    aw_ignore(order(k, gate, KEEPER_KILL, -1), "the end of the keeper is noticed elsewhere");
}

void
keeper_retire_gate(keeper *k, enum keeper_gate gate)
{
    aw_ignore(order(k, gate, KEEPER_RETIRE, -1), "the end of the keeper is noticed elsewhere");
}

aw_result
keeper_next(keeper *k, enum keeper_gate gate, int stop_fd, int *out)
{
    struct pollfd waits[] = {
        {.fd = k->fds[gate], .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
    char what = 0;

    do
        errno = 0;
    while (poll(waits, AW_COUNT(waits), -1) < 0 && errno == EINTR);
    if (waits[1].revents != 0)
        return aw_fail(AW_CODE_CLOSED, "the signer is ending");
    if (!keeper_note_take(k->fds[gate], &what, out) || *out < 0) {
        aw_close(out);
        return aw_fail(AW_CODE_CLOSED, "the keeper of the gates is gone");
    }
    return AW_OK;
}

bool
keeper_gone(const keeper *k)
{
    struct pollfd look = {.fd = k->fds[0], .events = 0};

    return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

void
keeper_stop(keeper **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    keeper *k = *slot;

    for (int i = 0; i < KEEPER_GATES; i++)
        aw_close(&k->fds[i]);
    if (k->child > 0)
        child_end(k->child);
    free(k);
    *slot = NULL;
}
