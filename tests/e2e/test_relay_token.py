#!/usr/bin/python3
"""The relay's own key in a token (tls.key: pkcs11:...): served from there inside the sandbox, with
certificates that change under open connections; what is missing or wrong is told; a token that
ceases to sign ends the relay."""

import base64
import glob
import os
import secrets
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from relay_server import RELAY, RelayServer  # noqa: E402
from world import TOKEN_TOOL, environment, run, wait_until  # noqa: E402

MODULE = next(iter(glob.glob("/usr/lib/softhsm/libsofthsm2.so")), None)
PROVIDER = glob.glob("/usr/lib/*/ossl-modules/pkcs11.so")
URI = "pkcs11:token=relay;object=tls"


@unittest.skipUnless(PROVIDER, "no pkcs11-provider here: sh packaging/install-packages.sh test")
class KeyInToken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.relay = RelayServer()
        os.mkdir(cls.path("tokens"), 0o700)
        cls.write("softhsm2.conf", f"directories.tokendir = {cls.path('tokens')}\n"
                                   "objectstore.backend = file\nlog.level = ERROR\n")
        for name in ("pin", "so-pin"):
            cls.write(name, secrets.token_hex(15), 0o400)
        cls.write("wrong-pin", "123456", 0o400)
        cls.environment = environment(SOFTHSM2_CONF=cls.path("softhsm2.conf"))
        cls.tool("init", "--so-pin-file", cls.path("so-pin"))
        cls.tool("import-key", "--key", cls.path("server.key"), "--label", "tls")
        os.rename(cls.path("server.key"), cls.path("was.key"))
        cls.uri = f"{URI}?pin-source=file:{cls.path('pin')}"
        cls.configure()

    @classmethod
    def tearDownClass(cls):
        cls.relay.close()

    @classmethod
    def path(cls, *names):
        return cls.relay.path(*names)

    @classmethod
    def write(cls, name, text, mode=0o600):
        with open(cls.path(name), "w", encoding="ascii") as file:
            os.chmod(cls.path(name), mode)
            file.write(text)

    @classmethod
    def tool(cls, *words):
        run([TOKEN_TOOL, *words, "--module", MODULE, "--token", "relay", "--pin-file",
             cls.path("pin")], env=cls.environment)

    @classmethod
    def configure(cls, key=None, **more):
        """tls: of relay.yaml."""
        tls = {"certificate": cls.path("server.pem"), "key": key or cls.uri,
               "pkcs11_module": MODULE, "key_paths": f"[{cls.path('tokens')}]", **more}
        with open(cls.path("relay.yaml"), encoding="ascii") as file:
            lines = [line for line in file if not line.startswith("tls:")]
        text = ", ".join(f'{name}: "{value}"' if value[0] != "[" else f"{name}: {value}"
                         for name, value in tls.items())
        cls.write("relay.yaml", "".join(lines) + f"tls: {{{text}}}\n")

    def check(self, status=5):
        return run([RELAY, "--config", self.path("relay.yaml"), "--check-config"], status=status,
                   env=self.environment)

    def certificate(self):
        with self.relay.connect() as fresh:
            return fresh.getpeercert(True)

    def certify(self, key):
        """A new certificate of that key."""
        run(["openssl", "req", "-x509", "-key", self.path(key), "-subj", "/CN=localhost", "-days", "2",
             "-addext", "subjectAltName=DNS:localhost", "-out", self.path("new.pem")])
        os.replace(self.path("new.pem"), self.path("server.pem"))

    def test_1_what_is_wrong_is_told(self):
        self.addCleanup(self.configure)
        for name, key, more, words in (
                ("no object", "pkcs11:token=relay", {}, "names no object"),
                ("PIN in the URI", f"{URI}?pin-value=1", {}, "pin-value"),
                ("relative module", None, {"pkcs11_module": "softhsm.so"},
                 "tls.pkcs11_module: found \"softhsm.so\", expected an absolute path"),
                ("relative path", None, {"key_paths": "[tokens]"},
                 "tls.key_paths: found \"tokens\", expected an absolute path"),
                ("another token", self.uri.replace("token=relay", "token=other"), {}, "relay.yaml"),
                ("another key", self.uri.replace("object=tls", "object=other"), {}, "no key"),
                ("no PIN", URI, {}, "key_pin_file to relay.yaml"),
                ("no module", None, {"pkcs11_module": "/none.so"}, "pkcs11_module in relay.yaml")):
            with self.subTest(name):
                self.configure(key, **more)
                done = self.check(status=None)
                self.assertIn(words, done.out + done.err)

    def test_2_a_key_that_is_not_the_certificates(self):
        self.addCleanup(self.certify, "was.key")
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-out", self.path("other.key")])
        self.certify("other.key")
        self.assertRegex(self.check(status=1).err,
                         f"{URI};type=private\\S* is not the key of the certificate in")

    def test_3_a_wrong_pin_is_tried_once(self):
        self.addCleanup(self.configure)
        self.configure(f"{URI}?pin-source=file:{self.path('wrong-pin')}")
        self.assertIn("the token does not take the PIN", self.check().err)
        self.configure()
        self.assertIn("none is tried unattended", self.check().err)
        self.tool("import-key", "--key", self.path("was.key"), "--label", "other")  # logs in
        self.check(status=0)

    def test_4_a_file_that_stands_for_the_key(self):
        """As acmeward certonly --key-uri writes it."""
        self.addCleanup(self.configure)
        parts = b"".join(bytes((tag, len(text))) + text for tag, text in (
            (0x1a, b"PKCS#11 Provider URI v1.0"), (0x0c, f"{URI};type=private".encode())))
        body = base64.b64encode(b"\x30" + bytes((len(parts),)) + parts).decode()
        name = "PKCS#11 PROVIDER URI"
        self.write("privkey.pem", f"-----BEGIN {name}-----\n{body}\n-----END {name}-----\n")
        self.configure(self.path("privkey.pem"), key_pin_file=self.path("pin"))
        self.check(status=0)

    def test_5_serves_and_changes_and_ends(self):
        self.relay.start(self.environment)
        before = self.certificate()
        with self.relay.connect() as kept:
            # Another key's certificate is refused, one of the token's is taken.
            self.certify("other.key")
            self.relay.signal(signal.SIGHUP)
            wait_until("the refusal", lambda: "the certificate in force stays" in self.relay.log())
            self.assertEqual(self.certificate(), before)
            self.certify("was.key")
            self.relay.signal(signal.SIGHUP)
            wait_until("the new certificate", lambda: self.certificate() != before)
            self.assertEqual(self.relay.ask(connection=kept)["status"], 200)
            self.assertEqual(kept.getpeercert(True), before)
        # The token goes away: the relay ends, so that it is started anew.
        for name in glob.glob(self.path("tokens", "*", "*.object")):
            os.unlink(name)
        wait_until("the end", lambda: self.relay.process.poll() is not None, seconds=40, pause=0.1)
        self.relay.end(status=5)
        self.assertIn("the token does not sign with the relay's key", self.relay.log())


if __name__ == "__main__":
    unittest.main()
