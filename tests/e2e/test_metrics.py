#!/usr/bin/python3
"""Figures for Prometheus: the file is what node_exporter reads, and says what happened."""

import os
import re
import shutil
import stat
import subprocess
import time
import unittest

from prometheus_client.parser import text_string_to_metric_families

from world import World, wait_until

NAME = re.compile(r"acmeward_[a-z_]+\Z")
RULE = re.compile(r"[a-z0-9._-]{1,47}\Z")


class Figures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.enterClassContext(cls.world)
        world = cls.world
        os.mkdir(world.path("prom"), 0o755)
        cls.file = world.path("prom", "acmeward.prom")
        for name in ("app1", "app2"):
            world.application(name, subdomains_of=[f"{name}.dept.example.edu"])
        cls.write_config()
        world.start_signer()
        world.admin("ca", "pin", "loopback", "--yes")
        world.import_eab()
        world.register()

    @classmethod
    def write_config(cls):
        cls.world.write_config()
        with open(cls.world.config, "a", encoding="ascii") as file:
            file.write(f"metrics:\n  file: {cls.file}\n  every_seconds: 1\n")

    def read(self):
        with open(self.file, encoding="utf-8") as file:
            return file.read()

    def families(self):
        """Of a file that was begun after this call."""
        before = time.time()
        wait_until("new figures", lambda: os.path.exists(self.file)
                   and os.stat(self.file).st_mtime > before + 0.02)
        return {family.name: family for family in text_string_to_metric_families(self.read())}

    def value(self, families, name, **labels):
        family = families[re.sub("_(total|count|bucket)$", "", name)]
        found = [sample.value for sample in family.samples
                 if sample.name in (name, name + "_total") and sample.labels == labels]
        self.assertEqual(len(found), 1, (name, labels, family))
        return found[0]

    def test_1_form(self):
        families = self.families()
        text = self.read()
        self.assertTrue(text.endswith("\n"))
        for family in families.values():
            self.assertRegex(family.name, NAME)
            self.assertTrue(family.documentation.endswith("."), family.name)
            self.assertIn(family.type, ("counter", "gauge", "histogram"))
        names = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
        self.assertEqual(len(names), len(dict(names)), "each family once")
        for name, kind in names:
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            self.assertEqual(text.count(f"# HELP {name} "), 1, name)
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual(len(series), len(set(series)), "no series twice")
        mode = os.stat(self.file).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o644)
        self.assertEqual(os.listdir(self.world.path("prom")), ["acmeward.prom"])

    def test_2_what_happened(self):
        world = self.world
        for name in ("a", "b"):
            world.certonly(f"{name}.app1.dept.example.edu",
                           words=("--application", "app1", "--cert-name", name))
        for _ in range(2):
            world.certonly("c.app2.dept.example.edu",
                           words=("--application", "app2", "--cert-name", "c", "--force-renewal"))
        world.certonly("pay.dept.example.edu", words=("--application", "app1"), status=3)
        found = self.families()
        self.assertEqual(self.value(found, "acmeward_requests_total", operation="new-order",
                                    verdict="permit"), 4)
        self.assertEqual(self.value(found, "acmeward_requests_total", operation="new-order",
                                    verdict="refuse"), 1)
        self.assertEqual(self.value(found, "acmeward_decisions_total", verdict="refuse",
                                    rule="names.none"), 1)
        signed = sum(self.value(found, "acmeward_requests_total", operation=operation,
                                verdict="permit")
                     for operation in ("new-order", "finalize", "post-as-get", "answer-challenge"))
        self.assertEqual(self.value(found, "acmeward_token_sign_seconds_count"), signed)
        self.assertEqual(self.value(found, "acmeward_token_sign_seconds_bucket", le="+Inf"), signed)
        buckets = [s.value for s in found["acmeward_token_sign_seconds"].samples
                   if s.name.endswith("_bucket")]
        self.assertEqual(buckets, sorted(buckets))
        days = self.value(found, "acmeward_certificate_expiry_days", application="app2")
        self.assertAlmostEqual(days, 5 * 365, delta=3)
        self.assertEqual(self.value(found, "acmeward_frozen"), 0)
        self.assertEqual(self.value(found, "acmeward_audit_healthy"), 1)
        for sample in found["acmeward_decisions"].samples:
            self.assertRegex(sample.labels["rule"], RULE)

    def test_3_restart_and_freeze(self):
        """The inventory is known after a restart too, counters begin anew."""
        self.world.admin("freeze", "--reason", "a test")
        self.world.stop_signer()
        self.world.start_signer()
        found = self.families()
        self.assertEqual(self.value(found, "acmeward_frozen"), 1)
        self.assertGreater(
            self.value(found, "acmeward_certificate_expiry_days", application="app1"), 1000)
        self.assertEqual(self.value(found, "acmeward_requests_total", operation="new-order",
                                    verdict="permit"), 0)
        self.world.admin("unfreeze")

    def test_4_no_figures_stop_nothing(self):
        os.rename(self.world.path("prom"), self.world.path("away"))
        wait_until("the log says so", lambda: "no figures for Prometheus" in self.world.log())
        self.world.certonly("d.app1.dept.example.edu",
                            words=("--application", "app1", "--cert-name", "d"))
        os.rename(self.world.path("away"), self.world.path("prom"))
        self.families()

    def test_5_the_file_is_for_the_collector(self):
        kept = type(self).file
        try:
            type(self).file = self.world.path("prom", "acmeward.txt")
            self.write_config()
            self.assertIn("ends in .prom", self.world.admin("policy", "check", status=2).text)
        finally:
            type(self).file = kept
            self.write_config()

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool (package prometheus)")
    def test_9_promtool_is_content(self):
        done = subprocess.run(["promtool", "check", "metrics"], input=self.read(), text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        # Days are what people ask for; the seconds are beside them.
        self.assertIn(done.stdout.splitlines(), ([], [
            'acmeward_certificate_expiry_days use base unit "seconds" instead of "days"']))
        faulty = "# TYPE acmeward_x_total gauge\nacmeward_x_total 1\n"
        self.assertNotEqual(subprocess.run(["promtool", "check", "metrics"], input=faulty, text=True,
                                           capture_output=True, timeout=60, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
