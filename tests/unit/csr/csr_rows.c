#include "csr_rows.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "csr/csr.h"

bool
verdict_is(const char *name, octets der, const char *expected)
{
    struct csr *csr = NULL;
    char rule[CSR_RULE_SIZE] = "not set";
    uint8_t *copy = malloc(der.size + 1); /* of the exact size, for the sanitizer */

    memcpy(copy, der.data, der.size);
    uint8_t *exact = realloc(copy, der.size > 0 ? der.size : 1);
    aw_result r = csr_parse(exact, der.size, NULL, NULL, rule, &csr);
    bool accepted = aw_ok(r);
    bool good =
        strcmp(rule, expected) == 0 && accepted == (*expected == '\0') && accepted == (csr != NULL);
    if (!accepted)
        good = good && r.code == AW_CODE_SYNTAX && aw_error_last()->hint[0] != '\0' &&
               strncmp(aw_error_last()->message, "CSR: ", 5) == 0;
    if (!good)
        print_error("row \"%s\": rule \"%s\", expected \"%s\"; %s\n", name, rule, expected,
            accepted ? "accepted" : aw_error_last()->message);
    csr_free(&csr);
    free(exact);
    return good;
}

octets
row_csr(enum slot slot, octets part)
{
    struct csr_parts parts = {.key = KEY_P256};

    switch (slot) {
    case SUBJECT:
        parts.subject = part;
        break;
    case NAMES:
        parts.names = part;
        break;
    case MORE_EXTENSIONS:
        parts.more_extensions = part;
        break;
    case EXTENSIONS:
        parts.extensions = part;
        break;
    case ATTRIBUTES:
        parts.attributes = part;
        break;
    case WHOLE_ATTRIBUTES:
        parts.whole_attributes = part;
        break;
    case VERSION:
        parts.version = part;
        break;
    case MORE_INFO:
        parts.more_info = part;
        break;
    case KEY_INFO:
        parts.key_info = part;
        break;
    case ALGORITHM:
        parts.algorithm = part;
        break;
    case SIGNATURE:
        parts.signature = part;
        break;
    }
    return csr_of(&parts);
}

void
check_rows(const struct row *rows, size_t count)
{
    unsigned failures = 0;

    for (size_t i = 0; i < count; i++) {
        failures += !verdict_is(rows[i].name, row_csr(rows[i].slot, rows[i].part()), rows[i].rule);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

int
csr_reset(void **state)
{
    (void)state;
    builder_reset();
    return 0;
}

int
csr_end(void **state)
{
    (void)state;
    builder_end();
    return 0;
}
