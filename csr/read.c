/*
 * The grammar of csr.h, read from front to back. Encodings that are not DER but read alike (long
 * lengths, padded integers, explicit defaults) are let through here: write.c finds them.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>

#include "csr/fields.h"

/* Longest text of an object identifier in a message. */
enum { OID_TEXT_SIZE = 128 };

/* status_request, the one TLS feature (RFC 7633 4.1, RFC 6066 8). */
enum { TLS_STATUS_REQUEST = 5 };

aw_result
csr_take(struct csr_fields *f, struct der *in, unsigned tag, const char *what, struct der *out)
{
    switch (der_take(in, tag, out)) {
    case DER_TAKEN:
        return AW_OK;
    case DER_END:
        return csr_refuse(f, CSR_BAD_STRUCTURE, "it ends where %s is expected", what);
    case DER_OTHER_TAG:
        return csr_refuse(f, CSR_BAD_STRUCTURE, "an element 0x%02x where %s (0x%02x) is expected",
            der_next(in), what, tag);
    case DER_BAD_FORM:
        return csr_refuse(f, CSR_BAD_NOT_DER, "%s is in a form that BER has but DER has not", what);
    case DER_CUT:
        break;
    }
    return csr_refuse(f, CSR_BAD_STRUCTURE, "the length of %s goes beyond the end", what);
}

aw_result
csr_take_bits(struct csr_fields *f, struct der *in, const char *what, struct der *out)
{
    AW_TRY(csr_take(f, in, DER_BIT_STRING, what, out));
    if (out->size == 0)
        return csr_refuse(f, CSR_BAD_STRUCTURE, "%s is an empty bit string", what);
    if (out->data[0] != 0)
        return csr_refuse(
            f, CSR_BAD_NOT_DER, "%s has %u unused bits, expected none", what, out->data[0]);
    out->data++;
    out->size--;
    return AW_OK;
}

aw_result
csr_take_end(struct csr_fields *f, const struct der *in, const char *what)
{
    if (in->size == 0)
        return AW_OK;
    return csr_refuse(f, CSR_BAD_STRUCTURE, "%zu octets more than expected in %s", in->size, what);
}

