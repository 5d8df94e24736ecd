/* Listening sockets: made here without being led astray, or passed by the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/sockets.h"

struct fixture {
    char folder[64];
    char path[128]; /* folder/sock */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    umask(0022);
    snprintf(f->folder, sizeof(f->folder), "/tmp/aw-sockets-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_int_equal(chmod(f->folder, 0755), 0);
    snprintf(f->path, sizeof(f->path), "%s/sock", f->folder);
    *state = f;
    return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

static struct sockaddr_un
address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

static int
bound(const char *path, int type, bool listening)
{
    struct sockaddr_un address = address_of(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (listening)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* What is at the path beforehand; a descriptor to be kept open, or -1. */

static int
nothing(const struct fixture *f)
{
    (void)f;
    return -1;
}

static int
stale(const struct fixture *f)
{
    close(bound(f->path, SOCK_STREAM, true));
    return -1;
}

static int
live(const struct fixture *f)
{
    return bound(f->path, SOCK_STREAM, true);
}

static int
datagrams(const struct fixture *f)
{
    return bound(f->path, SOCK_DGRAM, false);
}

static int
file(const struct fixture *f)
{
    close(open(f->path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    return -1;
}

static int
folder(const struct fixture *f)
{
    assert_int_equal(mkdir(f->path, 0700), 0);
    return -1;
}

static int
fifo(const struct fixture *f)
{
    assert_int_equal(mkfifo(f->path, 0600), 0);
    return -1;
}

static int
symlink_to_nowhere(const struct fixture *f)
{
    assert_int_equal(symlink("/nonexistent/sock", f->path), 0);
    return -1;
}

/* Attack 97: to a socket of somebody else, which must neither be removed nor change its mode. */
static int
symlink_to_socket(const struct fixture *f)
{
    char other[160];

    snprintf(other, sizeof(other), "%s/other", f->folder);
    int fd = bound(other, SOCK_STREAM, true);
    assert_int_equal(chmod(other, 0600), 0);
    assert_int_equal(symlink(other, f->path), 0);
    return fd;
}

static int
loose_folder(const struct fixture *f)
{
    assert_int_equal(chmod(f->folder, 0777), 0);
    return -1;
}

static int
group_folder(const struct fixture *f)
{
    assert_int_equal(chmod(f->folder, 0775), 0);
    return -1;
}

static const struct {
    const char *name;
    int (*before)(const struct fixture *f);
    enum aw_code code;
    const char *part;
} rows[] = {
    {"nothing there", nothing, AW_CODE_OK, NULL},
    {"a stale socket", stale, AW_CODE_OK, NULL},
    {"a socket that somebody listens on", live, AW_CODE_EXISTS, "another process"},
    {"a socket for datagrams", datagrams, AW_CODE_EXISTS, "another process"},
    {"a file", file, AW_CODE_EXISTS, "is not a socket"},
    {"a folder", folder, AW_CODE_EXISTS, "is not a socket"},
    {"a fifo", fifo, AW_CODE_EXISTS, "is not a socket"},
    {"attack 97: a symbolic link to nowhere", symlink_to_nowhere, AW_CODE_EXISTS,
        "is not a socket"},
    {"attack 97: a symbolic link to a socket", symlink_to_socket, AW_CODE_EXISTS,
        "is not a socket"},
    {"a folder that all may write", loose_folder, AW_CODE_PERMISSION, "mode"},
    {"a folder that a group may write", group_folder, AW_CODE_PERMISSION, "mode"},
};

static void
check_listen(const struct fixture *f, size_t i)
{
    struct stat before = {0}, after = {0};
    int kept = rows[i].before(f), fd = -1;

    lstat(f->path, &before);
    aw_result r = sockets_listen(f->path, 0640, &fd);
    if (r.code != rows[i].code ||
        (rows[i].part != NULL && strstr(aw_error_last()->message, rows[i].part) == NULL))
        fail_msg("%s: %s %s", rows[i].name, aw_code_tag(r.code),
            aw_ok(r) ? "" : aw_error_last()->message);
    lstat(f->path, &after);
    if (aw_ok(r) && (!S_ISSOCK(after.st_mode) || (after.st_mode & 0777) != 0640))
        fail_msg("%s: not a socket of the mode", rows[i].name);
    if (!aw_ok(r) && (before.st_ino != after.st_ino || before.st_mode != after.st_mode))
        fail_msg("%s: what was there was touched", rows[i].name);
    assert_int_equal(aw_ok(r), fd >= 0);
    aw_close(&fd);
    aw_close(&kept);
}

static void
a_socket_is_made_only_where_nothing_else_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        void *own = NULL;

        setup(&own);
        check_listen(own, i);
        teardown(&own);
    }
}

static void
odd_paths(void **state)
{
    struct fixture *f = *state;
    char path[256], link[160];
    int fd = -1;

    snprintf(path, sizeof(path), "%s/%0150d", f->folder, 1);
    assert_int_equal(sockets_listen(path, 0600, &fd).code, AW_CODE_LIMIT);
    assert_int_equal(sockets_listen("sock", 0600, &fd).code, AW_CODE_CONFIG);
    snprintf(path, sizeof(path), "%s/none/sock", f->folder);
    assert_int_equal(sockets_listen(path, 0600, &fd).code, AW_CODE_NOT_FOUND);
    snprintf(link, sizeof(link), "%s/link", f->folder);
    assert_int_equal(symlink(f->folder, link), 0);
    snprintf(path, sizeof(path), "%s/sock", link);
    assert_int_equal(sockets_listen(path, 0600, &fd).code, AW_CODE_PERMISSION);
    assert_int_equal(fd, -1);
}

/* Passed sockets. */

static int
passed_right(const struct fixture *f)
{
    return bound(f->path, SOCK_STREAM, true);
}

static int
passed_elsewhere(const struct fixture *f)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/sock2", f->folder);
    return bound(path, SOCK_STREAM, true);
}

static int
passed_prefix(const struct fixture *f)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/soc", f->folder);
    return bound(path, SOCK_STREAM, true);
}

static int
passed_idle(const struct fixture *f)
{
    return bound(f->path, SOCK_STREAM, false);
}

static int
passed_datagrams(const struct fixture *f)
{
    return bound(f->path, SOCK_DGRAM, false);
}

static int
passed_network(const struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)f;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

/* The same path, in the abstract name space. */
static int
passed_abstract(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, f->path, strlen(f->path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int
passed_file(const struct fixture *f)
{
    return open(f->folder, O_RDONLY | O_CLOEXEC);
}

static void
a_passed_socket_is_looked_at(void **state)
{
    static const struct {
        const char *name;
        int (*make)(const struct fixture *f);
        enum aw_code code;
    } passed[] = {
        {"as configured", passed_right, AW_CODE_OK},
        {"at another path", passed_elsewhere, AW_CODE_CONFIG},
        {"at a part of the path", passed_prefix, AW_CODE_CONFIG},
        {"not listening", passed_idle, AW_CODE_CONFIG},
        {"datagrams", passed_datagrams, AW_CODE_CONFIG},
        {"a network socket", passed_network, AW_CODE_CONFIG},
        {"an abstract name", passed_abstract, AW_CODE_CONFIG},
        {"no socket", passed_file, AW_CODE_IO},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(passed); i++) {
        void *own = NULL;

        setup(&own);
        const struct fixture *f = own;
        int fd = passed[i].make(f);
        aw_result r = sockets_check_passed(fd, f->path);
        if (r.code != passed[i].code)
            fail_msg("%s: %s", passed[i].name, aw_code_tag(r.code));
        close(fd);
        teardown(&own);
    }
}

static void
a_passed_socket_in_a_loose_folder(void **state)
{
    struct fixture *f = *state;
    int fd = passed_right(f);

    assert_int_equal(chmod(f->folder, 0777), 0);
    assert_int_equal(sockets_check_passed(fd, f->path).code, AW_CODE_PERMISSION);
    close(fd);
}

/* sockets_open as the service manager starts it, in a child: its code, or 100 for what is odd. */
static int
open_in_child(const struct fixture *f, const char *names, const char *const *paths, int count)
{
    pid_t child = fork();

    if (child != 0) {
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
    }
    struct aw_config config = {0};
    struct sockets sockets;
    char number[16], path[160], admin[160];
    int fds[4];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, paths[i]);
        fds[i] = fcntl(bound(path, SOCK_STREAM, true), F_DUPFD, 50);
    }
    for (int i = 0; i < count; i++)
        dup2(fds[i], 3 + i);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    if (count > 0) {
        setenv("LISTEN_PID", number, 1);
        snprintf(number, sizeof(number), "%d", count);
        setenv("LISTEN_FDS", number, 1);
        setenv("LISTEN_FDNAMES", names, 1);
    }
    snprintf(path, sizeof(path), "%s/signer.sock", f->folder);
    snprintf(admin, sizeof(admin), "%s/admin.sock", f->folder);
    config.paths.application_socket = path;
    config.paths.admin_socket = admin;
    aw_result r = sockets_open(&config, &sockets);
    bool odd = aw_ok(r) && (sockets.application < 0 || sockets.admin < 0 ||
                               sockets.application == sockets.admin || access(path, F_OK) != 0 ||
                               access(admin, F_OK) != 0 || getenv("LISTEN_FDS") != NULL);
    sockets_end(&sockets);
    /* Those that were made are gone, those that were passed stay. */
    odd = odd || (access(path, F_OK) == 0) != (strstr(names, "application") != NULL && count > 0);
    _exit(odd && aw_ok(r) ? 100 : (int)r.code);
}

static void
sockets_of_the_service_manager(void **state)
{
    static const struct {
        const char *name, *names, *paths[3];
        int count;
        enum aw_code code;
    } starts[] = {
        {"none", "", {NULL}, 0, AW_CODE_OK},
        {"both", "admin:application", {"admin.sock", "signer.sock"}, 2, AW_CODE_OK},
        {"one, the other is made", "application", {"signer.sock"}, 1, AW_CODE_OK},
        {"the names the wrong way round", "application:admin", {"admin.sock", "signer.sock"}, 2,
            AW_CODE_CONFIG},
        {"an unknown name", "application:admin:third", {"signer.sock", "admin.sock", "x.sock"}, 3,
            AW_CODE_CONFIG},
        {"the unit's name, when FileDescriptorName is missing", "acmeward.socket", {"signer.sock"},
            1, AW_CODE_CONFIG},
        {"a name twice", "admin:admin", {"admin.sock", "signer.sock"}, 2, AW_CODE_CONFIG},
        {"another path", "application", {"other.sock"}, 1, AW_CODE_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(starts); i++) {
        void *own = NULL;

        setup(&own);
        int code = open_in_child(own, starts[i].names, starts[i].paths, starts[i].count);
        if (code != (int)starts[i].code)
            fail_msg("%s: %d", starts[i].name, code);
        teardown(&own);
    }
}

/* What is not ours is not removed at the end either. */
static void
a_failed_start_leaves_a_live_socket_alone(void **state)
{
    struct fixture *f = *state;
    char admin[160];
    struct aw_config config = {0};
    struct sockets sockets;

    snprintf(admin, sizeof(admin), "%s/admin.sock", f->folder);
    config.paths.application_socket = f->path;
    config.paths.admin_socket = admin;
    int other = bound(admin, SOCK_STREAM, true);
    assert_int_equal(sockets_open(&config, &sockets).code, AW_CODE_EXISTS);
    sockets_end(&sockets);
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_int_equal(access(admin, F_OK), 0);
    close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_made_only_where_nothing_else_is),
        TEST(odd_paths),
        cmocka_unit_test(a_passed_socket_is_looked_at),
        TEST(a_passed_socket_in_a_loose_folder),
        cmocka_unit_test(sockets_of_the_service_manager),
        TEST(a_failed_start_leaves_a_live_socket_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
