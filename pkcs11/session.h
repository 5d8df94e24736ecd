/**
 * @file session.h
 * @brief Sessions: the pool, the one wrapper around Cryptoki calls, the ladder of recovery.
 *
 * A piece of work runs on a session and reports failures as results; the wrapper leaves the first
 * failing answer in the session, and the ladder reads it there. A session that saw a failure is
 * closed and not used again. One more session, the anchor, does no work: it keeps the login alive,
 * since a token logs out with the last session (PKCS#11 v2.40, 5.6 C_CloseSession).
 */
#ifndef AW_PKCS11_SESSION_H
#define AW_PKCS11_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <p11-kit/pkcs11.h>

#include "common/result.h"
#include "pkcs11/token.h"

/** One session. */
struct token_session {
    token *owner;
    CK_SESSION_HANDLE handle; /**< CK_INVALID_HANDLE: not open */
    CK_RV answer;             /**< first failing answer since it was taken; CKR_OK: none */
    struct timespec deadline; /**< for locks that others hold; zero: the token's timeout from now */
    _Atomic(const char *) function; /**< the call that it is in; NULL: none */
    atomic_llong since;             /**< monotonic milliseconds at which that began */
};

/** The sessions that threads share. */
struct token_pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct token_session sessions[TOKEN_SESSIONS_MAX];
    struct token_session *idle[TOKEN_SESSIONS_MAX]; /**< a stack: the last used is the warmest */
    unsigned idle_count;
    unsigned size;
    unsigned timeout_ms;
};

/** Something to do on a session, and how to find its object again when the handle went stale. */
struct token_work {
    aw_result (*run)(struct token_session *session, void *context);
    aw_result (*find)(struct token_session *session, void *context); /**< NULL: no handle is used */
    void *context;
};

/**
 * Calls a function of Cryptoki: TOKEN_CALL(s, C_SignInit, s->handle, &mechanism, key).
 * Every call but those of module.c goes through here. Yields an aw_result; an answer other than
 * CKR_OK is in s->answer.
 */
#define TOKEN_CALL(s, function, ...)   \
    token_session_note((s), #function, \
        (token_session_enter((s), #function), token_functions((s)->owner)->function(__VA_ARGS__)))

/**
 * Calls a function that adds or removes objects, with no search beside it: SoftHSM 2.6 fails a
 * creation (CKR_GENERAL_ERROR, one of five) when another thread searches meanwhile.
 */
#define TOKEN_CALL_ALONE(s, function, ...)                    \
    __extension__({                                           \
        aw_result aw_alone_ = token_store_lock((s));          \
        if (aw_ok(aw_alone_)) {                               \
            aw_alone_ = TOKEN_CALL(s, function, __VA_ARGS__); \
            token_store_unlock((s)->owner);                   \
        }                                                     \
        aw_alone_;                                            \
    })

/** Keeps searches and changes apart. Not recursive. AW_CODE_BUSY after the session's deadline. */
AW_MUST_USE aw_result token_store_lock(struct token_session *s);

/** Lets searches and changes go on. */
void token_store_unlock(token *t);

/** The module's functions. */
CK_FUNCTION_LIST *token_functions(const token *t);

/** Takes down that a call begins; for TOKEN_CALL. */
void token_session_enter(struct token_session *s, const char *function);

/** Takes down that it ended, and its answer; for TOKEN_CALL. */
AW_MUST_USE aw_result token_session_note(
    struct token_session *s, const char *function, CK_RV answer);

/** Forgets the answer, where a failure was expected. */
static inline void
token_session_forgive(struct token_session *s)
{
    s->answer = CKR_OK;
}

/** Makes the pool and its anchor and opens all sessions (fewer, if the token has fewer). */
AW_MUST_USE aw_result token_pool_open(token *t, unsigned size, unsigned timeout_ms);

/** Closes all sessions; none may be in use. */
void token_pool_close(token *t);

/** Until when a lock is waited for on behalf of the session. */
struct timespec token_session_deadline(const struct token_session *s);

/** Opens a session (closes the old one first); flags are CKF_RW_SESSION or 0. */
AW_MUST_USE aw_result token_session_open(struct token_session *s, CK_FLAGS flags);

/** Closes a session, if it is open. */
void token_session_close(struct token_session *s);

/**
 * Runs work on a session of the pool. A failure of the classes SESSION, HANDLE or LOGIN is
 * recovered from (new session, login, `find`) and the work run again, a few times at most.
 * @return AW_CODE_BUSY when no session came free in time
 */
AW_MUST_USE aw_result token_run(token *t, const struct token_work *work);

/**
 * Runs work that writes, on a read-write session of its own, logged in, one thread at a time, and
 * never twice: making a key is not to be repeated blindly.
 */
AW_MUST_USE aw_result token_run_write(
    token *t, aw_result (*run)(struct token_session *session, void *context), void *context);

#endif
