/**
 * @file metrics.h
 * @brief Figures for Prometheus: counted while the signer works, written to a file now and then.
 *
 * The file is for node_exporter's textfile collector: the signer has no network socket. Counting is
 * a handful of atomics and never fails. What is counted apart is bounded; the rest is "other".
 */
#ifndef AW_SIGNER_METRICS_H
#define AW_SIGNER_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "signer/request.h"

struct core;

/** Limits. */
enum {
    METRICS_RULES_MAX = 96,     /**< rules told apart; they come from the code, not from clients */
    METRICS_RULE_SIZE = 48,     /**< octets of a rule's tag, with NUL */
    METRICS_BUCKETS = 13,       /**< of the token's latency, the last one without end */
    METRICS_GROUPS_MAX = 65536, /**< sets of names whose certificates are watched */
    METRICS_APPLICATIONS_MAX = 500, /**< applications told apart, those that expire first */
    METRICS_FORGOTTEN_DAYS = 7,     /**< a certificate that long past its end is no more watched */
};

/** What became of a request. */
enum metrics_verdict { METRICS_PERMIT, METRICS_WARN, METRICS_REFUSE, METRICS_VERDICTS };

/** The figures (struct metrics). Locks itself. */
typedef struct metrics metrics;

/** Makes them, all 0. Release: metrics_free. */
AW_MUST_USE aw_result metrics_new(metrics **out);

/** Releases and nulls; NULL is allowed. */
void metrics_free(metrics **slot);

/** Counts a decision. `rule` NULL: none. */
void metrics_decision(
    metrics *self, enum sign_operation operation, enum metrics_verdict verdict, const char *rule);

/** Counts a signature of the token, or its failure, by how long it took. */
void metrics_token(metrics *self, int64_t microseconds, bool failed);

/**
 * Notes a certificate of the inventory: of those of one application with the same names the last
 * end counts. Want of memory or room loses it.
 * @param names their canonical text (ledger_names.h)
 */
void
metrics_certificate(metrics *self, const char *application, const char *names, int64_t not_after);

/** Writes the configured file again and again, in a thread; does nothing where none is configured.
 * A file that can't be written is logged, and stops nothing. Release: metrics_stop. */
AW_MUST_USE aw_result metrics_start(struct core *core);

/** Ends the thread; the file stays, so that its age tells. */
void metrics_stop(metrics *self);

/* What metrics.c leaves for metrics_file.c. */

/** A copy of what is counted. */
struct metrics_figures {
    int64_t operations[SIGN_OPERATION_COUNT][METRICS_VERDICTS];
    struct {
        char rule[METRICS_RULE_SIZE];
        int64_t verdicts[METRICS_VERDICTS];
    } rules[METRICS_RULES_MAX + 1]; /* the last one: "other" */
    size_t rule_count;
    int64_t buckets[METRICS_BUCKETS];
    int64_t token_failures, token_microseconds;
};

/** Upper ends of the buckets in microseconds; the last one is INT64_MAX. */
extern const int64_t metrics_bounds[METRICS_BUCKETS];

/** Takes the copy. */
void metrics_copy(metrics *self, struct metrics_figures *out);

/** An application and when the first of its sets of names is without certificate. */
struct metrics_expiry {
    char application[SIGN_TEXT_MAX + 1];
    int64_t first_end;
    int64_t watched; /**< sets of names */
};

/** Those that are watched, the first to end first. *out is allocated. */
AW_MUST_USE aw_result metrics_expiries(
    metrics *self, int64_t now, struct metrics_expiry **out, size_t *count);

/** The writer's thread. */
struct metrics_writer;

/** Where the thread stands between metrics_start and metrics_stop; NULL in it: none runs. */
struct metrics_writer **metrics_writer_of(metrics *self);

#endif
