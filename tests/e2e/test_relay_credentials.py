#!/usr/bin/python3
"""relay-key and app-eab: from the token to what a client of a relay is given, and its end."""

import base64
import datetime
import json
import re
import unittest

from test_secrets import Needles
from world import World, run

URL = "https://acme.dept.example.edu:14443"


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        world = cls.world
        world.write_config()
        with open(world.config, "a", encoding="ascii") as file:
            file.write(f"relays:\n  - user: daemon\n    url: {URL}\n")
        world.application("shop", exact=["shop.dept.example.edu"], relay={})
        world.application("plain", exact=["plain.dept.example.edu"])
        world.start_signer()

    def findings(self):
        """Of doctor, on what relays have to do with."""
        rows = json.loads(self.world.admin("--json", "doctor", status=1).out)["findings"]
        return [(row["about"], row["finding"]) for row in rows
                if row["about"].startswith(("relay", "app-eab", URL))]

    def create(self, *words, status=0):
        return self.world.admin("app-eab", "create", *words, status=status)

    def test_1_mistakes_before_there_is_a_relay_key(self):
        self.assertIn("acmeward-admin relay-key create", self.create("shop", status=5).err)
        self.assertIn("none; an officer makes it", self.world.admin("relay-key", "show").out)
        for words, status, part in ((("ship",), 1, 'no application "ship"'),
                                    (("plain",), 3, "(rule relay)"),
                                    (("shop", "--expires", "2020-01-01"), 2, "has passed"),
                                    (("shop", "--expires", "soon"), 2, "--expires"),
                                    ((), 2, "APPLICATION"),
                                    (("shop", "--key", "x"), 2, "--key")):
            self.assertIn(part, self.create(*words, status=status).err)

    def test_2_what_is_shown_once(self):
        world = self.world
        made = world.admin("relay-key", "create").out
        self.assertIn("not extractable", made)
        check = re.search(r"check value +([0-9a-f]{32})\n", made).group(1)
        self.assertIn(check, world.admin("relay-key", "show").out)
        self.assertIn("already", world.admin("relay-key", "create", status=1).err)
        done = self.create("shop", "--expires", "2099-12-31", "--once")
        kid = re.search(r"  kid +(app-[\w-]{22})\n", done.out).group(1)
        key = re.search(r"  key +([\w-]{43})\n", done.out).group(1)
        self.assertEqual(done.err, "")
        for line in ("2099-12-31", "one account may be made", f"  server = {URL}/directory\n",
                     f"  eab-kid = {kid}\n  eab-hmac-key = {key}\n", f"  LEGO_EAB_HMAC={key}\n",
                     f"    key_id {kid}\n    mac_key {key}\n"):
            self.assertIn(line, done.out)
        listed = world.admin("app-eab", "list").out
        self.assertRegex(listed, f"{kid}  shop  usable, made .*, expires 2099-12-31.*, once, 0 accounts")
        # Each is another one; --json is the same for programs.
        other = json.loads(self.create("shop", "--json").out)
        self.assertNotIn(other["key"], (key, ""))
        self.assertEqual((other["expires"], other["once"]), (None, False))
        self.assertEqual(other["directories"], [URL + "/directory"])
        rows = json.loads(world.admin("app-eab", "list", "shop", "--json").out)["app_eabs"]
        self.assertEqual([row["kid"] for row in rows], [kid, other["kid"]])
        self.assertEqual(json.loads(world.admin("app-eab", "list", "plain", "--json").out), {"app_eabs": []})
        self.check_nowhere([base64.urlsafe_b64decode(text + "=") for text in (key, other["key"])])
        self.check_records(kid)
        self.check_report(kid)
        self.check_end(kid, other["kid"])

    def check_nowhere(self, keys):
        """Neither in a file, nor in the signer's memory once it has answered."""
        needles = Needles({f"key {i}": key for i, key in enumerate(keys)})
        self.assertEqual(needles.search_files(self.world.folder), [])
        found, octets = needles.search_memory(self.world.signer.pid)
        self.assertGreater(octets, 0)
        self.assertEqual(found, [])

    def check_records(self, kid):
        record = [r for r in self.world.records() if r.get("kid") == kid][0]
        self.assertEqual((record["kind"], record["operation"], record["application"], record["count"]),
                         ("admin", "app-eab-create", "shop", 1))

    def check_report(self, kid):
        self.assertIn(f"relay   {URL}\n", self.world.admin("status").out)
        p4 = json.loads(self.world.admin("report", "p4", "--format", "json").out)
        self.assertEqual(p4["relays"], [{"kind": "user", "name": "daemon", "url": URL}])
        self.assertEqual({row["application"]: row["relay"] for row in p4["signers"]},
                         {"shop": "yes", "plain": "no"})
        report = json.loads(self.world.admin("report", "--format", "json").out)
        grants = {row["application"]: row["relay"] for row in report["grants"]}
        self.assertEqual(grants, {"shop": "yes", "plain": "no"})
        row = report["app_eabs"][0]
        self.assertEqual((row["kid"], row["application"], row["state"], row["once"], row["accounts"]),
                         (kid, "shop", "usable", True, 0))
        self.assertEqual(report["clients"], [])

    def check_end(self, kid, other):
        world = self.world
        self.assertIn("revoked", world.admin("app-eab", "revoke", kid).out)
        world.admin("app-eab", "revoke", kid)
        self.assertIn("app-eab list", world.admin("app-eab", "revoke", "app-" + 22 * "x", status=1).err)
        self.assertIn("kid", world.admin("app-eab", "revoke", "x", status=2).err)
        self.assertRegex(world.admin("app-eab", "list").out, f"{kid}  shop  revoked")
        self.assertIn("--yes", world.admin("relay-key", "destroy", status=2).err)
        self.assertRegex(world.admin("app-eab", "list").out, f"{other}  shop  usable")
        world.admin("relay-key", "destroy", "--yes")
        self.assertRegex(world.admin("app-eab", "list").out, f"{other}  shop  revoked")
        report = json.loads(world.admin("report", "--section", "app_eabs", "--format", "json").out)
        self.assertEqual([row["state"] for row in report["app_eabs"]], ["revoked", "revoked"])
        # The index is made anew from the records.
        world.stop_signer()
        run(["rm", world.path("state", "ledger.db")])
        world.start_signer()
        self.assertEqual(world.admin("app-eab", "list").out.count("revoked"), 2)

    def test_9_what_doctor_says(self):
        (about, finding), = self.findings()
        self.assertEqual(about, "relay key")
        self.assertIn("relay-key create", finding)
        self.world.admin("relay-key", "create")
        self.assertEqual(self.findings(), [])
        day = datetime.date.today() + datetime.timedelta(days=2)
        kid = json.loads(self.create("shop", "--expires", str(day), "--json").out)["kid"]
        (about, finding), = self.findings()
        self.assertEqual(about, f"app-eab {kid}")
        self.assertRegex(finding, "of shop, expires in [012] days: 0 accounts")
        self.world.application("shop", exact=["shop.dept.example.edu"])
        self.world.admin("reload")
        self.assertEqual([about for about, _ in self.findings()], ["relays", about])


if __name__ == "__main__":
    unittest.main()
