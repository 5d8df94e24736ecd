#include "common/result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

static _Thread_local struct aw_error last_error;

static const struct {
    const char *tag;
    int exit_code;
} codes[] = {
#define AW_CODE_ROW(name, tag, exit_code) {tag, exit_code},
    AW_CODES(AW_CODE_ROW)
#undef AW_CODE_ROW
};

const char *
aw_code_tag(enum aw_code code)
{
    return codes[code].tag;
}

int
aw_code_exit(enum aw_code code)
{
    return codes[code].exit_code;
}

const struct aw_error *
aw_error_last(void)
{
    return &last_error;
}

void
aw_error_save(struct aw_error *out)
{
    *out = last_error;
}

aw_result
aw_error_restore(const struct aw_error *error)
{
    last_error = *error;
    return (aw_result){error->code};
}

/* The message may quote the present one, so it is built beside it. */
static aw_result record(enum aw_code code, enum aw_cause cause, unsigned long number,
    const char *format, va_list ap) AW_PRINTF(4, 0);

static aw_result
record(enum aw_code code, enum aw_cause cause, unsigned long number, const char *format, va_list ap)
{
    char message[AW_ERROR_MESSAGE_SIZE];

    vsnprintf(message, sizeof(message), format, ap);
    last_error.code = code == AW_CODE_OK ? AW_CODE_INTERNAL : code;
    last_error.cause = cause;
    last_error.cause_number = number;
    last_error.hint[0] = '\0';
    memcpy(last_error.message, message, sizeof(message));
    return (aw_result){last_error.code};
}

static void
append_text(const char *text)
{
    size_t used = strlen(last_error.message);

    snprintf(last_error.message + used, sizeof(last_error.message) - used, ": %s", text);
}

aw_result
aw_fail(enum aw_code code, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    aw_result r = record(code, AW_CAUSE_NONE, 0, format, ap);
    va_end(ap);
    return r;
}

static enum aw_code
code_of_errno(enum aw_code code, int number)
{
    if (code != AW_CODE_IO)
        return code;
    switch (number) {
    case ENOMEM:
        return AW_CODE_MEMORY;
    case EACCES:
    case EPERM:
        return AW_CODE_PERMISSION;
    case ENOENT:
        return AW_CODE_NOT_FOUND;
    case EEXIST:
        return AW_CODE_EXISTS;
    default:
        return code;
    }
}

aw_result
aw_fail_errno(enum aw_code code, const char *format, ...)
{
    int number = errno;
    char text[128];
    va_list ap;

    va_start(ap, format);
    aw_result r =
        record(code_of_errno(code, number), AW_CAUSE_ERRNO, (unsigned long)number, format, ap);
    va_end(ap);
    append_text(strerror_r(number, text, sizeof(text)));
    return r;
}

/* A trial, since OpenSSL does not tell of every allocation that failed. */
static bool
lacks_memory(void)
{
    void *volatile trial = malloc(sizeof(struct aw_error));

    free(trial);
    return trial == NULL;
}

bool
aw_openssl_lacked_memory(void)
{
    bool lacked = lacks_memory();

    for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error())
        lacked = lacked || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return lacked;
}

aw_result
aw_fail_openssl(const char *format, ...)
{
    unsigned long number = ERR_peek_error();
    enum aw_code code = aw_openssl_lacked_memory() ? AW_CODE_MEMORY : AW_CODE_CRYPTO;
    char text[256];
    va_list ap;

    va_start(ap, format);
    aw_result r = record(code, AW_CAUSE_OPENSSL, number, format, ap);
    va_end(ap);
    if (number != 0) {
        ERR_error_string_n(number, text, sizeof(text));
        append_text(text);
    }
    return r;
}

aw_result
aw_fail_cause(enum aw_code code, enum aw_cause cause, unsigned long number, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    aw_result r = record(code, cause, number, format, ap);
    va_end(ap);
    return r;
}

aw_result
aw_fail_memory(void)
{
    return aw_fail(AW_CODE_MEMORY, "out of memory");
}

aw_result
aw_hint(aw_result r, const char *format, ...)
{
    char hint[AW_ERROR_HINT_SIZE]; /* it may quote the present one */
    va_list ap;

    if (aw_ok(r) || r.code == AW_CODE_MEMORY)
        return r;
    va_start(ap, format);
    vsnprintf(hint, sizeof(hint), format, ap);
    va_end(ap);
    memcpy(last_error.hint, hint, sizeof(hint));
    return r;
}

aw_result
aw_context(aw_result r, const char *format, ...)
{
    char context[AW_ERROR_MESSAGE_SIZE];
    char message[AW_ERROR_MESSAGE_SIZE];
    va_list ap;

    if (aw_ok(r))
        return r;
    va_start(ap, format);
    vsnprintf(context, sizeof(context), format, ap);
    va_end(ap);
    memcpy(message, last_error.message, sizeof(message));
    snprintf(last_error.message, sizeof(last_error.message), "%.500s: %.520s", context, message);
    return r;
}
