/**
 * @file renew.h
 * @brief `renew`: every certificate that has settings and is due is ordered again.
 *
 * cmd_renew.c is the sequence; renew_due.c decides, renew_pool.c orders (each certificate in a
 * process of its own, some at a time), renew_ssh.c shares the
 * way to another host's signer among them, renew_result.c takes in what came of it and tells.
 */
#ifndef AW_CLIENT_RENEW_H
#define AW_CLIENT_RENEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/certonly.h"
#include "client/lineage_hooks.h"
#include "client/renew_ca.h"
#include "client/renew_state.h"
#include "client/renewal_config.h"
#include "client/ssh_master.h"

/** Limits. */
enum {
    RENEW_JOBS = 4, /**< orders at a time; --jobs */
    RENEW_JOBS_MAX = 64,
    RENEW_PART = 3,             /**< due when one part in three of the lifetime is left */
    RENEW_LAST_PART = 10,       /**< whatever the CA says, not later than this part of it */
    RENEW_INTERVAL = 12 * 3600, /**< the timer's: a window that ends before is not waited for */
    RENEW_SIGNERS_MAX = 8,      /**< on other hosts; further ones share no connection */
    RENEW_SLEEP_MAX = 480,      /**< seconds of sleep before the first order, as certbot's */
};

/** A certificate that is due. */
struct renew_item {
    char *name;
    char *why;       /**< for a person */
    char *replaces;  /**< RFC 9773 5: its identifier; NULL: none */
    char *key;       /**< of its set of names, for failures */
    char *domains;   /**< with spaces between */
    char *directory; /**< of its CA; NULL: not known */
    int64_t left;    /**< seconds until it expires */
    unsigned version;
};

/** A signer of another host, whose connection all orders share. */
struct renew_signer {
    char *url;
    ssh_master *master;
    bool broken; /**< it could not be had: each order makes its own */
};

/** One run. Release: renew_free. */
struct renew {
    const struct options *options;
    struct output *out;
    struct client_config *config;
    const char *root;
    int lock;
    lineage_hooks *hooks;
    struct renew_cas cas;
    struct renew_signer signers[RENEW_SIGNERS_MAX];
    size_t signer_count;
    struct renew_item *items; /**< due */
    size_t count, room;
    int64_t now;
    size_t jobs;
    bool resume;      /**< orders resume: go on with orders under way, and make no other */
    bool stopped;     /**< the signer is not there, or we are asked to end: nothing more is begun */
    bool told_to_end; /**< what is under way knows of the latter */
    size_t examined, not_due, waiting, renewed, failed, left;
    enum aw_code code;                                             /**< of the first failure */
    struct aw_json_writer renewed_json, failed_json, waiting_json; /**< arrays, open */
};

/** Examines one certificate; one that is due is added to the items. */
AW_MUST_USE aw_result renew_examine(struct renew *r, const char *name);

/** Adds a certificate whose order is under way to the items. */
AW_MUST_USE aw_result renew_add_order(struct renew *r, const char *name);

/** Runs the deploy hooks of a certificate. @return false when one failed, which was told */
bool renew_deploy(
    struct renew *r, const char *name, const struct options *settings, const char *domains);

/** Orders all items. */
AW_MUST_USE aw_result renew_all(struct renew *r);

/**
 * The connection to the signer of these settings that orders share; made anew when it was dropped.
 * @return NULL: each makes its own; or the signer is on this host
 */
const char *renew_shared_ssh(struct renew *r, const struct options *settings);

/** Ends what is shared. */
void renew_shared_ssh_end(struct renew *r);

/** Takes in what the process of an item wrote. */
void renew_take(struct renew *r, const struct renew_item *item, int status, FILE *results);

/** An item, or settings, that can't be renewed; this thread's last failure says why. */
void renew_fail(struct renew *r, const char *name);

/** A certificate for which a failure is waited out. */
void renew_wait(struct renew *r, const char *name, const struct renew_failure *failure);

/** Tells the whole; fails when something did. */
AW_MUST_USE aw_result renew_report(struct renew *r);

/** Unlocks, releases and zeroes. */
void renew_free(struct renew *r);

/** Reads settings, with this command line put over them; their faults are told. */
AW_MUST_USE aw_result renew_settings(
    struct renew *r, const char *name, struct renewal_config **config);

#endif
