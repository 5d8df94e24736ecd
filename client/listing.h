/**
 * @file listing.h
 * @brief The names in a folder that are wanted, in order.
 */
#ifndef AW_CLIENT_LISTING_H
#define AW_CLIENT_LISTING_H

#include <dirent.h>

#include "common/result.h"

/** Names, as scandir(3) gives them; they may be changed in place. */
struct listing {
    struct dirent **items;
    int count;
};

/**
 * Reads the names that `wanted` takes (returns not 0). A folder that is not there has none.
 * @param out empty; release: listing_free
 * @return AW_CODE_IO: can't be read
 */
AW_MUST_USE aw_result listing_read(
    const char *folder, int (*wanted)(const struct dirent *entry), struct listing *out);

/** Releases. */
void listing_free(struct listing *listing);

#endif
