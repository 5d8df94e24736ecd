#include "audit/damage.h"

#include <string.h>

#include "audit/hasher.h"
#include "audit/record.h"
#include "common/hex.h"
#include "common/io.h"

/* A place in the file where a record of some sequence number stands. */
struct sighting {
    int64_t line; /* 0: nowhere */
    char digest[AW_DIGEST_HEX_SIZE];
};

/* Notes the line if it is record `seq`; one that is no record at all is passed over. */
static aw_result
look_at(const char *line, size_t length, int64_t number, int64_t seq, struct sighting *out)
{
    AW_CLEANUP(audit_record_free) struct audit_record record = {0};
    aw_result r = audit_record_parse(line, length, &record);

    if (r.code == AW_CODE_MEMORY || r.code == AW_CODE_CRYPTO)
        return r;
    if (aw_ok(r) && record.seq == seq) {
        out->line = number;
        memcpy(out->digest, record.digest, sizeof(out->digest));
    }
    return AW_OK;
}

/* The first line from `first` to before `end` (0: to the end) that is record `seq`. */
static aw_result
find_record(int fd, int64_t first, int64_t end, int64_t seq, struct sighting *out)
{
    AW_CLEANUP(audit_lines_end) struct audit_lines lines = {0};
    const char *line;
    size_t length;

    *out = (struct sighting){0};
    AW_TRY(audit_lines_begin(&lines, fd));
    while (out->line == 0) {
        AW_TRY(audit_lines_next(&lines, &line, &length));
        if (line == NULL || (end != 0 && lines.number >= end))
            return AW_OK;
        if (lines.number >= first)
            AW_TRY(look_at(line, length, lines.number, seq, out));
    }
    return AW_OK;
}

/* Record `expected` should stand here and a later one does: is it elsewhere, or nowhere? */
static aw_result
gap(const struct audit_lines *lines, const struct audit_record *found, int64_t expected)
{
    struct sighting later = {0};
    long long number = lines->number;

    aw_ignore(find_record(lines->fd, number + 1, 0, expected, &later),
        "the log is damaged either way; without this look the message is less exact");
    if (later.line != 0)
        return aw_fail(AW_CODE_CORRUPT,
            "records are reordered: line %lld holds record %lld, expected %lld, which is on line "
            "%lld",
            number, (long long)found->seq, (long long)expected, (long long)later.line);
    return aw_fail(AW_CODE_CORRUPT,
        "records are removed: line %lld holds record %lld, expected %lld (%lld missing)", number,
        (long long)found->seq, (long long)expected, (long long)(found->seq - expected));
}

/* Record `found` should stand further up. */
static aw_result
repeat(const struct audit_lines *lines, const struct audit_record *found, int64_t expected)
{
    struct sighting earlier = {0};
    long long number = lines->number;

    aw_ignore(find_record(lines->fd, 1, number, found->seq, &earlier), "as in gap");
    if (earlier.line == 0)
        return aw_fail(AW_CODE_CORRUPT,
            "a record of an earlier segment is repeated: line %lld holds record %lld, expected "
            "record %lld",
            number, (long long)found->seq, (long long)expected);
    if (strcmp(earlier.digest, found->digest) == 0)
        return aw_fail(AW_CODE_CORRUPT,
            "a record is duplicated: line %lld repeats record %lld of line %lld, expected record "
            "%lld",
            number, (long long)found->seq, (long long)earlier.line, (long long)expected);
    return aw_fail(AW_CODE_CORRUPT,
        "a record is inserted: line %lld holds a second, different record %lld (the first is on "
        "line "
        "%lld), expected record %lld",
        number, (long long)found->seq, (long long)earlier.line, (long long)expected);
}

aw_result
audit_damage_sequence(
    const struct audit_lines *lines, const struct audit_record *found, int64_t expected)
{
    return found->seq > expected ? gap(lines, found, expected) : repeat(lines, found, expected);
}

aw_result
audit_damage_digest(
    const struct audit_lines *lines, const struct audit_record *found, const char *expected)
{
    if (found->seq == 1)
        return aw_fail(AW_CODE_CORRUPT,
            "line 1 (record 1) is changed: it names a record before it, %s, expected none (zeros)",
            found->previous);
    if (lines->number == 1)
        return aw_fail(AW_CODE_CORRUPT,
            "record %lld (the last one of the segment before) is changed, or the record after it "
            "(line 1): its digest is %s, the next record says %s",
            (long long)found->seq - 1, expected, found->previous);
    return aw_fail(AW_CODE_CORRUPT,
        "record %lld (line %lld) is changed, or the record after it: its digest is %s, the next "
        "record says %s",
        (long long)found->seq - 1, (long long)lines->number - 1, expected, found->previous);
}
