/*
 * Damaged CSRs, many of them, in the same order on every run: nothing crashes, and what is accepted
 * reads the same to OpenSSL, name by name, and is the DER that OpenSSL would write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "csr/csr.h"
#include "csr_builder.h"

enum { MUTATIONS = 14000, SIGNED_MUTATIONS = 8000, SEEDS = 5, LONGEST = 4096 };

/* xorshift64*, always from the same number. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static size_t
random_below(size_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * 0x2545f4914f6cdd1du) >> 33) % limit;
}

/* Seeds are kept apart from what the builder releases between rounds. */
struct seed {
    enum test_key key;
    size_t size, info_size;
    uint8_t der[LONGEST], info[LONGEST];
};
static struct seed seeds[SEEDS];

static void
make_seed(struct seed *seed, const struct csr_parts *parts)
{
    octets der = csr_of(parts), info = csr_info(parts);

    assert_true(der.size <= LONGEST);
    seed->key = parts->key;
    seed->size = der.size;
    seed->info_size = info.size;
    memcpy(seed->der, der.data, der.size);
    memcpy(seed->info, info.data, info.size);
}

static int
make_seeds(void **state)
{
    octets two = JOIN(dns("a.example.edu"), dns("b.example.edu"));
    octets address = JOIN(dns("a.example.edu"), element(0x87, LITERAL("\xc0\0\x02\x10")));
    octets usages = JOIN(extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)),
        critical_extension(KEY_USAGE_OID, element(0x03, LITERAL("\x05\xa0"))),
        extension(EXTENDED_KEY_USAGE_OID, SEQUENCE(oid(SERVER_AUTH_OID), oid(CLIENT_AUTH_OID))),
        extension(TLS_FEATURE_OID, SEQUENCE(integer(5))), key_identifier(KEY_P256));
    octets cn = LITERAL("www.example.edu");

    (void)state;
    make_seed(&seeds[0], &(struct csr_parts){.key = KEY_P256, .names = two});
    make_seed(&seeds[1], &(struct csr_parts){.key = KEY_P256, .subject = subject(0x0c, cn)});
    make_seed(&seeds[2], &(struct csr_parts){.key = KEY_P256, .more_extensions = usages});
    make_seed(
        &seeds[3], &(struct csr_parts){.key = KEY_P384, .digest = "SHA384", .names = address});
    make_seed(&seeds[4], &(struct csr_parts){.key = KEY_RSA_2048, .subject = subject(0x13, cn)});
    builder_reset();
    return 0;
}

enum mutation {
    SET_OCTET,
    FLIP_BIT,
    STEP_OCTET,
    INSERT,
    REMOVE,
    REPEAT,
    SPLICE,
    CUT,
    MUTATION_COUNT
};

/* What octets of lengths, tags and text are likely to be turned into. */
static uint8_t
pick_octet(void)
{
    static const uint8_t likely[] = {0, 1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x30, 0x31, 0x7f, 0x80, 0x81,
        0x82, 0x86, 0x87, 0xa0, 0xff, 'a', 'A', '.', '*', '-'};

    return random_below(2) == 0 ? likely[random_below(sizeof(likely))] : (uint8_t)random_below(256);
}

/* Changes a stretch of the octets in place; `other` is where a splice comes from. */
static size_t
mutate(uint8_t *data, size_t size, const uint8_t *other, size_t other_size)
{
    size_t at = random_below(size), run = 1 + random_below(size - at < 16 ? size - at : 16);
    size_t from = random_below(other_size);

    switch ((enum mutation)random_below(MUTATION_COUNT)) {
    case SET_OCTET:
        data[at] = pick_octet();
        return size;
    case FLIP_BIT:
        data[at] = (uint8_t)(data[at] ^ 1u << random_below(8));
        return size;
    case STEP_OCTET:
        data[at] = (uint8_t)(data[at] + (random_below(2) == 0 ? 1 : 255));
        return size;
    case INSERT:
        memmove(data + at + 1, data + at, size - at);
        data[at] = pick_octet();
        return size + 1;
    case REMOVE:
        memmove(data + at, data + at + run, size - at - run);
        return size - run;
    case REPEAT:
        memmove(data + at + run, data + at, size - at);
        return size + run;
    case SPLICE:
        if (run > other_size - from)
            run = other_size - from;
        memcpy(data + at, other + from, run);
        return size;
    case CUT:
        return at;
    case MUTATION_COUNT:
        break;
    }
    return size;
}

