/**
 * @file world.h
 * @brief Random policies as plain lists: what the reference reads, and the same as files.
 */
#ifndef AW_TEST_POLICY_WORLD_H
#define AW_TEST_POLICY_WORLD_H

#include "support.h"

enum { APPLICATIONS_MAX = 12, LIST_MAX = 5, TEXT_SIZE = 64, USERS = 3 };

/** The day, in seconds, on which what expires has expired and warnings become refusals. */
enum { LAST_DAY = 86400 };

/** Lists of names. */
enum list { EXACT, SUBDOMAINS, WILDCARDS, DENY, ADDRESSES, LISTS };

/** One application. */
struct rules {
    char name[8];
    bool of_user[USERS];
    bool ghost;
    int account;
    char lists[LISTS][LIST_MAX][TEXT_SIZE];
    int counts[LISTS];
    bool shares[APPLICATIONS_MAX];
    bool order, revoke;
    bool keys[POLICY_KEY_COUNT];
    int most_names;
    bool expires, warns;
    bool profile;
};

/** All applications; that of number i is named "app" and i, its group is 9000 + i, user u is 5000 +
 * u. */
struct world {
    struct rules applications[APPLICATIONS_MAX];
    int count;
};

/** Ceilings of the two accounts, NULL for none, and their networks' last octets. */
extern const char *const world_ceilings[2][2];
extern const unsigned world_octets[2];

/** A number below `below`; the same sequence in every run. */
unsigned pick(unsigned below);

/** A name of few labels, so that names meet. */
void random_name(char out[TEXT_SIZE]);

/** True when a list of an application holds that text. */
bool has(const struct rules *a, enum list list, const char *text);

/** Makes up all applications. */
void world_random(struct world *w);

/** Writes the applications as files and loads them. */
policy_snapshot *world_load(const struct world *w);

/** The same, and what was warned of. */
policy_snapshot *world_load_warned(const struct world *w, struct aw_faults *warnings);

/** Makes up one application anew. */
void world_random_rules(struct world *w, int number);

/** The application whose file this is, and the line of a list in it. */
int world_number_of(const struct world *w, const char *file);
unsigned world_line_of(const struct world *w, int number, enum list list);

/** A name, wildcard or address of those that random policies speak of. */
struct aw_name random_identifier(void);

#endif
