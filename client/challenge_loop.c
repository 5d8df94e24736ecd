#include "client/challenge_loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <event2/event.h>

#include "client/challenge.h"
#include "common/io.h"

static void
end(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(context);
}

static void *
run(void *context)
{
    event_base_dispatch(context);
    return NULL;
}

static aw_result
make_base(struct challenge_loop *loop)
{
    loop->base = event_base_new();
    loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->base == NULL || loop->stop_fd < 0)
        return aw_fail_memory();
    loop->stop = event_new(loop->base, loop->stop_fd, EV_READ, end, loop->base);
    if (loop->stop == NULL || event_add(loop->stop, NULL) != 0)
        return aw_fail_memory();
    return AW_OK;
}

aw_result
challenge_loop_listen(
    struct challenge_loop *loop, const char *address, unsigned port, const char *option, int *fd)
{
    AW_TRY(challenge_listen(address, port, option, fd));
    AW_TRY(challenge_listen_port(*fd, &loop->port));
    return make_base(loop);
}

aw_result
challenge_loop_start(struct challenge_loop *loop)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&loop->thread, NULL, run, loop->base);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    loop->running = error == 0;
    return loop->running ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't start a thread");
}

void
challenge_loop_stop(struct challenge_loop *loop)
{
    if (!loop->running)
        return;
    eventfd_write(loop->stop_fd, 1);
    pthread_join(loop->thread, NULL);
    loop->running = false;
}

void
challenge_loop_close(struct challenge_loop *loop)
{
    if (loop->stop != NULL)
        event_free(loop->stop);
    if (loop->base != NULL)
        event_base_free(loop->base);
    aw_close(&loop->stop_fd);
    *loop = CHALLENGE_LOOP_CLOSED;
}
