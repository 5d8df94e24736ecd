#include "csr/csr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "common/log.h"
#include "csr/fields.h"

static const struct {
    const char *tag;
    const char *hint;
} rules[] = {
#define CSR_RULE_ROW(name, tag, hint) {tag, hint},
    CSR_RULES(CSR_RULE_ROW)
#undef CSR_RULE_ROW
};

aw_result
csr_refuse(struct csr_fields *f, enum csr_rule rule, const char *format, ...)
{
    char message[AW_ERROR_MESSAGE_SIZE];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    f->rule = rules[rule].tag;
    return aw_hint(aw_fail(AW_CODE_SYNTAX, "CSR: %s", message), "%s", rules[rule].hint);
}

/* The name that the common name is, or name_count. */
static size_t
find_name(const struct csr_fields *f, bool any_case)
{
    const char *cn = (const char *)f->cn.data;
    size_t i = 0;

    for (; i < f->name_count; i++) {
        const struct aw_name *name = &f->names[i];
        if (name->length == f->cn.size && (any_case ? strncasecmp(name->text, cn, f->cn.size)
                                                    : memcmp(name->text, cn, f->cn.size)) == 0)
            break;
    }
    return i;
}

/* CAs move the common name into the certificate's names: it must be one that was decided on. */
static aw_result
check_common_name(struct csr_fields *f)
{
    char shown[256];

    /* An empty one, which win-acme writes where there is none, names nobody. */
    if (f->cn_tag == 0 || f->cn.size == 0)
        return AW_OK;
    f->cn_name = find_name(f, false);
    if (f->cn_name < f->name_count)
        return AW_OK;
    aw_log_escape((const char *)f->cn.data, f->cn.size, shown, sizeof(shown));
    if (find_name(f, true) < f->name_count)
        return csr_refuse(f, CSR_BAD_SUBJECT_CASE, "upper case in the common name \"%s\"", shown);
    return csr_refuse(f, CSR_BAD_SUBJECT_CN_NOT_IN_SAN,
        "the common name \"%s\" is not among the names of subjectAltName", shown);
}

/* f->names keeps the CSR's order for the rewriting; the result's are sorted. */
static aw_result
sort_names(struct csr_fields *f, struct csr *out)
{
    out->names = calloc(f->name_count, sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    memcpy(out->names, f->names, f->name_count * sizeof(*out->names));
    out->name_count = f->name_count;
    if (aw_names_sort(out->names, out->name_count))
        return AW_OK;
    size_t i = 1;
    while (i + 1 < out->name_count && aw_name_compare(&out->names[i - 1], &out->names[i]) != 0)
        i++;
    return csr_refuse(
        f, CSR_BAD_SAN_TWICE, "the name %s is in subjectAltName twice", out->names[i].text);
}

/* All that the grammar says, in the order of which reason is most use to a person. */
static aw_result
check(struct csr_fields *f, const uint8_t *der, size_t size, struct csr *out)
{
    if (size == 0 || size > CSR_SIZE_MAX)
        return csr_refuse(f, CSR_BAD_SIZE, "%zu octets, expected 1 to %d", size, (int)CSR_SIZE_MAX);
    AW_TRY(csr_read(der, size, f));
    AW_TRY(check_common_name(f));
    AW_TRY(sort_names(f, out));
    return csr_check_same(f, der, size);
}

static aw_result
digest(OSSL_LIB_CTX *libctx, const char *properties, struct der octets, uint8_t *out)
{
    size_t written = 0;

    if (EVP_Q_digest(libctx, "SHA256", properties, octets.data, octets.size, out, &written) != 1 ||
        written != AW_DIGEST_SIZE)
        return aw_fail_openssl("SHA-256");
    return AW_OK;
}

static void
release_fields(struct csr_fields *f)
{
    free(f->names);
}

static void
note_rule(char rule[CSR_RULE_SIZE], const char *tag)
{
    snprintf(rule, CSR_RULE_SIZE, "%s", tag != NULL ? tag : "");
}

aw_result
csr_parse(const uint8_t *der, size_t size, OSSL_LIB_CTX *libctx, const char *properties,
    char rule[CSR_RULE_SIZE], struct csr **out)
{
    AW_CLEANUP(release_fields) struct csr_fields f = {0};
    AW_CLEANUP(csr_free) struct csr *csr = calloc(1, sizeof(*csr));

    note_rule(rule, NULL);
    if (csr == NULL)
        return aw_fail_memory();
    aw_result r = check(&f, der, size, csr);
    if (aw_ok(r))
        r = csr_key_verify(&f, libctx, properties);
    if (aw_ok(r))
        r = csr_key_identifier_check(&f, libctx, properties);
    note_rule(rule, f.rule);
    AW_TRY(r);
    AW_TRY(digest(libctx, properties, (struct der){der, size}, csr->digest));
    AW_TRY(digest(libctx, properties, f.key_info, csr->key_digest));
    csr->key = f.key;
    csr->must_staple = (f.seen & 1u << CSR_TLS_FEATURE) != 0;
    *out = AW_MOVE(csr);
    return AW_OK;
}

void
csr_free(struct csr **csr)
{
    if (*csr == NULL)
        return;
    free((*csr)->names);
    free(*csr);
    *csr = NULL;
}
