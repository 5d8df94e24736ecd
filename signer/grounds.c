#include "signer/grounds.h"

/* FNV-1a. Names are the administrators', so nobody chooses two that are equal here. */
static uint64_t
number_of(const char *name)
{
    uint64_t number = 0xcbf29ce484222325u;

    for (; *name != '\0'; name++)
        number = (number ^ (unsigned char)*name) * 0x100000001b3u;
    return number;
}

bool
grounds_add(struct grounds *grounds, const gid_t *group, const char *application)
{
    const struct ground new = {.by_group = group != NULL,
        .group = group == NULL ? 0 : *group,
        .application = application == NULL ? 0 : number_of(application)};

    for (size_t i = 0; i < grounds->count; i++) {
        const struct ground *old = &grounds->items[i];

        if (old->by_group == new.by_group && old->group == new.group &&
            old->application == new.application)
            return true;
    }
    if (grounds->count == GROUNDS_MAX)
        return false;
    grounds->items[grounds->count++] = new;
    return true;
}

bool
grounds_have_group(const struct grounds *grounds, gid_t group)
{
    for (size_t i = 0; i < grounds->count; i++)
        if (grounds->items[i].by_group && grounds->items[i].group == group)
            return true;
    return false;
}

bool
grounds_have_application(const struct grounds *grounds, uint64_t application)
{
    for (size_t i = 0; i < grounds->count; i++)
        if (grounds->items[i].application == application)
            return true;
    return false;
}
