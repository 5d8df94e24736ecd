#!/usr/bin/python3
"""`certonly --csr`: the key stays where the request was made. Requests as people's programs make them."""

import os
import shutil
import unittest

from world import World, run

NAME = "app.dept.example.edu"
NAMES = ("-addext", f"subjectAltName=DNS:{NAME}")
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Csr(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", subdomains_of=[NAME], exact=[NAME], keys=["ec-p256"])
        cls.world.start()
        os.mkdir(cls.world.path("host"))

    def path(self, *names):
        return self.world.path("host", *names)

    def request(self, file, *words):
        """A key and a request; the key stays in `host`."""
        run(["openssl", "req", "-new", *EC, "-keyout", self.path(file + ".key"), "-out",
             self.path(file), *words])
        return self.path(file)

    def issue(self, *words, **options):
        return self.world.client("certonly", "--standalone", "--http-01-port",
                                 str(self.world.http_port), *words, **options)

    def check(self, file, text):
        """A chain for the key that stayed."""
        self.assertEqual(text.count("BEGIN CERTIFICATE"), 2)
        public = run(["openssl", "x509", "-noout", "-pubkey"], stdin=text).out
        self.assertEqual(public, run(["openssl", "pkey", "-pubout", "-in", file + ".key"]).out)

    def test_file_to_standard_output(self):
        file = self.request("plain", "-subj", "/", *NAMES)
        done = self.issue("--csr", file)
        self.check(file, done.out)
        self.assertIn("issued: for " + NAME, done.err)
        self.assertFalse(os.path.exists(self.world.path("client")) and
                         os.listdir(self.world.path("client")), "something was stored")

    def test_standard_input_to_json(self):
        file = self.request("input", "-subj", f"/CN={NAME}", *NAMES)
        with open(file, encoding="ascii") as csr:
            done = self.issue("--csr", "-", "--json", stdin=csr.read()).json()
        self.assertEqual((done["status"], done["csr"], done["names"]), ("issued", "-", [NAME]))
        self.check(file, done["pem"])

    def test_der_to_files(self):
        file = self.request("der", "-subj", "/", *NAMES, "-outform", "DER")
        paths = {kind: self.path(f"{kind}.pem") for kind in ("cert", "chain", "fullchain")}
        done = self.issue("--csr", file,
                          *(word for kind, path in paths.items()
                            for word in (f"--{kind}-path", path)))
        self.assertEqual(done.out, "")
        text = {}
        for kind, path in paths.items():
            with open(path, encoding="ascii") as part:
                text[kind] = part.read()
        self.assertEqual(text["fullchain"], text["cert"] + text["chain"])
        self.check(file, text["fullchain"])

    def test_refusals_say_what_to_change(self):
        answers = self.request("answers", "-subj", f"/C=AU/ST=Some-State/CN={NAME}", *NAMES)
        no_names = self.request("no-names", "-subj", f"/CN={NAME}")
        constraints = self.request("constraints", "-subj", "/", *NAMES, "-addext",
                                   "nameConstraints=permitted;DNS:example.edu")
        certreq = self.certreq()
        other = self.request("other", "-subj", "/CN=x.dept.example.edu", *NAMES)
        key = self.request("key", "-subj", "/", *NAMES) + ".key"
        good = self.request("good", "-subj", "/", *NAMES)
        foreign = self.request("foreign", "-subj", "/", "-addext",
                               "subjectAltName=DNS:other.dept.example.edu")
        p384 = self.path("p384")
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384",
             "-nodes", "-keyout", p384 + ".key", "-out", p384, "-subj", "/", *NAMES])
        for name, words, status, said in (
                ("openssl's questions answered", ("--csr", answers), 1, "-subj /"),
                ("no subjectAltName", ("--csr", no_names), 1, "-addext subjectAltName"),
                ("an extension that no CA takes", ("--csr", constraints), 1, "leave req_extensions"),
                ("a request of certreq", ("--csr", certreq), 1,
                 "\"1.3.6.1.4.1.311.13.2.3\""),
                ("what to do with certreq", ("--csr", certreq), 1, "PKCS#12"),
                ("another common name", ("--csr", other), 1, "in subjectAltName too"),
                ("a key", ("--csr", key), 1, "--csr"),
                ("no such file", ("--csr", self.path("missing")), 1, "missing"),
                ("another's name", ("--csr", foreign), 3, "names.none"),
                ("a key type that the policy does not have", ("--csr", p384), 3, "ec-p384"),
                ("names twice", ("--csr", good, "-d", NAME), 2, "does not go with --csr"),
                ("a certificate's name", ("--csr", good, "--cert-name", "x"), 2, "does not go"),
                ("a key type twice", ("--csr", good, "--key-type", "rsa-2048"), 2, "does not go"),
                ("a hook", ("--csr", good, "--deploy-hook", "true"), 2, "does not go"),
                ("nowhere to write", ("--csr", good, "--cert-path", self.path("no", "x.pem")), 1,
                 "can't write"),
                ("a path without a CSR", ("-d", NAME, "--cert-path", self.path("x.pem")), 2,
                 "go with --csr")):
            with self.subTest(name):
                done = self.issue(*words, status=status)
                self.assertIn(said, done.err)

    def certreq(self):
        """With the first attribute that certreq writes: the system's version."""
        with open(self.path("certreq.cnf"), "w", encoding="ascii") as file:
            file.write(f"""[req]
prompt = no
distinguished_name = subject
attributes = attributes
req_extensions = extensions
[subject]
CN = {NAME}
[attributes]
1.3.6.1.4.1.311.13.2.3 = 10.0.20348.2
[extensions]
subjectAltName = DNS:{NAME}
subjectKeyIdentifier = hash
""")
        return self.request("certreq", "-config", self.path("certreq.cnf"))

    @unittest.skipUnless(shutil.which("keytool"), "no Java here")
    def test_keytool(self):
        with open(self.path("pass"), "w", encoding="ascii") as file:
            os.chmod(self.path("pass"), 0o600)
            file.write("changeit")
        store = ("-keystore", self.path("store.p12"), "-storepass:file", self.path("pass"),
                 "-alias", "app")
        run(["keytool", "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname",
             f"CN={NAME}", *store])
        run(["keytool", "-certreq", "-file", self.path("java.csr"), "-ext", f"san=dns:{NAME}",
             *store])
        run(["openssl", "pkcs12", "-in", self.path("store.p12"), "-passin",
             "file:" + self.path("pass"), "-nocerts", "-nodes", "-out", self.path("java.csr.key")])
        self.check(self.path("java.csr"), self.issue("--csr", self.path("java.csr")).out)


if __name__ == "__main__":
    unittest.main()
