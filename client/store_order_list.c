#include "client/store_order_list.h"

#include <stdlib.h>
#include <string.h>

#include "client/listing.h"
#include "client/store_steps.h"
#include "common/io.h"

static const char beginning[] = ".order-", ending[] = ".json";

static int
is_order(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > strlen(beginning) + strlen(ending) &&
           strncmp(entry->d_name, beginning, strlen(beginning)) == 0 &&
           strcmp(entry->d_name + length - strlen(ending), ending) == 0;
}

aw_result
store_order_list(const char *root, store_order_visit visit, void *context)
{
    AW_CLEANUP(aw_free) char *archive = NULL;
    AW_CLEANUP(listing_free) struct listing found = {.count = 0};

    AW_TRY(aw_path_join(root, "archive", &archive));
    AW_TRY(listing_read(archive, is_order, &found));
    for (int i = 0; i < found.count; i++) {
        char *name = found.items[i]->d_name + strlen(beginning);

        name[strlen(name) - strlen(ending)] = '\0';
        AW_TRY(visit(name, context));
    }
    return AW_OK;
}

aw_result
store_order_look(const char *root, const char *name, struct store_order *out)
{
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(aw_free) char *named = NULL;

    AW_TRY(aw_format(&folder, "%s", root));
    AW_TRY(aw_format(&named, "%s", name));
    const struct store s = {.root = folder, .name = named, .lock = -1};
    return store_order_read(&s, out);
}
