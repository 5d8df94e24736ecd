/**
 * @file ledger_support.h
 * @brief What the ledger's tests share: a folder with log and ledger, requests in a line, dumps.
 */
#ifndef TESTS_LEDGER_SUPPORT_H
#define TESTS_LEDGER_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signer/ledger.h"

/** When tests begin, and digests of 64 digits. */
#define T0 INT64_C(1795000000)
#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DIGEST_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define DIGEST_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

/** A folder with one log and its ledger. */
struct ledger_scene {
    char folder[64];
    char path[96];     /**< of the database */
    char log_path[96]; /**< of the log's file */
    audit_log *log;
    ledger *ledger;
    struct ledger_recovery recovery; /**< what the last scene_open said */
};

/** Makes the folder. */
void scene_begin(struct ledger_scene *scene);
/** Closes, removes the folder and all in it. */
void scene_end(struct ledger_scene *scene);
/** Opens log and ledger; must succeed. */
void scene_open(struct ledger_scene *scene);
/** The same, when it may fail. */
AW_MUST_USE aw_result scene_try_open(struct ledger_scene *scene);
/** Closes ledger and log. */
void scene_close(struct ledger_scene *scene);
/** scene_begin and scene_open. */
void scene_start(struct ledger_scene *scene);
/** Removes the database (closed) with what belongs to it. */
void scene_forget(const struct ledger_scene *scene);

/** Appends what others append to the log themselves: it changes no table, but takes a number. */
void scene_foreign_record(struct ledger_scene *scene, int64_t at);
/** Files of the folder whose name begins so. */
int scene_count(const struct ledger_scene *scene, const char *prefix);
/** All rows of all tables of the closed database as text; release with free(). */
char *scene_dump(const struct ledger_scene *scene);
/** Copies a file over another. */
void scene_copy(const char *from, const char *to);

/** A request; what is not said has the value of the comment. */
struct ask {
    enum sign_operation operation;
    const char *application; /**< "app-a" */
    const char *account;     /**< "acct" */
    int64_t order;
    bool again; /**< new-order: signed again for that order */
    const char *url;
    const char *csr, *key;
    const char *names;    /**< separated by spaces; "a.example.edu" */
    const char *serial;   /**< record-certificate */
    const char *replaces; /**< new-order */
    bool pinned;          /**< new-order: issuers are pinned for the CA */
    int verified;         /**< record-certificate: 1 verified, -1 not, 0: none are pinned */
    const char *certificate, *alarm; /**< record-certificate */
    int64_t limit; /**< orders or revocations per day; 0: 1000, or 5000; -1: none */
    int64_t at;    /**< seconds after T0 */
    const struct sign_claim *claims;
    size_t claim_count;
};

/** Submits; *seq gets the record. */
AW_MUST_USE aw_result scene_ask(struct ledger_scene *scene, const struct ask *ask,
    struct ledger_verdict *verdict, int64_t *seq);

/** Submits and expects a rule ("" for a permit), failing with the row's name; gives the record. */
int64_t scene_expect(
    struct ledger_scene *scene, const char *row, const struct ask *ask, enum ledger_rule rule);

/** Opens an order for an application and names (NULL: the defaults); must succeed. */
int64_t scene_order(struct ledger_scene *scene, const char *application, const char *names);

/** Claims one URL and expects a rule. */
void scene_claim(struct ledger_scene *scene, const char *row, const struct ask *ask,
    enum sign_url_kind kind, enum ledger_rule rule);

/** The log's last record must be of this kind, verdict and rule (NULL: absent). */
void scene_expect_record(struct ledger_scene *scene, const char *row, enum audit_kind kind,
    const char *verdict, const char *rule);

/** The log's last record must be of this URL, claimed as this kind. */
void
scene_expect_url(struct ledger_scene *scene, const char *row, const char *url, const char *kind);

#endif
