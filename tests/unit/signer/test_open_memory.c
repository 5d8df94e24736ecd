/* Out of memory at every place that allocates while the log and the ledger are opened: it fails
 * and says so, takes nothing of them for damaged, and works with memory afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/checkpoint.h"
#include "audit/stored.h"
#include "common/io.h"
#include "ledger_support.h"
#include "tests/faults/memory.h"

enum { FILES_MAX = 16, FILE_MAX = 1 << 20, TRIES_MAX = 5000, RECORDS = 6 };

static const char torn[] = "{\"seq\":7,\"time\":17950";

/* A folder as it lies on the disk when the signer starts. */
struct image {
    struct {
        char name[64];
        char *bytes;
        size_t size;
        mode_t mode;
    } files[FILES_MAX];
    size_t count;
};

static void
path_of(const struct ledger_scene *scene, const char *name, char out[192])
{
    snprintf(out, 192, "%s/%s", scene->folder, name);
}

static void
image_take(const struct ledger_scene *scene, struct image *image)
{
    DIR *folder = opendir(scene->folder);
    const struct dirent *entry;
    char path[192];
    struct stat st;

    assert_non_null(folder);
    image->count = 0;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        assert_true(image->count < FILES_MAX);
        size_t i = image->count++;
        snprintf(image->files[i].name, sizeof(image->files[i].name), "%.60s", entry->d_name);
        path_of(scene, image->files[i].name, path);
        assert_int_equal(stat(path, &st), 0);
        image->files[i].mode = st.st_mode & 07777;
        assert_true(
            aw_ok(aw_file_read(path, FILE_MAX, &image->files[i].bytes, &image->files[i].size)));
    }
    closedir(folder);
}

static void
image_free(struct image *image)
{
    for (size_t i = 0; i < image->count; i++)
        free(image->files[i].bytes);
    image->count = 0;
}

static void
empty_folder(const struct ledger_scene *scene)
{
    DIR *folder = opendir(scene->folder);
    const struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(folder), entry->d_name, 0), 0);
    closedir(folder);
}

static void
image_put(const struct ledger_scene *scene, const struct image *image)
{
    char path[192];

    empty_folder(scene);
    for (size_t i = 0; i < image->count; i++) {
        path_of(scene, image->files[i].name, path);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(
            write(fd, image->files[i].bytes, image->files[i].size), (ssize_t)image->files[i].size);
        assert_int_equal(fchmod(fd, image->files[i].mode), 0);
        close(fd);
    }
}

static void
remove_file(const struct ledger_scene *scene, const char *name)
{
    char path[192];

    path_of(scene, name, path);
    assert_int_equal(unlink(path), 0);
}

static void
store_checkpoint(const struct ledger_scene *scene)
{
    struct audit_checkpoint checkpoint = {.origin = "log.example"};
    AW_CLEANUP(aw_free) char *body = NULL;
    AW_CLEANUP(aw_free) char *note = NULL;
    struct audit_stored stored = {.count = 0};

    assert_true(aw_ok(audit_log_head(scene->log, &checkpoint.head)));
    assert_true(aw_ok(audit_checkpoint_body(&checkpoint, &body)));
    assert_true(aw_ok(aw_format(&note, "%s\n\xe2\x80\x94 log.example AAAAAQID\n", body)));
    assert_true(aw_ok(audit_stored_append(scene->folder, note, &stored)));
}

static void
rotate(const struct ledger_scene *scene)
{
    struct audit_segment closed;

    assert_true(aw_ok(audit_log_rotate(scene->log, &closed)));
}

/* RECORDS in two closed segments and an open one, a checkpoint over three of them, and in "early"
 * the ledger that has the first. Open. */
