#include "signer/arrivals.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* NULL where as many are known as can be: then it is not one that comes too fast. */
static struct arrivals_uid *
find(struct arrivals *arrivals, uint32_t uid, int64_t now)
{
    struct arrivals_uid *place = NULL;

    for (size_t i = 0; i < ARRIVALS_UIDS_MAX; i++) {
        struct arrivals_uid *at = &arrivals->uids[i];
        bool owes_nothing = at->paid <= now && at->held == 0;

        if (at->uid == uid && !owes_nothing)
            return at;
        if (place == NULL && owes_nothing)
            place = at;
    }
    if (place != NULL)
        *place = (struct arrivals_uid){.uid = uid};
    return place;
}

static bool
has_hung_up(int fd)
{
    struct pollfd look = {.fd = fd, .events = 0};

    return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

/* Whoever comes for nothing pays nothing either, or his debt would grow without end. */
static void
hold(struct arrivals *arrivals, struct arrivals_uid *of, int fd, int64_t due)
{
    if (of->held >= ARRIVALS_HELD_PER_UID || arrivals->held_count == ARRIVALS_HELD_MAX ||
        has_hung_up(fd)) {
        close(fd);
        return;
    }
    arrivals->held[arrivals->held_count++] = (struct arrivals_held){fd, of, due};
    of->held++;
    of->paid += arrivals->interval_ms;
}

int
arrivals_take(struct arrivals *arrivals, int fd, int64_t now)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (arrivals->interval_ms == 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return fd; /* the core asks anew */
    struct arrivals_uid *of = find(arrivals, peer.uid, now);
    if (of == NULL)
        return fd;
    if (of->paid < now)
        of->paid = now;
    int64_t due = of->paid - arrivals->burst_ms;
    if (due > now) {
        hold(arrivals, of, fd, due);
        return -1;
    }
    of->paid += arrivals->interval_ms;
    return fd;
}

/* The one that is due first. */
static const struct arrivals_held *
first_of(const struct arrivals *arrivals)
{
    const struct arrivals_held *first = NULL;

    for (size_t i = 0; i < arrivals->held_count; i++)
        if (first == NULL || arrivals->held[i].due < first->due)
            first = &arrivals->held[i];
    return first;
}

int
arrivals_next(struct arrivals *arrivals, int64_t now)
{
    const struct arrivals_held *first;

    while ((first = first_of(arrivals)) != NULL && first->due <= now) {
        int fd = first->fd;

        first->of->held--;
        arrivals->held[first - arrivals->held] = arrivals->held[--arrivals->held_count];
        if (!has_hung_up(fd))
            return fd;
        close(fd);
    }
    return -1;
}

int
arrivals_wait(const struct arrivals *arrivals, int64_t now)
{
    const struct arrivals_held *first = first_of(arrivals);

    if (first == NULL)
        return -1;
    return first->due <= now ? 0 : (int)(first->due - now);
}
