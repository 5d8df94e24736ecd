#include "client/listing.h"

#include <errno.h>
#include <stdlib.h>

aw_result
listing_read(const char *folder, int (*wanted)(const struct dirent *entry), struct listing *out)
{
    int count = scandir(folder, &out->items, wanted, alphasort);

    if (count < 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "can't read %s", folder);
    out->count = count < 0 ? 0 : count;
    return AW_OK;
}

void
listing_free(struct listing *listing)
{
    for (int i = 0; i < listing->count; i++)
        free(listing->items[i]);
    free(listing->items);
    *listing = (struct listing){.count = 0};
}
