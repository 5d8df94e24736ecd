/**
 * @file turns.h
 * @brief Who is next: a queue for each party, served in turn.
 *
 * At the token, the signer's narrowest place, the parties are applications (core.h): without turns,
 * one with sixty-four connections would have sixty-four sixty-fifths of it. A request waits for
 * that turn before it is recorded, so that one that is told "busy" has cost its application
 * nothing. In the core as a whole, whose processors, locks and disk are shared too, they are uids
 * (connections.h), and each has a share of what is worked on at once.
 */
#ifndef AW_SIGNER_TURNS_H
#define AW_SIGNER_TURNS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/result.h"

/** Limits. */
enum {
    TURNS_WAITING_PER_PARTY_MAX = 64, /**< requests of one party that wait; more are told that it
                                         is busy, at once */
    TURNS_ALONE_MS = 10 * 1000, /**< a party is alone when no other had a turn for so long: about
                                   what passes between two calls of a client that polls its CA */
};

/** How turns are given. */
struct turns_rule {
    unsigned count;      /**< had at once, at least 1 */
    unsigned share;      /**< had at once by a party that is not alone, at least 1 */
    unsigned timeout_ms; /**< longest wait for one */
    const char *what;    /**< of which they are, for errors: "the token"; must last */
    const char *hint;    /**< what to do about a timeout; must last */
};

/** Turns (struct turns). Locks itself. */
typedef struct turns turns;

/**
 * One request's turn, or its wait for it. The caller's, who neither moves nor reads it between
 * turns_take and turns_give; zero where none was taken.
 */
struct turn {
    const char *party;
    pthread_cond_t called;
    bool granted;
    struct turn *behind; /**< while it waits: the next of the same party */
    struct turn *next;   /**< the first of the next party; or the next that is had */
};

/** Release: turns_free. */
AW_MUST_USE aw_result turns_new(const struct turns_rule *rule, turns **out);

/** Releases and nulls; nobody may have a turn or wait for one. NULL is allowed. */
void turns_free(turns **slot);

/**
 * Waits for a turn: parties are served one after the other, requests of one party in the order of
 * their arrival.
 * @param party its name, which must last until turns_give
 * @param[out] turn for turns_give
 * @return AW_CODE_BUSY after the timeout, or where too many of the party wait already
 */
AW_MUST_USE aw_result turns_take(turns *t, const char *party, struct turn *turn);

/** Ends a turn: it is the next one's. One that was not had is allowed. */
void turns_give(turns *t, struct turn *turn);

/** How many wait, and how many are had. */
void turns_count(turns *t, unsigned *waiting, unsigned *had);

#endif
