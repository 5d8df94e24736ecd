/* Keys and notes: those that others publish, and the grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "audit/checkpoint.h"
#include "common/io.h"
#include "support.h"

#define DASH "\xe2\x80\x94 "

/* Published by the logs Rekor (sigstore) and Pixel Binary Transparency. */
#define REKOR_KEY                                                                              \
    "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGv" \
    "XwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc="
#define REKOR_BODY "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n"
#define REKOR_SIGNATURE                                                                        \
    "wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUC" \
    "RdxwWBHHufk="
#define REKOR_LINE DASH "rekor.sigstore.dev " REKOR_SIGNATURE "\n"
#define REKOR_NOTE REKOR_BODY REKOR_LINE
#define PIXEL_KEY                                                                              \
    "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4" \
    "NDdGZcX0aiWVdWM5XJVy0M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8="
#define PIXEL_NOTE                                                                             \
    "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n" DASH                       \
    "pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe4" \
    "7dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n"
#define ROOT "f+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0="
/* Of a key that nobody here knows. */
#define OTHER_LINE DASH "witness.example AAAAAQID\n"

/* Keys. */

static const struct {
    const char *name, *text;
    const char *reason; /* NULL: accepted */
} key_rows[] = {
    {"rekor", REKOR_KEY, NULL},
    {"pixel, with a newline", PIXEL_KEY "\n", NULL},
    {"empty", "", "neither PEM nor"},
    {"two parts", "bananas.sigstore.dev+12344556", "neither PEM nor"},
    {"no name", "+c0d23d6a+AjBZ", "neither PEM nor"},
    {"a space in the name",
        "rekor sigstore+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm"
        "3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9"
        "DPfkWLc=",
        "its name"},
    {"no base64", "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!!", "not base64"},
    {"another type", "rekor.sigstore.dev+12345678+AwEB", "not 0x02"},
    {"no key behind the type", "rekor.sigstore.dev+12345678+AgEB", "SubjectPublicKeyInfo"},
    {"an octet behind the key",
        "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGv"
        "XwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLcA",
        "SubjectPublicKeyInfo"},
    {"a compressed point",
        "rekor.sigstore.dev+c0d23d6a+AjA5MBMGByqGSM49AgEGCCqGSM49AwEHAyIAA9htmPtrWm3U1eQXBogSMdGv"
        "XwBcK5AW5i0hrZLOC96l",
        "its point is compressed"},
    {"a compressed point, with an ID of its own",
        "rekor.sigstore.dev+edd20e4d+AjA5MBMGByqGSM49AgEGCCqGSM49AwEHAyIAA9htmPtrWm3U1eQXBogSMdGv"
        "XwBcK5AW5i0hrZLOC96l",
        "its point is compressed"},
    {"a curve by its parameters",
        "rekor.sigstore.dev+c054f0e5+"
        "AjCCAUswggEDBgcqhkjOPQIBMIH3AgEBMCwGByqGSM49AQECIQD/////AAAAAQAAAAAAAA"
        "AAAAAAAP///////////////zBbBCD/////AAAAAQAAAAAAAAAAAAAAAP//////////////"
        "/AQgWsY12Ko6k+ez671VdpiGvGUdBrDMU7D2O848PifSYEsDFQDEnTYIhucEk2pmeOETnS"
        "a3gZ9+kARBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tK"
        "fA+eFivOM1drMV7Oy7ZAaDe/UfUCIQD/////AAAAAP//////////vOb6racXnoTzucrC/G"
        "MlUQIBAQNCAATYbZj7a1pt1NXkFwaIEjHRr18AXCuQFuYtIa2SzgvepfrJhjTO58GeELxS"
        "v+LLnkaFY//0D9tjYuELfQz35Fi3",
        "its curve is not named"},
    {"a plus missing behind the ID",
        "rekor.sigstore.dev+c0d23d6a-AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGv"
        "XwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
        "neither PEM nor"},
    {"Ed25519", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not 0x02"},
    {"another ID",
        "rekor.sigstore.dev+00000000+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1e"
        "QXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
        "its ID"},
    {"an ID in capitals",
        "rekor.sigstore.dev+C0D23D6A+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGv"
        "XwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
        "its ID"},
    {"two lines", REKOR_KEY "\n" REKOR_KEY "\n", "not base64"},
    {"a private key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "no PUBLIC KEY"},
    {"PEM that ends early", "-----BEGIN PUBLIC KEY-----\nMFkw\n", "no PUBLIC KEY"},
    {"PEM of P-384",
        "-----BEGIN PUBLIC KEY-----\n"
        "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE0nM7cab5BQ13X8yjg0RC/rjFfo5fcXQu\n"
        "eombCyGUN7aFHYkB7WOxym9BBjuxxcW/ZoXK0dJt/yMneJ6Phljlx7oucwVbnvtg\n"
        "OFy+LVJ0ctoyjq1LrGaF+1bZveSzHMPG\n"
        "-----END PUBLIC KEY-----\n",
        "not on the curve P-256"},
};

static void
keys_of_others_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(key_rows); i++) {
        AW_CLEANUP(audit_verifier_free) audit_verifier *key = NULL;
        AW_CLEANUP(aw_free) char *again = NULL;
        const char *text = key_rows[i].text;
        aw_result r = audit_verifier_parse(text, strlen(text), &key);
        if (key_rows[i].reason != NULL) {
            expect_failure(key_rows[i].name, r, AW_CODE_SYNTAX, key_rows[i].reason);
            assert_null(key);
            continue;
        }
        expect_ok(key_rows[i].name, r);
        expect_ok("line", audit_verifier_line(key, &again));
        assert_int_equal(strncmp(again, text, strlen(again)), 0);
        assert_true(strlen(text) - strlen(again) <= 1);
    }
}

