/* Out of memory at every place that allocates in certonly, from the command line to the disk: the
 * run says so and blames nobody, what is installed stays, and the next run issues, with the order
 * that was written down. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <unistd.h>

#include "certonly_world.h"
#include "client/store.h"
#include "common/io.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 4000, TEXT_MAX = 8192, PATH_SIZE = 192, NEXT_RUN_EACH = 4 };

#define ORDER "tls/archive/.order-a.example.edu"
#define ORDER_FILE ORDER ".json"

#define JSON "Content-Type: application/json\r\n"
#define PEM "Content-Type: application/pem-certificate-chain\r\n"
#define STATE(status)                                                                              \
    "{\"status\":\"" status "\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]," \
    "\"authorizations\":[\"$B/authz/1\"],\"finalize\":\"$B/finalize/1\""
#define ANSWER(request, status, fields, body)   \
    {                                           \
        request, status, fields, body, CA_PLAIN \
    }
#define AUTHORIZATION(status)                                                                   \
    "{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.example.edu\"}," \
    "\"challenges\":[{\"type\":\"http-01\",\"status\":\"" status                                \
    "\",\"url\":\"$B/c/1\",\"token\":\"tok-1\"}]}"
#define VALID STATE("valid") ",\"certificate\":\"$B/cert/1\"}"

/* A name that is validated on the way, and a CA that needs a moment. */
static struct ca_answer answers[] = {
    ANSWER("HEAD /nonce", 200, NULL, NULL),
    ANSWER("POST /new-order", 201, JSON "Location: $B/order/1\r\n", STATE("pending") "}"),
    ANSWER("POST /authz/1", 200, JSON, AUTHORIZATION("pending")),
    ANSWER("POST /authz/1", 200, JSON, AUTHORIZATION("valid")),
    ANSWER("POST /c/1", 200, JSON, "{\"type\":\"http-01\"}"),
    ANSWER("POST /order/1", 200, JSON, STATE("ready") "}"),
    ANSWER("POST /order/1", 200, JSON, VALID),
    ANSWER("POST /finalize/1", 200, JSON, STATE("processing") "}"),
    ANSWER("POST /finalize/1", 200, JSON, VALID),
    ANSWER("POST /cert/1", 200, PEM, NULL),
};

/* With the word "all" an order that is made anew is tried too, and memory that is gone for good,
 * and there is a next run after each: it takes a minute. Else after each fourth. */
static bool everything;

/* Fixed, so that writing to them needs no memory of its own. */
static char said[TEXT_MAX], told[TEXT_MAX];

static void
load(struct world *w)
{
    static struct signer_change changes[4];

    for (size_t i = 0; i < AW_COUNT(changes); i++)
        changes[i] = (struct signer_change){"WhoAmI", NULL, w->whoami, false};
    answers[AW_COUNT(answers) - 1].body = w->chains[GOOD];
    scripted_ca_load_any(&w->ca, answers, AW_COUNT(answers));
    scripted_signer_load(&w->signer, changes, AW_COUNT(changes));
}

static bool
is_there(const struct world *w, const char *path)
{
    char whole[PATH_SIZE];

    snprintf(whole, sizeof(whole), "%s/%s", w->root, path);
    return access(whole, F_OK) == 0;
}

static unsigned
count_calls(struct world *w, const char *line)
{
    unsigned count = 0;

    scripted_signer_settle(&w->signer);
    for (const char *at = w->signer.calls; (at = strstr(at, line)) != NULL; at++)
        count++;
    return count;
}

/* The certificate that is live: of which version, 0 for none, and whether it is a good one. */
static unsigned
see_live(const struct world *w)
{
    AW_CLEANUP(store_entry_free) struct store_entry entry = {0};
    char root[PATH_SIZE];

    snprintf(root, sizeof(root), "%s/tls", w->root);
    aw_result r = store_read(root, "a.example.edu", &entry);
    if (r.code == AW_CODE_NOT_FOUND)
        return 0;
    assert_true(aw_ok(r));
    if (entry.fault != NULL)
        fail_msg("stored: %s", entry.fault);
    return entry.version;
}

/* Runs with the memory that there is; the exit code. */
static int
run_without(struct world *w, const char *words, enum memory_failure failure, bool *failed)
{
    FILE *results = fmemopen(told, sizeof(told), "w");
    FILE *messages = fmemopen(said, sizeof(said), "w");

    assert_true(results != NULL && messages != NULL);
    setbuf(results, NULL);
    setbuf(messages, NULL);
    memory_fail_at_new_place(MEMORY_PLACE_OURS, failure);
    int status = run_into(w, words, results, messages);
    *failed = memory_fail_end();
    fclose(results);
    fclose(messages);
    return status;
}

