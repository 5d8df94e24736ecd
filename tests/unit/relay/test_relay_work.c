/* Whose turn it is, and what goes on behind a client's back: slow validations, a signer that is
 * away when a certificate is to be recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "common/io.h"
#include "common/lock.h"
#include "relay/store.h"
#include "relay/work.h"
#include "relay/work_queue.h"
#include "relay_stage.h"

/* The queue. */

struct putting {
    const char *application;
    enum work_kind kind;
    size_t count;
};

static const struct {
    const char *name;
    size_t threads;
    struct putting put[3];
    const char *taken; /* first letters of the applications; validations in capitals */
} rows[] = {
    {"one thread does all", 1, {{"a", WORK_VALIDATE, 2}, {"a", WORK_FINALIZE, 1}}, "A"},
    {"one thread is kept", 2, {{"a", WORK_FINALIZE, 9}}, "a"},
    {"a quarter is kept from one application", 8, {{"a", WORK_FINALIZE, 9}}, "aaaaaa"},
    {"half is kept from validations", 8, {{"a", WORK_VALIDATE, 9}}, "AAAA"},
    {"of many applications too", 8, {{"a", WORK_VALIDATE, 9}, {"b", WORK_VALIDATE, 9}}, "ABAB"},
    {"the one with the fewest is next", 4, {{"a", WORK_FINALIZE, 9}, {"b", WORK_FINALIZE, 1}},
        "abaa"},
    {"three take turns", 6,
        {{"a", WORK_FINALIZE, 9}, {"b", WORK_FINALIZE, 9}, {"c", WORK_RECORD, 9}}, "abcabc"},
    {"a finalization passes validations", 2, {{"a", WORK_VALIDATE, 1000}, {"b", WORK_FINALIZE, 1}},
        "Ab"},
};

static void
put(struct work_queue *queue, const struct putting *what, int64_t *due)
{
    for (size_t i = 0; i < what->count; i++) {
        struct work_job *job;

        assert_true(aw_ok(work_queue_job(queue, what->application, &job)));
        job->kind = what->kind;
        job->due = (*due)++;
        work_queue_put(queue, job);
    }
}

static char
letter(const struct work_job *job, const char *application)
{
    return (char)(job->kind == WORK_VALIDATE ? application[0] - 'a' + 'A' : application[0]);
}

static void
takes_turns(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct work_queue queue = {.threads = rows[i].threads};
        struct work_job *jobs[16], *job;
        char taken[16] = "";
        int64_t due = 1, next;
        size_t count = 0;

        for (size_t k = 0; k < AW_COUNT(rows[i].put); k++)
            put(&queue, &rows[i].put[k], &due);
        while (count < queue.threads && (job = work_queue_take(&queue, due, &next)) != NULL) {
            taken[count] = letter(job, work_queue_application(job));
            jobs[count++] = job;
        }
        if (strcmp(taken, rows[i].taken) != 0)
            fail_msg("%s: %s, expected %s", rows[i].name, taken, rows[i].taken);
        for (size_t k = 0; k < count; k++) {
            work_queue_give_back(&queue, jobs[k]);
            work_queue_drop(&queue, jobs[k]);
        }
        work_queue_empty(&queue);
        assert_null(queue.shares);
    }
}

static void
says_when_something_is_due(void **state)
{
    struct work_queue queue = {.threads = 4};
    struct work_job *job;
    int64_t due;

    (void)state;
    assert_null(work_queue_take(&queue, 10, &due));
    assert_int_equal(due, 10 + WORK_EXPIRE_MS);
    assert_true(aw_ok(work_queue_job(&queue, "a", &job)));
    job->due = 50;
    work_queue_put(&queue, job);
    assert_null(work_queue_take(&queue, 49, &due));
    assert_int_equal(due, 50);
    assert_ptr_equal(work_queue_take(&queue, 50, &due), job);
    work_queue_give_back(&queue, job);
    work_queue_drop(&queue, job);
}

/* A thousand validations whose web server never answers. */

enum { SLOW_ORDERS = 10, SLOW_NAMES = 100 };

static struct aw_yaml_string loopback[] = {{.text = (char[]){"127.0.0.0/8"}}};

static int
listen_silently(struct relay_world *world)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 1024), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    world->config.validation.networks = (struct aw_yaml_strings){loopback, 1};
    world->config.validation.http_port = ntohs(at.sin_port);
    world->config.limits.orders = 8;
    return fd;
}