static void
pem_and_line_are_one_key(void **state)
{
    AW_CLEANUP(audit_verifier_free) audit_verifier *line = NULL, *pem = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    (void)state;
    expect_ok("line", audit_verifier_parse(REKOR_KEY, strlen(REKOR_KEY), &line));
    expect_ok("pem", audit_verifier_pem(line, &text));
    expect_ok("read", audit_verifier_parse(text, strlen(text), &pem));
    AW_CLEANUP(audit_verifier_free) audit_verifier *both = NULL, *two = NULL;
    AW_CLEANUP(aw_free) char *printed = NULL, *mixed = NULL;
    expect_ok("format", aw_format(&printed, "%s\n%s", REKOR_KEY, text));
    expect_ok(
        "as audit key create prints it", audit_verifier_parse(printed, strlen(printed), &both));
    assert_string_equal(audit_verifier_name(both), "rekor.sigstore.dev");
    expect_ok("format", aw_format(&mixed, "%s\n%s", PIXEL_KEY, text));
    expect_failure("line and PEM of two keys", audit_verifier_parse(mixed, strlen(mixed), &two),
        AW_CODE_SYNTAX, "of two keys");
    assert_null(two);
    assert_null(audit_verifier_name(pem));
    assert_string_equal(audit_verifier_name(line), "rekor.sigstore.dev");
    assert_memory_equal(audit_verifier_id(line), audit_verifier_id(pem), AUDIT_KEY_ID_SIZE);
    /* PEM has no ID of its own to be wrong: another spelling is the same key. */
    static const char compressed[] =
        "-----BEGIN PUBLIC KEY-----\n"
        "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAD2G2Y+2tabdTV5BcGiBIx0a9fAFwr\n"
        "kBbmLSGtks4L3qU=\n"
        "-----END PUBLIC KEY-----\n";
    AW_CLEANUP(audit_verifier_free) audit_verifier *other = NULL;
    expect_ok("compressed", audit_verifier_parse(compressed, strlen(compressed), &other));
    assert_memory_equal(audit_verifier_id(line), audit_verifier_id(other), AUDIT_KEY_ID_SIZE);
}

/* Notes. */

