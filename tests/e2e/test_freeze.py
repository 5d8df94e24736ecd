#!/usr/bin/python3
"""One application is frozen: it is refused, the others go on, restarts change nothing."""

import json
import os
import signal
import unittest

from world import World


class Course(unittest.TestCase):
    """One world; the tests run in the order of their numbers, each on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        for name in ("app1", "app2"):
            cls.world.application(name, subdomains_of=[f"{name}.dept.example.edu"])
        cls.world.start()

    def order(self, application, status):
        return self.world.certonly(f"a.{application}.dept.example.edu", status=status, words=(
            "--application", application, "--cert-name", application, "--force-renewal"))

    def frozen(self):
        return [item["application"]
                for item in self.world.admin("--json", "status").json()["frozen_applications"]]

    def test_1_only_that_one_stops(self):
        done = self.world.admin("freeze", "--application", "app1", "--reason", "host compromised")
        self.assertIn("unfreeze --application app1", done.out)
        self.assertEqual(self.frozen(), ["app1"])
        self.assertIn("FROZEN  app1", self.world.admin("status").out)
        self.order("app1", 5)
        self.order("app2", 0)
        last = [r for r in self.world.records("--application", "app1") if r["kind"] == "decision"][-1]
        self.assertEqual((last["verdict"], last["rule"]), ("refuse", "frozen"))
        self.assertIn("host compromised", last["message"])
        admin = [r for r in self.world.records("--kind", "admin") if r["operation"] == "freeze"]
        self.assertEqual((admin[-1]["application"], admin[-1]["message"]),
                         ("app1", "host compromised"))

    def test_2_a_kill_and_the_loss_of_all_but_the_log_included(self):
        self.world.admin("freeze", "--reason", "all")
        self.world.stop_signer(signal.SIGKILL, status=None)
        lost = [name for name in os.listdir(self.world.path("state"))
                if name.startswith(("ledger", "frozen"))]
        self.assertLessEqual({"ledger.db", "frozen.json", "frozen-applications.json"}, set(lost))
        for name in lost:
            os.unlink(self.world.path("state", name))
        self.world.start_signer()
        alarms = [(r.get("application"), r["rule"])
                  for r in self.world.records("--kind", "alarm")]
        self.assertEqual(alarms, [("app1", "freeze.restored"), (None, "freeze.restored")])
        self.assertIn("the audit log has app1 as frozen (host compromised)", self.world.log())
        self.assertIn("FROZEN  app1", self.world.admin("status").out)
        self.order("app2", 5)
        self.world.admin("unfreeze")
        self.order("app2", 0)
        self.assertEqual(self.frozen(), ["app1"])
        self.order("app1", 5)

    def test_3_a_misspelt_one_is_said(self):
        done = self.world.admin("freeze", "--application", "app3", "--reason", "x", status=None)
        self.assertNotEqual(done.status, 0)
        self.assertIn("nothing was frozen", done.err)
        done = self.world.admin("unfreeze", "--application", "app2", status=None)
        self.assertNotEqual(done.status, 0)
        self.assertIn("not frozen", done.err)

    def test_4_all_and_one_are_apart(self):
        self.world.admin("freeze", "--reason", "all")
        self.assertIn("all is stopped besides",
                      self.world.admin("unfreeze", "--application", "app1").out)
        self.order("app1", 5)
        self.world.admin("freeze", "--application", "app1", "--reason", "again")
        self.assertIn("app1 stays frozen by itself", self.world.admin("unfreeze").out)
        self.order("app2", 0)
        self.order("app1", 5)
        self.world.admin("unfreeze", "--application", "app1")
        self.order("app1", 0)
        self.assertEqual(self.frozen(), [])

    def test_5_what_cannot_be_read_ends_the_start(self):
        self.world.admin("freeze", "--application", "app1", "--reason", "kept")
        path = self.world.path("state", "frozen-applications.json")
        with open(path, encoding="utf-8") as file:
            kept = file.read()
        self.world.stop_signer()
        for text in ("", kept[:-3], json.dumps({"applications": [{"application": "app1"}]})):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            self.world.spawn_signer()
            self.assertNotEqual(self.world.signer.wait(30), 0, text)
            self.world.signer = None
        self.assertIn("which applications are frozen is not known", self.world.log())
        with open(path, "w", encoding="utf-8") as file:
            file.write(kept)
        self.world.start_signer()
        self.assertEqual(self.frozen(), ["app1"])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)


if __name__ == "__main__":
    unittest.main(verbosity=2)
