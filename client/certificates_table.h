/**
 * @file certificates_table.h
 * @brief The stored certificates as a table: what is in use, until when, and what renews it.
 */
#ifndef AW_CLIENT_CERTIFICATES_TABLE_H
#define AW_CLIENT_CERTIFICATES_TABLE_H

#include "client/output.h"
#include "client/store.h"

/** When a certificate is to be renewed, and why then. Release: certificates_plan_free. */
struct certificates_plan {
    int64_t at;     /**< Unix seconds; 0: not by itself */
    bool window;    /**< the CA has named the time (RFC 9773) */
    bool attention; /**< a person should look */
    bool failing;   /**< it can't be used */
    char *why;
};

/** Plans by the certificate's lifetime and the settings that are there. @param root as in store.h
 */
AW_MUST_USE aw_result certificates_plan_of(
    const char *root, const struct store_entry *entry, int64_t now, struct certificates_plan *out);

/** Releases and zeroes. */
void certificates_plan_free(struct certificates_plan *plan);

/** A table that grows row by row. Zero-initialise; release: certificates_table_free. */
struct certificates_table {
    struct certificates_row *rows;
    size_t count, room;
};

/** Adds a row. */
AW_MUST_USE aw_result certificates_table_add(struct certificates_table *table,
    const struct store_entry *entry, const struct certificates_plan *plan, int64_t now);

/** Prints all rows, with a heading. */
void certificates_table_print(const struct certificates_table *table, struct output *out);

/** Releases and zeroes. */
void certificates_table_free(struct certificates_table *table);

#endif
