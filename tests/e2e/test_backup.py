#!/usr/bin/python3
"""Backup of a running signer, restored with a copy of its token; an older state is found out."""

import os
import shutil
import threading
import unittest

from world import ADMIN, PROJECT, World, environment, run

SCRIPT = os.path.join(PROJECT, "packaging", "examples", "backup.sh")


class Course(unittest.TestCase):
    """One world; the tests run in the order of their numbers, each on what came before."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        world = cls.world
        world.application("app", subdomains_of=["app.dept.example.edu"],
                          limits={"orders_per_day": 4})
        world.write_config()
        with open(world.config, "a", encoding="ascii") as file:
            file.write("audit:\n  key: audit-1\n  origin: test.example.edu/audit\n  export: none\n")
        world.start_signer()
        # As it is printed, line and PEM: docs/operations.md says so.
        cls.key = cls.save("audit.key", world.admin("audit", "key", "create").out)
        world.admin("ca", "pin", "loopback", "--yes")
        world.import_eab()
        world.register()
        shutil.copytree(world.path("token"), world.path("token-copy"))

    @classmethod
    def save(cls, name, text):
        path = cls.world.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def issue(self, name, status=0):
        return self.world.certonly(f"{name}.app.dept.example.edu", status=status,
                                   words=("--cert-name", name))

    def backup(self, name, status=0):
        return run(["sh", SCRIPT, self.world.path("state"), self.world.path(name), "--public-key",
                    self.key], env=environment(ACMEWARD_ADMIN=ADMIN), status=status)

    def verify(self, *words, status=0):
        return self.world.admin("audit", "verify", "--public-key", self.key, *words, status=status)

    def restore(self, name):
        """On a host where the token's folder is another one."""
        world = self.world
        if world.signer is not None:
            world.stop_signer()
        shutil.rmtree(world.path("state"))
        shutil.copytree(world.path(name), world.path("state"))
        os.chmod(world.path("state"), 0o750)

    def test_1_backup_while_it_issues(self):
        issuing = threading.Thread(target=self.issue, args=("one",))
        issuing.start()
        done = self.backup("during")
        issuing.join()
        self.assertIn("records", done.text)
        self.backup("older")
        self.assertFalse(os.path.exists(self.world.path("older", "ledger.db")))
        self.assertIn("is there already", self.backup("older", status=1).err)

    def test_2_later_there_is_more(self):
        self.issue("two")
        self.world.admin("freeze", "--application", "app", "--reason", "kept by the backup")
        type(self).kept = self.save("kept", self.world.admin("audit", "checkpoint").out)
        self.verify("--checkpoint", self.kept)
        self.backup("newer")

    def test_3_the_newer_one_goes_on(self):
        world = self.world
        conf = world.path("token-copy", os.path.basename(world.token["SOFTHSM2_CONF"]))
        with open(conf, encoding="ascii") as file:
            text = file.read()
        with open(conf, "w", encoding="ascii") as file:
            file.write(text.replace(world.path("token") + "/", world.path("token-copy") + "/"))
        shutil.move(world.path("token"), world.path("token-lost"))
        world.token["SOFTHSM2_CONF"] = conf
        self.restore("newer")
        text = open(world.config, encoding="ascii").read()
        self.save("etc/signer.yaml", text.replace(world.path("token") + "/",
                                                  world.path("token-copy") + "/"))
        world.start_signer()
        self.assertIn("made anew from the audit log", world.log())
        self.verify("--checkpoint", self.kept)
        self.issue("three", status=5)     # the freeze came back too
        world.admin("unfreeze", "--application", "app")
        self.issue("three")

    def test_4_an_older_state_is_found_by_a_checkpoint_kept_elsewhere(self):
        self.restore("older")
        self.world.start_signer()         # it cannot know
        done = self.verify("--checkpoint", self.kept, status=None)
        self.assertNotEqual(done.status, 0)
        self.assertRegex(done.text, "checkpoint|continue|records")
        # What went back with it: order memory and quotas. One order is on record, so three are left.
        for name in ("four", "five", "six"):
            self.issue(name)
        self.assertIn("quota.orders_per_day", self.issue("seven", status=3).err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