/* X.680 41.4 */
static bool
is_printable(const struct der *text)
{
    static const char others[] = " '()+,-./:=?";

    for (size_t i = 0; i < text->size; i++) {
        uint8_t c = text->data[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return true;
}

static aw_result
read_common_name(struct csr_fields *f, struct der *attribute)
{
    unsigned tag = der_next(attribute);

    if (f->cn_tag != 0)
        return csr_refuse(f, CSR_BAD_SUBJECT_TWO_CN, "two common names in the subject");
    if (tag != DER_UTF8_STRING && tag != DER_PRINTABLE_STRING)
        return csr_refuse(f, CSR_BAD_SUBJECT_STRING,
            "the common name is of type 0x%02x, expected UTF8String or PrintableString", tag);
    AW_TRY(csr_take(f, attribute, tag, "the common name", &f->cn));
    f->cn_tag = tag;
    if (memchr(f->cn.data, '\0', f->cn.size) != NULL)
        return csr_refuse(f, CSR_BAD_SUBJECT_NUL, "a NUL octet in the common name");
    if (tag == DER_PRINTABLE_STRING && !is_printable(&f->cn))
        return csr_refuse(f, CSR_BAD_SUBJECT_STRING,
            "the common name is a PrintableString with characters that it cannot hold");
    return AW_OK;
}

/* One RelativeDistinguishedName: SET OF AttributeTypeAndValue. */
static aw_result
read_rdn(struct csr_fields *f, struct der *subject)
{
    struct der set, attribute, type;
    char text[OID_TEXT_SIZE];

    AW_TRY(csr_take(f, subject, DER_SET, "a part of the subject", &set));
    do {
        AW_TRY(csr_take(f, &set, DER_SEQUENCE, "an attribute of the subject", &attribute));
        AW_TRY(csr_take(f, &attribute, DER_OID, "the type of a subject attribute", &type));
        if (!der_is_oid(&type, NID_commonName)) {
            der_oid_text(&type, text, sizeof(text));
            return csr_refuse(f, CSR_BAD_SUBJECT_ATTRIBUTE,
                "the subject holds %s, expected at most a common name", text);
        }
        AW_TRY(read_common_name(f, &attribute));
        AW_TRY(csr_take_end(f, &attribute, "an attribute of the subject"));
    } while (set.size > 0);
    return AW_OK;
}

static aw_result
read_subject(struct csr_fields *f, struct der *info)
{
    struct der subject;

    AW_TRY(csr_take(f, info, DER_SEQUENCE, "the subject", &subject));
    while (subject.size > 0)
        AW_TRY(read_rdn(f, &subject));
    return AW_OK;
}

/* GeneralName (RFC 5280 4.2.1.6): its forms that are refused. */
static const struct {
    unsigned tag;
    enum csr_rule rule;
    const char *what;
} other_names[] = {
    {DER_CONTEXT_CONSTRUCTED + 0, CSR_BAD_SAN_OTHER_NAME, "an otherName"},
    {DER_CONTEXT + 1, CSR_BAD_SAN_EMAIL, "an e-mail address"},
    {DER_CONTEXT_CONSTRUCTED + 3, CSR_BAD_SAN_X400, "an x400Address"},
    {DER_CONTEXT_CONSTRUCTED + 4, CSR_BAD_SAN_DIRECTORY_NAME, "a directoryName"},
    {DER_CONTEXT_CONSTRUCTED + 5, CSR_BAD_SAN_EDI, "an ediPartyName"},
    {DER_CONTEXT + 6, CSR_BAD_SAN_URI, "a URI"},
    {DER_CONTEXT + 8, CSR_BAD_SAN_REGISTERED_ID, "a registeredID"},
};

static aw_result
read_host(struct csr_fields *f, const struct der *text, struct aw_name *out)
{
    if (memchr(text->data, '\0', text->size) != NULL)
        return csr_refuse(f, CSR_BAD_SAN_NUL, "a NUL octet in a name of subjectAltName");
    aw_result r = aw_name_parse((const char *)text->data, text->size, out);
    if (r.code == AW_CODE_SYNTAX) {
        struct aw_error error;
        aw_error_save(&error);
        return csr_refuse(f, CSR_BAD_SAN_NAME, "subjectAltName: %s", error.message);
    }
    AW_TRY(r);
    if (memcmp(text->data, out->text, text->size) != 0)
        return csr_refuse(f, CSR_BAD_SAN_CASE, "upper case in the name %s", out->text);
    return AW_OK;
}

static aw_result
read_address(struct csr_fields *f, const struct der *octets, struct aw_name *out)
{
    struct aw_error error;
    aw_result r = aw_name_from_address(octets->data, octets->size, out);

    if (r.code != AW_CODE_SYNTAX)
        return r;
    aw_error_save(&error);
    return csr_refuse(f, CSR_BAD_SAN_ADDRESS, "subjectAltName: %s", error.message);
}

static aw_result
read_general_name(struct csr_fields *f, struct der *san, struct aw_name *out)
{
    struct der value;

    for (size_t i = 0; i < AW_COUNT(other_names); i++)
        if (der_next(san) == other_names[i].tag)
            return csr_refuse(f, other_names[i].rule,
                "%s in subjectAltName, expected host names and IP addresses", other_names[i].what);
    if (der_next(san) == DER_CONTEXT + 7) {
        AW_TRY(csr_take(f, san, DER_CONTEXT + 7, "an iPAddress", &value));
        return read_address(f, &value, out);
    }
    AW_TRY(csr_take(f, san, DER_CONTEXT + 2, "a dNSName of subjectAltName", &value));
    return read_host(f, &value, out);
}

static aw_result
read_san(struct csr_fields *f, struct der *value)
{
    struct der san;

    AW_TRY(csr_take(f, value, DER_SEQUENCE, "subjectAltName", &san));
    if (san.size == 0)
        return csr_refuse(f, CSR_BAD_SAN_MISSING, "subjectAltName holds no name");
    f->names = calloc(CSR_NAMES_MAX, sizeof(*f->names));
    if (f->names == NULL)
        return aw_fail_memory();
    while (san.size > 0) {
        if (f->name_count == CSR_NAMES_MAX)
            return csr_refuse(
                f, CSR_BAD_NAMES_COUNT, "more than %d names in subjectAltName", (int)CSR_NAMES_MAX);
        AW_TRY(read_general_name(f, &san, &f->names[f->name_count]));
        f->name_count++;
    }
    return AW_OK;
}

/* CA:FALSE is the default, so its DER is an empty SEQUENCE. */
static aw_result
read_basic_constraints(struct csr_fields *f, struct der *value)
{
    struct der constraints, ca;

    AW_TRY(csr_take(f, value, DER_SEQUENCE, "basicConstraints", &constraints));
    if (constraints.size == 0)
        return AW_OK;
    if (der_take(&constraints, DER_BOOLEAN, &ca) == DER_TAKEN && constraints.size == 0 &&
        der_trim(ca).size == 0)
        return csr_refuse(
            f, CSR_BAD_NOT_DER, "basicConstraints spells out CA:FALSE, which DER leaves out");
    return csr_refuse(f, CSR_BAD_EXTENSION_CA, "basicConstraints asks for a CA's certificate");
}

/* A named BIT STRING: the last bit that is written is 1 (X.690 11.2.2), so one octet is enough. */
static aw_result
read_key_usage(struct csr_fields *f, struct der *value)
{
    const unsigned allowed = CSR_DIGITAL_SIGNATURE | CSR_KEY_ENCIPHERMENT;
    struct der bits;

    AW_TRY(csr_take(f, value, DER_BIT_STRING, "keyUsage", &bits));
    if (bits.size < 2)
        return csr_refuse(f, CSR_BAD_EXTENSION_KEY_USAGE, "keyUsage asks for nothing");
    f->key_usage = bits.data[1];
    if ((f->key_usage & ~allowed) != 0 || bits.size > 2 || f->key_usage == 0)
        return csr_refuse(f, CSR_BAD_EXTENSION_KEY_USAGE,
            "keyUsage asks for more than digitalSignature and keyEncipherment");
    return AW_OK;
}

static aw_result
read_purpose(struct csr_fields *f, const struct der *oid)
{
    static const int allowed[] = {NID_server_auth, NID_client_auth};
    char text[OID_TEXT_SIZE];
    int purpose = NID_undef;

    der_oid_text(oid, text, sizeof(text));
    for (size_t i = 0; i < AW_COUNT(allowed); i++)
        if (der_is_oid(oid, allowed[i]))
            purpose = allowed[i];
    if (purpose == NID_undef)
        return csr_refuse(
            f, CSR_BAD_EXTENSION_EXTENDED_KEY_USAGE, "extendedKeyUsage asks for %s", text);
    for (size_t i = 0; i < f->purpose_count; i++)
        if (f->purposes[i] == purpose)
            return csr_refuse(f, CSR_BAD_EXTENSION_EXTENDED_KEY_USAGE,
                "extendedKeyUsage asks for %s twice", text);
    f->purposes[f->purpose_count++] = purpose;
    return AW_OK;
}

static aw_result
read_extended_key_usage(struct csr_fields *f, struct der *value)
{
    struct der purposes, oid;

    AW_TRY(csr_take(f, value, DER_SEQUENCE, "extendedKeyUsage", &purposes));
    if (purposes.size == 0)
        return csr_refuse(
            f, CSR_BAD_EXTENSION_EXTENDED_KEY_USAGE, "extendedKeyUsage asks for nothing");
    while (purposes.size > 0) {
        AW_TRY(csr_take(f, &purposes, DER_OID, "a purpose of extendedKeyUsage", &oid));
        AW_TRY(read_purpose(f, &oid));
    }
    return AW_OK;
}

static aw_result
read_tls_feature(struct csr_fields *f, struct der *value)
{
    struct der features, feature;

    AW_TRY(csr_take(f, value, DER_SEQUENCE, "the TLS feature extension", &features));
    if (der_take(&features, DER_INTEGER, &feature) == DER_TAKEN && features.size == 0) {
        feature = der_trim(feature);
        if (feature.size == 1 && feature.data[0] == TLS_STATUS_REQUEST)
            return AW_OK;
    }
    return csr_refuse(f, CSR_BAD_EXTENSION_TLS_FEATURE,
        "the TLS feature extension asks for something else than status_request");
}

/* Whether it is the key's is checked when the key is known to be one. */
static aw_result
read_key_identifier(struct csr_fields *f, struct der *value)
{
    AW_TRY(csr_take(f, value, DER_OCTET_STRING, "subjectKeyIdentifier", &f->key_identifier));
    if (f->key_identifier.size == CSR_KEY_IDENTIFIER_SIZE)
        return AW_OK;
    return csr_refuse(f, CSR_BAD_EXTENSION_KEY_IDENTIFIER,
        "subjectKeyIdentifier has %zu octets, expected those of SHA-1", f->key_identifier.size);
}

static const struct {
    int nid;
    aw_result (*read)(struct csr_fields *f, struct der *value);
} extensions[CSR_EXTENSION_COUNT] = {
    [CSR_SUBJECT_ALT_NAME] = {NID_subject_alt_name, read_san},
    [CSR_BASIC_CONSTRAINTS] = {NID_basic_constraints, read_basic_constraints},
    [CSR_KEY_USAGE] = {NID_key_usage, read_key_usage},
    [CSR_EXTENDED_KEY_USAGE] = {NID_ext_key_usage, read_extended_key_usage},
    [CSR_TLS_FEATURE] = {NID_tlsfeature, read_tls_feature},
    [CSR_SUBJECT_KEY_IDENTIFIER] = {NID_subject_key_identifier, read_key_identifier},
};

int
csr_extension_nid(enum csr_extension extension)
{
    return extensions[extension].nid;
}

static aw_result
find_extension(struct csr_fields *f, const struct der *oid, unsigned *out)
{
    char text[OID_TEXT_SIZE];
    unsigned kind = 0;

    while (kind < CSR_EXTENSION_COUNT && !der_is_oid(oid, extensions[kind].nid))
        kind++;
    *out = kind;
    der_oid_text(oid, text, sizeof(text));
    if (kind == CSR_EXTENSION_COUNT)
        return csr_refuse(f, CSR_BAD_EXTENSION_UNKNOWN, "the extension \"%s\"", text);
    if ((f->seen & 1u << kind) != 0)
        return csr_refuse(f, CSR_BAD_EXTENSION_TWICE, "the extension \"%s\" twice", text);
    return AW_OK;
}

/* Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue } */
static aw_result
read_extension(struct csr_fields *f, struct der *list)
{
    struct der extension, oid, critical = {0}, value;
    unsigned kind;

    AW_TRY(csr_take(f, list, DER_SEQUENCE, "an extension", &extension));
    AW_TRY(csr_take(f, &extension, DER_OID, "the type of an extension", &oid));
    AW_TRY(find_extension(f, &oid, &kind));
    if (der_next(&extension) == DER_BOOLEAN)
        AW_TRY(csr_take(f, &extension, DER_BOOLEAN, "the critical mark", &critical));
    AW_TRY(csr_take(f, &extension, DER_OCTET_STRING, "the value of an extension", &value));
    AW_TRY(csr_take_end(f, &extension, "an extension"));
    f->seen |= 1u << kind;
    f->extensions[f->extension_count].kind = kind;
    f->extensions[f->extension_count].critical = der_trim(critical).size > 0;
    f->extension_count++;
    AW_TRY(extensions[kind].read(f, &value));
    return csr_take_end(f, &value, "the value of an extension");
}

/* Attribute ::= SEQUENCE { type, values SET } (RFC 2986 4.1); extensionRequest: RFC 2985 5.4.2. */
static aw_result
read_attribute(struct csr_fields *f, struct der *attributes)
{
    struct der attribute, oid, values, list;
    char text[OID_TEXT_SIZE];

    AW_TRY(csr_take(f, attributes, DER_SEQUENCE, "an attribute", &attribute));
    AW_TRY(csr_take(f, &attribute, DER_OID, "the type of an attribute", &oid));
    if (der_is_oid(&oid, NID_pkcs9_challengePassword))
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_CHALLENGE_PASSWORD, "a challenge password");
    der_oid_text(&oid, text, sizeof(text));
    if (!der_is_oid(&oid, NID_ext_req))
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_UNKNOWN, "the attribute \"%s\"", text);
    if (f->attribute_seen)
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_TWICE, "two extensionRequest attributes");
    f->attribute_seen = true;
    AW_TRY(csr_take(f, &attribute, DER_SET, "the values of extensionRequest", &values));
    AW_TRY(csr_take(f, &values, DER_SEQUENCE, "the extensions", &list));
    if (values.size > 0)
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_VALUES, "extensionRequest has two values");
    AW_TRY(csr_take_end(f, &attribute, "an attribute"));
    while (list.size > 0)
        AW_TRY(read_extension(f, &list));
    return AW_OK;
}

