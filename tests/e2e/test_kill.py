#!/usr/bin/python3
"""The signer killed under load, and flooded: what it signed is on record, and quotas count it."""

import contextlib
import os
import signal
import subprocess
import threading
import unittest

from killing import (NAME, SIGNER, VICTIMS, Connection, Rounds, prepare, processes,
                     wait_for_end)
from world import World, wait_until

ROUNDS = 50


class Killed(unittest.TestCase):
    """Attacks 91, 92: kill -9 resets no quota, and no signature left without its record."""

    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.orders(1000000)
        self.wrapped = prepare(self.world)

    def orders(self, limit):
        self.world.application("app", exact=[NAME], limits={"orders_per_day": limit})

    def test_attacks_91_92_quotas_survive_kill_9(self):
        rounds = Rounds(self.world, seed=92, wrapped=self.wrapped)
        for _ in range(ROUNDS):
            rounds.round()
            rounds.check()
        self.assertEqual(set(rounds.kills), set(VICTIMS))
        self.assertGreater(rounds.said["torn"], 2)
        self.assertGreater(rounds.said["replayed"], 10)
        self.world.admin("audit", "verify")
        rounds.check_ledger()
        self.last_unit(rounds.today())

    def last_unit(self, used):
        """One more is left: of many who ask at once, one gets it (91); a restart gives none back."""
        self.orders(used + 1)
        self.world.admin("reload")
        answers = []

        def ask(number):
            with Connection(self.world.socket) as connection:
                answers.append(connection.new_order(number=number))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        refused = [answer for answer in answers if "error" in answer]
        self.assertEqual(len(answers) - len(refused), 1)
        running = processes(self.world.signer.pid)
        self.world.stop_signer(number=signal.SIGKILL, status=-signal.SIGKILL)
        wait_for_end(running)
        self.world.start_signer()
        with Connection(self.world.socket) as connection:
            refused.append(connection.new_order())
        for answer in refused:
            self.assertEqual(answer["error"], SIGNER + "LedgerRefused")
            self.assertEqual(answer["parameters"]["rule"], "quota.orders_per_day")


class Flooded(unittest.TestCase):
    """Attacks 96b, 104, 106 from the outside."""

    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.world.application("app", exact=[NAME], limits={"orders_per_day": 1000})

    def log_size(self):
        return os.path.getsize(self.world.path("state", "audit", "audit.jsonl"))

    def refuse(self, count):
        with Connection(self.world.socket) as connection:
            for number in range(count):
                answer = connection.new_order("other.dept.example.edu", number)
                self.assertEqual(answer["parameters"]["rule"], "names.none")

    def test_attack_96b_refusals_do_not_fill_the_log(self):
        self.world.start()
        before = self.log_size()
        self.refuse(5000)
        self.assertLess(self.log_size() - before, 400 * 1024)
        with Connection(self.world.socket) as connection:
            connection.socket.sendall(b"no JSON\0" * 1000)
            for _ in range(1000):
                self.assertEqual(connection.receive()["error"], SIGNER + "InvalidRequest")
        self.assertLess(self.log_size() - before, 400 * 1024)
        self.world.stop_signer()
        counts = [record for record in self.world.records() if record["kind"] == "refusals"]
        single = [record for record in self.world.records("--verdict", "refuse")
                  if record["kind"] == "decision"]
        self.assertEqual(len(single) + sum(record["count"] for record in counts), 6000)
        self.assertIn("request.invalid 1000", " ".join(record["message"] for record in counts))
        self.assertIn(" times", self.world.admin("audit", "show", "--last", "3").out)
        self.world.admin("audit", "verify")

    def test_attack_106_who_is_turned_away_is_told(self):
        self.world.start()
        before = len(self.world.log())
        with contextlib.ExitStack() as held:
            for _ in range(64):
                connection = held.enter_context(Connection(self.world.socket))
                self.assertNotIn("error", connection.call("WhoAmI"))
            done = self.world.client("whoami", status=5)
            self.assertIn("too many connections", done.text)
            self.assertIn("too many connections", self.world.log()[before:])
        wait_until("a connection", lambda: self.world.client("whoami", status=None).status == 0)

    def test_attack_104_room_is_kept_for_permits(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small file system")
        state = self.world.path("state")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0750", "tmpfs", state],
                          check=False, capture_output=True).returncode != 0:
            self.skipTest("no mount is allowed here")
        try:
            self.room()
        finally:
            if self.world.signer is not None:
                self.world.stop_signer(status=None)
            subprocess.run(["umount", state], check=True)

    def room(self):
        self.world.start()
        self.refuse(3)
        state = os.statvfs(self.world.path("state"))
        with open(self.world.path("state", "filler"), "wb") as filler:
            filler.write(b"\0" * (state.f_bavail * state.f_frsize - 500 * 1024))
        wait_until("the alarm", lambda: any(
            record["kind"] == "alarm" and record["rule"] == "audit.space"
            for record in self.world.records()))
        before = self.log_size()
        self.refuse(50)
        self.assertEqual(self.log_size(), before)
        with Connection(self.world.socket) as connection:
            for number in range(100):
                self.assertNotIn("error", connection.new_order(number=number))
        self.assertGreater(self.log_size(), before)
        self.assertIn("LOW", self.world.admin("status").out)
        status = self.world.admin("--json", "status").json()
        self.assertLess(status["audit_free"], status["audit_reserve"])
        os.unlink(self.world.path("state", "filler"))
        wait_until("room", lambda: "LOW" not in self.world.admin("status").out)
        self.refuse(1)
        self.world.stop_signer()
        counts = [record["count"] for record in self.world.records() if record["kind"] == "refusals"]
        self.assertEqual(sum(counts), 50)


if __name__ == "__main__":
    unittest.main()
