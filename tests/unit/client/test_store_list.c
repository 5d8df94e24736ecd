/* Listing what is stored: damage is told, not skipped, and not repaired. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <unistd.h>

#include "authority.h"
#include "client/chain.h"
#include "client/store.h"
#include "store_place.h"

static struct party authority, leaf;
static char *leaf_pem, *authority_text, *both, *key_pem;

struct seen {
    char text[2048];
    size_t count;
};

static aw_result
see(const struct store_entry *entry, void *context)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof(seen->text) - used, "%s:%u:%s:%s:%s\n", entry->name,
        entry->version, entry->name_count == 0 ? "-" : entry->names[0],
        entry->key_type == NULL ? "-" : entry->key_type,
        entry->fault == NULL ? "good" : entry->fault);
    seen->count++;
    return AW_OK;
}

static void
write_real(struct place *place, const char *name)
{
    aw_secret *key = NULL;
    unsigned version = 0;

    assert_true(aw_ok(aw_secret_new(strlen(key_pem), &key)));
    assert_true(aw_ok(aw_secret_append(key, key_pem, strlen(key_pem))));
    const struct store_version content = {leaf_pem, authority_text, both, key, NULL};
    assert_true(aw_ok(store_write(place->root, name, &content, &version)));
    aw_secret_free(&key);
}

static void
break_nothing(struct place *place)
{
    (void)place;
}

static void
break_key(struct place *place)
{
    EVP_PKEY *fresh = NULL;
    assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &fresh)));
    char *pem = authority_key_pem(fresh);

    put(place, "archive/" NAME "/privkey1.pem", pem, 0600);
    free(pem);
    chain_key_free(&fresh);
}

static void
break_key_text(struct place *place)
{
    put(place, "archive/" NAME "/privkey1.pem", "no key", 0600);
}

static void
break_key_encrypted(struct place *place)
{
    put(place, "archive/" NAME "/privkey1.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0600);
}

static void
break_key_mode(struct place *place)
{
    assert_int_equal(chmod(at(place, "archive/" NAME "/privkey1.pem"), 0644), 0);
}

static void
break_key_gone(struct place *place)
{
    assert_int_equal(unlink(at(place, "archive/" NAME "/privkey1.pem")), 0);
}

static void
break_cert(struct place *place)
{
    put(place, "archive/" NAME "/cert1.pem", "scrap", 0644);
}

static void
break_fullchain(struct place *place)
{
    put(place, "archive/" NAME "/fullchain1.pem", authority_text, 0644);
}

static void
break_link_gone(struct place *place)
{
    assert_int_equal(unlink(at(place, "live/" NAME "/chain.pem")), 0);
}

static void
break_links_mixed(struct place *place)
{
    write_real(place, NAME);
    assert_int_equal(unlink(at(place, "live/" NAME "/privkey.pem")), 0);
    assert_int_equal(
        symlink("../../archive/" NAME "/privkey1.pem", at(place, "live/" NAME "/privkey.pem")), 0);
}

static const struct {
    const char *name;
    void (*damage)(struct place *place);
    const char *seen;
} damages[] = {
    {"none", break_nothing, NAME ":1:" HOST ":ec-p256:good\n"},
    {"another key", break_key, NAME ":1:" HOST ":ec-p256:privkey.pem is not the key of cert.pem\n"},
    {"no key", break_key_text, "privkey.pem holds no readable key"},
    {"encrypted key", break_key_encrypted, "privkey.pem holds no readable key"},
    {"key for all", break_key_mode, "privkey.pem has mode 0644: everybody may use it\n"},
    {"key gone", break_key_gone, "can't open privkey.pem"},
    {"certificate", break_cert, NAME ":1:-:-:cert.pem: line 1, "},
    {"fullchain", break_fullchain, "fullchain.pem and cert.pem are of two certificates\n"},
    {"link gone", break_link_gone, "chain.pem is missing\n"},
    {"links mixed", break_links_mixed, "the links point at versions 2 and 1"},
};

static void
test_list_tells_damage(void **state)
{
    struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(damages); i++) {
        struct seen seen = {.text = ""};

        write_real(place, NAME);
        damages[i].damage(place);
        assert_true(aw_ok(store_list(place->root, see, &seen)));
        if (strstr(seen.text, damages[i].seen) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", damages[i].name, seen.text, damages[i].seen);
        assert_int_equal(seen.count, 1);
        empty_place(place);
    }
}

static aw_result
stop(const struct store_entry *entry, void *context)
{
    (void)entry;
    (void)context;
    return aw_fail(AW_CODE_IO, "enough");
}

static void
test_list_in_order(void **state)
{
    struct place *place = *state;
    struct seen seen = {.text = ""};

    assert_true(aw_ok(store_list(place->root, see, &seen)));
    assert_int_equal(seen.count, 0);
    write_real(place, "b");
    write_real(place, "a");
    write_real(place, "a");
    put(place, "live/README", "no certificate", 0644);
    put(place, "live/.hidden", "no certificate", 0644);
    assert_true(aw_ok(store_list(place->root, see, &seen)));
    assert_string_equal(seen.text, "a:2:" HOST ":ec-p256:good\nb:1:" HOST ":ec-p256:good\n");
    assert_int_equal(store_list(place->root, stop, NULL).code, AW_CODE_IO);
    struct store_entry entry;
    assert_int_equal(store_read(place->root, "c", &entry).code, AW_CODE_NOT_FOUND);
    assert_int_equal(store_read(place->root, "../x", &entry).code, AW_CODE_USAGE);
    assert_true(aw_ok(store_read(place->root, "a", &entry)));
    assert_string_equal(entry.issuer, "CN=Test CA");
    assert_int_equal(entry.not_after - entry.not_before, 86400 + 3600);
    store_entry_free(&entry);
}

static int
make_leaf(void **state)
{
    (void)state;
    authority = authority_make(NULL, &(struct wish){.subject = "Test CA", .ca = true});
    leaf = authority_make(&authority, &(struct wish){.subject = HOST, .san = "DNS:" HOST});
    leaf_pem = authority_pem(leaf.certificate);
    authority_text = authority_pem(authority.certificate);
    both = authority_join(leaf_pem, authority_text, NULL);
    key_pem = authority_key_pem(leaf.key);
    return 0;
}

static int
free_leaf(void **state)
{
    (void)state;
    authority_free(&authority);
    authority_free(&leaf);
    free(leaf_pem);
    free(authority_text);
    free(both);
    free(key_pem);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_list_tells_damage),
        IN_PLACE(test_list_in_order),
    };

    return cmocka_run_group_tests(tests, make_leaf, free_leaf);
}