static aw_result
read_attributes(struct csr_fields *f, struct der *info)
{
    struct der attributes;

    if (info->size == 0)
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_MISSING, "no attributes");
    AW_TRY(csr_take(f, info, DER_CONTEXT_CONSTRUCTED, "the attributes", &attributes));
    while (attributes.size > 0)
        AW_TRY(read_attribute(f, &attributes));
    if (!f->attribute_seen)
        return csr_refuse(f, CSR_BAD_ATTRIBUTE_MISSING, "no extensionRequest attribute");
    if ((f->seen & 1u << CSR_SUBJECT_ALT_NAME) == 0)
        return csr_refuse(f, CSR_BAD_SAN_MISSING, "no subjectAltName");
    return AW_OK;
}

/* CertificationRequestInfo (RFC 2986 4.1) */
static aw_result
read_info(struct csr_fields *f, struct der *request)
{
    struct der info, version;

    f->info.data = request->data;
    AW_TRY(csr_take(f, request, DER_SEQUENCE, "CertificationRequestInfo", &info));
    f->info.size = (size_t)(request->data - f->info.data);
    AW_TRY(csr_take(f, &info, DER_INTEGER, "the version", &version));
    if (version.size == 0 || der_trim(version).size > 0)
        return csr_refuse(f, CSR_BAD_VERSION, "a version other than 1");
    AW_TRY(read_subject(f, &info));
    AW_TRY(csr_key_read(f, &info));
    AW_TRY(read_attributes(f, &info));
    return csr_take_end(f, &info, "CertificationRequestInfo");
}

