/*
 * What a host that fails may lose: nothing that counts is there before all that it stands for is on
 * the disk. A killed process can't show that, so each fsync and each name that is given is watched.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "client/chain.h"
#include "client/store_order.h"
#include "client/store_steps.h"
#include "common/io.h"
#include "store_place.h"

enum { INODES_MAX = 64 };

/* Inodes: of files that are synced, of folders with a name that is not. */
struct inodes {
    ino_t items[INODES_MAX];
    size_t count;
};

static struct watch {
    struct inodes synced, dirty;
    struct place *place;
    unsigned version; /* that is being added; 0: none */
    unsigned keys, links, orders, syncs;
} watch;

static bool
holds(const struct inodes *set, ino_t inode)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i] == inode)
            return true;
    return false;
}

static void
put_in(struct inodes *set, ino_t inode)
{
    if (holds(set, inode))
        return;
    assert_true(set->count < INODES_MAX);
    set->items[set->count++] = inode;
}

static void
take_out(struct inodes *set, ino_t inode)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i] == inode)
            set->items[i] = set->items[--set->count];
}

static ino_t
inode_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        fail_msg("%s is missing", path);
    return st.st_ino;
}

static void
assert_synced(const char *path)
{
    if (!holds(&watch.synced, inode_of(at(watch.place, path))))
        fail_msg("%s is not synced", path);
}

static void
assert_clean(const char *folder)
{
    if (holds(&watch.dirty, inode_of(at(watch.place, folder))))
        fail_msg("a name in %s is not synced", folder);
}

static void
assert_version_synced(unsigned kinds)
{
    for (unsigned i = 0; i < kinds; i++) {
        char path[64];

        snprintf(
            path, sizeof(path), "archive/" NAME "/%s%u.pem", store_kind_names[i], watch.version);
        assert_synced(path);
    }
}

/* A name was given to a file: what it makes count has to be durable. */
static void
name_given(const char *folder, const char *name)
{
    put_in(&watch.dirty, inode_of(folder));
    if (strcmp(name, ".order-" NAME ".json") == 0) {
        watch.orders++;
        assert_synced("archive/.order-" NAME ".key");
        assert_synced("archive/.order-" NAME ".conf");
    }
    if (watch.version == 0)
        return;
    if (strncmp(name, "privkey", strlen("privkey")) != 0 || strcmp(name, "privkey.pem") == 0)
        return;
    watch.keys++;
    assert_version_synced(STORE_PRIVKEY);
}

static void
path_given(const char *path)
{
    char folder[512];
    const char *slash = strrchr(path, '/');

    assert_non_null(slash);
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    name_given(folder, slash + 1);
}

int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_link(const char *from, const char *to);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_link(const char *from, const char *to);

int
__wrap_fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    watch.syncs++;
    if (S_ISDIR(st.st_mode))
        take_out(&watch.dirty, st.st_ino);
    else
        put_in(&watch.synced, st.st_ino);
    return __real_fsync(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
    int failed = __real_rename(from, to);

    if (failed == 0)
        path_given(to);
    return failed;
}

int
__wrap_link(const char *from, const char *to)
{
    int failed = __real_link(from, to);

    if (failed == 0)
        path_given(to);
    return failed;
}

/* A link of live/NAME is replaced: what servers find now is all there. */
int
__wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    struct stat st;

    assert_version_synced(STORE_KINDS);
    assert_clean("archive/" NAME);
    watch.links++;
    int failed = __real_renameat(from_fd, from, to_fd, to);
    assert_int_equal(fstat(to_fd, &st), 0);
    put_in(&watch.dirty, st.st_ino);
    return failed;
}

static void
begin_watch(struct place *place)
{
    memset(&watch, 0, sizeof(watch));
    watch.place = place;
}

static const struct {
    const char *name;
    bool linked; /* the key is on the disk already, as the order's */
    unsigned syncs;
} rows[] = {
    {"a file of its own", false, 6},
    {"the order's", true, 5},
};

