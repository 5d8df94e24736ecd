/**
 * @file result.h
 * @brief Results that cannot be ignored, with a message for a person, a cause and a hint.
 *
 * A fallible function returns aw_result, a struct so that it is never mistaken for a
 * number. What went wrong is kept per thread (like errno) until the next failure:
 * message, cause (errno, CK_RV, OpenSSL, CURLcode ...), hint. Nothing below main prints
 * or exits.
 */
#ifndef AW_COMMON_RESULT_H
#define AW_COMMON_RESULT_H

#include <stdbool.h>
#include <stddef.h>

/** The caller must look at the value. */
#define AW_MUST_USE __attribute__((warn_unused_result))
/** printf-like, format at argument f, values from argument a. */
#define AW_PRINTF(f, a) __attribute__((format(printf, f, a)))
/** Runs `fn(&variable)` when the variable leaves its scope. */
#define AW_CLEANUP(fn) __attribute__((cleanup(fn)))
/**
 * Hands a pointer over: yields it and leaves NULL behind, so that its cleanup does nothing. The
 * argument is an lvalue and is evaluated once.
 */
#define AW_MOVE(pointer)                            \
    __extension__({                                 \
        __typeof__(pointer) *aw_slot_ = &(pointer); \
        __typeof__(pointer) aw_moved_ = *aw_slot_;  \
        *aw_slot_ = NULL;                           \
        aw_moved_;                                  \
    })
/** Number of elements of an array. */
#define AW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/**
 * Every error code once: name, stable tag (used in logs and JSON output), exit code of the programs
 * (0 done, 1 failed, 2 usage, 3 refused by policy, 4 refused by the CA,
 * 5 signer or token unavailable).
 */
#define AW_CODES(X)                                                                              \
    X(OK, "ok", 0)                                                                               \
    X(USAGE, "usage", 2)                         /* the command line is wrong */                 \
    X(CONFIG, "config", 2)                       /* a configuration or policy file is wrong */   \
    X(SYNTAX, "syntax", 1)                       /* input does not parse */                      \
    X(LIMIT, "limit", 1)                         /* a named limit is exceeded */                 \
    X(MEMORY, "memory", 1)                       /* no memory */                                 \
    X(IO, "io", 1)                               /* a file or socket operation failed */         \
    X(PERMISSION, "permission", 1)               /* not allowed by the system, or loose modes */ \
    X(NOT_FOUND, "not-found", 1)                 /* what was named does not exist */             \
    X(EXISTS, "exists", 1)                       /* what was to be made is there already */      \
    X(CRYPTO, "crypto", 1)                       /* OpenSSL failed */                            \
    X(MISMATCH, "mismatch", 1)                   /* two things that must agree do not */         \
    X(CORRUPT, "corrupt", 1)                     /* stored state is damaged */                   \
    X(REFUSED, "refused", 3)                     /* the policy says no */                        \
    X(CA_REFUSED, "ca-refused", 4)               /* the CA says no */                            \
    X(CA_UNAVAILABLE, "ca-unavailable", 1)       /* the CA cannot be reached or is at fault */   \
    X(TIMEOUT, "timeout", 1)                     /* a deadline passed */                         \
    X(CLOSED, "closed", 1)                       /* the peer closed the connection */            \
    X(BUSY, "busy", 5)                           /* try again later */                           \
    X(UNAVAILABLE, "unavailable", 5)             /* signer not reachable or not able to sign */  \
    X(TOKEN, "token", 5)                         /* the token failed */                          \
    X(TOKEN_ABSENT, "token-absent", 5)           /* no such module, slot or token */             \
    X(TOKEN_KEY_MISSING, "token-key-missing", 5) /* the token has no such key */                 \
    X(TOKEN_PIN, "token-pin", 5)                 /* wrong, locked or missing PIN */              \
    X(TOKEN_GONE, "token-gone", 5)               /* device or token removed: end the process */  \
    X(FROZEN, "frozen", 5)                       /* signing was stopped by an administrator */   \
    X(INTERRUPTED, "interrupted", 5)             /* a signal asked this process to end */        \
    X(UNSUPPORTED, "unsupported", 1)             /* not offered by this build or token */        \
    X(INTERNAL, "internal", 1)                   /* a bug of ours */

/** Error codes, from AW_CODES. */
enum aw_code {
#define AW_CODE_ENUM(name, tag, exit) AW_CODE_##name,
    AW_CODES(AW_CODE_ENUM)
#undef AW_CODE_ENUM
};

