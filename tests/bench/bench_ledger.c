/*
 * bench_ledger MODE --folder DIR [--log DIR] [--records N]: what a ledger costs by its length.
 *   fill     makes a ledger of N rows, as of N / 10 certificates of 1,000 applications; with --log
 *            its log is there, as in a signer's state, and has as many records
 *   measure  opens it, then submits the requests of N certificates
 * One line of JSON on standard output.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "bench.h"
#include "common/io.h"
#include "signer/ledger.h"

enum { ROWS_PER_CERTIFICATE = 10, HEX_SIZE = 64 + 1, URL_SIZE = 128 };

static const char application[] = "app1", account[] = "bench";

enum { PAUSE_EVERY = 2000 }; /* records that wait to become durable */

struct options {
    const char *folder;
    const char *log; /* NULL: in the same folder, with the records that were asked for only */
    int64_t records;
};

static const char *
log_folder(const struct options *options)
{
    return options->log != NULL ? options->log : options->folder;
}

struct open_ledger {
    audit_log *log;
    ledger *ledger;
    struct aw_name name;
    const char *text;
    int64_t nth;      /* of the certificate that is asked for */
    int64_t order;    /* ticket */
    int64_t requests; /* so far */
};

static void
close_ledger(struct open_ledger *b)
{
    ledger_close(&b->ledger);
    audit_log_close(&b->log);
}

static aw_result
open_ledger(const struct options *options, struct open_ledger *b)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    struct ledger_recovery recovery;
    size_t repaired;

    b->text = "www.app1.dept.example.edu";
    AW_TRY(aw_name_parse(b->text, strlen(b->text), &b->name));
    AW_TRY(aw_path_join(options->folder, "ledger.db", &path));
    AW_TRY(audit_log_open(log_folder(options), &b->log, &repaired));
    AW_TRY(ledger_open(path, log_folder(options), b->log, &b->ledger, &recovery));
    if (recovery.rebuilt || recovery.replayed > 0)
        return aw_fail(AW_CODE_MISMATCH, "the ledger was not taken as it is");
    return AW_OK;
}

/* Asking. */

static aw_result
submit(struct open_ledger *b, struct ledger_request *request)
{
    struct ledger_verdict verdict;
    struct audit_entry entry = {.verdict = "permit",
        .rule = "names.exact",
        .names = &b->text,
        .name_count = 1,
        .serial = request->operation == SIGN_RECORD_CERTIFICATE ? "0123" : NULL};
    int64_t seq = 0;

    request->application = application;
    request->account = account;
    request->orders_per_day = request->revocations_per_day = INT32_MAX;
    request->order = b->order;
    request->names = &b->name;
    request->name_count = 1;
    AW_TRY(ledger_submit(b->ledger, request, &entry, time(NULL), &verdict, &seq));
    if (verdict.rule != LEDGER_NONE)
        return aw_fail(AW_CODE_MISMATCH, "refused: %s", verdict.message);
    if (request->operation == SIGN_NEW_ORDER)
        b->order = seq;
    b->requests++;
    return AW_OK;
}

/* The URLs of this certificate's order. */
struct urls {
    char order[URL_SIZE], finalize[URL_SIZE], certificate[URL_SIZE];
};

static aw_result
ask_for_certificate(struct open_ledger *b, struct urls *urls, const char *key)
{
    struct sign_claim first[] = {
        {SIGN_URL_ORDER, urls->order}, {SIGN_URL_FINALIZE, urls->finalize}};
    struct sign_claim second[] = {{SIGN_URL_CERTIFICATE, urls->certificate}};
    struct ledger_request steps[] = {
        {.operation = SIGN_NEW_ORDER},
        {.operation = SIGN_CLAIM, .claims = first, .claim_count = AW_COUNT(first)},
        {.operation = SIGN_FINALIZE, .url = urls->finalize, .csr = key, .key = key},
        {.operation = SIGN_POST_AS_GET, .url = urls->order},
        {.operation = SIGN_CLAIM, .claims = second, .claim_count = AW_COUNT(second)},
        {.operation = SIGN_POST_AS_GET, .url = urls->certificate},
        {.operation = SIGN_RECORD_CERTIFICATE, .key = key, .certificate = key},
    };

    b->order = 0;
    for (size_t i = 0; i < AW_COUNT(steps); i++)
        AW_TRY(submit(b, &steps[i]));
    return AW_OK;
}

