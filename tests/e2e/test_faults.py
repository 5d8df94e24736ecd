#!/usr/bin/python3
"""What fails under a running signer: its token, its disk, its ledger, its descriptors.

A signature never leaves without a durable record, what is wrong is said by name, and when the cause
is gone nothing is lost.
"""

import os
import re
import resource
import signal
import sqlite3
import unittest

from killing import NAME, Connection, input_digest
from world import BUILD, World, wait_until

MOCK = os.path.join(BUILD, "tests", "faults", "libacmeward-mock.so")


class Fault(unittest.TestCase):
    module = None

    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        if self.module is not None:
            self.rules_path = self.world.path("rules")
            self.rules("")
            self.world.token["TOKEN_MODULE"] = self.module
            self.world.token_paths = [self.rules_path]
            self.world.signer_environment = {"ACMEWARD_MOCK_RULES": self.rules_path}
        self.world.extra_config = "  timeout_ms: 1000\n"
        self.world.application("app", exact=[NAME])
        self.world.start()
        self.digests = []

    def rules(self, text):
        """In place: the signer may read this file and no other."""
        with open(self.rules_path, "w", encoding="ascii") as file:
            file.write(text + "\n")

    def order(self):
        """None where the connection is closed without an answer."""
        try:
            with Connection(self.world.socket) as connection:
                answer = connection.new_order()
        except OSError:
            return None
        if "error" not in answer:
            self.digests.append(input_digest(answer))
        return answer

    def expect_signature(self):
        answer = self.order()
        self.assertIsNotNone(answer, self.world.log())
        self.assertNotIn("error", answer)

    def expect_no_signature(self):
        answer = self.order()
        if answer is not None:
            self.assertEqual(answer["error"], "org.acmeward.Signer.Unavailable")
        return answer

    def wait_for_end(self):
        status = self.world.signer.wait(90)
        self.world.signer = None
        return status

    def expect_everything_on_record(self):
        self.assertIn("the chain is whole", self.world.admin("audit", "verify").out)
        log = "".join(open(self.world.path("state", "audit", name), encoding="utf-8").read()
                      for name in sorted(os.listdir(self.world.path("state", "audit")))
                      if name.endswith(".jsonl"))
        for digest in self.digests:
            self.assertIn(digest, log)


class Token(Fault):
    module = MOCK

    def test_a_module_that_hangs_ends_the_signer(self):
        self.expect_signature()
        self.rules("C_Sign:*:wait")
        self.assertIsNone(self.order())     # until the end, for it may still come back
        self.assertEqual(self.wait_for_end(), 5, self.world.log())
        self.assertIn("C_Sign", self.world.log())
        self.rules("")
        self.world.start_signer()
        self.expect_signature()
        self.expect_everything_on_record()

    def test_a_module_that_crashes(self):
        self.expect_signature()
        self.rules("C_Sign:3:crash")
        while self.order() is not None:
            pass
        self.assertLess(self.wait_for_end(), 0, self.world.log())
        self.rules("")
        self.world.start_signer()
        self.expect_signature()
        self.assertGreaterEqual(len(self.digests), 3)
        self.expect_everything_on_record()

    def test_a_module_that_signs_wrongly(self):
        self.rules("C_Sign:*:wrong")
        answer = self.expect_no_signature()
        self.assertIn("does not verify", answer["parameters"]["message"])
        self.rules("")
        self.expect_signature()
        self.expect_everything_on_record()


class Disk(Fault):
    def limit(self, what, soft):
        _, hard = resource.prlimit(self.world.signer.pid, what)
        resource.prlimit(self.world.signer.pid, what, (soft, hard))

    def test_a_log_that_takes_no_more(self):
        """EFBIG; what a full disk and a quota answer is in unit.audit_faults, by link-time faults."""
        self.expect_signature()
        path = self.world.path("state", "audit", "audit.jsonl")
        self.limit(resource.RLIMIT_FSIZE, os.path.getsize(path) + 100)
        self.expect_no_signature()
        self.assertNotEqual(self.wait_for_end(), 0)
        # The limit is the ledger's files' too: whichever is written next meets it.
        self.assertRegex(self.world.log(), f"{re.escape(path)}|the ledger's database failed")
        self.world.start_signer()
        self.expect_signature()
        self.expect_everything_on_record()

    def test_no_descriptor_is_left(self):
        """Whoever connects meanwhile is closed; who is connected goes on."""
        pid = self.world.signer.pid
        with Connection(self.world.socket) as connection:
            self.assertNotIn("error", connection.new_order())
            self.limit(resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd")))
            for _ in range(3):
                self.expect_no_signature()
            # It is not sent away, but a token that keeps keys in files may need descriptors.
            answer = connection.new_order(number=1)
            self.assertEqual(answer.get("error", "org.acmeward.Signer.Unavailable"),
                             "org.acmeward.Signer.Unavailable")
            self.limit(resource.RLIMIT_NOFILE, 2560)
        # SoftHSM 2.6.1 may have lost a key whose file it could not open, until it is loaded anew.
        self.world.stop_signer()
        self.world.start_signer()
        self.expect_signature()
        self.assertIn("descriptors", self.world.log())
        self.expect_everything_on_record()


class Ledger(Fault):
    @property
    def path(self):
        return self.world.path("state", "ledger.db")

    def test_another_process_has_it(self):
        self.expect_signature()
        with sqlite3.connect(self.path, isolation_level=None, timeout=20) as other:
            self.expect_busy_or_signature(other)
        other.close()
        wait_until("the ledger again", lambda: "error" not in (self.order() or {"error": ""}))
        self.expect_everything_on_record()

    def expect_busy_or_signature(self, other):
        """The signer holds it for good, so that nobody else gets in between."""
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            other.execute("pragma busy_timeout = 100")
            other.execute("begin exclusive")
        self.expect_signature()

    def test_it_is_overwritten_under_the_signer(self):
        self.expect_signature()
        size = os.path.getsize(self.path)
        with open(self.path, "r+b") as file:
            file.write(os.urandom(size))
        for name in (self.path + "-wal", self.path + "-shm"):
            if os.path.exists(name):
                os.truncate(name, 0)
        for _ in range(5):
            self.order()        # signed or not, what is signed is on record
        if self.world.signer.poll() is None:
            self.world.stop_signer(signal.SIGTERM, status=None)
        self.world.signer = None
        self.world.start_signer()
        self.expect_signature()     # mended from what the signer had in memory, or made anew
        self.expect_everything_on_record()


if __name__ == "__main__":
    unittest.main()
