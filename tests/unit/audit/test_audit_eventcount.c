#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "audit/eventcount.h"
#include "common/io.h"

/* Nothing is waited for here but what has to come: one wake-up lost, and a test never ends. */

enum { ROUNDS = 5000, THREADS = 4, TIMEOUT_S = 120 };

/* Two that go on in turns: `turn` is whose it is. */
struct game {
    struct audit_eventcount changed;
    atomic_int turn;
    void (*notify)(struct audit_eventcount *event);
};

struct player {
    struct game *game;
    int number, players;
};

static void
await_turn(struct game *game, int number)
{
    for (;;) {
        uint32_t count = audit_eventcount_get(&game->changed);

        if (atomic_load(&game->turn) == number)
            return;
        audit_eventcount_wait(&game->changed, count);
    }
}

static void *
play(void *argument)
{
    const struct player *self = argument;

    for (int i = 0; i < ROUNDS; i++) {
        await_turn(self->game, self->number);
        atomic_store(&self->game->turn, (self->number + 1) % self->players);
        self->game->notify(&self->game->changed);
    }
    return NULL;
}

static void
no_wake_up_is_lost(void **state)
{
    static const struct {
        const char *name;
        void (*notify)(struct audit_eventcount *event);
        int players;
    } rows[] = {
        {"one is woken of one that waits", audit_eventcount_notify_one, 2},
        {"all are woken, of whom one goes on", audit_eventcount_notify_all, THREADS},
    };

    (void)state;
    alarm(TIMEOUT_S);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct game game = {.notify = rows[i].notify};
        struct player players[THREADS];
        pthread_t threads[THREADS];

        print_message("%s\n", rows[i].name);
        for (int j = 0; j < rows[i].players; j++) {
            players[j] = (struct player){&game, j, rows[i].players};
            assert_int_equal(0, pthread_create(&threads[j], NULL, play, &players[j]));
        }
        for (int j = 0; j < rows[i].players; j++)
            pthread_join(threads[j], NULL);
        assert_int_equal(0, atomic_load(&game.turn));
        assert_int_equal(0, atomic_load(&game.changed.waiters));
    }
    alarm(0);
}

/* What was notified between the look and the wait ends the wait at once. */
static void
a_count_of_before_is_not_waited_for(void **state)
{
    struct audit_eventcount event = {.count = 0};
    uint32_t before = audit_eventcount_get(&event);

    (void)state;
    alarm(TIMEOUT_S);
    audit_eventcount_notify_one(&event);
    audit_eventcount_wait(&event, before);
    assert_int_not_equal(before, audit_eventcount_get(&event));
    alarm(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(a_count_of_before_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
