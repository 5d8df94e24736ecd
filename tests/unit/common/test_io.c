#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/io.h"

/* Stands before the C library's at link time: counts what is made durable, and fails on demand. */
static struct {
    unsigned files, folders;
    unsigned fail_at; /* the call that fails, from 1; 0 for none */
} syncs;

int
fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    syncs.files += S_ISREG(st.st_mode);
    syncs.folders += S_ISDIR(st.st_mode);
    if (syncs.files + syncs.folders != syncs.fail_at)
        return 0;
    errno = EIO;
    return -1;
}

/* Each test has a folder of its own, and works in it. */
struct place {
    char folder[64];
    int back; /* the folder we came from */
};

static int
enter_folder(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/acmeward-io.XXXXXX");
    place->back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return place->back >= 0 && mkdtemp(place->folder) != NULL && chdir(place->folder) == 0 ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int
leave_folder(void **state)
{
    struct place *place = *state;
    int failed = fchdir(place->back) | nftw(place->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

    close(place->back);
    free(place);
    return failed;
}

static void
put_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static size_t
count_entries(void)
{
    DIR *folder = opendir(".");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2; /* . and .. */
}

static void
expect_content(const char *path, const char *expected)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    assert_true(aw_ok(aw_file_read(path, 1000, &text, &size)));
    assert_int_equal(size, strlen(expected));
    assert_string_equal(text, expected);
}

static void
file_read_reads_regular_files(void **state)
{
    static const struct {
        const char *name, *path;
        size_t max;
        enum aw_code code;
        const char *reason;
    } rows[] = {
        {"as long as allowed", "five", 5, AW_CODE_OK, ""},
        {"longer than allowed", "five", 4, AW_CODE_LIMIT, "five has 5 octets, at most 4"},
        {"empty", "empty", 0, AW_CODE_OK, ""},
        {"through a link", "link", 5, AW_CODE_OK, ""},
        {"of a size that is not told", "/proc/self/status", 1 << 20, AW_CODE_OK, ""},
        {"of such a size, too long", "/proc/self/status", 10, AW_CODE_LIMIT, "longer than 10"},
        {"absent", "absent", 5, AW_CODE_NOT_FOUND, "can't open absent"},
        {"a folder", ".", 5, AW_CODE_IO, "not a regular file"},
        {"a FIFO that nobody writes", "fifo", 5, AW_CODE_IO, "not a regular file"},
        {"a device", "/dev/zero", 5, AW_CODE_IO, "not a regular file"},
    };

    (void)state;
    put_file("five", "12345", 0600);
    put_file("empty", "", 0600);
    assert_int_equal(symlink("five", "link"), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        size_t size = 0;
        aw_result r = aw_file_read(rows[i].path, rows[i].max, &text, &size);
        if (r.code != rows[i].code || aw_ok(r) != (text != NULL))
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (!aw_ok(r) && strstr(aw_error_last()->message, rows[i].reason) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        if (aw_ok(r))
            assert_int_equal(text[size], '\0');
    }
    expect_content("five", "12345");
    expect_content("empty", "");
}

/* A file as large as several buffers whose size the system does not tell: it grows as it is read.
 */
static void
file_read_grows(void **state)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    (void)state;
    assert_true(aw_ok(aw_file_read("/proc/self/smaps", 64 << 20, &text, &size)));
    assert_true(size > 4096);
    assert_int_equal(strlen(text), size);
    assert_non_null(strstr(text + size / 2, "VmFlags:"));
}

static void
fd_read_secret_keeps_the_capacity(void **state)
{
    static const struct {
        const char *name, *text;
        enum aw_code code;
    } rows[] = {
        {"empty", "", AW_CODE_OK},
        {"shorter", "123", AW_CODE_OK},
        {"as long", "12345678", AW_CODE_OK},
        {"one longer", "123456789", AW_CODE_LIMIT},
    };
    static const uint8_t zeros[8];

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
        size_t length = strlen(rows[i].text);
        int ends[2];
        assert_true(aw_ok(aw_secret_new(8, &secret)));
        assert_true(aw_ok(aw_secret_append(secret, "old", 3)));
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_true(aw_ok(aw_fd_write(ends[1], rows[i].text, length)));
        aw_close(&ends[1]);
        aw_result r = aw_fd_read_secret(ends[0], secret);
        aw_close(&ends[0]);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (aw_ok(r) && !aw_secret_equal(secret, rows[i].text, length))
            fail_msg("%s: other content", rows[i].name);
        if (!aw_ok(r) && (secret->size != 0 || memcmp(secret->data, zeros, 8) != 0))
            fail_msg("%s: octets are left behind", rows[i].name);
    }
}

