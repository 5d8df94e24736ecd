/**
 * @file audit.h
 * @brief The audit log: append-only JSON lines, each with the digest of the one before.
 *
 * The log is the truth; whatever else keeps state about decisions is an index of it. A record gets
 * its sequence number when it is appended, and is durable when audit_log_wait returns: one write
 * and fdatasync serves all that wait (group commit), done by the first of them, or, where making
 * durable takes long, by a thread of the log's own while they do other things. After the first
 * failed write or fsync the log is broken for good: every later call fails, so that nothing is
 * signed unrecorded.
 */
#ifndef AW_AUDIT_AUDIT_H
#define AW_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hex.h"
#include "common/json.h"
#include "common/result.h"

/** Limits. */
enum {
    AUDIT_RECORD_MAX = 64 * 1024,     /**< octets of a line with its newline */
    AUDIT_QUEUE_MAX = 4096,           /**< records waiting to become durable */
    AUDIT_QUEUE_RESERVED = 1024,      /**< of these for what is permitted */
    AUDIT_RESERVE = 64 * 1024 * 1024, /**< octets of the file system for what is permitted: some
                                          80,000 records; of one under 640 MiB a tenth */
    AUDIT_SEGMENT_SIZE = 64 * 1024 * 1024, /**< octets after which a segment is closed, unless told
                                               otherwise: some 100,000 records */
};

/** Kinds of records: name in the file. */
#define AUDIT_KINDS(X)                                                                    \
    X(START, "start")             /* the signer started: version, configuration digest */ \
    X(STOP, "stop")               /* it ended in order */                                 \
    X(DECISION, "decision")       /* an application's request: permit or refuse */        \
    X(REFUSALS, "refusals")       /* how many were refused beyond a user's budget */      \
    X(CLAIM, "claim")             /* URLs named for an order */                           \
    X(CERTIFICATE, "certificate") /* a certificate handed back */                         \
    X(ADMIN, "admin")             /* an administrator's operation: permit or refuse */    \
    X(OUTCOME, "outcome")         /* a permitted operation failed after its record */     \
    X(RELOAD, "reload")           /* policy reloaded, or the reload refused */            \
    X(ALARM, "alarm")             /* something a person should look at */                 \
    X(ISSUERS, "issuers")         /* what a CA's certificates must chain to */

/** Kinds of records. */
enum audit_kind {
#define AUDIT_KIND_ENUM(name, text) AUDIT_##name,
    AUDIT_KINDS(AUDIT_KIND_ENUM)
#undef AUDIT_KIND_ENUM
};

/** Name of a kind as in the file. */
const char *audit_kind_name(enum audit_kind kind);

/**
 * What a caller says of a record; NULL members are left out. The log adds seq, time and the
 * previous record's digest. All text is escaped as JSON; the caller bounds its length.
 */
struct audit_entry {
    enum audit_kind kind;
    int64_t time; /**< Unix seconds, from the signer's clock (audit_log keeps it monotone:
                       a clock that went back is recorded as the later time) */
    bool has_uid;
    uint32_t uid;     /**< peer's uid */
    const char *user; /**< its name */
    const char *application;
    const char *account;
    const char *operation;    /**< "new-order", "finalize", "eab-import" ... */
    const char *verdict;      /**< "permit" or "refuse" or "warn" */
    const char *rule;         /**< tag of the rule that decided */
    const char *const *names; /**< identifiers in canonical text */
    size_t name_count;
    const char *policy;      /**< SHA-256 of the policy snapshot, hex */
    const char *input;       /**< SHA-256 of the signing input, hex */
    int64_t order;           /**< sequence number of the new-order record it belongs to; 0: none */
    const char *order_url;   /**< finalize: with finalize_url and csr the bound triple */
    const char *url;         /**< URL signed for, or the one URL claimed */
    const char *url_kind;    /**< claim: order, finalize, authorization, challenge, certificate */
    const char *csr;         /**< SHA-256 of the CSR, hex */
    const char *key;         /**< SHA-256 of the SubjectPublicKeyInfo, hex */
    const char *serial;      /**< certificate serial, hex */
    int64_t not_after;       /**< certificate; 0: none */
    const char *issuer;      /**< certificate: its issuer's name (RFC 4514) */
    const char *certificate; /**< SHA-256 of the certificate, hex */
    bool has_verified;       /**< certificate: issuers are pinned for its CA, so it was verified */
    bool verified;           /**< it chains to them */
    int64_t account_id;   /**< account that an ACME client has with a relay: sequence number of its
                               inner-account record; 0: none */
    const char *jwk;      /**< such an account's key, as RFC 7638 writes it */
    const char *evidence; /**< SHA-256 of the signing input of what the client signed, hex */
    const char *kid;     /**< app-eab that the record is about, or that an account was bound with */
    int64_t count;       /**< refusals: how many; app-eab-create: accounts that may be made with
                              it; 0: none, or any number */
    const char *message; /**< for a person */
};

/** Whether it is among the record's names. */
bool audit_entry_has_name(const struct audit_entry *entry, const char *name);