/* Want of memory is nobody's fault: no exit code of a refusal, nothing to be reported. */
static void
check_message(long n, int status)
{
    if (status == 3 || status == 4 || strstr(said, "report it") != NULL ||
        strstr(said, "refused") != NULL)
        fail_msg("try %ld: exit %d: %s", n, status, said);
}

/* The next run: with the order, where it was written down, and else with one of its own. */
static void
run_again(struct world *w, const char *words, long n, bool resumes)
{
    unsigned version = see_live(w), orders = resumes ? count_calls(w, "NewOrder\n") : 0;

    if (!resumes)
        load(w); /* the CA and the signer have a new order then */
    int status = run(w, words);
    unsigned ordered = count_calls(w, "NewOrder\n") - orders;
    unsigned now = see_live(w); /* one more where files of the first run were left over */
    if (status != 0 || now < version + 1 || now > version + 2 || ordered != (resumes ? 0 : 1))
        fail_msg("try %ld: %s\nagain: exit %d, version %u after %u, %u ordered\n%s%s", n, said,
            status, now, version, ordered, w->out, w->err);
    assert_false(is_there(w, ORDER_FILE));
}

/* What a run leaves that was cut off after it had ordered. */
static struct left {
    const char *path;
    char *text;
    size_t size;
} lefts[] = {
    {ORDER ".key", NULL, 0},
    {ORDER ".conf", NULL, 0},
    {ORDER ".json", NULL, 0},
};

static void
keep_order(struct world *w, const char *words)
{
    static const struct signer_change away[] = {
        {"Finalize", "Unavailable", "{\"tag\":\"io\",\"message\":\"full\"}", false}};
    struct signer_change changes[2] = {{"WhoAmI", NULL, w->whoami, false}, away[0]};

    begin(w, true);
    load(w);
    scripted_signer_load(&w->signer, changes, AW_COUNT(changes));
    assert_int_not_equal(run(w, words), 0);
    for (size_t i = 0; i < AW_COUNT(lefts); i++) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), "%s/%s", w->root, lefts[i].path);
        assert_true(aw_ok(aw_file_read(path, 65536, &lefts[i].text, &lefts[i].size)));
    }
}

static void
put_order(struct world *w)
{
    for (size_t i = 0; i < AW_COUNT(lefts); i++) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), "%s/%s", w->root, lefts[i].path);
        assert_true(aw_ok(aw_file_replace(path, lefts[i].text, lefts[i].size, 0600)));
    }
}

/* True when no allocation failed any more. */
static bool
try_run(struct world *w, const char *words, long n, enum memory_failure failure, bool resumes)
{
    bool failed = false;

    begin(w, true);
    load(w);
    if (resumes)
        put_order(w);
    int status = run_without(w, words, failure, &failed);
    unsigned version = see_live(w);
    bool kept = is_there(w, ORDER_FILE);

    check_message(n, status);
    assert_true(failed || status == 0);
    assert_true(status == 0 ? version == 2 : version <= 2);
    assert_false(is_there(w, "web/.well-known/acme-challenge/tok-1"));
    bool had = resumes || count_calls(w, "ClaimUrls\n") > 0;
    if (status != 0 && version == 1 && had && !kept)
        fail_msg("try %ld, the order is lost: %s", n, said);
    if (resumes && count_calls(w, "NewOrder\n") > 0)
        fail_msg("try %ld, ordered again: %s", n, said);
    /* Before that there is nothing to be lost. */
    if (status != 0 && (everything || n % NEXT_RUN_EACH == 0) &&
        (resumes || count_calls(w, "NewOrder\n") > 0))
        run_again(w, words, n, kept && version == 1);
    return !failed;
}

/* Every place that allocates in one run. */
static void
try_all(struct world *w, const char *words, enum memory_failure failure, bool resumes)
{
    long n = 0;

    do
        assert_true(++n < TRIES_MAX);
    while (!try_run(w, words, n, failure, resumes));
    assert_true(n > 50);
}

static void
a_run_without_memory_loses_nothing(void **state)
{
    struct world *w = *state;
    char words[256], web[PATH_SIZE];

    snprintf(words, sizeof(words), "-d a.example.edu --force-renewal --webroot -w %s/web", w->root);
    snprintf(web, sizeof(web), "%s/web", w->root);
    assert_true(aw_ok(aw_folder_make(web, 0755)));
    keep_order(w, words);
    /* The order under way is all that there is of it: it is gone on with, or stays as it is. */
    try_all(w, words, MEMORY_FAILS_ONCE, true);
    if (everything) {
        try_all(w, words, MEMORY_FAILS_ONCE, false);
        memory_places_forget();
        try_all(w, words, MEMORY_FAILS_FOR_GOOD, true);
        try_all(w, words, MEMORY_FAILS_FOR_GOOD, false);
    }
    for (size_t i = 0; i < AW_COUNT(lefts); i++)
        free(lefts[i].text);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_without_memory_loses_nothing)};

    everything = argc > 1 && strcmp(argv[1], "all") == 0;
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
