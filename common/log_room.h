/**
 * @file log_room.h
 * @brief Whether who reads the log, or the journal, takes something now.
 */
#ifndef AW_COMMON_LOG_ROOM_H
#define AW_COMMON_LOG_ROOM_H

#include <stdbool.h>

/** Where journald listens. */
#define AW_JOURNAL_SOCKET "/run/systemd/journal/socket"

/** A socket that is connected to journald's, to look at its room with: libsystemd's own waits for
 * room, and nobody else can reach it. -1 where there is no journal. */
int aw_journal_probe(void);

/** False when a write of PIPE_BUF octets would have to wait. An error is the write's to find; -1
 * always has room. */
bool aw_has_room(int fd);

#endif
