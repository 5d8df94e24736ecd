#!/usr/bin/python3
"""A CA whose answers get lost, and clients that are killed: the order is gone on with, not repeated."""

import os
import signal
import subprocess
import unittest

from faulty_proxy import FaultyProxy
from world import World, environment, wait_until

ACCOUNT = "loopback-ov"
BASE = "app.dept.example.edu"
SECONDS = "1"       # of patience, so that a row takes no longer
FAILED, OK = 1, 0

# step, how, what the first run says, orders at the CA after both runs
ROWS = [
    ("new-nonce", "drop", "asking for a nonce", 1),
    ("new-nonce", (503, [("Retry-After", "86400")]), "not before 86400 seconds", 1),
    ("authorization", "drop", "not done within 1 seconds", 1),
    ("authorization", "cut", "not done within 1 seconds", 1),
    ("authorization", "html", "media type is text/html", 1),
    ("challenge", "lost", "validating", 1),
    ("order", "drop", "not done within 1 seconds", 1),
    ("order", "cut", "not done within 1 seconds", 1),
    ("order", "truncated", "ends inside a string", 1),
    ("order", (500, []), "not done within 1 seconds", 1),
    ("finalize", "drop", None, 1),
    ("finalize", "cut", None, 1),
    ("finalize", "lost", "finaliz", 1),
    ("finalize", "html", "media type is text/html", 1),
    ("finalize", (429, [("Retry-After", "3600")]), "not before 3600 seconds", 1),
    ("finalize", (503, [("Retry-After", "Wed, 01 Jan 2098 00:00:00 GMT")]), None, 1),
    ("finalize", "redirect", "which is not followed", 1),
    ("certificate", "drop", "not done within 1 seconds", 1),
    ("certificate", "cut", "not done within 1 seconds", 1),
    ("certificate", "html", "media type is text/html", 1),
    ("certificate", (500, []), "not done within 1 seconds", 1),
    # Its URL is in the answer: what is lost with it can only be ordered again.
    ("new-order", "cut", "ordering", 2),
]
# In one run: the connection ends after each answer.
CLOSED = ("new-nonce", "new-order", "authorization", "order", "finalize", "certificate")
KILLED = ("new-order", "authorization", "challenge", "order", "finalize", "certificate")