static void
test_version(void **state)
{
    struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(store_close) store *s = NULL;
        AW_CLEANUP(aw_free) char *key_file = NULL;
        struct marked m;
        unsigned version;

        print_message("%s\n", rows[i].name);
        begin_watch(place);
        mark(&m, rows[i].name);
        assert_true(aw_ok(store_open(place->root, NAME, &s)));
        assert_true(aw_ok(store_order_key_path(s, &key_file)));
        if (rows[i].linked)
            assert_true(aw_ok(aw_file_replace(key_file, m.key->data, m.key->size, 0600)));
        m.version.key_file = key_file; /* of the first row there is none */
        watch.version = s->highest + 1;
        watch.syncs = 0;
        assert_true(aw_ok(store_add(s, &m.version, &version)));
        assert_int_equal(watch.keys, 1);
        assert_int_equal(watch.links, STORE_KINDS);
        assert_int_equal(watch.syncs, rows[i].syncs);
        assert_clean("live/" NAME);
        assert_live(place, rows[i].name);
        assert_true(aw_ok(store_order_forget(s)));
        assert_live(place, rows[i].name); /* its name is gone, the key is not */
        aw_secret_free(&m.key);
    }
}

static void
make_order(struct store_order *order)
{
    order->names = calloc(1, sizeof(*order->names));
    assert_non_null(order->names);
    assert_true(aw_ok(aw_name_parse(HOST, strlen(HOST), order->names)));
    order->name_count = 1;
    assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &order->key)));
    assert_true(aw_ok(chain_csr(NULL, order->key, &(struct chain_request){order->names, 1, false},
        &order->csr, &order->csr_size)));
    assert_true(aw_ok(aw_format(&order->application, "app")));
    assert_true(aw_ok(aw_format(&order->url, "https://ca.example/order/1")));
    assert_true(aw_ok(aw_format(&order->new_order, "https://ca.example/new-order")));
}

/* When it is saved all of it is, and over another one too. */
static void
test_order(void **state)
{
    struct place *place = *state;
    AW_CLEANUP(store_close) store *s = NULL;

    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    for (unsigned round = 0; round < 2; round++) {
        AW_CLEANUP(store_order_free) struct store_order order = {0}, read = {0};

        begin_watch(place);
        make_order(&order);
        assert_true(aw_ok(store_order_save(s, &order, "key_type: ec-p256\n")));
        assert_int_equal(watch.orders, 1);
        assert_synced("archive/.order-" NAME ".json");
        assert_clean("archive");
        assert_int_equal(watch.syncs, 4 + round); /* the old one is gone before */
        assert_true(aw_ok(store_order_read(s, &read)));
        assert_int_equal(EVP_PKEY_eq(read.key, order.key), 1);
    }
}

/* The key is longer than a file may be for it: it is killed with half of it written. */
static void
save_and_be_killed(struct place *place, struct store_order *order)
{
    const struct rlimit limit = {16, 16};
    store *s;

    if (aw_ok(store_open(place->root, NAME, &s)) && setrlimit(RLIMIT_FSIZE, &limit) == 0)
        aw_ignore(store_order_save(s, order, "key_type: ec-p256\n"), "it is killed");
    _exit(1);
}

/* What a killed run leaves of a key is under a name that the next one removes. */
static void
test_killed(void **state)
{
    struct place *place = *state;
    AW_CLEANUP(store_order_free) struct store_order order = {0};
    AW_CLEANUP(store_close) store *s = NULL;
    int status;

    make_order(&order);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        save_and_be_killed(place, &order);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(access(at(place, "archive/.order-" NAME ".key"), F_OK), 0);
    assert_true(aw_ok(store_open(place->root, NAME, &s)));
    assert_true(aw_ok(store_order_forget(s)));
    DIR *folder = opendir(at(place, "archive"));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (strstr(entry->d_name, "order") != NULL)
            fail_msg("%s is left", entry->d_name);
    closedir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_version),
        IN_PLACE(test_order),
        IN_PLACE(test_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
