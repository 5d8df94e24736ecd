#include "client/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/io.h"

static volatile sig_atomic_t number; /* of the signal that came; 0: none */
static volatile sig_atomic_t forked; /* any number of them is noted */
static int event = -1;

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};

/* eventfd_write is a write(2). SA_RESETHAND has let go of this signal already, so that raising it
 * ends the process as soon as this returns. */
static void
note(int signal_number)
{
    int saved = errno;

    if (number != 0 && !forked)
        raise(signal_number);
    number = signal_number;
    (void)eventfd_write(event, 1);
    errno = saved;
}

/* No restart: what sleeps is to wake. */
static void
catch_all(int flags)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = flags}, before;

    for (size_t i = 0; i < AW_COUNT(caught); i++)
        if (sigaction(caught[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(caught[i], &action, NULL);
}

/* In the new process. Without an event of its own it shares the other's: whoever waits with it
 * looks more often than need be. */
static void
after_fork(void)
{
    AW_CLEANUP(aw_close) int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    forked = 1;
    if (own >= 0)
        dup3(own, event, O_CLOEXEC);
    catch_all(0);
    if (number != 0)
        (void)eventfd_write(event, 1);
}

aw_result
interrupt_begin(void)
{
    if (event >= 0)
        return AW_OK;
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make an eventfd");
    if (pthread_atfork(NULL, NULL, after_fork) != 0)
        return aw_fail_memory();
    catch_all((int)SA_RESETHAND); /* the second one is not waited with */
    return AW_OK;
}

bool
interrupt_came(void)
{
    return number != 0;
}

int
interrupt_fd(void)
{
    return event;
}

aw_result
interrupt_check(void)
{
    int came = number;

    return came == 0 ? AW_OK
                     : aw_fail(AW_CODE_INTERRUPTED, "interrupted by signal %d (%s)", came,
                           sigdescr_np(came));
}

aw_result
interrupt_wait(int64_t ms)
{
    int64_t end = aw_now_ms() + ms;
    struct pollfd wait = {.fd = event, .events = POLLIN};

    for (int64_t left = ms; left > 0; left = end - aw_now_ms()) {
        AW_TRY(interrupt_check());
        poll(&wait, 1, left < 60000 ? (int)left : 60000);
    }
    return interrupt_check();
}

void
interrupt_end(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    int came = number;

    if (came == 0)
        return;
    sigaction(came, &usual, NULL);
    raise(came);
}
