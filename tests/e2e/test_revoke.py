#!/usr/bin/python3
"""Revocation and the inventory, with real parts. Attacks 40, 41, 46, 88d."""

import base64
import json
import os
import unittest

import varlink
from world import World, run


def openssl(*words, stdin=None):
    return run(["openssl", *words], stdin=stdin).out


class Course(unittest.TestCase):
    """One world; the tests run in the order of their numbers, each on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        world = cls.world
        world.issuers = world.ca.issuing_root
        world.application("app1", exact=["app1.dept.example.edu", "own.app1.dept.example.edu"],
                          operations=["order", "revoke"])
        world.application("app2", exact=["app2.dept.example.edu"], operations=["order", "revoke"])
        world.start()
        for name, application in (("app1", "app1"), ("own.app1", "app1"), ("app2", "app2")):
            world.certonly(f"{name}.dept.example.edu",
                           words=("--application", application, "--cert-name", name))

    def live(self, name, file="cert.pem"):
        return self.world.path("client", "live", name, file)

    def revoke(self, *words, **options):
        return self.world.client("revoke", *words, **options)

    def certificates(self, *words):
        done = self.world.admin("--json", "certificates", *words)
        return [json.loads(line) for line in done.out.splitlines()]

    def revocations(self):
        return self.world.ca.log().count("POST /revoke-cert ->")

    # The inventory.

    def test_01_inventory_is_verified(self):
        found = self.certificates()
        self.assertEqual([entry["application"] for entry in found], ["app1", "app1", "app2"])
        self.assertTrue(all(entry["verified"] for entry in found), found)
        serial = openssl("x509", "-in", self.live("app1"), "-noout", "-serial").strip()
        self.assertEqual(int(found[0]["serial"], 16), int(serial.partition("=")[2], 16))
        self.assertEqual(found[0]["names"], ["app1.dept.example.edu"])
        self.assertIn("Pebble Intermediate CA", found[0]["issuer"])
        self.assertEqual(len(self.certificates("--application", "app2")), 1)
        self.assertEqual(len(self.certificates("--name", "own.app1.dept.example.edu")), 1)
        self.assertEqual(self.certificates("--expiring", "0"), [])
        self.assertEqual(len(self.certificates("--expiring", "3000")), 3)
        self.assertIn("verified", self.world.admin("certificates").out)
        self.assertIn("Pebble Root CA", self.world.admin("ca", "list").out)
        pinned = [r for r in self.world.records() if r["kind"] == "issuers"]
        self.assertIn("CA loopback is held to", pinned[-1]["message"])

    def test_02_attack_88d_forged_certificate(self):
        """app1 forges a certificate with app2's serial, for its own order and key."""
        serial = openssl("x509", "-in", self.live("app2"), "-noout", "-serial").strip()
        forged = self.world.path("client", "forged.der")
        openssl("req", "-x509", "-new", "-key", self.live("app1", "privkey.pem"), "-subj", "/",
                "-addext", "subjectAltName=DNS:app1.dept.example.edu", "-addext",
                "basicConstraints=critical,CA:FALSE", "-set_serial", "0x" + serial.partition("=")[2],
                "-days", "30", "-outform", "DER", "-out", forged)
        with open(forged, "rb") as file:
            der = base64.urlsafe_b64encode(file.read()).rstrip(b"=").decode()
        order = [r["seq"] for r in self.world.records("--application", "app1")
                 if r.get("operation") == "new-order" and r["verdict"] == "permit"][0]
        with varlink.Client(address="unix:" + self.world.socket) as client, \
                client.open("org.acmeward.Signer") as signer:
            signer.RecordCertificate(application="app1", order=order, certificate=der, chain=[])
        last = self.certificates()[-1]
        self.assertFalse(last["verified"])
        self.assertEqual(last["application"], "app1")
        alarm = self.world.records("--kind", "alarm")[-1]
        self.assertEqual(alarm["rule"], "certificate.unverified")
        self.assertIn("NOT VERIFIED", self.world.admin("certificates").out)

    # Revocation.

    def test_03_attack_40_another_applications_certificate(self):
        done = self.revoke("--cert-path", self.live("app2"), "--application", "app1", status=3)
        self.assertIn("revoke.key", done.err)
        self.assertEqual(self.revocations(), 0)

    def test_04_attack_41_key_compromise_needs_the_key(self):
        done = self.revoke("--cert-path", self.live("app1"), "--reason", "keycompromise", status=2)
        self.assertIn("--key-path", done.err)
        done = self.revoke("--cert-path", self.live("app1"), "--reason", "keycompromise",
                           "--key-path", self.live("app2", "privkey.pem"), status=1)
        self.assertIn("not the certificate's", done.err)
        self.assertEqual(self.revocations(), 0)

    def test_05_usage(self):
        for words, text in (((), "--cert-name"),
                            (("--cert-name", "app1", "--cert-path", "x"), "one of them"),
                            (("--cert-name", "app1", "--reason", "boredom"), "expected unspecified"),
                            (("--cert-path", "x", "--delete-after-revoke"), "--cert-name"),
                            (("--cert-name", "app1", "--application", "app1", "--server",
                              "https://localhost:1/dir"), "--server")):
            with self.subTest(words):
                self.assertIn(text, self.revoke(*words, status=2).err)
        self.assertEqual(self.revoke("--cert-name", "nothing", status=1).status, 1)

    def test_06_with_the_account_key(self):
        done = self.revoke("--cert-name", "app1", "--application", "app1", "--reason", "superseded",
                           "--json")
        self.assertEqual(done.json()["status"], "revoked")
        self.assertEqual(done.json()["signed_with"], "account")
        self.assertTrue(os.path.exists(self.live("app1")))
        self.assertEqual(self.revocations(), 1, "the CA's log tells of those that there are")
        last = self.world.records("--application", "app1")[-1]
        self.assertEqual((last["operation"], last["verdict"]), ("revoke", "permit"))
        self.assertNotIn("REVOKED", self.world.admin("certificates", "--name",
                                                     "own.app1.dept.example.edu").out)
        self.assertIn(f"verified  REVOKED {last['time']}",
                      self.world.admin("certificates", "--application", "app1").out)
        shown = self.certificates("--revoked")
        self.assertEqual([entry["certificate"] for entry in shown], [last["certificate"]])
        self.assertTrue(shown[0]["revoked"] and shown[0]["revoked_at"] > 0)
        self.assertEqual([entry["certificate"] for entry in self.certificates() if entry["revoked"]],
                         [last["certificate"]])

    def test_07_again_is_done(self):
        done = self.revoke("--cert-name", "app1", "--application", "app1")
        self.assertIn("already revoked", done.out)

    def test_08_with_its_own_key_and_deleted(self):
        before = len(self.world.records())
        done = self.revoke("--cert-name", "own.app1", "--application", "app1", "--reason",
                           "keycompromise", "--delete-after-revoke", "--json")
        self.assertEqual(done.json()["signed_with"], "certificate")
        self.assertTrue(done.json()["deleted"])
        self.assertEqual(len(self.world.records()), before, "the signer had nothing to sign")
        self.assertFalse(os.path.exists(self.world.path("client", "live", "own.app1")))
        self.assertFalse(os.path.exists(self.world.path("client", "archive", "own.app1")))

    def test_09_with_its_own_key_and_no_signer(self):
        self.world.stop_signer()
        words = ("--cert-path", self.live("app2"), "--key-path", self.live("app2", "privkey.pem"))
        done = self.revoke(*words, "--application", "app2", status=5)
        self.assertIn("--server", done.err)
        done = self.revoke(*words, "--server", self.world.ca.directory)
        self.assertIn("certificate's own key", done.out)
        done = self.revoke(*words, "--server", self.world.ca.directory)
        self.assertIn("already revoked", done.out)


class Keys(unittest.TestCase):
    """Each type of key revokes its own certificate; a CA that rejects nonces of its own."""

    def test_every_type(self):
        # Some of about 25 requests meet it. At 40 percent one of 250 finalizes was refused six times
        # in a row, as often as the client asks; storms are unit.acme_session's.
        with World(pebble={"nonce_reject": 15}) as world:
            world.application("app1", subdomains_of=["app1.dept.example.edu"],
                              keys=["ec-p256", "ec-p384", "rsa-2048"])
            world.start()
            for key in ("ec-p256", "ec-p384", "rsa-2048"):
                name = f"{key}.app1.dept.example.edu"
                world.certonly(name, words=("--key-type", key, "--cert-name", key))
                done = world.client("revoke", "--cert-name", key, "--reason", "keycompromise")
                self.assertIn("certificate's own key", done.out, key)


if __name__ == "__main__":
    unittest.main(verbosity=2)
