#!/usr/bin/python3
"""Whoever runs certbot changes over: Debian's certbot against Pebble, then import-certbot and renew.

The command that universities document is tried too: of certbot's command line only the HMAC key goes.
"""

import os
import unittest

from world import World, environment, run

BASE = "app.dept.example.edu"


class Changed(unittest.TestCase):
    """One world: certbot with an account of its own, acmeward with the signer's."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", subdomains_of=[BASE])
        cls.world.start()
        cls.letsencrypt = cls.world.path("letsencrypt")
        cls.webroots = [cls.world.path(name) for name in ("web", "web b, #2")]
        for path in (cls.letsencrypt, *cls.webroots):
            os.mkdir(path)
        with open(cls.world.ca.key_file, encoding="ascii") as file:
            cls.key = file.read().strip()
        cls.certbot("register", "--agree-tos", "--email", "a@dept.example.edu", "--eab-kid",
                    cls.world.ca.kid, "--eab-hmac-key", cls.key)

    @classmethod
    def certbot(cls, command, *words):
        folders = [word for name, folder in (("config", "letsencrypt"), ("work", "cb-work"),
                                             ("logs", "cb-logs"))
                   for word in (f"--{name}-dir", cls.world.path(folder))]
        return run(["/usr/bin/certbot", command, "--non-interactive", "--server",
                    cls.world.ca.directory, *folders, *words],
                   env=environment(REQUESTS_CA_BUNDLE=cls.world.ca.ca_file, HOME=cls.world.folder))

    def settings(self, name):
        with open(self.world.path("client", "renewal", f"{name}.conf"), encoding="ascii") as file:
            return dict(line.rstrip("\n").split(": ", 1) for line in file if line[0] != "#")

    def test_1_import(self):
        self.certbot("certonly", "--webroot", "-w", self.webroots[0], "-d", f"a.{BASE}", "-w",
                     self.webroots[1], "-d", f"b.{BASE}", "--cert-name", "web", "--key-type", "rsa",
                     "--rsa-key-size", "3072", "--reuse-key", "--preferred-chain", "Some Root",
                     "--pre-hook", "true 'one, two' # three", "--deploy-hook", "true \"$RENEWED_LINEAGE\"")
        self.certbot("certonly", "--standalone", "--http-01-port", str(self.world.http_port), "-d",
                     f"s.{BASE}", "--cert-name", "alone", "--elliptic-curve", "secp384r1",
                     "--must-staple", "--post-hook", "true")
        # As an admin, or another plug-in, leaves it.
        for name, more in (("nginx", "authenticator = nginx\ninstaller = nginx\nnovel_key = 1\n"),
                           ("dns", "authenticator = dns-rfc2136\n"
                                   "dns_rfc2136_credentials = /etc/dns.ini\n"
                                   "dns_rfc2136_propagation_seconds = 30\n"),
                           ("broken", "what is this\n")):
            with open(f"{self.letsencrypt}/renewal/alone.conf", encoding="ascii") as file:
                text = file.read().replace("authenticator = standalone\n", "")
            with open(f"{self.letsencrypt}/renewal/{name}.conf", "w", encoding="ascii") as file:
                file.write(text + more)
        done = self.world.client("import-certbot", self.letsencrypt, "--application", "app", status=2)
        for words in ("imported: web, for a.", "imported: alone", "authenticator = nginx",
                      "installer = nginx", "novel_key = 1", "account = ", "broken is not imported",
                      "line "):
            self.assertIn(words, done.text)
        web = self.settings("web")
        self.assertEqual(web["domains"], f'["a.{BASE}","b.{BASE}"]')
        self.assertEqual(web["webroot_map"],
                         f'{{"a.{BASE}":"{self.webroots[0]}","b.{BASE}":"{self.webroots[1]}"}}')
        expected = {"application": '"app"', "server": f'"{self.world.ca.directory}"',
                    "authenticator": '"webroot"', "key_type": '"rsa-3072"', "reuse_key": "true",
                    "preferred_chain": '"Some Root"', "pre_hook": "\"true 'one, two' # three\"",
                    "deploy_hook": '"true \\"$RENEWED_LINEAGE\\""'}
        self.assertEqual({key: web[key] for key in expected}, expected)
        alone = self.settings("alone")
        expected = {"authenticator": '"standalone"', "key_type": '"ec-p384"', "must_staple": "true",
                    "http_01_port": f'"{self.world.http_port}"', "post_hook": '"true"'}
        self.assertEqual({key: alone[key] for key in expected}, expected)
        self.assertNotIn("authenticator", self.settings("nginx"))
        dns = self.settings("dns")
        expected = {"authenticator": '"dns-rfc2136"', "dns_rfc2136_credentials": '"/etc/dns.ini"',
                    "dns_rfc2136_propagation_seconds": '"30"'}
        self.assertEqual({key: dns[key] for key in expected}, expected)
        again = self.world.client("import-certbot", self.letsencrypt, "--json", status=2).json()
        self.assertEqual((again["imported"], len(again["left"])), ([], 5))

    def test_2_renew_orders_them(self):
        for name in ("nginx", "dns"):
            os.unlink(self.world.path("client", "renewal", f"{name}.conf"))
        self.world.client("renew", "--dry-run")
        done = self.world.client("renew", "--no-random-sleep-on-renew", "--json").json()
        self.assertEqual(sorted(c["name"] for c in done["renewed"]), ["alone", "web"])
        self.assertEqual({c["name"]: c["key_type"] for c in done["renewed"]},
                         {"alone": "ec-p384", "web": "rsa-3072"})
        self.assertEqual(self.world.client("renew", "--json").json()["not_due"], 2)

    def test_3_the_command_that_universities_document(self):
        words = ("--standalone", "--non-interactive", "--agree-tos", "--email", "a@dept.example.edu",
                 "--server", self.world.ca.directory, "--eab-kid", self.world.ca.kid)
        done = self.world.client("certonly", *words, "--http-01-port", str(self.world.http_port),
                                 "--domain", f"host1.{BASE}", "--cert-name", "host1")
        self.assertIn("--eab-kid were not needed", done.err)
        self.assertTrue(os.path.exists(self.world.path("client", "live", "host1", "fullchain.pem")))
        done = self.world.client("certonly", *words, "--eab-hmac-key", self.key, "--domain",
                                 f"host1.{BASE}", status=2)
        self.assertIn("eab import", done.err)
        self.assertNotIn(self.key, done.text)

    def test_4_mistakes(self):
        self.assertIn("name certbot's folder", self.world.client(
            "import-certbot", self.world.path("none"), status=1).err)
        self.assertIn("one folder", self.world.client("import-certbot", "a", "b", status=2).err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
