#!/usr/bin/python3
"""acmeward-signer --probe-token: with the signer stopped, as its user; SoftHSM as it is, and a mock
module that lies. Nothing is left in the token, and what was there stays."""

import json
import os
import signal
import subprocess
import time
import unittest

from world import BUILD, SIGNER, World, environment, run, wait_until

HOLDS, DOES_NOT, USAGE, UNAVAILABLE = 0, 1, 2, 5
MOCK = os.path.join(BUILD, "tests", "faults", "libacmeward-mock.so")
STRONG = "".join(f"C_GetAttributeValue:*:misreport CKA_{name}={value}\n" for name, value in (
    ("SENSITIVE", "true"), ("EXTRACTABLE", "false"), ("ALWAYS_SENSITIVE", "true"),
    ("NEVER_EXTRACTABLE", "true")))


class Probe(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.enterContext(self.world)
        self.world.application("app1", exact=["app1.dept.example.edu"])
        self.softhsm = self.world.token["TOKEN_MODULE"]
        self.rules = self.world.path("rules")
        self.calls = self.world.path("calls")

    def environment(self):
        return environment(SOFTHSM2_CONF=self.world.token["SOFTHSM2_CONF"],
                           ACMEWARD_MOCK_RULES=self.rules, ACMEWARD_MOCK_CALLS=self.calls)

    def command(self, *words):
        return [SIGNER, "--config", self.world.config, "--probe-token", *words]

    def probe(self, *words, status=HOLDS):
        return run(self.command(*words), status=status, env=self.environment())

    def write_rules(self, rules):
        with open(self.rules + ".new", "w", encoding="ascii") as file:
            file.write(rules)
        os.rename(self.rules + ".new", self.rules)

    def use_mock(self, rules):
        """From here on the configuration names the mock, and it does this."""
        self.write_rules(rules)
        self.world.token["TOKEN_MODULE"] = MOCK
        self.world.write_config()

    def use_softhsm(self):
        self.world.token["TOKEN_MODULE"] = self.softhsm
        self.world.write_config()

    def start_waiting(self, function):
        """A probe that has come to its first call of a function, and waits there for new rules."""
        self.use_mock(f"{function}:1:wait\n")
        process = subprocess.Popen(self.command(), env=self.environment(), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        wait_until(f"a probe in {function}", lambda: self.called(function))
        return process

    def called(self, function):
        if not os.path.exists(self.calls):
            return False
        with open(self.calls, encoding="ascii") as file:
            return function + "\n" in file.read()

    def labels(self):
        """What is in the token, as the signer sees it."""
        report = self.world.admin("--json", "token", "doctor", status=None).json()
        return sorted(one["label"] for one in report["objects"])

    def test_softhsm_is_fit(self):
        self.world.start()
        before = self.labels()
        self.assertTrue(before)
        self.world.stop_signer()
        done = self.probe()
        for words in ("account key (EC P-256)", "EAB key (HS256)", "read CKA_VALUE",
                      "CKR_ATTRIBUTE_SENSITIVE", "CKR_KEY_UNEXTRACTABLE", "not offered by this token",
                      "all that must hold holds"):
            self.assertIn(words, done.out)
        self.assertNotIn("RSA 2048", done.out)      # no account has such a key
        self.world.start_signer()
        self.assertEqual(self.labels(), before)
        self.world.certonly("app1.dept.example.edu")

    def test_json_and_key_types_in_use(self):
        self.world.write_config(extra_accounts="""  - name: other
    ca: loopback
    key: rsa-2048
    ceiling: [other.example.edu]
""")
        found = self.probe("--json").json()
        self.assertTrue(found["holds"])
        self.assertEqual(found["token"], "acmeward")
        self.assertLess(abs(found["probed_at"] - time.time()), 60)
        with open(self.world.path("state", "probe.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), found)
        self.assertEqual(found["left_behind"], "")
        self.assertEqual({row["key"] for row in found["rows"]},
                         {"account key (EC P-256)", "account key (RSA 2048)", "EAB key (HS256)",
                          "key unwrapped into the token", "relay key (HS256)"})
        for row in found["rows"]:
            self.assertEqual(set(row), {"key", "attempt", "answer", "verdict", "required", "follows"})
            if row["required"]:
                self.assertIn(row["verdict"], ("enforced", "not-offered"), row)

    def test_keys_that_can_be_wrapped_out(self):
        """The flags say that they can't: only trying it shows."""
        self.world.write_config()
        self.use_mock("C_GenerateKeyPair:*:force CKA_EXTRACTABLE=true\n"
                      "C_CreateObject:*:force CKA_EXTRACTABLE=true\n" + STRONG)
        done = self.probe(status=DOES_NOT)
        self.assertIn("NOT ENFORCED: whoever has a session and a login takes the key away", done.out)
        self.assertIn("do not use it", done.out)
        rows = {(row["key"], row["attempt"]): row for row in
                self.probe("--json", status=DOES_NOT).json()["rows"]}
        row = rows["EAB key (HS256)", "wrap it out with CKM_AES_KEY_WRAP"]
        self.assertEqual((row["verdict"], row["answer"], row["required"]),
                         ("not-enforced", "CKR_OK", True))

    def test_keys_that_can_be_read(self):
        self.world.write_config()
        self.use_mock("".join(f"{function}:*:force CKA_{what}\n" for function in
                              ("C_GenerateKeyPair", "C_CreateObject") for what in
                              ("SENSITIVE=false", "EXTRACTABLE=true")) + STRONG)
        done = self.probe(status=DOES_NOT)
        self.assertIn("NOT ENFORCED: whoever has a session and a login reads the key", done.out)

    def test_extraction_that_can_be_switched_on(self):
        self.world.write_config()
        self.use_mock("C_GenerateKeyPair:*:force CKA_EXTRACTABLE=true\n"
                      "C_SetAttributeValue:*:CKR_OK\n" + STRONG)
        found = self.probe("--json", status=DOES_NOT).json()
        red = [row["attempt"] for row in found["rows"] if row["verdict"] == "not-enforced"]
        self.assertIn("make it EXTRACTABLE again", red)

    def test_usage_alone_does_not_make_it_unfit(self):
        self.world.write_config()
        self.use_mock("C_GenerateKeyPair:*:force CKA_DERIVE=true\n"
                      "C_GetAttributeValue:*:misreport CKA_DERIVE=false\n")
        done = self.probe()
        self.assertRegex(done.out, r"derive a secret .*NOT ENFORCED.*\[no requirement\]")

    def test_refused_while_the_signer_runs(self):
        self.world.start()
        done = self.probe(status=UNAVAILABLE)
        self.assertIn("a signer is running", done.err)
        self.assertIn("stop it first", done.err)
        self.assertEqual(done.out, "")
        self.world.certonly("app1.dept.example.edu")    # it was not disturbed

    def test_no_signer_starts_meanwhile(self):
        self.world.start()
        self.world.stop_signer()
        process = self.start_waiting("C_CreateObject")
        signer = self.world.spawn_signer()
        self.world.signer = None
        self.assertEqual(signer.wait(60), UNAVAILABLE)
        self.assertIn("another process writes to", self.world.log())
        self.write_rules("")
        self.assertEqual(process.wait(60), HOLDS)
        self.use_softhsm()
        self.world.start_signer()

    def test_a_signal_waits_for_the_clean_up(self):
        self.world.start()
        before = self.labels()
        self.world.stop_signer()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if os.path.exists(self.calls):
                os.unlink(self.calls)
            process = self.start_waiting("C_CreateObject")      # the account key is made
            process.send_signal(number)
            self.write_rules("")
            self.assertEqual(process.wait(60), HOLDS)
        self.use_softhsm()
        self.world.start_signer()
        self.assertEqual(self.labels(), before)

    def test_what_a_killed_probe_left_is_destroyed(self):
        self.world.start()
        before = self.labels()
        self.world.stop_signer()
        self.use_mock("C_CreateObject:1:crash\n")
        self.assertEqual(self.probe(status=None).status, -signal.SIGKILL)
        self.use_softhsm()
        self.world.start_signer()
        self.assertIn("acmeward-probe:ec-p256", self.labels())
        self.world.stop_signer()
        self.probe()
        self.world.start_signer()
        self.assertEqual(self.labels(), before)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_only_the_signers_user(self):
        """Root would leave files that the signer can't read."""
        self.world.write_config()
        os.chown(self.world.path("state"), 65534, -1)
        done = self.probe(status=DOES_NOT)
        self.assertIn("belongs to uid 65534", done.err)
        self.assertIn("runuser -u", done.err)

    def test_options(self):
        self.world.write_config()
        for words in (["--json"], ["--probe-token", "--check-config"]):
            done = run([SIGNER, "--config", self.world.config, *words], status=USAGE)
            self.assertIn("--json goes with --probe-token", done.err)

    def test_wrong_configuration_and_pin(self):
        self.probe(status=USAGE)        # there is no signer.yaml
        self.world.write_config()
        path = self.world.token["TOKEN_PIN_FILE"]
        os.chmod(path, 0o600)
        with open(path, "w", encoding="ascii") as file:
            file.write("wrong-pin")
        os.chmod(path, 0o400)
        self.assertIn("PIN", self.probe(status=UNAVAILABLE).err)
        # One latch for the signer and the probe: neither tries that PIN again.
        self.assertIn("pin.latch", self.probe(status=UNAVAILABLE).err)
        process = self.world.spawn_signer()
        self.world.signer = None
        self.assertEqual(process.wait(60), UNAVAILABLE)
        self.assertIn("pin.latch", self.world.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
