/**
 * @file support.h
 * @brief What the tests of the audit log share: a folder, a filled log, the file as text.
 */
#ifndef TESTS_AUDIT_SUPPORT_H
#define TESTS_AUDIT_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"

/** A folder with one log. */
struct scene {
    char folder[64];
    char path[96]; /**< of the log's file */
    audit_log *log;
    size_t repaired; /**< what the last scene_open said */
};

/** Makes the folder. */
void scene_begin(struct scene *scene);

/** Closes the log, removes the folder and all in it. */
void scene_end(struct scene *scene);

/** Opens the log and must succeed. */
void scene_open(struct scene *scene);

/** Opens the log so that `each` records of scene_append fill a segment; must succeed. */
void scene_open_segments(struct scene *scene, int each, struct audit_log_opening *opening);

/** A folder with a closed log of `count` records, `each` in a segment. */
void scene_fill_segments(struct scene *scene, int count, int each);

/** The path of a file of the log's folder. */
void scene_path(const struct scene *scene, const char *name, char out[128]);

/** Closes the log. */
void scene_close(struct scene *scene);

/** A folder with a closed log of `count` records. */
void scene_fill(struct scene *scene, int count);

/** Appends one decision and waits for it. */
AW_MUST_USE aw_result scene_append(struct scene *scene, int64_t *seq);

/** The log's file with a NUL behind it; release with free(). */
char *scene_load(const struct scene *scene, size_t *size);

/** Writes the log's file. */
void scene_store(const struct scene *scene, const char *bytes, size_t size);

/** The head of a log whose first `size` records are scene_append's. */
void scene_head_after(int64_t size, struct audit_head *out);

/** A checkpoint in form (nothing here verifies signatures) is stored beside the log. */
void scene_checkpoint(const struct scene *scene, const struct audit_head *head);

/** Files of the folder whose name begins so. */
int scene_count(const struct scene *scene, const char *prefix);

/** Fails the test, with the row's name, unless the last failure is of `code` and its message holds
 * `text`. */
void expect_failure(const char *row, aw_result r, enum aw_code code, const char *text);

/** Fails the test, with the row's name and the failure's message. */
void expect_ok(const char *row, aw_result r);

#endif
