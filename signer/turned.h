/**
 * @file turned.h
 * @brief Those who were turned away, each of whom is told so a little later.
 *
 * Whoever dials on at his limit takes the processors from others with every try; he waits for each
 * answer, and so tries seldom. One thread has them. When there are too many the first is told at
 * once.
 */
#ifndef AW_SIGNER_TURNED_H
#define AW_SIGNER_TURNED_H

#include <stddef.h>
#include <stdint.h>

#include "common/varlink.h"

/** Limits. */
enum { TURNED_MAX = 128 }; /**< who waits at once; a descriptor each */

/** Begin with zeroes. Release: turned_end. */
struct turned {
    struct turned_one {
        aw_varlink_stream *stream;
        char *reply;
        int64_t due_ms;
    } items[TURNED_MAX];
    size_t first, count;
};

/** One more; stream and reply are taken. Each wait is as long as those before. */
void turned_add(struct turned *turned, aw_varlink_stream **stream, char **reply, int wait_ms);

/** Tells those whose time has come. Milliseconds until the next; -1: nobody waits. */
int turned_tell(struct turned *turned);

/** Tells all. */
void turned_end(struct turned *turned);

#endif
