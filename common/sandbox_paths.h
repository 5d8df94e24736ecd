/**
 * @file sandbox_paths.h
 * @brief The paths of a sandbox (sandbox.h), put together.
 */
#ifndef AW_COMMON_SANDBOX_PATHS_H
#define AW_COMMON_SANDBOX_PATHS_H

#include <stddef.h>

#include "common/result.h"
#include "common/sandbox.h"
#include "common/yaml.h"

/** Paths; each text is owned. Begin with zero; release: sandbox_paths_free. */
struct sandbox_paths {
    struct sandbox_path *items;
    size_t count;
};

/** Releases; for AW_CLEANUP. */
void sandbox_paths_free(struct sandbox_paths *paths);

/** Adds a copy of one; NULL: nothing. */
AW_MUST_USE aw_result sandbox_paths_add(
    struct sandbox_paths *paths, const char *path, enum sandbox_access access);

/** Adds the folder of a file: one that is replaced is another file then, its folder stays. */
AW_MUST_USE aw_result sandbox_paths_add_folder_of(
    struct sandbox_paths *paths, const char *path, enum sandbox_access access);

/** Adds copies of `count` paths, each with its own access. */
AW_MUST_USE aw_result sandbox_paths_add_all(
    struct sandbox_paths *paths, const struct sandbox_path *list, size_t count);

/** Adds copies of a list of the configuration, all with one access. */
AW_MUST_USE aw_result sandbox_paths_add_strings(
    struct sandbox_paths *paths, const struct aw_yaml_strings *strings, enum sandbox_access access);

/** Adds programs and libraries, and what the C library and OpenSSL read. */
AW_MUST_USE aw_result sandbox_paths_add_libraries(struct sandbox_paths *paths);

/** Adds what looking up hosts and verifying their certificates reads. */
AW_MUST_USE aw_result sandbox_paths_add_network(struct sandbox_paths *paths);

#endif
