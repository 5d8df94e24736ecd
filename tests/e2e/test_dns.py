#!/usr/bin/python3
"""dns-01 by dynamic updates: a real BIND, which the CA asks too."""

import os
import signal
import socket
import subprocess
import threading
import unittest

from bind import Bind
from world import World, environment, free_ports, run, wait_until

APP = "app.dept.example.edu"
STAR = f"_acme-challenge.{APP}"


class Forger(threading.Thread):
    """Stands between: passes questions on, and answers updates, or changes the answer, itself."""

    def __init__(self, port, forge):
        super().__init__(daemon=True)
        self.port, self.forge = port, forge
        self.listener = socket.create_server(("127.0.0.1", 0))

    @staticmethod
    def message(peer):
        with peer.makefile("rb") as file:
            size = file.read(2)
            return size + file.read(int.from_bytes(size, "big"))

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer, socket.create_connection(("127.0.0.1", self.port)) as bind:
                asked = self.message(peer)
                if not asked:
                    continue
                bind.sendall(asked)
                answer = self.message(bind)
                update = asked[4] >> 3 == 5
                peer.sendall(self.forge(answer) if update else answer)


def unsigned(answer):
    """The header alone: "done", from anybody."""
    return b"\x00\x0c" + answer[2:4] + b"\xa8\x00" + bytes(8)


def another_mac(answer):
    at = answer.rindex(b"hmac-sha256") + len("hmac-sha256") + 11
    return answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1:]


