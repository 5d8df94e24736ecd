/**
 * @file export.h
 * @brief A stored certificate in the form that another program or host takes it in.
 *
 * The store is read, never changed or locked: a reader that finds a certificate and a key of two
 * versions says so. Each file is replaced atomically. export.c lays files out, export_read.c reads
 * the store, export_pkcs12.c writes PKCS#12 (RFC 7292), passphrase.c reads its passphrase.
 */
#ifndef AW_CLIENT_EXPORT_H
#define AW_CLIENT_EXPORT_H

#include <stdbool.h>
#include <sys/types.h>

#include <openssl/types.h>

#include "client/chain.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    EXPORT_PASSPHRASE_MAX = 1024,    /**< octets */
    EXPORT_ITERATIONS = 100000,      /**< of PBKDF2 and of the MAC: about 50 ms to try one */
    EXPORT_LEGACY_ITERATIONS = 2000, /**< what old Windows writes itself */
    EXPORT_PKCS12_MAX = 2 * CHAIN_PEM_MAX,
};

/** The layouts. */
enum export_format {
    EXPORT_PEM,     /**< a folder with cert.pem, chain.pem, fullchain.pem, privkey.pem */
    EXPORT_PKCS12,  /**< one file: key and chain, encrypted */
    EXPORT_IIS_CCS, /**< a folder with one PKCS#12 file a host name: the IIS Central Certificate
                       Store */
    EXPORT_HAPROXY, /**< one file: chain, then key */
};

/** Names of the formats, in the order of the enum; ended by NULL. */
extern const char *const export_formats[];

/** What is to be exported, and how. */
struct export_request {
    const char *root; /**< of the store */
    const char *cert_name;
    enum export_format format;
    const char *out;             /**< file or folder, by the format; a file's may be a folder */
    const aw_secret *passphrase; /**< of PKCS#12; NULL for the other formats */
    bool legacy;                 /**< PKCS#12 for programs that know nothing newer */
    gid_t group;                 /**< may read the files; (gid_t)-1: only their owner */
};

/** What is stored: key and chain belong together. Release: export_material_free. */
struct export_material {
    struct chain chain;
    EVP_PKEY *key;
};

/** What was written. Release: export_result_free. */
struct export_result {
    char **files; /**< paths */
    size_t file_count;
    char **skipped; /**< addresses, which the IIS store has no files for */
    size_t skipped_count;
    int64_t not_after;
};

/** True for the formats that hold the key encrypted and take a passphrase. */
bool export_encrypts(enum export_format format);

/** Reads and writes. AW_CODE_BUSY when the certificate is being replaced meanwhile. */
AW_MUST_USE aw_result export_run(const struct export_request *request, struct export_result *out);

/** Releases and zeroes. */
void export_result_free(struct export_result *result);

/**
 * Reads chain and key of the live version.
 * @return AW_CODE_NOT_FOUND, AW_CODE_CORRUPT, AW_CODE_BUSY
 */
AW_MUST_USE aw_result export_read(
    const char *root, const char *cert_name, struct export_material *out);

/** Releases and zeroes. */
void export_material_free(struct export_material *material);

/**
 * Key and chain as PKCS#12, DER: PBES2 with AES-256-CBC and PBKDF2 (RFC 8018), MAC with SHA-256; as
 * legacy, triple DES and SHA-1. Release with free().
 * @param name the entry's friendlyName: what Java calls alias
 */
AW_MUST_USE aw_result export_pkcs12(const struct export_material *material,
    const struct export_request *request, uint8_t **der, size_t *size);

/**
 * Reads a passphrase from a file that nobody else may read, or from a descriptor: one line of
 * printable ASCII, since programs differ in how they encode the rest.
 * @param file NULL: `descriptor` is read to its end
 */
AW_MUST_USE aw_result passphrase_read(const char *file, int descriptor, aw_secret **out);

#endif
