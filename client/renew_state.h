/**
 * @file renew_state.h
 * @brief What renew keeps between its runs: of a certificate, and of what failed.
 *
 * archive/.renewal-NAME.json: when to look again, the CA's window and the time chosen in it, and
 * for which version the deploy hooks have run. archive/.failed-DIGEST.json: how often an order for
 * a set of names failed, or a CA limited the rate, and until when nothing is tried. Both 0600,
 * replaced whole. One that is damaged or not there is as if nothing had been kept.
 */
#ifndef AW_CLIENT_RENEW_STATE_H
#define AW_CLIENT_RENEW_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/names.h"
#include "common/result.h"

/** Limits of the time between two attempts, in seconds. */
enum {
    RENEW_BACKOFF_FIRST = 3600,
    RENEW_BACKOFF_MAX = 24 * 3600,
    RENEW_BACKOFF_MIN = 900, /**< however short the certificate's life still is */
    RENEW_ERROR_MAX = 2000,  /**< octets kept of a failure's message */
};

/** State of a certificate. */
struct renew_state {
    int64_t version;                  /**< that this is about; 0: none is stored */
    int64_t settings, settings_ns;    /**< when its settings were written, as stat tells */
    int64_t settings_size;            /**< and their size */
    int64_t looked;                   /**< when all of this was looked at */
    int64_t next;                     /**< nothing is to be done before */
    int64_t window_start, window_end; /**< RFC 9773; both 0: none */
    int64_t chosen;                   /**< the time in it */
    int64_t ask;                      /**< the CA is not asked for the window before */
    int64_t deployed;                 /**< version that the deploy hooks have run for */
};

/** Reads it; all zero when there is none. */
AW_MUST_USE aw_result renew_state_read(
    const char *root, const char *name, struct renew_state *out, bool *found);

/** Writes it durably. */
AW_MUST_USE aw_result renew_state_write(
    const char *root, const char *name, const struct renew_state *state);

/**
 * Likewise, but what a crash of the host takes away is no harm: all of it can be found out again,
 * but for `deployed`, which must be the stored version then. Without waiting for the disk, since
 * after a first look there is one for each certificate.
 */
AW_MUST_USE aw_result renew_state_note(
    const char *root, const char *name, const struct renew_state *state);

/** Removes it, if it is there. */
AW_MUST_USE aw_result renew_state_remove(const char *root, const char *name);

/** A failure that was met before. Release: renew_failure_free. */
struct renew_failure {
    int64_t count; /**< 0: none */
    int64_t first; /**< time of the first one */
    int64_t last;  /**< of the last one */
    int64_t next;  /**< nothing is tried before */
    char *error;   /**< message of the last one; NULL: none */
};

/** What failures of an order for these names (sorted) are kept by; allocated. */
AW_MUST_USE aw_result renew_failure_key(const struct aw_name *names, size_t count, char **out);

/** Reads it; count 0 when there is none. `key`: any text, of names or a URL. */
AW_MUST_USE aw_result renew_failure_read(
    const char *root, const char *key, struct renew_failure *out);

/** Whether it is still to be waited out. One of a time that is yet to come was noted while the
 * clock was ahead, and holds nothing up. */
bool renew_failure_holds(const struct renew_failure *failure, int64_t now);

/** One more failure. */
struct renew_failed {
    const char *error;
    int64_t least; /**< seconds that the CA asks for; 0: none */
    int64_t left;  /**< until the certificate expires: the fewer, the sooner it is tried again */
};

/** Counts it, sets when to try again, and writes that durably. */
AW_MUST_USE aw_result renew_failure_add(const char *root, const char *key,
    const struct renew_failed *failed, struct renew_failure *failure);

/** Forgets it, if it is there. */
AW_MUST_USE aw_result renew_failure_forget(const char *root, const char *key);

/** Releases and zeroes. */
void renew_failure_free(struct renew_failure *failure);

#endif
