#include "pkcs11/session.h"

#include <errno.h>

#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/login.h"

CK_FUNCTION_LIST *
token_functions(const token *t)
{
    return t->module.functions;
}

struct timespec
token_session_deadline(const struct token_session *s)
{
    return s->deadline.tv_sec != 0 ? s->deadline : token_deadline(s->owner->pool.timeout_ms);
}

aw_result
token_store_lock(struct token_session *s)
{
    const struct timespec deadline = token_session_deadline(s);

    return token_lock_take(&s->owner->store_lock, &deadline);
}

void
token_store_unlock(token *t)
{
    token_lock_release(&t->store_lock);
}

aw_result
token_session_note(struct token_session *s, const char *function, CK_RV answer)
{
    atomic_store_explicit(&s->function, NULL, memory_order_release);
    if (__builtin_expect(answer == CKR_OK, 1))
        return AW_OK;
    if (s->answer == CKR_OK)
        s->answer = answer;
    return token_ckr_fail(answer, function);
}

void
token_session_close(struct token_session *s)
{
    if (s->handle == CK_INVALID_HANDLE)
        return;
    token_session_enter(s, "C_CloseSession");
    /* It may be invalid already; there is nothing to do about it either way. */
    (void)token_functions(s->owner)->C_CloseSession(s->handle);
    atomic_store_explicit(&s->function, NULL, memory_order_release);
    s->handle = CK_INVALID_HANDLE;
}

aw_result
token_session_open(struct token_session *s, CK_FLAGS flags)
{
    CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;

    token_session_close(s);
    token_session_forgive(s);
    AW_TRY(TOKEN_CALL(
        s, C_OpenSession, s->owner->slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &handle));
    s->handle = handle;
    return AW_OK;
}

/* The pool. */

static aw_result
pool_fill(token *t, unsigned size)
{
    struct token_pool *pool = &t->pool;

    for (unsigned i = 0; i < size; i++) {
        struct token_session *s = &pool->sessions[i];
        s->owner = t;
        aw_result r = token_session_open(s, 0);
        if (!aw_ok(r) && s->answer == CKR_SESSION_COUNT && i > 0)
            return AW_OK; /* the token has fewer than asked: those will do */
        AW_TRY(r);
        pool->idle[pool->idle_count++] = s;
        pool->size = i + 1;
    }
    return AW_OK;
}

aw_result
token_pool_open(token *t, unsigned size, unsigned timeout_ms)
{
    if (size == 0 || size > TOKEN_SESSIONS_MAX)
        return aw_fail(AW_CODE_CONFIG, "a pool of %u sessions is not possible (1 to %d)", size,
            TOKEN_SESSIONS_MAX);
    AW_TRY(token_condition_init(&t->pool.returned));
    t->pool.timeout_ms = timeout_ms;
    t->anchor.owner = t;
    AW_TRY(token_session_open(&t->anchor, 0));
    return pool_fill(t, size);
}

void
token_pool_close(token *t)
{
    for (unsigned i = 0; i < t->pool.size; i++)
        token_session_close(&t->pool.sessions[i]);
    t->pool.size = 0;
    if (t->anchor.owner != NULL) {
        token_session_close(&t->anchor);
        pthread_cond_destroy(&t->pool.returned);
    }
}

/* NULL: none came free in time. */
static struct token_session *
pool_pop(struct token_pool *pool, const struct timespec *deadline)
{
    struct token_session *s = NULL;

    pthread_mutex_lock(&pool->lock);
    while (pool->idle_count == 0 &&
           pthread_cond_timedwait(&pool->returned, &pool->lock, deadline) != ETIMEDOUT)
        continue;
    if (pool->idle_count > 0)
        s = pool->idle[--pool->idle_count];
    pthread_mutex_unlock(&pool->lock);
    if (s != NULL)
        s->deadline = *deadline;
    return s;
}

static void
pool_push(struct token_session **session)
{
    struct token_session *s = *session;

    if (s == NULL)
        return;
    if (s->answer != CKR_OK)
        token_session_close(s);
    struct token_pool *pool = &s->owner->pool;
    pthread_mutex_lock(&pool->lock);
    pool->idle[pool->idle_count++] = s;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
    *session = NULL;
}

/* The ladder. */

/*
 * A new session whatever was lost: the old one may have been left in the middle of an operation.
 * And a login whatever was lost, if there is none: a lost session or handle is often that in
 * disguise.
 */
static aw_result
recover(struct token_session *s, const struct token_work *work)
{
    AW_TRY(token_session_open(s, 0));
    AW_TRY(token_login_by(s->owner, &s->deadline));
    return work->find == NULL ? AW_OK : work->find(s, work->context);
}

static unsigned
rungs(const struct token_session *s)
{
    return token_ckr_rule(token_ckr_class(s->answer))->rungs;
}

aw_result
token_run(token *t, const struct token_work *work)
{
    const struct timespec deadline = token_deadline(t->pool.timeout_ms);
    AW_CLEANUP(pool_push) struct token_session *s = pool_pop(&t->pool, &deadline);

    if (s == NULL)
        return aw_hint(aw_fail(AW_CODE_BUSY, "all %u sessions of the token stayed busy for %u ms",
                           t->pool.size, t->pool.timeout_ms),
            "try again later; if it happens often, raise the number of sessions");
    token_session_forgive(s);
    if (s->handle == CK_INVALID_HANDLE)
        AW_TRY(token_session_open(s, 0));
    aw_result r = work->run(s, work->context);
    for (unsigned climbed = 0; !aw_ok(r) && climbed < rungs(s); climbed++) {
        r = recover(s, work);
        if (aw_ok(r))
            r = work->run(s, work->context);
    }
    return r;
}

static aw_result
write_steps(token *t, aw_result (*run)(struct token_session *session, void *context), void *context)
{
    AW_TRY(token_login_by(t, &t->writer.deadline));
    AW_TRY(token_session_open(&t->writer, CKF_RW_SESSION));
    return run(&t->writer, context);
}

aw_result
token_run_write(
    token *t, aw_result (*run)(struct token_session *session, void *context), void *context)
{
    const struct timespec deadline = token_deadline(t->pool.timeout_ms);

    AW_TRY(token_lock_take(&t->write_lock, &deadline));
    t->writer.owner = t;
    t->writer.deadline = deadline;
    aw_result r = write_steps(t, run, context);
    token_session_close(&t->writer);
    token_lock_release(&t->write_lock);
    return r;
}