static const struct {
    const char *name, *key, *note;
    enum aw_code code;
    const char *reason;
} note_rows[] = {
    {"rekor", REKOR_KEY, REKOR_NOTE, AW_CODE_OK, NULL},
    {"pixel", PIXEL_KEY, PIXEL_NOTE, AW_CODE_OK, NULL},
    {"a witness signed too", REKOR_KEY, REKOR_BODY OTHER_LINE REKOR_LINE, AW_CODE_OK, NULL},
    {"only a witness signed", REKOR_KEY, REKOR_BODY OTHER_LINE, AW_CODE_MISMATCH, "not signed by"},
    {"another key", PIXEL_KEY, REKOR_NOTE, AW_CODE_MISMATCH, "not signed by"},
    {"the name of another key", REKOR_KEY, REKOR_BODY DASH "bananas " REKOR_SIGNATURE "\n",
        AW_CODE_MISMATCH, "not signed by"},
    {"attack 101: another size", REKOR_KEY, "Rekor\n798035\n" ROOT "\n\n" REKOR_LINE,
        AW_CODE_MISMATCH, "not one of this key"},
    {"attack 101: another root", REKOR_KEY,
        "Rekor\n798034\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n" REKOR_LINE,
        AW_CODE_MISMATCH, "not one of this key"},
    {"another origin", REKOR_KEY, "Recor\n798034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_MISMATCH,
        "not one of this key"},
    {"a bad signature beside a good one", REKOR_KEY,
        REKOR_BODY REKOR_LINE DASH "rekor.sigstore.dev wNI9agAB\n", AW_CODE_MISMATCH,
        "not one of this key"},
    {"empty", REKOR_KEY, "", AW_CODE_SYNTAX, "line 1 is missing"},
    {"no signature", REKOR_KEY, REKOR_BODY, AW_CODE_SYNTAX, "line 5 is missing"},
    {"no blank line", REKOR_KEY, "Rekor\n798034\n" ROOT "\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 4: expected an empty line"},
    {"an extension line", REKOR_KEY, "Rekor\n798034\n" ROOT "\nmore\n\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 4: expected an empty line"},
    {"no newline at the end", REKOR_KEY, REKOR_BODY DASH "rekor.sigstore.dev " REKOR_SIGNATURE,
        AW_CODE_SYNTAX, "line 5 is missing or has no end"},
    {"a line behind", REKOR_KEY, REKOR_NOTE "\n", AW_CODE_SYNTAX, "line 6: expected a signature"},
    {"CRLF", REKOR_KEY, "Rekor\r\n798034\r\n" ROOT "\r\n\r\n" REKOR_LINE, AW_CODE_SYNTAX, "line 1"},
    {"an empty origin", REKOR_KEY, "\n798034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX, "line 1"},
    {"a space in the origin", REKOR_KEY, "Re kor\n798034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 1"},
    {"an escape in the origin", REKOR_KEY, "Re\x1b[mkor\n798034\n" ROOT "\n\n" REKOR_LINE,
        AW_CODE_SYNTAX, "line 1"},
    {"a leading zero", REKOR_KEY, "Rekor\n0798034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 2"},
    {"a sign", REKOR_KEY, "Rekor\n+798034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX, "line 2"},
    {"a sign in the middle", REKOR_KEY, "Rekor\n798-034\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 2"},
    {"a letter", REKOR_KEY, "Rekor\n79803a\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX, "line 2"},
    {"no size", REKOR_KEY, "Rekor\n\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX, "line 2"},
    {"2^63", REKOR_KEY, "Rekor\n9223372036854775808\n" ROOT "\n\n" REKOR_LINE, AW_CODE_SYNTAX,
        "line 2"},
    {"2^63 - 1, not signed", REKOR_KEY, "Rekor\n9223372036854775807\n" ROOT "\n\n" OTHER_LINE,
        AW_CODE_MISMATCH, "not signed by"},
    {"a short root", REKOR_KEY, "Rekor\n798034\nf+7CoKgX\n\n" REKOR_LINE, AW_CODE_SYNTAX, "line 3"},
    {"unused bits in the root", REKOR_KEY,
        "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP1=\n\n" REKOR_LINE,
        AW_CODE_SYNTAX, "line 3"},
    {"base64url", REKOR_KEY,
        "Rekor\n798034\nf-7CoKgXKE_tNys9TTXcr_ad6U_K3xvznmzew9y6SP0=\n\n" REKOR_LINE,
        AW_CODE_SYNTAX, "line 3"},
    {"a hyphen for the dash", REKOR_KEY, REKOR_BODY "- rekor.sigstore.dev " REKOR_SIGNATURE "\n",
        AW_CODE_SYNTAX, "line 5: expected a signature"},
    {"a key ID alone", REKOR_KEY, REKOR_BODY DASH "rekor.sigstore.dev wNI9ag==\n", AW_CODE_SYNTAX,
        "line 5: expected base64 of key ID and signature"},
    {"two spaces", REKOR_KEY, REKOR_BODY DASH "rekor.sigstore.dev  " REKOR_SIGNATURE "\n",
        AW_CODE_SYNTAX, "line 5"},
};

static void
notes_of_others_are_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(note_rows); i++) {
        AW_CLEANUP(audit_verifier_free) audit_verifier *key = NULL;
        const char *note = note_rows[i].note;
        struct audit_checkpoint checkpoint = {.head = {.size = -1}};
        expect_ok("key", audit_verifier_parse(note_rows[i].key, strlen(note_rows[i].key), &key));
        const audit_verifier *const items[] = {key};
        const struct audit_keys keys = {items, 1};
        aw_result r = audit_checkpoint_verify(note, strlen(note), &keys, &checkpoint);
        if (note_rows[i].reason != NULL) {
            expect_failure(note_rows[i].name, r, note_rows[i].code, note_rows[i].reason);
            assert_int_equal(checkpoint.head.size, -1);
            continue;
        }
        expect_ok(note_rows[i].name, r);
        assert_true(checkpoint.head.size > 0);
        AW_CLEANUP(aw_free) char *body = NULL;
        expect_ok("body", audit_checkpoint_body(&checkpoint, &body));
        assert_int_equal(strncmp(note, body, strlen(body)), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_others_are_read),
        cmocka_unit_test(pem_and_line_are_one_key),
        cmocka_unit_test(notes_of_others_are_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
