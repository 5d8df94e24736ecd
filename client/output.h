/**
 * @file output.h
 * @brief What a person or a program sees: progress on standard error, results on standard output.
 *
 * On a terminal progress is one line that is rewritten; elsewhere a plain line a step. With --json
 * standard output gets exactly one JSON object, of a success or of a failure.
 */
#ifndef AW_CLIENT_OUTPUT_H
#define AW_CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/signer_link.h"
#include "common/json.h"
#include "common/result.h"

/** Where output goes. Begin with output_open. Release: output_close. */
struct output {
    bool json;
    bool quiet;
    bool terminal;
    bool coloured_results, coloured_messages;
    bool drawn;          /**< a progress line stands on the terminal */
    bool told;           /**< a failure is in the JSON already */
    FILE *results;       /**< standard output */
    FILE *messages;      /**< standard error */
    int64_t started;     /**< aw_now_ms() */
    int64_t retry_after; /**< seconds, for the JSON of a failure; not over 0: none */
    char *refusal;       /**< JSON of the signer's refusal; NULL: none */
};

/** Colours, for words that a person looks for. */
enum output_colour { OUTPUT_PLAIN, OUTPUT_RED, OUTPUT_GREEN, OUTPUT_YELLOW };

/** What switches a stream to a colour: nothing where it is no terminal, or NO_COLOR is set. */
const char *output_colour(const struct output *out, const FILE *stream, enum output_colour colour);

/** Begins; counts the time from here. */
void output_open(struct output *out, FILE *results, FILE *messages);

/** Releases. */
void output_close(struct output *out);

/** Tells a step. @param name what it is about, @param detail more; both may be NULL */
void output_step(struct output *out, const char *step, const char *name, const char *detail);

/** Takes the progress line away. */
void output_clear(struct output *out);

/** A line for a person on standard output; nothing with --json or --quiet. */
void output_line(struct output *out, const char *format, ...) AW_PRINTF(2, 3);

/** A remark on standard error; nothing with --quiet. */
void output_note(struct output *out, const char *format, ...) AW_PRINTF(2, 3);

/** What will fail one day, on standard error; with --quiet too, since a timer's owner is to hear of
 * it. */
void output_warning(struct output *out, const char *format, ...) AW_PRINTF(2, 3);

/** The JSON object of a success, written with --json only; the writer is emptied. */
AW_MUST_USE aw_result output_json(struct output *out, struct aw_json_writer *w);

/** Keeps the signer's last refusal for output_failure; NULL is allowed. */
void output_keep_refusal(struct output *out, const struct signer_refusal *refusal);

/** Tells this thread's last failure: message and hint, or JSON. Returns the exit code. */
int output_failure(struct output *out, aw_result r);

/** Seconds since output_open. */
double output_seconds(const struct output *out);

/** Text without control characters, for a terminal; allocated, "" when there is no memory. */
char *output_safe(const char *text);

#endif