static void
fd_read_secret_fails_without_a_descriptor(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;

    (void)state;
    assert_true(aw_ok(aw_secret_new(8, &secret)));
    assert_int_equal(aw_fd_read_secret(-1, secret).code, AW_CODE_IO);
    assert_int_equal(aw_error_last()->cause_number, EBADF);
}

enum { LARGE = 4 << 20 };

struct drain {
    int fd;
    size_t total;
    bool same;
};

static atomic_uint alarms_seen;

/* Little by little, so that the writer meets a full pipe; the first time for some alarms. */
static void *
drain_pipe(void *argument)
{
    struct drain *drain = argument;
    uint8_t part[5000];
    ssize_t got;

    while (alarms_seen < 10)
        usleep(100);
    while ((got = read(drain->fd, part, sizeof(part))) > 0)
        for (ssize_t i = 0; i < got; i++)
            drain->same = drain->same && part[i] == (uint8_t)(drain->total++ * 7);
    return NULL;
}

static void
on_alarm(int signal_number)
{
    (void)signal_number;
    alarms_seen++;
}

/* Signals without SA_RESTART make write(2) stop with EINTR or short. */
static void
fd_write_goes_on_after_signals(void **state)
{
    const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm}, before;
    AW_CLEANUP(aw_free) uint8_t *bytes = malloc(LARGE);
    struct drain drain = {.same = true};
    sigset_t alarms;
    pthread_t thread;
    int ends[2];

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 7);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    size_t held = (size_t)fcntl(ends[1], F_GETPIPE_SZ); /* full: the next write waits */
    assert_int_equal(write(ends[1], bytes, held), held);
    drain.fd = ends[0];
    alarms_seen = 0;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    assert_int_equal(pthread_create(&thread, NULL, drain_pipe, &drain), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &often, NULL);
    aw_result r = aw_fd_write(ends[1], bytes + held, LARGE - held);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    alarms_seen = 10; /* a write that failed early leaves nobody waiting */
    aw_close(&ends[1]);
    pthread_join(thread, NULL);
    aw_close(&ends[0]);
    assert_true(aw_ok(r));
    assert_int_equal(drain.total, LARGE);
    assert_true(drain.same);
}

static void
fd_write_reports_a_full_disk(void **state)
{
    AW_CLEANUP(aw_close) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(full >= 0);
    assert_int_equal(aw_fd_write(full, "x", 1).code, AW_CODE_IO);
    assert_int_equal(aw_error_last()->cause_number, ENOSPC);
    assert_true(aw_ok(aw_fd_write(full, "", 0)));
}

static void
file_replace_replaces_whole(void **state)
{
    struct stat before, after;

    (void)state;
    mode_t mask = umask(077);
    assert_true(aw_ok(aw_file_replace("new", "one", 3, 0644)));
    umask(mask);
    expect_content("new", "one");
    assert_int_equal(stat("new", &before), 0);
    assert_int_equal(before.st_mode & 07777, 0644);
    assert_true(aw_ok(aw_file_replace("./new", "", 0, 0400)));
    expect_content("new", "");
    assert_int_equal(stat("new", &after), 0);
    assert_int_equal(after.st_mode & 07777, 0400);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_entries(), 1);
}

