#!/usr/bin/python3
"""Figures for Prometheus: the file is what node_exporter reads, and says what happened."""

import json
import os
import re
import shutil
import stat
import subprocess
import time
import unittest

from prometheus_client.parser import text_string_to_metric_families

from world import PROJECT, World, wait_until

NAME = re.compile(r"acmeward_[a-z_]+\Z")
# What has each alert fire, beside the figures of a quiet signer.
ALERTS = {
    "AcmewardDown": {"written_timestamp_seconds": None},
    "AcmewardFrozen": {"frozen": 1},
    "AcmewardRecordFails": {"audit_healthy": 0},
    "AcmewardDiskLow": {"audit_free_bytes": 10**6},
    "AcmewardNotRenewed": {"certificate_expiry_days{application=\"a\"}": 13},
    "AcmewardTokenSlow": {"token_sign_seconds_bucket{le=\"1\"}": 0,
                          "token_sign_seconds_bucket{le=\"2\"}": "0+10x6000"},
    "AcmewardTokenFails": {"token_failures_total": "0+1x6000"},
    "AcmewardRefusals": {"requests_total{operation=\"new-order\",verdict=\"refuse\"}": "0+1x6000"},
    "AcmewardCheckpoints": {"audit_records_total": 45},
    "AcmewardExport": {"export_waiting_seconds": 7201},
    "AcmewardForward": {"forward_lag_records": 1001},
    "AcmewardClock": {"clock_ahead_seconds": -61},
}
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

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool (package prometheus)")
    def test_9_the_alerts_of_operations_md(self):
        """Each fires where it should, and a signer with nothing to do alarms nobody."""
        with open(os.path.join(PROJECT, "docs", "operations.md"), encoding="utf-8") as file:
            rules = re.search(r"^Alerts to begin with:\n\n```yaml\n(.*?)^```$", file.read(),
                              re.DOTALL | re.MULTILINE).group(1)
        named = re.findall(r"alert: (\w+)", rules)
        self.assertEqual(sorted(ALERTS), sorted(named), "a row for each alert")
        at = 27 * 3600      # promtool's time begins at 0; one alert waits for a day
        quiet = {"written_timestamp_seconds": f"0+60x{at // 60}", "checkpoint_failing": 0,
                 "checkpoint_timestamp_seconds": 60, "audit_records_total": 44,
                 "checkpoint_records": 44, "audit_healthy": 1, "frozen": 0,
                 "audit_free_bytes": 10**10, "audit_reserve_bytes": 10**6,
                 "certificate_expiry_days{application=\"a\"}": 60, "token_failures_total": 3,
                 "requests_total{operation=\"new-order\",verdict=\"refuse\"}": 1000,
                 "refusals_unrecorded_total": 7, "export_waiting_seconds": 0,
                 "forward_lag_records": 0, "clock_ahead_seconds": 0,
                 "token_sign_seconds_bucket{le=\"1\"}": "0+10x6000",
                 "token_sign_seconds_bucket{le=\"+Inf\"}": "0+10x6000"}
        cases = [("quiet", {}, None), *((alert, figures, alert) for alert, figures in ALERTS.items())]
        tests = [{"interval": "1m", "name": name,
                  "input_series": [{"series": f"acmeward_{key}",
                                    "values": value if isinstance(value, str) else f"{value}+0x{at // 60}"}
                                   for key, value in {**quiet, **figures}.items()
                                   if value is not None],
                  "promql_expr_test": [{
                      "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                      "eval_time": f"{at // 60}m",
                      "exp_samples": [] if alert is None else [
                          {"labels": f'{{alertname="{alert}"}}', "value": 1}]}]}
                 for name, figures, alert in cases]
        with open(self.world.path("rules.yml"), "w", encoding="utf-8") as file:
            file.write(rules)
        with open(self.world.path("tests.yml"), "w", encoding="utf-8") as file:
            json.dump({"rule_files": ["rules.yml"], "evaluation_interval": "1h", "tests": tests},
                      file)
        for words in (("check", "rules", "rules.yml"), ("test", "rules", "tests.yml")):
            done = subprocess.run(["promtool", *words], cwd=self.world.path(), timeout=60,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
