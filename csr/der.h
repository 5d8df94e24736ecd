/**
 * @file der.h
 * @brief DER elements (X.690): read from octets with OpenSSL's low-level reader, and written anew.
 *
 * The reader takes definite lengths of any form; that they were the shortest is proved by writing
 * the structure again and comparing (write.c).
 */
#ifndef AW_CSR_DER_H
#define AW_CSR_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Identifier octets that are used here; all tags are below 31. */
enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONSTRUCTED = 0x20, /**< the bit that says so */
    DER_CONTEXT = 0x80,     /**< [n] primitive, plus n */
    DER_CONTEXT_CONSTRUCTED = 0xa0,
};

/** Octets of the input; not owned. */
struct der {
    const uint8_t *data;
    size_t size;
};

/** What der_take found. */
enum der_found {
    DER_TAKEN,
    DER_END,       /**< no octets are left */
    DER_OTHER_TAG, /**< another element is next */
    DER_BAD_FORM,  /**< primitive for constructed or the reverse, or of indefinite length: BER */
    DER_CUT,       /**< the element's length goes beyond the octets */
};

/** Takes the element of that identifier octet off the front of `in`; *out is its contents. */
enum der_found der_take(struct der *in, unsigned tag, struct der *out);

/** Identifier octet of the next element, 0 at the end. */
unsigned der_next(const struct der *in);

/** An INTEGER's or a key's octets without leading zeros. */
struct der der_trim(struct der number);

/** True when the OBJECT IDENTIFIER's contents are those of OpenSSL's object `nid`. */
bool der_is_oid(const struct der *oid, int nid);

/** Name or dotted numbers of an OBJECT IDENTIFIER, for a message. */
void der_oid_text(const struct der *oid, char *out, size_t size);

/**
 * Writes back to front, so that a length is known when its element begins. The octets of the caller
 * are never exceeded: what would not fit sets `full`.
 */
struct der_writer {
    uint8_t *data;
    size_t begin; /**< what is written is data[begin] to the end */
    bool full;
};

/** Puts octets before what is written. */
void der_put(struct der_writer *w, const void *octets, size_t size);

/**
 * Puts identifier and length before what was written since `begin` was `end`: an element is
 * `size_t end = w->begin;`, its contents, last part first, then der_wrap(w, tag, end).
 */
void der_wrap(struct der_writer *w, unsigned tag, size_t end);

/** Puts a whole element with these contents. */
void der_put_element(struct der_writer *w, unsigned tag, const void *octets, size_t size);

/** Puts the OBJECT IDENTIFIER of OpenSSL's object `nid`. */
void der_put_oid(struct der_writer *w, int nid);

/** Puts a non-negative INTEGER from its big-endian magnitude. */
void der_put_unsigned(struct der_writer *w, const uint8_t *octets, size_t size);

/** Puts a BIT STRING around what was written since `end`: whole octets, no unused bits. */
void der_wrap_bits(struct der_writer *w, size_t end);

#endif
