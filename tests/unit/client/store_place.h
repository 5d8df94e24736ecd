/** @file store_place.h @brief A root folder for each test of the store, and what is put there. */
#ifndef AW_TESTS_CLIENT_STORE_PLACE_H
#define AW_TESTS_CLIENT_STORE_PLACE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "client/store.h"

#define HOST "www.example.edu"
#define NAME "web"
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

struct place {
    char root[64];
    char path[512];
};

/** Set-up and teardown of a test: the state is a struct place. */
int make_place(void **state);
int remove_place(void **state);

/** The path below the root; valid until the next call. */
const char *at(struct place *place, const char *path);

/** Removes all that is stored. */
void empty_place(struct place *place);

/** The text of a file below the root; release with free(). */
char *text_at(struct place *place, const char *path);

/** Fails the test unless the file holds that text. */
void assert_text(struct place *place, const char *path, const char *expected);

/** Writes a file below the root. */
void put(struct place *place, const char *path, const char *text, mode_t mode);

/** A version whose four texts carry a mark; made where it is used, for secrets are not inherited.
 */
struct marked {
    char texts[3][64];
    aw_secret *key;
    struct store_version version;
};

void mark(struct marked *m, const char *mark_text);

/** Stores a marked version; returns its number. */
unsigned write_marked(struct place *place, const char *mark_text);

/** Fails the test unless all four live files carry the mark. */
void assert_live(struct place *place, const char *mark_text);

#endif
