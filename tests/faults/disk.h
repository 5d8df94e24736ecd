/**
 * @file disk.h
 * @brief A disk that fails when a test says so: for our code and for SQLite.
 *
 * A program that links this has its own write, pwrite, fsync, fdatasync, rename and ftruncate,
 * which pass on to the C library's, or fail for the files that a rule names. What they change is
 * noted too (durable.h), with link, unlink and mkdir.
 */
#ifndef AW_TEST_DISK_H
#define AW_TEST_DISK_H

/** In place of an errno: the call hangs until disk_fail_end, and is then made. */
enum { DISK_HANGS = -1 };

/** From now on that call fails with that errno on every file whose path ends in `suffix`, or in
 * that and the ".XXXXXX" of a temporary file; it may hold wildcards (fnmatch). Of rename it is the
 * new path; "rename done" fails after the deed. "pwrite" and "ftruncate" are SQLite's too. One rule
 * at a time; the strings are kept. */
void disk_fail(const char *call, const char *suffix, int error);

/** Ends it; how often a call failed since. */
unsigned disk_fail_end(void);

#endif
