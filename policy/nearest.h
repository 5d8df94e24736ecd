/**
 * @file nearest.h
 * @brief The entry of an application that a refused name came closest to.
 */
#ifndef AW_POLICY_NEAREST_H
#define AW_POLICY_NEAREST_H

#include "policy/decide.h"

/** An entry of one of the application's lists. */
struct nearest {
    const char *list; /**< as in the file: "subdomains_of"; NULL: there is none near */
    const char *text; /**< the entry */
    bool covers;      /**< it would have allowed the name, had no other rule refused it */
};

/** The entry that covers the name, else the one most like it. */
struct nearest
policy_nearest(const struct policy_application *application, const struct aw_name *name);

/** The entry of the ceiling that holds the name; of no ceiling: the one most like it. NULL: none.
 */
const char *policy_nearest_ceiling(const policy_snapshot *snapshot,
    const struct application *application, const struct aw_name *name);

#endif
