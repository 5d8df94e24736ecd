/**
 * @file durable.h
 * @brief Which changes of files and folders would not survive a loss of power: kept by disk.c.
 *
 * Content is durable after fsync or fdatasync of its file, a name (rename, link, unlink, mkdir)
 * after fsync of the folder that it is in (fsync(2)). A file whose content is not yet durable must
 * not get a name that others read: after a crash it may be there and empty.
 */
#ifndef AW_TEST_DURABLE_H
#define AW_TEST_DURABLE_H

/** From now on changes are noted, in every thread; what was noted before is forgotten. */
void durable_watch(void);

/** The path of a change that is not durable yet, with what it is ("name of /x", "content of
 * /x", "/x got its name before its content was durable"), in a static buffer; NULL: all are. Files
 * that are made anew from others, or are SQLite's own matter, count for nothing. */
const char *durable_missing(void);

/* For disk.c, after a call that succeeded. */
void durable_note_content(int fd);
void durable_note_sync(int fd);
void durable_note_name(const char *path);
/* Before `from` gets the name `to`. */
void durable_note_naming(const char *from, const char *to);

#endif
