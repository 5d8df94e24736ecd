#include "gate_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/channel.h"
#include "signer/sockets.h"

/* A service whose methods are the cases. */

atomic_bool gate_admits = true;
atomic_bool gate_paces, gate_light;
atomic_int gate_answered;
atomic_int gate_killed;
sem_t gate_entered, gate_released;
static pthread_mutex_t user_lock = PTHREAD_MUTEX_INITIALIZER;
static char user[PEER_USER_SIZE];

void
gate_user(char out[PEER_USER_SIZE])
{
    pthread_mutex_lock(&user_lock);
    memcpy(out, user, sizeof(user));
    pthread_mutex_unlock(&user_lock);
}

static void
grounds(struct core *core, const struct peer *peer, struct grounds *out)
{
    assert_null(core);
    assert_int_equal(peer->uid == 65534, 0);
    if (!gate_admits)
        return;
    if (peer->uid == geteuid())
        assert_true(grounds_add(out, NULL, "the test's"));
    for (size_t i = 0; peer->uid != geteuid() && i < peer->group_count; i++)
        assert_true(grounds_add(out, &peer->groups[i], "others'"));
}

static bool
is_paced(struct core *core, const struct peer *peer)
{
    (void)core;
    (void)peer;
    return gate_paces;
}

static aw_result
answer(struct core *core, const struct peer *peer, const struct aw_varlink_call *call,
    struct gate_answer *out)
{
    const char *name = strrchr(call->method, '.') + 1;

    (void)core;
    out->light = gate_light;
    atomic_fetch_add(&gate_answered, 1);
    if (strcmp(name, "Fail") == 0)
        return aw_fail(AW_CODE_MEMORY, "no memory");
    if (strcmp(name, "Wait") == 0) {
        sem_post(&gate_entered);
        sem_wait(&gate_released);
    }
    if (strcmp(name, "Long") == 0)
        return aw_format(
            &out->reply, "{\"parameters\":{\"x\":\"%0*d\"}}", AW_VARLINK_MAX_MESSAGE, 1);
    if (strcmp(name, "Large") == 0)
        return aw_format(&out->reply, "{\"parameters\":{\"x\":\"%0*d\"}}", 200000, 1);
    if (strcmp(name, "Who") == 0) {
        pthread_mutex_lock(&user_lock);
        snprintf(user, sizeof(user), "%s", peer->user);
        pthread_mutex_unlock(&user_lock);
    }
    return aw_format(&out->reply, "{\"parameters\":{}}");
}

static aw_result
answer_garbage(struct core *core, const struct peer *peer, char **reply)
{
    assert_null(core);
    assert_non_null(peer);
    return aw_format(reply, "{\"error\":\"garbage\"}");
}

static aw_result
answer_failure(char **reply)
{
    return aw_format(reply, "{\"error\":\"failure\"}");
}

static const struct gate_service usual = {
    .name = "tests",
    .grounds = grounds,
    .is_paced = is_paced,
    .answer = answer,
    .answer_garbage = answer_garbage,
    .answer_failure = answer_failure,
    .limits = {8, 8, 8, 8, 8, LONG_MS, LONG_MS, LONG_MS, LONG_MS, 0, 10000, 0, 0},
};

static void *
run_gate(void *context)
{
    struct gate_fixture *f = context;

    if (!aw_ok(gate_run(f->listen_fd, f->ends[1], &f->service.limits)))
        fail_msg("%s", aw_error_last()->message);
    close(f->ends[1]);
    close(f->listen_fd);
    return NULL;
}

/* The gate is started once. */
static aw_result
next_gate(void *context, int stop_fd, int *out)
{
    struct gate_fixture *f = context;
    struct pollfd wait = {.fd = stop_fd, .events = POLLIN};

    *out = f->ends[0];
    f->ends[0] = -1;
    if (*out >= 0)
        return AW_OK;
    poll(&wait, 1, -1);
    return aw_fail(AW_CODE_CLOSED, "no other gate");
}

/* At the end too, when it has returned. */
static void
count_kill(void *context)
{
    (void)context;
    atomic_fetch_add(&gate_killed, 1);
}

void
gate_fixture_start_hostile(struct gate_fixture *f)
{
    struct connections_of of = {.service = &f->service,
        .source = {.next = next_gate, .kill = count_kill, .context = f},
        .path = f->path};

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->ends), 0);
    if (!aw_ok(sockets_listen(f->path, 0666, &f->listen_fd)) ||
        !aw_ok(connections_start(&of, &f->gate)))
        fail_msg("%s", aw_error_last()->message);
    if (!f->silent)
        assert_true(aw_ok(channel_open(f->ends[1])));
    f->hostile = true;
}

void
gate_fixture_start(struct gate_fixture *f)
{
    f->silent = true; /* gate_run says it */
    gate_fixture_start_hostile(f);
    f->hostile = false;
    assert_int_equal(pthread_create(&f->thread, NULL, run_gate, f), 0);
}

void
gate_fixture_end(struct gate_fixture *f)
{
    if (f->gate == NULL)
        return;
    if (f->hostile) {
        close(f->ends[1]);
        close(f->listen_fd);
    }
    connections_stop(&f->gate);
    if (!f->hostile)
        pthread_join(f->thread, NULL);
}

int
gate_fixture_setup(void **state)
{
    struct gate_fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "/tmp/aw-gate-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chmod(f->folder, 0755), 0);
    snprintf(f->path, sizeof(f->path), "%s/sock", f->folder);
    f->service = usual;
    gate_admits = true;
    gate_answered = 0;
    gate_killed = 0;
    sem_init(&gate_entered, 0, 0);
    sem_init(&gate_released, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    *state = f;
    return 0;
}

int
gate_fixture_teardown(void **state)
{
    struct gate_fixture *f = *state;

    gate_fixture_end(f);
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

/* The other end. */

int
gate_dial(const struct gate_fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, f->path, strlen(f->path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void
gate_say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL), strlen(text) + 1);
}

/* Reads to a NUL or the end; true when the message is `expected` ("" is the end). */
bool
gate_hears(int fd, const char *expected)
{
    char buffer[512] = "";
    size_t size = 0;

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t got = recv(fd, buffer + size, 1, 0);
        if (got <= 0 || buffer[size] == '\0')
            break;
        if (size + 2 < sizeof(buffer))
            size++;
    }
    buffer[size] = '\0';
    return strcmp(buffer, expected) == 0;
}

bool
gate_serves(int fd)
{
    return send(fd, CALL "Good\"}", sizeof(CALL "Good\"}"), MSG_NOSIGNAL) > 0 &&
           gate_hears(fd, GOOD);
}

int
gate_fill(const struct gate_fixture *f, int *fds, int most)
{
    int count = 0;

    for (; count < most; count++) {
        fds[count] = gate_dial(f);
        if (!gate_serves(fds[count]))
            break;
    }
    return count;
}