/** A record as read back. Strings point into `json` or are NULL. */
struct audit_record {
    cJSON *json;
    int64_t seq;
    struct audit_entry entry;
    const char **names_storage;        /**< owns entry.names */
    char previous[AW_DIGEST_HEX_SIZE]; /**< hex digest of the previous line */
    char digest[AW_DIGEST_HEX_SIZE];   /**< hex digest of this line, newline included */
};

/** Operation of the record (kind `admin`) that names the log's next key: `key` is the digest of its
 * SubjectPublicKeyInfo, `message` its verifier key line. */
#define AUDIT_KEY_NEXT "audit-key-next"

/** Parses one line (with or without its newline) strictly. Release: audit_record_free. */
AW_MUST_USE aw_result audit_record_parse(const char *line, size_t length, struct audit_record *out);

/** Releases and zeroes. */
void audit_record_free(struct audit_record *record);

/** The open log, for writing. */
typedef struct audit_log audit_log;

/**
 * Opens or creates `folder`/audit.jsonl (0640, O_APPEND, locked against a second writer), verifies
 * the whole chain, repairs a torn last line (cut back to the last whole record; how many octets is
 * said in *repaired and kept beside the log in audit.jsonl.torn-TIME), starts the writer's thread.
 * From then on the process ignores SIGXFSZ: a file size limit is an error of write, not an end.
 * @param[out] repaired octets cut, 0 for none
 * The checkpoints that are stored beside the log (stored.h) must be of it.
 * @return AW_CODE_CORRUPT when a whole record is damaged (line number said) or the log does not
 *         continue a stored checkpoint: nothing is repaired;
 *         AW_CODE_BUSY when another writer has the log; AW_CODE_PERMISSION for loose modes
 */
AW_MUST_USE aw_result audit_log_open(const char *folder, audit_log **out, size_t *repaired);

/** How a log is opened. */
struct audit_log_how {
    const char *folder;
    int64_t segment_size; /**< octets after which a segment is closed; 0: AUDIT_SEGMENT_SIZE */
};

/** What was found. */
struct audit_log_opening {
    size_t repaired;  /**< octets of a torn tail that were cut, 0 for none */
    int64_t begun;    /**< records that were taken on trust: those before the mark (mark.h) that the
                           walk began at; 0: all were read */
    int64_t segments; /**< closed segments */
    int64_t mended;   /**< marks of closed segments that were missing or wrong and were made anew */
};

/**
 * Like audit_log_open. The walk begins at the last mark that a stored checkpoint covers (the
 * last mark where there are no checkpoints), so it does not grow with the whole log; where that
 * mark is missing, or does not fit to the records or to the checkpoints, further back.
 * @return AW_CODE_NOT_FOUND when it would have to begin in a segment that was archived;
 *         AW_CODE_CORRUPT when there are closed segments, but no audit.jsonl
 */
AW_MUST_USE aw_result audit_log_open_with(
    const struct audit_log_how *how, audit_log **out, struct audit_log_opening *opening);

/** Makes what is queued durable, stops the writer, closes, nulls; NULL is allowed. */
void audit_log_close(audit_log **log);

/**
 * Queues a record and gives its sequence number (from 1, without gaps). Callers that keep an index
 * call this under their own lock so that the order of records is the order of their changes.
 * @return AW_CODE_BUSY when AUDIT_QUEUE_MAX records, or 16 MiB of them, wait; AW_CODE_LIMIT for an
 *         entry whose line is too long; AW_CODE_SYNTAX and AW_CODE_INTERNAL for values that no
 *         record holds (a digest that is not 64 lower-case hex digits, a negative time); none of
 *         these changes the log. AW_CODE_IO and others once broken
 */
AW_MUST_USE aw_result audit_log_append(
    audit_log *log, const struct audit_entry *entry, int64_t *seq);

/** What the log gave a record. */
struct audit_receipt {
    int64_t seq;
    int64_t time; /**< as recorded: the entry's, or later where the clock went back */
    size_t size;  /**< octets of its line */
    char digest[AW_DIGEST_HEX_SIZE]; /**< hex digest of its line: covers all before it */
};

/** Like audit_log_append, for callers that keep an index of the log. */
AW_MUST_USE aw_result audit_log_record(
    audit_log *log, const struct audit_entry *entry, struct audit_receipt *receipt);

/**
 * Waits until record `seq` is durable (fsync done, and the file still the one that the path names).
 * Once the log is broken it fails for every record, durable or not: release nothing then.
 */
AW_MUST_USE aw_result audit_log_wait(audit_log *log, int64_t seq);

/** The last sequence number appended and made durable. */
void audit_log_position(audit_log *log, int64_t *appended, int64_t *durable);

/** Room for records, as of the last batch or audit_log_healthy. */
struct audit_room {
    int64_t free;    /**< octets that the file system has left for us, less what waits */
    int64_t reserve; /**< of these for what is permitted */
    bool spare;      /**< there is more than the reserves of file system and queue: what permits
                          nothing may be written. Where the room is not known there is none */
};

