#include "signer/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec;
}

void
clock_begin(struct clock *clock, int64_t last)
{
    int64_t real = read_clock(CLOCK_REALTIME);

    clock->boot = read_clock(CLOCK_BOOTTIME);
    clock->begin = real > last ? real : last;
}

int64_t
clock_now(const struct clock *clock, int64_t *ahead)
{
    int64_t real = read_clock(CLOCK_REALTIME);
    int64_t passed = read_clock(CLOCK_BOOTTIME) - clock->boot;
    int64_t slack = CLOCK_SLACK + passed / CLOCK_DRIFT;
    int64_t now = real;

    if (now > clock->begin + passed + slack)
        now = clock->begin + passed + slack;
    if (now < clock->begin + passed - slack)
        now = clock->begin + passed - slack;
    if (ahead != NULL)
        *ahead = real - now;
    return now;
}
