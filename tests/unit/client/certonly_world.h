/**
 * @file certonly_world.h
 * @brief A CA, a signer, a folder and chains of every kind, for tests of the whole command.
 *
 * chain_key_generate is wrapped at link time, so that certificates for its key can be made before.
 */
#ifndef AW_TESTS_CLIENT_CERTONLY_WORLD_H
#define AW_TESTS_CLIENT_CERTONLY_WORLD_H

#include <stdbool.h>
#include <stdio.h>

#include "authority.h"
#include "scripted_ca.h"
#include "scripted_signer.h"

/** Kinds of chains that the CA may answer with. */
enum chain_kind { GOOD, GARBAGE, OTHER_KEY, OTHER_NAME, WITH_KEY, CHAIN_KINDS };

struct world {
    char root[64];
    char config[128];
    struct scripted_ca ca;
    struct scripted_signer signer;
    char whoami[4096]; /**< the signer's answer to WhoAmI */
    char *chains[CHAIN_KINDS];
    char *old_leaf; /**< a good certificate for a.example.edu, stored by begin() */
    char *old_key;
    char *out; /**< of the last run: standard output */
    char *err; /**< and standard error */
    struct party authority;
};

/** Set-up and teardown of a group: the state is a struct world. */
int make_world(void **state);
int remove_world(void **state);

/** Empties the folder; stores the good certificate when `stored`. */
void begin(struct world *w, bool stored);

/** Runs "certonly" with these words; returns the exit code. */
int run(struct world *w, const char *words);

/** The same with streams of one's own. */
int run_into(struct world *w, const char *words, FILE *results, FILE *messages);

#endif
