/*
 * Included before every file that lint.tidy looks at. The analyzer sees one file at a time and
 * never looks into variadic functions, so it must be told that a failure is a failure: otherwise it
 * follows the way on which aw_fail returned success and an output was not written.
 */
#ifndef TESTS_LINT_ANALYZER_H
#define TESTS_LINT_ANALYZER_H

#include "common/result.h"

void analyzer_use(const char *format, ...) AW_PRINTF(1, 2);

#define ANALYZER_FAILURE(code, ...) \
    __extension__({                 \
        analyzer_use(__VA_ARGS__);  \
        (aw_result){(code)};        \
    })
#define ANALYZER_SAME(r, ...)      \
    __extension__({                \
        analyzer_use(__VA_ARGS__); \
        (r);                       \
    })

#define aw_fail(code, ...) ANALYZER_FAILURE(code, __VA_ARGS__)
#define aw_fail_errno(code, ...) ANALYZER_FAILURE(code, __VA_ARGS__)
#define aw_fail_openssl(...) ANALYZER_FAILURE(AW_CODE_CRYPTO, __VA_ARGS__)
#define aw_fail_cause(code, cause, number, ...) \
    ANALYZER_FAILURE(((void)(cause), (void)(number), (code)), __VA_ARGS__)
#define aw_fail_memory() ((aw_result){AW_CODE_MEMORY})
#define aw_error_restore(error) ((void)(error), (aw_result){AW_CODE_INTERNAL})
#define aw_hint(r, ...) ANALYZER_SAME(r, __VA_ARGS__)
#define aw_context(r, ...) ANALYZER_SAME(r, __VA_ARGS__)

#ifdef ANALYZER_PKCS11
#include "pkcs11/ckr.h"
#define token_ckr_fail(rv, function) ((void)(rv), (void)(function), (aw_result){AW_CODE_TOKEN})
#endif

#endif
