#include "memory.h"

#include <errno.h>
#include <stddef.h>

/* The C library's own; a sanitizer's where there is one. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *old, size_t size);
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static _Thread_local struct {
    long left; /* allocations until one fails; 0: none does */
    enum memory_failure failure;
    int pauses;
    bool failed;
} state;

static bool
fails(void)
{
    if (state.left == 0 || state.pauses > 0 || --state.left > 0)
        return false;
    state.failed = true;
    state.left = state.failure == MEMORY_FAILS_FOR_GOOD ? 1 : 0;
    errno = ENOMEM;
    return true;
}

void *
malloc(size_t size)
{
    return fails() ? NULL : REAL(malloc)(size);
}

void *
calloc(size_t count, size_t size)
{
    return fails() ? NULL : REAL(calloc)(count, size);
}

void *
realloc(void *old, size_t size)
{
    return fails() ? NULL : REAL(realloc)(old, size);
}

void
memory_fail_at(long n, enum memory_failure failure)
{
    state.left = n;
    state.failure = failure;
    state.failed = false;
}

bool
memory_fail_end(void)
{
    state.left = 0;
    return state.failed;
}

void
memory_fail_pause(void)
{
    state.pauses++;
}

void
memory_fail_resume(void)
{
    state.pauses--;
}
