#!/usr/bin/python3
"""Key ceremonies with Pebble and SoftHSM: wrapped import, rotation, adoption, recovery."""

import json
import os
import unittest

from world import ADMIN, World, environment, run

NAME = "app.dept.example.edu"


class Wrapped(unittest.TestCase):
    """The HMAC key is wrapped on a workstation; the HSM host never has it in clear."""

    def setUp(self):
        self.world = self.enterContext(World())
        self.world.application("app", exact=[NAME])
        self.world.write_config()
        self.world.start_signer()
        self.world.admin("ca", "pin", "loopback", "--yes")
        shown = self.world.admin("eab", "wrapping-key", "create")
        self.public_key = self.world.path("wrapping.pem")
        with open(self.public_key, "w", encoding="ascii") as file:
            file.write(shown.out)       # the PEM text, and nothing else
        self.fingerprint = shown.err.split("fingerprint ")[1].split()[0]
        with open(self.world.ca.key_file, encoding="ascii") as file:
            self.key = file.read()
        self.file = self.world.path("wrapped")

    def wrap(self, *words, fingerprint=None, kid=None, stdin=None, status=0):
        """As on a workstation: no configuration, no socket, no token."""
        return run([ADMIN, "--config", "/nonexistent", "eab", "wrap", "--public-key",
                    self.public_key, "--fingerprint", fingerprint or self.fingerprint, "--ca",
                    "loopback", "--kid", kid or self.world.ca.kid, "--out", self.file, *words],
                   stdin=stdin or self.key, status=status, env=environment())

    @staticmethod
    def sha256(done):
        return done.out.split("sha256 ")[1].split()[0]

    def test_the_whole_way(self):
        wrapped = self.wrap()
        self.assertIn("SHA-1", wrapped.out)
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        imported = self.world.admin("eab", "import", "--wrapped", self.file)
        self.assertIn("imported: 256 bits", imported.out)
        self.assertEqual(self.sha256(wrapped), self.sha256(imported))
        self.world.register()       # the CA takes its MAC
        self.world.certonly(NAME)
        self.world.admin("eab", "wrapping-key", "destroy")
        self.world.admin("eab", "wrapping-key", "show", status=5)
        self.nowhere_in_clear()

    def nowhere_in_clear(self):
        """Neither the state nor the wrapped file nor the log has the key."""
        key = self.key.strip().encode()
        for folder, _, names in os.walk(self.world.path("state")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(key, file.read(), name)
        for path in (self.file, self.world.signer_log):
            with open(path, "rb") as file:
                self.assertNotIn(key, file.read(), path)

    def test_attack_161_another_wrapping_key_in_its_place(self):
        other = self.world.path("other.pem")
        run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt",
             "rsa_keygen_bits:3072", "-out", other])
        run(["openssl", "pkey", "-in", other, "-pubout", "-out", self.public_key])
        done = self.wrap(status=1)
        self.assertIn("do not wrap", done.text)
        self.assertFalse(os.path.exists(self.file))

    def test_attack_162_a_file_that_was_changed_on_the_way(self):
        self.wrap(kid="other")
        with open(self.file, encoding="ascii") as file:
            text = file.read()
        for changed in (text.replace('"kid":"other"', f'"kid":"{self.world.ca.kid}"'),
                        text.replace('"bits":256', '"bits":512')):
            with open(self.file, "w", encoding="ascii") as file:
                file.write(changed)
            done = self.world.admin("eab", "import", "--wrapped", self.file, status=1)
            self.assertIn("not the key that was wrapped", done.text)
        self.assertEqual(self.world.admin("--json", "eab", "list").json(), {"eabs": []})

    def test_mistakes_are_told(self):
        self.assertIn("fingerprint", self.wrap(fingerprint="12ab", status=2).text)
        self.assertIn("128 bits", self.wrap(stdin="A" * 22, status=1).text)
        self.wrap("--force", stdin="A" * 22)
        done = self.world.admin("eab", "import", "--wrapped", self.file, status=1)
        self.assertIn("128 bits", done.text)
        self.world.admin("eab", "import", "--wrapped", self.file, "--force")
        done = self.world.admin("eab", "import", "--wrapped", self.public_key, status=1)
        self.assertIn("eab wrap wrote", done.text)
        done = self.world.admin("eab", "import", "--wrapped", self.file, "--kid", "x", status=1)
        self.assertIn("was wrapped for", done.text)
        colons = ":".join(self.fingerprint[i:i + 2] for i in range(0, 64, 2)).upper()
        self.wrap(fingerprint=colons)


if __name__ == "__main__":
    unittest.main()
