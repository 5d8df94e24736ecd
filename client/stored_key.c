#include "client/stored_key.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "client/chain.h"
#include "common/openssl.h"
#include "csr/der.h"

/* A public key: what it is for, of a curve which, and its octets. */
struct public_key {
    int algorithm, curve; /* OpenSSL's numbers; NID_undef: none */
    struct der octets;
};

static const struct {
    int curve;
    const char *type;
} curves[] = {
    {NID_X9_62_prime256v1, "ec-p256"},
    {NID_secp384r1, "ec-p384"},
};

static const struct {
    size_t bits;
    const char *type;
} lengths[] = {
    {2048, "rsa-2048"},
    {3072, "rsa-3072"},
    {4096, "rsa-4096"},
};

static bool
read_public(const X509 *certificate, struct public_key *out)
{
    X509_PUBKEY *info = X509_get_X509_PUBKEY(certificate);
    const unsigned char *octets = NULL;
    const ASN1_OBJECT *algorithm = NULL;
    const void *parameter = NULL;
    X509_ALGOR *both = NULL;
    int size = 0, type = V_ASN1_UNDEF;

    if (info == NULL || X509_PUBKEY_get0_param(NULL, &octets, &size, &both, info) != 1)
        return false;
    X509_ALGOR_get0(&algorithm, &type, &parameter, both);
    *out = (struct public_key){OBJ_obj2nid(algorithm),
        type == V_ASN1_OBJECT ? OBJ_obj2nid(parameter) : NID_undef, {octets, (size_t)size}};
    return true;
}

/* RFC 8017 A.1.1: SEQUENCE { modulus, publicExponent }. */
static size_t
modulus_bits(struct der octets)
{
    struct der key, modulus;

    if (der_take(&octets, DER_SEQUENCE, &key) != DER_TAKEN ||
        der_take(&key, DER_INTEGER, &modulus) != DER_TAKEN)
        return 0;
    modulus = der_trim(modulus);
    size_t bits = 8 * modulus.size;
    for (unsigned bit = 0x80; modulus.size > 0 && bit > 0 && (modulus.data[0] & bit) == 0;
         bit >>= 1)
        bits--;
    return bits;
}

const char *
stored_key_type(const X509 *certificate)
{
    struct public_key key;
    size_t bits;

    if (!read_public(certificate, &key))
        return "other";
    for (size_t i = 0; key.algorithm == NID_X9_62_id_ecPublicKey && i < AW_COUNT(curves); i++)
        if (curves[i].curve == key.curve)
            return curves[i].type;
    bits = key.algorithm == NID_rsaEncryption ? modulus_bits(key.octets) : 0;
    for (size_t i = 0; i < AW_COUNT(lengths); i++)
        if (lengths[i].bits == bits)
            return lengths[i].type;
    return "other";
}

/* Private keys. */

/* DER that is wiped. */
struct block {
    char *name, *header;
    unsigned char *data;
    long size;
};

static void
free_block(struct block *block)
{
    OPENSSL_free(block->name);
    OPENSSL_free(block->header);
    if (block->data != NULL)
        OPENSSL_clear_free(block->data, (size_t)block->size);
}

static bool
decode(const aw_secret *pem, struct block *out)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->size);

    /* OpenSSL wipes what it needed meanwhile. */
    bool good =
        bio != NULL && PEM_read_bio(bio, &out->name, &out->header, &out->data, &out->size) == 1;
    ERR_clear_error();
    return good && strcmp(out->name, PEM_STRING_PKCS8INF) == 0;
}

/* RFC 5958 2: OneAsymmetricKey of a curve (RFC 5480 2.1.1), whose octets hold an ECPrivateKey. */
static bool
take_curve_key(struct der in, int *curve, struct der *key)
{
    struct der whole, version, both, algorithm, parameter;

    if (der_take(&in, DER_SEQUENCE, &whole) != DER_TAKEN ||
        der_take(&whole, DER_INTEGER, &version) != DER_TAKEN ||
        der_take(&whole, DER_SEQUENCE, &both) != DER_TAKEN ||
        der_take(&both, DER_OID, &algorithm) != DER_TAKEN ||
        !der_is_oid(&algorithm, NID_X9_62_id_ecPublicKey) ||
        der_take(&both, DER_OID, &parameter) != DER_TAKEN ||
        der_take(&whole, DER_OCTET_STRING, key) != DER_TAKEN)
        return false;
    for (size_t i = 0; i < AW_COUNT(curves); i++)
        if (der_is_oid(&parameter, curves[i].curve))
            *curve = curves[i].curve;
    return *curve != NID_undef;
}

/* RFC 5915 3: version, privateKey, parameters [0], publicKey [1]. Its BIT STRING begins with the
 * number of unused bits. */
static bool
take_point(struct der in, struct der *point)
{
    struct der whole, skipped, tagged, bits;

    if (der_take(&in, DER_SEQUENCE, &whole) != DER_TAKEN ||
        der_take(&whole, DER_INTEGER, &skipped) != DER_TAKEN ||
        der_take(&whole, DER_OCTET_STRING, &skipped) != DER_TAKEN || skipped.size == 0)
        return false;
    if (der_next(&whole) == DER_CONTEXT_CONSTRUCTED &&
        der_take(&whole, DER_CONTEXT_CONSTRUCTED, &skipped) != DER_TAKEN)
        return false;
    if (der_take(&whole, DER_CONTEXT_CONSTRUCTED + 1, &tagged) != DER_TAKEN ||
        der_take(&tagged, DER_BIT_STRING, &bits) != DER_TAKEN || bits.size < 2 || bits.data[0] != 0)
        return false;
    *point = (struct der){bits.data + 1, bits.size - 1};
    return true;
}

bool
stored_key_matches(const aw_secret *pem, const X509 *certificate)
{
    AW_CLEANUP(free_block) struct block block = {0};
    struct public_key public;
    struct der key, point;
    int curve = NID_undef;

    return read_public(certificate, &public) && public.algorithm == NID_X9_62_id_ecPublicKey &&
           decode(pem, &block) &&
           take_curve_key((struct der){block.data, (size_t)block.size}, &curve, &key) &&
           curve == public.curve && take_point(key, &point) && point.size == public.octets.size &&
           memcmp(point.data, public.octets.data, point.size) == 0;
}