/* Keys are spread over the whole table, as SHA-256 does it. */
static aw_result
ask_next(struct open_ledger *b)
{
    char key[HEX_SIZE];
    struct urls urls;
    uint64_t spread = 0;

    b->nth++;
    for (size_t i = 0; i < 4; i++) {
        spread = ((uint64_t)b->nth + i) * 0x9e3779b97f4a7c15u ^ spread >> 29;
        snprintf(key + 16 * i, sizeof(key) - 16 * i, "%016llx", (unsigned long long)spread);
    }
    snprintf(urls.order, URL_SIZE, "https://ca.example.edu/order/%s", key);
    snprintf(urls.finalize, URL_SIZE, "https://ca.example.edu/finalize/%s", key);
    snprintf(urls.certificate, URL_SIZE, "https://ca.example.edu/certificate/%s", key);
    return ask_for_certificate(b, &urls, key);
}

/* Filling. The numbers of the orders are not above 0, so those of the log's records come behind. */

static const char fill_sql[] =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -1000000; PRAGMA temp_store = FILE;"
    "PRAGMA synchronous = OFF; BEGIN;"
    "CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS"
    " (SELECT 1 - %1$lld UNION ALL SELECT i + 1 FROM c WHERE i < 0) SELECT i,"
    " lower(hex(randomblob(32))) AS key FROM c LIMIT %1$lld;"
    "INSERT INTO orders SELECT i, 'app' || (i + %1$lld) %% 1000, 'bench', (i + %1$lld) / 1000 + 1,"
    " 1700000000, 1, 'www.app.dept.example.edu' FROM n;"
    "INSERT INTO progress SELECT i, 1, 2, 1, 'https://ca.example.edu/order/' || i,"
    " 'https://ca.example.edu/finalize/' || i, key, key FROM n;"
    "INSERT INTO claims SELECT 'bench', 'https://ca.example.edu/' || k.name || '/' || i, i, k.kind"
    " FROM (SELECT 'certificate' AS name, 4 AS kind UNION ALL SELECT 'finalize', 1"
    " UNION ALL SELECT 'order', 0) k, n ORDER BY 2;"
    "INSERT INTO claim_counts SELECT i, k.kind, 1 FROM n,"
    " (SELECT 0 AS kind UNION ALL SELECT 1 UNION ALL SELECT 4) k;"
    "INSERT INTO keys SELECT key, 'app' || (i + %1$lld) %% 1000 FROM n ORDER BY key;"
    "INSERT INTO certificates SELECT i, i, 'app' || (i + %1$lld) %% 1000, 'bench', substr(key, 1, "
    "32),"
    " key, 1800000000, 'CN=CA', key, 1 FROM n;"
    "COMMIT;";

/* Tables are made together with the first row. */
static aw_result
begin_ledger(const struct options *options)
{
    AW_CLEANUP(close_ledger) struct open_ledger b = {.nth = 0};

    AW_TRY(open_ledger(options, &b));
    return ask_next(&b);
}

static aw_result
append_many(audit_log *log, int64_t count, struct audit_receipt *last)
{
    const char *const names[] = {"www.app.dept.example.edu"};
    const struct audit_entry entry = {.kind = AUDIT_DECISION,
        .has_uid = true,
        .uid = 1001,
        .user = "app1",
        .application = application,
        .account = account,
        .operation = "new-order",
        .verdict = "permit",
        .rule = "names.exact",
        .names = names,
        .name_count = AW_COUNT(names)};

    for (int64_t i = 1; i <= count; i++) {
        AW_TRY(audit_log_record(log, &entry, last));
        if (i % PAUSE_EVERY == 0 || i == count)
            AW_TRY(audit_log_wait(log, last->seq));
    }
    return AW_OK;
}

