#include "signer/ledger_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"

#define SUFFIX ".seal"

enum {
    SEAL_SIZE = 2 * AW_DIGEST_SIZE + 1, /* in hexadecimal, and a newline */
    CHUNK = 65536,
    SEAL_MODE = 0640
};

static aw_result
hash_rest(int fd, const char *path, EVP_MD_CTX *context)
{
    char chunk[CHUNK];

    for (;;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return aw_fail_errno(AW_CODE_IO, "cannot read the ledger %s", path);
        if (got == 0)
            return AW_OK;
        if (EVP_DigestUpdate(context, chunk, (size_t)got) != 1)
            return aw_fail_openssl("cannot compute the digest of the ledger");
    }
}

/* As it stands in the seal. */
static aw_result
digest_of(const char *path, char out[SEAL_SIZE + 1])
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    AW_CLEANUP(aw_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    unsigned char digest[AW_DIGEST_SIZE];

    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "cannot open the ledger %s", path);
    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("cannot compute the digest of the ledger");
    AW_TRY(hash_rest(fd, path, context));
    if (EVP_DigestFinal_ex(context, digest, NULL) != 1)
        return aw_fail_openssl("cannot compute the digest of the ledger");
    aw_hex(digest, sizeof(digest), out);
    out[SEAL_SIZE - 1] = '\n';
    out[SEAL_SIZE] = '\0';
    return AW_OK;
}

/* Whether a seal is there that speaks of what is there. */
static aw_result
is_sealed(const char *path, const char *seal, bool *out)
{
    AW_CLEANUP(aw_free) char *log = NULL;
    struct stat status;

    *out = false;
    AW_TRY(aw_format(&log, "%s-wal", path));
    if (lstat(seal, &status) != 0 || lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return AW_OK;
    *out = lstat(log, &status) != 0 || status.st_size == 0;
    return AW_OK;
}

static aw_result
compare(const char *path, const char *seal)
{
    AW_CLEANUP(aw_free) char *sealed = NULL;
    char digest[SEAL_SIZE + 1];
    size_t size;

    AW_TRY(digest_of(path, digest));
    aw_result r = aw_file_read(seal, SEAL_SIZE, &sealed, &size);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r) || strcmp(sealed, digest) != 0)
        return aw_fail(AW_CODE_CORRUPT,
            "the ledger %s is not what it was when it was closed: its digest is another than that "
            "in %s",
            path, seal);
    return AW_OK;
}

aw_result
ledger_seal_break(const char *path, bool *whole)
{
    AW_CLEANUP(aw_free) char *seal = NULL;
    bool sealed;

    *whole = false;
    AW_TRY(aw_format(&seal, "%s" SUFFIX, path));
    AW_TRY(is_sealed(path, seal, &sealed));
    if (sealed)
        AW_TRY(compare(path, seal));
    if (unlink(seal) != 0) {
        if (errno == ENOENT)
            return AW_OK;
        return aw_fail_errno(AW_CODE_IO, "cannot remove %s", seal);
    }
    AW_TRY(aw_folder_sync_of(seal));
    *whole = sealed;
    return AW_OK;
}

aw_result
ledger_seal_make(const char *path)
{
    AW_CLEANUP(aw_free) char *seal = NULL;
    char digest[SEAL_SIZE + 1];

    AW_TRY(aw_format(&seal, "%s" SUFFIX, path));
    AW_TRY(digest_of(path, digest));
    return aw_file_replace(seal, digest, SEAL_SIZE, SEAL_MODE);
}
