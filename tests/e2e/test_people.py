#!/usr/bin/python3
"""What people see: the table of certificates, the exchange with -v, doctor, colours, JSON of
failures; one world for all."""

import json
import os
import pty
import re
import subprocess
import time
import unittest

from world import CLIENT, World, environment, run

ESCAPE = "\x1b["


class People(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World()
        cls.addClassCleanup(world.close)
        world.__enter__()
        world.application("app1", exact=["app1.dept.example.edu", "b.app1.dept.example.edu"])
        world.start()
        cls.issued = world.certonly("app1.dept.example.edu", "b.app1.dept.example.edu",
                                    words=("--cert-name", "main", "-v"))

    def on_terminal(self, *words, **variables):
        """What the client writes where all its streams are a terminal."""
        command = self.world.client_command(*words)
        leader, follower = pty.openpty()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=follower,
                                   stderr=follower, env=environment(TERM="xterm", **variables))
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:     # Linux: the other side is closed
                break
            if not part:
                break
            text += part
        os.close(leader)
        process.wait(60)
        return text.decode()

    def test_the_table_of_certificates(self):
        head, row, names = self.world.client("certificates").out.splitlines()
        self.assertEqual(head.split(), ["NAME", "EXPIRES", "KEY", "RENEWAL", "WHY"])
        self.assertRegex(row, r"^main +\d+ days +ec-p256 +2\d{3}-\d\d-\d\d +then a third of its "
                              r"lifetime is left$")
        self.assertEqual(names.strip(), "app1.dept.example.edu, b.app1.dept.example.edu")
        one = self.world.client("certificates", "--json").json()["certificates"][0]
        third = one["not_after"] - (one["not_after"] - one["not_before"]) // 3
        self.assertEqual((one["renew_at"], one["days"]),
                         (third, (one["not_after"] - int(time.time())) // 86400))
        full = self.world.client("certificates", "--cert-name", "main").out
        for part in ("serial", "issuer", "renewal", "files"):
            self.assertIn(f"  {part} ", full)

    def test_without_settings_it_says_so(self):
        path = self.world.path("client", "renewal", "main.conf")
        os.rename(path, path + ".away")
        try:
            self.assertIn("has no settings to be renewed by", self.world.client("certificates").out)
        finally:
            os.rename(path + ".away", path)

    def test_the_exchange(self):
        err = self.issued.err
        for part in ("> signer: org.acmeward.Signer.NewOrder", "< done in ", "> POST https://",
                     ">   protected {\"alg\":\"ES256\"",
                     ">   payload   {\"identifiers\":[{\"type\":\"dns\"", "< 201 in ",
                     "<   Location: https://", "<   {\"status\":", "signature (not shown)"):
            self.assertIn(part, err)
        # No JWS goes out of it that could be posted: neither whole, nor its signature.
        self.assertNotIn('"signature"', err)
        self.assertNotRegex(err, r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{86}(?![A-Za-z0-9_-])")

    def test_quiet_says_nothing(self):
        done = self.world.certonly("app1.dept.example.edu", "b.app1.dept.example.edu",
                                   words=("--cert-name", "main", "--quiet", "--force-renewal"))
        self.assertEqual((done.out, done.err), ("", ""))

    def test_progress_has_names_and_steps(self):
        steps = [line for line in self.issued.err.splitlines() if re.match(r" *\d+\.\d s  ", line)]
        self.assertGreaterEqual(len(steps), 4)
        self.assertTrue(any("main" in line or "app1" in line for line in steps), steps)

    def test_colours_on_a_terminal_only(self):
        self.assertIn(ESCAPE + "32m", self.on_terminal("certificates"))
        self.assertNotIn(ESCAPE + "3", self.on_terminal("certificates", NO_COLOR="1"))
        self.assertNotIn(ESCAPE, self.world.client("certificates").text)
        failed = self.on_terminal("certificates", "--cert-name", "none")
        self.assertIn(ESCAPE + "31macmeward: " + ESCAPE + "0m", failed)

    def doctor(self, *words, status=0):
        return self.world.client("doctor", *words, status=status)

    def checks(self, status=0):
        found = self.doctor("--json", status=status).json()
        for row in found["checks"]:
            self.assertEqual(set(row), {"check", "verdict", "message", "hint"})
            if row["verdict"] != "ok" and row["check"] != "clock":
                self.assertTrue(row["hint"], row)
        return found

    def test_doctor_finds_all_well(self):
        found = self.checks()
        verdicts = {(row["check"], row["verdict"]) for row in found["checks"]
                    if row["check"] != "timer"}
        self.assertEqual(verdicts, {(check, "ok") for check in (
            "settings", "socket", "signer", "policy", "ca", "clock", "store", "certificate",
            "order")})
        self.assertEqual((found["failures"], found["status"]), (0, "ok"))
        text = self.doctor().out
        self.assertRegex(text, r"(?m)^ok    policy       app1: may order$")
        self.assertNotIn("fail", text)

    def test_doctor_says_what_is_wrong_and_what_to_do(self):
        world = self.world
        key = os.path.realpath(world.path("client", "live", "main", "privkey.pem"))
        order = world.path("client", "archive", ".order-late.json")
        os.chmod(key, 0o644)
        os.chmod(world.path("client", "live"), 0o777)
        with open(order, "w", encoding="ascii"):
            pass
        try:
            rows = self.checks(status=1)["checks"]
            found = {(row["check"], row["verdict"]) for row in rows}
            self.assertLessEqual({("key", "fail"), ("store", "fail"), ("order", "warn")}, found)
            done = self.doctor("--quiet", status=1)
            self.assertEqual(done.out, "")
            self.assertIn("warning: key: main: others may read", done.err)
        finally:
            os.chmod(key, 0o600)
            os.chmod(world.path("client", "live"), 0o700)
            os.unlink(order)

    def test_doctor_without_signer(self):
        done = self.doctor("--signer", self.world.path("run", "none.sock"), status=1)
        self.assertIn("the signer does not run here", done.out)

    def test_failures_as_json(self):
        world = self.world
        for words, status, tag in ((("account", "show", "none"), None, "not-found"),
                                   (("audit", "show", "--nonsense"), 2, "usage"),
                                   (("freeze",), 2, "usage"),
                                   (("certificates", "--folder", "/nonexistent"), 1, "not-found")):
            done = world.admin("--json", *words, status=status)
            error = json.loads(done.out)["error"]
            self.assertEqual(error["tag"], tag, done)
            self.assertEqual(error["exit"], done.status)
            self.assertIn(error["message"], done.err)
        frozen = world.admin("--json", "freeze", "--application", "app1", "--reason", "test").json()
        self.assertEqual(frozen, {"frozen": True, "application": "app1", "reason": "test"})
        self.assertEqual(world.admin("--json", "unfreeze", "--application", "app1").json(),
                         {"frozen": False, "application": "app1"})
        done = run([CLIENT, "certificates", "--json", "--nonsense"], status=2)
        self.assertEqual(json.loads(done.out)["error"]["tag"], "usage")


if __name__ == "__main__":
    unittest.main()
