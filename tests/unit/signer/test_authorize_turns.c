/* One application has a slow token busy, and another is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/turns.h"
#include "signer_world.h"

#define ORDER_OF(name) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"" name "\"}]}"

/* Seams: how long the token takes, whose turn it is. */

aw_result __real_turns_take(turns *t, const char *application, struct turn *turn);
aw_result __wrap_turns_take(turns *t, const char *application, struct turn *turn);
aw_result __real_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);

aw_result
__wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    const struct timespec wait = {.tv_nsec = 5 * 1000000L};

    nanosleep(&wait, NULL);
    return __real_token_key_sign(key, input, size, signature, signature_size);
}

/* Who had a turn at the token while another application waited for one. */
static struct turns_seen {
    const char *busy;    /* its name */
    _Atomic int granted; /* turns that it had */
    int asked;           /* by others, of one thread */
    int before[64];      /* how many of the busy one's came before */
} turns_seen;

aw_result
__wrap_turns_take(turns *t, const char *application, struct turn *turn)
{
    int before = turns_seen.granted;
    aw_result r = __real_turns_take(t, application, turn);

    if (turns_seen.busy == NULL)
        return r;
    if (strcmp(application, turns_seen.busy) == 0)
        turns_seen.granted++;
    else if (turns_seen.asked < (int)AW_COUNT(turns_seen.before))
        turns_seen.before[turns_seen.asked++] = turns_seen.granted - before;
    return r;
}

struct hog {
    pthread_t thread;
    struct world *world;
    struct peer peer;
    _Atomic bool *stop;
    int64_t signatures;
};

static void *
hog_main(void *argument)
{
    struct hog *hog = argument;

    while (!*hog->stop) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        hog->signatures +=
            world_ask(hog->world, &hog->peer, "NewOrder", ORDER_OF("a.example.edu"), &reply) == 0;
    }
    return NULL;
}

static int
compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Sixteen wait for four turns; who comes then has the next but one. Without turns, or with one line
 * for all, some fifteen would come before him. Of ten the median: on a loaded machine a thread may
 * be late to its turn, and others have theirs. */
static void
attack_107_a_slow_token_starves_nobody(void **state)
{
    enum { ASKED = 10, TURNS = 4 };
    struct world *w = *state;
    const struct peer other = world_peer("bin", NULL);
    struct hog hogs[16];
    _Atomic bool stop = false;

    turns_seen.granted = turns_seen.asked = 0;
    turns_seen.busy = "app-a";
    for (size_t i = 0; i < AW_COUNT(hogs); i++) {
        hogs[i] = (struct hog){.world = w, .peer = world_peer("daemon", NULL), .stop = &stop};
        assert_int_equal(pthread_create(&hogs[i].thread, NULL, hog_main, &hogs[i]), 0);
    }
    for (int i = 0; i < 2000 && turns_seen.granted < 2 * (int)AW_COUNT(hogs); i++)
        usleep(1000);
    for (int i = 0; i < ASKED; i++) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        assert_int_equal(
            world_ask(w, &other, "NewOrder", ORDER_OF("b.example.edu"), &reply), SIGN_OUTCOME_DONE);
    }
    stop = true;
    for (size_t i = 0; i < AW_COUNT(hogs); i++)
        pthread_join(hogs[i].thread, NULL);
    assert_int_equal(turns_seen.asked, ASKED);
    qsort(turns_seen.before, ASKED, sizeof(turns_seen.before[0]), compare_ints);
    if (turns_seen.before[ASKED / 2] > TURNS + 2)
        fail_msg("%d of the busy application came before", turns_seen.before[ASKED / 2]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_107_a_slow_token_starves_nobody),
    };

    return cmocka_run_group_tests_name("authorize_turns", tests, world_setup, world_teardown);
}
