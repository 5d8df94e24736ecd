#!/usr/bin/python3
"""A hostile program in the place of the applications' gate, beside the real signer."""

import os
import shutil
import signal
import socket
import unittest

import world
from world import BUILD, World, wait_until


class Hostile(unittest.TestCase):
    def test_a_hostile_gate_gains_nothing_and_is_ended(self):
        with World() as here:
            here.application("app", exact=["app.dept.example.edu"])
            here.write_config()
            programs = here.path("programs")
            os.mkdir(programs)
            shutil.copy(os.path.join(BUILD, "tests", "e2e", "hostile_gate"),
                        os.path.join(programs, "acmeward-gate"))
            shutil.copy(os.path.join(BUILD, "signer", "acmeward-gate"),
                        os.path.join(programs, "administrators"))
            tried = [here.path("state", "ledger.db"), here.path("state", "audit", "audit.jsonl"),
                     here.path("etc", "policy.d", "app.yaml"), here.config,
                     here.token["TOKEN_PIN_FILE"], here.token["SOFTHSM2_CONF"]]
            with open(os.path.join(programs, "paths"), "w", encoding="ascii") as file:
                file.write("".join(f"{path}\n" for path in tried))
            self.addCleanup(setattr, world, "SIGNER", world.SIGNER)
            world.SIGNER = shutil.copy(world.SIGNER, programs)
            here.spawn_signer()
            wait_until("the signer", lambda: "notice: ready\n" in here.log())
            for what in (*tried, "the core's memory", "an internet socket", "a Unix socket",
                         "signals of a descriptor to the core"):
                self.assertIn(f"hostile: {what}: refused\n", here.log())
            self.assertNotIn("DONE", here.log())
            self.ask(here)
            wait_until("the alarm", lambda: here.records("--kind", "alarm"))
            self.assertEqual({record["rule"] for record in here.records("--kind", "alarm")},
                             {"gate.hostile"})
            # The administrators' gate is not concerned, and nobody did what they may.
            status = here.admin("--json", "status").json()
            self.assertEqual((status["role"], status["frozen"]), ("officer", False))
            self.assertEqual(here.records("--kind", "admin"), [])
            here.stop_signer(signal.SIGKILL, status=None)   # it would wait ten seconds for this gate

    def ask(self, here):
        """Connects, and goes away: the gate asks in this name."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(here.socket)
            answers = b""
            while answers.count(b"\0") < 2:
                more = connection.recv(65536)
                self.assertTrue(more, "the connection was closed")
                answers += more
        for answer in answers.split(b"\0")[:2]:
            self.assertIn(b"NotFound", answer)      # org.varlink.service


if __name__ == "__main__":
    unittest.main()
