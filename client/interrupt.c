#include "client/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/io.h"

static volatile sig_atomic_t number; /* of the signal that came; 0: none */
static int event = -1;

/* eventfd_write is a write(2). */
static void
note(int signal_number)
{
    number = signal_number;
    (void)eventfd_write(event, 1);
}

aw_result
interrupt_begin(void)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
    /* Reset: the second one is not waited with. No restart: what sleeps is to wake. */
    struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND}, before;

    if (event >= 0)
        return AW_OK;
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make an eventfd");
    for (size_t i = 0; i < AW_COUNT(caught); i++)
        if (sigaction(caught[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(caught[i], &action, NULL);
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