static const struct csr_algorithm algorithms[] = {
    {NID_ecdsa_with_SHA256, false, "SHA256"},
    {NID_ecdsa_with_SHA384, false, "SHA384"},
    {NID_ecdsa_with_SHA512, false, "SHA512"},
    {NID_sha256WithRSAEncryption, true, "SHA256"},
    {NID_sha384WithRSAEncryption, true, "SHA384"},
    {NID_sha512WithRSAEncryption, true, "SHA512"},
};

static aw_result
find_algorithm(struct csr_fields *f, const struct der *oid)
{
    static const int sha1[] = {NID_sha1WithRSAEncryption, NID_sha1WithRSA, NID_ecdsa_with_SHA1};
    char text[OID_TEXT_SIZE];

    der_oid_text(oid, text, sizeof(text));
    for (size_t i = 0; i < AW_COUNT(sha1); i++)
        if (der_is_oid(oid, sha1[i]))
            return csr_refuse(f, CSR_BAD_SIGNATURE_SHA1, "signed with %s", text);
    for (size_t i = 0; i < AW_COUNT(algorithms); i++)
        if (der_is_oid(oid, algorithms[i].nid))
            f->algorithm = &algorithms[i];
    bool rsa = f->key != CSR_KEY_EC_P256 && f->key != CSR_KEY_EC_P384;
    if (f->algorithm == NULL || f->algorithm->rsa != rsa)
        return csr_refuse(f, CSR_BAD_SIGNATURE_ALGORITHM, "signed with %s, by an %s key", text,
            rsa ? "RSA" : "EC");
    return AW_OK;
}

