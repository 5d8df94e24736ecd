#include "memory.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

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

/* Frames looked at; how many of a library's count, from the allocation on; places of one operation.
 */
enum { FRAMES_MAX = 48, LIBRARY_FRAMES = 4, PLACES_MAX = 1 << 14 };

/* No bool: UBSan looks at one through ASan's shadow, which is not there yet when the first memory
 * is asked for. */
static _Thread_local struct {
    long left; /* allocations until one fails; 0: none does */
    enum memory_failure failure;
    enum memory_place place;
    int by_place;
    long seen;   /* allocations since memory_fail_at_new_place() */
    int looking; /* at the stack, which may allocate */
    int pauses;
    int failed;
} state;

/* Of all threads: one of them is under test. */
static uint64_t places[PLACES_MAX]; /* 0: free */
static unsigned place_count;
/* Allocations at the beginning of a try that were looked at in the one before, and need not be
 * again: looking at a stack takes longer than allocating. */
static long known;

/* The program's own code, ours and the test's, as the linker says. */
extern const char __executable_start, etext;

static bool
is_ours(const void *address)
{
    return (const char *)address >= &__executable_start && (const char *)address < &etext;
}

/* FNV-1a over the return addresses. */
struct walk {
    enum memory_place place;
    uint64_t hash;
    int frames, foreign;
};

static _Unwind_Reason_Code
take_frame(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    uintptr_t address = _Unwind_GetIP(context);

    if (++walk->frames > FRAMES_MAX)
        return _URC_END_OF_STACK;
    if (is_ours((const void *)address) ||
        (walk->place == MEMORY_PLACE_EXACT && walk->foreign++ < LIBRARY_FRAMES))
        walk->hash = (walk->hash ^ address) * 1099511628211U;
    return _URC_NO_REASON;
}

static uint64_t
place_here(enum memory_place place)
{
    struct walk walk = {.place = place, .hash = 14695981039346656037U};

    _Unwind_Backtrace(take_frame, &walk);
    return walk.hash == 0 ? 1 : walk.hash;
}

/* True if it was not there yet. A full table ends the test: it would never be through. */
static bool
place_add(uint64_t hash)
{
    unsigned at = hash % PLACES_MAX;

    while (places[at] != 0 && places[at] != hash)
        at = (at + 1) % PLACES_MAX;
    if (places[at] == hash)
        return false;
    if (++place_count == PLACES_MAX)
        abort();
    places[at] = hash;
    return true;
}

static bool
is_new_place(void)
{
    state.looking = 1;
    bool found = place_add(place_here(state.place));
    state.looking = 0;
    return found;
}

static bool
is_next(void)
{
    if (state.by_place != 0)
        return ++state.seen > known && is_new_place();
    return state.left > 0 && --state.left == 0;
}

static bool
fails(void)
{
    if (state.pauses > 0 || state.looking != 0 || !is_next())
        return false;
    state.failed = 1;
    if (state.by_place != 0)
        known = state.seen;
    state.by_place = 0;
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
    state.failed = 0;
}

void
memory_places_forget(void)
{
    memset(places, 0, sizeof(places));
    place_count = 0;
    known = 0;
}

void
memory_fail_at_new_place(enum memory_place place, enum memory_failure failure)
{
    state.place = place;
    state.failure = failure;
    state.failed = 0;
    state.seen = 0;
    state.by_place = 1;
}

/* Nothing failed, but the beginning was left out: once more, with all of it. */
static bool
begins_anew(void)
{
    bool anew = state.by_place != 0 && known > 0;

    if (anew)
        known = 0;
    return anew;
}

bool
memory_fail_end(void)
{
    bool more = state.failed != 0 || begins_anew();

    state.left = 0;
    state.by_place = 0;
    return more;
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