/* A link is replaced, not followed: what it names is not ours to change. */
static void
file_replace_leaves_the_target_of_a_link(void **state)
{
    struct stat st;

    (void)state;
    put_file("target", "kept", 0600);
    assert_int_equal(symlink("target", "link"), 0);
    assert_true(aw_ok(aw_file_replace("link", "new", 3, 0600)));
    expect_content("target", "kept");
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void
file_replace_fails_without_a_trace(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(aw_file_replace("absent/x", "1", 1, 0600).code, AW_CODE_NOT_FOUND);
    aw_result r = aw_file_replace("folder", "1", 1, 0600);
    assert_false(aw_ok(r));
    assert_non_null(strstr(aw_error_last()->message, "replace folder: can't give it its name: "));
    assert_int_equal(count_entries(), 1);
}

static void
file_create_takes_no_place(void **state)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    (void)state;
    assert_true(aw_ok(aw_file_create("made", "one", 3, 0640)));
    assert_int_equal(aw_file_create("made", "two", 3, 0640).code, AW_CODE_EXISTS);
    assert_non_null(strstr(aw_error_last()->message, "its name: File exists"));
    assert_true(aw_ok(aw_file_read("made", 10, &text, &size)));
    assert_string_equal(text, "one");
    struct stat st;
    assert_int_equal(stat("made", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_nlink, 1);
    /* A link that leads nowhere is something too. */
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(aw_file_create("dangling", "x", 1, 0640).code, AW_CODE_EXISTS);
    assert_int_equal(access("nowhere", F_OK), -1);
}

static void
what_is_replaced_is_durable(void **state)
{
    (void)state;
    syncs.files = syncs.folders = syncs.fail_at = 0;
    assert_true(aw_ok(aw_file_replace("x", "old", 3, 0600)));
    assert_int_equal(syncs.files, 1);
    assert_int_equal(syncs.folders, 1);
    assert_true(aw_ok(aw_folder_make("folder", 0700)));
    assert_int_equal(syncs.folders, 2);

    syncs.files = syncs.folders = 0;
    syncs.fail_at = 1; /* the content: nothing changes */
    assert_int_equal(aw_file_replace("x", "new", 3, 0600).code, AW_CODE_IO);
    expect_content("x", "old");
    assert_int_equal(count_entries(), 2);

    syncs.files = syncs.folders = 0;
    syncs.fail_at = 2; /* the folder: the rename may not last, so it is no success */
    assert_int_equal(aw_file_replace("x", "new", 3, 0600).code, AW_CODE_IO);
    syncs.fail_at = 0;
}

static void
folder_make_makes_folders(void **state)
{
    static const struct {
        const char *name, *path;
        mode_t mode;
        enum aw_code code;
    } rows[] = {
        {"a new one", "new", 0750, AW_CODE_OK},
        {"a new one, slash behind", "slash/", 0755, AW_CODE_OK},
        {"one that is there keeps its mode", "there", 0700, AW_CODE_OK},
        {"a file is there", "file", 0700, AW_CODE_EXISTS},
        {"a link to nowhere is there", "dangling", 0700, AW_CODE_NOT_FOUND},
        {"no folder above", "absent/new", 0700, AW_CODE_NOT_FOUND},
    };
    struct stat st;

    (void)state;
    put_file("file", "", 0600);
    assert_int_equal(mkdir("there", 0711), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    mode_t mask = umask(077);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        aw_result r = aw_folder_make(rows[i].path, rows[i].mode);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
    }
    umask(mask);
    assert_int_equal(stat("new", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(stat("slash", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat("there", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711 & ~mask);
}

static void
folder_sync_finds_the_folder(void **state)
{
    static const struct {
        const char *path;
        enum aw_code code;
    } rows[] = {
        {"file", AW_CODE_OK},
        {"./file", AW_CODE_OK},
        {"folder/", AW_CODE_OK},
        {"folder//x", AW_CODE_OK},
        {"/x", AW_CODE_OK},
        {"/", AW_CODE_OK},
        {"absent/x", AW_CODE_NOT_FOUND},
        {"file/x", AW_CODE_IO},
    };

    (void)state;
    put_file("file", "", 0600);
    assert_int_equal(mkdir("folder", 0700), 0);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        aw_result r = aw_folder_sync_of(rows[i].path);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].path, aw_code_tag(r.code));
    }
}

/* Rows of a file of ours; those of another owner are below. */
static void
path_check_wants_tight_modes(void **state)
{
    static const struct {
        const char *name, *path;
        mode_t mode, forbidden;
        enum aw_code code;
        const char *reason, *hint;
    } rows[] = {
        {"tight", "f", 0600, 0077, AW_CODE_OK, "", ""},
        {"the owner's bits do not matter", "f", 0700, 0077, AW_CODE_OK, "", ""},
        {"readable by the group", "f", 0640, 0077, AW_CODE_PERMISSION,
            "has mode 0640, of which 0040", "chmod 0600 f"},
        {"readable by all", "f", 0604, 0077, AW_CODE_PERMISSION, "has mode 0604", "chmod 0600 f"},
        {"readable configuration", "f", 0644, 0022, AW_CODE_OK, "", ""},
        {"writable configuration", "f", 0666, 0022, AW_CODE_PERMISSION, "of which 0022",
            "chmod 0644 f"},
        {"a folder", ".", 0700, 0077, AW_CODE_OK, "", ""},
        {"a link to a tight file", "link", 0, 0, AW_CODE_PERMISSION, "symbolic link",
            "the file itself"},
        {"absent", "absent", 0, 0, AW_CODE_NOT_FOUND, "absent", ""},
    };

    (void)state;
    put_file("f", "", 0600);
    put_file("tight", "", 0600);
    assert_int_equal(symlink("tight", "link"), 0);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        if (rows[i].mode != 0)
            assert_int_equal(chmod(rows[i].path, rows[i].mode), 0);
        aw_result r = aw_path_check(rows[i].path, getuid(), rows[i].forbidden);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_code_tag(r.code));
        if (aw_ok(r))
            continue;
        if (!strstr(aw_error_last()->message, rows[i].reason) ||
            !strstr(aw_error_last()->hint, rows[i].hint))
            fail_msg("%s: %s; %s", rows[i].name, aw_error_last()->message, aw_error_last()->hint);
    }
}

