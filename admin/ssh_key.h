/**
 * @file ssh_key.h
 * @brief A public key of OpenSSH, as ssh-keygen writes it, read strictly: the line goes into
 * authorized_keys, where every word more would be an option.
 */
#ifndef AW_ADMIN_SSH_KEY_H
#define AW_ADMIN_SSH_KEY_H

#include "common/result.h"

/** A key. Release: ssh_key_free. */
struct ssh_key {
    char *type;    /**< "ssh-ed25519" ... */
    char *base64;  /**< RFC 4253 6.6, canonical */
    char *comment; /**< printable ASCII; may be empty */
};

/**
 * Reads a file that holds one public key and nothing else: Ed25519, ECDSA on a NIST curve, or RSA
 * of 2048 to 16384 bits.
 * @return AW_CODE_SYNTAX with what is wrong
 */
AW_MUST_USE aw_result ssh_key_read(const char *path, struct ssh_key *out);

/** Releases and zeroes. */
void ssh_key_free(struct ssh_key *key);

#endif
