/* The client's half against a server in this process; a foreign client against the same server. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "common/varlink.h"

enum {
    SOON_MS = 30,
    LONG_MS = 60000,
    NOBODY = 65534,
};

/* A folder with a socket in it. */

struct place {
    char folder[32];
    char path[48];
    int listener;
};

static void
place_free(struct place *p)
{
    aw_close(&p->listener);
    unlink(p->path);
    rmdir(p->folder);
}

static struct place
place_make(void)
{
    struct place p = {.folder = "/tmp/aw-varlink-XXXXXX"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_non_null(mkdtemp(p.folder));
    assert_int_equal(chmod(p.folder, 0755), 0);
    snprintf(p.path, sizeof(p.path), "%s/s", p.folder);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", p.path);
    p.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p.listener >= 0);
    assert_int_equal(bind(p.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p.listener, 5), 0);
    return p;
}

/* A small server of ours: answers Ping, Fail and introspection, one connection after the other. */

static const struct aw_varlink_interface interfaces[] = {
    {"org.example.Test", "# A service to test with.\n"
                         "interface org.example.Test\n"
                         "method Ping(ping: string) -> (pong: string)\n"
                         "method Fail() -> ()\n"
                         "error Failed (why: string)\n"},
};

static const struct aw_varlink_service service = {
    "acmeward", "test", "1", "https://example.edu/", interfaces, AW_COUNT(interfaces)};

static aw_result
answer_ping(const struct aw_varlink_call *call, char **reply)
{
    struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *parameters = NULL;
    const char *ping;

    AW_TRY(aw_json_string(call->parameters, "ping", 100, &ping));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "pong", ping);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &parameters));
    return aw_varlink_reply(parameters, reply);
}

static aw_result
answer(const char *text, size_t length, char **reply)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    bool handled = false;

    AW_TRY(aw_varlink_call_parse(text, length, &call));
    AW_TRY(aw_varlink_service_call(&service, &call, &handled, reply));
    if (handled)
        return AW_OK;
    if (strcmp(call.method, "org.example.Test.Ping") == 0)
        return answer_ping(&call, reply);
    if (strcmp(call.method, "org.example.Test.Fail") == 0)
        return aw_varlink_error_about("org.example.Test.Failed", "why", "asked to", reply);
    return aw_varlink_error_about(
        "org.varlink.service.MethodNotFound", "method", call.method, reply);
}

static aw_result
serve(int fd)
{
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;

    AW_TRY(aw_varlink_stream_new(fd, &stream));
    for (;;) {
        AW_CLEANUP(aw_free) char *reply = NULL;
        const char *text;
        size_t length;

        AW_TRY(aw_varlink_receive(stream, LONG_MS, LONG_MS, &text, &length));
        AW_TRY(answer(text, length, &reply));
        AW_TRY(aw_varlink_send(stream, reply, LONG_MS));
    }
}