/** Says how much room there is. Never blocks on the disk. */
void audit_log_room(audit_log *log, struct audit_room *out);

/**
 * Fails when the log is broken, or its file was removed, replaced, cut or written to behind our
 * back (AW_CODE_CORRUPT), which breaks the log for good too.
 */
AW_MUST_USE aw_result audit_log_healthy(audit_log *log);

/** A closed segment. */
struct audit_segment {
    int64_t number; /**< from 1 */
    int64_t first;  /**< number of its first record */
    int64_t last;   /**< and of its last */
};

/**
 * Closes the segment that is written to, once all that is queued is durable, and begins the next.
 * The chain and the tree go on; what is closed is made read-only and not written to any more.
 * @return AW_CODE_NOT_FOUND when it has no records; another failure leaves the log as it was,
 *         unless it says that the log is broken
 */
AW_MUST_USE aw_result audit_log_rotate(audit_log *log, struct audit_segment *closed);

/** How the segments are. */
struct audit_log_segments {
    int64_t closed;                      /**< how many were closed */
    int64_t last;                        /**< number of the last record in them */
    int64_t size;                        /**< octets of the segment that is written to */
    char message[AW_ERROR_MESSAGE_SIZE]; /**< why the last one could not be closed, or not in full;
                                              empty: nothing failed */
};

/** Says how the segments are. */
void audit_log_segments(audit_log *log, struct audit_log_segments *out);

/** Called for each record in order; a failure stops the walk and is returned. */
typedef aw_result (*audit_visit)(const struct audit_record *record, void *context);

/**
 * Reads records from sequence number `from` on, to the last whole one, without locking the writer;
 * the last ones may not be durable yet. The chain is checked on the way.
 */
AW_MUST_USE aw_result audit_read(
    const char *folder, int64_t from, audit_visit visit, void *context);

/** A closed segment that is not at hand, by its mark. */
struct audit_absent {
    int64_t segment;
    int64_t first, last; /**< its records */
};

/** Where a log is read from. */
struct audit_source {
    const char *folder;          /**< the log's own */
    const char *const *archives; /**< folders that closed segments were moved to */
    size_t archive_count;
    bool partial; /**< pass over segments that are in none of them; else AW_CODE_NOT_FOUND */
    void (*absent)(
        const struct audit_absent *absent, void *context); /**< told of each that was
                                                                passed over; may be NULL */
    void *context;
};

/** The same from any source. It begins with the segment of record `from`. */
AW_MUST_USE aw_result audit_read_source(
    const struct audit_source *source, int64_t from, audit_visit visit, void *context);

/** A hash of the Merkle tree over the records (tree.h): of a leaf, a node or the root. */
struct audit_hash {
    uint8_t bytes[AW_DIGEST_SIZE];
};

/** The head of the tree. */
struct audit_head {
    int64_t size; /**< records that it covers: 1 to `size` */
    struct audit_hash root;
};

/**
 * The head of the tree over all records appended so far, once they are durable: what is told of it
 * cannot be lost. Computed from what the log keeps in memory, O(log n).
 */
AW_MUST_USE aw_result audit_log_head(audit_log *log, struct audit_head *out);

/** A head that the log must have had: of a checkpoint. */
struct audit_expected {
    struct audit_head head;
    const char *source; /**< where the checkpoint is, for messages */
    bool *compared;     /**< set when the log was held against it; NULL: nobody asks */
};

/** What a verification found. */
struct audit_verdict {
    int64_t records;               /**< whole records found in order */
    char head[AW_DIGEST_HEX_SIZE]; /**< digest of the last one */
    struct audit_hash root;        /**< of the tree over all of them */
    int64_t first_time, last_time; /**< of those that were read */
    int64_t segments;              /**< closed ones */
    int64_t absent;    /**< records in segments that are not at hand: they were not verified */
    int64_t unchecked; /**< expected heads within these: they were not compared */
    size_t torn; /**< octets behind the last whole record: a torn tail, or, beside a running signer,
                      a record that is just being written */
};

/**
 * Verifies the chain from the first record without token or daemon.
 * @return AW_CODE_CORRUPT with the line, sequence number and kind of damage (changed, removed,
 *         reordered); AW_CODE_NOT_FOUND
 */
AW_MUST_USE aw_result audit_verify(const char *folder, struct audit_verdict *out);

/**
 * Verifies the chain, and that the log continues each of `count` checkpoints: its first records are
 * those that the checkpoint covers. The log of a running signer is read without waiting for it.
 * @return as audit_verify; AW_CODE_CORRUPT for a log that was cut back behind a checkpoint or
 *         rewritten before it, with the checkpoint's source
 */
AW_MUST_USE aw_result audit_verify_heads(const char *folder, const struct audit_expected *expected,
    size_t count, struct audit_verdict *out);

/**
 * The same from any source. The walk takes no mark on trust but those of segments that are passed
 * over; the marks of all others must be those that it makes itself.
 */
AW_MUST_USE aw_result audit_verify_source(const struct audit_source *source,
    const struct audit_expected *expected, size_t count, struct audit_verdict *out);

#endif
