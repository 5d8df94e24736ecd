/*
 * What the ledger finds at its start. An input that begins as a line of the audit log is one, with
 * its chain mended: the ledger takes it in and is the same however it came to it, or says what is
 * wrong. Any other is a database beside a good log, whole or as damages to a good one: it is used,
 * or set aside and made anew, and signing can go on.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "audit/audit.h"
#include "common/io.h"
#include "common/log.h"
#include "fuzz.h"
#include "log_file.h"
#include "signer/ledger.h"

#define URL "https://ca.example.edu/acme/"
#define HEX(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define DIGEST_A HEX("aa")
#define DIGEST_B HEX("bb")

enum { DATABASE_MAX = 1024 * 1024, T0 = 1795000000 };

/* Octets with their number. */
struct octets {
    char *data;
    size_t size;
};

/* A good log and its ledger's database, made at the first input. */
static struct octets good_log, good_database;
static char *good_rows;

/* Log and ledger, open. */
struct scene {
    audit_log *log;
    ledger *ledger;
    struct ledger_recovery recovery;
};

/* Files. */

static char *
database_path(void)
{
    char *path = NULL;

    FUZZ_CHECK(aw_ok(aw_path_join(fuzz_folder(), "ledger.db", &path)));
    return path;
}

static void
read_file(const char *path, struct octets *out)
{
    FUZZ_CHECK(aw_ok(aw_file_read(path, DATABASE_MAX, &out->data, &out->size)));
}

static size_t remove_files(const char *prefix);

/* Without a seal: SQLite and ours are to find what is wrong with it. */
static void
write_database(const struct octets *octets)
{
    AW_CLEANUP(aw_free) char *path = database_path();
    AW_CLEANUP(aw_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    FUZZ_CHECK(fd >= 0 && fchmod(fd, 0640) == 0);
    FUZZ_CHECK(aw_ok(aw_fd_write(fd, octets->data, octets->size)));
    remove_files("ledger.db.seal");
}

/* Removes the files whose names begin so; gives their number. */
static size_t
remove_files(const char *prefix)
{
    DIR *folder = opendir(fuzz_folder());
    const struct dirent *entry;
    size_t count = 0;

    FUZZ_CHECK(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        FUZZ_CHECK(unlinkat(dirfd(folder), entry->d_name, 0) == 0);
        count++;
    }
    closedir(folder);
    return count;
}

static aw_result
open_scene(struct scene *scene)
{
    AW_CLEANUP(aw_free) char *path = database_path();
    size_t repaired;

    *scene = (struct scene){0};
    AW_TRY(audit_log_open(fuzz_folder(), &scene->log, &repaired));
    return ledger_open(path, fuzz_folder(), scene->log, &scene->ledger, &scene->recovery);
}

static void
close_scene(struct scene *scene)
{
    ledger_close(&scene->ledger);
    audit_log_close(&scene->log);
}

/* Rows. */

static void
dump_table(sqlite3 *db, const char *table, FILE *out)
{
    AW_CLEANUP(aw_free) char *sql = NULL;
    sqlite3_stmt *statement = NULL;

    FUZZ_CHECK(aw_ok(aw_format(&sql, "SELECT * FROM \"%s\"", table)));
    FUZZ_CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    fprintf(out, "-- %s\n", table);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const unsigned char *text = sqlite3_column_text(statement, i);
            fprintf(out, "%s|", text == NULL ? "NULL" : (const char *)text);
        }
        fputc('\n', out);
    }
    FUZZ_CHECK(sqlite3_finalize(statement) == SQLITE_OK);
}

