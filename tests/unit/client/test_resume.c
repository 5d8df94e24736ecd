/* The order under way: a run that met a CA in trouble, and the run after it. Answers that are lost
 * at each step, and clients that are killed there: tests/e2e/test_resume.py, with a real CA. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "certonly_world.h"
#include "client/chain.h"
#include "client/store_order.h"
#include "common/io.h"

enum { CHANGES_MAX = 2, ANSWERS_MAX = 10, RUNS = 2 };

#define JSON "Content-Type: application/json\r\n"
#define PEM "Content-Type: application/pem-certificate-chain\r\n"
#define PROBLEM "Content-Type: application/problem+json\r\n"
#define TYPE(type) "{\"type\":\"urn:ietf:params:acme:error:" type "\"}"
#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]," \
    "\"authorizations\":[\"$B/authz/1\"],\"finalize\":\"$B/finalize/1\"" more "}"
#define NONCE                                    \
    {                                            \
        "HEAD /nonce", 200, NULL, NULL, CA_PLAIN \
    }
#define OPENED                                                                                \
    {                                                                                         \
        "POST /new-order", 201, JSON "Location: $B/order/1\r\n", ORDER("ready", ""), CA_PLAIN \
    }
#define FINALIZED(status)                                            \
    {                                                                \
        "POST /finalize/1", 200, JSON, ORDER(status, MORE), CA_PLAIN \
    }
#define MORE ",\"certificate\":\"$B/cert/1\""
#define POLLED(status, fields)                                           \
    {                                                                    \
        "POST /order/1", 200, JSON fields, ORDER(status, MORE), CA_PLAIN \
    }
#define CERTIFICATE                                 \
    {                                               \
        "POST /cert/1", 200, PEM, "CHAIN", CA_PLAIN \
    }
#define BAD_NONCE                                                    \
    {                                                                \
        "POST /finalize/1", 400, PROBLEM, TYPE("badNonce"), CA_PLAIN \
    }
#define ISSUED NONCE, OPENED, FINALIZED("valid"), CERTIFICATE
#define FAILS_PROCESSING \
    NONCE, OPENED, FINALIZED("processing"), POLLED("processing", "Retry-After: 9\r\n")

static const struct row {
    const char *name;
    struct run {
        int status;
        const char *said;
        struct ca_answer answers[ANSWERS_MAX];
        struct signer_change changes[CHANGES_MAX]; /* besides WhoAmI */
        unsigned finalizes;                        /* signatures that the signer was asked for */
    } runs[RUNS];
} rows[] = {
    {"processing for an hour: no finalize is signed for it again",
        {{1, "still processing: the CA works on the order: not done within 1 seconds",
             {FAILS_PROCESSING}, {{0}}, 1},
            {0, "going on with the order under way",
                {NONCE, POLLED("processing", ""), POLLED("valid", ""), CERTIFICATE}, {{0}}, 0}}},
    {"a storm of badNonce: a few signatures, and some are left for the next run",
        {{1, "the CA took none of 6 requests to finalize (badNonce)",
             {NONCE, OPENED, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE, BAD_NONCE},
             {{0}}, 6},
            {0, "going on with", {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"a rate limit that the CA ends in an hour",
        {{1, "the CA says: not before 3600 seconds from now",
             {NONCE, OPENED,
                 {"POST /finalize/1", 429, PROBLEM "Retry-After: 3600\r\n", TYPE("rateLimited"),
                     CA_PLAIN}},
             {{0}}, 1},
            {0, "going on with", {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"a rate limit that ends after our patience",
        {{1, "the CA limits the rate: not done within 1 seconds",
             {NONCE, OPENED,
                 {"POST /finalize/1", 429, PROBLEM "Retry-After: 5\r\n", TYPE("rateLimited"),
                     CA_PLAIN}},
             {{0}}, 1},
            {0, "going on with", {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"the CA has forgotten the order",
        {{1, "still processing", {FAILS_PROCESSING}, {{0}}, 1},
            {0, "the order under way is lost, and another made",
                {NONCE, {"POST /order/1", 404, PROBLEM, TYPE("malformed"), CA_PLAIN}, OPENED,
                    FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"the CA has forgotten the order, and makes no other now: none is kept",
        {{1, "still processing", {FAILS_PROCESSING}, {{0}}, 1},
            {1, "the CA says: not before 3600 seconds from now",
                {NONCE, {"POST /order/1", 404, PROBLEM, TYPE("malformed"), CA_PLAIN},
                    {"POST /new-order", 429, PROBLEM "Retry-After: 3600\r\n", TYPE("rateLimited"),
                        CA_PLAIN}},
                {{0}}, 0}}},
    {"the CA has made it invalid",
        {{1, "still processing", {FAILS_PROCESSING}, {{0}}, 1},
            {0, "the CA made the order invalid",
                {NONCE, POLLED("invalid", ""), OPENED, FINALIZED("valid"), CERTIFICATE}, {{0}},
                1}}},
    {"the signer has forgotten it",
        {{1, "still processing", {FAILS_PROCESSING}, {{0}}, 1},
            {0, "and another made: refused: too old", {ISSUED},
                {{"ClaimUrls", "LedgerRefused",
                    "{\"rule\":\"order.expired\",\"message\":\"too old\"}", false}},
                1}}},
    {"the CA names other names for it",
        {{1, "still processing", {FAILS_PROCESSING}, {{0}}, 1},
            {0, "asked were 1 (a.example.edu ...)",
                {NONCE,
                    {"POST /order/1", 200, JSON,
                        "{\"status\":\"ready\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                        "\"b.example.edu\"}],\"authorizations\":[\"$B/authz/1\"],"
                        "\"finalize\":\"$B/finalize/1\"}",
                        CA_PLAIN},
                    OPENED, FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"what was refused is not gone on with",
        {{4, "badCSR",
             {NONCE, OPENED, {"POST /finalize/1", 400, PROBLEM, TYPE("badCSR"), CA_PLAIN}}, {{0}},
             1},
            {0, "issued", {ISSUED}, {{0}}, 1}}},
    {"the signer is away",
        {{5, "the order is kept: the next run goes on with it", {NONCE, OPENED},
             {{"Finalize", "Unavailable", "{\"tag\":\"io\",\"message\":\"full\"}", false}}, 1},
            {0, "going on with", {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
    {"HTTP/1.0, and its connection ends",
        {{1, "ends inside a string",
             {NONCE, OPENED,
                 {"POST /finalize/1", 0, NULL, "HTTP/1.0 200 OK\r\n" JSON "\r\n{\"status\":\"rea",
                     CA_RAW}},
             {{0}}, 1},
            {0, "going on with", {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE},
                {{0}}, 1}}},
};

static void
load(struct world *w, const struct run *wanted, struct ca_answer *answers,
    struct signer_change *changes)
{
    size_t count = 0, changed = 1;

    for (; count < ANSWERS_MAX && wanted->answers[count].request != NULL; count++) {
        answers[count] = wanted->answers[count];
        if (answers[count].body != NULL && strcmp(answers[count].body, "CHAIN") == 0)
            answers[count].body = w->chains[GOOD];
    }
    scripted_ca_load(&w->ca, answers, count);
    changes[0] = (struct signer_change){"WhoAmI", NULL, w->whoami, false};
    for (; changed <= CHANGES_MAX && wanted->changes[changed - 1].method != NULL; changed++)
        changes[changed] = wanted->changes[changed - 1];
    scripted_signer_load(&w->signer, changes, changed);
}

static unsigned
count_calls(const struct world *w, const char *line)
{
    unsigned count = 0;

    for (const char *at = w->signer.calls; (at = strstr(at, line)) != NULL; at++)
        count++;
    return count;
}

static bool
is_there(const struct world *w, const char *ending)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/tls/archive/.order-a.example.edu.%s", w->root, ending);
    return access(path, F_OK) == 0;
}

static void
check_run(struct world *w, const struct row *row, unsigned number)
{
    const struct run *wanted = &row->runs[number];
    struct ca_answer answers[ANSWERS_MAX];
    struct signer_change changes[CHANGES_MAX + 1];

    load(w, wanted, answers, changes);
    int status = run(w, "-d a.example.edu --issuance-timeout 1");
    scripted_signer_settle(&w->signer);
    if (!scripted_ca_check(&w->ca, row->name) || status != wanted->status ||
        (strstr(w->err, wanted->said) == NULL && strstr(w->out, wanted->said) == NULL))
        fail_msg("%s, run %u: exit %d\n%s%s", row->name, number + 1, status, w->out, w->err);
    if (count_calls(w, "Finalize\n") != wanted->finalizes)
        fail_msg("%s, run %u: %u signatures for finalize", row->name, number + 1,
            count_calls(w, "Finalize\n"));
    bool kept = strstr(w->err, "the order is kept") != NULL;
    if (is_there(w, "json") != kept || is_there(w, "key") != kept)
        fail_msg("%s, run %u: the order is%s on disk", row->name, number + 1, kept ? " not" : "");
}

static void
goes_on_with_the_order(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        begin(w, false);
        for (unsigned number = 0; number < RUNS; number++)
            check_run(w, &rows[i], number);
    }
}

/* What may have been left on disk. */

static const struct left {
    const char *name, *said;
    const char *ending, *text; /* a file that is damaged so; NULL: removed */
    mode_t mode;
    int64_t opened; /* seconds ago */
    bool stored;    /* its certificate is there */
} lefts[] = {
    {"all of it", "going on with", "key", "", 0, 60, false},
    {"a damaged order", "JSON, byte 0", "json", "x", 0600, 60, false},
    {"an order with a member more", "unknown member", "json", "{\"x\":1}", 0600, 60, false},
    {"an order that others may read", "has mode 0644", "json", "{}", 0644, 60, false},
    {"no key", "can't", "key", NULL, 0, 60, false},
    {"a damaged key", "holds no readable key", "key", "x", 0600, 60, false},
    {"a key without an order: the crash came between them", "ordering", "json", NULL, 0, 60, false},
    {"an order of last week", "older than the CA", "key", "", 0, 8 * 86400, false},
    {"an order of next year", "older than the CA", "key", "", 0, -400 * 86400, false},
    {"the crash came after storing: the order is done", "ordering", "key", "", 0, 60, true},
};

static void
leave(struct world *w, const struct left *left)
{
    AW_CLEANUP(store_order_free) struct store_order order = {0};
    AW_CLEANUP(store_close) store *s = NULL;
    char root[128], path[256];

    begin(w, left->stored);
    snprintf(root, sizeof(root), "%s/tls", w->root);
    assert_true(aw_ok(store_open(root, "a.example.edu", &s)));
    order.names = calloc(1, sizeof(*order.names));
    assert_non_null(order.names);
    assert_true(aw_ok(aw_name_parse("a.example.edu", strlen("a.example.edu"), order.names)));
    order.name_count = 1;
    order.opened = (int64_t)time(NULL) - left->opened;
    if (left->stored) {
        snprintf(path, sizeof(path), "%s/privkey.pem", store_live(s));
        assert_true(aw_ok(chain_key_read(path, path, &order.key)));
    } else
        assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &order.key)));
    assert_true(aw_ok(chain_csr(NULL, order.key, &(struct chain_request){order.names, 1, false},
        &order.csr, &order.csr_size)));
    assert_true(aw_ok(aw_format(&order.application, "app")));
    assert_true(aw_ok(aw_format(&order.url, "%s/order/1", w->ca.base)));
    assert_true(aw_ok(aw_format(&order.new_order, "%s/new-order", w->ca.base)));
    assert_true(aw_ok(store_order_save(s, &order, NULL)));
    snprintf(path, sizeof(path), "%s/archive/.order-a.example.edu.%s", root, left->ending);
    if (left->text == NULL)
        assert_int_equal(unlink(path), 0);
    else if (left->text[0] != '\0')
        assert_true(aw_ok(aw_file_replace(path, left->text, strlen(left->text), left->mode)));
}

static void
takes_up_only_what_is_whole(void **state)
{
    static const struct run resumed = {
        .answers = {NONCE, POLLED("ready", ""), FINALIZED("valid"), CERTIFICATE}};
    static const struct run anew = {.answers = {ISSUED}};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(lefts); i++) {
        struct ca_answer answers[ANSWERS_MAX];
        struct signer_change changes[CHANGES_MAX + 1];
        bool whole = strcmp(lefts[i].said, "going on with") == 0;

        leave(w, &lefts[i]);
        load(w, whole ? &resumed : &anew, answers, changes);
        int status = run(w, "-d a.example.edu --force-renewal");
        if (status != 0 || strstr(w->err, lefts[i].said) == NULL ||
            !scripted_ca_check(&w->ca, lefts[i].name))
            fail_msg("%s: exit %d\n%s", lefts[i].name, status, w->err);
        assert_false(is_there(w, "json"));
        assert_false(is_there(w, "key"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_with_the_order),
        cmocka_unit_test(takes_up_only_what_is_whole),
    };

    return cmocka_run_group_tests(tests, make_world, remove_world);
}