class Resumed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.proxy = cls.enterClassContext(FaultyProxy(cls.world.ca, cls.world.path("ca")))
        cls.world.application("app", subdomains_of=[BASE], limits={"orders_per_day": 1000})
        cls.world.write_config(directory=cls.proxy.directory)
        cls.world.start_signer()
        cls.world.admin("ca", "pin", "loopback", "--yes")
        cls.world.import_eab()
        cls.world.register()

    def setUp(self):
        self.proxy.heal()
        self.proxy.seen.clear()
        self.proxy.accepted.clear()

    def certonly(self, name, status, *words):
        return self.world.certonly(name, words=words, status=status)

    def leftovers(self, name):
        return [file for file in os.listdir(self.world.path("client", "archive"))
                if file.startswith(f".order-{name}.")]

    def check(self, orders, name):
        """Exactly so many orders at the CA; no more finalize signatures than one order may have."""
        self.assertEqual(self.proxy.accepted["new-order"], orders)
        signed = [record for record in self.world.records("--name", name)
                  if record.get("operation") == "finalize" and record["verdict"] == "permit"]
        self.assertLessEqual(len(signed), 8)
        self.assertEqual(self.leftovers(name), [])
        self.assertEqual(os.readlink(self.world.path("client", "live", name, "cert.pem")),
                         f"../../archive/{name}/cert1.pem")

    def row(self, number, step, how, said, orders):
        name = f"row{number}.{BASE}"
        self.proxy.fault(step, how)
        done = self.certonly(name, None, "--issuance-timeout", SECONDS)
        self.proxy.heal()
        if done.status != OK:
            self.assertEqual(done.status, FAILED, done)
            self.assertIn(said or "", done.err)
            self.assertEqual("the order is kept" in done.err,
                             step not in ("new-nonce", "new-order"), done)
            second = self.certonly(name, OK)
            self.assertEqual("going on with the order" in second.err,
                             step not in ("new-nonce", "new-order"), second)
        else:
            self.assertIsNone(said, done)
        self.check(orders, name)

    def test_answers_lost_at_each_step(self):
        for number, (step, how, said, orders) in enumerate(ROWS):
            with self.subTest(f"{step} {how}"):
                self.setUp()
                self.row(number, step, how, said, orders)

    def test_a_connection_for_each_answer(self):
        for step in CLOSED:
            with self.subTest(step):
                self.setUp()
                self.proxy.fault(step, "closed")
                self.certonly(f"closed-{step}.{BASE}", OK)
                self.check(1, f"closed-{step}.{BASE}")

    def killed(self, step):
        name = f"killed-{step}.{BASE}"
        command = self.world.client_command(
            "certonly", "-d", name, "--standalone", "--http-01-port", str(self.world.http_port))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=environment()) as process:
            self.proxy.fault(step, process.kill)
            self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.proxy.heal()
        done = self.certonly(name, OK)
        self.assertEqual("going on with the order" in done.err, step != "new-order", done)
        self.check(2 if step == "new-order" else 1, name)

    def test_killed_at_each_step(self):
        for step in KILLED:
            with self.subTest(step):
                self.setUp()
                self.killed(step)

    def held(self, name):
        """A client whose order the CA has held in processing since it was finalized."""
        command = self.world.client_command(
            "certonly", "-d", name, "--standalone", "--http-01-port", str(self.world.http_port))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, env=environment())
        self.proxy.fault("finalize", "processing")
        wait_until("finalize", lambda: self.proxy.accepted["finalize"] == 1)
        self.proxy.hold()
        polled = self.proxy.accepted["order"]
        wait_until("a poll", lambda: self.proxy.accepted["order"] > polled)
        return process

    def rotate(self):
        """The account's key is another one, at the CA too: Pebble verifies each request with it."""
        before = self.world.admin("--json", "account", "show", ACCOUNT).json()
        self.world.admin("account", "rotate", ACCOUNT)
        now = self.world.admin("--json", "account", "show", ACCOUNT).json()
        self.assertNotEqual(before["thumbprint"], now["thumbprint"])
        self.assertEqual((before["url"], now["key_change"]), (now["url"], "none"))
        return now["thumbprint"]

    def test_the_key_changes_while_an_order_is_processing(self):
        """RFC 8555 7.3.5: the account stays, and its orders with it."""
        name = f"rotated.{BASE}"
        with self.held(name) as process:
            self.rotate()
            polled = self.proxy.accepted["order"]
            wait_until("a poll with the new key",
                       lambda: self.proxy.accepted["order"] > polled)
            self.assertIsNone(process.poll())
            self.proxy.heal()
            said = process.communicate(timeout=60)[1]
            self.assertEqual(process.returncode, OK, said)
        self.check(1, name)

    def test_the_key_changes_between_a_client_that_was_killed_and_the_next(self):
        name = f"rotated-killed.{BASE}"
        with self.held(name) as process:
            process.kill()
            process.communicate(timeout=60)
        self.rotate()
        self.rotate()       # and once more: no key of the order's time is left
        self.assertIn("is still processing",
                      self.certonly(name, FAILED, "--issuance-timeout", SECONDS).err)
        self.proxy.heal()
        self.assertIn("going on with the order", self.certonly(name, OK).err)
        self.check(1, name)

    def test_an_order_under_way_for_something_else_is_left(self):
        name, other = f"left.{BASE}", f"left2.{BASE}"
        self.proxy.fault("order", (500, []))
        self.certonly(name, FAILED, "--issuance-timeout", SECONDS)
        self.proxy.heal()
        modes = {file: os.stat(self.world.path("client", "archive", file)).st_mode & 0o777
                 for file in self.leftovers(name)}
        self.assertEqual(modes, {f".order-{name}.json": 0o600, f".order-{name}.key": 0o600,
                                 f".order-{name}.conf": 0o644})
        done = self.world.certonly(name, other, words=("--cert-name", name))
        self.assertIn("it is for other names", done.err)
        self.check(2, name)


if __name__ == "__main__":
    unittest.main()