/* All rows of all tables of the closed database. Release with free(). */
static char *
dump(void)
{
    static const char tables[] = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1";
    AW_CLEANUP(aw_free) char *path = database_path();
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    FUZZ_CHECK(out != NULL && sqlite3_open(path, &db) == SQLITE_OK);
    FUZZ_CHECK(sqlite3_prepare_v2(db, tables, -1, &statement, NULL) == SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        dump_table(db, (const char *)sqlite3_column_text(statement, 0), out);
    FUZZ_CHECK(sqlite3_finalize(statement) == SQLITE_OK && sqlite3_close(db) == SQLITE_OK);
    FUZZ_CHECK(fclose(out) == 0);
    return text;
}

/* Requests. */

static const struct sign_claim claims[] = {{SIGN_URL_ORDER, (char *)(uintptr_t)URL "order/1"},
    {SIGN_URL_FINALIZE, (char *)(uintptr_t)URL "order/1/finalize"},
    {SIGN_URL_AUTHORIZATION, (char *)(uintptr_t)URL "authz/1"}};

/* Asks for one operation of the order with this ticket; gives the number of its record. */
static int64_t
ask(ledger *opened, enum sign_operation operation, int64_t order, const char *url)
{
    static const struct aw_name name = {
        .form = AW_NAME_HOST, .labels = 3, .length = 13, .text = "a.example.edu"};
    static const char *const names[] = {"a.example.edu"};
    bool claiming = operation == SIGN_CLAIM;
    struct ledger_request request = {.operation = operation,
        .application = "app",
        .url = url,
        .account = "account",
        .orders_per_day = 3,
        .revocations_per_day = 3,
        .order = order,
        .csr = DIGEST_A,
        .key = DIGEST_B,
        .names = &name,
        .name_count = 1,
        .claims = claims,
        .claim_count = claiming ? AW_COUNT(claims) : 0};
    struct audit_entry entry = {.time = T0,
        .application = "app",
        .account = "account",
        .verdict = "permit",
        .names = names,
        .name_count = 1,
        .serial = "01",
        .not_after = T0,
        .operation = sign_operation_name(operation),
        .kind = claiming                               ? AUDIT_CLAIM
                : operation == SIGN_RECORD_CERTIFICATE ? AUDIT_CERTIFICATE
                                                       : AUDIT_DECISION};
    struct ledger_verdict verdict;
    int64_t seq = 0;
    aw_result r = ledger_submit(opened, &request, &entry, T0, &verdict, &seq);

    if (!aw_ok(r))
        fuzz_check_refusal(r);
    return seq;
}

/* Something of everything; on a damaged database each may fail, in words. */
static void
use(ledger *opened)
{
    struct ledger_usage today;
    const int64_t tickets[] = {1, ask(opened, SIGN_NEW_ORDER, 0, NULL)};
    aw_result r = ledger_used_today(opened, "app", T0, &today);

    if (!aw_ok(r))
        fuzz_check_refusal(r);
    for (size_t i = 0; i < AW_COUNT(tickets); i++) {
        ask(opened, SIGN_CLAIM, tickets[i], NULL);
        ask(opened, SIGN_POST_AS_GET, tickets[i], URL "authz/1");
        ask(opened, SIGN_FINALIZE, tickets[i], URL "order/1/finalize");
        ask(opened, SIGN_RECORD_CERTIFICATE, tickets[i], NULL);
        ask(opened, SIGN_REVOKE, 0, NULL);
    }
    r = ledger_commit(opened);
    if (!aw_ok(r))
        fuzz_check_refusal(r);
}

static void
make_good(void)
{
    AW_CLEANUP(aw_free) char *database = database_path();
    AW_CLEANUP(aw_free) char *log = log_file_path();
    struct scene scene;

    FUZZ_CHECK(aw_ok(open_scene(&scene)));
    use(scene.ledger);
    close_scene(&scene);
    read_file(log, &good_log);
    read_file(database, &good_database);
    good_rows = dump();
}

/* A log. */

/* Opens, which must go well, and gives the rows. Release with free(). */
static char *
rows_of(int64_t replayed, bool rebuilt)
{
    struct scene scene;

    FUZZ_CHECK(aw_ok(open_scene(&scene)));
    FUZZ_CHECK(scene.recovery.replayed == replayed && scene.recovery.rebuilt == rebuilt);
    close_scene(&scene);
    return dump();
}

/* The ledger that has taken in the log's first half takes in the rest. */
static void
check_halves(const char *text, size_t size, int64_t records, const char *rows)
{
    const char *end = memrchr(text, '\n', size / 2);
    size_t half = end == NULL ? 0 : (size_t)(end - text) + 1;
    struct scene scene;

    remove_files("");
    log_file_write(text, half);
    FUZZ_CHECK(aw_ok(open_scene(&scene)));
    int64_t taken = scene.recovery.replayed;
    close_scene(&scene);
    log_file_write(text, size);
    AW_CLEANUP(aw_free) char *both = rows_of(records - taken, taken == 0 && records > 0);
    FUZZ_CHECK(strcmp(both, rows) == 0);
}

static bool
check_log(const char *text, size_t size)
{
    struct scene scene;

    remove_files("");
    log_file_write(text, size);
    aw_result r = open_scene(&scene);
    int64_t records = scene.recovery.replayed;
    close_scene(&scene);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(r.code == AW_CODE_CORRUPT);
        FUZZ_CHECK(open_scene(&scene).code == r.code);
        close_scene(&scene);
        return false;
    }
    AW_CLEANUP(aw_free) char *first = dump();
    AW_CLEANUP(aw_free) char *second = rows_of(0, false);
    FUZZ_CHECK(strcmp(first, second) == 0);
    remove_files("ledger.db");
    AW_CLEANUP(aw_free) char *anew = rows_of(records, records > 0);
    FUZZ_CHECK(strcmp(first, anew) == 0);
    check_halves(text, size, records, first);
    return records > 0;
}