/* Ecdsa-Sig-Value (RFC 3279 2.2.3) */
static aw_result
read_ecdsa(struct csr_fields *f)
{
    struct der octets = f->signature, pair;

    AW_TRY(csr_take(f, &octets, DER_SEQUENCE, "the ECDSA signature", &pair));
    AW_TRY(csr_take_end(f, &octets, "the ECDSA signature"));
    AW_TRY(csr_take(f, &pair, DER_INTEGER, "r of the ECDSA signature", &f->r));
    AW_TRY(csr_take(f, &pair, DER_INTEGER, "s of the ECDSA signature", &f->s));
    f->r = der_trim(f->r);
    f->s = der_trim(f->s);
    return csr_take_end(f, &pair, "the ECDSA signature");
}

static aw_result
read_signature(struct csr_fields *f, struct der *request)
{
    struct der algorithm, oid, null;

    AW_TRY(csr_take(f, request, DER_SEQUENCE, "the signature's algorithm", &algorithm));
    AW_TRY(csr_take(f, &algorithm, DER_OID, "the signature's algorithm", &oid));
    AW_TRY(find_algorithm(f, &oid));
    if (f->algorithm->rsa)
        AW_TRY(csr_take(f, &algorithm, DER_NULL, "the algorithm's NULL", &null));
    AW_TRY(csr_take_end(f, &algorithm, "the signature's algorithm"));
    AW_TRY(csr_take_bits(f, request, "the signature", &f->signature));
    return f->algorithm->rsa ? AW_OK : read_ecdsa(f);
}

aw_result
csr_read(const uint8_t *der, size_t size, struct csr_fields *f)
{
    struct der in = {der, size}, request;

    AW_TRY(csr_take(f, &in, DER_SEQUENCE, "a CSR", &request));
    if (in.size > 0)
        return csr_refuse(f, CSR_BAD_TRAILING, "%zu octets after its end", in.size);
    AW_TRY(read_info(f, &request));
    AW_TRY(read_signature(f, &request));
    return csr_take_end(f, &request, "the CSR");
}
