/* Workers: every job is worked once and collected once, the queue has an end, the end loses none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>

#include "relay/workers.h"

enum { JOBS = 2000 };

static atomic_int worked;
static int done; /* on this thread alone */
static atomic_bool hold;

static void
work(struct relay_job *job)
{
    (void)job;
    while (hold)
        poll(NULL, 0, 1);
    worked++;
}

static void
count_done(struct relay_job *job)
{
    (void)job;
    done++;
}

static struct relay_job jobs[JOBS];

static int
set_up(void **state)
{
    (void)state;
    worked = done = 0;
    hold = false;
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = (struct relay_job){.work = work, .done = count_done};
    return 0;
}

static void
each_is_worked_and_collected_once(void **state)
{
    struct relay_workers *workers;

    (void)state;
    assert_true(aw_ok(relay_workers_start(4, JOBS, &workers)));
    for (size_t i = 0; i < JOBS; i++)
        assert_true(relay_workers_put(workers, &jobs[i], false));
    while (done < JOBS) {
        struct pollfd wait = {.fd = relay_workers_fd(workers), .events = POLLIN};

        assert_int_equal(poll(&wait, 1, 30 * 1000), 1);
        relay_workers_collect(workers);
    }
    assert_int_equal(worked, JOBS);
    relay_workers_stop(&workers);
    assert_int_equal(done, JOBS);
}

/* Nobody waits without an end: what is too much is told so at once. */
static void
the_queue_has_an_end(void **state)
{
    struct relay_workers *workers;
    int fit = 0;

    (void)state;
    hold = true;
    assert_true(aw_ok(relay_workers_start(1, 10, &workers)));
    for (size_t i = 0; i < 100; i++)
        fit += relay_workers_put(workers, &jobs[i], false);
    assert_in_range(fit, 10, 11); /* one may have been taken already */
    assert_true(relay_workers_put(workers, &jobs[100], true));
    hold = false;
    relay_workers_stop(&workers);
    assert_int_equal(done, fit + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_is_worked_and_collected_once, set_up),
        cmocka_unit_test_setup(the_queue_has_an_end, set_up),
    };
    return cmocka_run_group_tests_name("relay_workers", tests, NULL, NULL);
}