/** What a fallible function returns. */
typedef struct aw_result {
    enum aw_code code;
} aw_result;

/** Success. */
#define AW_OK ((aw_result){AW_CODE_OK})

/** Where a cause's number comes from. */
enum aw_cause {
    AW_CAUSE_NONE,
    AW_CAUSE_ERRNO,   /**< errno */
    AW_CAUSE_CKR,     /**< CK_RV of Cryptoki */
    AW_CAUSE_OPENSSL, /**< ERR_get_error(); the queue is emptied into the message */
    AW_CAUSE_CURL,    /**< CURLcode */
    AW_CAUSE_HTTP,    /**< HTTP status */
    AW_CAUSE_SQLITE,  /**< SQLite extended result code */
    AW_CAUSE_VARLINK, /**< an error reply of the signer (no number) */
};

/** Sizes of the texts of an error, with the terminating NUL; longer ones are cut. */
enum { AW_ERROR_MESSAGE_SIZE = 1024, AW_ERROR_HINT_SIZE = 512 };

/** Detail of a failure. */
struct aw_error {
    enum aw_code code;
    enum aw_cause cause;
    unsigned long cause_number;
    char message[AW_ERROR_MESSAGE_SIZE]; /**< what failed, for a person; no trailing newline */
    char hint[AW_ERROR_HINT_SIZE];       /**< what to do about it; may be empty */
};

/** True for success. */
static inline bool
aw_ok(aw_result r)
{
    return r.code == AW_CODE_OK;
}

/** Returns from the calling function when `expression` failed. */
#define AW_TRY(expression)                \
    do {                                  \
        aw_result aw_try_ = (expression); \
        if (!aw_ok(aw_try_))              \
            return aw_try_;               \
    } while (0)

/** Fails: replaces this thread's error. `code` must not be AW_CODE_OK. */
AW_MUST_USE aw_result aw_fail(enum aw_code code, const char *format, ...) AW_PRINTF(2, 3);

/**
 * Fails with the present errno as cause; its text is added to the message. ENOMEM, EACCES, EPERM,
 * ENOENT and EEXIST choose their own code when `code` is AW_CODE_IO.
 */
AW_MUST_USE aw_result aw_fail_errno(enum aw_code code, const char *format, ...) AW_PRINTF(2, 3);

/** Empties OpenSSL's error queue; true when one of its entries tells of want of memory, or when
 * there still is none: then what OpenSSL said is no verdict about anything else. */
bool aw_openssl_lacked_memory(void);

/** Fails with OpenSSL's error queue as cause: its first entry's text is added, the queue emptied.
 * AW_CODE_CRYPTO, or AW_CODE_MEMORY where the queue tells of that.
 */
AW_MUST_USE aw_result aw_fail_openssl(const char *format, ...) AW_PRINTF(1, 2);

/** Fails with a numbered cause; the caller puts the cause's text into the message. */
AW_MUST_USE aw_result aw_fail_cause(enum aw_code code, enum aw_cause cause, unsigned long number,
    const char *format, ...) AW_PRINTF(4, 5);

/** Fails for want of memory. */
AW_MUST_USE aw_result aw_fail_memory(void);

/** Sets the hint of a failure and returns `r`; does nothing on success, nor for want of memory:
 * there is nobody else to blame, and nothing to mend. */
AW_MUST_USE aw_result aw_hint(aw_result r, const char *format, ...) AW_PRINTF(2, 3);

/** Puts "context: " before the message of a failure and returns `r`; does nothing on success. */
AW_MUST_USE aw_result aw_context(aw_result r, const char *format, ...) AW_PRINTF(2, 3);

/** This thread's last failure; never NULL. Meaningful right after a failed call only. */
const struct aw_error *aw_error_last(void);

/** Copies this thread's last failure, to carry it to another thread. */
void aw_error_save(struct aw_error *out);

/** Makes a carried failure this thread's last and returns its result. */
AW_MUST_USE aw_result aw_error_restore(const struct aw_error *error);

/** Stable tag of a code, for example "token-pin". */
const char *aw_code_tag(enum aw_code code);

/** Exit code of a program that ends with this code. */
int aw_code_exit(enum aw_code code);

/** Says on purpose that a failure does not matter here; `why` is for the reader. */
static inline void
aw_ignore(aw_result r, const char *why)
{
    (void)r;
    (void)why;
}

#endif