static void *
serve_each(void *context)
{
    const int *listener = context;
    int fd;

    while ((fd = accept4(*listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        aw_ignore(serve(fd), "a connection that ended");
    return NULL;
}

struct server {
    struct place place;
    pthread_t thread;
};

static void
server_start(struct server *s)
{
    s->place = place_make();
    assert_int_equal(pthread_create(&s->thread, NULL, serve_each, &s->place.listener), 0);
}

static void
server_free(struct server *s)
{
    shutdown(s->place.listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    place_free(&s->place);
}

/* Invoking. */

static void
calls_and_hears_back(void **state)
{
    AW_CLEANUP(server_free) struct server s;
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;
    struct aw_varlink_answer a;
    const char *text;

    (void)state;
    server_start(&s);
    assert_true(aw_ok(aw_varlink_connect(s.place.path, getuid(), &stream)));
    assert_true(aw_ok(aw_varlink_invoke(
        stream, "org.example.Test.Ping", "{\"ping\":\"a\\u001bb\"}", LONG_MS, &a)));
    assert_string_equal(a.error, "");
    assert_true(aw_ok(aw_json_string(a.parameters, "pong", 10, &text)));
    assert_string_equal(text, "a\x1b"
                              "b");
    aw_varlink_answer_free(&a);
    assert_null(a.message);
    assert_true(aw_ok(aw_varlink_invoke(stream, "org.example.Test.Fail", "{}", LONG_MS, &a)));
    assert_string_equal(a.error, "org.example.Test.Failed");
    assert_true(aw_ok(aw_json_string(a.parameters, "why", 10, &text)));
    assert_string_equal(text, "asked to");
    aw_varlink_answer_free(&a);
    assert_int_equal(aw_varlink_invoke(stream, "no name", "{}", LONG_MS, &a).code, AW_CODE_USAGE);
    aw_varlink_answer_free(&a);
    assert_true(aw_ok(aw_varlink_invoke(stream, "org.example.Test.None", "{}", LONG_MS, &a)));
    assert_string_equal(a.error, "org.varlink.service.MethodNotFound");
    aw_varlink_answer_free(&a);
}

/* Answers as a server might send them; the first octets of the reason are of the message. */
static const struct {
    const char *name;
    const char *bytes;
    size_t size;
    enum aw_code code;
} answer_rows[] = {
#define TEXT(text) (text), sizeof(text)
    {"parameters", TEXT("{\"parameters\":{}}"), AW_CODE_OK},
    {"nothing in it", TEXT("{}"), AW_CODE_OK},
    {"error", TEXT("{\"error\":\"a.b.C\"}"), AW_CODE_OK},
    {"error without a full name", TEXT("{\"error\":\"C\"}"), AW_CODE_SYNTAX},
    {"continues false", TEXT("{\"parameters\":{},\"continues\":false}"), AW_CODE_OK},
    {"continues", TEXT("{\"parameters\":{},\"continues\":true}"), AW_CODE_UNSUPPORTED},
    {"unknown member", TEXT("{\"parameters\":{},\"x\":1}"), AW_CODE_SYNTAX},
    {"parameters are a list", TEXT("{\"parameters\":[]}"), AW_CODE_SYNTAX},
    {"no object", TEXT("[]"), AW_CODE_SYNTAX},
    {"no JSON", TEXT("HTTP/1.1 400"), AW_CODE_SYNTAX},
    {"half a message", "{\"para", 6, AW_CODE_SYNTAX},
    {"nothing", "", 0, AW_CODE_CLOSED},
};

static void
reads_answers_strictly(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(answer_rows); i++) {
        AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;
        AW_CLEANUP(aw_varlink_answer_free) struct aw_varlink_answer a;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_true(aw_ok(aw_varlink_stream_new(fds[0], &stream)));
        /* The answer comes after the call: exchanging refuses one that is there already only
           when it was read, and nothing was. */
        assert_int_equal(
            write(fds[1], answer_rows[i].bytes, answer_rows[i].size), answer_rows[i].size);
        shutdown(fds[1], SHUT_WR);
        aw_result r = aw_varlink_invoke(stream, "a.b.C", "{}", LONG_MS, &a);
        close(fds[1]);
        if (r.code == answer_rows[i].code && aw_ok(r) == cJSON_IsObject(a.parameters))
            continue;
        failed++;
        print_error("%s: found %s\n", answer_rows[i].name, aw_code_tag(r.code));
    }
    assert_int_equal(failed, 0);
}

static void
server_that_does_not_answer(void **state)
{
    AW_CLEANUP(place_free) struct place p = place_make();
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;
    struct aw_varlink_answer a;

    (void)state;
    assert_true(aw_ok(aw_varlink_connect(p.path, getuid(), &stream)));
    assert_int_equal(aw_varlink_invoke(stream, "a.b.C", "{}", SOON_MS, &a).code, AW_CODE_TIMEOUT);
    assert_int_equal(aw_varlink_invoke(stream, "a.b.C", "{}", SOON_MS, &a).code, AW_CODE_CLOSED);
}

/* Attack 96: a fake server. */

static aw_result
try_connect(const char *path, uid_t uid)
{
    AW_CLEANUP(aw_varlink_stream_free) aw_varlink_stream *stream = NULL;
    aw_result r = aw_varlink_connect(path, uid, &stream);

    assert_int_equal(aw_ok(r), stream != NULL);
    return r;
}

static void
attack_96_a_folder_others_may_write(void **state)
{
    static const mode_t modes[] = {0775, 0757, 01777};
    AW_CLEANUP(place_free) struct place p = place_make();

    (void)state;
    for (size_t i = 0; i < AW_COUNT(modes); i++) {
        assert_int_equal(chmod(p.folder, modes[i]), 0);
        if (try_connect(p.path, getuid()).code != AW_CODE_MISMATCH)
            fail_msg("96 mode %o was not refused", (unsigned)modes[i]);
    }
    assert_int_equal(chmod(p.folder, 0755), 0);
    assert_true(aw_ok(try_connect(p.path, getuid())));
}

static void
attack_96_a_folder_behind_a_link(void **state)
{
    AW_CLEANUP(place_free) struct place p = place_make();
    char link[48], path[64];

    (void)state;
    snprintf(link, sizeof(link), "%s-link", p.folder);
    snprintf(path, sizeof(path), "%s/s", link);
    assert_int_equal(symlink(p.folder, link), 0);
    aw_result r = try_connect(path, getuid());
    unlink(link);
    assert_int_equal(r.code, AW_CODE_MISMATCH);
}

static void
attack_96_a_folder_of_someone_else(void **state)
{
    AW_CLEANUP(place_free) struct place p = place_make();

    (void)state;
    /* As root, give the folder away; as anybody else, expect another user's. */
    if (getuid() == 0)
        assert_int_equal(chown(p.folder, NOBODY, NOBODY), 0);
    assert_int_equal(try_connect(p.path, getuid() == 0 ? 1 : getuid() + 1).code, AW_CODE_MISMATCH);
}

/* Only root can be another user's server, in a folder that is trusted. */
static void
attack_96_a_server_of_another_uid(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    AW_CLEANUP(place_free) struct place p = place_make();
    assert_int_equal(seteuid(NOBODY), 0);
    int listening = listen(p.listener, 5); /* SO_PEERCRED is taken here */
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(listening, 0);
    assert_int_equal(try_connect(p.path, 1).code, AW_CODE_MISMATCH);
    assert_non_null(strstr(aw_error_last()->message, "served by uid 65534, expected uid 1"));
    assert_true(aw_error_last()->hint[0] != '\0');
    assert_true(aw_ok(try_connect(p.path, NOBODY)));
}

/* Faults of a connection, each with its own code and a hint. */

static void
nobody_listens(void **state)
{
    AW_CLEANUP(place_free) struct place p = place_make();

    (void)state;
    aw_close(&p.listener);
    assert_int_equal(try_connect(p.path, getuid()).code, AW_CODE_UNAVAILABLE);
    assert_non_null(strstr(aw_error_last()->hint, "is the signer running"));
    unlink(p.path);
    assert_int_equal(try_connect(p.path, getuid()).code, AW_CODE_UNAVAILABLE);
    assert_non_null(strstr(aw_error_last()->message, p.path));
    assert_int_equal(try_connect("/nonexistent/aw/s", getuid()).code, AW_CODE_UNAVAILABLE);
}

static void
socket_without_permission(void **state)
{
    AW_CLEANUP(place_free) struct place p = place_make();

    (void)state;
    assert_int_equal(chmod(p.path, 0), 0);
    if (getuid() == 0)
        assert_int_equal(seteuid(NOBODY), 0);
    aw_result r = try_connect(p.path, getuid());
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(r.code, AW_CODE_PERMISSION);
    assert_non_null(strstr(aw_error_last()->hint, "group"));
}

static void
path_too_long(void **state)
{
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    memcpy(path, "/usr/", 5);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(try_connect(path, getuid()).code, AW_CODE_LIMIT);
}

/* A foreign client. */

static void
python_varlink_understands_us(void **state)
{
    AW_CLEANUP(server_free) struct server s;
    pid_t pid;
    int status = -1;

    (void)state;
    server_start(&s);
    char *argv[] = {(char[]){ACMEWARD_PYTHON}, (char[]){TEST_SOURCE_DIR "/varlink_introspect.py"},
        s.place.path, NULL};
    assert_int_equal(posix_spawn(&pid, ACMEWARD_PYTHON, NULL, NULL, argv, environ), 0);
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_and_hears_back),
        cmocka_unit_test(reads_answers_strictly),
        cmocka_unit_test(server_that_does_not_answer),
        cmocka_unit_test(attack_96_a_folder_others_may_write),
        cmocka_unit_test(attack_96_a_folder_behind_a_link),
        cmocka_unit_test(attack_96_a_folder_of_someone_else),
        cmocka_unit_test(attack_96_a_server_of_another_uid),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(socket_without_permission),
        cmocka_unit_test(path_too_long),
        cmocka_unit_test(python_varlink_understands_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
