#!/usr/bin/python3
"""Reports from a real log: grants, certificates, refusals, what is not used; one world for all."""

import csv
import io
import os
import time
import unittest
from html.parser import HTMLParser

from world import SIGNER, World, environment, run

HOSTILE = "=HYPERLINK(\"http://x\") <script>alert('owner')</script>"


class Page(HTMLParser):
    """The cells of a page, and its elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.cells, self.inside = set(), [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "td":
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "td"

    def handle_data(self, data):
        if self.inside:
            self.cells[-1] += data


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = world = World()
        cls.addClassCleanup(world.close)
        world.__enter__()
        world.application("app1", exact=["app1.dept.example.edu", "old.app1.dept.example.edu"],
                          subdomains_of=["app1.dept.example.edu", "lab.dept.example.edu"],
                          operations=["order", "revoke"])
        world.application("idle", owner=HOSTILE, exact=["idle.dept.example.edu"])
        world.application("gone", exact=["gone.dept.example.edu"])
        world.start()
        for names in (("app1.dept.example.edu",), ("app1.dept.example.edu",),
                      ("a.app1.dept.example.edu", "app1.dept.example.edu")):
            world.certonly(*names, words=("--application", "app1", "--cert-name", "main",
                                          "--force-renewal", "--renew-with-new-domains"))
        world.certonly("gone.dept.example.edu", words=("--application", "gone"))
        world.client("revoke", "--cert-name", "main", "--application", "app1")
        for _ in range(3):
            world.certonly("pay.dept.example.edu", words=("--application", "idle"), status=3)
        os.unlink(world.path("etc", "policy.d", "gone.yaml"))

    def report(self, *words, status=0):
        return self.world.admin("report", *words, status=status)

    def json(self, *words):
        return self.report("--json", *words).json()

    def test_who_may_what(self):
        grants = {row["application"]: row for row in self.json()["grants"]}
        self.assertEqual(set(grants), {"app1", "idle"})
        app1 = grants["app1"]
        self.assertEqual((app1["state"], app1["account"], app1["orders"], app1["operations"]),
                         ("in force", "loopback-ov", 3, ["order", "revoke"]))
        self.assertEqual(app1["principals"], [f"user {self.world.user}"])
        self.assertEqual(grants["idle"]["owner"], HOSTILE)
        self.assertIsNone(grants["idle"]["last_used"])

    def test_what_expires_when(self):
        rows = self.json("--section", "certificates")["certificates"]
        found = sorted((row["application"], row["status"], len(row["names"])) for row in rows)
        self.assertEqual(found, [("app1", "current", 1), ("app1", "replaced", 1),
                                 ("app1", "revoked", 2), ("gone", "current", 1)])
        self.assertEqual([row["not_after"] for row in rows],
                         sorted(row["not_after"] for row in rows))
        self.assertTrue(all(row["days"] > 0 and row["serial"] for row in rows))
        self.assertIsNone([row for row in rows if row["application"] == "gone"][0]["owner"])

    def test_what_was_refused(self):
        rows = self.json()["refusals"]
        self.assertEqual([(row["application"], row["rule"], row["count"], row["names"])
                          for row in rows],
                         [("idle", "names.none", 3, ["pay.dept.example.edu"])])
        self.assertIn("not among the names", rows[0]["why"])
        self.assertEqual(self.json("--until", "2020-01-01")["refusals"], [])

    def test_what_is_not_used(self):
        rows = [(row["application"], row["list"], row["entry"]) for row in self.json()["unused"]]
        self.assertEqual(rows, [("app1", "exact", "old.app1.dept.example.edu"),
                                ("app1", "subdomains_of", "lab.dept.example.edu"),
                                ("idle", "all of it", None)])

    def test_of_one_application(self):
        found = self.json("--application", "gone")
        self.assertEqual((len(found["grants"]), len(found["certificates"])), (0, 1))
        self.assertIn("know an application", self.report("--application", "no", status=1).err)

    def test_hostile_texts_stay_texts(self):
        page = Page(self.report("--format", "html").out)
        self.assertIn(HOSTILE, page.cells)
        self.assertFalse(page.tags & {"script", "link", "img", "iframe", "object"})
        cells = [cell for row in csv.reader(io.StringIO(self.report("--format", "csv").out))
                 for cell in row]
        self.assertIn("'" + HOSTILE, cells)
        self.assertEqual([cell for cell in cells if cell[:1] in ("=", "+", "-", "@")], [])

    def test_mistakes(self):
        for words, text in ((("--format", "pdf"), "text, csv, json or html"),
                            (("--section", "x"), "grants, clients"),
                            (("--since", "2027-01-01", "--until", "2026-01-01"), "after --until"),
                            (("--since", "monday"), "2026-11-24")):
            self.assertIn(text, self.report(*words, status=2).err)

    def test_a_mail_for_each_owner(self):
        folder = self.world.path("mail")
        os.mkdir(folder)
        hook = (f'f=$(mktemp {folder}/XXXXXX) && {{ printf "%s|%s|%s\\n" "$ACMEWARD_OWNER" '
                '"$ACMEWARD_APPLICATIONS" "$ACMEWARD_SUBJECT"; cat; } >"$f"')
        self.report("--mail-hook", hook)
        mails = []
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                mails.append(file.read())
        app1, idle = sorted(mails, key=lambda text: text.startswith("="))
        self.assertTrue(app1.startswith("app1-team@dept.example.edu|app1|acmeward: 1 application, "
                                        "0 expiring, 0 refused\n"), app1)
        self.assertIn("a.app1.dept.example.edu", app1)
        self.assertTrue(idle.startswith(HOSTILE + "|idle|acmeward: 1 application, 0 expiring, "
                                        "3 refused\n"), idle)
        self.assertNotIn("app1", idle)
        self.assertIn("names.none", idle)

    def test_a_hook_that_fails_does_not_stop_the_others(self):
        marks = self.world.path("marks")
        done = self.report("--mail-hook", f'echo x >>{marks}; [ "$ACMEWARD_REFUSED" = 0 ]', status=1)
        self.assertIn("1 of 2 reports", done.err)
        with open(marks, encoding="ascii") as file:
            self.assertEqual(file.read(), "x\nx\n")


class Evidence(unittest.TestCase):
    """report p4"""

    def setUp(self):
        self.world = world = self.enterContext(World())
        world.application("app1", exact=["app1.dept.example.edu"])
        world.start()

    def p4(self, *words, status=0):
        return self.world.admin("report", "p4", *words, status=status)

    def probe(self):
        run([SIGNER, "--config", self.world.config, "--probe-token"],
            env=environment(SOFTHSM2_CONF=self.world.token["SOFTHSM2_CONF"]))

    def test_evidence(self):
        world = self.world
        before = self.p4("--json").json()
        self.assertIn(["probe", "never made: acmeward-signer --probe-token, with the signer stopped"],
                      [[row["about"], row["finding"]] for row in before["findings"]])
        self.assertEqual((before["probe"], before["attempts"]), ([], []))
        world.stop_signer()
        self.probe()
        world.start_signer()
        world.certonly("app1.dept.example.edu")
        world.admin("freeze", "--application", "app1", "--reason", "<b>review</b>")
        found = self.p4("--json").json()

        self.assertEqual([row["about"] for row in found["findings"]], ["audit log", "loopback"])
        token, probe = found["token"][0], found["probe"][0]
        self.assertEqual((token["label"], token["serial"]), ("acmeward", probe["serial"]))
        self.assertTrue(token["pin_source"].endswith("pin") or "file:" in token["pin_source"])
        self.assertEqual((probe["holds"], probe["same_token"], probe["left_behind"]),
                         (True, True, None))
        self.assertTrue(any(row["required"] for row in found["attempts"]))
        private = [row for row in found["keys"] if row["label"] == "acmeward-account:loopback-ov"
                   and "private" in row["kind"]]
        self.assertEqual((private[0]["value_readable"], private[0]["faults"]), (False, None))
        self.assertIn("SENSITIVE", private[0]["attributes"])
        last = world.records("--verdict", "permit", "--kind", "decision")[-1]["time"]
        self.assertEqual(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(private[0]["last_used"])),
                         last)
        eab = [row for row in found["keys"] if row["label"].startswith("acmeward-eab:")]
        self.assertLess(eab[0]["last_used"], private[0]["last_used"] + 1)
        self.assertEqual([(row["application"], row["principals"], row["exact"])
                          for row in found["signers"]],
                         [("app1", f"user {world.user}", ["app1.dept.example.edu"])])
        self.assertEqual(found["administrators"],
                         [{"role": "officer", "kind": "user", "name": world.user}])
        verified = world.admin("audit", "verify", "--json").json()
        log = found["log"][0]
        self.assertEqual((log["records"], log["root"], log["head"], log["state"]),
                         (verified["records"], verified["root"], verified["head"], "whole"))
        self.assertTrue(found["sandbox"][0]["seccomp"])
        self.assertEqual([(row["application"], row["reason"]) for row in found["freezes"]],
                         [("app1", "<b>review</b>")])
        done = world.admin("--json", "doctor", status=1)
        self.assertEqual([row["about"] for row in done.json()["findings"]],
                         ["audit log", "loopback", "app1"])
        self.assertIn("3 findings", done.err)
        page = self.p4("--format", "html").out
        self.assertIn("&lt;b&gt;review&lt;/b&gt;", page)
        self.assertNotIn("<b>", page)
        self.assertIn("What the probe tried", self.p4().out)

        # Of another token, and a log that was changed.
        with open(world.path("state", "probe.json"), encoding="utf-8") as file:
            text = file.read()
        with open(world.path("state", "probe.json"), "w", encoding="utf-8") as file:
            file.write(text.replace(probe["serial"], "0" * 16))
        with open(world.path("state", "audit", "audit.jsonl"), "r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write(text.replace('"kind":"start"', '"kind":"stxrt"', 1))
        findings = [row["finding"] for row in self.p4("--json").json()["findings"]]
        self.assertIn("another serial", findings[0])
        self.assertIn("audit.jsonl", findings[1])


if __name__ == "__main__":
    unittest.main()