/* Records that the ledger counts as taken in: what they would have made are the rows. */
static aw_result
lengthen_log(const struct options *options, char **sql)
{
    AW_CLEANUP(audit_log_close) audit_log *log = NULL;
    struct audit_receipt last = {.seq = 0};
    size_t repaired;

    AW_TRY(audit_log_open(options->log, &log, &repaired));
    AW_TRY(append_many(log, options->records, &last));
    return aw_format(sql, "UPDATE meta SET last_seq = %lld, last_time = %lld, last_digest = '%s'",
        (long long)last.seq, (long long)last.time, last.digest);
}

static aw_result
execute(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    int status = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);

    if (status == SQLITE_OK)
        status = sqlite3_exec(db, sql, NULL, NULL, NULL);
    aw_result r =
        status == SQLITE_OK ? AW_OK : aw_fail(AW_CODE_IO, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return r;
}

/* The rows came behind the ledger's back: as after a signer that was killed, then closed in order.
 */
static aw_result
seal_anew(const struct options *options, const char *path)
{
    AW_CLEANUP(close_ledger) struct open_ledger b = {.nth = 0};
    AW_CLEANUP(aw_free) char *seal = NULL;

    AW_TRY(aw_format(&seal, "%s.seal", path));
    if (unlink(seal) != 0)
        return aw_fail_errno(AW_CODE_IO, "cannot remove %s", seal);
    return open_ledger(options, &b);
}

static aw_result
fill(const struct options *options)
{
    long long certificates = options->records / ROWS_PER_CERTIFICATE;
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *sql = NULL;
    AW_CLEANUP(aw_free) char *position = NULL;

    AW_TRY(begin_ledger(options));
    AW_TRY(aw_path_join(options->folder, "ledger.db", &path));
    AW_TRY(aw_format(&sql, fill_sql, certificates < 1 ? 1 : certificates));
    AW_TRY(execute(path, sql));
    if (options->log != NULL) {
        AW_TRY(lengthen_log(options, &position));
        AW_TRY(execute(path, position));
    }
    return seal_anew(options, path);
}

/* Measuring. */

static double
cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static aw_result
measure(const struct options *options)
{
    AW_CLEANUP(close_ledger) struct open_ledger b = {.nth = (int64_t)(bench_now() >> 8)};
    double begin = cpu_seconds();

    AW_TRY(open_ledger(options, &b));
    double opened = cpu_seconds();
    for (int64_t i = 0; i < options->records; i++)
        AW_TRY(ask_next(&b));
    double submitted = cpu_seconds();
    AW_TRY(ledger_commit(b.ledger));
    printf("{\"open_seconds\":%.6f,\"submit_us\":%.2f,\"commit_us\":%.2f}\n", opened - begin,
        (submitted - opened) * 1e6 / (double)b.requests,
        (cpu_seconds() - opened) * 1e6 / (double)b.requests);
    return AW_OK;
}

static aw_result
run(int argc, char **argv)
{
    static const struct option table[] = {{"folder", required_argument, NULL, 'f'},
        {"log", required_argument, NULL, 'l'}, {"records", required_argument, NULL, 'r'}, {0}};
    struct options options = {.records = 1};
    double number = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'f')
            options.folder = optarg;
        else if (option == 'l')
            options.log = optarg;
        else if (option == 'r')
            AW_TRY(bench_number("--records", optarg, &number));
        else
            return aw_fail(AW_CODE_USAGE, "an option that is none");
    }
    options.records = (int64_t)number;
    if (options.folder != NULL && optind < argc && strcmp(argv[optind], "fill") == 0)
        return fill(&options);
    if (options.folder != NULL && optind < argc && strcmp(argv[optind], "measure") == 0)
        return measure(&options);
    return aw_fail(AW_CODE_USAGE, "expected fill or measure, and --folder");
}

int
main(int argc, char **argv)
{
    aw_result r = run(argc, argv);

    if (!aw_ok(r))
        fprintf(stderr, "bench_ledger: %s\n", aw_error_last()->message);
    return aw_code_exit(r.code);
}
