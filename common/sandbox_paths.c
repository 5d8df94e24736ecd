#include "common/sandbox_paths.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

/* Programs, libraries, and what the C library and OpenSSL read; nothing secret, and in a package's
 * hands. Some are not there on every system. */
static const struct sandbox_path libraries[] = {
    {"/usr", SANDBOX_PROGRAM},
    {"/lib", SANDBOX_PROGRAM},
    {"/lib64", SANDBOX_PROGRAM},
    {"/etc/ld.so.cache", SANDBOX_READ},
    {"/etc/ld.so.preload", SANDBOX_READ},
    {"/etc/localtime", SANDBOX_READ},
    {"/sys/devices/system/cpu", SANDBOX_READ},
    {"/dev/urandom", SANDBOX_READ},
    {"/dev/random", SANDBOX_READ},
    {"/dev/null", SANDBOX_DEVICE},
#ifdef ACMEWARD_INSTRUMENTED
    {"/proc", SANDBOX_READ},
#endif
#ifdef ACMEWARD_COUNTERS
    {ACMEWARD_COUNTERS, SANDBOX_WRITE},
#endif
};

static const struct sandbox_path network_files[] = {
    {"/etc/resolv.conf", SANDBOX_READ},
    {"/etc/hosts", SANDBOX_READ},
    {"/etc/host.conf", SANDBOX_READ},
    {"/etc/nsswitch.conf", SANDBOX_READ},
    {"/etc/gai.conf", SANDBOX_READ},
    {"/etc/services", SANDBOX_READ},
    {"/etc/ssl/certs", SANDBOX_READ},
};

void
sandbox_paths_free(struct sandbox_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free((void *)(uintptr_t)paths->items[i].path);
    free(paths->items);
}

aw_result
sandbox_paths_add(struct sandbox_paths *paths, const char *path, enum sandbox_access access)
{
    if (path == NULL)
        return AW_OK;
    struct sandbox_path *grown =
        realloc(paths->items, (paths->count + 1) * sizeof(paths->items[0]));
    if (grown == NULL)
        return aw_fail_memory();
    paths->items = grown;
    char *copy = strdup(path);
    if (copy == NULL)
        return aw_fail_memory();
    grown[paths->count++] = (struct sandbox_path){copy, access};
    return AW_OK;
}

/* A file that is replaced is another file then: its folder stays the same. */
aw_result
sandbox_paths_add_folder_of(
    struct sandbox_paths *paths, const char *path, enum sandbox_access access)
{
    AW_CLEANUP(aw_free) char *folder = path == NULL ? NULL : strdup(path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');

    if (path == NULL)
        return AW_OK;
    if (folder == NULL)
        return aw_fail_memory();
    if (slash == NULL)
        return sandbox_paths_add(paths, ".", access);
    slash[slash == folder ? 1 : 0] = '\0';
    return sandbox_paths_add(paths, folder, access);
}

aw_result
sandbox_paths_add_all(struct sandbox_paths *paths, const struct sandbox_path *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        AW_TRY(sandbox_paths_add(paths, list[i].path, list[i].access));
    return AW_OK;
}

aw_result
sandbox_paths_add_strings(
    struct sandbox_paths *paths, const struct aw_yaml_strings *strings, enum sandbox_access access)
{
    for (size_t i = 0; i < strings->count; i++)
        AW_TRY(sandbox_paths_add(paths, strings->items[i].text, access));
    return AW_OK;
}

aw_result
sandbox_paths_add_libraries(struct sandbox_paths *paths)
{
    return sandbox_paths_add_all(paths, libraries, AW_COUNT(libraries));
}

aw_result
sandbox_paths_add_network(struct sandbox_paths *paths)
{
    return sandbox_paths_add_all(paths, network_files, AW_COUNT(network_files));
}
