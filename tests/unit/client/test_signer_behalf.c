/* The signer as a relay calls it: with what its client signed, and for what was signed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/signer_link.h"
#include "scripted_signer.h"

#define EVIDENCE                                                                      \
    "\"evidence\":{\"protected\":\"cHI\",\"payload\":\"cGE\",\"signature\":\"c2k\"}," \
    "\"seen\":{\"address\":\"192.0.2.7\",\"client_certificate\":null,\"validated\":\"dns-01\"}"

static const struct signer_behalf behalf = {.protected_header = "cHI",
    .payload = "cGE",
    .signature = "c2k",
    .address = "192.0.2.7",
    .validated = "dns-01"};

static void
open_link(const struct scripted_signer *s, signer_link **link)
{
    const struct signer_place place = {.at = s->path, .server_uid = getuid(), .relay = true};

    assert_true(aw_ok(signer_link_open(&place, link)));
}

static void
order_twice(signer_link *link)
{
    struct aw_name name;
    const struct signer_new_order asked = {.names = &name, .name_count = 1, .profile = "short"};

    assert_true(aw_ok(aw_name_parse("a.example.edu", 13, &name)));
    for (int i = 0; i < 2; i++) {
        AW_CLEANUP(signer_order_free) struct signer_order order = {0};
        AW_CLEANUP(signer_signed_free) struct signer_signed s = {0};
        assert_true(aw_ok(signer_new_order(link, &asked, "n", &order, &s)));
    }
}

static void
sends_evidence_and_no_names(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_signed_free) struct signer_signed out = {0};
    static char application[] = "app";
    const struct signer_order order = {.application = application, .ticket = 7};
    const struct signer_claim claim = {"finalize", "https://ca/f"};
    const struct signer_target target = {&order, "n2", "https://ca/f"};

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, NULL, 0);
    open_link(&s, &link);
    signer_link_set_behalf(link, &behalf);
    order_twice(link);
    assert_true(aw_ok(signer_claim_urls(link, &order, &claim, 1)));
    assert_true(aw_ok(signer_finalize(link, &target, (const uint8_t *)"x", 1, &out)));
    scripted_signer_settle(&s);
    assert_string_equal(s.log, "NewOrder {\"nonce\":\"n\"," EVIDENCE "}\n"
                               "NewOrder {\"nonce\":\"n\"," EVIDENCE ",\"again\":1}\n"
                               "ClaimUrls {\"order\":7,\"urls\":["
                               "{\"kind\":\"finalize\",\"url\":\"https://ca/f\"}]}\n"
                               "Finalize {\"order\":7,\"nonce\":\"n2\",\"url\":\"https://ca/f\","
                               "" EVIDENCE "}\n");
}

static void
revokes_again(void **state)
{
    static const struct signer_change changes[] = {
        {.method = "Revoke",
            .parameters = "{\"application\":\"app\",\"url\":\"https://ca/revoke\",\"jws\":{"
                          "\"protected\":\"a\",\"payload\":\"b\",\"signature\":\"c\"}}"},
        {.method = "Revoke",
            .error = "org.acmeward.Relay.EvidenceRefused",
            .parameters = "{\"rule\":\"evidence.nonce\",\"message\":\"used before\"}"},
    };
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_signed_free) struct signer_signed out = {0};
    const struct signer_revoke asked = {.reason = 1};

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, changes, AW_COUNT(changes));
    open_link(&s, &link);
    signer_link_set_behalf(link, &behalf);
    assert_true(aw_ok(signer_revoke(link, &asked, "n", &out)));
    signer_signed_free(&out);
    assert_int_equal(signer_revoke(link, &asked, "m", &out).code, AW_CODE_REFUSED);
    assert_string_equal(signer_link_refusal(link)->error, "EvidenceRefused");
    assert_string_equal(signer_link_refusal(link)->rule, "evidence.nonce");
    scripted_signer_settle(&s);
    assert_string_equal(s.log, "Revoke {\"nonce\":\"n\"," EVIDENCE ",\"again\":false}\n"
                               "Revoke {\"nonce\":\"m\"," EVIDENCE ",\"again\":true}\n");
}

/* What was signed for one client says nothing of the next one. */
static void
acts_for_somebody_only(void **state)
{
    AW_CLEANUP(scripted_signer_stop) struct scripted_signer s;
    AW_CLEANUP(signer_link_close) signer_link *link = NULL;
    AW_CLEANUP(signer_signed_free) struct signer_signed out = {0};
    const struct signer_revoke asked = {.reason = -1};

    (void)state;
    scripted_signer_start(&s, "https://ca");
    scripted_signer_load(&s, NULL, 0);
    open_link(&s, &link);
    signer_link_set_behalf(link, &behalf);
    order_twice(link);
    assert_int_equal(signer_link_signed(link), 2);
    signer_link_set_behalf(link, NULL);
    assert_int_equal(signer_link_signed(link), 0);
    assert_int_equal(signer_revoke(link, &asked, "n", &out).code, AW_CODE_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_evidence_and_no_names),
        cmocka_unit_test(revokes_again),
        cmocka_unit_test(acts_for_somebody_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
