#!/usr/bin/python3
"""Key ceremonies as a person meets them: a terminal, a CA that is awkward about EAB."""

import base64
import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import termios
import time
import unittest

from world import ADMIN, World, environment
from scripted_ca import ScriptedCa, decode, problem


class Terminal(unittest.TestCase):
    def test_key_from_a_terminal_is_not_echoed(self):
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            world.write_config()
            world.start_signer()
            with open(world.ca.key_file, encoding="ascii") as file:
                key = file.read()
            for number in (signal.SIGINT, signal.SIGTERM):
                self.cut_off(world, number)
            main, process = self.importing(world)
            shown = self.until(main, b"not shown")
            os.write(main, key.encode() + b"\n")
            shown += self.until(main, b"destroy every other copy")
            self.assertEqual(process.wait(30), 0, shown)
            os.close(main)
            self.assertIn(b"imported: 256 bits", shown)
            self.assertNotIn(key.encode(), shown)

    @staticmethod
    def importing(world):
        main, other = pty.openpty()
        process = subprocess.Popen(
            [ADMIN, "--config", world.config, "eab", "import", "--ca", "loopback", "--kid", "k"],
            stdin=other, stdout=other, stderr=other, env=environment(), start_new_session=True)
        os.close(other)
        return main, process

    def cut_off(self, world, number):
        """The shell that comes next on the terminal shows what is typed."""
        main, process = self.importing(world)
        self.until(main, b"not shown")
        self.assertFalse(termios.tcgetattr(main)[3] & termios.ECHO)
        os.write(main, b"half a k")
        process.send_signal(number)
        self.assertEqual(process.wait(30), -number)
        self.assertTrue(termios.tcgetattr(main)[3] & termios.ECHO)
        os.close(main)

    @staticmethod
    def until(descriptor, words, seconds=30):
        data, deadline = b"", time.monotonic() + seconds
        while words not in data and time.monotonic() < deadline:
            if select.select([descriptor], [], [], 0.1)[0]:
                try:
                    data += os.read(descriptor, 65536)
                except OSError:
                    break
        return data

    def test_nobody_confirms_a_pin(self):
        with World() as world:
            world.write_config()
            world.start_signer()
            self.assertIn("--yes", world.admin("ca", "pin", "loopback", status=2).text)


