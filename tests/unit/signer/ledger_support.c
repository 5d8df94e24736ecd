#include "ledger_support.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/io.h"

/* Folder. */

void
scene_begin(struct ledger_scene *scene)
{
    *scene = (struct ledger_scene){0};
    snprintf(scene->folder, sizeof(scene->folder), "/tmp/acmeward-ledger-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->path, sizeof(scene->path), "%s/ledger.db", scene->folder);
    snprintf(scene->log_path, sizeof(scene->log_path), "%s/audit.jsonl", scene->folder);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void
scene_end(struct ledger_scene *scene)
{
    scene_close(scene);
    assert_int_equal(nftw(scene->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

aw_result
scene_try_open(struct ledger_scene *scene)
{
    size_t repaired;

    AW_TRY(audit_log_open(scene->folder, &scene->log, &repaired));
    return ledger_open(scene->path, scene->folder, scene->log, &scene->ledger, &scene->recovery);
}

void
scene_open(struct ledger_scene *scene)
{
    if (!aw_ok(scene_try_open(scene)))
        fail_msg("open: %s", aw_error_last()->message);
}

void
scene_close(struct ledger_scene *scene)
{
    ledger_close(&scene->ledger);
    audit_log_close(&scene->log);
}

void
scene_start(struct ledger_scene *scene)
{
    scene_begin(scene);
    scene_open(scene);
}

static int
each_file(const struct ledger_scene *scene, const char *prefix, bool delete)
{
    DIR *folder = opendir(scene->folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        count++;
        if (delete)
            assert_int_equal(unlinkat(dirfd(folder), entry->d_name, 0), 0);
    }
    closedir(folder);
    return count;
}

int
scene_count(const struct ledger_scene *scene, const char *prefix)
{
    return each_file(scene, prefix, false);
}

void
scene_forget(const struct ledger_scene *scene)
{
    assert_true(each_file(scene, "ledger.db", true) > 0);
}

void
scene_copy(const char *from, const char *to)
{
    char *bytes;
    size_t size;

    assert_true(aw_ok(aw_file_read(from, 256u << 20, &bytes, &size)));
    FILE *file = fopen(to, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

/* Dumps. */

static void
dump_table(sqlite3 *db, const char *table, FILE *out)
{
    char sql[128];
    sqlite3_stmt *statement;

    snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    fprintf(out, "-- %s\n", table);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const unsigned char *text = sqlite3_column_text(statement, i);
            fprintf(out, "%s|", text == NULL ? "NULL" : (const char *)text);
        }
        fputc('\n', out);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

char *
scene_dump(const struct ledger_scene *scene)
{
    static const char *const tables[] = {"meta ORDER BY id", "orders ORDER BY seq",
        "revocations ORDER BY seq", "progress ORDER BY seq",
        "claims ORDER BY account, url, order_seq", "claim_counts ORDER BY order_seq, kind",
        "keys ORDER BY key", "refused_keys ORDER BY key", "certificates ORDER BY seq",
        "app_eabs ORDER BY seq"};
    char *text = NULL;
    size_t size;
    sqlite3 *db;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(sqlite3_open_v2(scene->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    for (size_t i = 0; i < AW_COUNT(tables); i++)
        dump_table(db, tables[i], out);
    sqlite3_close(db);
    fclose(out);
    return text;
}

/* Requests. */

enum { NAMES_MAX = 100 };

struct names {
    char text[NAMES_MAX * 64];
    const char *texts[NAMES_MAX];
    struct aw_name names[NAMES_MAX];
    size_t count;
};

static void
split_names(const char *list, struct names *out)
{
    char *save = NULL;

    assert_true(strlen(list) < sizeof(out->text));
    snprintf(out->text, sizeof(out->text), "%s", list);
    out->count = 0;
    for (char *name = strtok_r(out->text, " ", &save); name != NULL;
         name = strtok_r(NULL, " ", &save)) {
        assert_true(out->count < NAMES_MAX);
        out->texts[out->count] = name;
        snprintf(out->names[out->count].text, sizeof(out->names[0].text), "%s", name);
        out->count++;
    }
}

aw_result
scene_ask(
    struct ledger_scene *scene, const struct ask *ask, struct ledger_verdict *verdict, int64_t *seq)
{
    struct names *names = calloc(1, sizeof(*names));

    assert_non_null(names);
    split_names(ask->names != NULL ? ask->names : "a.example.edu", names);
    struct ledger_request request = {
        .operation = ask->operation,
        .application = ask->application != NULL ? ask->application : "app-a",
        .account = ask->account != NULL ? ask->account : "acct",
        .orders_per_day = ask->limit == 0  ? 1000
                          : ask->limit < 0 ? 0
                                           : ask->limit,
        .revocations_per_day = ask->limit == 0  ? 5000
                               : ask->limit < 0 ? 0
                                                : ask->limit,
        .order = ask->order,
        .again = ask->again,
        .url = ask->url,
        .csr = ask->csr,
        .key = ask->key,
        .replaces = ask->replaces,
        .pinned = ask->pinned,
        .certificate = ask->certificate,
        .alarm = ask->alarm,
        .alarm_rule = ask->alarm == NULL ? NULL : "certificate.unverified",
        .names = names->names,
        .name_count = names->count,
        .claims = ask->claims,
        .claim_count = ask->claim_count,
    };
    struct audit_entry entry = {.verdict = "permit",
        .rule = "names.exact",
        .names = names->texts,
        .name_count = names->count,
        .serial = ask->serial,
        .has_verified = ask->verified != 0,
        .verified = ask->verified > 0};
    aw_result r = ledger_submit(scene->ledger, &request, &entry, T0 + ask->at, verdict, seq);
    free(names);
    return r;
}

int64_t
scene_expect(
    struct ledger_scene *scene, const char *row, const struct ask *ask, enum ledger_rule rule)
{
    struct ledger_verdict verdict;
    int64_t seq;

    if (!aw_ok(scene_ask(scene, ask, &verdict, &seq)))
        fail_msg("%s: %s", row, aw_error_last()->message);
    if (verdict.rule != rule)
        fail_msg("%s: \"%s\" (%s), expected \"%s\"", row, ledger_rule_tag(verdict.rule),
            verdict.message, ledger_rule_tag(rule));
    if ((rule == LEDGER_NONE) != (verdict.message[0] == '\0'))
        fail_msg("%s: the message is \"%s\"", row, verdict.message);
    return seq;
}

int64_t
scene_order(struct ledger_scene *scene, const char *application, const char *names)
{
    const struct ask ask = {
        .operation = SIGN_NEW_ORDER, .application = application, .names = names};

    return scene_expect(scene, "new-order", &ask, LEDGER_NONE);
}

void
scene_claim(struct ledger_scene *scene, const char *row, const struct ask *ask,
    enum sign_url_kind kind, enum ledger_rule rule)
{
    char url[256];
    struct ask whole = *ask;
    struct sign_claim claim = {kind, url};

    snprintf(url, sizeof(url), "%s", ask->url);
    whole.operation = SIGN_CLAIM;
    whole.url = NULL;
    whole.claims = &claim;
    whole.claim_count = 1;
    scene_expect(scene, row, &whole, rule);
}

/* Records. */

struct last {
    enum audit_kind kind;
    char verdict[16], rule[64], url[128], url_kind[32];
};

static aw_result
keep_last(const struct audit_record *record, void *context)
{
    struct last *last = context;
    const struct audit_entry *entry = &record->entry;

    last->kind = entry->kind;
    snprintf(last->verdict, sizeof(last->verdict), "%s", entry->verdict ? entry->verdict : "");
    snprintf(last->rule, sizeof(last->rule), "%s", entry->rule ? entry->rule : "");
    snprintf(last->url, sizeof(last->url), "%s", entry->url ? entry->url : "");
    snprintf(last->url_kind, sizeof(last->url_kind), "%s", entry->url_kind ? entry->url_kind : "");
    return AW_OK;
}

static void
read_last(struct ledger_scene *scene, struct last *out)
{
    int64_t appended;
    int64_t durable;

    audit_log_position(scene->log, &appended, &durable);
    assert_true(aw_ok(audit_log_wait(scene->log, appended)));
    assert_true(aw_ok(audit_read(scene->folder, appended, keep_last, out)));
}

void
scene_expect_record(struct ledger_scene *scene, const char *row, enum audit_kind kind,
    const char *verdict, const char *rule)
{
    struct last last = {0};

    read_last(scene, &last);
    if (last.kind != kind || strcmp(last.verdict, verdict == NULL ? "" : verdict) != 0 ||
        strcmp(last.rule, rule == NULL ? "" : rule) != 0)
        fail_msg("%s: the last record is %s, \"%s\", \"%s\"", row, audit_kind_name(last.kind),
            last.verdict, last.rule);
}

void
scene_expect_url(struct ledger_scene *scene, const char *row, const char *url, const char *kind)
{
    struct last last = {0};

    read_last(scene, &last);
    if (strcmp(last.url, url) != 0 || strcmp(last.url_kind, kind) != 0)
        fail_msg("%s: the last record is of %s, \"%s\"", row, last.url, last.url_kind);
}

void
scene_foreign_record(struct ledger_scene *scene, int64_t at)
{
    struct audit_entry entry = {.kind = AUDIT_RELOAD, .time = T0 + at, .message = "reloaded"};
    int64_t seq;

    assert_true(aw_ok(audit_log_append(scene->log, &entry, &seq)));
    assert_true(aw_ok(audit_log_wait(scene->log, seq)));
}