class Updates(unittest.TestCase):
    """One world, one BIND; a record that is not ours stands beside ours all the time."""

    @classmethod
    def setUpClass(cls):
        port = free_ports(1)[0]
        cls.world = World(pebble={"always_valid": False, "reuse": 0,
                                  "resolver": f"127.0.0.1:{port}"})
        cls.enterClassContext(cls.world)
        cls.bind = Bind(cls.world.folder, port, {
            "dept.example.edu": f'{STAR}. TXT "not ours"\n'
                                f"_acme-challenge.alias.{APP}. CNAME alias.acme.example.net.\n"
                                f"_acme-challenge.loop.{APP}. CNAME _acme-challenge.loop.{APP}.\n",
            "acme.example.net": ""})
        cls.addClassCleanup(cls.bind.stop)
        cls.bind.start()
        cls.world.application("app", exact=[APP], subdomains_of=[APP], wildcards_of=[APP])
        cls.world.start()
        cls.file = cls.bind.credentials(cls.world.path("dns.ini"))

    def issue(self, *names, words=(), status=0, file=None):
        listed = [word for name in names for word in ("-d", name)]
        return self.world.client("certonly", *listed, "--cert-name", "c", "--force-renewal",
                                 "--dns-rfc2136", "--dns-rfc2136-credentials", file or self.file,
                                 *words, status=status)

    def credentials(self, **more):
        self.files = getattr(self, "files", 0) + 1
        return self.bind.credentials(self.world.path(f"{self.id()}{self.files}.ini"), **more)

    def names(self):
        text = run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                    self.world.path("client", "live", "c", "cert.pem")]).out
        return sorted(part.strip().split(":", 1)[1] for part in text.splitlines()[-1].split(","))

    def test_a_wildcard_its_name_and_others_at_once(self):
        names = sorted([APP, f"*.{APP}", f"a.{APP}", f"b.c.{APP}"])
        before = len(self.bind.log())
        self.issue(*names)
        self.assertEqual(self.names(), names)
        log = self.bind.log()[before:]
        self.assertEqual((log.count("adding an RR"), log.count("deleting an RR")), (4, 4))
        self.assertEqual(self.bind.texts(STAR), ["not ours"], "exactly our records are gone")

    def test_an_alias_into_another_zone_is_followed(self):
        self.issue(f"alias.{APP}", words=("--preferred-challenges", "dns"))
        self.assertIn("updating zone 'acme.example.net/IN': adding an RR", self.bind.log())
        self.assertEqual(self.bind.texts("alias.acme.example.net"), [])

    def test_a_renewal_repeats_it(self):
        self.issue(f"r.{APP}")
        before = self.bind.log().count("deleting an RR")
        self.world.client("renew", "--no-random-sleep-on-renew", "--cert-name", "c", "--force-renewal")
        self.assertEqual(self.bind.log().count("deleting an RR"), before + 1)

    def test_signed_questions(self):
        self.issue(f"q.{APP}", file=self.credentials(sign_query="true"))

    def test_the_secret_is_on_no_command_line_nor_in_any_output(self):
        done = self.issue(f"s.{APP}")
        self.assertNotIn(self.bind.secret, done.text)
        with open(self.world.path("client", "renewal", "c.conf"), encoding="ascii") as file:
            text = file.read()
        self.assertNotIn(self.bind.secret, text)
        self.assertIn(self.file, text)

    def test_faults_are_told_and_nothing_is_left(self):
        loose = self.world.path("loose.ini")
        self.bind.credentials(loose)
        os.chmod(loose, 0o640)
        with open(self.world.path("broken.ini"), "w", encoding="ascii") as file:
            file.write(f"dns_rfc2136_server = 127.0.0.1\ndns_rfc2136_secrets = {self.bind.secret}\n")
        os.chmod(self.world.path("broken.ini"), 0o600)
        other = self.bind.secret[:-8] + "AAAAAAA="
        for name, file, status, words in (
                ("key unknown", self.credentials(name="acmes."), 1, "does not know the key acmes."),
                ("secret wrong", self.credentials(secret=other), 1, "another secret"),
                ("algorithm wrong", self.credentials(algorithm="HMAC-SHA512"), 1, "HMAC-MD5"),
                ("secret no base64", self.credentials(secret="!"), 2, "expected base64"),
                ("no secret", self.credentials(secret=None), 2, "dns_rfc2136_secret is missing"),
                ("algorithm unknown", self.credentials(algorithm="HMAC-SHA3"), 2, "expected HMAC-SHA256"),
                ("port", self.credentials(port=99999), 2, "1 to 65535"),
                ("server gone", self.credentials(port=free_ports(1)[0]), 1, "can't be asked by TCP"),
                ("readable for others", loose, 1, "0600"),
                ("a line that is none", self.world.path("broken.ini"), 2, "broken.ini:2: an unknown key"),
                ("no file", self.world.path("none.ini"), 1, "none.ini")):
            with self.subTest(name):
                done = self.issue(f"f.{APP}", file=file, status=status)
                self.assertIn(words, done.err)
                self.assertNotIn(other, done.text)
                self.assertNotIn(self.bind.secret, done.text)
                self.assertEqual(self.bind.texts(f"_acme-challenge.f.{APP}"), [])

    def test_an_answer_that_the_key_has_not_signed_is_not_used(self):
        for forge in (unsigned, another_mac):
            with self.subTest(forge.__name__):
                forger = Forger(self.bind.port, forge)
                self.addCleanup(forger.listener.close)
                forger.start()
                file = self.credentials(port=forger.listener.getsockname()[1])
                done = self.issue(f"n.{APP}", file=file, status=1)
                self.assertIn("is not signed by the key acme.", done.err)
                self.assertEqual(self.bind.texts(f"_acme-challenge.n.{APP}"), [],
                                 "the update was made, and is taken back")

    def test_a_zone_or_name_that_can_not_be_found(self):
        done = self.issue(f"loop.{APP}", status=1)
        self.assertIn("circle", done.err)

    def test_servers_that_lack_the_record_are_waited_for_and_named(self):
        dead = f"127.0.0.9@{free_ports(1)[0]}"
        file = self.credentials(propagation_servers=f"127.0.0.1@{self.bind.port}, {dead}")
        done = self.issue(f"w.{APP}", file=file, words=("--dns-rfc2136-propagation-seconds", "1"))
        self.assertIn("127.0.0.9", done.err)
        self.assertEqual(self.bind.texts(f"_acme-challenge.w.{APP}"), [])

    def test_a_signal_while_waiting_removes_the_record(self):
        file = self.credentials(propagation_servers=f"127.0.0.9@{free_ports(1)[0]}")
        client = subprocess.Popen(
            self.world.client_command("certonly", "-d", f"i.{APP}", "--cert-name", "i",
                                      "--dns-rfc2136-credentials", file),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL,
            env=environment())
        wait_until("the record", lambda: self.bind.texts(f"_acme-challenge.i.{APP}"))
        client.send_signal(signal.SIGTERM)
        _, told = client.communicate(timeout=20)
        self.assertEqual(client.returncode, -signal.SIGTERM, told)
        self.assertEqual(self.bind.texts(f"_acme-challenge.i.{APP}"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
