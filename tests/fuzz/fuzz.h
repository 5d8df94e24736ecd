/**
 * @file fuzz.h
 * @brief What fuzz targets share: properties that end the run, and checks of common values.
 *
 * A target is one function, called by libFuzzer or by the replay main. It may keep state that no
 * input changes, and reports how an input fared, so that seeds can be held to it.
 */
#ifndef AW_TEST_FUZZ_H
#define AW_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "common/names.h"
#include "common/result.h"
#include "common/yaml.h"

/** The target; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Ends the run, with the property that does not hold. */
_Noreturn void fuzz_fail(const char *file, int line, const char *property);

/** A property of the code under test. */
#define FUZZ_CHECK(property)                          \
    do {                                              \
        if (!(property))                              \
            fuzz_fail(__FILE__, __LINE__, #property); \
    } while (0)

/** Notes that the code under test took the present input for good. */
void fuzz_accept(void);

/** Inputs, or parts of inputs, that were taken for good so far. */
size_t fuzz_accepted(void);

/** The input as a string of exactly its size: what is read beyond it is found. Release: free(). */
char *fuzz_text(const uint8_t *data, size_t size);

/** A refusal tells its code and what is wrong, and is not a fault of ours. */
void fuzz_check_refusal(aw_result r);

/** Text that may go to a terminal: no control characters. NULL is allowed. */
void fuzz_check_plain(const char *text);

/** Every fault has a file and text for a terminal. */
void fuzz_check_faults(const struct aw_faults *faults);

/** A name is canonical: parsing its text yields the very same. */
void fuzz_check_name(const struct aw_name *name);

/** Names are canonical, sorted and different. */
void fuzz_check_names(const struct aw_name *names, size_t count);

/** A folder in memory where there is one, made at the first call, removed at the end. */
const char *fuzz_folder(void);

/** True when both are NULL or the same text. */
bool fuzz_same_text(const char *a, const char *b);

#endif