static void
fill(struct ledger_scene *scene)
{
    char early[128];

    snprintf(early, sizeof(early), "%s/early", scene->folder);
    scene_open(scene);
    scene_order(scene, "app-a", NULL);
    scene_close(scene);
    scene_copy(scene->path, early);
    scene_open(scene);
    int64_t order = scene_order(scene, "app-b", "a.example.edu b.example.edu");
    rotate(scene);
    scene_claim(scene, "claim",
        &(struct ask){
            .application = "app-b", .order = order, .url = "https://ca.example.net/order/2"},
        SIGN_URL_ORDER, LEDGER_NONE);
    store_checkpoint(scene);
    rotate(scene);
    for (int i = 0; i < 3; i++)
        scene_order(scene, "app-c", NULL);
}

static void
tear(const struct ledger_scene *scene)
{
    FILE *file = fopen(scene->log_path, "a");

    assert_non_null(file);
    fputs(torn, file);
    assert_int_equal(fclose(file), 0);
}

/* What is told of want of memory: never that something is damaged, missing or of another log. */
static void
check_failure(const char *row, long n, enum aw_code code)
{
    if (code != AW_CODE_MEMORY && code != AW_CODE_CRYPTO && code != AW_CODE_IO)
        fail_msg("%s, try %ld: %s: %s", row, n, aw_code_tag(code), aw_error_last()->message);
}

static void
fail_next(enum memory_failure failure)
{
    memory_fail_at_new_place(
        failure == MEMORY_FAILS_ONCE ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, failure);
}

static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};

/* The log. */

static void
damage_end(const struct ledger_scene *scene)
{
    remove_file(scene, "audit-000002.mark");
    tear(scene);
}

static void
forget_checkpoints(const struct ledger_scene *scene)
{
    remove_file(scene, "checkpoints");
}

static void
forget_open_segment(const struct ledger_scene *scene)
{
    remove_file(scene, "audit.jsonl");
}

static const struct log_row {
    const char *name;
    void (*damage)(const struct ledger_scene *scene);
    enum aw_code code; /* with memory */
    size_t repaired;
} log_rows[] = {
    {"a torn tail, a mark that is missing", damage_end, AW_CODE_OK, sizeof(torn) - 1},
    {"no checkpoint", forget_checkpoints, AW_CODE_OK, 0},
    {"closed segments, and no audit.jsonl", forget_open_segment, AW_CODE_CORRUPT, 0},
};

/* All records and nothing else, and the torn end kept. */
static void
check_log(const struct ledger_scene *scene, const struct log_row *row)
{
    struct audit_verdict verdict;

    assert_true(aw_ok(audit_verify(scene->folder, &verdict)));
    assert_int_equal(verdict.records, RECORDS);
    assert_int_equal(verdict.segments, 2);
    assert_int_equal(verdict.torn, 0);
    assert_int_equal(scene_count(scene, "audit-000002.mark"), 1);
    if (row->repaired > 0)
        assert_true(scene_count(scene, "audit.jsonl.torn-") > 0);
}

/* With memory, after a start that failed; what that one had mended is not mended again. */
static void
open_log_again(struct ledger_scene *scene, const struct log_row *row)
{
    const struct audit_log_how how = {.folder = scene->folder};
    struct audit_log_opening opening;
    aw_result r = audit_log_open_with(&how, &scene->log, &opening);

    if (r.code != row->code)
        fail_msg("%s, again: %s", row->name, aw_error_last()->message);
    scene_close(scene);
    if (aw_ok(r))
        check_log(scene, row);
}

/* True when no allocation failed any more. */
static bool
try_log(struct ledger_scene *scene, const struct log_row *row, long n, enum memory_failure failure)
{
    const struct audit_log_how how = {.folder = scene->folder};
    struct audit_log_opening opening;

    fail_next(failure);
    aw_result r = audit_log_open_with(&how, &scene->log, &opening);
    bool failed = memory_fail_end();
    scene_close(scene);
    if (r.code != row->code) {
        assert_true(failed && !aw_ok(r));
        check_failure(row->name, n, r.code);
    } else if (opening.repaired != row->repaired) {
        fail_msg("%s, try %ld: %zu octets cut", row->name, n, opening.repaired);
    }
    open_log_again(scene, row);
    return !failed;
}