/* A database. */

/* Damages, four octets each: a page, where in it, what is written there. One octet more is a
 * length, in 1/256 of the whole. */
static struct octets
damaged(const uint8_t *data, size_t size)
{
    enum { PAGE = 4096, DAMAGE = 4 };
    struct octets out = {malloc(good_database.size), good_database.size};

    FUZZ_CHECK(out.data != NULL);
    memcpy(out.data, good_database.data, out.size);
    for (; size >= DAMAGE; data += DAMAGE, size -= DAMAGE) {
        size_t at = data[0] * (size_t)PAGE + ((size_t)data[1] << 8 | data[2]) % PAGE;
        out.data[at % out.size] = (char)data[3];
    }
    if (size == 1)
        out.size = out.size * data[0] / 256;
    return out;
}

/* Whatever the database was, the log is good: the ledger opens, or says that it has taken in more
 * or of another log, and opens without it. */
static bool
check_database(const struct octets *database)
{
    bool same = database->size == good_database.size &&
                memcmp(database->data, good_database.data, database->size) == 0;
    struct scene scene;

    remove_files("");
    log_file_write(good_log.data, good_log.size);
    write_database(database);
    aw_result r = open_scene(&scene);
    if (r.code == AW_CODE_NOT_FOUND || r.code == AW_CODE_MISMATCH) {
        FUZZ_CHECK(!same);
        close_scene(&scene);
        remove_files("ledger.db");
        r = open_scene(&scene);
    }
    FUZZ_CHECK(aw_ok(r));
    bool rebuilt = scene.recovery.rebuilt;
    FUZZ_CHECK(rebuilt || scene.recovery.replayed == 0);
    FUZZ_CHECK(!same || !rebuilt);
    close_scene(&scene);
    if (rebuilt || same) {
        AW_CLEANUP(aw_free) char *rows = dump();
        FUZZ_CHECK(strcmp(rows, good_rows) == 0);
    }
    FUZZ_CHECK(aw_ok(open_scene(&scene)));
    FUZZ_CHECK(scene.recovery.replayed == 0 && !scene.recovery.rebuilt);
    use(scene.ledger);
    close_scene(&scene);
    return !rebuilt;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char magic[] = "SQLite format 3";
    AW_CLEANUP(aw_free) char *text = fuzz_text(data, size);
    struct octets whole = {text, size};
    bool accepted;

    if (good_rows == NULL) {
        aw_log_open("fuzz", AW_LOG_ERROR); /* each ledger set aside is a warning */
        make_good();
    }
    if (size > 0 && text[0] == '{') {
        log_file_mend(text, size);
        accepted = check_log(text, size);
    } else if (size >= sizeof(magic) && memcmp(text, magic, sizeof(magic)) == 0) {
        accepted = check_database(&whole);
    } else {
        struct octets out = damaged(data, size);
        accepted = check_database(&out);
        free(out.data);
    }
    if (accepted)
        fuzz_accept();
    return 0;
}