class AwkwardCa(unittest.TestCase):
    """What a CA may say to newAccount; the account URL is what must not get lost."""

    def course(self, answers, register=("--kid", "k"), status=0, lines=(), then=None):
        """Runs the ceremony against scripted answers to newAccount; gives output, state, requests.

        lines: more of the CA's entry in signer.yaml; then: is called with the world at the end."""
        with World() as world:
            world.application("app", exact=["app.dept.example.edu"])
            with ScriptedCa(world.path("scripted"), {("POST", "/new-account"): answers}) as ca:
                world.ca_lines = lines
                world.write_config(directory=ca.directory)
                with open(world.config, encoding="ascii") as file:
                    text = file.read().replace(world.ca.ca_file, ca.ca_file)
                with open(world.config, "w", encoding="ascii") as file:
                    file.write(text)
                self.fill(answers, ca)
                world.start_signer()
                world.admin("ca", "pin", "loopback", "--yes")
                world.admin("eab", "import", "--ca", "loopback", "--kid", "k", stdin="A" * 43)
                world.admin("account", "create", "loopback-ov")
                done = world.admin("account", "register", "loopback-ov", *register, status=status)
                state = world.admin("--json", "account", "show", "loopback-ov").json()
                records = world.records()
                if then is not None:
                    then(world, ca)
            return done, state, ca.requests, records

    @staticmethod
    def fill(answers, ca):
        for i, (status, headers, body) in enumerate(answers):
            answers[i] = (status, {name: value.replace("ORIGIN", ca.origin)
                                   for name, value in headers.items()}, body)

    MADE = (201, {"Location": "ORIGIN/account/1"},
            json.dumps({"status": "valid", "orders": "https://localhost/orders/1"}))
    FOUND = (200, {"Location": "ORIGIN/account/1"}, json.dumps({"status": "valid"}))

    def test_88_eab_was_used_already_and_the_account_is_ours(self):
        done, state, requests, _ = self.course(
            [problem("unauthorized", detail="EAB cannot be used more than one time"), self.FOUND])
        self.assertIn("recovered", done.text)
        self.assertEqual(state["state"], "registered")
        self.assertTrue(state["url"].endswith("/account/1"))
        self.assertIn("externalAccountBinding", requests[0][2])
        self.assertEqual(requests[1][2], {"onlyReturnExisting": True})

    def test_88_eab_was_used_already_by_somebody_else(self):
        done, state, _, _ = self.course(
            [problem("unauthorized", detail="EAB cannot be used more than one time"),
             problem("accountDoesNotExist", 400)], status=4)
        self.assertIn("cannot be used more than one time", done.text)
        self.assertEqual(state["state"], "unregistered")     # another EAB may be tried

    def test_88_eab_that_is_good_for_one_account(self):
        """What signer.yaml says of the CA is acted on: nothing is begun that the CA does not offer."""
        def then(world, ca):
            before = len(ca.requests)
            done = world.admin("account", "rotate", "loopback-ov", status=1)
            self.assertIn("the CA loopback offers no key change: nothing was done", done.err)
            self.assertIn("account deactivate loopback-ov", done.err)
            self.assertEqual(len(ca.requests), before)
            account = world.admin("--json", "account", "show", "loopback-ov").json()
            self.assertEqual(account["key_change"], "none")
            for done in (world.admin("status").out, world.admin("policy", "check").err,
                         world.log(), world.admin("reload").out):
                self.assertIn("warning", done)
                self.assertIn("can't limit an account to domains", done)
            self.assertIn("EAB one-time, key change unsupported, validation unknown, scope none",
                          world.admin("ca", "list").out)
        done, _, _, _ = self.course(
            [problem("unauthorized"), problem("accountDoesNotExist", 400)], status=4,
            lines=("eab: one-time", "key_change: unsupported", "scope: none"), then=then)
        self.assertIn("this one may be spent: have the CA issue a new one", done.err)

    def test_a_lost_answer_leaves_an_attempt_on_record(self):
        done, state, requests, records = self.course(
            [(500, {}, "{}")], status=1)
        self.assertEqual(state["state"], "attempted")
        self.assertEqual(state["attempted_kid"], "k")
        self.assertEqual(len(requests), 1, "a newAccount is not repeated")
        self.assertTrue([r for r in records if r.get("operation") == "new-account"])
        self.assertNotEqual(done.err, "")

    def test_bad_nonce_is_retried(self):
        _, state, requests, _ = self.course([problem("badNonce", 400), self.MADE])
        self.assertEqual(state["state"], "registered")
        self.assertNotEqual(requests[0][1]["nonce"], requests[1][1]["nonce"])

    def test_attack_26_location_on_another_origin(self):
        done, state, _, _ = self.course(
            [(201, {"Location": "https://evil.example.org/account/1"}, "{}")], status=None)
        self.assertNotEqual(done.status, 0)
        self.assertNotEqual(state["state"], "registered")

    def test_binding_is_for_the_key_in_the_token_and_this_url_84_85_86(self):
        _, state, requests, _ = self.course([self.MADE])
        _, header, payload = requests[0]
        binding = payload["externalAccountBinding"]
        inner = json.loads(decode(binding["protected"]))
        bound = json.loads(decode(binding["payload"]))
        self.assertEqual(inner, {"alg": "HS256", "kid": "k", "url": header["url"]})
        self.assertEqual(bound, header["jwk"])
        self.assertEqual(state["thumbprint"], self.thumbprint(bound))

    @staticmethod
    def thumbprint(jwk):
        text = json.dumps(dict(sorted(jwk.items())), separators=(",", ":"))
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")

    def test_terms_must_be_agreed(self):
        with World() as world:
            world.write_config()
            world.start_signer()
            world.admin("ca", "pin", "loopback", "--yes")
            world.import_eab()
            world.admin("account", "create", "loopback-ov")
            done = world.admin("account", "register", "loopback-ov", "--kid", world.ca.kid, status=2)
            self.assertIn("--agree-tos", done.text)


if __name__ == "__main__":
    unittest.main()
