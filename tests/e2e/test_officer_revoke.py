#!/usr/bin/python3
"""An officer revokes: all of an application, one by serial number, one from a file."""

import base64
import json
import os
import pwd
import unittest

import varlink
from world import World, run

NONCE = "bm9uY2U"


def openssl(*words):
    return run(["openssl", *words]).out


class Course(unittest.TestCase):
    """One world; the tests run in the order of their numbers, each on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.world = World(pebble={"nonce_reject": 20})
        cls.enterClassContext(cls.world)
        world = cls.world
        for name in ("app1", "app2"):
            world.application(name, subdomains_of=[f"{name}.dept.example.edu"])
        world.start()
        for name, application in (("a.app1", "app1"), ("b.app1", "app1"), ("a.app2", "app2")):
            world.certonly(f"{name}.dept.example.edu",
                           words=("--application", application, "--cert-name", name))

    def live(self, name):
        return self.world.path("client", "live", name, "cert.pem")

    def serial(self, name):
        return openssl("x509", "-in", self.live(name), "-noout", "-serial").strip().partition("=")[2]

    def revoke(self, *words, **options):
        return self.world.admin("revoke", *words, **options)

    def asked(self):
        """How often the CA was asked to revoke something, its rejected nonces included."""
        return self.world.ca.log().count("POST /revoke-cert ->")

    def revoked(self, name):
        """What the CA itself says."""
        path = "/cert-status-by-serial/" + self.serial(name).lower().lstrip("0")
        return json.loads(self.world.ca.get(self.world.ca.management + path))["Status"] == "Revoked"

    def admin_socket(self):
        client = varlink.Client(address="unix:" + self.world.admin_socket)
        return client, client.open("org.acmeward.Admin")

    def test_1_usage(self):
        for words, text in (
                ((), "exactly one of"),
                (("--serial", "12", "--application", "app1"), "exactly one of"),
                (("--serial", "12", "--account", "x"), "--certificate"),
                (("--application", "app1", "--reason", "boredom"), "expected unspecified"),
                (("--application", "app1"), "say --yes")):
            with self.subTest(words):
                self.assertIn(text, self.revoke(*words, status=2).err)
        self.assertIn("no such certificate", self.revoke("--serial", "12", status=1).err)
        self.assertIn("no such certificate",
                      self.revoke("--application", "nobody", "--yes", status=1).err)
        self.assertEqual(self.asked(), 0)

    def test_2_an_officer_asks_for_no_other_url(self):
        """What is fetched is a certificate's URL by the ledger, and nothing else is signed."""
        url = [r["url"] for r in self.world.records() if r.get("url_kind") == "order"][0]
        for asked in (url, self.world.ca.directory.replace("/dir", "/certZ/1"),
                      "https://elsewhere.example/certZ/1"):
            client, admin = self.admin_socket()
            with client, admin, self.assertRaises(varlink.VarlinkError) as caught:
                admin.FetchCertificate(account="loopback-ov", nonce=NONCE, url=asked)
            self.assertIn("no application named that URL", str(caught.exception))
            last = self.world.records()[-1]
            self.assertEqual((last["operation"], last["verdict"]), ("fetch-certificate", "refuse"))

    @unittest.skipUnless(os.geteuid() == 0, "another user needs root")
    def test_3_an_operator_revokes_nothing(self):
        world = self.world
        nobody = next(user for user in pwd.getpwall() if user.pw_uid not in (0, 65534))
        world.write_config(administrators=f"  officers:\n    - user: {world.user}\n"
                                          f"  operators:\n    - user: {nobody.pw_name}\n")
        world.admin("reload")
        with open(self.live("a.app1"), encoding="ascii") as file:
            path = world.path("copy.pem")
            with open(path, "w", encoding="ascii") as copy:
                copy.write(file.read())
        os.chmod(path, 0o644)
        os.chmod(world.ca.ca_file, 0o644)
        os.chmod(world.path("state"), 0o755)    # the inventory can be read: that is not what stops him
        os.chmod(world.path("state", "audit"), 0o755)
        os.chmod(world.path("state", "audit", "audit.jsonl"), 0o644)
        done = self.revoke("--certificate", path, "--yes", user=nobody.pw_uid, status=None)
        os.chmod(world.path("state"), 0o750)
        os.chmod(world.path("state", "audit"), 0o750)
        os.chmod(world.path("state", "audit", "audit.jsonl"), 0o640)
        self.assertNotEqual(done.status, 0)
        self.assertIn("not permitted", done.text)
        last = world.records()[-1]
        self.assertEqual((last["operation"], last["verdict"], last["user"]),
                         ("revoke", "refuse", nobody.pw_name))
        self.assertEqual(self.asked(), 0)

    def test_4_everything_of_an_application_while_frozen(self):
        self.world.admin("freeze", "--reason", "app1 is compromised")
        done = self.revoke("--application", "app1", "--yes", "--reason", "keycompromise")
        self.assertIn("2 revoked, 0 were revoked already, 0 failed", done.out)
        self.assertIn("a.app1.dept.example.edu", done.err)
        self.assertTrue(self.revoked("a.app1") and self.revoked("b.app1"))
        self.assertFalse(self.revoked("a.app2"))
        self.assertEqual(self.world.admin("certificates", "--revoked").out.splitlines()[-1],
                         "2 of 3 certificates")
        by_name = self.world.admin("certificates", "--name", "A.App1.dept.example.edu").out
        self.assertEqual(by_name.splitlines()[-1], "1 of 3 certificates")
        self.assertIn("--name: ", self.world.admin("certificates", "--name", "a..b", status=2).err)
        records = [r for r in self.world.records("--application", "app1")
                   if r["kind"] == "admin" and r.get("operation") == "revoke"]
        self.assertEqual({r["serial"].lower().lstrip("0") for r in records},
                         {self.serial(name).lower().lstrip("0") for name in ("a.app1", "b.app1")})
        self.assertTrue(all(r["rule"] == "revoke.compromised" and r["message"] == "reason 1"
                            and r["verdict"] == "permit" for r in records), records)

    def test_5_again_nothing_is_left_to_do(self):
        done = self.world.admin("--json", "revoke", "--application", "app1", "--yes")
        found = json.loads(done.out)
        self.assertEqual((found["revoked"], found["already_revoked"], found["failed"]), (0, 2, 0))
        # With the certificate at hand the CA itself is asked.
        done = self.revoke("--certificate", self.live("a.app1"), "--yes")
        self.assertIn("1 were revoked already", done.out)
        self.world.admin("unfreeze")

    def test_6_by_serial_as_openssl_writes_it(self):
        """Also when the segment that it is in was archived."""
        serial = self.serial("a.app2")
        colons = ":".join(serial[i:i + 2] for i in range(0, len(serial), 2))
        words = ("--serial", colons.upper(), "--yes", "--reason", "superseded")
        closed, archive = self.archive()
        self.assertIn("--archive", self.revoke(*words, status=1).err)
        done = self.revoke(*words, "--partial", status=1)
        self.assertIn("are left out", done.err)
        self.assertIn("no such certificate", done.err)
        done = self.revoke(*words, "--archive", archive)
        self.assertIn("1 revoked", done.out)
        self.assertTrue(self.revoked("a.app2"))
        os.rename(os.path.join(archive, os.path.basename(closed)), closed)

    def archive(self):
        world = self.world
        world.admin("audit", "rotate")
        closed, archive = world.path("state", "audit", "audit-000001.jsonl"), world.path("archive")
        os.mkdir(archive)
        os.rename(closed, os.path.join(archive, os.path.basename(closed)))
        return closed, archive

    def test_7_single_failures_are_told_and_the_rest_goes_on(self):
        """One that the CA never issued is in the inventory, before one that it did."""
        world = self.world
        world.certonly("c.app2.dept.example.edu", words=("--application", "app2", "--cert-name", "c"))
        forged = world.path("forged.der")
        openssl("req", "-x509", "-new", "-key", world.path("client", "live", "a.app2", "privkey.pem"),
                "-subj", "/", "-addext", "subjectAltName=DNS:a.app2.dept.example.edu",
                "-days", "30", "-outform", "DER", "-out", forged)
        with open(forged, "rb") as file:
            der = base64.urlsafe_b64encode(file.read()).rstrip(b"=").decode()
        # Not just the first order: one whose nonce was rejected was never finalized.
        handed = world.records("--application", "app2", "--kind", "certificate")
        order = handed[0]["order"]
        with varlink.Client(address="unix:" + world.socket) as client, \
                client.open("org.acmeward.Signer") as signer:
            signer.RecordCertificate(application="app2", order=order, certificate=der, chain=[])
        done = self.revoke("--application", "app2", "--yes", status=None)
        self.assertNotEqual(done.status, 0)
        self.assertIn("1 revoked, 1 were revoked already, 1 failed", done.out)

    def test_8_a_file_that_no_client_handed_back(self):
        world = self.world
        path = world.path("stranger.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "/dev/null", "-subj", "/", "-addext",
                "subjectAltName=DNS:x.dept.example.edu", "-days", "30", "-out", path)
        self.assertIn("--account", self.revoke("--certificate", path, "--yes", status=2).err)
        done = self.revoke("--certificate", path, "--yes", "--account", "loopback-ov", status=4)
        self.assertIn("1 of 1 are not revoked", done.err)
        done = self.revoke("--certificate", path, "--yes", "--account", "none", status=None)
        self.assertIn('has no account "none"', done.text)

    def test_9_a_run_that_stops_tells_what_it_did(self):
        self.world.stop_signer()
        done = self.world.admin("--json", "revoke", "--application", "app2", "--yes", status=None)
        self.assertNotEqual(done.status, 0)
        self.assertIn("3 of 3 are not revoked; stopped at: ", done.err)
        found = json.loads(done.out)
        self.assertEqual([found[name] for name in ("revoked", "already_revoked", "failed", "not_tried")],
                         [0, 0, 1, 2])
        self.assertEqual([one["result"] for one in found["certificates"]], ["failed"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
