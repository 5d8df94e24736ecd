/**
 * @file core_freeze.h
 * @brief What is frozen, at the start: the files in the state folder, and the records of the log.
 *
 * A freeze is in a file, which stops signing before its record is written and also where there is
 * no room for one, and on record, where it outlives the file. What either has is frozen.
 */
#ifndef AW_SIGNER_CORE_FREEZE_H
#define AW_SIGNER_CORE_FREEZE_H

#include "signer/core.h"

/** Reads the files. One that can't be read ends the start, and so does one of applications that
 * says nothing; frozen.json need not say anything: its presence is the freeze. */
AW_MUST_USE aw_result core_freeze_read(struct core *core);

/**
 * Holds the files against the ledger: a freeze that is on record and in no file (lost, emptied,
 * older, another host's) counts, is alarmed of (`freeze.restored`) and written again; one that is
 * in a file alone is put on record. Once, before anybody is served.
 * @return also what core_record says: what can't be recorded must not pass unnoticed
 */
AW_MUST_USE aw_result core_freeze_compare(struct core *core);

#endif
