#!/usr/bin/python3
"""`acmeward export`: what other programs read of it, modes, passphrases, errors. No signer is asked."""

import grp
import json
import os
import shutil
import stat
import subprocess
import tempfile
import unittest

from world import CLIENT, environment, run

PASSPHRASE = "correct horse"
NAMES = "DNS:www.dept.example.edu,DNS:*.app.dept.example.edu,IP:192.0.2.7"
OPENSSL_PASS = ("-passin", "stdin")


def openssl(*words, stdin=None):
    return run(["openssl", *words], stdin=stdin)


def make_chain(folder, name, names):
    """A CA and a leaf of it, in certbot's layout below `folder`."""
    archive, live = os.path.join(folder, "archive", name), os.path.join(folder, "live", name)
    os.makedirs(archive)
    os.makedirs(live)
    ca_key, ca = os.path.join(archive, "ca.key"), os.path.join(archive, "ca.pem")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9")
    openssl("req", "-x509", *ec, "-subj", "/CN=Test CA", "-keyout", ca_key, "-out", ca)
    paths = {kind: os.path.join(archive, f"{kind}1.pem")
             for kind in ("cert", "chain", "fullchain", "privkey")}
    openssl("req", "-x509", *ec, "-subj", "/", "-addext", f"subjectAltName=critical,{names}",
            "-addext", "basicConstraints=CA:FALSE", "-CA", ca, "-CAkey", ca_key,
            "-keyout", paths["privkey"], "-out", paths["cert"])
    shutil.move(ca, paths["chain"])
    os.remove(ca_key)
    with open(paths["fullchain"], "w", encoding="ascii") as out:
        for kind in ("cert", "chain"):
            with open(paths[kind], encoding="ascii") as part:
                out.write(part.read())
    for kind, path in paths.items():
        os.chmod(path, 0o600 if kind == "privkey" else 0o644)
        os.symlink(f"../../archive/{name}/{kind}1.pem", os.path.join(live, f"{kind}.pem"))
    return live


