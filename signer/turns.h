/**
 * @file turns.h
 * @brief Who is next at the token: a queue for each application, served in turn.
 *
 * The token is the signer's narrowest place. Without turns, an application with sixty-four
 * connections would have sixty-four sixty-fifths of it. A request waits for its turn before it is
 * recorded, so that one that is told "busy" has cost its application nothing.
 */
#ifndef AW_SIGNER_TURNS_H
#define AW_SIGNER_TURNS_H

#include "common/result.h"

/** Limits. */
enum {
    TURNS_WAITING_PER_APPLICATION_MAX = 64, /**< requests of one application that wait; more are
                                               told that it is busy, at once */
};

/** Turns at the token (struct turns). Locks itself. */
typedef struct turns turns;

/**
 * @param count turns that may be had at once, at least 1
 * @param timeout_ms longest wait for one
 * Release: turns_free.
 */
AW_MUST_USE aw_result turns_new(unsigned count, unsigned timeout_ms, turns **out);

/** Releases and nulls; nobody may be waiting. NULL is allowed. */
void turns_free(turns **slot);

/**
 * Waits for a turn: applications are served one after the other, requests of one application in
 * the order of their arrival. End it with turns_give.
 * @param application its name; not kept
 * @return AW_CODE_BUSY after the timeout, or where too many of the application wait already
 */
AW_MUST_USE aw_result turns_take(turns *t, const char *application);

/** Ends a turn: it is the next one's. */
void turns_give(turns *t);

/** How many wait, and how many have a turn. */
void turns_count(turns *t, unsigned *waiting, unsigned *had);

#endif
