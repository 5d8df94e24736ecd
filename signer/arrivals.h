/**
 * @file arrivals.h
 * @brief How fast a uid may connect: what comes faster waits its time, or is closed.
 *
 * A connection costs two threads and a look at groups and policies, whoever makes it and however
 * soon he hangs up, so limits of what is open do not hold one who dials without end. A gate accepts
 * at once all the same, else everybody would stand behind him in the kernel's one line.
 */
#ifndef AW_SIGNER_ARRIVALS_H
#define AW_SIGNER_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

/** Limits. */
enum {
    ARRIVALS_UIDS_MAX = 256, /**< that have come within the last second; further ones are let in */
    ARRIVALS_HELD_MAX = 256, /**< connections that wait; a descriptor each */
    ARRIVALS_HELD_PER_UID = 64, /**< of one uid; more are closed */
};

/** Connections that have come. Begin with zeroes but for the first two members. */
struct arrivals {
    int64_t interval_ms; /**< between two of one uid; 0: nobody waits */
    int64_t burst_ms;    /**< so much of it may be used ahead */
    struct arrivals_uid {
        uint32_t uid;
        size_t held;
        int64_t paid; /* up to when; what is past is as good as none */
    } uids[ARRIVALS_UIDS_MAX];
    struct arrivals_held {
        int fd;
        struct arrivals_uid *of;
        int64_t due;
    } held[ARRIVALS_HELD_MAX];
    size_t held_count;
};

/**
 * Takes a connection that was accepted.
 * @return it, if it may go on now; -1: it waits, or was closed
 */
int arrivals_take(struct arrivals *arrivals, int fd, int64_t now);

/** One whose time has come by `now`, now the caller's; -1: none. */
int arrivals_next(struct arrivals *arrivals, int64_t now);

/** Milliseconds until then; -1: none waits. */
int arrivals_wait(const struct arrivals *arrivals, int64_t now);

#endif
