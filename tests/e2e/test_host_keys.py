#!/usr/bin/python3
"""Certificate keys in a token (--key-uri): made there, certified, renewed, served from there by the
same URI and by privkey.pem, used for revocation; what is missing or wrong is told."""

import fcntl
import glob
import json
import os
import secrets
import subprocess
import unittest

from faulty_proxy import FaultyProxy
from world import TOKEN_TOOL, World, environment, free_ports, run, wait_until

NAME = "www.dept.example.edu"
URI = "pkcs11:token=hosts;object=www"
MODULE = next(iter(glob.glob("/usr/lib/softhsm/libsofthsm2.so")), None)
PROVIDER = glob.glob("/usr/lib/*/ossl-modules/pkcs11.so")


@unittest.skipUnless(PROVIDER, "no pkcs11-provider here: sh packaging/install-packages.sh test")
class HostKeys(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=[NAME, "rsa." + NAME, "pin." + NAME, "cut." + NAME], keys=["ec-p256", "rsa-2048"],
                              operations=["order", "revoke"])
        cls.proxy = cls.enterClassContext(FaultyProxy(cls.world.ca, cls.world.path("ca")))
        cls.world.write_config(directory=cls.proxy.directory)
        cls.world.start_signer()
        cls.world.admin("ca", "pin", "loopback", "--yes")
        cls.world.import_eab()
        cls.world.register()
        cls.make_token()
        cls.env = environment(SOFTHSM2_CONF=cls.path("softhsm2.conf"))
        cls.uri = f"{URI}?pin-source=file:{cls.path('pin')}"
        # All that follows uses what is made here.
        cls.first = cls.order(NAME, "--key-uri", cls.uri)

    @classmethod
    def path(cls, *names):
        return cls.world.path("hosts", *names)

    @classmethod
    def write(cls, name, text, mode=0o600):
        with open(cls.path(name), "w", encoding="ascii") as file:
            os.chmod(cls.path(name), mode)
            file.write(text)
        return cls.path(name)

    @classmethod
    def make_token(cls):
        """The hosts' own, beside the signer's. Its PIN is as long as pkcs11-provider can take."""
        os.mkdir(cls.path(), 0o700)
        os.mkdir(cls.path("tokens"))
        cls.write("softhsm2.conf", f"directories.tokendir = {cls.path('tokens')}\n"
                                   "objectstore.backend = file\nlog.level = ERROR\n")
        for name in ("pin", "so-pin"):
            cls.write(name, secrets.token_hex(15), 0o400)
        run([TOKEN_TOOL, "init", "--module", MODULE, "--token", "hosts", "--pin-file",
             cls.path("pin"), "--so-pin-file", cls.path("so-pin")],
            env=environment(SOFTHSM2_CONF=cls.path("softhsm2.conf")))

    @classmethod
    def client(cls, *words, module=MODULE, status=0, env=None):
        """With a pkcs11_module in client.yaml; None: none."""
        command = cls.world.client_command(*words, name="hosts-client")
        config = cls.world.path("etc", "hosts-client.yaml")
        with open(config, encoding="ascii") as file:
            text = "".join(line for line in file if not line.startswith("pkcs11_module"))
        with open(config, "w", encoding="ascii") as file:
            file.write(text + (f"pkcs11_module: {module}\n" if module else ""))
        return run(command, status=status, env=env or cls.env)

    @classmethod
    def order(cls, name, *words, **options):
        return cls.client("certonly", "-d", name, "--standalone", "--http-01-port",
                          str(cls.world.http_port), *words, **options)

    def live(self, kind, name=NAME):
        return self.world.path("hosts-client", "live", name, f"{kind}.pem")

    def public(self, kind, name=NAME):
        """Of the certificate."""
        return run(["openssl", "x509", "-noout", "-pubkey", "-in", self.live(kind, name)]).out

    def openssl_config(self):
        return self.write("openssl.cnf", f"""openssl_conf = init
[init]
providers = providers
[providers]
default = first
pkcs11 = second
[first]
activate = 1
[second]
activate = 1
pkcs11-module-path = {MODULE}
pkcs11-module-quirks = no-deinit
""")

    def served_by(self, key):
        """What s_server serves with that key is checked by s_client."""
        port, = free_ports(1)
        env = dict(self.env, OPENSSL_CONF=self.openssl_config())
        with subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "openssl", "s_server", "-accept",
                 f"127.0.0.1:{port}", "-cert", self.live("cert"), "-cert_chain", self.live("chain"),
                 "-key", key, "-quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env=env) as server:
            try:
                def answer():
                    return run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}",
                                "-servername", NAME, "-verify_return_error", "-verify_hostname",
                                NAME, "-CAfile", self.world.ca.issuing_root], stdin="Q\n",
                               status=None).out
                wait_until("s_server", lambda: "Verify return code: 0 (ok)" in answer(), seconds=10,
                           pause=0.1)
                return run(["openssl", "x509", "-noout", "-pubkey"], stdin=answer()).out
            finally:
                server.kill()

    def test_key_is_made_in_the_token_and_cannot_leave_it(self):
        self.assertIn("making a key in the token", self.first.err + self.first.out)
        found = next(text for text in self.objects().split("Private Key Object")
                     if "label:      www\n" in text)
        access = next(line for line in found.splitlines() if "Access:" in line)
        self.assertIn("sensitive, always sensitive, never extractable, local", access)
        usage = next(line for line in found.splitlines() if "Usage:" in line)
        # signRecover, which OpenSC tells since 0.26: the token's default; it is a signature too.
        self.assertIn(usage.split(None, 1)[1], ("sign", "sign, signRecover"))
        with open(self.live("privkey"), encoding="ascii") as file:
            text = file.read()
        self.assertTrue(text.startswith("-----BEGIN PKCS#11 PROVIDER URI-----\n"), text)

    def test_server_uses_the_same_uri(self):
        self.assertEqual(self.served_by(self.uri), self.public("cert"))

    def test_server_uses_privkey_pem(self):
        self.assertEqual(self.served_by(self.live("privkey")), self.public("cert"))

    def test_renewal_keeps_the_key(self):
        before, serial = self.public("cert"), os.readlink(self.live("cert"))
        self.client("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", NAME)
        self.assertNotEqual(os.readlink(self.live("cert")), serial)
        self.assertEqual(self.public("cert"), before)

    def test_order_that_was_cut_off_goes_on_with_the_key_in_the_token(self):
        name, uri = "cut." + NAME, self.uri.replace("=www", "=cut")
        self.proxy.fault("finalize", (429, [("Retry-After", "3600")]))
        self.addCleanup(self.proxy.heal)
        self.assertIn("the order is kept", self.order(name, "--key-uri", uri, status=None).err)
        left = os.listdir(self.world.path("hosts-client", "archive"))
        self.assertIn(f".order-{name}.json", left)
        self.assertNotIn(f".order-{name}.key", left)
        self.proxy.heal()
        self.assertIn("going on with the order", self.order(name, "--key-uri", uri).err)
        self.assertEqual(self.objects().count("label:      cut\n"), 1)

    def test_processes_take_turns_at_the_token(self):
        """Two that start on SoftHSM's folder at once can each see no token."""
        path = self.world.path("hosts-client", "archive", ".token.lock")
        with open(path, "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            command = self.world.client_command("certonly", "-d", NAME, "--key-uri", self.uri,
                                                "--dry-run", name="hosts-client")
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=self.env) as process:
                with self.assertRaises(subprocess.TimeoutExpired):
                    process.wait(1)
                fcntl.flock(lock, fcntl.LOCK_UN)
                self.assertEqual(process.wait(60), 0)

    def test_another_object_is_another_key(self):
        before = self.public("cert")
        kept = self.order(NAME, "--key-uri", self.uri)
        self.assertIn("kept:", kept.out)
        self.order(NAME, "--key-uri", self.uri.replace("=www", "=www-2"))
        self.assertNotEqual(self.public("cert"), before)
        self.order(NAME, "--key-uri", self.uri)
        self.assertEqual(self.public("cert"), before)
        done = self.order(NAME, "--key-uri", self.uri, "--new-key", status=2)
        self.assertIn("a new key is a new object", done.err)

    def test_token_is_not_left_by_an_option_forgotten(self):
        done = self.order(NAME, "--force-renewal", status=2)
        self.assertIn(f"the key of certificate {NAME} is in a token", done.err)
        self.assertIn("--key-uri 'pkcs11:", done.err)

    def test_rsa_and_revocation_with_the_key_itself(self):
        name = "rsa." + NAME
        uri = self.uri.replace("=www", "=rsa")
        self.order(name, "--key-uri", uri, "--key-type", "rsa-2048")
        self.assertIn("RSA", self.objects())
        done = self.order(name, "--key-uri", uri, "--key-type", "ec-p256", status=1)
        self.assertIn("of type rsa-2048, not ec-p256", done.err)
        wrong = self.client("revoke", "--cert-path", self.live("cert", name), "--key-path", self.uri,
                            status=1)
        self.assertIn("not the certificate's", wrong.err)
        done = self.client("revoke", "--cert-name", name, "--reason", "keycompromise",
                           "--delete-after-revoke")
        self.assertIn("with the certificate's own key", done.out)
        self.assertIn("label:      rsa", self.objects())

    def pkcs11_tool(self, *words):
        with open(self.path("pin"), encoding="ascii") as file:
            env = dict(self.env, PIN=file.read())
        return run(["pkcs11-tool", "--module", MODULE, "--token-label", "hosts", "--login", "--pin",
                    "env:PIN", *words], env=env).out

    def objects(self):
        return self.pkcs11_tool("--list-objects", "--type", "privkey")

    def test_attack_109a_a_key_of_elsewhere_under_the_objects_name(self):
        key = self.path("foreign.der")
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-outform", "DER", "-out", key])
        for kind, label, words in (("imported", "foreign", ("--write-object", key, "--type", "privkey")),
                                   ("extractable", "loose", ("--keypairgen", "--key-type",
                                                             "EC:prime256v1", "--extractable"))):
            with self.subTest(kind):
                self.pkcs11_tool(*words, "--label", label, "--id", secrets.token_hex(4))
                self.refused("--key-uri", self.uri.replace("=www", f"={label}"), status=1,
                             say=("not made in the token" if kind == "imported"
                                  else "it may leave the token", "--reuse-key"))
        done = self.order(NAME, "--cert-name", "loose", "--reuse-key", "--key-uri",
                          self.uri.replace("=www", "=loose"))
        self.assertIn("used as asked, but it may leave the token", done.err)

    def test_attack_109b_renewals_with_a_wrong_pin_until_the_token_locks(self):
        """One guess each hour and certificate would lock a token within a day."""
        name, pin = "pin." + NAME, self.write("pin-to-be", "", 0o600)
        with open(self.path("pin"), encoding="ascii") as file:
            self.write("pin-to-be", file.read())
        uri = f"pkcs11:token=hosts;object=pin?pin-source=file:{pin}"
        self.order(name, "--key-uri", uri)
        self.write("pin-to-be", "999999")
        renew = ("renew", "--force-renewal", "--no-random-sleep-on-renew", "--cert-name", name)
        self.assertIn("does not take the PIN", self.client(*renew, status=None).err)
        self.assertIn("none is tried unattended", self.client(*renew, status=None).err)
        self.objects()  # the right PIN once

    def test_what_is_told_of_it(self):
        table = self.client("certificates").out
        self.assertIn("ec-p256 (token)", table)
        entry = self.client("certificates", "--json", "--cert-name", NAME).json()
        self.assertIn("object=www", json.dumps(entry))
        done = self.client("export", "--cert-name", NAME, "--format", "pkcs12", "--out",
                           self.path("out.p12"), "--passphrase-file", self.path("pin"), status=1)
        self.assertIn("the key can't be exported: it is in a token", done.err)
        done = self.client("doctor", status=None)
        self.assertRegex(done.out, r"key.*in the token, pkcs11:")

    def refused(self, *words, status, say, **options):
        done = self.order(NAME, "--cert-name", "none", *words, status=status, **options)
        for text in say:
            self.assertIn(text, done.err)

    def test_what_is_wrong_is_told_before_anything_is_ordered(self):
        loose = self.write("loose", "123456", 0o604)
        long_pin = self.write("long", "1" * 32, 0o600)
        wrong = self.write("wrong", "999999", 0o600)
        pin = self.path("pin")
        rows = (
            ("missing token", f"pkcs11:token=nope;object=x?pin-source=file:{pin}", 5,
             ("is not there", "there are: hosts")),
            ("no PIN source", URI, 5, ("no source for the token's PIN", "key_pin_file")),
            ("PIN that others read", f"{URI}?pin-source=file:{loose}", 1, ("0604",)),
            ("PIN too long for servers", f"{URI}?pin-source=file:{long_pin}", 5, ("31 octets",)),
            ("PIN in the URI", f"{URI}?pin-value=1234", 2, ("--key-uri", "pin-value")),
            ("wrong PIN", f"{URI}?pin-source=file:{wrong}", 5,
             ("does not take the PIN", "mend the PIN's file")),
        )
        for name, uri, status, say in rows:
            with self.subTest(name):
                self.refused("--key-uri", uri, status=status, say=say)
        self.assertFalse(os.path.exists(self.world.path("hosts-client", "live", "none")))
        self.objects()  # the right PIN once: SoftHSM forgets the wrong one

    def test_missing_provider_and_module_are_named(self):
        self.refused("--key-uri", self.uri, status=5, module="/nonexistent.so",
                     say=("can't load the PKCS#11 module /nonexistent.so", "pkcs11_module"))
        self.refused("--key-uri", self.uri, status=5,
                     say=("no provider for tokens", "install the package pkcs11-provider"),
                     env=dict(self.env, OPENSSL_MODULES="/nonexistent"))

    @unittest.skipUnless(os.path.exists("/usr/share/p11-kit/modules/softhsm2.module"),
                         "p11-kit does not know SoftHSM here")
    def test_module_of_p11_kit(self):
        done = self.order(NAME, "--key-uri", self.uri, "--dry-run", module=None)
        self.assertNotIn("not in the token yet", done.err)


if __name__ == "__main__":
    unittest.main()
