/**
 * @file store_steps.h
 * @brief What store.c, store_mend.c, store_list.c and their crash tests share.
 */
#ifndef AW_CLIENT_STORE_STEPS_H
#define AW_CLIENT_STORE_STEPS_H

#include <stdbool.h>

#include "client/store.h"

/** The four files of a version, in the order in which they are written and linked. */
enum store_kind { STORE_CERT, STORE_CHAIN, STORE_FULLCHAIN, STORE_PRIVKEY, STORE_KINDS };

/** "cert", "chain", "fullchain", "privkey". */
extern const char *const store_kind_names[STORE_KINDS];

/** Steps of store_add: each file, each link beside its place, each link into place. What needs
 * space on the disk comes before anything that is live is touched. */
enum { STORE_STEPS = 3 * STORE_KINDS };

/** Highest number of a version. */
enum { STORE_VERSION_MAX = 1000000 };

struct store {
    char *root;
    char *name;
    char *archive;    /**< archive/NAME */
    char *live;       /**< live/NAME */
    int lock;         /**< descriptor of archive/.lock-NAME */
    bool fresh;       /**< live/NAME was made by this run */
    unsigned highest; /**< newest version whose four files are there; 0: none */
};

/** Does one step of adding `version`; steps count from 0. The tests stop between them. */
AW_MUST_USE aw_result store_step(
    const store *s, const struct store_version *content, unsigned version, unsigned step);

/** Finds the newest whole version, removes what is left of others, makes the links agree. */
AW_MUST_USE aw_result store_mend(store *s);

/** Makes a link to a version under a name beside its place. */
AW_MUST_USE aw_result store_link_prepare(const store *s, enum store_kind kind, unsigned version);

/** Renames it into place. */
AW_MUST_USE aw_result store_link_commit(const store *s, enum store_kind kind);

/**
 * The version a link of live/NAME points at; 0 when there is none. AW_CODE_CORRUPT when it is
 * something else, or points elsewhere.
 */
AW_MUST_USE aw_result store_link_read(
    const char *live, const char *name, enum store_kind kind, unsigned *version);

/** Parses "certN.pem" and its like. */
bool store_file_parse(const char *file, enum store_kind *kind, unsigned *version);

#endif
