/*
 * A CSR anew from its fields, by the grammar alone. Nothing of the original encoding is copied but
 * the octets of numbers, points and the common name's type, so whatever two parsers could read
 * differently (BER lengths, padding, explicit defaults, hidden octets) does not survive.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>

#include "csr/fields.h"

static void
write_subject(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    if (f->cn_tag != 0) {
        const struct aw_name *name = &f->names[f->cn_name];
        der_put_element(w, f->cn_tag, name->text, f->cn.size == 0 ? 0 : name->length);
        der_put_oid(w, NID_commonName);
        der_wrap(w, DER_SEQUENCE, end);
        der_wrap(w, DER_SET, end);
    }
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_san(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    for (size_t i = f->name_count; i-- > 0;) {
        const struct aw_name *name = &f->names[i];
        if (name->form == AW_NAME_ADDRESS)
            der_put_element(w, DER_CONTEXT + 7, name->address, name->address_size);
        else
            der_put_element(w, DER_CONTEXT + 2, name->text, name->length);
    }
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_basic_constraints(const struct csr_fields *f, struct der_writer *w)
{
    (void)f;
    der_put_element(w, DER_SEQUENCE, NULL, 0);
}

static void
write_key_usage(const struct csr_fields *f, struct der_writer *w)
{
    uint8_t octets[2] = {0, f->key_usage};

    while ((f->key_usage >> octets[0] & 1) == 0)
        octets[0]++;
    der_put_element(w, DER_BIT_STRING, octets, sizeof(octets));
}

static void
write_extended_key_usage(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    for (size_t i = f->purpose_count; i-- > 0;)
        der_put_oid(w, f->purposes[i]);
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_tls_feature(const struct csr_fields *f, struct der_writer *w)
{
    static const uint8_t status_request = 5;
    size_t end = w->begin;

    (void)f;
    der_put_unsigned(w, &status_request, 1);
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_key_identifier(const struct csr_fields *f, struct der_writer *w)
{
    der_put_element(w, DER_OCTET_STRING, f->key_identifier.data, f->key_identifier.size);
}

static void (*const writers[CSR_EXTENSION_COUNT])(
    const struct csr_fields *, struct der_writer *) = {
    [CSR_SUBJECT_ALT_NAME] = write_san,
    [CSR_BASIC_CONSTRAINTS] = write_basic_constraints,
    [CSR_KEY_USAGE] = write_key_usage,
    [CSR_EXTENDED_KEY_USAGE] = write_extended_key_usage,
    [CSR_TLS_FEATURE] = write_tls_feature,
    [CSR_SUBJECT_KEY_IDENTIFIER] = write_key_identifier,
};

static void
write_extensions(const struct csr_fields *f, struct der_writer *w)
{
    size_t list = w->begin;

    for (size_t i = f->extension_count; i-- > 0;) {
        size_t end = w->begin;
        writers[f->extensions[i].kind](f, w);
        der_wrap(w, DER_OCTET_STRING, end);
        if (f->extensions[i].critical)
            der_put_element(w, DER_BOOLEAN, "\xff", 1);
        der_put_oid(w, csr_extension_nid(f->extensions[i].kind));
        der_wrap(w, DER_SEQUENCE, end);
    }
    der_wrap(w, DER_SEQUENCE, list);
}

static void
write_attributes(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    write_extensions(f, w);
    der_wrap(w, DER_SET, end);
    der_put_oid(w, NID_ext_req);
    der_wrap(w, DER_SEQUENCE, end);
    der_wrap(w, DER_CONTEXT_CONSTRUCTED, end);
}

static void
write_info(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    write_attributes(f, w);
    csr_key_write(f, w);
    write_subject(f, w);
    der_put_unsigned(w, NULL, 0);
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_algorithm(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    if (f->algorithm->rsa)
        der_put_element(w, DER_NULL, NULL, 0);
    der_put_oid(w, f->algorithm->nid);
    der_wrap(w, DER_SEQUENCE, end);
}

static void
write_signature(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    if (f->algorithm->rsa) {
        der_put(w, f->signature.data, f->signature.size);
    } else {
        der_put_unsigned(w, f->s.data, f->s.size);
        der_put_unsigned(w, f->r.data, f->r.size);
        der_wrap(w, DER_SEQUENCE, end);
    }
    der_wrap_bits(w, end);
}

static void
write_request(const struct csr_fields *f, struct der_writer *w)
{
    size_t end = w->begin;

    write_signature(f, w);
    write_algorithm(f, w);
    write_info(f, w);
    der_wrap(w, DER_SEQUENCE, end);
}

aw_result
csr_check_same(struct csr_fields *f, const uint8_t *der, size_t size)
{
    struct der_writer w = {.data = malloc(size), .begin = size};

    if (w.data == NULL)
        return aw_fail_memory();
    write_request(f, &w);
    bool same = !w.full && w.begin == 0 && memcmp(w.data, der, size) == 0;
    free(w.data);
    if (same)
        return AW_OK;
    return csr_refuse(
        f, CSR_BAD_NOT_DER, "the DER made anew from its fields is not the same %zu octets", size);
}