static void
print_octets(octets der)
{
    for (size_t i = 0; i < der.size; i++)
        fprintf(stderr, "%02x", der.data[i]);
    fprintf(stderr, "\n");
}

static bool
names_are_the_same(const struct csr *csr, const struct reference *reference)
{
    if (reference->odd_name || reference->name_count != csr->name_count)
        return false;
    for (size_t i = 0; i < csr->name_count; i++)
        if (strcmp(csr->names[i].text, reference->names[i]) != 0)
            return false;
    return true;
}

/* True when the CSR was accepted. The copy is of the exact size, for the sanitizer. */
static bool
check(octets der)
{
    static struct reference reference;
    uint8_t *exact = malloc(der.size > 0 ? der.size : 1);
    char rule[CSR_RULE_SIZE];
    struct csr *csr = NULL;

    memcpy(exact, der.data, der.size);
    aw_result r = csr_parse(exact, der.size, NULL, NULL, rule, &csr);
    free(exact);
    if (!aw_ok(r)) {
        if (r.code != AW_CODE_SYNTAX || *rule == '\0') {
            print_octets(der);
            fail_msg("refused without a rule: %s", aw_error_last()->message);
        }
        return false;
    }
    reference_read(der, &reference);
    bool same = reference.accepted && reference.same_der && names_are_the_same(csr, &reference);
    csr_free(&csr);
    if (!same) {
        print_octets(der);
        fail_msg("accepted, and OpenSSL reads it differently");
    }
    return true;
}

/* A damaged CSR as it is: its signature is no longer one, unless the damage undid itself. */
static void
damage_is_found(void **state)
{
    uint8_t data[LONGEST + 64];

    (void)state;
    for (size_t i = 0; i < SEEDS; i++)
        assert_true(check((octets){seeds[i].der, seeds[i].size}));
    for (unsigned i = 0; i < MUTATIONS; i++) {
        const struct seed *seed = &seeds[random_below(SEEDS)];
        const struct seed *other = &seeds[random_below(SEEDS)];
        size_t size = seed->size;
        memcpy(data, seed->der, size);
        for (size_t count = 1 + random_below(2); count > 0 && size > 0; count--)
            size = mutate(data, size, other->der, other->size);
        if (check((octets){data, size})) {
            assert_int_equal(size, seed->size);
            assert_memory_equal(data, seed->der, size);
        }
    }
}

/* Damage that its author signed: only the grammar stands in the way. */
static void
signed_damage_reads_the_same_to_openssl(void **state)
{
    uint8_t data[LONGEST + 64];
    unsigned accepted = 0, changed = 0;

    (void)state;
    for (unsigned i = 0; i < SIGNED_MUTATIONS; i++) {
        const struct seed *seed = &seeds[random_below(3)];
        const struct seed *other = &seeds[random_below(SEEDS)];
        size_t size = seed->info_size;
        memcpy(data, seed->info, size);
        for (size_t count = random_below(3) == 0 ? 2 : 1; count > 0 && size > 0; count--)
            size = mutate(data, size, other->info, other->info_size);
        octets der = csr_sign(octets_of(data, size), &(struct csr_parts){.key = seed->key});
        if (check(der)) {
            accepted++;
            changed += size != seed->info_size || memcmp(data, seed->info, size) != 0;
        }
        builder_reset();
    }
    /* Other letters in a name, say: else nothing was shown. */
    print_message("%u accepted, %u of them changed\n", accepted, changed);
    assert_true(changed > 20);
}

static int
end(void **state)
{
    (void)state;
    builder_end();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(signed_damage_reads_the_same_to_openssl),
    };

    return cmocka_run_group_tests_name("csr_mutation", tests, make_seeds, end);
}
