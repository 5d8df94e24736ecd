/* One certificate: its names, serial number and dates. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "client/chain.h"
#include "common/hex.h"
#include "common/log.h"

static void
free_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

static aw_result
read_host(const ASN1_STRING *value, struct aw_name *out)
{
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    size_t length = (size_t)ASN1_STRING_length(value);
    char shown[AW_NAME_MAX + 1];

    aw_log_escape(text, length, shown, sizeof(shown));
    aw_result r = aw_name_parse(text, length, out);
    if (r.code == AW_CODE_SYNTAX)
        return aw_fail(AW_CODE_MISMATCH, "the certificate holds \"%s\", which is no name", shown);
    return r;
}

static aw_result
read_name(const GENERAL_NAME *general, struct aw_name *out)
{
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(general, &type);

    if (type == GEN_DNS)
        return read_host(value, out);
    if (type == GEN_IPADD)
        return aw_name_from_address(
            ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value), out);
    return aw_fail(AW_CODE_MISMATCH,
        "the certificate's subjectAltName holds a value of type %d, expected names and addresses",
        type);
}

static aw_result
read_names(const X509 *certificate, struct chain_leaf *out)
{
    int critical = 0;
    AW_CLEANUP(free_names)
    GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    int count = list == NULL ? 0 : sk_GENERAL_NAME_num(list);

    if (list == NULL)
        return aw_fail(AW_CODE_MISMATCH, "the certificate has %s",
            critical == -1 ? "no subjectAltName" : "a subjectAltName that can't be read");
    if (count == 0)
        return aw_fail(AW_CODE_MISMATCH, "the certificate has an empty subjectAltName");
    if (count > CHAIN_NAMES_MAX)
        return aw_fail(AW_CODE_LIMIT, "the certificate has %d names, at most %d expected", count,
            CHAIN_NAMES_MAX);
    out->names = calloc((size_t)count + 1, sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    for (int i = 0; i < count; i++) {
        AW_TRY(read_name(sk_GENERAL_NAME_value(list, i), &out->names[out->name_count]));
        out->name_count++;
    }
    if (!aw_names_sort(out->names, out->name_count))
        return aw_fail(AW_CODE_MISMATCH, "the certificate holds a name twice");
    return AW_OK;
}

static aw_result
read_serial(const X509 *certificate, char out[CHAIN_SERIAL_SIZE])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int length = ASN1_STRING_length(serial);

    if (length < 1 || length > (CHAIN_SERIAL_SIZE - 1) / 2)
        return aw_fail(AW_CODE_SYNTAX, "the certificate's serial number has %d octets", length);
    aw_hex(ASN1_STRING_get0_data(serial), (size_t)length, out);
    return AW_OK;
}

static aw_result
read_time(const ASN1_TIME *time, const char *what, int64_t *out)
{
    struct tm parts;

    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return aw_fail(AW_CODE_SYNTAX, "the certificate's %s can't be read", what);
    *out = (int64_t)timegm(&parts);
    return AW_OK;
}

aw_result
chain_leaf_read(const X509 *certificate, struct chain_leaf *out)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};

    AW_TRY(read_names(certificate, &leaf));
    AW_TRY(read_serial(certificate, leaf.serial));
    AW_TRY(read_time(X509_get0_notBefore(certificate), "notBefore", &leaf.not_before));
    AW_TRY(read_time(X509_get0_notAfter(certificate), "notAfter", &leaf.not_after));
    *out = leaf;
    leaf.names = NULL;
    return AW_OK;
}

void
chain_leaf_free(struct chain_leaf *leaf)
{
    free(leaf->names);
    memset(leaf, 0, sizeof(*leaf));
}