static void
a_log_opened_without_memory_loses_nothing(void **state)
{
    struct ledger_scene *scene = *state;
    struct image whole = {.count = 0};

    scene_close(scene);
    image_take(scene, &whole);
    for (size_t i = 0; i < AW_COUNT(log_rows) * AW_COUNT(failures); i++) {
        const struct log_row *row = &log_rows[i / 2];
        struct image image = {.count = 0};
        long n = 0;

        image_put(scene, &whole);
        row->damage(scene);
        image_take(scene, &image);
        memory_places_forget();
        do {
            assert_true(++n < TRIES_MAX);
            image_put(scene, &image);
        } while (!try_log(scene, row, n, failures[i % 2]));
        assert_true(n > 5);
        image_free(&image);
    }
    image_free(&whole);
}

/* The ledger. */

static const struct ledger_row_of {
    const char *name;
    bool there;
    int64_t replayed;
} ledger_rows[] = {
    {"a ledger that is behind", true, RECORDS - 1},
    {"no ledger", false, RECORDS},
};

static void
put_ledger(const struct ledger_scene *scene, const struct ledger_row_of *row)
{
    char early[128];

    snprintf(early, sizeof(early), "%s/early", scene->folder);
    if (scene_count(scene, "ledger.db") > 0)
        scene_forget(scene);
    if (row->there)
        scene_copy(early, scene->path);
}

/* True when no allocation failed any more. What a failure leaves is what the next try finds: as
 * far behind as before, or all. */
static bool
try_ledger(struct ledger_scene *scene, const struct ledger_row_of *row, long n,
    enum memory_failure failure, const char *dump)
{
    fail_next(failure);
    aw_result r =
        ledger_open(scene->path, scene->folder, scene->log, &scene->ledger, &scene->recovery);
    bool failed = memory_fail_end();
    assert_int_equal(scene_count(scene, "ledger.db.bad"), 0);
    if (!aw_ok(r)) {
        assert_true(failed);
        assert_null(scene->ledger);
        check_failure(row->name, n, r.code);
        return false;
    }
    /* The one before may have failed behind its commit. */
    bool all = scene->recovery.replayed == row->replayed;
    if (scene->recovery.rebuilt != (all && !row->there) || (!all && scene->recovery.replayed != 0))
        fail_msg("%s, try %ld: %lld records replayed, %s", row->name, n,
            (long long)scene->recovery.replayed, scene->recovery.rebuilt ? "rebuilt" : "kept");
    ledger_close(&scene->ledger);
    AW_CLEANUP(aw_free) char *found = scene_dump(scene);
    assert_string_equal(found, dump);
    put_ledger(scene, row);
    return !failed && all;
}

static void
a_ledger_opened_without_memory_takes_in_all_or_nothing(void **state)
{
    struct ledger_scene *scene = *state;

    ledger_close(&scene->ledger);
    AW_CLEANUP(aw_free) char *dump = scene_dump(scene);
    for (size_t i = 0; i < AW_COUNT(ledger_rows) * AW_COUNT(failures); i++) {
        const struct ledger_row_of *row = &ledger_rows[i / 2];
        long n = 0;

        put_ledger(scene, row);
        memory_places_forget();
        do
            assert_true(++n < TRIES_MAX);
        while (!try_ledger(scene, row, n, failures[i % 2], dump));
        assert_true(n > 20);
    }
}

static int
set_up(void **state)
{
    static struct ledger_scene scene;

    scene_begin(&scene);
    fill(&scene);
    *state = &scene;
    return 0;
}

static int
tear_down(void **state)
{
    scene_end(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_log_opened_without_memory_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_ledger_opened_without_memory_takes_in_all_or_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
