#!/usr/bin/python3
"""The signer's processes: what each has and has not, and what happens when one ends."""

import json
import os
import signal
import socket
import time
import unittest

from world import World, wait_until


def read(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()


def is_alive(pid):
    try:
        return read(pid, "stat").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    """Children of all of its threads, by name; a gate's name has its argument."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            these = read(pid, f"task/{thread}/children").split()
        except (FileNotFoundError, ProcessLookupError):   # it has ended meanwhile
            continue
        for child in these:
            try:
                words = read(child, "cmdline").split("\0")
                name = read(child, "comm").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words == [""]:   # it has ended, and is waited for
                continue
            found[f"{name} {words[1]}" if name == "acmeward-gate" else name] = int(child)
    return found


class Processes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        cls.world.application("app", exact=["app.dept.example.edu"])
        cls.world.write_config()

    def setUp(self):
        self.world.start_signer()
        self.core = self.world.signer.pid
        wait_until("the gates", lambda: len(self.all()) == 4)

    def tearDown(self):
        if self.world.signer is not None:
            self.world.stop_signer(status=None)

    def all(self):
        """Name and pid of each process beside the core."""
        mine = children(self.core)
        return {**mine, **children(mine["acmeward-keeper"])} if "acmeward-keeper" in mine else mine

    def gates(self):
        return {name: pid for name, pid in self.all().items() if name.startswith("acmeward-gate")}

    def whoami(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(self.world.socket)
            connection.sendall(b'{"method":"org.acmeward.Signer.WhoAmI"}\0')
            answer = b""
            while not answer.endswith(b"\0"):
                more = connection.recv(65536)
                if not more:
                    raise ConnectionError("closed")
                answer += more
        return json.loads(answer[:-1])["parameters"]

    def wait_for_answer(self):
        def answers():
            try:
                return self.whoami()
            except OSError:
                return None
        wait_until("an answer", answers)

    def test_there_are_these_processes(self):
        # A gate that is just being executed has its name, and not yet its arguments.
        wait_until("the gates", lambda: len(self.gates()) == 2
                   and "acmeward-gate --config" not in self.gates())
        self.assertEqual(set(self.all()), {"acmeward-keeper", "acmeward-users",
                                           "acmeward-gate applications",
                                           "acmeward-gate administrators"})

    def test_no_gate_has_token_ledger_or_openssl_engine(self):
        for name, pid in self.gates().items():
            maps = read(pid, "maps")
            for library in ("softhsm", "p11", "sqlite", "yaml", "psl", "idn2", "curl"):
                self.assertNotIn(library, maps, name)
        self.assertIn("softhsm", read(self.core, "maps"))

    def test_no_process_but_the_core_has_files_of_the_state(self):
        for name, pid in self.all().items():
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                try:
                    target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                except (FileNotFoundError, ProcessLookupError):   # a connection that has ended
                    continue
                self.assertFalse(target.startswith(self.world.path("state"))
                                 or target.startswith(self.world.path("token")), f"{name}: {target}")

    def test_a_gate_has_two_sockets_and_nothing_else(self):
        expected = {0: "/dev/null", 1: "/dev/null", 3: "socket", 4: "socket"}

        def has_these(pid):
            try:
                targets = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0]
                           for fd in os.listdir(f"/proc/{pid}/fd") if fd != "2"}   # the log
            except (FileNotFoundError, ProcessLookupError):
                return False
            return targets == expected
        for name, pid in self.gates().items():
            # A connection that was made to see whether it listens may still be ending.
            wait_until(name, lambda pid=pid: has_these(pid))

    def test_no_process_can_be_dumped_or_gain_privileges(self):
        for name, pid in {**self.all(), "core": self.core}.items():
            self.assertIn("NoNewPrivs:\t1", read(pid, "status"), name)
            self.assertIn("Max core file size        0                    0", read(pid, "limits"))

    def test_a_gate_that_is_killed_is_started_anew(self):
        self.whoami()
        for name, pid in self.gates().items():
            os.kill(pid, signal.SIGKILL)
            wait_until(name, lambda name=name, pid=pid: self.gates().get(name, pid) != pid)
        self.wait_for_answer()
        self.assertIn("policy", self.world.admin("status").out)
        self.assertIn("is started anew", self.world.log())

    def test_one_gate_goes_on_while_the_other_is_away(self):
        other = self.gates()["acmeward-gate administrators"]
        os.kill(other, signal.SIGSTOP)
        self.whoami()
        os.kill(other, signal.SIGKILL)
        self.whoami()

    def test_a_gate_that_ends_again_and_again_is_started_later_each_time(self):
        seen = set()
        began = time.monotonic()
        for _ in range(6):
            pid = self.gates().get("acmeward-gate applications")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            wait_until("another gate", lambda pid=pid:
                       self.gates().get("acmeward-gate applications", pid) != pid)
            seen.add(pid)
        # 0, 20, 40, 80, 160, 320 ms
        self.assertGreater(time.monotonic() - began, 0.3)
        self.assertGreaterEqual(len(seen), 6)
        self.wait_for_answer()

    def test_all_end_together(self):
        for name, number in (("acmeward-keeper", signal.SIGKILL), ("acmeward-users", signal.SIGKILL),
                             ("core", signal.SIGKILL), ("core", signal.SIGTERM)):
            with self.subTest(name=name, signal=number):
                if self.world.signer is None:
                    self.setUp()
                everybody = {**self.all(), "core": self.core}
                os.kill(everybody[name], number)
                status = self.world.signer.wait(30)
                self.world.signer = None
                self.assertEqual(status, {"core": 0 if number == signal.SIGTERM else -number}
                                 .get(name, 1), self.world.log())
                if name != "core":
                    self.assertIn("ended: a process of the signer's own has ended", self.world.log())
                wait_until("the end of all", lambda all=everybody:
                           not any(is_alive(pid) for pid in all.values()))

    def test_signals_to_all_end_in_order(self):
        """As from a terminal, or a service manager that signals the whole control group."""
        for pid in [*self.all().values(), self.core]:
            os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.world.signer.wait(30), 0, self.world.log())
        self.world.signer = None


if __name__ == "__main__":
    unittest.main()
