/* A passphrase from where neither ps nor the environment of a process shows it. */
#include <string.h>
#include <unistd.h>

#include "client/export.h"
#include "common/io.h"

static aw_result
cut_line(aw_secret *secret)
{
    size_t size = secret->size;

    if (size > 0 && secret->data[size - 1] == '\n')
        size--;
    if (size > 0 && secret->data[size - 1] == '\r')
        size--;
    if (size == 0)
        return aw_fail(AW_CODE_USAGE, "the passphrase is empty");
    for (size_t i = 0; i < size; i++)
        if (secret->data[i] < ' ' || secret->data[i] > '~')
            return aw_hint(
                aw_fail(AW_CODE_USAGE, "octet %zu of the passphrase is not printable ASCII", i + 1),
                "write one line of ASCII: programs encode other characters differently, and then "
                "the file can't be opened");
    secret->size = size;
    return AW_OK;
}

aw_result
passphrase_read(const char *file, int descriptor, aw_secret **out)
{
    AW_CLEANUP(aw_secret_free) aw_secret *secret = NULL;
    AW_CLEANUP(aw_close) int opened = -1;

    AW_TRY(aw_secret_new(EXPORT_PASSPHRASE_MAX, &secret));
    if (file != NULL)
        AW_TRY(aw_file_open_checked(file, geteuid(), 0077, &opened));
    AW_TRY(aw_context(
        aw_fd_read_secret(file != NULL ? opened : descriptor, secret), "the passphrase"));
    AW_TRY(cut_line(secret));
    *out = AW_MOVE(secret);
    return AW_OK;
}
