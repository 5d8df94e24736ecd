#!/usr/bin/python3
"""The systemd units: how exposed systemd takes the signer's and the relay's to be, alone and with each example."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNITS = os.path.join(PROJECT, "packaging", "systemd")
EXAMPLES = os.path.join(PROJECT, "packaging", "examples", "acmeward-signer.service.d")
MOST = 1.5
MOST_OF_EXAMPLE = 2.5       # each opens what it is for
MOST_OF_RENEW = 5.5         # as root, since keys are root's and hooks reload servers


def exposure(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                          capture_output=True, text=True, check=False, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    if not found:
        raise AssertionError(f"no exposure told:\n{done.stdout}{done.stderr}")
    return float(found.group(1)), done.stderr


class Units(unittest.TestCase):
    def test_the_signers_unit_is_hardened(self):
        level, said = exposure(os.path.join(UNITS, "acmeward-signer.service"))
        self.assertLessEqual(level, MOST)
        self.assertEqual(said, "", "a line of the unit is not understood")

    def test_the_relays_unit_is_hardened(self):
        level, said = exposure(os.path.join(UNITS, "acmeward-relay.service"))
        self.assertLessEqual(level, MOST)
        self.assertEqual(said, "", "a line of the unit is not understood")

    def test_the_renewals_unit_is_hardened_as_far_as_hooks_allow(self):
        level, said = exposure(os.path.join(UNITS, "acmeward-renew.service"))
        self.assertLessEqual(level, MOST_OF_RENEW)
        self.assertEqual(said, "", "a line of the unit is not understood")

    def test_the_timer_is_understood_and_spreads_the_runs(self):
        path = os.path.join(UNITS, "acmeward-renew.timer")
        with open(path, encoding="ascii") as file:
            text = file.read()
        self.assertRegex(text, r"(?m)^RandomizedDelaySec=6h$")
        self.assertRegex(text, r"(?m)^Persistent=yes$")
        calendar = re.search(r"(?m)^OnCalendar=(.*)$", text).group(1)
        done = subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True,
                              text=True, check=False, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_example_opens_little(self):
        examples = sorted(os.listdir(EXAMPLES))
        self.assertIn("network-hsm.conf", examples)
        self.assertIn("smart-card.conf", examples)
        for name in examples:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                unit = os.path.join(folder, "acmeward-signer.service")
                shutil.copy(os.path.join(UNITS, "acmeward-signer.service"), unit)
                with open(unit, "a", encoding="ascii") as out, \
                        open(os.path.join(EXAMPLES, name), encoding="ascii") as drop_in:
                    out.write("\n" + drop_in.read())
                level, said = exposure(unit)
                self.assertLessEqual(level, MOST_OF_EXAMPLE)
                self.assertEqual(said, "")

    def test_the_programs_own_confinement_is_let_through(self):
        for unit in ("acmeward-signer.service", "acmeward-relay.service"):
            with open(os.path.join(UNITS, unit), encoding="ascii") as file:
                text = file.read()
            for call in ("seccomp", "landlock_create_ruleset", "landlock_add_rule",
                         "landlock_restrict_self", "capset", "prlimit64"):
                self.assertRegex(text, rf"(?m)^SystemCallFilter=(?!~).*\b{call}\b")


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        print("SKIPPED: there is no systemd-analyze; the units' exposure is not checked (package "
              "systemd)", file=sys.stderr)
        sys.exit(77)
    unittest.main()