class Export(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        os.umask(0o022)
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="aw-"))
        cls.live = make_chain(cls.path("store"), "app", NAMES)
        make_chain(cls.path("store"), "addresses", "IP:192.0.2.7")
        with open(cls.path("client.yaml"), "w", encoding="ascii") as file:
            file.write(f"certificates: {cls.path('store')}\n")
        cls.passphrase_file = cls.write("passphrase", PASSPHRASE + "\n", 0o600)

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.folder, *names)

    @classmethod
    def write(cls, name, text, mode):
        path = cls.path(name)
        with open(path, "w", encoding="utf-8") as file:
            os.chmod(path, mode)
            file.write(text)
        return path

    def export(self, form, out, *words, status=0, **options):
        return run([CLIENT, "export", "--config", self.path("client.yaml"), "--cert-name", "app",
                    "--format", form, "--out", out, *words], status=status, **options)

    def stored(self, kind):
        with open(os.path.join(self.live, f"{kind}.pem"), encoding="ascii") as file:
            return file.read()

    def certificates(self, p12, *words):
        done = openssl("pkcs12", "-in", p12, "-nokeys", *words, *OPENSSL_PASS, stdin=PASSPHRASE)
        return done.out

    def test_pem_is_a_folder_of_plain_files(self):
        out = self.path("pem")
        done = self.export("pem", out, "--json").json()
        self.assertEqual(done["status"], "exported")
        self.assertEqual(sorted(done["files"]), sorted(
            os.path.join(out, f"{kind}.pem") for kind in ("cert", "chain", "fullchain", "privkey")))
        for kind, mode in (("cert", 0o644), ("chain", 0o644), ("fullchain", 0o644),
                           ("privkey", 0o600)):
            path = os.path.join(out, f"{kind}.pem")
            self.assertEqual(stat.S_IMODE(os.lstat(path).st_mode), mode, kind)
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read().strip(), self.stored(kind).strip(), kind)

    def test_haproxy_bundle_is_chain_and_key_in_one_file_of_its_owner(self):
        os.mkdir(self.path("haproxy"), 0o755)
        for out, path in ((self.path("haproxy", "site.pem"),) * 2,
                          (self.path("haproxy"), self.path("haproxy", "app.pem"))):
            self.export("haproxy", out)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, encoding="ascii") as file:
                text = file.read()
            self.assertEqual(text, self.stored("fullchain") + self.stored("privkey"))

    def test_pkcs12_opens_with_openssl_and_holds_the_chain(self):
        out = self.path("app.p12")
        self.export("pkcs12", out, "--passphrase-file", self.passphrase_file)
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o600)
        self.assertEqual(self.certificates(out).count("BEGIN CERTIFICATE"), 2)
        key = openssl("pkcs12", "-in", out, "-nocerts", "-nodes", *OPENSSL_PASS, stdin=PASSPHRASE)
        self.assertIn(self.stored("privkey").strip(), key.out)

    def test_pkcs12_algorithms(self):
        for words, expected in (
                ((), ("PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
                      "MAC: sha256, Iteration 100000")),
                (("--pkcs12-algorithms", "legacy"),
                 ("pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2000", "MAC: sha1, Iteration 2000"))):
            out = self.path("algorithms.p12")
            self.export("pkcs12", out, *words, "--passphrase-fd", "0", stdin=PASSPHRASE)
            told = openssl("pkcs12", "-in", out, "-info", "-noout", *OPENSSL_PASS,
                           stdin=PASSPHRASE).err
            for line in expected:
                self.assertIn(line, told, words)

    @unittest.skipUnless(shutil.which("keytool"), "no Java here")
    def test_pkcs12_opens_with_java(self):
        for algorithms in ("aes", "legacy"):
            out = self.path(f"java-{algorithms}.p12")
            self.export("pkcs12", out, "--pkcs12-algorithms", algorithms,
                        "--passphrase-file", self.passphrase_file)
            told = run(["keytool", "-list", "-v", "-keystore", out,
                        "-storepass:file", self.passphrase_file]).out
            self.assertIn("Alias name: app", told)
            self.assertIn("Entry type: PrivateKeyEntry", told)
            self.assertIn("Certificate chain length: 2", told)

    def test_iis_store_has_a_file_a_host_name_and_an_underscore_for_the_wildcard(self):
        share = self.path("share")
        os.mkdir(share)
        done = self.export("iis-ccs", share, "--passphrase-file", self.passphrase_file, "--json")
        self.assertEqual(sorted(os.listdir(share)),
                         ["_.app.dept.example.edu.pfx", "www.dept.example.edu.pfx"])
        self.assertEqual(done.json()["skipped"], ["192.0.2.7"])
        for name in os.listdir(share):
            self.assertEqual(self.certificates(os.path.join(share, name)).count("BEGIN"), 2)

    def test_files_are_replaced_not_written_into(self):
        share = self.path("replaced")
        os.mkdir(share)
        path = os.path.join(share, "www.dept.example.edu.pfx")
        words = ("--passphrase-file", self.passphrase_file)
        self.export("iis-ccs", share, *words)
        with open(path, "rb") as before:
            self.export("iis-ccs", share, *words)
            self.assertNotEqual(os.fstat(before.fileno()).st_ino, os.stat(path).st_ino)
            self.assertTrue(before.read())      # whole, for whoever had it open
        self.assertEqual(len(os.listdir(share)), 2, "nothing temporary is left")

    @unittest.skipUnless(os.geteuid() == 0, "needs another group")
    def test_group_may_read_what_holds_the_key(self):
        out = self.path("group.pem")
        self.export("haproxy", out, "--group", "www-data")
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o640)
        self.assertEqual(os.stat(out).st_gid, grp.getgrnam("www-data").gr_gid)

    def test_secrets_are_not_told(self):
        done = self.export("pkcs12", self.path("silent.p12"), "--passphrase-fd", "0",
                           stdin=PASSPHRASE)
        self.assertNotIn(PASSPHRASE, done.text)
        self.assertNotIn("PRIVATE", done.text)

    def test_refusals(self):
        loose = self.write("loose", "x\n", 0o640)
        two_lines = self.write("two", "one\ntwo\n", 0o600)
        accent = self.write("accent", "caf\u00e9\n", 0o600)
        empty = self.write("empty", "\n", 0o600)
        share = self.path("refused")
        os.mkdir(share)
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        secret = ("--passphrase-file", self.passphrase_file)
        for name, words, status, said in (
                ("no passphrase", ("pkcs12", share), 2, "needs a passphrase"),
                ("a loose file", ("pkcs12", share, "--passphrase-file", loose), 1, "mode 0640"),
                ("two lines", ("pkcs12", share, "--passphrase-file", two_lines), 2, "octet 4"),
                ("not ASCII", ("pkcs12", share, "--passphrase-file", accent), 2, "octet 4"),
                ("empty", ("pkcs12", share, "--passphrase-file", empty), 2, "is empty"),
                ("both", ("pkcs12", share, *secret, "--passphrase-fd", "0"), 2, "exclude"),
                ("a closed descriptor", ("pkcs12", share, "--passphrase-fd", "77"), 1, "passphrase"),
                ("no number", ("pkcs12", share, "--passphrase-fd", "x"), 2, "expected a number"),
                ("a passphrase for nothing", ("haproxy", share, *secret), 2, "leave the passphrase"),
                ("algorithms for nothing", ("pem", share, "--pkcs12-algorithms", "aes"), 2,
                 "pkcs12 or iis-ccs"),
                ("algorithms", ("pkcs12", share, *secret, "--pkcs12-algorithms", "rc2"), 2,
                 "aes or legacy"),
                ("format", ("jks", share), 2, "expected pem, pkcs12, iis-ccs or haproxy"),
                ("share not mounted", ("iis-ccs", self.path("nothing"), *secret), 1, "mount"),
                ("key where all may write", ("haproxy", self.path("open", "x.pem")), 1, "0777"),
                ("keys where all may write", ("pem", self.path("open")), 1, "0777"),
                ("group", ("haproxy", share, "--group", "no-such-group"), 2, "no group"),
                ("only addresses", ("iis-ccs", share, *secret, "--cert-name", "addresses"), 2,
                 "no host name"),
                ("unknown", ("pem", share, "--cert-name", "other"), 1, "no certificate other")):
            with self.subTest(name):
                done = self.export(*words, status=status)
                self.assertIn(said, done.err)
                self.assertEqual(os.listdir(share), [], "something was written")

    def test_a_certificate_whose_key_is_another_is_not_handed_out(self):
        store = self.path("mixed")
        live = make_chain(store, "app", "DNS:www.dept.example.edu")
        shutil.copy(os.path.join(self.live, "privkey.pem"),
                    os.path.realpath(os.path.join(live, "privkey.pem")))
        done = self.export("haproxy", self.path("mixed.pem"), "--config-dir", store, "--json",
                           status=1)
        self.assertIn("not the key", json.loads(done.out)["error"]["message"])
        self.assertFalse(os.path.exists(self.path("mixed.pem")))

    def test_passphrase_on_an_inherited_descriptor(self):
        reading, writing = os.pipe()
        os.write(writing, PASSPHRASE.encode())
        os.close(writing)
        out = self.path("pipe.p12")
        subprocess.run([CLIENT, "export", "--config", self.path("client.yaml"), "--cert-name", "app",
                        "--format", "pkcs12", "--out", out, "--passphrase-fd", str(reading), "-q"],
                       pass_fds=[reading], check=True, env=environment())
        os.close(reading)
        self.assertEqual(self.certificates(out).count("BEGIN"), 2)


if __name__ == "__main__":
    unittest.main()
