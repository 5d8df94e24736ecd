#include "client/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

enum { LINE_SIZE = 256 };

/* Back to the left margin, and away with what stands there (ECMA-48 EL). */
static const char erase[] = "\r\033[K";

/* no-color.org: set and not empty; a dumb terminal would show the sequences. */
static bool
takes_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(fileno(stream)) == 1 && (no == NULL || no[0] == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

const char *
output_colour(const struct output *out, const FILE *stream, enum output_colour colour)
{
    /* ECMA-48 8.3.117, SGR. */
    static const char *const sequences[] = {
        [OUTPUT_PLAIN] = "\033[0m",
        [OUTPUT_RED] = "\033[31m",
        [OUTPUT_GREEN] = "\033[32m",
        [OUTPUT_YELLOW] = "\033[33m",
    };
    bool coloured = stream == out->results ? out->coloured_results : out->coloured_messages;

    return coloured ? sequences[colour] : "";
}

void
output_open(struct output *out, FILE *results, FILE *messages)
{
    memset(out, 0, sizeof(*out));
    out->results = results;
    out->messages = messages;
    out->terminal = isatty(fileno(messages)) == 1;
    out->coloured_results = takes_colour(results);
    out->coloured_messages = takes_colour(messages);
    out->started = aw_now_ms();
}

void
output_close(struct output *out)
{
    output_clear(out);
    aw_free(&out->refusal);
}

double
output_seconds(const struct output *out)
{
    return (double)(aw_now_ms() - out->started) / 1000;
}

/* An escaped octet takes four characters. */
char *
output_safe(const char *text)
{
    size_t length = strlen(text), capacity = 4 * length + 1;
    char *out = malloc(capacity);

    if (out == NULL)
        return calloc(1, 1);
    aw_log_escape(text, length, out, capacity);
    return out;
}

void
output_step(struct output *out, const char *step, const char *name, const char *detail)
{
    char line[LINE_SIZE], safe[LINE_SIZE];

    if (out->quiet)
        return;
    snprintf(line, sizeof(line), "%s%s%s%s%s", step, name == NULL ? "" : " ",
        name == NULL ? "" : name, detail == NULL ? "" : ": ", detail == NULL ? "" : detail);
    aw_log_escape(line, strlen(line), safe, sizeof(safe));
    if (out->terminal)
        fprintf(out->messages, "%s%5.1f s  %.100s", erase, output_seconds(out), safe);
    else
        fprintf(out->messages, "%5.1f s  %s\n", output_seconds(out), safe);
    out->drawn = out->terminal;
    fflush(out->messages);
}

void
output_clear(struct output *out)
{
    if (out->drawn) {
        fputs(erase, out->messages);
        fflush(out->messages);
    }
    out->drawn = false;
}

void
output_line(struct output *out, const char *format, ...)
{
    va_list ap;

    if (out->json || out->quiet)
        return;
    output_clear(out);
    va_start(ap, format);
    vfprintf(out->results, format, ap);
    va_end(ap);
    fputc('\n', out->results);
}

void
output_note(struct output *out, const char *format, ...)
{
    va_list ap;

    if (out->quiet)
        return;
    output_clear(out);
    fputs("note: ", out->messages);
    va_start(ap, format);
    vfprintf(out->messages, format, ap);
    va_end(ap);
    fputc('\n', out->messages);
}

void
output_warning(struct output *out, const char *format, ...)
{
    va_list ap;

    output_clear(out);
    fprintf(out->messages, "%swarning:%s ", output_colour(out, out->messages, OUTPUT_YELLOW),
        output_colour(out, out->messages, OUTPUT_PLAIN));
    va_start(ap, format);
    vfprintf(out->messages, format, ap);
    va_end(ap);
    fputc('\n', out->messages);
}

aw_result
output_json(struct output *out, struct aw_json_writer *w)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_json_writer_finish(w, &text));
    output_clear(out);
    if (out->json && (fputs(text, out->results) < 0 || fputc('\n', out->results) < 0 ||
                         fflush(out->results) != 0))
        return aw_fail_errno(AW_CODE_IO, "can't write the result");
    return AW_OK;
}

void
output_keep_refusal(struct output *out, const struct signer_refusal *refusal)
{
    struct aw_json_writer w = {0};

    if (refusal == NULL || refusal->error == NULL)
        return;
    const struct {
        const char *name;
        const char *value;
    } members[] = {
        {"error", refusal->error},
        {"rule", refusal->rule},
        {"application", refusal->application},
        {"name", refusal->name},
        {"allowed", refusal->allowed},
        {"owner", refusal->owner},
        {"message", refusal->message},
    };

    aw_json_begin_object(&w);
    for (size_t i = 0; i < AW_COUNT(members); i++)
        aw_json_pair(&w, members[i].name, members[i].value);
    if (refusal->retry_after >= 0)
        aw_json_pair_integer(&w, "retry_after", refusal->retry_after);
    aw_json_end_object(&w);
    aw_free(&out->refusal);
    aw_ignore(aw_json_writer_finish(&w, &out->refusal), "the failure is told without it");
}

static void
write_failure(struct output *out, const struct aw_error *error)
{
    struct aw_json_writer w = {0};

    aw_json_begin_failure(&w, error);
    if (out->retry_after > 0)
        aw_json_pair_integer(&w, "retry_after", out->retry_after);
    aw_json_name(&w, "refusal");
    if (out->refusal != NULL)
        aw_json_write_raw(&w, out->refusal);
    else
        aw_json_write_string(&w, NULL);
    aw_json_end_object(&w);
    aw_json_end_object(&w);
    aw_ignore(output_json(out, &w), "the exit code tells it too");
}

/* Control characters only: what came from a CA is escaped already, and backslashes would double. */
static void
write_plain(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < ' ' || c == 0x7f)
            fprintf(stream, "\\x%02x", c);
        else
            fputc(c, stream);
    }
}

int
output_failure(struct output *out, aw_result r)
{
    struct aw_error error;

    aw_error_save(&error);
    output_clear(out);
    if (out->json) {
        if (!out->told)
            write_failure(out, &error);
        return aw_code_exit(r.code);
    }
    fputs(output_colour(out, out->messages, OUTPUT_RED), out->messages);
    if (strncmp(error.message, "refused: ", strlen("refused: ")) != 0)
        fputs("acmeward: ", out->messages);
    fputs(output_colour(out, out->messages, OUTPUT_PLAIN), out->messages);
    write_plain(out->messages, error.message);
    fputc('\n', out->messages);
    if (error.hint[0] != '\0') {
        fputs("  ", out->messages);
        write_plain(out->messages, error.hint);
        fputc('\n', out->messages);
    }
    return aw_code_exit(r.code);
}
