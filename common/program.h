/**
 * @file program.h
 * @brief What the daemons' main() has in common: the command line, the limit of descriptors.
 */
#ifndef AW_COMMON_PROGRAM_H
#define AW_COMMON_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

/** An option without a value. */
struct aw_program_flag {
    const char *name; /**< without "--" */
    bool *set;        /**< becomes true */
};

/** A daemon's command line: its flags, and --config FILE (-c), --version, --help. */
struct aw_program {
    const char *name;
    const char *usage;   /**< for --help and after a mistake */
    const char **config; /**< set by --config */
    const struct aw_program_flag *flags;
    size_t flag_count; /**< at most AW_PROGRAM_FLAGS_MAX */
};

enum { AW_PROGRAM_FLAGS_MAX = 8 };

/**
 * Reads the command line; writes version or usage to standard output, mistakes to standard error.
 * @return -1 to go on, else the exit status
 */
int aw_program_options(const struct aw_program *program, int argc, char **argv);

/**
 * First of all: opens what is closed of standard input, output and error, on /dev/null. Otherwise a
 * file that is opened later takes the number, and messages are written into it.
 */
void aw_program_streams(void);

/** Writes this thread's last failure to standard error, and what to do about it. */
void aw_program_failed(const char *name);

/** Raises the limit of descriptors, unless it is as high. False: this many are not allowed; what is
 * allowed is set. */
bool aw_program_descriptors(rlim_t wanted);

#endif
