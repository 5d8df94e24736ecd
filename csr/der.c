#include "csr/der.h"

#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/objects.h>

/* What ASN1_get_object says in its return value. */
enum { GET_INDEFINITE = 0x01, GET_ERROR = 0x80 };

/* Longest OBJECT IDENTIFIER that is shown; its length is one octet. */
enum { OID_SHOWN_MAX = 64 };

enum der_found
der_take(struct der *in, unsigned tag, struct der *out)
{
    const unsigned char *at = in->data;
    long length = 0;
    int number, class;

    if (in->size == 0)
        return DER_END;
    if (in->data[0] != tag)
        return (in->data[0] ^ tag) == DER_CONSTRUCTED ? DER_BAD_FORM : DER_OTHER_TAG;
    int flags = ASN1_get_object(&at, &length, &number, &class, (long)in->size);
    if ((flags & GET_ERROR) != 0) {
        ERR_clear_error();
        return DER_CUT;
    }
    if ((flags & GET_INDEFINITE) != 0)
        return DER_BAD_FORM;
    *out = (struct der){at, (size_t)length};
    size_t taken = (size_t)(at - in->data) + (size_t)length;
    in->data += taken;
    in->size -= taken;
    return DER_TAKEN;
}

unsigned
der_next(const struct der *in)
{
    return in->size > 0 ? in->data[0] : 0;
}

struct der
der_trim(struct der number)
{
    while (number.size > 0 && number.data[0] == 0) {
        number.data++;
        number.size--;
    }
    return number;
}

bool
der_is_oid(const struct der *oid, int nid)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(nid);

    return object != NULL && OBJ_length(object) == oid->size &&
           memcmp(OBJ_get0_data(object), oid->data, oid->size) == 0;
}

void
der_oid_text(const struct der *oid, char *out, size_t size)
{
    uint8_t element[2 + OID_SHOWN_MAX] = {DER_OID};
    const unsigned char *at = element;

    snprintf(out, size, "an object identifier of %zu octets", oid->size);
    if (oid->size == 0 || oid->size > OID_SHOWN_MAX)
        return;
    element[1] = (uint8_t)oid->size;
    memcpy(element + 2, oid->data, oid->size);
    ASN1_OBJECT *object = d2i_ASN1_OBJECT(NULL, &at, (long)oid->size + 2);
    if (object != NULL)
        OBJ_obj2txt(out, (int)size, object, 0);
    else
        ERR_clear_error();
    ASN1_OBJECT_free(object);
}

void
der_put(struct der_writer *w, const void *octets, size_t size)
{
    if (w->full || size > w->begin) {
        w->full = true;
        return;
    }
    w->begin -= size;
    if (size > 0)
        memcpy(w->data + w->begin, octets, size);
}

void
der_wrap(struct der_writer *w, unsigned tag, size_t end)
{
    uint8_t header[16];
    unsigned char *at = header;
    int constructed = (tag & DER_CONSTRUCTED) != 0;

    if (w->full)
        return;
    ASN1_put_object(
        &at, constructed, (int)(end - w->begin), (int)(tag & 0x1f), (int)(tag & V_ASN1_PRIVATE));
    der_put(w, header, (size_t)(at - header));
}

void
der_put_element(struct der_writer *w, unsigned tag, const void *octets, size_t size)
{
    size_t end = w->begin;

    der_put(w, octets, size);
    der_wrap(w, tag, end);
}

void
der_put_oid(struct der_writer *w, int nid)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(nid);

    der_put_element(w, DER_OID, OBJ_get0_data(object), OBJ_length(object));
}

void
der_put_unsigned(struct der_writer *w, const uint8_t *octets, size_t size)
{
    struct der number = der_trim((struct der){octets, size});
    size_t end = w->begin;

    der_put(w, number.data, number.size);
    if (number.size == 0 || (number.data[0] & 0x80) != 0)
        der_put(w, "", 1);
    der_wrap(w, DER_INTEGER, end);
}

void
der_wrap_bits(struct der_writer *w, size_t end)
{
    der_put(w, "", 1);
    der_wrap(w, DER_BIT_STRING, end);
}