static void
store_slow(struct stage *s)
{
    struct stored_authorization a[SLOW_NAMES];

    for (size_t i = 0; i < SLOW_NAMES; i++) {
        a[i] = (struct stored_authorization){.state = AUTHORIZATION_PENDING,
            .challenge = CHALLENGE_PROCESSING,
            .type = "http-01",
            .token = "token"};
        assert_true(aw_ok(aw_name_parse_address("127.0.0.1", 9, &a[i].name)));
    }
    for (int64_t ticket = 1001; ticket <= 1000 + SLOW_ORDERS; ticket++) {
        struct stored_order order = {.ticket = ticket,
            .account = 7,
            .application = (char[]){"slow"},
            .state = ORDER_PENDING,
            .identifiers = (char[]){"[]"},
            .url = (char[]){"u"},
            .new_order = (char[]){"n"},
            .document = (char[]){"{}"},
            .opened = 1,
            .expires = INT64_C(1) << 40,
            .authorizations = a,
            .authorization_count = SLOW_NAMES};

        assert_true(aw_ok(relay_store_order_add(s->world.relay.store, &order)));
    }
}

/* In less time than a validation takes, and so in less than its client is kept waiting. */
static void
a_thousand_slow_validations_do_not_hold_another_applications_order(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(VALID), BAG};
    AW_CLEANUP(stage_close) struct stage s;
    AW_CLEANUP(aw_close) int silent = -1;

    (void)state;
    stage_open(&s);
    silent = listen_silently(&s.world);
    store_slow(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    usleep(100 * 1000); /* each thread has one by now, if it may */
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"valid\"");
    aw_close(&silent); /* what is connected ends with it */
}

/* Recording. */

static bool
recorded(struct stage *s, unsigned times)
{
    unsigned found = 0;
    AW_HOLD(&s->scene.signer.lock); /* the relay's workers go on calling it */

    for (const char *at = s->scene.signer.calls; (at = strstr(at, "RecordCertificate")) != NULL;
         at++)
        found++;
    return found >= times;
}

static void
await_record(struct stage *s, unsigned times)
{
    int64_t end = aw_now_ms() + 5 * WORK_FIRST_MS;

    while (!recorded(s, times) && aw_now_ms() < end)
        usleep(20 * 1000);
    assert_true(recorded(s, times));
}

static size_t
unrecorded(struct stage *s)
{
    int64_t tickets[4];
    size_t count = AW_COUNT(tickets);

    assert_true(aw_ok(relay_store_unrecorded(s->world.relay.store, 0, tickets, &count)));
    return count;
}

/* The signer is away at that moment, and again later, and for the third time after a kill; the
 * client has its certificate at once. */
static void
records_a_certificate_when_the_signer_is_back(void **state)
{
    static const struct ca_answer answers[] = {NONCE, READY, FINALIZED(VALID), BAG};
    static const struct signer_change away = {.method = "RecordCertificate", .close = true};
    const struct signer_change changes[] = {away, away, away}; /* the first call dials twice */
    AW_CLEANUP(stage_close) struct stage s;

    (void)state;
    stage_open(&s);
    stage_script(&s, answers, AW_COUNT(answers));
    scripted_signer_load(&s.scene.signer, changes, AW_COUNT(changes));
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    stage_expect(&s, "/acme/new-order", NEW_ORDER, 201, "ready");
    stage_expect(&s, "/acme/order/1/finalize", s.finalize, 200, "\"status\":\"valid\"");
    stage_expect(&s, "/acme/certificate/1", "", 200, "BEGIN CERTIFICATE");
    await_record(&s, 3);
    assert_int_equal(unrecorded(&s), 1);
    relay_world_again(&s.world);
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    await_record(&s, 4);
    for (int i = 0; unrecorded(&s) > 0 && i < 100; i++)
        usleep(10 * 1000);
    assert_int_equal(unrecorded(&s), 0);
    relay_world_again(&s.world);
    assert_true(aw_ok(relay_begin(&s.world.relay)));
    usleep(50 * 1000);
    assert_false(recorded(&s, 5));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_turns),
        cmocka_unit_test(says_when_something_is_due),
        cmocka_unit_test(a_thousand_slow_validations_do_not_hold_another_applications_order),
        cmocka_unit_test(records_a_certificate_when_the_signer_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