/* Whoever can write in a folder takes what is in it away, but where it is sticky. */
static void
path_check_looks_at_the_place(void **state)
{
    static const struct {
        const char *name, *path;
        mode_t mode;
        bool ok;
        const char *hint;
    } rows[] = {
        {"ours", "folder/f", 0700, true, ""},
        {"the group may write", "folder/f", 0775, false, "chmod go-w folder"},
        {"all may write", "folder/f", 0707, false, "chmod go-w folder"},
        {"all may write, sticky", "folder/f", 01777, true, ""},
        {"through a link", "link/f", 0775, false, "chmod go-w link"},
    };

    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("folder", "link"), 0);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        assert_int_equal(chmod("folder", rows[i].mode), 0);
        aw_result r = aw_path_check_place(rows[i].path, getuid());
        if (aw_ok(r) != rows[i].ok || (!aw_ok(r) && !strstr(aw_error_last()->hint, rows[i].hint)))
            fail_msg("%s: %s; %s", rows[i].name, aw_error_last()->message, aw_error_last()->hint);
    }
    assert_int_equal(chmod("folder", 0700), 0);
    assert_true(getuid() != 0 || chown("folder", 12345, (gid_t)-1) == 0);
    assert_int_equal(
        aw_path_check_place("folder/f", getuid() == 0 ? 0 : getuid() + 1).code, AW_CODE_PERMISSION);
    assert_non_null(strstr(aw_error_last()->hint, "chown root folder"));
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(rmdir("folder"), 0);
}

static void
path_check_wants_the_owner(void **state)
{
    uid_t owner = getuid() == 0 ? 12345 : getuid();

    (void)state;
    put_file("f", "", 0600);
    if (getuid() == 0) {
        assert_true(aw_ok(aw_path_check("f", 12345, 0077))); /* root's file is fine for all */
        assert_int_equal(chown("f", owner, (gid_t)-1), 0);
    }
    assert_true(aw_ok(aw_path_check("f", owner, 0077)));
    assert_int_equal(aw_path_check("f", owner + 1, 0077).code, AW_CODE_PERMISSION);
    assert_non_null(strstr(aw_error_last()->message, "belongs to uid"));
    assert_memory_equal(aw_error_last()->hint, "chown ", 6);
}

static void
open_checked_checks_what_it_opens(void **state)
{
    AW_CLEANUP(aw_close) int fd = -1;
    char octet;

    (void)state;
    put_file("pin", "1", 0600);
    put_file("loose", "1", 0644);
    assert_int_equal(symlink("pin", "link"), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(aw_file_open_checked("loose", getuid(), 0077, &fd).code, AW_CODE_PERMISSION);
    assert_int_equal(aw_file_open_checked("link", getuid(), 0077, &fd).code, AW_CODE_PERMISSION);
    assert_int_equal(aw_file_open_checked("fifo", getuid(), 0077, &fd).code, AW_CODE_IO);
    assert_int_equal(aw_file_open_checked("absent", getuid(), 0077, &fd).code, AW_CODE_NOT_FOUND);
    assert_int_equal(fd, -1);
    assert_true(aw_ok(aw_file_open_checked("pin", getuid(), 0077, &fd)));
    assert_int_equal(read(fd, &octet, 1), 1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(file_read_reads_regular_files),
        cmocka_unit_test(file_read_grows),
        cmocka_unit_test(fd_read_secret_keeps_the_capacity),
        cmocka_unit_test(fd_read_secret_fails_without_a_descriptor),
        cmocka_unit_test(fd_write_goes_on_after_signals),
        cmocka_unit_test(fd_write_reports_a_full_disk),
        IN_FOLDER(file_replace_replaces_whole),
        IN_FOLDER(file_replace_leaves_the_target_of_a_link),
        IN_FOLDER(file_replace_fails_without_a_trace),
        IN_FOLDER(file_create_takes_no_place),
        IN_FOLDER(what_is_replaced_is_durable),
        IN_FOLDER(folder_make_makes_folders),
        IN_FOLDER(folder_sync_finds_the_folder),
        IN_FOLDER(path_check_wants_tight_modes),
        IN_FOLDER(path_check_wants_the_owner),
        IN_FOLDER(path_check_looks_at_the_place),
        IN_FOLDER(open_checked_checks_what_it_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
