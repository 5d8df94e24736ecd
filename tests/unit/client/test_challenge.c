/* http-01: files below a web root that go away again, and a server that serves tokens and no more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/challenge.h"
#include "common/io.h"

/* libevent 2.1.12, which is not instrumented, tells epoll of a descriptor that it has closed
 * already (evhttp closes before bufferevent_setfd): the kernel refuses it, but the number may be
 * another thread's new socket by then, which the thread sanitizer takes for a race. In this test
 * alone. */
const char *__tsan_default_suppressions(void);

const char *
__tsan_default_suppressions(void)
{
    return "called_from_lib:libevent-2.1.so.7\nrace:libevent-2.1.so.7";
}

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"
#define TEXT TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define FILE_PATH CHALLENGE_PATH "/" TOKEN

struct place {
    char root[64];
    char path[512];
};

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static int
make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->root, sizeof(place->root), "/tmp/acmeward-webroot-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    *state = place;
    return 0;
}

static int
remove_place(void **state)
{
    struct place *place = *state;

    assert_int_equal(nftw(place->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(place);
    return 0;
}

static const char *
at(struct place *place, const char *path)
{
    snprintf(place->path, sizeof(place->path), "%s/%s", place->root, path);
    return place->path;
}

static bool
is_there(struct place *place, const char *path)
{
    struct stat st;

    return lstat(at(place, path), &st) == 0;
}

static void
assert_mode(struct place *place, const char *path, mode_t mode)
{
    struct stat st;

    assert_int_equal(stat(at(place, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void
test_tokens(void **state)
{
    static const struct {
        const char *token;
        bool good;
    } rows[] = {
        {TOKEN, true},
        {"a", true},
        {"-_-", true},
        {"", false},
        {".", false},
        {"..", false},
        {"../../../etc/cron.d/x", false},
        {"a/b", false},
        {"a.b", false},
        {"a b", false},
        {"a\nb", false},
        {"$(id)", false},
        {"`id`", false},
        {"a;b", false},
        {"a%2fb", false},
        {"a+b", false},
        {"a=", false},
        {"\303\274", false},
    };
    char text[CHALLENGE_TOKEN_MAX + 2];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (challenge_token_check(rows[i].token).code !=
            (rows[i].good ? AW_CODE_OK : AW_CODE_SYNTAX))
            fail_msg("109: \"%s\"", rows[i].token);
    memset(text, 'a', sizeof(text));
    text[CHALLENGE_TOKEN_MAX + 1] = '\0';
    assert_int_equal(challenge_token_check(text).code, AW_CODE_SYNTAX);
    text[CHALLENGE_TOKEN_MAX] = '\0';
    assert_true(aw_ok(challenge_token_check(text)));
}

static void
test_webroot(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;
    char *text = NULL;
    size_t size = 0;
    mode_t before = umask(0077);

    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_true(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
    assert_true(aw_ok(challenge_webroot_deploy(w, place->root, "second", "second.text")));
    umask(before);
    assert_mode(place, ".well-known", 0755);
    assert_mode(place, CHALLENGE_PATH, 0755);
    assert_mode(place, FILE_PATH, 0644);
    assert_true(aw_ok(aw_file_read(at(place, FILE_PATH), 1000, &text, &size)));
    assert_string_equal(text, TEXT);
    free(text);
    challenge_webroot_remove(w, "never-deployed");
    challenge_webroot_remove(w, TOKEN);
    assert_false(is_there(place, FILE_PATH));
    assert_true(is_there(place, CHALLENGE_PATH "/second"));
    challenge_webroot_free(&w); /* what is left goes with it */
    assert_false(is_there(place, CHALLENGE_PATH "/second"));
    challenge_webroot_free(&w);
}

/* Whichever token goes first, the folders that we made go too. */
static void
test_webroot_leaves_nothing(void **state)
{
    static const char *const orders[][2] = {{TOKEN, "second"}, {"second", TOKEN}, {"", ""}};
    struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(orders); i++) {
        challenge_webroot *w = NULL;

        assert_true(aw_ok(challenge_webroot_new(&w)));
        assert_true(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
        assert_true(aw_ok(challenge_webroot_deploy(w, place->root, "second", "second.text")));
        challenge_webroot_remove(w, orders[i][0]);
        challenge_webroot_remove(w, orders[i][1]);
        challenge_webroot_free(&w);
        assert_false(is_there(place, ".well-known"));
        assert_true(is_there(place, ""));
    }
}

static void
test_webroot_keeps_what_was_there(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;

    assert_int_equal(mkdir(at(place, ".well-known"), 0750), 0);
    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_true(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
    challenge_webroot_free(&w);
    assert_true(is_there(place, ".well-known"));
    assert_mode(place, ".well-known", 0750);
    assert_false(is_there(place, CHALLENGE_PATH));
}

/* A folder of ours in which somebody else put a file meanwhile. */
static void
test_webroot_keeps_others_files(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;

    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_true(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
    assert_true(aw_ok(aw_file_replace(at(place, CHALLENGE_PATH "/theirs"), "x", 1, 0644)));
    challenge_webroot_free(&w);
    assert_true(is_there(place, CHALLENGE_PATH "/theirs"));
    assert_false(is_there(place, FILE_PATH));
}

/* The next run goes on with the order of one that was killed, and with its token. */
static void
test_webroot_replaces_what_a_killed_run_left(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(mkdir(at(place, ".well-known"), 0755), 0);
    assert_int_equal(mkdir(at(place, CHALLENGE_PATH), 0755), 0);
    assert_true(aw_ok(aw_file_replace(at(place, FILE_PATH), "half of", 7, 0600)));
    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_true(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
    assert_mode(place, FILE_PATH, 0644);
    assert_true(aw_ok(aw_file_read(at(place, FILE_PATH), 1000, &text, &size)));
    assert_string_equal(text, TEXT);
    free(text);
    challenge_webroot_free(&w);
    assert_false(is_there(place, FILE_PATH));
}

/* The web root belongs to another user often: a link there must not choose where we write. */
static void
test_webroot_follows_no_link(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(mkdir(at(place, ".well-known"), 0755), 0);
    assert_int_equal(mkdir(at(place, CHALLENGE_PATH), 0755), 0);
    assert_true(aw_ok(aw_file_replace(at(place, "victim"), "precious", 8, 0644)));
    assert_int_equal(symlink("../../victim", at(place, FILE_PATH)), 0);
    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_int_equal(challenge_webroot_deploy(w, place->root, TOKEN, TEXT).code, AW_CODE_EXISTS);
    assert_non_null(strstr(aw_error_last()->hint, "remove it"));
    challenge_webroot_free(&w);
    assert_true(is_there(place, FILE_PATH)); /* it is not ours to remove */
    assert_true(aw_ok(aw_file_read(at(place, "victim"), 100, &text, &size)));
    assert_string_equal(text, "precious");
    free(text);
}

/* With a link for a folder the CA's token would name a file anywhere: replace it, then remove it.
 */
static void
test_webroot_enters_no_linked_folder(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;

    assert_int_equal(mkdir(at(place, "elsewhere"), 0755), 0);
    assert_true(aw_ok(aw_file_replace(at(place, "elsewhere/" TOKEN), "precious", 8, 0600)));
    assert_int_equal(mkdir(at(place, ".well-known"), 0755), 0);
    assert_int_equal(symlink("../elsewhere", at(place, CHALLENGE_PATH)), 0);
    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_false(aw_ok(challenge_webroot_deploy(w, place->root, TOKEN, TEXT)));
    assert_non_null(strstr(aw_error_last()->hint, "symbolic link"));
    challenge_webroot_free(&w);
    assert_true(is_there(place, "elsewhere/" TOKEN));
}

static void
test_webroot_failures(void **state)
{
    struct place *place = *state;
    challenge_webroot *w = NULL;

    assert_true(aw_ok(challenge_webroot_new(&w)));
    assert_int_equal(challenge_webroot_deploy(w, place->root, "../x", "t").code, AW_CODE_SYNTAX);
    assert_false(is_there(place, ".well-known"));
    assert_int_equal(
        challenge_webroot_deploy(w, at(place, "none"), TOKEN, TEXT).code, AW_CODE_NOT_FOUND);
    assert_non_null(strstr(aw_error_last()->hint, "--webroot-path"));
    assert_true(aw_ok(aw_file_replace(at(place, ".well-known"), "x", 1, 0644)));
    assert_int_equal(challenge_webroot_deploy(w, place->root, TOKEN, TEXT).code, AW_CODE_IO);
    assert_true(is_there(place, ".well-known"));
    challenge_webroot_free(&w);
}

/* The server. */

static int
call(unsigned port, const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends a request and reads to the end of the answer. */
static void
ask(unsigned port, const char *request, char *out, size_t capacity)
{
    int fd = call(port, "127.0.0.1");
    size_t used = 0;

    assert_true(fd >= 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    for (ssize_t got; used + 1 < capacity; used += (size_t)got) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 30000) != 1 || (got = read(fd, out + used, capacity - 1 - used)) <= 0)
            break;
    }
    out[used] = '\0';
    close(fd);
}

static const struct {
    const char *name;
    const char *request;
    const char *status; /* begins the answer; NULL: anything but 200 */
    const char *body;   /* ends it; NULL: no key authorization anywhere */
} rows[] = {
    {"GET", "GET /" FILE_PATH " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\n" TEXT},
    {"GET 1.0", "GET /" FILE_PATH " HTTP/1.0\r\n\r\n", "HTTP/1.0 200 ", "\r\n\r\n" TEXT},
    {"HEAD", "HEAD /" FILE_PATH " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\n"},
    {"POST", "POST /" FILE_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 501 ", NULL},
    {"PUT", "PUT /" FILE_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 501 ",
        NULL},
    {"DELETE", "DELETE /" FILE_PATH " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 ", NULL},
    {"root", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", NULL},
    {"folder", "GET /" CHALLENGE_PATH "/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", NULL},
    {"folder without slash", "GET /" CHALLENGE_PATH " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ",
        NULL},
    {"unknown token", "GET /" CHALLENGE_PATH "/abc HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ",
        NULL},
    {"token and more", "GET /" FILE_PATH "x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", NULL},
    {"query", "GET /" FILE_PATH "?a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 ", NULL},
    {"other case", "GET /.WELL-KNOWN/acme-challenge/" TOKEN " HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 ", NULL},
    {"double slash", "GET /.well-known//acme-challenge/" TOKEN " HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 ", NULL},
    {"up and down",
        "GET /" CHALLENGE_PATH "/../acme-challenge/" TOKEN " HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 ", NULL},
    {"a file", "GET /" CHALLENGE_PATH "/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/1.1 404 ", NULL},
    {"no HTTP", "hello\r\n\r\n", NULL, NULL},
    {"a body", "GET /" FILE_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nxxx", NULL,
        NULL},
};

static bool
ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void
test_standalone(void **state)
{
    challenge_standalone *s = NULL;
    char answer[4096];

    (void)state;
    if (!aw_ok(challenge_standalone_start(NULL, 0, &s)))
        fail_msg("%s", aw_error_last()->message);
    unsigned port = challenge_standalone_port(s);
    assert_true(port > 0);
    assert_true(aw_ok(challenge_standalone_deploy(s, TOKEN, TEXT)));
    assert_int_equal(challenge_standalone_deploy(s, "../x", TEXT).code, AW_CODE_SYNTAX);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        bool found = false;
        ask(port, rows[i].request, answer, sizeof(answer));
        found = strstr(answer, TEXT) != NULL;
        if (rows[i].status != NULL && strncmp(answer, rows[i].status, strlen(rows[i].status)) != 0)
            fail_msg("%s: %.40s", rows[i].name, answer);
        if (rows[i].status == NULL && strstr(answer, " 200 ") != NULL)
            fail_msg("%s: %.40s", rows[i].name, answer);
        if (rows[i].body == NULL ? found : !ends_with(answer, rows[i].body))
            fail_msg("%s: %s", rows[i].name, answer);
    }
    challenge_standalone_remove(s, TOKEN);
    challenge_standalone_remove(s, TOKEN);
    ask(port, rows[0].request, answer, sizeof(answer));
    assert_int_equal(strncmp(answer, "HTTP/1.1 404 ", 13), 0);
    challenge_standalone_stop(&s);
    assert_null(s);
    challenge_standalone_stop(&s);
    assert_int_equal(call(port, "127.0.0.1"), -1);
}

/* A header over the limit is answered at once, not waited for; others are served meanwhile, and
 * stopping does not wait for those who say nothing. */
static void
test_standalone_long_header(void **state)
{
    challenge_standalone *s = NULL;
    char answer[4096], big[CHALLENGE_REQUEST_MAX + 1024] = "GET / HTTP/1.1\r\nX: ";

    (void)state;
    assert_true(aw_ok(challenge_standalone_start("127.0.0.1", 0, &s)));
    assert_true(aw_ok(challenge_standalone_deploy(s, TOKEN, TEXT)));
    int idle = call(challenge_standalone_port(s), "127.0.0.1");
    memset(big + strlen(big), 'a', sizeof(big) - strlen(big) - 1);
    big[sizeof(big) - 1] = '\0';
    ask(challenge_standalone_port(s), big, answer, sizeof(answer));
    assert_int_equal(strncmp(answer, "HTTP/1.1 400 ", 13), 0);
    ask(challenge_standalone_port(s), rows[0].request, answer, sizeof(answer));
    assert_true(ends_with(answer, TEXT));
    challenge_standalone_stop(&s);
    close(idle);
}

static void
test_standalone_limits(void **state)
{
    challenge_standalone *s = NULL;
    char token[32], text[CHALLENGE_TEXT_MAX + 2];

    (void)state;
    assert_true(aw_ok(challenge_standalone_start("127.0.0.1", 0, &s)));
    for (int i = 0; i < CHALLENGE_DEPLOYED_MAX; i++) {
        snprintf(token, sizeof(token), "t%d", i);
        assert_true(aw_ok(challenge_standalone_deploy(s, token, "text")));
    }
    assert_int_equal(challenge_standalone_deploy(s, "more", "text").code, AW_CODE_LIMIT);
    assert_true(aw_ok(challenge_standalone_deploy(s, "t5", "another text"))); /* in its place */
    challenge_standalone_remove(s, "t7");
    assert_true(aw_ok(challenge_standalone_deploy(s, "more", "text")));
    memset(text, 'a', sizeof(text));
    text[CHALLENGE_TEXT_MAX + 1] = '\0';
    challenge_standalone_remove(s, "more");
    assert_int_equal(challenge_standalone_deploy(s, "long", text).code, AW_CODE_LIMIT);
    challenge_standalone_stop(&s);
}

static void
test_standalone_failures(void **state)
{
    challenge_standalone *first = NULL, *second = NULL;

    (void)state;
    assert_true(aw_ok(challenge_standalone_start(NULL, 0, &first)));
    aw_result r = challenge_standalone_start(NULL, challenge_standalone_port(first), &second);
    assert_int_equal(r.code, AW_CODE_IO);
    assert_non_null(strstr(aw_error_last()->hint, "another server has the port"));
    assert_null(second);
    assert_int_equal(challenge_standalone_start("localhost", 0, &second).code, AW_CODE_USAGE);
    r = challenge_standalone_start("192.0.2.1", 0, &second);
    assert_int_equal(r.code, AW_CODE_IO);
    assert_non_null(strstr(aw_error_last()->hint, "--http-01-address"));
    challenge_standalone_stop(&first);
}

/* Several validators ask at once, as CAs do, while tokens come and go. */
struct asker {
    unsigned port;
    size_t found, missed, other;
};

static void *
ask_often(void *context)
{
    struct asker *asker = context;

    for (int i = 0; i < 50; i++) {
        char answer[4096];
        ask(asker->port, rows[0].request, answer, sizeof(answer));
        if (strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && ends_with(answer, "\r\n\r\n" TEXT))
            asker->found++;
        else if (strncmp(answer, "HTTP/1.1 404 ", 13) == 0)
            asker->missed++;
        else
            asker->other++;
    }
    return NULL;
}

static void
test_standalone_many(void **state)
{
    challenge_standalone *s = NULL;
    struct asker askers[4];
    pthread_t threads[AW_COUNT(askers)];
    size_t found = 0, missed = 0;

    (void)state;
    assert_true(aw_ok(challenge_standalone_start("127.0.0.1", 0, &s)));
    for (size_t i = 0; i < AW_COUNT(askers); i++) {
        askers[i] = (struct asker){.port = challenge_standalone_port(s)};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
    }
    for (int i = 0; i < 2000; i++) {
        assert_true(aw_ok(challenge_standalone_deploy(s, TOKEN, TEXT)));
        challenge_standalone_remove(s, TOKEN);
    }
    for (size_t i = 0; i < AW_COUNT(askers); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].other, 0);
        found += askers[i].found;
        missed += askers[i].missed;
    }
    assert_int_equal(found + missed, 50 * AW_COUNT(askers));
    challenge_standalone_stop(&s);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        IN_PLACE(test_webroot),
        IN_PLACE(test_webroot_leaves_nothing),
        IN_PLACE(test_webroot_keeps_what_was_there),
        IN_PLACE(test_webroot_keeps_others_files),
        IN_PLACE(test_webroot_replaces_what_a_killed_run_left),
        IN_PLACE(test_webroot_follows_no_link),
        IN_PLACE(test_webroot_enters_no_linked_folder),
        IN_PLACE(test_webroot_failures),
        cmocka_unit_test(test_standalone),
        cmocka_unit_test(test_standalone_long_header),
        cmocka_unit_test(test_standalone_limits),
        cmocka_unit_test(test_standalone_failures),
        cmocka_unit_test(test_standalone_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
